/* SPDX-License-Identifier: BSD-3-Clause */
/* A reduction over the rows of a variable, segment by segment, so that a killed one goes on: the state of each segment
 * is recorded as it is done. Segments are cut by the number of rows and their size alone, and combined in their order,
 * so the bits are the same however often it was killed. */
#ifndef TALLY_SEGMENTS_H
#define TALLY_SEGMENTS_H

#include <mpmap.h>

#include "journal.h"

/* What the workers must know of a variable; it is the context of the reduction. */
struct variable {
    mpm_shape row;
    uint64_t elements; /* of a row */
    uint64_t rows;
    uint64_t first;       /* row of the segment: items are counted from it on */
    double fill, missing; /* values that stand for none; NaN: there is no such value */
    double scale, offset; /* what packed values are multiplied by, and what is added then */
};

struct segments_request {
    const struct variable *variable;
    mpm_dataset_rows rows;   /* all of them */
    mpm_reduction reduction; /* its context is the variable */
    uint64_t segment_rows;
    mpm_pool_options pool;
    mpm_line line;
    struct journal *journal; /* of segments that are done; or NULL */
};

/* Rows of a segment of about so many bytes; 0: a 32nd of all, but at least 64 MiB, and eight times a state. */
uint64_t segments_cut(const struct variable *variable, uint64_t bytes, size_t state_size);

/* 0, or the exit status after saying what is wrong; EXIT_DRAINED if it was drained. `state`: out. */
int segments_reduce(const struct segments_request *request, void *state);

#endif

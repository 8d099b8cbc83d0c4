/* SPDX-License-Identifier: BSD-3-Clause */
/* The usual filters of chunks, done here instead of by HDF5, since it takes less time: gzip, mostly with shuffle
 * before it, and fletcher32 before or behind. HDF5's filter pipeline is what they are called together. For
 * data/chunks.c and data/pack.c. */
#ifndef DATA_PIPELINE_H
#define DATA_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "data/hdf5_call.h"

#define PIPELINE_MOST_STEPS 3
#define PIPELINE_MARGIN     4 /* of a checksum, beside which the elements of a chunk stand for a while */

struct pipeline {
    unsigned count;
    struct pipeline_step {
        H5Z_filter_t filter;
        unsigned value;          /* the size of elements that are shuffled; the level of gzip */
    } step[PIPELINE_MOST_STEPS]; /* in the order in which a chunk is written */
    size_t size;                 /* of a chunk, as it is in memory */
    bool has_margin;             /* a checksum stands beside its elements, for a while */
};

/* Takes the filters of a data set whose chunks have `size` bytes. False if they are others, or in an unusual order,
 * or libdeflate is not there: HDF5 is to do it then. */
bool pipeline_take(hid_t creation, size_t size, struct pipeline *pipeline);
/* Undoes the filters of a stored chunk but those in `mask`. `spare` and `chunk` have room for a chunk and the
 * margin. False if the chunk is not as it should be: HDF5 may say what is wrong. */
bool pipeline_undo(const struct pipeline *pipeline, unsigned mask, const unsigned char *stored, size_t size,
                   unsigned char *spare, unsigned char *chunk);
/* Does the filters, of which the last one is gzip. `spare` has room for a chunk. Returns the size; 0 if HDF5 is to
 * do it, since there would be more than `most` bytes, or zlib makes it smaller. */
size_t pipeline_apply(const struct pipeline *pipeline, const unsigned char *chunk, unsigned char *spare,
                      unsigned char *stored, size_t most);

#endif

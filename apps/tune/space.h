/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of learners, and the space of candidates that a search looks at: "C=log2:-5:15:2". */
#ifndef MPMAP_TUNE_SPACE_H
#define MPMAP_TUNE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum parameter_id {
    PARAMETER_C,
    PARAMETER_GAMMA,
    PARAMETER_NU,
    PARAMETER_P,
    PARAMETER_DEGREE,
    PARAMETER_COEF0,
    PARAMETER_DEPTH,
    PARAMETER_ROUNDS,
    PARAMETER_ETA,
    PARAMETER_LAMBDA,
    PARAMETER_COUNT,
};

/* A value for each parameter; the learner does not look at those that it has not. */
struct candidate {
    double values[PARAMETER_COUNT];
};

enum scale { SCALE_LIST, SCALE_LINEAR, SCALE_LOG2, SCALE_LOG10 };

/* One parameter that is searched. */
struct axis {
    enum parameter_id parameter;
    enum scale scale;
    double low, high; /* of the range, as it was given: exponents for logarithms */
    double *values;   /* those of a grid, rising or as they were listed */
    size_t count;
};

struct space {
    struct axis axes[PARAMETER_COUNT];
    size_t count;
    struct candidate fixed; /* of the parameters that are not searched */
};

const char *parameter_name(enum parameter_id parameter);
/* What can be given a value of a fraction, and what is whole. */
bool parameter_is_whole(enum parameter_id parameter);

/* Adds "NAME=SPEC", in place of an earlier one of that name; `known` is a bit for each parameter that the learner has.
 * Returns 0, or EXIT_USAGE after saying what is wrong. */
int space_add(struct space *space, uint32_t known, const char *text);
/* How many candidates the grid has; SIZE_MAX if they are too many to count. */
size_t space_size(const struct space *space);
/* The candidate of that number; the last axis is the fastest. */
struct candidate space_at(const struct space *space, size_t number);
/* A random one. */
struct candidate space_sample(const struct space *space, uint64_t *state);
void space_free(struct space *space);

/* "C=8 gamma=0.03125", of the parameters that are searched; in `text` of `size` bytes. */
void space_describe(const struct space *space, const struct candidate *candidate, char *text, size_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* One fit: a candidate learns from the rows of a split, and is scored on the others. It runs in a worker. */
#ifndef MPMAP_TUNE_FIT_H
#define MPMAP_TUNE_FIT_H

#include <mpmap.h>

#include "learner.h"

enum score_kind {
    SCORE_ACCURACY, /* share of rows whose label is right */
    SCORE_BALANCED, /* mean over the classes of that share */
    SCORE_MSE,      /* mean squared error; less is better */
    SCORE_MAE,      /* mean absolute error; less is better */
    SCORE_R2,       /* share of the variance that is explained */
    SCORE_COUNT,
};

/* What every worker knows: one block for a node. The data follows behind it. */
struct share {
    struct learner_settings settings;
    struct plan plan;
    struct kernel_plan kernels;
    uint64_t arrays_at; /* mpm_array of each node: the memory of its matrices */
    uint64_t data_at;
    uint64_t size;
};

/* What is to be fitted. */
struct fit_order {
    struct candidate candidate;
    struct split_place place;
    struct kernel_slot slot;
};

struct fit_result {
    double scores[SCORE_COUNT]; /* those of a classifier, or of a regression; the others are NaN */
    uint32_t tested, right;
    uint32_t trained;
    uint32_t node;
    uint64_t model_size;
    double fitted_C;     /* the C of the fit that was done: another one if the model is the same for both */
    double same_from;    /* the model is the same for every C from here on; INFINITY if that is not known */
    double cpu_s;        /* to train and to score, without shared matrices */
    double wall_s;       /* with them */
    uint64_t peak_bytes; /* of the worker's own memory */
};

/* Puts it together; the caller frees it. NULL if there is no memory. */
struct share *share_make(const struct share *head, const mpm_array *arrays, const struct data *data);
const struct data *share_data(const struct share *share);

/* Of a pool whose initializer_argument is the share. */
mpm_initializer fit_initialize;
mpm_finalizer fit_finalize;
/* Takes a fit_order, gives a fit_result. */
mpm_task fit_run;
/* Takes a fit_order, whose split is not looked at, as a blob, and gives the file of a model that has learned from all
 * rows. */
mpm_task fit_model;

#endif

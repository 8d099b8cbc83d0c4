/* SPDX-License-Identifier: BSD-3-Clause */
/* A map over a data set whose files are there. For data/ only. */
#ifndef DATA_MAP_RUN_H
#define DATA_MAP_RUN_H

#include <stddef.h>

#include "data/input.h"
#include "data/output.h"
#include "mpmap/dataset.h"
#include "node/function.h"
#include "pool/shared/batch.h"

/* A map with its files. */
struct map_run {
    mpm_pool *pool;
    const mpm_dataset_map *map;
    struct input *input;
    const struct function *task;
    struct output *output;
    struct rows_job *job; /* once rows are to be run */
    size_t job_size;
};

/* Makes the job of the workers, which the caller frees. MPM_ENOMEM. */
int map_run_make_job(struct map_run *run);
/* The rows that are left, without a progress and a drain. */
struct batch_map map_run_batches(const struct map_run *run);
/* Runs them. MPM_ETASK, with the sentence of the pool, also when the file is good. */
int map_run_do(const struct map_run *run, struct batch_map *batches);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of a map over a data set: what main hands to it, and the batch task. For data/ only. */
#ifndef DATA_ROWS_H
#define DATA_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "data/block_sum.h"
#include "data/input.h"
#include "data/output.h"
#include "mpmap/dataset.h"
#include "node/function.h"
#include "pool/shared/batch.h"

/* What a worker must know, as plain bytes: the context of the batch map. Behind the struct stand the
 * names, each ended by a null byte, and the context of the user's map, aligned to 64 bytes. */
struct rows_job {
    struct function task;
    struct input_identity input;
    enum input_locking locking;
    int follows;   /* the input grows: see follow.h */
    uint64_t pass; /* which of the maps into this part it is, if there are several */
    size_t row_size;
    size_t result_size;
    size_t block_rows; /* the most rows that are read at once */
    size_t task_rows;  /* and that the task takes in one call */
    struct part_places places;
    uint64_t token_at; /* by which the part is known */
    struct part_token token;
    size_t input_file; /* where behind the struct's start each stands */
    size_t input_dataset;
    size_t part;
    size_t row;    /* 0: none */
    size_t checks; /* the file of those that have joined (join_checks.h); 0: none have */
    struct cut cut;
    mpm_row_choice choice; /* a list is behind the struct, too */
    size_t indexes;        /* 0: none */
    size_t log;            /* the path of the log of rows that fail (failed_log.h) */
    size_t fill;           /* the result of a row that has failed; 0: zeros */
    size_t files;          /* the table of several; 0: one */
    size_t values;         /* the folder of values (values.h), and behind it what a result is; 0: none */
    size_t own_size;       /* of all but the context: what a worker keeps a copy of */
    size_t context;        /* 0: none */
};

/* Puts a job together; the caller frees it with free(). MPM_ENOMEM. */
int rows_job_create(const mpm_dataset_map *map, const struct input *input, const struct output *output,
                    const struct function *task, struct rows_job **job, size_t *size);

/* How much of a job rows_check() needs: all but the user's context. */
size_t rows_job_check_size(const struct rows_job *job, size_t size);
/* A batch_task's check: opens the files of a map, which must be those that main has, and leaves them open for it. */
int rows_check(mpm_call *call, uint64_t first, size_t count);
/* A batch_task: reads the rows, runs the user's task on each, writes the results, then the marks. */
int rows_run(mpm_call *call, uint64_t first, size_t count);

#endif

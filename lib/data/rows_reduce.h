/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of a reduction over a data set: what main hands to it, and the batch task. For data/ only. */
#ifndef DATA_ROWS_REDUCE_H
#define DATA_ROWS_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#include "data/input.h"
#include "mpmap/dataset.h"

/* What a worker must know, as plain bytes: the source of the reduction's job. Behind the struct stand the names, each
 * ended by a null byte. */
struct rows_source {
    size_t size;     /* of all of it, in bytes */
    uint64_t number; /* unique in the run: what a worker has open it need not open again for the same one */
    struct input_identity input;
    enum input_locking locking;
    size_t row_size, block_rows;
    size_t input_file, input_dataset; /* where behind the struct's start each stands */
    size_t row;                       /* also; 0: none */
    struct cut cut;
    mpm_row_choice choice;
    size_t indexes; /* of the choice; 0: none */
    size_t files;   /* the table of several; 0: one */
};

/* The caller frees it with free(). MPM_ENOMEM. */
int rows_source_create(const mpm_dataset_rows *rows, const struct input *input, struct rows_source **source,
                       size_t *size);
/* A batch_task of a reduction: reads the rows of leaves, in pieces, and adds them. */
int rows_reduce(mpm_call *call, uint64_t first, size_t count);

#endif

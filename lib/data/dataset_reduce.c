/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's side of a reduction over a data set. */
#include <stdlib.h>

#include "mpmap/dataset.h"

#include "base/error.h"
#include "data/input.h"
#include "data/rows_reduce.h"
#include "pool/shared/reduce.h"

#define CLAIM_S 0.005 /* the work in a claim, as in maps */

static const char call_name[] = "mpm_pool_reduce_dataset";

static int check_rows(const mpm_dataset_rows *rows)
{
    if (!rows || !rows->input_file == !rows->input_file_count ||
        (rows->input_file_count && !rows->input_files) || !rows->input_dataset)
        return error_set(MPM_EINVAL, "%s: the rows need a file, or several, and a data set", call_name);
    return 0;
}

static int check_item_size(const mpm_reduction *reduction, const struct input *input)
{
    size_t size = mpm_shape_size(&input->row);

    if (input_is_variable(input) && reduction->accumulate_block)
        return error_set(MPM_ETYPE,
                         "%s: rows of %s:%s have a variable length, so they are no blocks: give `accumulate`",
                         call_name, input->file_name, input->dataset_name);
    if (!reduction->item_size || reduction->item_size == size)
        return 0;
    return error_set(MPM_ETYPE, "%s: item_size is %zu, but a row of %s:%s has %zu bytes", call_name,
                     reduction->item_size, input->file_name, input->dataset_name, size);
}

static int reduce_input(mpm_pool *pool, const mpm_reduction *reduction, const mpm_dataset_rows *rows,
                        const struct input *input, void *state)
{
    struct rows_source *own;
    struct reduce_source source = {.call = call_name,
                                   .task = rows_reduce,
                                   .count = input->rows,
                                   .item_size = input_row_size(input),
                                   .chunk_s = CLAIM_S};
    int status = rows_source_create(rows, input, &own, &source.source_size);

    if (status)
        return status;
    source.source = own;
    status = pool_reduce(pool, reduction, &source, state);
    free(own);
    return status;
}

int mpm_pool_reduce_dataset(mpm_pool *pool, const mpm_reduction *reduction, const mpm_dataset_rows *rows,
                            void *state)
{
    struct input_source source;
    struct input input;
    int status;

    if (!pool || !state)
        return error_set(MPM_EINVAL, "%s: neither the pool nor the state may be NULL", call_name);
    if ((status = pool_reduce_check(call_name, reduction)) || (status = check_rows(rows)))
        return status;
    source = (struct input_source){.file_name = rows->input_file,
                                   .names = rows->input_files,
                                   .name_count = rows->input_file_count,
                                   .dataset_name = rows->input_dataset,
                                   .row = rows->row,
                                   .cut = {rows->tiling, rows->axis},
                                   .choice = rows->choice,
                                   .locking = rows->without_locks ? INPUT_HAS_NONE : INPUT_HOLDS_LOCK};
    if ((status = input_open(&source, &input)))
        return status;
    if (!(status = check_item_size(reduction, &input)))
        status = reduce_input(pool, reduction, rows, &input, state);
    input_close(&input); /* and its lock */
    return status;
}

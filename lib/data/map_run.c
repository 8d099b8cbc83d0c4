/* SPDX-License-Identifier: BSD-3-Clause */
/* How the rows of a map over a data set go to the workers: in claims of as many as are best read together. */
#include "data/map_run.h"

#include <stdlib.h>

#include "data/costs.h"
#include "data/join_output.h"
#include "data/rows.h"
#include "data/tile_order.h"

#define CLAIM_S         0.005 /* the work in a claim: some reads and writes of files go with each */
#define SMALL_BAND      ((size_t)16 << 10) /* bytes that may as well be decompressed by several workers */
#define CLAIMS_A_WORKER 16                 /* so that the last one to end is not far behind the first */

/* The most rows that a claim may have, so that no worker has nothing to do long before the others. */
static uint64_t fair_claim(const mpm_pool *pool, uint64_t count)
{
    unsigned workers = mpm_pool_worker_count(pool); /* 0: the map will say why */

    return count / ((uint64_t)(workers ? workers : 1) * CLAIMS_A_WORKER);
}

/* Rows a claim; 0 is by measured time. Rows that are stored in one chunk are best read by one worker, since
 * each that reads some of them decompresses all of them. So a claim is as many rows as a chunk has, unless
 * there are too few chunks to keep all workers busy. */
static size_t claim_rows(const struct map_run *run, uint64_t count)
{
    const struct input *input = run->input;
    uint64_t rows = input->band_rows, fair = fair_claim(run->pool, count);

    if (run->map->chunk)
        return run->map->chunk;
    if (rows <= 1 || rows * input_row_size(input) <= SMALL_BAND)
        return 0;
    while (rows > 1 && rows > fair)
        rows = (rows + 1) / 2;
    return (size_t)rows;
}

/* A worker marks the rows whose task has failed, but not one that it dies of. */
static int mark_lost_row(const mpm_failure *failure, void *argument)
{
    struct output *output = argument;

    output_note_failure(output, failure);
    if (failure->cause == MPM_CAUSE_TASK)
        return 0;
    return output->joins ? join_output_fail_row(output, failure->index)
                         : output_fail_row(output, failure->index);
}

struct batch_map map_run_batches(const struct map_run *run)
{
    const struct output *output = run->output;
    uint64_t count = output->left ? output->left_count : run->input->rows;

    return (struct batch_map){
        .task = rows_run,
        .check = rows_check,
        .check_context_size = rows_job_check_size(run->job, run->job_size),
        .count = count,
        .indexes = output->left,
        .chunk = claim_rows(run, count),
        .chunk_s = CLAIM_S,
        .context = run->job,
        .context_size = run->job_size,
        .failed = mark_lost_row,
        .failed_argument = run->output,
    };
}

int map_run_do(const struct map_run *run, struct batch_map *batches)
{
    size_t group = run->map->chunk ? 1 : batches->chunk;
    const struct tile_list list = {batches->indexes, batches->count, fair_claim(run->pool, batches->count)};
    double *made = NULL;
    int status;

    if (run->map->costs)
        status = costs_of_groups(run->map, group, batches->indexes, batches->count, &batches->costs, &made);
    else if (!(status = run->map->chunk ? 0 : tile_order_make(run->input, &list, &made, &batches->chunk)))
        batches->costs = made;
    if (!status)
        status = pool_map_batches(run->pool, batches);
    free(made);
    return status;
}

int map_run_make_job(struct map_run *run)
{
    return rows_job_create(run->map, run->input, run->output, run->task, &run->job, &run->job_size);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps that the caller waits for, and what callers may ask for. */
#include <stdlib.h>

#include "base/error.h"
#include "pool/driver/map_check.h"
#include "pool/driver/map_run.h"
#include "pool/driver/pool_state.h"
#include "pool/shared/batch.h"

#define MAX_ITEM_SIZE ((uint64_t)1 << 30)

int map_enter(const char *call, struct mpm_pool *pool, const struct map_request *request)
{
    int status;

    if ((status = pool_enter_call(call, pool)))
        return status;
    if ((status = map_check_request(call, request)))
        pool_leave_call(pool);
    return status;
}

int pool_check_drain(const char *call, const mpm_drain_options *drain)
{
    if (!(drain->grace_s >= 0) || !(drain->time_s >= 0))
        return error_set(MPM_EINVAL,
                         "%s: drain has a grace of %g s and a time of %g s: neither may be negative", call,
                         drain->grace_s, drain->time_s);
    if (drain->time_s > 0 && !(drain->grace_s > 0))
        return error_set(MPM_EINVAL,
                         "%s: drain has a time of %g s but no grace: set how long running items may continue",
                         call, drain->time_s);
    return MPM_OK;
}

/* Items and results must have memory where they have a size. */
int map_check_request(const char *call, const struct map_request *request)
{
    int status;

    if (!request->task)
        return error_set(MPM_EINVAL, "%s: the task is NULL", call);
    if (request->item_size > MAX_ITEM_SIZE || request->result_size > MAX_ITEM_SIZE)
        return error_set(MPM_EINVAL,
                         "%s: items of %llu and results of %llu bytes: each may have at most 1 GiB", call,
                         (unsigned long long)request->item_size, (unsigned long long)request->result_size);
    if ((status = error_check_memory(call, "items", request->items, request->count, request->item_size)))
        return status;
    if (!request->take && (status = error_check_memory(call, "results", request->results, request->count,
                                                       request->result_size)))
        return status;
    if ((status = pool_check_drain(call, &request->drain)))
        return status;
    if (request->context_size && !request->context)
        return error_set(MPM_EINVAL, "%s: the context is NULL, but its size is %zu bytes", call,
                         request->context_size);
    if (request->context_size > MAX_CONTEXT_SIZE)
        return error_set(MPM_EINVAL, "%s: a context of %zu bytes is too large: at most 1 GiB is allowed",
                         call, request->context_size);
    return MPM_OK;
}

struct map_request map_request_of(mpm_task *task, const struct map_items *of, const mpm_map_options *options)
{
    mpm_map_options chosen = options ? *options : (mpm_map_options){0};

    return (struct map_request){.task = (function_pointer *)task,
                                .node = MAP_ALL_NODES,
                                .count = of->count,
                                .item_size = of->item_size,
                                .result_size = of->result_size,
                                .items = of->items,
                                .results = of->results,
                                .costs = chosen.costs,
                                .chunk = chosen.chunk,
                                .context = chosen.context,
                                .context_size = chosen.context_size,
                                .progress = chosen.progress,
                                .progress_argument = chosen.progress_argument,
                                .drain = chosen.drain,
                                .done = chosen.done};
}

/* Gives a list of failures to a caller who wants one. */
static void hand_over(const mpm_map_options *options, mpm_failure *failures, size_t failure_count)
{
    if (options && options->failure_count)
        *options->failure_count = failure_count;
    if (options && options->failures)
        *options->failures = failures;
    else
        free(failures);
}

int map_for_caller(struct mpm_pool *pool, const struct map_request *request, const mpm_map_options *options)
{
    mpm_failure *failures = NULL;
    size_t failure_count = 0;
    int status = map_run(pool, request, &failures, &failure_count);

    if (!status || status == MPM_ETASK || status == MPM_EDRAINED)
        hand_over(options, failures, failure_count);
    else
        free(failures);
    return status;
}

int mpm_pool_map(mpm_pool *pool, mpm_task *task, const void *items, size_t count, size_t item_size,
                 size_t result_size, const mpm_map_options *options, void *results)
{
    const struct map_items of = {items, count, item_size, results, result_size};
    struct map_request request = map_request_of(task, &of, options);
    int status = map_enter("mpm_pool_map", pool, &request);

    if (status)
        return status;
    status = map_for_caller(pool, &request, options);
    pool_leave_call(pool);
    return status;
}

/* For a caller who does not mind. */
static int pass_over(const mpm_failure *failure, void *argument)
{
    (void)failure, (void)argument;
    return MPM_OK;
}

int pool_map_batches(mpm_pool *pool, const struct batch_map *map)
{
    struct map_request request = {.task = (function_pointer *)map->task,
                                  .kind = JOB_BATCH,
                                  .node = MAP_ALL_NODES,
                                  .count = map->count,
                                  .costs = map->costs,
                                  .indexes = map->indexes,
                                  .chunk = map->chunk,
                                  .chunk_limit = map->chunk_limit,
                                  .chunk_s = map->chunk_s,
                                  .context = map->context,
                                  .context_size = map->context_size,
                                  .progress = map->progress,
                                  .progress_argument = map->progress_argument,
                                  .failed = map->failed ? map->failed : pass_over,
                                  .failed_argument = map->failed_argument,
                                  .max_failures = map->max_failures,
                                  .drain = map->drain};
    mpm_failure *failures;
    size_t failure_count;
    int status;

    if ((status = map_enter("mpm_pool_map_dataset", pool, &request)))
        return status;
    if (!map->check || !map->count || !(status = map_check_nodes(pool, map)))
        status = map_run(pool, &request, &failures, &failure_count);
    pool_leave_call(pool);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions, as their caller sees them: a map over leaves, which the workers make states of (worker_reduce.c), and the
 * tree that combines those as they come (reduce_tree.c), in the thread of the caller. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/context.h"
#include "pool/driver/map_run.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/reduce_tree.h"
#include "pool/shared/reduce.h"

#define MAX_STATE_SIZE ((size_t)256 << 20)
#define MAX_LEAF       ((size_t)1 << 26)
#define MAX_LEAF_BYTES ((uint64_t)1 << 30)
#define MOST_LEAVES    4096u
#define DEFAULT_LEAF   65536u /* at most */
#define DEFAULT_BLOCK  1024u

static uint64_t aligned(uint64_t size)
{
    return (size + 63) / 64 * 64;
}

static int check_functions(const char *call, const mpm_reduction *reduction)
{
    if (!reduction)
        return error_set(MPM_EINVAL, "%s: the reduction is NULL", call);
    if (!reduction->accumulate == !reduction->accumulate_block)
        return error_set(MPM_EINVAL,
                         "%s: set one of accumulate and accumulate_block, and leave the other NULL", call);
    if (!reduction->combine)
        return error_set(MPM_EINVAL, "%s: combine is NULL", call);
    return MPM_OK;
}

static int check_sizes(const char *call, const mpm_reduction *reduction)
{
    if (!reduction->state_size || reduction->state_size > MAX_STATE_SIZE)
        return error_set(MPM_EINVAL, "%s: a state of %zu bytes: it must have 1 byte to 256 MiB", call,
                         reduction->state_size);
    if (reduction->leaf > MAX_LEAF)
        return error_set(MPM_EINVAL, "%s: a leaf of %zu items: at most %zu are allowed", call,
                         reduction->leaf, MAX_LEAF);
    if (reduction->context_size && !reduction->context)
        return error_set(MPM_EINVAL, "%s: the context is NULL, but its size is %zu bytes", call,
                         reduction->context_size);
    if (reduction->context_size > MAX_CONTEXT_SIZE / 2)
        return error_set(MPM_EINVAL, "%s: a context of %zu bytes is too large: at most 512 MiB are allowed",
                         call, reduction->context_size);
    return MPM_OK;
}

static int check_items(const struct reduce_source *source, const void *state)
{
    if (!state)
        return error_set(MPM_EINVAL, "%s: there is no room for the state: it is NULL", source->call);
    if (!source->item_size)
        return error_set(MPM_EINVAL, "%s: item_size is 0", source->call);
    if (source->task != reduce_run_in_memory)
        return MPM_OK;
    return error_check_memory(source->call, "items", source->items, source->count, source->item_size);
}

/* By the number of items alone. */
static uint64_t choose_leaf(const mpm_reduction *reduction, uint64_t count)
{
    uint64_t leaf = 1;

    if (reduction->leaf)
        return reduction->leaf;
    while (leaf < DEFAULT_LEAF && (count + leaf - 1) / leaf > MOST_LEAVES)
        leaf *= 2;
    return leaf;
}

static uint64_t choose_part(const mpm_reduction *reduction, uint64_t leaf)
{
    uint64_t part = reduction->block ? reduction->block : DEFAULT_BLOCK;

    if (!reduction->accumulate_block)
        return 1;
    return part < leaf ? part : leaf;
}

static int name_functions(const mpm_reduction *reduction, struct reduce_job *job)
{
    function_pointer *accumulate = reduction->accumulate ? (function_pointer *)reduction->accumulate
                                                         : (function_pointer *)reduction->accumulate_block;
    int status = function_name(accumulate, &job->accumulate);

    if (!status && reduction->init)
        status = function_name((function_pointer *)reduction->init, &job->init);
    return status;
}

static void copy_behind(struct reduce_job *job, uint64_t at, const void *bytes, size_t size)
{
    if (at)
        memcpy((char *)job + at, bytes, size);
}

/* The context of the map: the caller frees it. */
static int make_job(const mpm_reduction *reduction, const struct reduce_source *source,
                    struct reduce_job **made, size_t *size)
{
    uint64_t leaf = choose_leaf(reduction, source->count), end = aligned(sizeof **made);
    struct reduce_job job = {.is_block = reduction->accumulate_block,
                             .has_init = reduction->init,
                             .total_items = source->count,
                             .leaf_items = leaf,
                             .part_items = choose_part(reduction, leaf),
                             .item_size = source->item_size,
                             .state_size = reduction->state_size};
    int status;

    if (source->items && leaf > MAX_LEAF_BYTES / source->item_size)
        return error_set(MPM_EINVAL,
                         "%s: a leaf of %llu items of %llu bytes is too large: at most 1 GiB is allowed",
                         source->call, (unsigned long long)leaf, (unsigned long long)source->item_size);
    if ((status = name_functions(reduction, &job)))
        return status;
    job.initial = reduction->initial ? end : 0;
    end += reduction->initial ? aligned(reduction->state_size) : 0;
    job.context = reduction->context_size ? end : 0;
    end += aligned(reduction->context_size);
    job.source = source->source_size ? end : 0;
    end += aligned(source->source_size);
    if (!(*made = calloc(1, end)))
        return error_set(MPM_ENOMEM, "no memory for a context of %zu bytes", (size_t)end);
    **made = job;
    copy_behind(*made, job.initial, reduction->initial, reduction->state_size);
    copy_behind(*made, job.context, reduction->context, reduction->context_size);
    copy_behind(*made, job.source, source->source, source->source_size);
    *size = end;
    return MPM_OK;
}

static int put_states(void *argument, uint64_t first, uint64_t count, const char *states)
{
    struct reduce_tree *tree = argument;
    const char *state = states;
    uint64_t stride = reduce_tree_stride(tree);
    int status = MPM_OK;

    for (uint64_t i = 0; !status && i < count; i++, state += stride)
        status = reduce_tree_put(tree, first + i, state);
    return status;
}

static struct map_request request_of(const mpm_reduction *reduction, const struct reduce_source *source,
                                     const struct reduce_job *job, size_t job_size)
{
    return (struct map_request){.task = (function_pointer *)source->task,
                                .kind = JOB_REDUCE,
                                .node = MAP_ALL_NODES,
                                .count = (job->total_items + job->leaf_items - 1) / job->leaf_items,
                                .item_size = source->items ? job->leaf_items * job->item_size : 0,
                                .result_size = aligned(job->state_size),
                                .items = source->items,
                                .total_items = job->total_items,
                                .leaf_items = job->leaf_items,
                                .part_items = job->part_items,
                                .chunk_s = source->chunk_s,
                                .take = put_states,
                                .context = job,
                                .context_size = job_size,
                                .progress = reduction->progress,
                                .progress_argument = reduction->progress_argument,
                                .max_failures = reduction->max_failures};
}

/* The state of no items. */
static void begin_state(const mpm_reduction *reduction, void *state)
{
    if (reduction->initial)
        memcpy(state, reduction->initial, reduction->state_size);
    else
        memset(state, 0, reduction->state_size);
    if (reduction->init)
        reduction->init(state, reduction->context_size ? reduction->context : NULL);
    context_back_from_program(EXIT_SUCCESS);
}

static int run_leaves(mpm_pool *pool, const mpm_reduction *reduction, struct map_request *request,
                      void *state)
{
    const mpm_map_options options = {.failures = reduction->failures,
                                     .failure_count = reduction->failure_count};
    struct reduce_tree *tree = reduce_tree_create(request->count, reduction);
    int status;

    if (!tree)
        return error_set(MPM_ENOMEM, "no memory for a reduction");
    request->take_argument = tree;
    status = map_for_caller(pool, request, &options);
    if (!status || status == MPM_ETASK)
        memcpy(state, reduce_tree_root(tree), reduction->state_size);
    reduce_tree_destroy(tree);
    return status;
}

static void have_no_failures(const mpm_reduction *reduction)
{
    if (reduction->failures)
        *reduction->failures = NULL;
    if (reduction->failure_count)
        *reduction->failure_count = 0;
}

static int reduce_items_of(mpm_pool *pool, const mpm_reduction *reduction, const struct reduce_source *source,
                           void *state)
{
    struct reduce_job *job;
    struct map_request request;
    size_t size;
    int status;

    if (!source->count) {
        begin_state(reduction, state);
        have_no_failures(reduction);
        return MPM_OK;
    }
    if ((status = make_job(reduction, source, &job, &size)))
        return status;
    request = request_of(reduction, source, job, size);
    status = run_leaves(pool, reduction, &request, state);
    free(job);
    return status;
}

int pool_reduce_check(const char *call, const mpm_reduction *reduction)
{
    int status = check_functions(call, reduction);

    return status ? status : check_sizes(call, reduction);
}

int pool_reduce(mpm_pool *pool, const mpm_reduction *reduction, const struct reduce_source *source,
                void *state)
{
    int status;

    if ((status = pool_enter_call(source->call, pool)))
        return status;
    if (!(status = check_items(source, state)))
        status = reduce_items_of(pool, reduction, source, state);
    if ((!status || status == MPM_ETASK) && reduction->finalize) {
        reduction->finalize(state, reduction->context_size ? reduction->context : NULL);
        context_back_from_program(EXIT_SUCCESS);
    }
    pool_leave_call(pool);
    return status;
}

int mpm_pool_reduce(mpm_pool *pool, const mpm_reduction *reduction, const void *items, size_t count,
                    void *state)
{
    struct reduce_source source = {
        .call = "mpm_pool_reduce", .task = reduce_run_in_memory, .count = count, .items = items};
    int status = pool_reduce_check(source.call, reduction);

    if (status)
        return status;
    source.item_size = reduction->item_size;
    return pool_reduce(pool, reduction, &source, state);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Single calls. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/result.h"

#include "base/error.h"
#include "node/context.h"
#include "pool/driver/async.h"
#include "pool/driver/map_run.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/task_name.h"

/* As a map of one item. */
static int run_as_map(struct mpm_pool *pool, const struct map_request *request)
{
    struct map_request own = *request;
    mpm_failure *failures = NULL;
    size_t failure_count;
    int status;

    if (request->result_size && !(own.results = malloc(request->result_size))) {
        pool_leave_line(pool, &own);
        node_calls_remove(pool, request->node);
        return error_set(MPM_ENOMEM, "no memory for a result of %llu bytes",
                         (unsigned long long)request->result_size);
    }
    if (!(status = map_run(pool, &own, &failures, &failure_count)) && request->result_size)
        memcpy(request->results, own.results, request->result_size);
    free(failures);
    if (request->result_size)
        free(own.results);
    return status;
}

/* A call in a mailbox of main's own node. */
struct home_call {
    struct mpm_pool *pool;
    bool waits;
    unsigned node; /* where it is to go */
};

static void set_waits(struct home_call *call, bool waits)
{
    if (waits && !call->waits)
        pool_call_waits(call->pool);
    if (!waits && call->waits)
        pool_call_goes_on(call->pool);
    call->waits = waits;
}

/* One that no worker has had yet goes where one is idle. */
static enum call_order look_at_call(void *argument, bool waits)
{
    struct home_call *call = argument;

    if (pool_check(call->pool))
        return CALL_ENDS;
    set_waits(call, waits && call->pool->node_count > 1);
    return call->waits && pool_find_idle(call->pool, call->node, &call->node) ? CALL_MOVES : CALL_GOES_ON;
}

/* By a mailbox of main's own node. */
static enum call_end call_local(struct mpm_pool *pool, struct map_request *request,
                                struct node_pool_call *call)
{
    struct home_call looked_after = {.pool = pool, .node = request->node};
    enum call_end end = node_pool_make_call(pool->home, call, look_at_call, &looked_after);

    set_waits(&looked_after, false);
    if (end == CALL_IS_MOVED) {
        node_calls_move(pool, request->node, looked_after.node);
        request->node = looked_after.node;
    }
    return end;
}

/* Whether there is something that was begun before, and no worker of this node has come to: nearly always there is not,
 * and else the board knows it, once all of that is there. */
static bool has_line(struct mpm_pool *pool)
{
    if (!atomic_load(&pool->in_line))
        return false;
    async_wait_for_turn(pool);
    return node_pool_has_line(pool->home);
}

/* By a mailbox, where main's own node is the place for it, and nothing stands in line there that was begun before; else
 * as a map, which takes over the count of the call. */
static int run_call(struct mpm_pool *pool, struct map_request *request, const struct named_task *task)
{
    struct node_pool_call call = {.task_id = task->id,
                                  .task = &task->name,
                                  .item = request->items,
                                  .item_size = (uint32_t)request->item_size,
                                  .result_size = (uint32_t)request->result_size,
                                  .result = request->results};
    enum call_end end = CALL_IS_NOT_MADE;

    if (request->node == context_topology()->node && pool->home && !has_line(pool))
        end = call_local(pool, request, &call);
    if (end == CALL_IS_NOT_MADE || end == CALL_IS_MOVED) {
        pool_stand_in_line(pool, request, end == CALL_IS_NOT_MADE);
        return run_as_map(pool, request);
    }
    node_calls_remove(pool, request->node);
    if (end == CALL_HAS_FAILED)
        return MPM_ETASK;
    return end == CALL_IS_GIVEN_UP ? pool_check(pool) : MPM_OK;
}

int mpm_pool_apply(mpm_pool *pool, mpm_task *task, const void *item, size_t item_size, size_t result_size,
                   void *result)
{
    const struct map_items of = {item, 1, item_size, result, result_size};
    struct map_request request = map_request_of(task, &of, NULL);
    const struct named_task *named = NULL;
    int status;

    request.is_apply = true;
    if ((status = pool_enter_short_call("mpm_pool_apply", pool)))
        return status;
    if (!(status = map_check_request("mpm_pool_apply", &request)) &&
        !(status = task_name_of(pool->spec.id, request.task, &named))) {
        request.node = node_calls_choose(pool);
        status = run_call(pool, &request, named);
    }
    pool_leave_call(pool);
    return status;
}

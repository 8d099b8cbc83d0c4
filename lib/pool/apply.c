/* SPDX-License-Identifier: BSD-3-Clause */
/* Single calls. */
#include "pool/apply.h"

#include <stdlib.h>
#include <string.h>

#include "mpmap/result.h"

#include "base/error.h"
#include "pool/pool_state.h"

int apply_check(const char *call, struct mpm_pool *pool, const struct map_request *request)
{
    struct function name;
    int status = map_check(call, pool, request);

    return status ? status : function_name(request->task, &name);
}

unsigned apply_enter(struct mpm_pool *pool)
{
    unsigned best = MAP_ALL_NODES, fewest = 0;

    for (unsigned node = 0; node < pool->node_count; node++) {
        unsigned workers = pool->node[node].workers, calls = atomic_load(&pool->node[node].calls);

        if (workers && (best == MAP_ALL_NODES ||
                        (uint64_t)calls * pool->node[best].workers < (uint64_t)fewest * workers)) {
            best = node;
            fewest = calls;
        }
    }
    atomic_fetch_add(&pool->node[best].calls, 1);
    return best;
}

void apply_left(struct mpm_pool *pool, unsigned node)
{
    atomic_fetch_sub(&pool->node[node].calls, 1);
}

/* As a map of one item. */
static int run_as_map(struct mpm_pool *pool, const struct map_request *request)
{
    struct map_request own = *request;
    mpm_failure *failures = NULL;
    size_t failure_count;
    int status;

    if (request->result_size && !(own.results = malloc(request->result_size)))
        return error_set(MPM_ENOMEM, "no memory for a result of %llu bytes",
                         (unsigned long long)request->result_size);
    if (!(status = map_run(pool, &own, &failures, &failure_count)) && request->result_size)
        memcpy(request->results, own.results, request->result_size);
    free(failures);
    if (request->result_size)
        free(own.results);
    return status;
}

int mpm_pool_apply(mpm_pool *pool, mpm_task *task, const void *item, size_t item_size, void *result,
                   size_t result_size)
{
    struct map_request request = map_request_of(task, item, 1, item_size, NULL, result, result_size);
    int status;

    request.is_apply = true;
    if ((status = apply_check("mpm_pool_apply", pool, &request)))
        return status;
    pool_enter(pool);
    request.node = apply_enter(pool);
    status = run_as_map(pool, &request);
    apply_left(pool, request.node);
    pool_leave(pool);
    return status;
}

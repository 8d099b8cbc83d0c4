/* SPDX-License-Identifier: BSD-3-Clause */
/* Where single calls run: each node counts those that it has. */
#include "pool/driver/node_calls.h"

#include <stdatomic.h>

#include "pool/driver/map_request.h"
#include "pool/driver/pool_state.h"

static unsigned best_node(struct mpm_pool *pool)
{
    unsigned best = MAP_ALL_NODES, fewest = 0;

    for (unsigned node = 0; node < pool->node_count; node++) {
        unsigned workers = pool->node[node].workers, calls = atomic_load(&pool->node[node].calls);

        if (pool_works_on(pool, node) &&
            (best == MAP_ALL_NODES ||
             (uint64_t)calls * pool->node[best].workers < (uint64_t)fewest * workers)) {
            best = node;
            fewest = calls;
        }
    }
    return best == MAP_ALL_NODES ? 0 : best; /* whatever is called will say that no workers are left */
}

/* Where there is no choice nothing is looked at: workers write those lines. */
unsigned node_calls_choose(struct mpm_pool *pool)
{
    unsigned node = pool->node_count == 1 ? 0 : best_node(pool);

    node_calls_add(pool, node);
    return node;
}

void node_calls_add(struct mpm_pool *pool, unsigned node)
{
    atomic_fetch_add(&pool->node[node].calls, 1);
}

void node_calls_remove(struct mpm_pool *pool, unsigned node)
{
    atomic_fetch_sub(&pool->node[node].calls, 1);
}

void node_calls_move(struct mpm_pool *pool, unsigned from, unsigned to)
{
    node_calls_add(pool, to);
    node_calls_remove(pool, from);
}

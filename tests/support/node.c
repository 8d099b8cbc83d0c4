/* SPDX-License-Identifier: BSD-3-Clause */
#include "node.h"

#include <sched.h>
#include <stdatomic.h>

#include <mpmap.h>

#include "base/clock.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "shm/arena.h"
#include "shm/eventcount.h"

#define PATIENCE_NS UINT64_C(100000000000)

size_t node_blocks_in_use(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used_blocks;
}

size_t node_bytes_in_use(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used;
}

bool node_bytes_fall_below(size_t bytes)
{
    uint64_t until_ns = clock_now_ns() + PATIENCE_NS;

    while (node_bytes_in_use() >= bytes && clock_now_ns() < until_ns)
        sched_yield();
    return node_bytes_in_use() < bytes;
}

unsigned node_workers(void)
{
    struct process_record *process;
    unsigned count = 0;

    for (uint32_t i = 0; (process = process_find(context_arena(), i)); i++)
        count += process_state_of(atomic_load(&process->word)) != PROCESS_FREE &&
                 process->flags & PROCESS_IS_WORKER;
    return count;
}

bool node_is_left_with(size_t blocks, unsigned workers)
{
    uint64_t until_ns = clock_now_ns() + PATIENCE_NS;

    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (node_blocks_in_use() <= blocks && node_workers() <= workers)
            return !arena_check(context_arena());
        if (clock_now_ns() > until_ns)
            return false;
        eventcount_wait(context_doorbell(), seen, 0, until_ns);
    }
}

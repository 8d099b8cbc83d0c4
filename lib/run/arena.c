/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena of a node at the start and the end of a run. The leader makes it, with what each layer has there, then the
 * others find it. */
#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "net/shared_memory.h"
#include "node/arena_size.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/loss.h"
#include "run/layers.h"
#include "run/steps.h"

static unsigned arenas_on_machine(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < context.topology.node_count; i++)
        count += context.topology.ranks[context.topology.nodes[i].leader].machine ==
                 context_own_rank()->machine;
    return count;
}

/* What a leader is told is not more than there can be: its processes would be killed as the arena fills. */
int run_check_arena_size(void)
{
    if (!context.config.arena_size || context_own_rank()->rank_in_node)
        return MPM_OK;
    return arena_size_check(context.config.arena_size, arenas_on_machine(),
                            arena_group_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}

static size_t arena_size(void)
{
    if (context.config.arena_size)
        return context.config.arena_size;
    return arena_size_default(arenas_on_machine(), context.topology.nodes[context.topology.node].ranks > 1);
}

static int make_node_area(void)
{
    int status;

    if ((status = arena_make_root(context.arena, ARENA_ROOT_NODE, sizeof(struct node_area))) ||
        (status = layers_create(context.arena)))
        return status;
    return forkserver_area_create(context.arena, context.topology.nodes[context.topology.node].ranks,
                                  context_first_generation());
}

/* The leader makes the arena, then the others find it there. */
int run_make_arena(void)
{
    size_t size = arena_size();
    void *memory = NULL;
    int status;

    if ((status = context.transport->memory(&context.topology, size, &memory)))
        return status;
    if (context_own_rank()->rank_in_node == 0 && !(status = arena_format(memory, size, &context.arena)))
        status = make_node_area();
    if ((status = context.transport->agree(status)))
        return status;
    if ((status = context.transport->agree(arena_attach(memory, &context.arena))))
        return status;
    context.area = arena_root(context.arena, ARENA_ROOT_NODE);
    log_share(&context.area->log_level);
    if (!(context.arena_sizes = calloc(context.topology.rank_count, sizeof *context.arena_sizes)))
        status = error_set(MPM_ENOMEM, "no memory for the arenas of %u ranks", context.topology.rank_count);
    else
        status = loss_table_create();
    if ((status = context.transport->agree(status)))
        return status;
    return context.transport->gather(size, context.arena_sizes);
}

void run_release_arena(void)
{
    memory_release();
    context.arena = NULL;
    context.area = NULL;
}

/* Main may have threads in calls still. They find an end, and nothing else. */
void run_empty_arena(void)
{
    assert(context.is_main);
    if (memory_empty())
        context_break(MPM_ESTATE, "the run has ended");
}

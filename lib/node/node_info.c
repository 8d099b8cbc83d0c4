/* SPDX-License-Identifier: BSD-3-Clause */
/* What the run consists of: nodes, ranks, slots. */
#include <sched.h>
#include <string.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "node/context_inside.h"
#include "node/lost_node.h"

unsigned mpm_node_count(void)
{
    return context.runs ? context.topology.node_count : 0;
}

unsigned mpm_node_id(void)
{
    return context.runs ? context.topology.node : 0;
}

unsigned mpm_rank_count(void)
{
    return context.runs ? context.topology.rank_count : 0;
}

unsigned mpm_slot_count(void)
{
    unsigned slots = 0;

    for (unsigned i = 0; i < mpm_node_count(); i++)
        slots += context.topology.nodes[i].slots;
    return slots;
}

unsigned mpm_cpu_count(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
}

const char *mpm_mpi_version(void)
{
    return context.runs ? context.transport->version() : "none";
}

bool mpm_survives_node_loss(void)
{
    return context.runs && context.outlives_nodes;
}

int mpm_node_info(unsigned number, mpm_node *info)
{
    const struct node *node;
    mpm_node told = {0};

    if (number >= mpm_node_count())
        return error_set(MPM_EINVAL, "there is no node %u: the run has %u", number, mpm_node_count());
    if (!info)
        return error_set(MPM_EINVAL, "mpm_node_info: the pointer for the result is NULL");
    node = &context.topology.nodes[number];
    memcpy(told.name, node->name, sizeof told.name);
    told.ranks = node->ranks;
    told.slots = node->slots;
    told.slots_by = topology_slots_by(context.topology.ranks[node->leader].slots_by);
    told.arena_size = context.arena_sizes[node->leader];
    told.is_lost = lost_node_is(number);
    *info = told;
    return MPM_OK;
}

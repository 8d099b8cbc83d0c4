/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of lost nodes: see the header. */
#include "node/lost_node.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "mpmap/status.h"

#include "base/error.h"
#include "base/thread_role.h"
#include "node/context.h"

#define SENTENCE_SIZE 160

struct lost_node {
    _Atomic uint32_t is_lost;
    uint32_t order; /* of its loss, from 1 */
    char sentence[SENTENCE_SIZE];
};

struct lost_nodes {
    _Atomic uint32_t count;
    struct lost_node node[];
};

static struct lost_nodes *table(void)
{
    return arena_root(context_arena(), ARENA_ROOT_LOST_NODES);
}

int lost_node_table_create(struct arena *arena)
{
    return arena_make_root(arena, ARENA_ROOT_LOST_NODES,
                           sizeof(struct lost_nodes) +
                               context_topology()->node_count * sizeof(struct lost_node));
}

void lost_node_note(unsigned node, const char *sentence)
{
    struct lost_node *lost = &table()->node[node];

    assert(thread_is(THREAD_COURIER) && !atomic_load(&lost->is_lost));
    snprintf(lost->sentence, sizeof lost->sentence, "%s", sentence);
    lost->order = atomic_fetch_add(&table()->count, 1) + 1;
    /* Pairs with the acquire in lost_node_is(): without, a sentence is read that is not written yet. */
    atomic_store_explicit(&lost->is_lost, 1, memory_order_release);
}

bool lost_node_is(unsigned node)
{
    /* Pairs with the release in lost_node_note(). */
    return node < context_topology()->node_count &&
           atomic_load_explicit(&table()->node[node].is_lost, memory_order_acquire);
}

unsigned lost_node_count(void)
{
    return atomic_load(&table()->count);
}

int lost_node_say(unsigned node)
{
    return error_set(MPM_ENODELOST, "%s, and the run has gone on without it", table()->node[node].sentence);
}

int lost_node_check(void)
{
    unsigned count = lost_node_count();

    for (unsigned node = 0; node < context_topology()->node_count; node++) {
        if (!lost_node_is(node) || table()->node[node].order != 1)
            continue;
        if (count > 1)
            return error_set(MPM_ENODELOST, "%s, and the run has gone on without it, and %u more",
                             table()->node[node].sentence, count - 1);
        return lost_node_say(node);
    }
    return MPM_OK;
}

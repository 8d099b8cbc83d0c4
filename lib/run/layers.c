/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. A row for each part of a layer that takes part in the start or the end of a run, lowest layer
 * first. */
#include "run/layers.h"

#include <assert.h>
#include <stddef.h>

#include "base/error.h"
#include "base/thread_role.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/drain.h"
#include "node/log_level.h"
#include "node/loss.h"
#include "node/lost_node.h"
#include "object/call.h"
#include "object/object.h"
#include "object/post.h"
#include "object/wait_any.h"
#include "pool/driver/task_name.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/result_wait.h"
#include "pool/node/arena_budget.h"
#include "pool/node/node_agent.h"
#include "pool/node/reaper.h"
#include "pool/shared/pool_registry.h"
#include "process/process.h"
#include "sync/layer.h"

/* See layers.h for when each is called. */
static const struct layer {
    int (*create)(struct arena *arena);
    void (*begin)(void);
    void (*announce)(void);
    void (*end)(void); /* from the last row to the first */
    void (*lose_node)(unsigned node);
} layers[] = {
    /* node */
    {.create = lost_node_table_create},
    {.announce = loss_announce},
    {.announce = log_level_announce},
    {.announce = drain_announce},
    /* object */
    {.create = object_table_create, .begin = object_forget_recent},
    {.create = post_table_create, .announce = post_announce, .lose_node = post_lose_node},
    {.create = call_table_create, .announce = call_announce, .lose_node = call_lose_node},
    {.begin = wait_any_begin},
    /* process */
    {.create = process_table_create,
     .begin = process_begin,
     .announce = process_announce,
     .end = process_wait_for_all,
     .lose_node = process_lose_node},
    /* sync */
    {.begin = sync_begin, .announce = sync_announce},
    /* pool */
    {.create = pool_registry_create},
    {.begin = task_name_begin},
    {.begin = result_wait_begin},
    {.announce = arena_budget_forget},
    {.announce = pool_state_announce, .end = pools_end, .lose_node = pool_state_lose_node},
    {.announce = node_agent_announce},
};

#define LAYERS (sizeof layers / sizeof *layers)

int layers_create(struct arena *arena)
{
    assert(!context_own_rank()->rank_in_node);
    for (size_t i = 0; i < LAYERS; i++) {
        int status = layers[i].create ? layers[i].create(arena) : MPM_OK;

        if (status)
            return status;
    }
    return MPM_OK;
}

void layers_begin(void)
{
    for (size_t i = 0; i < LAYERS; i++) {
        if (layers[i].begin)
            layers[i].begin();
    }
}

void layers_announce(void)
{
    assert(!context_own_rank()->rank_in_node);
    for (size_t i = 0; i < LAYERS; i++) {
        if (layers[i].announce)
            layers[i].announce();
    }
}

void layers_lose_node(unsigned node)
{
    assert(thread_is(THREAD_COURIER));
    for (size_t i = 0; i < LAYERS; i++) {
        if (layers[i].lose_node)
            layers[i].lose_node(node);
    }
    eventcount_notify(context_doorbell());
}

void layers_end(void)
{
    assert(context_role() == ROLE_MAIN);
    for (size_t i = LAYERS; i > 0; i--) {
        if (layers[i - 1].end)
            layers[i - 1].end();
    }
}

/* Lowest layer first. */
static void on_process_death(uint32_t number)
{
    object_free_reserved(context_arena(), number);
    call_owner_died(context_arena(), number);
    post_owner_died(context_arena());
    process_died(number);
    worker_died(number);
    pool_registry_process_died(number);
}

static void on_process_change(uint32_t process, bool has_ended)
{
    if (has_ended)
        pool_registry_process_ended();
    process_changed(process, has_ended);
}

static void on_forkserver_loss(void)
{
    pool_registry_process_ended();
    process_forkserver_lost();
}

const struct forkserver_callbacks layers_of_forkserver = {.process_died = on_process_death,
                                                          .process_changed = on_process_change,
                                                          .forkserver_lost = on_forkserver_loss};

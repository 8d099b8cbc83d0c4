/* SPDX-License-Identifier: BSD-3-Clause */
/* A map of one item that any node may have: a single call, which goes to a node with an idle worker as long as none has
 * taken it. */
#include "base/clock.h"
#include "base/error.h"
#include "pool/driver/map_inside.h"
#include "pool/driver/node_calls.h"

#define PATIENCE_NS   1000000u  /* a single call waits so long for a worker of its node */
#define LOOK_AGAIN_NS 20000000u /* and is looked after so often then */

void map_single_begins(struct map *map)
{
    map->call.node = map->request.node;
    map->call.next_look_ns = clock_now_ns() + PATIENCE_NS;
}

void map_single_is_taken(struct map *map)
{
    map->call.is_taken = true;
}

void map_single_is_lost(struct map *map)
{
    map->call.is_taken = map->call.is_recalled = map->call.is_back = false;
    map->call.lease = 0;
}

/* Nothing of it is kept where no worker has taken it. */
bool map_single_is_returned(struct map *map, uint64_t kept)
{
    if (!map->call.is_recalled)
        return false;
    map->call.is_recalled = false;
    map->call.is_taken = kept;
    map->call.is_back = !kept;
    return true;
}

static void stop_waiting(struct map *map)
{
    if (map->call.waits)
        pool_call_goes_on(map->pool);
    map->call.waits = false;
}

static int move_call(struct map *map)
{
    struct call *call = &map->call;

    stop_waiting(map);
    call->is_back = false;
    call->lease = 0;
    call->next_look_ns = clock_now_ns() + PATIENCE_NS;
    if (map->loss[call->next] == NODE_WORKS) {
        node_calls_move(map->pool, call->node, call->next);
        map->request.node = call->node = call->next;
    }
    lease_table_destroy(map->table);
    map->table = NULL;
    return map_make_table(map);
}

/* The reply may come at once. */
static int recall_call(struct map *map)
{
    struct node_link *link = node_links_to(map->links, map->call.node);

    map->call.is_recalled = true;
    return link->calls->recall(link, map->call.lease);
}

static bool may_move(const struct map *map)
{
    return map->request.count == 1 && map->request.node != MAP_ALL_NODES && !map->request.stays &&
           map->call.lease && !map->call.is_taken && map->pool->node_count > 1;
}

/* The node says whether a worker has taken it: MPM_ECANCELED if not. */
static int drop_call(struct map *map, bool *worked)
{
    struct call *call = &map->call;

    stop_waiting(map);
    if (map->request.count != 1 || map->request.node == MAP_ALL_NODES || call->is_taken)
        return MPM_OK;
    if (!call->lease || call->is_back)
        return error_set(MPM_ECANCELED, "the pool was shut down before a worker started it");
    if (call->is_recalled)
        return MPM_OK;
    *worked = true;
    return recall_call(map);
}

int map_single_look_after(struct map *map, bool *worked)
{
    struct call *call = &map->call;
    int status;

    if (map->is_dropped)
        return drop_call(map, worked);
    if (!may_move(map)) {
        stop_waiting(map);
        return MPM_OK;
    }
    if (!call->is_back && !call->is_recalled && (call->waits || clock_now_ns() >= call->next_look_ns)) {
        if (!call->waits)
            pool_call_waits(map->pool);
        call->waits = true;
        if (pool_find_idle(map->pool, call->node, &call->next) && (status = recall_call(map)))
            return status;
    }
    if (!call->is_back)
        return MPM_OK;
    *worked = true;
    return move_call(map);
}

uint64_t map_single_next_look_ns(const struct map *map)
{
    if (!may_move(map))
        return CLOCK_FOREVER;
    return map->call.waits ? clock_now_ns() + LOOK_AGAIN_NS : map->call.next_look_ns;
}

void map_single_ends(struct map *map)
{
    stop_waiting(map);
    if (map->call.node != MAP_ALL_NODES)
        node_calls_remove(map->pool, map->call.node);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of a map, in a thread of main, or of a process: what the lease table (lease.h) decides goes to the links
 * of its nodes (node_link.h), and their events go to the lease table. The driver's own node is one of them. A map takes
 * a bounded part of each arena, whatever its size: items are copied into leases as they are granted, results out of
 * them as they are done.
 *
 * A node that has lost its last worker of the pool with its fork server is lost to the map: its leases go to others,
 * and whatever it still says is ignored.
 *
 * A map runs, then it closes: nothing is claimed any more, and it waits until no worker is in it (which are
 * killed if they still work, because the map has failed, was canceled, or has drained for long enough: map_drain.c);
 * then it has ended. */
#include "pool/driver/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/pool.h"
#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/map_inside.h"
#include "pool/driver/node_calls.h"

#define PROGRESS_NS   100000000u
#define KILL_AGAIN_NS 1000000u /* a worker may have been between two items */

/* Nodes without workers. */

/* All of them that the map can use, but those that it has had. */
static int join_others(struct map *map, unsigned but)
{
    int status = MPM_OK;

    for (unsigned node = 0; !status && node < map->pool->node_count; node++) {
        if (node != but && map->loss[node] == NODE_WORKS && map->pool->node[node].workers)
            status = lease_node_joined(map->table, node, map->pool->node[node].workers, clock_now_s());
    }
    return status;
}

/* A map for this node only goes on elsewhere. */
static int lose_node(struct map *map, unsigned node)
{
    bool was_only_one = map->request.node == node;
    int status;

    if ((status = lease_node_lost(map->table, node, clock_now_s())))
        return status;
    map->loss[node] = NODE_IS_LOST;
    node_links_lose(map->links, node);
    if (!was_only_one)
        return MPM_OK;
    map_single_is_lost(map);
    map->request.node = MAP_ALL_NODES;
    return join_others(map, node);
}

/* What a node has done until then is looked at between seeing that it is without workers and giving it up. */
static int look_everywhere(struct map *map, bool *worked)
{
    unsigned count = map->pool->node_count;
    int status;

    for (unsigned node = 0; node < count; node++) {
        if (map->loss[node] == NODE_WORKS && map->pool->node[node].workers &&
            (map->request.node == MAP_ALL_NODES || map->request.node == node) &&
            !pool_works_on(map->pool, node))
            map->loss[node] = NODE_IS_HAS_NO_WORKERS;
    }
    if ((status = node_links_poll(map->links, worked)))
        return status;
    for (unsigned node = 0; node < count && !lease_all_done(map->table); node++) {
        if (map->loss[node] == NODE_IS_HAS_NO_WORKERS && (status = lose_node(map, node)))
            return status;
    }
    return MPM_OK;
}

/* The whole. */

static int carry_out(struct map *map, const struct lease_action *action)
{
    struct node_link *link = node_links_to(map->links, action->node);

    map->call.lease = action->lease;
    if (action->kind == LEASE_RECALL)
        return link->calls->recall(link, action->lease);
    return link->calls->grant(link, action->lease, action->first, action->count);
}

static int act(struct map *map, bool *worked)
{
    struct lease_action action;
    int status;

    lease_look_again(map->table, clock_now_s());
    while (lease_next_action(map->table, &action)) {
        *worked = true;
        if ((status = carry_out(map, &action)))
            return status;
    }
    return MPM_OK;
}

/* What the caller calls so many items: of a reduction they are leaves. */
static uint64_t as_caller_counts(const struct map *map, uint64_t items)
{
    uint64_t count = items * map->spec.leaf_items, total = map->request.total_items;

    return total && count > total ? total : count;
}

/* Whether workers of that node may be in it. */
static bool has_part(const struct map *map, unsigned node)
{
    return map->loss[node] == NODE_WORKS && map->pool->node[node].workers &&
           (map->request.node == MAP_ALL_NODES || map->request.node == node);
}

static unsigned count_nodes(const struct map *map)
{
    unsigned nodes = 0;

    for (unsigned node = 0; node < map->pool->node_count; node++)
        nodes += has_part(map, node);
    return nodes;
}

static double share_busy(const struct map *map)
{
    struct worker_time time = node_links_worker_time(map->links);

    return time.all_ns ? (double)time.busy_ns / (double)time.all_ns : 0;
}

static void tell_progress(struct map *map)
{
    mpm_progress now = {.total = as_caller_counts(map, map->request.count), .failed = map->items_failed};

    if (!map->request.progress)
        return;
    now.done = as_caller_counts(map, lease_items_done(map->table) + node_links_items_done(map->links));
    now.elapsed_s = clock_now_s() - map->start_s;
    now.busy = share_busy(map);
    now.nodes = count_nodes(map);
    map->next_progress_ns = clock_now_ns() + PROGRESS_NS;
    map->request.progress(&now, map->request.progress_argument);
    context_back_from_program(EXIT_SUCCESS);
}

/* A batch's rows are counted where they stand. */
static int say_what_is_done(const struct map *map, int status)
{
    char why[MESSAGE_TEXT_SIZE];

    if (status != MPM_ENODELOST || map->request.is_apply || job_is_batch(&map->spec))
        return status;
    snprintf(why, sizeof why, "%s", mpm_error());
    return error_set(status, "%s; the results of %llu of %llu items are complete", why,
                     (unsigned long long)lease_items_done(map->table),
                     (unsigned long long)map->request.count);
}

/* Events, from the links to the lease table. */

static void on_placed(void *argument)
{
    ((struct map *)argument)->is_in_line = true;
}

static void on_begun(void *argument)
{
    struct map *map = argument;

    pool_leave_line(map->pool, &map->request);
}

static int on_claimed(void *argument, unsigned node, uint32_t lease)
{
    struct map *map = argument;

    map_single_is_taken(map);
    return lease_claimed(map->table, node, lease, clock_now_s());
}

static int on_returned(void *argument, unsigned node, uint32_t lease, uint64_t kept)
{
    struct map *map = argument;

    if (map_single_is_returned(map, kept))
        return MPM_OK;
    return lease_returned(map->table, node, lease, kept, clock_now_s());
}

static int on_done(void *argument, unsigned node, const struct lease_results *results)
{
    return map_keep_results(argument, node, results);
}

static const struct link_events events = {
    .placed = on_placed, .begun = on_begun, .claimed = on_claimed, .returned = on_returned, .done = on_done};

static int start(struct map *map)
{
    struct linked_map linked = {
        .pool = map->pool, .request = &map->request, .spec = &map->spec, .events = &events, .argument = map};
    int status;

    map->start_s = clock_now_s();
    map->next_progress_ns = clock_now_ns() + PROGRESS_NS;
    if (!(map->loss = calloc(map->pool->node_count, sizeof *map->loss)))
        return error_set(MPM_ENOMEM, "no memory for a map over %u nodes", map->pool->node_count);
    if ((status = map_make_plan(map)))
        return status;
    if (!(map->links = node_links_create(&linked)))
        return error_set(MPM_ENOMEM, "no memory for a map over %u nodes", map->pool->node_count);
    return MPM_OK;
}

static void begin_closing(struct map *map, int status)
{
    if (!map_give_failures(map))
        status = error_set(MPM_ENOMEM, "no memory for a list of %zu failed items", map->listed.count);
    map->stage = MAP_CLOSES;
    map->status = status;
    map->sentence = status ? strdup(mpm_error()) : NULL;
    if (map->links)
        node_links_stop(map->links);
}

/* In a run that has lost a part nobody may be left to say that a worker is gone: nobody waits for it then. */
static void go_on_closing(struct map *map)
{
    if (!map->links || node_links_close(map->links) || context_check_whole())
        map->stage = MAP_HAS_ENDED;
}

static void go_on_running(struct map *map, bool *worked)
{
    int status = map_check_failures(map);

    if (status || lease_all_done(map->table)) {
        tell_progress(map);
        begin_closing(map, status ? status : map_report_failures(map));
        return;
    }
    if (map->is_canceled)
        status = error_set(MPM_ECANCELED, "it was canceled");
    else if (!(status = pool_check(map->pool)) && !(status = look_everywhere(map, worked)) &&
             !(status = map_single_look_after(map, worked)) && !(status = map_drain_look(map)) &&
             !(status = act(map, worked)) && map_is_drained(map)) {
        tell_progress(map);
        status = map_say_drained(map);
    }
    if (status)
        begin_closing(map, say_what_is_done(map, status));
    else if (map->request.progress && clock_now_ns() >= map->next_progress_ns)
        tell_progress(map);
}

int map_begin(struct mpm_pool *pool, const struct map_request *request, struct map **begun)
{
    struct map *map = calloc(1, sizeof *map);
    int status;

    if (!map) {
        struct map_request own = *request;

        pool_leave_line(pool, &own);
        if (request->node != MAP_ALL_NODES)
            node_calls_remove(pool, request->node);
        return error_set(MPM_ENOMEM, "no memory for a map");
    }
    map->pool = pool;
    map->request = *request;
    pool_hold(pool);
    if (request->count == 1 && request->node == MAP_ALL_NODES && !(request->drain.grace_s > 0))
        map->request.node = node_calls_choose(pool);
    map_single_begins(map);
    if ((status = start(map)))
        begin_closing(map, status);
    *begun = map;
    return MPM_OK;
}

bool map_is_in_line(const struct map *map)
{
    return map->is_in_line || map->stage != MAP_RUNS;
}

bool map_is_taken(const struct map *map)
{
    return map->call.is_taken;
}

bool map_step(struct map *map, bool *worked)
{
    if (map->stage == MAP_RUNS)
        go_on_running(map, worked);
    if (map->stage == MAP_CLOSES)
        go_on_closing(map);
    return map->stage == MAP_HAS_ENDED;
}

static uint64_t look_again_ns(const struct map *map)
{
    double look_s = lease_look_again_s(map->table);

    return isinf(look_s) ? CLOCK_FOREVER : (uint64_t)(look_s * 1e9) + 1;
}

uint64_t map_next_step_ns(struct map *map)
{
    uint64_t next_ns, other_ns;

    if (map->stage == MAP_CLOSES)
        return clock_now_ns() + KILL_AGAIN_NS;
    next_ns = node_links_next_poll_ns(map->links);
    if ((other_ns = look_again_ns(map)) < next_ns)
        next_ns = other_ns;
    if ((other_ns = map_single_next_look_ns(map)) < next_ns)
        next_ns = other_ns;
    if ((other_ns = map_drain_next_look_ns(map)) < next_ns)
        next_ns = other_ns;
    return map->request.progress && map->next_progress_ns < next_ns ? map->next_progress_ns : next_ns;
}

void map_cancel(struct map *map)
{
    map->is_canceled = true;
}

void map_drop(struct map *map)
{
    map->is_dropped = true;
}

void map_end(struct map *map, struct map_outcome *outcome)
{
    *outcome = (struct map_outcome){.status = map->status,
                                    .sentence = map->sentence,
                                    .failures = map->failures,
                                    .failure_count = map->failure_count};
    pool_leave_line(map->pool, &map->request);
    node_links_destroy(map->links);
    lease_table_destroy(map->table);
    failure_list_free(&map->listed);
    free(map->first_text);
    free(map->loss);
    free(map->order);
    free(map->ordered);
    map_single_ends(map);
    pool_leave(map->pool);
    free(map);
}

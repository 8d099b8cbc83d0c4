/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of a map, in a thread of main, or of a process: carries out what the lease table (lease.h) decides. Leases
 * of its own node it hangs itself; those of others, which only main has, go out as messages, and what comes back is in
 * the map's inbox. Items
 * are copied into a lease as it is granted, results out of it as it is done, so a map takes a bounded part of the
 * arena, whatever its size; what lies in the arena already is used where it is at home.
 *
 * A node that has lost its last worker of the pool with its host is lost to the map: its leases go to others, and
 * whatever it still says is ignored.
 *
 * A map runs, then it closes: nothing is claimed any more, and it waits until no worker is in it (which are
 * killed if they still work, because the map has failed or was canceled); then it has ended. */
#include "pool/driver/map.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/pool.h"
#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/courier.h"
#include "node/context.h"
#include "pool/driver/lease.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/pool_state.h"
#include "pool/shared/job_spec.h"

#define LEASE_BYTES   ((uint64_t)4 << 20) /* the most items and results that a lease carries, in bytes */
#define LEASE_ITEMS   ((uint64_t)1 << 18) /* and in items */
#define LEASE_DEPTH   16u    /* leases that a node holds at once, most of them with items that take long */
#define LEASE_S       0.1    /* how long one should keep its node busy */
#define ARENA_SHARE   64u    /* a lease takes at most one of so many parts of an arena */
#define CHUNK_S       100e-6 /* how long a chunk should take */
#define PROGRESS_NS   100000000u
#define KILL_AGAIN_NS 1000000u  /* a worker may have been between two items */
#define PATIENCE_NS   1000000u  /* a single call waits so long for a worker of its node */
#define LOOK_AGAIN_NS 20000000u /* and is looked after so often then */

enum map_stage { MAP_RUNS, MAP_CLOSES, MAP_HAS_ENDED };

enum node_loss {
    NODE_WORKS,
    NODE_IS_BEREFT, /* it has been seen that it has no workers any more */
    NODE_IS_LOST,   /* the table knows */
};

/* A map that is for one node counts as a single call there. If it has one item, it goes to another node that has an
 * idle worker, as long as none has taken it. The table knows the one node only: it is made anew then. */
struct call {
    unsigned node;  /* where it counts; MAP_ALL_NODES: this is no call */
    unsigned next;  /* where it is to go when it comes back */
    uint32_t lease; /* 0: none is granted yet */
    bool is_taken, is_recalled, is_back;
    bool waits; /* it has waited for long enough to look elsewhere */
    uint64_t next_look_ns;
};

/* An item of a map with costs. */
struct costly {
    double cost;
    uint64_t index;
};

struct map {
    struct mpm_pool *pool;
    struct map_request request;
    enum map_stage stage;
    bool is_in_line; /* its first lease is on its way to workers, before any that comes later */
    bool is_canceled;
    int status; /* how it ends, and why */
    char *sentence;
    struct job_spec spec;
    struct lease_table *table;
    struct held_job *home; /* NULL before its first lease at home */
    struct inbox inbox;
    struct costly *order;  /* of a map with costs: which item stands where; or NULL */
    char *ordered;         /* its items in that order, each with its index behind it */
    bool *is_open;         /* by node: the job was opened there */
    enum node_loss *loss;  /* by node */
    mpm_failure *failures; /* unless the request has other use for them */
    size_t failure_count, failure_room;
    uint64_t items_failed;
    mpm_failure first_failure; /* of the lowest index */
    struct lease_action
        waiting[LEASE_DEPTH]; /* grants of home's that the arena has no room for yet, oldest first */
    unsigned waiting_count;
    struct call call;
    bool has_items_in_place;         /* at home: nothing is copied */
    uint64_t lease_bytes;            /* the most that a lease carries */
    uint64_t blobs_done, blob_bytes; /* results of any length that have come, and their bytes */
    double start_s;
    uint64_t next_progress_ns;
};

static unsigned home_node(void)
{
    return runtime_topology()->node;
}

/* Results. */

/* Of a lease: some of the items that have failed in rising order, and how many more there are. */
struct failed_items {
    const mpm_failure *list;
    size_t count;
    uint64_t untold;
};

/* With the index of the item in its map, whatever the order in which items are worked on. */
static mpm_failure failure_of_item(const struct map *map, const mpm_failure *failure)
{
    mpm_failure copy = *failure;

    if (map->order)
        copy.index = map->order[failure->index].index;
    return copy;
}

static int tell_failures(struct map *map, const struct failed_items *failed)
{
    int status = MPM_OK;

    for (size_t i = 0; !status && i < failed->count; i++) {
        mpm_failure failure = failure_of_item(map, &failed->list[i]);

        status = map->request.failed(&failure, map->request.failed_argument);
    }
    return status;
}

static int list_failures(struct map *map, const mpm_failure *failures, size_t count)
{
    if (map->failure_count + count > map->failure_room) {
        size_t room = (map->failure_count + count) * 2;
        void *grown = realloc(map->failures, room * sizeof *failures);

        if (!grown)
            return error_set(MPM_ENOMEM, "no memory for a list of %zu failed items", room);
        map->failures = grown;
        map->failure_room = room;
    }
    for (size_t i = 0; i < count; i++)
        map->failures[map->failure_count++] = failure_of_item(map, &failures[i]);
    return MPM_OK;
}

static int keep_failures(struct map *map, const struct failed_items *failed)
{
    if (!failed->count)
        return MPM_OK;
    for (size_t i = 0; i < failed->count; i++) {
        mpm_failure failure = failure_of_item(map, &failed->list[i]);

        if (!map->items_failed++ || failure.index < map->first_failure.index)
            map->first_failure = failure;
    }
    map->items_failed += failed->untold;
    return map->request.failed ? tell_failures(map, failed) : list_failures(map, failed->list, failed->count);
}

/* What it takes to bring items to a node, or results from it; what is used in place takes nothing. */
static void count_bytes(_Atomic uint64_t *sum, uint64_t bytes)
{
    atomic_fetch_add_explicit(sum, bytes, memory_order_relaxed);
}

/* Of home they count from the arena's beginning, of others from that of their pack. */
static int keep_blobs(struct map *map, unsigned node, uint64_t first, uint64_t count, const void *results)
{
    const void *base = node == home_node() ? runtime_arena() : results;
    const struct blob_ref *refs = results;
    uint64_t bytes = 0;

    for (uint64_t i = 0; i < count; i++)
        bytes += refs[i].size;
    count_bytes(&map->pool->node[node].bytes_received, bytes);
    map->blob_bytes += bytes;
    map->blobs_done += count;
    return map->request.blob_results ? blob_list_keep(map->request.blob_results, first, base, refs, count)
                                     : MPM_OK;
}

static void copy_results(struct map *map, uint64_t first, uint64_t count, const char *results)
{
    size_t size = map->request.result_size;

    if (!map->order)
        memcpy(map->request.results + first * size, results, count * size);
    for (uint64_t i = 0; map->order && i < count; i++)
        memcpy(map->request.results + map->order[first + i].index * size, results + i * size, size);
}

static int keep_results(struct map *map, unsigned node, uint64_t lease, uint64_t first, uint64_t count,
                        const void *results, const struct failed_items *failed)
{
    const struct map_request *request = &map->request;
    int status;

    if (first > request->count || count > request->count - first)
        return error_set(MPM_EPROTOCOL, "node %u sends results of items that there are not", node);
    if ((status = lease_done(map->table, node, (uint32_t)lease, clock_now_s())))
        return status;
    if (request->kind == JOB_BLOBS && (status = keep_blobs(map, node, first, count, results)))
        return status;
    if (request->result_size && results != request->results + first * request->result_size) {
        copy_results(map, first, count, results);
        count_bytes(&map->pool->node[node].bytes_received, count * request->result_size);
    }
    return keep_failures(map, failed);
}

/* At home. */

static int look_at_home_lease(struct map *map, struct held_lease *lease, bool *worked)
{
    struct failed_items failed;
    int status = MPM_OK;

    switch (held_lease_look(lease)) {
    case LEASE_RUNS:
        if (map->request.is_in_line && held_lease_is_begun(lease))
            pool_leave_line(map->pool, &map->request);
        return MPM_OK;
    case LEASE_IS_CLAIMED:
        *worked = true;
        pool_leave_line(map->pool, &map->request);
        map->call.is_taken = true;
        return lease_claimed(map->table, home_node(), (uint32_t)held_lease_number(lease), clock_now_s());
    case LEASE_IS_LOST:
        return held_lease_status(lease);
    case LEASE_IS_DONE:
        break;
    }
    *worked = true;
    pool_leave_line(map->pool, &map->request);
    failed.list = held_lease_failures(lease, &failed.count);
    failed.untold = held_lease_failures_untold(lease);
    if (held_lease_count(lease)) /* else all of it was recalled, and the table knows */
        status = keep_results(map, home_node(), held_lease_number(lease), held_lease_first(lease),
                              held_lease_count(lease), held_lease_results(lease), &failed);
    held_lease_drop(lease);
    return status;
}

static int look_at_home(struct map *map, bool *worked)
{
    struct held_lease *lease, *next;
    int status;

    if (!map->home)
        return MPM_OK;
    for (lease = held_job_next_lease(map->home, NULL); lease; lease = next) {
        next = held_job_next_lease(map->home, lease);
        if ((status = look_at_home_lease(map, lease, worked)))
            return status;
    }
    return MPM_OK;
}

static void count_items_sent(struct map *map, const struct lease_action *action)
{
    const struct map_request *request = &map->request;
    _Atomic uint64_t *sum = &map->pool->node[action->node].bytes_sent;
    uint64_t bytes = 0;

    for (uint64_t i = 0; request->kind == JOB_BLOBS && i < action->count; i++)
        bytes += request->blobs[action->first + i].size;
    if (action->node != home_node() || !map->has_items_in_place)
        bytes += action->count * request->item_size;
    count_bytes(sum, bytes);
}

/* Whether an array lies in the arena of main's node: mpm_alloc() has given it. */
static bool is_in_arena(const void *array, uint64_t size)
{
    uint64_t offset = arena_offset(runtime_arena(), array);
    mpm_node info;

    return array && size && !mpm_node_info(home_node(), &info) && offset < info.arena_size &&
           size <= info.arena_size - offset;
}

/* With its first lease. 1 as held_job_open(). */
static int open_at_home(struct map *map)
{
    const struct map_request *request = &map->request;
    int status;

    if (map->home)
        return MPM_OK;
    if ((status = held_job_open(map->pool->home, &map->spec, request->context, &map->home)))
        return status;
    if (map->request.is_in_line)
        held_job_stands_in_line(map->home);
    held_job_use_in_place(map->home, map->has_items_in_place ? request->items : NULL,
                          !map->order && is_in_arena(request->results, request->count * request->result_size)
                              ? request->results
                              : NULL);
    return MPM_OK;
}

/* 1 as held_lease_hang(). */
static int hang_at_home(struct map *map, const struct lease_action *action)
{
    const struct map_request *request = &map->request;
    const char *items = request->item_size ? request->items + action->first * request->item_size : NULL;
    struct held_lease *lease;
    int status;

    if ((status = open_at_home(map)))
        return status;
    if (request->kind == JOB_BLOBS)
        status = held_lease_hang_blobs(map->home, action->lease, action->first, action->count,
                                       request->blobs + action->first, &lease);
    else
        status = held_lease_hang(map->home, action->lease, action->first, action->count, items,
                                 action->count * request->item_size, &lease);
    if (status)
        return status;
    map->is_in_line = true;
    count_items_sent(map, action);
    return MPM_OK;
}

/* A grant that the arena has no room for waits for leases to end, of this map or of others. */
static int grant_at_home(struct map *map, const struct lease_action *action)
{
    int status = map->waiting_count ? 1 : hang_at_home(map, action);

    if (status <= 0)
        return status;
    assert(map->waiting_count < LEASE_DEPTH);
    map->waiting[map->waiting_count++] = *action;
    return MPM_OK;
}

static void drop_waiting(struct map *map, unsigned place)
{
    map->waiting_count--;
    memmove(&map->waiting[place], &map->waiting[place + 1],
            (map->waiting_count - place) * sizeof *map->waiting);
}

/* Where its grant waits; `waiting_count` if it does not. */
static unsigned find_waiting(const struct map *map, uint32_t number)
{
    unsigned place = 0;

    while (place < map->waiting_count && map->waiting[place].lease != number)
        place++;
    return place;
}

static int grant_waiting(struct map *map, bool *worked)
{
    int status = MPM_OK;

    while (map->waiting_count && !(status = hang_at_home(map, &map->waiting[0]))) {
        drop_waiting(map, 0);
        *worked = true;
    }
    return status > 0 ? MPM_OK : status;
}

/* NULL if it was done before. */
static struct held_lease *lease_at_home(const struct map *map, uint32_t number)
{
    struct held_lease *lease = NULL;

    while (map->home && (lease = held_job_next_lease(map->home, lease)) && held_lease_number(lease) != number)
        ;
    return lease;
}

static int recall_at_home(struct map *map, const struct lease_action *action)
{
    struct held_lease *lease = lease_at_home(map, action->lease);
    unsigned place = find_waiting(map, action->lease);

    if (place < map->waiting_count) {
        drop_waiting(map, place);
        return lease_returned(map->table, home_node(), action->lease, 0, clock_now_s());
    }
    if (!lease)
        return MPM_OK;
    return lease_returned(map->table, home_node(), action->lease, held_lease_cut(lease), clock_now_s());
}

/* Elsewhere. */

static int open_job_on(struct map *map, unsigned node)
{
    struct message_job message = {.pool = map->pool->spec.id, .job = map->spec.id};
    struct message_part parts[] = {{&message, sizeof message},
                                   {&map->spec, sizeof map->spec},
                                   {map->request.context, map->request.context_size}};

    if (map->is_open[node])
        return MPM_OK;
    map->is_open[node] = true;
    return courier_post(node, MESSAGE_JOB_OPEN, parts, 3);
}

static int post_lease(struct map *map, unsigned node, const struct message_lease *message)
{
    const struct map_request *request = &map->request;
    struct message_part parts[] = {{message, sizeof *message}, {NULL, message->count * request->item_size}};
    void *pack = NULL;
    int status;

    if (request->kind == JOB_BLOBS) {
        parts[1].size = blob_pack_size(request->blobs + message->first, message->count);
        if (!(pack = malloc(parts[1].size)))
            return error_set(MPM_ENOMEM, "no memory for a lease of %zu bytes", (size_t)parts[1].size);
        blob_pack(pack, request->blobs + message->first, message->count);
        parts[1].bytes = pack;
    } else if (request->item_size) {
        parts[1].bytes = request->items + message->first * request->item_size;
    }
    status = courier_post(node, MESSAGE_LEASE, parts, 2);
    free(pack);
    return status;
}

static int send_lease(struct map *map, const struct lease_action *action)
{
    struct message_lease message = {.pool = map->pool->spec.id,
                                    .job = map->spec.id,
                                    .lease = action->lease,
                                    .first = action->first,
                                    .count = action->count};
    int status;

    if (action->kind == LEASE_RECALL)
        return courier_post_one(action->node, MESSAGE_RECALL, &message, sizeof message);
    if ((status = open_job_on(map, action->node)))
        return status;
    count_items_sent(map, action);
    map->is_in_line = true;
    return post_lease(map, action->node, &message);
}

static bool is_results(const struct map *map, const void *results, size_t size, uint64_t count)
{
    if (map->request.kind == JOB_BLOBS)
        return blob_is_pack(results, size, count);
    return size == count * map->request.result_size;
}

static int read_results(struct map *map, unsigned node, const void *payload, size_t size)
{
    const struct message_results *message = payload;
    const struct failed_items failed = {(const mpm_failure *)(message + 1), message->failure_count,
                                        message->failures_untold};
    size_t rest = size - sizeof *message, failure_size = failed.count * sizeof *failed.list;
    const char *results = (const char *)failed.list + failure_size;

    if (failed.count > message->lease.count || failed.untold > message->lease.count - failed.count ||
        failure_size > rest || !is_results(map, results, rest - failure_size, message->lease.count))
        return error_set(MPM_EPROTOCOL, "node %u sends results of a wrong size", node);
    return keep_results(map, node, message->lease.lease, message->lease.first, message->lease.count, results,
                        &failed);
}

/* Nothing of it is kept where no worker has taken it. */
static void end_recall(struct map *map, uint64_t kept)
{
    map->call.is_recalled = false;
    map->call.is_taken = kept;
    map->call.is_back = !kept;
}

static int read_letter(struct map *map, const struct letter *letter)
{
    const struct message_trouble *trouble = (const void *)letter->payload;
    const struct message_lease *lease = (const void *)letter->payload;

    if (letter->kind != MESSAGE_RETURNED)
        pool_leave_line(map->pool, &map->request);
    switch (letter->kind) {
    case MESSAGE_RESULTS:
        return read_results(map, letter->node, letter->payload, letter->size);
    case MESSAGE_CLAIMED:
        map->call.is_taken = true;
        return lease_claimed(map->table, letter->node, (uint32_t)lease->lease, clock_now_s());
    case MESSAGE_RETURNED:
        if (map->call.is_recalled) {
            end_recall(map, lease->count);
            return MPM_OK;
        }
        return lease_returned(map->table, letter->node, (uint32_t)lease->lease, lease->count, clock_now_s());
    default:
        return error_set((int)trouble->status, "%.*s", MESSAGE_TEXT_SIZE - 1, trouble->text);
    }
}

static int read_inbox(struct map *map, bool *worked)
{
    int status = MPM_OK;

    for (struct letter *letter = inbox_take(&map->inbox), *next; letter; letter = next) {
        next = letter->next;
        *worked = true;
        if (!status && map->loss[letter->node] != NODE_IS_LOST)
            status = read_letter(map, letter);
        free(letter);
    }
    return status;
}

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

/* No worker is in its leases, so those at home can be freed at once. A map for this node only goes on elsewhere. */
static int lose_node(struct map *map, unsigned node)
{
    bool was_only_one = map->request.node == node, is_closed;
    int status;

    if ((status = lease_node_lost(map->table, node, clock_now_s())))
        return status;
    map->loss[node] = NODE_IS_LOST;
    if (node == home_node())
        map->waiting_count = 0;
    if (node == home_node() && map->home) {
        held_job_stop(map->home);
        is_closed = held_job_close(map->home);
        assert(is_closed);
        (void)is_closed;
        map->home = NULL;
    }
    if (!was_only_one)
        return MPM_OK;
    map->request.node = MAP_ALL_NODES;
    return join_others(map, node);
}

/* What a node has done until then is looked at between seeing that it is bereft and giving it up. */
static int look_everywhere(struct map *map, bool *worked)
{
    unsigned count = map->pool->node_count;
    int status;

    for (unsigned node = 0; node < count; node++) {
        if (map->loss[node] == NODE_WORKS && map->pool->node[node].workers &&
            (map->request.node == MAP_ALL_NODES || map->request.node == node) &&
            !pool_works_on(map->pool, node))
            map->loss[node] = NODE_IS_BEREFT;
    }
    if ((status = read_inbox(map, worked)) || (status = look_at_home(map, worked)))
        return status;
    for (unsigned node = 0; node < count && !lease_all_done(map->table); node++) {
        if (map->loss[node] == NODE_IS_BEREFT && (status = lose_node(map, node)))
            return status;
    }
    return MPM_OK;
}

/* The whole. */

static int carry_out(struct map *map, const struct lease_action *action)
{
    map->call.lease = action->lease;
    if (action->node != home_node())
        return send_lease(map, action);
    return action->kind == LEASE_GRANT ? grant_at_home(map, action) : recall_at_home(map, action);
}

static int act(struct map *map, bool *worked)
{
    struct lease_action action;
    int status;

    lease_look_again(map->table, clock_now_s());
    if ((status = grant_waiting(map, worked)))
        return status;
    while (lease_next_action(map->table, &action)) {
        *worked = true;
        if ((status = carry_out(map, &action)))
            return status;
    }
    return MPM_OK;
}

static void tell_progress(struct map *map)
{
    mpm_progress now = {.total = map->request.count, .failed = map->items_failed};

    if (!map->request.progress)
        return;
    now.done = lease_items_done(map->table) + (map->home ? held_job_items_done(map->home) : 0);
    now.elapsed_s = clock_now_s() - map->start_s;
    map->next_progress_ns = clock_now_ns() + PROGRESS_NS;
    map->request.progress(&now, map->request.progress_argument);
    runtime_back_from_program(EXIT_SUCCESS);
}

/* A batch's rows are counted where they stand. */
static int say_what_is_done(const struct map *map, int status)
{
    char why[MESSAGE_TEXT_SIZE];

    if (status != MPM_ENODELOST || map->request.is_apply || job_is_batch(&map->spec))
        return status;
    snprintf(why, sizeof why, "%s", mpm_error());
    return error_set(status, "%s; the results of %llu of %llu items are there", why,
                     (unsigned long long)lease_items_done(map->table),
                     (unsigned long long)map->request.count);
}

/* The most items in one lease: bounded in bytes by the smallest arena that will hold one, and each item takes
 * a done and a failed bit of each worker of the node. */
static uint64_t max_lease_items(struct map *map)
{
    const struct job_spec *spec = &map->spec;
    uint64_t bytes = LEASE_BYTES, items;
    unsigned workers = 0;

    for (unsigned node = 0; node < map->pool->node_count; node++) {
        mpm_node info;

        if (!map->pool->node[node].workers || mpm_node_info(node, &info))
            continue;
        if (info.arena_size / ARENA_SHARE < bytes)
            bytes = info.arena_size / ARENA_SHARE;
        if (map->pool->node[node].workers > workers)
            workers = map->pool->node[node].workers;
    }
    map->lease_bytes = bytes;
    items = bytes / (spec->item_size + spec->result_size + 1 + workers / 4);
    if (items > LEASE_ITEMS)
        items = LEASE_ITEMS;
    return items ? items : 1;
}

/* How many blobs go into one lease: bounded in bytes, with results that are as long as those before them. Before any
 * result is known they may be of any length: all leases that a node may hold then have two items a worker together. */
static uint64_t fit_blobs(void *argument, uint64_t first, uint64_t count)
{
    const struct map *map = argument;
    const mpm_blob *blobs = map->request.blobs + first;
    uint64_t most = map->pool->worker_count / map->pool->node_count * 2 / LEASE_DEPTH + 1;
    uint64_t result_size = map->blobs_done ? map->blob_bytes / map->blobs_done : 0, bytes = 0;

    if (!map->blobs_done && count > most)
        count = most;
    for (uint64_t i = 0; i < count; i++) {
        bytes += blobs[i].size + result_size;
        if (bytes > map->lease_bytes && i)
            return i;
    }
    return count;
}

/* Nodes without workers of the pool are not waited for: no items are kept back for them. */
static int make_table(struct map *map)
{
    struct lease_limits limits = {
        .max_items = max_lease_items(map), .depth = LEASE_DEPTH, .target_s = LEASE_S};
    const struct mpm_pool *pool = map->pool;
    int status;

    if ((status = lease_table_create(map->request.count, pool->node_count, &limits, &map->table)))
        return status;
    if (map->request.kind == JOB_BLOBS)
        lease_table_bound(map->table, fit_blobs, map);
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (!pool->node[node].workers && (status = lease_node_lost(map->table, node, map->start_s)))
            return status;
    }
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (pool->node[node].workers && (map->request.node == MAP_ALL_NODES || map->request.node == node) &&
            (status = lease_node_joined(map->table, node, pool->node[node].workers, map->start_s)))
            return status;
    }
    return MPM_OK;
}

/* Single calls. */

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
    return make_table(map);
}

static int recall_call(struct map *map)
{
    const struct message_lease message = {
        .pool = map->pool->spec.id, .job = map->spec.id, .lease = map->call.lease};
    struct held_lease *lease;

    if (map->call.node != home_node()) {
        map->call.is_recalled = true;
        return courier_post_one(map->call.node, MESSAGE_RECALL, &message, sizeof message);
    }
    if ((lease = lease_at_home(map, map->call.lease)))
        end_recall(map, held_lease_cut(lease));
    return MPM_OK;
}

static bool may_move(const struct map *map)
{
    return map->request.count == 1 && map->request.node != MAP_ALL_NODES && !map->request.stays &&
           map->call.lease && !map->waiting_count && !map->call.is_taken && map->pool->node_count > 1;
}

/* Sends a call to an idle worker of another node, once it has waited for one of its own. */
static int look_after_call(struct map *map, bool *worked)
{
    struct call *call = &map->call;
    int status;

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

static int make_spec(const struct map_request *request, struct job_spec *spec)
{
    *spec = (struct job_spec){.id = pool_state_new_id(),
                              .kind = request->kind,
                              .chunk = request->chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)request->chunk,
                              .chunk_limit = request->chunk_limit ? request->chunk_limit : UINT64_MAX,
                              .chunk_s = request->chunk_s > 0 ? request->chunk_s : CHUNK_S,
                              .first_index = request->first_index,
                              .item_size = request->item_size,
                              .task_item_size = request->item_size,
                              .result_size = request->kind == JOB_BLOBS ? sizeof(struct blob_ref)
                                                                        : request->result_size,
                              .context_size = request->context_size};
    return function_name(request->task, &spec->task);
}

/* The most costly first, then by index. What is no number costs nothing. */
static int compare_costs(const void *a, const void *b)
{
    const struct costly *one = a, *other = b;

    if (one->cost != other->cost)
        return one->cost > other->cost ? -1 : 1;
    return (one->index > other->index) - (one->index < other->index);
}

static bool has_costs(const struct map_request *request)
{
    return request->costs && (request->kind == JOB_PLAIN || request->kind == JOB_BATCH) && request->count > 1;
}

/* Puts the items of a map with costs into their order, before there is a table. Items of a task stay aligned. */
static int order_items(struct map *map)
{
    struct map_request *request = &map->request;
    uint64_t size = request->item_size,
             stride = size ? (size + sizeof(uint64_t) + 15) / 16 * 16 : sizeof(uint64_t);

    if (!(map->order = calloc(request->count, sizeof *map->order)) ||
        !(map->ordered = calloc(request->count, stride)))
        return error_set(MPM_ENOMEM, "no memory for an order of %llu items",
                         (unsigned long long)request->count);
    for (uint64_t i = 0; i < request->count; i++)
        map->order[i] = (struct costly){isnan(request->costs[i]) ? 0 : request->costs[i], i};
    qsort(map->order, request->count, sizeof *map->order, compare_costs);
    for (uint64_t i = 0; i < request->count; i++) {
        char *at = map->ordered + i * stride;

        if (size)
            memcpy(at, request->items + map->order[i].index * size, size);
        memcpy(at + stride - sizeof(uint64_t), &map->order[i].index, sizeof(uint64_t));
    }
    request->kind = map->spec.kind = request->kind == JOB_BATCH ? JOB_INDEXED_BATCH : JOB_INDEXED;
    request->items = map->ordered;
    request->item_size = map->spec.item_size = stride;
    return MPM_OK;
}

static int start(struct map *map)
{
    int status;

    map->start_s = clock_now_s();
    map->next_progress_ns = clock_now_ns() + PROGRESS_NS;
    if (!(map->is_open = calloc(map->pool->node_count, sizeof *map->is_open)) ||
        !(map->loss = calloc(map->pool->node_count, sizeof *map->loss)))
        return error_set(MPM_ENOMEM, "no memory for a map over %u nodes", map->pool->node_count);
    if ((status = make_spec(&map->request, &map->spec)) ||
        (has_costs(&map->request) && (status = order_items(map))) || (status = make_table(map)))
        return status;
    inbox_open(&map->inbox, map->spec.id);
    map->has_items_in_place = is_in_arena(map->request.items, map->request.count * map->request.item_size);
    return MPM_OK;
}

static int report_failures(struct map *map)
{
    const mpm_failure *first = &map->first_failure;

    if (!map->items_failed)
        return MPM_OK;
    sort_failures(map->failures, map->failure_count);
    if (map->request.is_apply)
        return error_set(MPM_ETASK, "the call failed: %s", first->text);
    return error_set(MPM_ETASK, "%llu of %llu items failed; the first is item %llu: %s",
                     (unsigned long long)map->items_failed, (unsigned long long)map->request.count,
                     (unsigned long long)first->index, first->text);
}

static int check_failures(const struct map *map)
{
    const mpm_failure *first = &map->first_failure;

    if (!map->request.max_failures || map->items_failed <= map->request.max_failures)
        return MPM_OK;
    return error_set(
        MPM_ECANCELED, "%llu of %llu items have failed, and %llu may; the first is item %llu: %s",
        (unsigned long long)map->items_failed, (unsigned long long)map->request.count,
        (unsigned long long)map->request.max_failures, (unsigned long long)first->index, first->text);
}

/* Tells the other nodes that it ends, and stops it at home. */
static void begin_closing(struct map *map, int status)
{
    struct message_job message = {.pool = map->pool->spec.id, .job = map->spec.id};

    map->stage = MAP_CLOSES;
    map->status = status;
    map->sentence = status ? strdup(mpm_error()) : NULL;
    for (unsigned node = 0; map->is_open && node < map->pool->node_count; node++) {
        if (map->is_open[node] && courier_post_one(node, MESSAGE_JOB_CLOSE, &message, sizeof message))
            runtime_break(MPM_ENOMEM, mpm_error());
    }
    if (map->home)
        held_job_stop(map->home);
}

/* In a run that has lost a part nobody may be left to say that a worker is gone: nobody waits for it then. */
static void go_on_closing(struct map *map)
{
    if (!map->home || held_job_close(map->home) || runtime_check_whole())
        map->stage = MAP_HAS_ENDED;
}

static void go_on_running(struct map *map, bool *worked)
{
    int status = check_failures(map);

    if (status || lease_all_done(map->table)) {
        tell_progress(map);
        begin_closing(map, status ? status : report_failures(map));
        return;
    }
    if (map->is_canceled)
        status = error_set(MPM_ECANCELED, "it was canceled");
    else if (!(status = pool_check(map->pool)) && !(status = look_everywhere(map, worked)) &&
             !(status = look_after_call(map, worked)))
        status = act(map, worked);
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
    if (request->count == 1 && request->node == MAP_ALL_NODES)
        map->request.node = node_calls_choose(pool);
    map->call.node = map->request.node;
    map->call.next_look_ns = clock_now_ns() + PATIENCE_NS;
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
    uint64_t watch_ns, again_ns;

    if (map->stage == MAP_CLOSES)
        return clock_now_ns() + KILL_AGAIN_NS;
    watch_ns = map->home ? holder_watch(map->pool->home) : CLOCK_FOREVER;
    if ((again_ns = look_again_ns(map)) < watch_ns)
        watch_ns = again_ns;
    if (may_move(map)) {
        uint64_t look_ns = map->call.waits ? clock_now_ns() + LOOK_AGAIN_NS : map->call.next_look_ns;

        watch_ns = look_ns < watch_ns ? look_ns : watch_ns;
    }
    return map->request.progress && map->next_progress_ns < watch_ns ? map->next_progress_ns : watch_ns;
}

void map_cancel(struct map *map)
{
    map->is_canceled = true;
}

void map_end(struct map *map, struct map_outcome *outcome)
{
    *outcome = (struct map_outcome){.status = map->status,
                                    .sentence = map->sentence,
                                    .failures = map->failures,
                                    .failure_count = map->failure_count};
    pool_leave_line(map->pool, &map->request);
    if (map->inbox.job)
        inbox_close(&map->inbox);
    lease_table_destroy(map->table);
    free(map->is_open);
    free(map->loss);
    free(map->order);
    free(map->ordered);
    stop_waiting(map);
    if (map->call.node != MAP_ALL_NODES)
        node_calls_remove(map->pool, map->call.node);
    pool_leave(map->pool);
    free(map);
}

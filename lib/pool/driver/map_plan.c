/* SPDX-License-Identifier: BSD-3-Clause */
/* What a map is made of before its first lease: the job as nodes know it, the order of its items, and the lease table
 * with its bounds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "net/topology.h"
#include "node/context.h"
#include "pool/driver/map_inside.h"
#include "pool/driver/task_name.h"
#include "pool/shared/board.h"

#define LEASE_BYTES ((uint64_t)4 << 20) /* the most items and results that a lease carries, in bytes */
#define LEASE_ITEMS ((uint64_t)1 << 18) /* and in items */
#define LEASE_DEPTH 16u /* leases that a node holds at once, most of them with items that take long */
#define LEASE_S     0.1 /* how long one should keep its node busy */
#define ARENA_SHARE 64u /* a lease takes at most one of so many parts of an arena */
#define TEXTS_AT_ONCE \
    ((uint64_t)1 << 30) /* bytes of long texts of failures that all nodes may send at once */
#define CHUNK_S 100e-6  /* how long a chunk should take */

/* The items of a reduction that are copied nowhere: then a lease of them takes no room, and few large ones are
 * cheaper. */
static bool leaves_stay_in_place(const struct map *map)
{
    unsigned own = context_topology()->node;

    for (unsigned node = 0; node < map->pool->node_count; node++) {
        if (node != own && map->pool->node[node].workers)
            return false;
    }
    return map->spec.kind == JOB_REDUCE &&
           node_link_is_in_arena(own, map->request.items, map->spec.items_bytes);
}

/* The most items in one lease: bounded in bytes by the smallest arena that will hold one, and each item takes
 * a done and a failed bit of each worker of the node. */
static uint64_t max_lease_items(struct map *map)
{
    const struct job_spec *spec = &map->spec;
    uint64_t item_size = leaves_stay_in_place(map) ? 0 : spec->item_size, bytes = LEASE_BYTES, items;
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
    if (spec->kind == JOB_REDUCE)
        item_size += leaf_record_size(spec->parts);
    items = bytes / (item_size + spec->result_size + 1 + workers / 4);
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

static double cost_of(const void *map, uint64_t item)
{
    return ((const struct map *)map)->order[item].cost;
}

/* Nodes without workers of the pool are not waited for: no items are kept back for them. */
int map_make_table(struct map *map)
{
    struct lease_limits limits = {
        .max_items = max_lease_items(map), .depth = LEASE_DEPTH, .target_s = LEASE_S};
    const struct mpm_pool *pool = map->pool;
    int status;

    if ((status = lease_table_create(map->request.count, pool->node_count, &limits, &map->table)))
        return status;
    if (map->request.kind == JOB_BLOBS)
        lease_table_bound(map->table, fit_blobs, map);
    if (map->order)
        lease_table_know_costs(map->table, cost_of, map);
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

/* The last leaf of a reduction may be a short one. */
static uint64_t items_bytes(const struct map_request *request)
{
    return request->kind == JOB_REDUCE ? request->total_items * (request->item_size / request->leaf_items)
                                       : 0;
}

static uint32_t parts_of(const struct map_request *request)
{
    if (request->kind != JOB_REDUCE)
        return 1;
    return (uint32_t)((request->leaf_items + request->part_items - 1) / request->part_items);
}

/* However many nodes say them at once, main has room for the long texts. */
static uint64_t text_room_of(const struct mpm_pool *pool)
{
    uint64_t share = TEXTS_AT_ONCE / pool->node_count;

    return share < FAILURE_LONG_OF_MAP ? share : FAILURE_LONG_OF_MAP;
}

static int make_spec(const struct mpm_pool *pool, const struct map_request *request, struct job_spec *spec)
{
    const struct named_task *named;
    int status = task_name_of(pool->spec.id, request->task, &named);

    if (status)
        return status;
    *spec = (struct job_spec){.id = pool_state_new_id(),
                              .task_id = named->id,
                              .task = named->name,
                              .kind = request->kind,
                              .chunk = request->chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)request->chunk,
                              .chunk_limit = request->chunk_limit ? request->chunk_limit : UINT64_MAX,
                              .chunk_s = request->chunk_s > 0 ? request->chunk_s : CHUNK_S,
                              .first_index = request->first_index,
                              .item_size = request->item_size,
                              .items_bytes = items_bytes(request),
                              .parts = parts_of(request),
                              .is_small = map_request_is_small(request),
                              .leaf_items = request->leaf_items ? request->leaf_items : 1,
                              .part_items = request->part_items ? request->part_items : 1,
                              .task_item_size = request->item_size,
                              .result_size = request->kind == JOB_BLOBS ? sizeof(struct blob_ref)
                                                                        : request->result_size,
                              .context_size = request->context_size};
    return MPM_OK;
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
        map->order[i] = (struct costly){isnan(request->costs[i]) ? 0 : request->costs[i],
                                        request->indexes ? request->indexes[i] : i};
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

/* Items of a batch that are some of those of a larger one. */
static void send_indexes(struct map *map)
{
    map->request.kind = map->spec.kind = JOB_INDEXED_BATCH;
    map->request.items = (const char *)map->request.indexes;
    map->request.item_size = map->spec.item_size = sizeof *map->request.indexes;
}

int map_make_plan(struct map *map)
{
    int status;

    if ((status = make_spec(map->pool, &map->request, &map->spec)) ||
        (has_costs(&map->request) && (status = order_items(map))))
        return status;
    map->spec.text_room = text_room_of(map->pool);
    if (map->request.indexes && !map->order)
        send_indexes(map);
    return map_make_table(map);
}

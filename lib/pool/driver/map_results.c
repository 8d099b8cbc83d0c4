/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes of a map: results go to their places, failures are listed or told. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/driver/map_inside.h"
#include "pool/shared/blob.h"

/* With the index of the item in its map, whatever the order in which items are worked on. */
static mpm_failure failure_of_item(const struct map *map, const struct lease_results *done, size_t number)
{
    mpm_failure failure = failure_of_entry(&done->failures[number], done->texts);

    if (map->order)
        failure.index = map->order[failure.index].index;
    else if (map->request.indexes)
        failure.index = map->request.indexes[failure.index];
    return failure;
}

static int tell_failures(struct map *map, const struct lease_results *done)
{
    int status = MPM_OK;

    for (size_t i = 0; !status && i < done->failure_count; i++) {
        mpm_failure failure = failure_of_item(map, done, i);

        status = map->request.failed(&failure, map->request.failed_argument);
    }
    return status;
}

static int list_failures(struct map *map, const struct lease_results *done)
{
    map->listed.long_limit = FAILURE_LONG_OF_MAP;
    for (size_t i = 0; i < done->failure_count; i++) {
        mpm_failure failure = failure_of_item(map, done, i);

        if (!failure_list_add(&map->listed, &failure))
            return error_set(MPM_ENOMEM, "no memory for a list of %zu failed items", map->listed.count + 1);
    }
    return MPM_OK;
}

static void note_first(struct map *map, const mpm_failure *failure)
{
    if (map->items_failed++ && failure->index > map->first_failed)
        return;
    free(map->first_text);
    map->first_failed = failure->index;
    map->first_text = strdup(failure->text);
}

static const char *first_text(const struct map *map)
{
    return map->first_text ? map->first_text : "there is no memory for what it says";
}

int map_keep_failures(struct map *map, const struct lease_results *done)
{
    if (!done->failure_count)
        return MPM_OK;
    for (size_t i = 0; i < done->failure_count; i++) {
        mpm_failure failure = failure_of_item(map, done, i);

        note_first(map, &failure);
    }
    map->items_failed += done->failures_untold;
    return map->request.failed ? tell_failures(map, done) : list_failures(map, done);
}

/* What it takes to bring items to a node, or results from it; what is used in place takes nothing. */
static void count_bytes(_Atomic uint64_t *sum, uint64_t bytes)
{
    atomic_fetch_add_explicit(sum, bytes, memory_order_relaxed);
}

static int keep_blobs(struct map *map, unsigned node, const struct lease_results *done)
{
    const struct blob_ref *refs = done->results;
    uint64_t bytes = 0;

    for (uint64_t i = 0; i < done->count; i++)
        bytes += refs[i].size;
    count_bytes(&map->pool->node[node].bytes_received, bytes);
    map->blob_bytes += bytes;
    map->blobs_done += done->count;
    if (!map->request.blob_results)
        return MPM_OK;
    return blob_list_keep(map->request.blob_results, done->first, done->base, refs, done->count);
}

static void copy_results(struct map *map, uint64_t first, uint64_t count, const char *results)
{
    size_t size = map->request.result_size;

    if (!map->order)
        memcpy(map->request.results + first * size, results, count * size);
    for (uint64_t i = 0; map->order && i < count; i++)
        memcpy(map->request.results + map->order[first + i].index * size, results + i * size, size);
}

static int keep_states(struct map *map, unsigned node, const struct lease_results *done)
{
    count_bytes(&map->pool->node[node].bytes_received, done->count * map->request.result_size);
    return map->request.take(map->request.take_argument, done->first, done->count, done->results);
}

static void mark_done(struct map *map, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        map->request.done[map->order ? map->order[i].index : i] = 1;
}

int map_keep_results(struct map *map, unsigned node, const struct lease_results *done)
{
    const struct map_request *request = &map->request;
    int status;

    if (done->first > request->count || done->count > request->count - done->first)
        return error_set(MPM_EPROTOCOL, "node %u sent results of items that do not exist", node);
    if ((status = lease_done(map->table, node, (uint32_t)done->lease, clock_now_s())))
        return status;
    if (request->kind == JOB_BLOBS && (status = keep_blobs(map, node, done)))
        return status;
    if (request->take)
        status = keep_states(map, node, done);
    else if (request->result_size && done->results != request->results + done->first * request->result_size) {
        copy_results(map, done->first, done->count, done->results);
        count_bytes(&map->pool->node[node].bytes_received, done->count * request->result_size);
    }
    if (request->done)
        mark_done(map, done->first, done->count);
    return status ? status : map_keep_failures(map, done);
}

/* Items, or blocks of them in a reduction that takes those. */
static const char *what_fails(const struct map *map)
{
    return map->spec.part_items > 1 ? "blocks of items" : "items";
}

static uint64_t count_to_fail(const struct map *map)
{
    const struct map_request *request = &map->request;
    uint64_t leaves = request->kind == JOB_REDUCE ? request->total_items / request->leaf_items : 0;
    uint64_t rest = request->total_items - leaves * request->leaf_items;

    if (request->kind != JOB_REDUCE)
        return request->count;
    return leaves * map->spec.parts + (rest + map->spec.part_items - 1) / map->spec.part_items;
}

int map_report_failures(const struct map *map)
{
    if (!map->items_failed)
        return MPM_OK;
    if (map->request.is_apply)
        return error_set(MPM_ETASK, "the call failed: %s", first_text(map));
    return error_set(MPM_ETASK, "%llu of %llu %s failed; the first is item %llu: %s",
                     (unsigned long long)map->items_failed, (unsigned long long)count_to_fail(map),
                     what_fails(map), (unsigned long long)map->first_failed, first_text(map));
}

bool map_give_failures(struct map *map)
{
    size_t count = map->listed.count;

    failure_list_sort(&map->listed);
    if (!failure_list_give(&map->listed, &map->failures))
        return false;
    map->failure_count = count;
    return true;
}

int map_check_failures(const struct map *map)
{
    if (!map->request.max_failures || map->items_failed <= map->request.max_failures)
        return MPM_OK;
    return error_set(MPM_ECANCELED, "%llu of %llu %s have failed, and %llu may; the first is item %llu: %s",
                     (unsigned long long)map->items_failed, (unsigned long long)count_to_fail(map),
                     what_fails(map), (unsigned long long)map->request.max_failures,
                     (unsigned long long)map->first_failed, first_text(map));
}

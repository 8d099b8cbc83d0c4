/* SPDX-License-Identifier: BSD-3-Clause */
/* The link to the driver's own node: leases go straight to its board. Items are copied into a lease, and its results
 * out of it by whoever gets the event; what lies in the arena already is used where it is. */
#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/node_link_inside.h"
#include "pool/node/lease_queue.h"

bool node_link_is_in_arena(unsigned node, const void *array, uint64_t size)
{
    uint64_t offset = arena_offset(context_arena(), array);
    mpm_node info;

    return array && size && !mpm_node_info(node, &info) && offset < info.arena_size &&
           size <= info.arena_size - offset;
}

static const void *items_in_place(const struct node_link *link)
{
    const struct map_request *request = link->map->request;

    return node_link_is_in_arena(link->node, request->items, job_bytes_of(link->map->spec, 0, request->count))
               ? request->items
               : NULL;
}

/* Results come in the order of items, which is not that of the caller if the job is indexed. */
static void *results_in_place(const struct node_link *link)
{
    const struct map_request *request = link->map->request;

    if (job_is_indexed(link->map->spec))
        return NULL;
    return node_link_is_in_arena(link->node, request->results, request->count * request->result_size)
               ? request->results
               : NULL;
}

static void on_published(void *argument, const struct granted_lease *lease)
{
    const struct node_link *link = argument;

    link->map->events->placed(link->map->argument);
    node_link_count_sent(link, lease->first, lease->count, link->has_items_in_place);
}

struct lease_results node_link_results_of(const struct node_lease *lease)
{
    const struct failure_list *failures = node_lease_failures(lease);

    return (struct lease_results){.lease = node_lease_number(lease),
                                  .first = node_lease_first(lease),
                                  .count = node_lease_count(lease),
                                  .results = node_lease_results(lease),
                                  .base = context_arena(),
                                  .failures = failures->entries,
                                  .failure_count = failures->count,
                                  .texts = failures->texts,
                                  .failures_untold = node_lease_failures_untold(lease)};
}

/* Of one that keeps no item, all was recalled, and the map knows. */
static int on_done(const struct node_link *link, const struct node_lease *lease)
{
    const struct lease_results results = node_link_results_of(lease);

    if (!results.count)
        return MPM_OK;
    return link->map->events->done(link->map->argument, link->node, &results);
}

static int on_seen(void *argument, struct node_lease *lease, enum lease_look look)
{
    const struct node_link *link = argument;
    const struct linked_map *map = link->map;

    if (look == LEASE_IS_LOST)
        return node_lease_status(lease);
    if (look != LEASE_RUNS || (map->request->is_in_line && node_lease_is_begun(lease)))
        map->events->begun(map->argument);
    if (look == LEASE_IS_CLAIMED)
        return map->events->claimed(map->argument, link->node, (uint32_t)node_lease_number(lease));
    return look == LEASE_IS_DONE ? on_done(link, lease) : MPM_OK;
}

static int open_queue(struct node_link *link)
{
    const struct linked_map *map = link->map;
    struct queued_job job = {.node_pool = map->pool->home,
                             .spec = map->spec,
                             .context = map->request->context,
                             .is_lasting = true,
                             .stands_in_line = map->request->is_in_line,
                             .items_in_place = items_in_place(link),
                             .results_in_place = results_in_place(link),
                             .published = on_published,
                             .seen = on_seen,
                             .argument = link};

    link->has_items_in_place = job.items_in_place;
    return lease_queue_create(&job, &link->queue);
}

static int local_grant(struct node_link *link, uint32_t number, uint64_t first, uint64_t count)
{
    const struct map_request *request = link->map->request;
    struct granted_lease lease = {.number = number,
                                  .first = first,
                                  .count = count,
                                  .size = job_bytes_of(link->map->spec, first, count)};
    int status;

    if (request->kind == JOB_BLOBS)
        lease.blobs = request->blobs + first;
    else if (request->item_size)
        lease.items = request->items + first * request->item_size;
    status = link->queue ? MPM_OK : open_queue(link);
    return status ? status : lease_queue_grant(link->queue, &lease, true);
}

static int local_recall(struct node_link *link, uint32_t lease)
{
    uint64_t kept;

    if (!link->queue || !lease_queue_recall(link->queue, lease, &kept))
        return MPM_OK;
    return link->map->events->returned(link->map->argument, link->node, lease, kept);
}

static int local_poll(struct node_link *link, bool *worked)
{
    return link->queue ? lease_queue_look(link->queue, true, worked) : MPM_OK;
}

static void local_stop(struct node_link *link)
{
    if (link->queue)
        lease_queue_stop(link->queue);
}

static bool local_close(struct node_link *link)
{
    if (link->queue && !lease_queue_close(link->queue))
        return false;
    link->queue = NULL;
    return true;
}

static uint64_t local_next_poll_ns(const struct node_link *link)
{
    return link->queue ? node_pool_watch(link->map->pool->home) : CLOCK_FOREVER;
}

static uint64_t local_items_done(const struct node_link *link)
{
    return link->queue ? lease_queue_items_done(link->queue) : 0;
}

static uint64_t local_longest_claim_ns(const struct node_link *link)
{
    return link->queue ? lease_queue_longest_claim_ns(link->queue) : 0;
}

static struct worker_time local_worker_time(const struct node_link *link)
{
    const struct node_pool *home = link->map->pool->home;

    return home ? worker_time_between(link->time, node_pool_time(home)) : link->time;
}

const struct link_calls link_local_calls = {.grant = local_grant,
                                            .recall = local_recall,
                                            .poll = local_poll,
                                            .stop = local_stop,
                                            .close = local_close,
                                            .next_poll_ns = local_next_poll_ns,
                                            .items_done = local_items_done,
                                            .longest_claim_ns = local_longest_claim_ns,
                                            .worker_time = local_worker_time};

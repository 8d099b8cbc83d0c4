/* SPDX-License-Identifier: BSD-3-Clause */
/* Short maps: one lease on the board of the driver's own node, with no lease table and no links, since there is nothing
 * to decide. What failures, deaths and lost workers mean is as in map.c, by the same calls of the node pool. */
#include "pool/driver/map_short.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/map_inside.h"
#include "pool/driver/task_name.h"
#include "pool/node/node_short.h"

#define MOST_ITEMS    4096u
#define MOST_BYTES    ((uint64_t)64 << 10) /* of items and results, and of a context */
#define KILL_AGAIN_NS 1000000u
#define CHUNK_S       100e-6
#define FEW_A_WORKER  4u /* items: one of so few is worth a claim of its own, and no look at the clock */

bool map_is_short(const struct mpm_pool *pool, const struct map_request *request)
{
    return pool->node_count == 1 && pool->home && request->kind == JOB_PLAIN && request->count &&
           request->count <= MOST_ITEMS &&
           request->count * (request->item_size + request->result_size) <= MOST_BYTES &&
           request->context_size <= MOST_BYTES && request->node == MAP_ALL_NODES && !request->is_apply &&
           !request->is_in_line && !request->costs && !request->take && !request->progress &&
           !request->failed && !request->max_failures && !(request->drain.grace_s > 0);
}

static uint32_t choose_chunk(const struct mpm_pool *pool, const struct map_request *request)
{
    if (request->chunk)
        return request->chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)request->chunk;
    return request->count < FEW_A_WORKER * pool->worker_count ? 1 : 0;
}

/* All but the task, which is long, and mostly known. */
static void make_spec(const struct mpm_pool *pool, const struct map_request *request, uint64_t task_id,
                      struct job_spec *spec)
{
    memset(spec, 0, offsetof(struct job_spec, task));
    spec->id = pool_state_new_id();
    spec->task_id = task_id;
    spec->kind = JOB_PLAIN;
    spec->chunk = choose_chunk(pool, request);
    spec->chunk_limit = UINT64_MAX;
    spec->chunk_s = CHUNK_S;
    spec->item_size = spec->task_item_size = request->item_size;
    spec->result_size = request->result_size;
    spec->parts = 1;
    spec->part_items = spec->leaf_items = 1;
    spec->text_room = FAILURE_LONG_OF_MAP;
    spec->context_size = request->context_size;
}

/* Until it is over. Where nothing is wrong with the pool the doorbell rings. */
static int wait_for(struct mpm_pool *pool, struct node_lease *lease)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        enum lease_look look = node_short_look(lease);
        uint64_t until_ns, watch_ns;
        int status;

        if (look == LEASE_IS_DONE || look == LEASE_IS_LOST)
            return look == LEASE_IS_LOST ? node_lease_status(lease) : MPM_OK;
        if ((status = pool_check(pool)))
            return status;
        until_ns = node_short_look_again_ns(lease);
        watch_ns = node_pool_watch(pool->home);
        eventcount_wait(context_doorbell(), seen, 0, watch_ns < until_ns ? watch_ns : until_ns);
    }
}

/* It is not to go on: workers that are in it are killed. In a run that has lost a part nobody may be left to say that
 * one is gone; then its memory stays where it is. */
static void break_off(struct node_job *job)
{
    node_job_stop(job);
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (node_job_close(job) || context_check_whole())
            return;
        eventcount_wait(context_doorbell(), seen, 0, clock_now_ns() + KILL_AGAIN_NS);
    }
}

static void take_results(struct mpm_pool *pool, const struct map_request *request,
                         const struct node_lease *lease)
{
    struct pool_node *node = &pool->node[context_topology()->node];
    const void *results = node_lease_results(lease);
    uint64_t size = request->count * request->result_size;

    if (size && results != request->results) {
        memcpy(request->results, results, size);
        atomic_fetch_add_explicit(&node->bytes_received, size, memory_order_relaxed);
    }
    if (request->done)
        memset(request->done, 1, request->count);
}

/* Those that have failed, as a longer map tells them. */
static int take_failures(struct mpm_pool *pool, const struct map_request *request,
                         const struct node_lease *lease, struct map_outcome *outcome)
{
    struct map map = {.pool = pool, .request = *request, .spec = {.part_items = 1, .parts = 1}};
    const struct lease_results results = node_link_results_of(lease);
    int status;

    if (!results.failure_count)
        return MPM_OK;
    if (!(status = map_keep_failures(&map, &results)))
        status = map_report_failures(&map);
    if (!map_give_failures(&map))
        status = error_set(MPM_ENOMEM, "no memory for a list of %zu failed items", map.listed.count);
    outcome->failures = map.failures;
    outcome->failure_count = map.failure_count;
    failure_list_free(&map.listed);
    free(map.first_text);
    return status;
}

static int publish(struct mpm_pool *pool, const struct map_request *request, struct node_job *job,
                   struct node_lease **lease)
{
    unsigned node = context_topology()->node;
    uint64_t items = request->count * request->item_size, results = request->count * request->result_size;
    bool are_in_place = node_link_is_in_arena(node, request->items, items);

    node_job_use_in_place(job, are_in_place ? request->items : NULL,
                          node_link_is_in_arena(node, request->results, results) ? request->results : NULL);
    if (!are_in_place && items)
        atomic_fetch_add_explicit(&pool->node[node].bytes_sent, items, memory_order_relaxed);
    return node_short_publish(job, request->count, items ? request->items : NULL, items, lease);
}

/* The map, in a job that is open. */
static int run_job(struct mpm_pool *pool, const struct map_request *request, struct node_job *job,
                   struct node_lease *lease, struct map_outcome *outcome)
{
    int status;

    if ((status = wait_for(pool, lease))) {
        outcome->sentence = strdup(mpm_error());
        break_off(job);
        return status;
    }
    take_results(pool, request, lease);
    if ((status = take_failures(pool, request, lease, outcome)))
        outcome->sentence = strdup(mpm_error());
    node_short_end(job);
    return status;
}

bool map_run_short(struct mpm_pool *pool, const struct map_request *request, struct map_outcome *outcome)
{
    const struct named_task *named;
    struct job_spec spec;
    struct node_lease *lease;
    struct node_job *job;

    *outcome = (struct map_outcome){.status = task_name_of(pool->spec.id, request->task, &named)};
    if (!outcome->status && atomic_load(&pool->terminating))
        outcome->status = pool_check(pool);
    if (outcome->status) {
        outcome->sentence = strdup(mpm_error());
        return true;
    }
    make_spec(pool, request, named->id, &spec);
    if (node_short_open(pool->home, &spec, &named->name, request->context, &job))
        return false;
    if (publish(pool, request, job, &lease)) {
        break_off(job);
        return false;
    }
    outcome->status = run_job(pool, request, job, lease, outcome);
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Short maps: one lease on the board of the driver's own node, with no lease table and no links, since there is nothing
 * to decide. What failures, deaths and lost workers mean is as in map.c, by the same calls of the node pool.
 *
 * Where the pool has workers on other nodes that is a guess: that each item finds a worker here, or that it takes as
 * little time as the last time. What nobody has claimed after PATIENCE_NS is cut off, and is a map of its own over all
 * nodes, which runs beside what is claimed here; so a wrong guess costs that time, once, as it is learned from. If all
 * workers here are lost the whole begins anew. */
#include "pool/driver/map_short.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/map_inside.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/task_name.h"
#include "pool/node/node_short.h"

#define KILL_AGAIN_NS 1000000u
#define PATIENCE_NS   5000000u
#define CHUNK_S       100e-6
#define FEW_A_WORKER  4u /* items: one of so few is worth a claim of its own, and no look at the clock */

/* On its way to the end. */
struct short_map {
    struct mpm_pool *pool;
    const struct map_request *request;
    uint64_t task_id;
    struct node_job *job;
    struct node_lease *lease;
    enum lease_look look; /* when it was last looked at: not again once it is done */
    uint64_t cut_ns;      /* when what is unclaimed is cut off; CLOCK_FOREVER: never, or it was */
    struct map *rest;     /* that; or NULL */
    bool rest_runs;
    bool is_lost; /* all workers here are */
};

static uint64_t count_elsewhere(const struct mpm_pool *pool)
{
    return pool->worker_count - pool->node[context_topology()->node].workers;
}

static bool is_small(const struct mpm_pool *pool, const struct map_request *request)
{
    return pool->home && map_request_is_small(request) && !request->is_apply && !request->is_in_line &&
           !request->costs && !request->take && !request->progress && !request->failed &&
           !request->max_failures && !(request->drain.grace_s > 0);
}

static bool stays_at_home(const struct mpm_pool *pool, const struct map_request *request)
{
    unsigned own = context_topology()->node;
    const struct named_task *named;

    return pool_works_on(pool, own) && !atomic_load(&pool->node[own].calls) &&
           !task_name_of(pool->spec.id, request->task, &named) &&
           node_short_stays(pool->home, named->id, request->count, (uint32_t)count_elsewhere(pool));
}

bool map_is_short(const struct mpm_pool *pool, const struct map_request *request)
{
    return is_small(pool, request) && request->node == MAP_ALL_NODES && !request->first_index &&
           (pool->node_count == 1 || stays_at_home(pool, request));
}

void map_short_learn(const struct map *map)
{
    if (map->pool->node_count > 1 && !map->status && is_small(map->pool, &map->request))
        node_short_learn(map->pool->home, map->spec.task_id, map->request.count,
                         node_links_worker_time(map->links).busy_ns);
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

/* What is left of it from item `first` on. */
static struct map_request rest_of(const struct map_request *request, uint64_t first)
{
    struct map_request rest = *request;

    rest.first_index += first;
    rest.count -= first;
    rest.items += rest.item_size ? first * rest.item_size : 0;
    rest.results += rest.result_size ? first * rest.result_size : 0;
    rest.done += rest.done ? first : 0;
    return rest;
}

static int cut_off(struct short_map *map)
{
    uint64_t keeps = node_short_cut(map->lease);
    struct map_request rest;
    int status;

    map->cut_ns = CLOCK_FOREVER;
    if (keeps == map->request->count)
        return MPM_OK;
    rest = rest_of(map->request, keeps);
    if (!(status = map_begin(map->pool, &rest, &map->rest)))
        map->rest_runs = true;
    return status;
}

/* What is to be looked at where there are other nodes. */
static int look_around(struct short_map *map, bool *worked)
{
    if (map->rest_runs && map_step(map->rest, worked)) {
        map->rest_runs = false;
        *worked = true;
    }
    if (map->pool->node_count == 1)
        return MPM_OK;
    map->is_lost = map->look != LEASE_IS_DONE && !pool_works_on(map->pool, context_topology()->node);
    if (map->is_lost)
        return error_set(MPM_EFORKSERVER, "no worker is left at home");
    if (clock_now_ns() < map->cut_ns)
        return MPM_OK;
    *worked = true;
    return cut_off(map);
}

static uint64_t next_look_ns(struct short_map *map)
{
    uint64_t next_ns = node_pool_watch(map->pool->home), other_ns = CLOCK_FOREVER;

    if (map->look != LEASE_IS_DONE)
        other_ns = node_short_look_again_ns(map->lease);
    if (other_ns < next_ns)
        next_ns = other_ns;
    if (map->cut_ns < next_ns)
        next_ns = map->cut_ns;
    if (map->rest_runs && (other_ns = map_next_step_ns(map->rest)) < next_ns)
        next_ns = other_ns;
    return next_ns;
}

/* Until it is over. Where nothing is wrong with the pool the doorbell rings. */
static int wait_for(struct short_map *map)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        bool worked = false;
        int status;

        if (map->look != LEASE_IS_DONE && (map->look = node_short_look(map->lease)) == LEASE_IS_LOST)
            return node_lease_status(map->lease);
        if (map->look == LEASE_IS_DONE && !map->rest_runs)
            return MPM_OK;
        if ((status = pool_check(map->pool)) || (status = look_around(map, &worked)))
            return status;
        if (!worked)
            eventcount_wait(context_doorbell(), seen, 0, next_look_ns(map));
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

/* Ends what was cut off. */
static void break_rest_off(struct short_map *map)
{
    if (!map->rest)
        return;
    map_cancel(map->rest);
    while (map->rest_runs) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        bool worked = false;

        map->rest_runs = !map_step(map->rest, &worked);
        if (map->rest_runs && !worked)
            eventcount_wait(context_doorbell(), seen, 0, map_next_step_ns(map->rest));
    }
}

static void take_results(struct mpm_pool *pool, const struct map_request *request,
                         const struct node_lease *lease)
{
    struct pool_node *node = &pool->node[context_topology()->node];
    const void *results = node_lease_results(lease);
    uint64_t count = node_lease_count(lease), size = count * request->result_size;

    if (size && results != request->results) {
        memcpy(request->results, results, size);
        atomic_fetch_add_explicit(&node->bytes_received, size, memory_order_relaxed);
    }
    if (request->done)
        memset(request->done, 1, count);
}

/* Those of what was cut off, which has ended; its first item is number `first` here. */
static int keep_failures_of_rest(struct map *map, const struct map_outcome *rest, uint64_t first)
{
    struct failure_list list = {0};
    struct lease_results results;
    int status = MPM_OK;

    for (size_t i = 0; !status && i < rest->failure_count; i++) {
        mpm_failure failure = rest->failures[i];

        failure.index += first;
        if (!failure_list_add(&list, &failure))
            status = error_set(MPM_ENOMEM, "no memory for a list of %zu failed items", rest->failure_count);
    }
    results = (struct lease_results){
        .failures = list.entries, .failure_count = list.count, .texts = list.texts};
    if (!status)
        status = map_keep_failures(map, &results);
    failure_list_free(&list);
    return status;
}

/* How it has ended. */
static int end_rest(struct short_map *short_map, struct map *map)
{
    struct map_outcome rest;
    int status;

    if (!short_map->rest)
        return MPM_OK;
    map_end(short_map->rest, &rest);
    status = keep_failures_of_rest(map, &rest, node_lease_count(short_map->lease));
    if (!status && rest.status && rest.status != MPM_ETASK)
        status = error_set(rest.status, "%s", rest.sentence ? rest.sentence : mpm_status_name(rest.status));
    free(rest.failures);
    free(rest.sentence);
    return status;
}

/* Those that have failed, as a longer map tells them. */
static int take_failures(struct short_map *short_map, struct map_outcome *outcome)
{
    struct map map = {
        .pool = short_map->pool, .request = *short_map->request, .spec = {.part_items = 1, .parts = 1}};
    const struct lease_results results = node_link_results_of(short_map->lease);
    int status;

    if (!results.failure_count && !short_map->rest)
        return MPM_OK;
    status = end_rest(short_map, &map);
    if (!status && !(status = map_keep_failures(&map, &results)))
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

/* What was cut off has taken at least as long as nobody came to it, for each worker. */
static void learn_from_rest(const struct short_map *map)
{
    const struct mpm_pool *pool = map->pool;

    if (map->rest)
        node_short_learn(pool->home, map->task_id, map->request->count, PATIENCE_NS * pool->worker_count);
}

/* The map, in a job that is open. */
static int run_job(struct short_map *map, struct map_outcome *outcome)
{
    struct map_outcome rest;
    int status;

    if ((status = wait_for(map))) {
        outcome->sentence = strdup(mpm_error());
        break_off(map->job);
        if (!map->rest)
            return status;
        break_rest_off(map);
        map_end(map->rest, &rest);
        free(rest.failures);
        free(rest.sentence);
        return status;
    }
    take_results(map->pool, map->request, map->lease);
    if ((status = take_failures(map, outcome)))
        outcome->sentence = strdup(mpm_error());
    node_short_end(map->job);
    learn_from_rest(map);
    return status;
}

static bool run_short(struct mpm_pool *pool, const struct map_request *request, uint64_t cut_ns,
                      struct map_outcome *outcome)
{
    struct short_map map = {.pool = pool, .request = request, .cut_ns = cut_ns};
    const struct named_task *named;
    struct job_spec spec;

    *outcome = (struct map_outcome){.status = task_name_of(pool->spec.id, request->task, &named)};
    if (!outcome->status && atomic_load(&pool->terminating))
        outcome->status = pool_check(pool);
    if (outcome->status) {
        outcome->sentence = strdup(mpm_error());
        return true;
    }
    map.task_id = named->id;
    make_spec(pool, request, named->id, &spec);
    if (node_short_open(pool->home, &spec, &named->name, request->context, &map.job))
        return false;
    if (publish(pool, request, map.job, &map.lease)) {
        break_off(map.job);
        return false;
    }
    outcome->status = run_job(&map, outcome);
    if (map.is_lost)
        free(outcome->sentence);
    return !map.is_lost;
}

/* Single calls go elsewhere meanwhile. */
bool map_run_short(struct mpm_pool *pool, const struct map_request *request, struct map_outcome *outcome)
{
    unsigned own = context_topology()->node;
    bool has_run;

    if (!count_elsewhere(pool))
        return run_short(pool, request, CLOCK_FOREVER, outcome);
    node_calls_add(pool, own);
    has_run = run_short(pool, request, clock_now_ns() + PATIENCE_NS, outcome);
    node_calls_remove(pool, own);
    return has_run;
}

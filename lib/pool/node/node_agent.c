/* SPDX-License-Identifier: BSD-3-Clause */
/* The node agent. Everything here runs in the courier's thread and never blocks: orders come in as messages, and
 * each time the courier wakes it looks at all leases and tells main what is done. */
#include "pool/node/node_agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/courier.h"
#include "node/context.h"
#include "pool/node/node_pool.h"
#include "pool/node/lease_queue.h"
#include "pool/shared/message.h"

#define MAX_PACK ((size_t)1900 << 20) /* a message has 2 GiB at most */

struct node_agent_job {
    struct node_agent_job *next;
    struct node_agent_pool *pool;
    struct job_spec spec; /* as main has sent it */
    uint64_t id;
    struct lease_queue *queue; /* NULL if there was no memory for it */
    struct worker_time time;   /* of the node's workers when it began */
    bool has_failed, closing;
    bool is_awaited; /* main waits until it is closed */
};

struct node_agent_pool {
    struct node_agent_pool *next;
    uint64_t id;
    struct node_pool *node_pool;             /* NULL if it could not be opened */
    struct node_agent_job *jobs, **last_job; /* oldest first */
    bool is_announced, has_failed, closing, killing;
    bool is_asked; /* main wants to know when a worker has nothing to do */
};

static struct node_agent_pool *pools;

static bool post_trouble(uint32_t kind, uint64_t pool, uint64_t job, int status)
{
    const struct message_trouble trouble = {.pool = pool, .job = job, .status = status};
    const char *name = context_topology()->nodes[context_topology()->node].name;
    const char *const text[] = {"node ", name, ": ", mpm_error()};
    struct message_part parts[] = {{&trouble, sizeof trouble}, {text[0], strlen(text[0])},
                                   {text[1], strlen(text[1])}, {text[2], strlen(text[2])},
                                   {text[3], strlen(text[3])}, {"", 1}};

    for (size_t i = 1; !status && i < 5; i++)
        parts[i].size = 0;
    return !courier_post(0, kind, parts, sizeof parts / sizeof *parts);
}

static struct node_agent_pool *pool_of(uint64_t id)
{
    struct node_agent_pool *pool = pools;

    while (pool && pool->id != id)
        pool = pool->next;
    return pool;
}

static struct node_agent_job *job_of(uint64_t pool_id, uint64_t id)
{
    struct node_agent_pool *pool = pool_of(pool_id);
    struct node_agent_job *job = pool ? pool->jobs : NULL;

    while (job && job->id != id)
        job = job->next;
    return job;
}

/* News for main. */

/* Results of any length, in one piece, which the caller frees. */
static int pack_results(const struct node_lease *lease, void **pack, size_t *size)
{
    size_t count = node_lease_count(lease);
    mpm_blob *blobs = malloc(count * sizeof *blobs);

    *pack = NULL;
    if (blobs) {
        blob_look(context_arena(), node_lease_results(lease), count, blobs);
        *size = blob_pack_size(blobs, count);
        if (*size <= MAX_PACK && (*pack = malloc(*size)))
            blob_pack(*pack, blobs, count);
    }
    free(blobs);
    if (*pack)
        return MPM_OK;
    return error_set(
        MPM_ENOMEM,
        "%zu results of varying length, of %zu bytes in all, do not fit into memory or into a message", count,
        blobs ? *size : 0);
}

/* Behind the texts, so that the results are aligned. */
static const char zeros[MESSAGE_RESULTS_ALIGNMENT];

/* Of a small map somebody soon wants the next lease to come, or the next map. */
static void be_lively(const struct node_agent_job *job)
{
    if (job->spec.is_small)
        courier_be_lively();
}

static bool post_results(const struct node_agent_job *job, const struct node_lease *lease)
{
    struct message_results message = {.lease = {.pool = job->pool->id,
                                                .job = job->id,
                                                .lease = node_lease_number(lease),
                                                .first = node_lease_first(lease),
                                                .count = node_lease_count(lease)}};
    const struct failure_list *failures = node_lease_failures(lease);
    struct message_part parts[] = {{&message, sizeof message},
                                   {failures->entries, failures->count * sizeof *failures->entries},
                                   {failures->texts, failures->text_size},
                                   {zeros, message_padding(failures->text_size)},
                                   {node_lease_results(lease), message.lease.count * job->spec.result_size}};
    void *pack = NULL;
    bool is_posted;
    int status;

    message.failure_count = failures->count;
    message.text_size = failures->text_size;
    message.failures_untold = node_lease_failures_untold(lease);
    message.time = worker_time_between(job->time, node_pool_time(job->pool->node_pool));
    message.longest_claim_ns = lease_queue_longest_claim_ns(job->queue);
    if (job->spec.kind == JOB_BLOBS) {
        if ((status = pack_results(lease, &pack, &parts[4].size)))
            return post_trouble(MESSAGE_JOB_FAILED, job->pool->id, job->id, status);
        parts[4].bytes = pack;
    }
    be_lively(job);
    is_posted = !courier_post(0, MESSAGE_RESULTS, parts, sizeof parts / sizeof *parts);
    free(pack);
    return is_posted;
}

static bool post_claimed(const struct node_agent_job *job, const struct node_lease *lease)
{
    struct message_lease message = {.pool = job->pool->id, .job = job->id, .lease = node_lease_number(lease)};

    return !courier_post_one(0, MESSAGE_CLAIMED, &message, sizeof message);
}

/* By the queue of a job. */
static int tell_of_lease(void *argument, struct node_lease *lease, enum lease_look look)
{
    const struct node_agent_job *job = argument;
    bool is_told = true;

    if (look == LEASE_IS_CLAIMED)
        is_told = post_claimed(job, lease);
    else if (look == LEASE_IS_DONE && node_lease_count(lease))
        is_told = post_results(job, lease);
    else if (look == LEASE_IS_LOST)
        is_told = post_trouble(MESSAGE_JOB_FAILED, job->pool->id, job->id, node_lease_status(lease));
    if (!is_told)
        context_break(MPM_ENOMEM, mpm_error());
    return MPM_OK;
}

/* Orders. */

static bool on_pool_open(unsigned node, const void *payload, size_t size)
{
    const struct pool_spec *spec = payload;
    unsigned ranks = context_topology()->nodes[context_topology()->node].ranks;
    const uint32_t *workers = (const uint32_t *)(spec + 1);
    struct node_agent_pool *pool;
    int status;

    if (node || size < sizeof *spec + ranks * sizeof *workers ||
        size - sizeof *spec - ranks * sizeof *workers != spec->argument_size ||
        !(pool = calloc(1, sizeof *pool)))
        return false;
    pool->id = spec->id;
    pool->last_job = &pool->jobs;
    pool->next = pools;
    pools = pool;
    if ((status = node_pool_open(spec, workers + ranks, workers, ranks, &pool->node_pool))) {
        pool->is_announced = true;
        return post_trouble(MESSAGE_POOL_STATE, pool->id, 0, status);
    }
    return true;
}

static bool on_pool_close(unsigned node, const void *payload, size_t size)
{
    const struct message_pool *message = payload;
    struct node_agent_pool *pool;

    if (node || size != sizeof *message)
        return false;
    if (!(pool = pool_of(message->pool)))
        return true; /* main has it killed, and has not read yet that it is closed */
    pool->closing = true;
    pool->killing = message->now;
    if (pool->node_pool)
        node_pool_begin_close(pool->node_pool);
    return true;
}

static bool on_pool_asked(unsigned node, const void *payload, size_t size)
{
    const struct message_question *message = payload;
    struct node_stats *stats, none = {0};
    struct node_agent_pool *pool;
    size_t stats_size = sizeof none;
    int status;

    if (node || size != sizeof *message)
        return false;
    if (!(pool = pool_of(message->pool)))
        return true; /* it is closed, and main has been told */
    if (!pool->node_pool || !(stats = node_pool_stats(pool->node_pool, &stats_size)))
        stats = &none; /* it has no workers that it can count */
    stats->pool = message->pool;
    stats->question = message->question;
    status = courier_post_one(0, MESSAGE_POOL_STATS, stats, stats_size);
    if (stats != &none)
        free(stats);
    return !status;
}

static bool on_idle_asked(unsigned node, const void *payload, size_t size)
{
    const struct message_pool *message = payload;
    struct node_agent_pool *pool;

    if (node || size != sizeof *message)
        return false;
    if ((pool = pool_of(message->pool)))
        pool->is_asked = true;
    return true;
}

/* While a map waits to begin, for want of room, no younger one begins, so that maps begin in the order in which main
 * has sent them. */
static bool waits_to_begin(const struct node_agent_job *job)
{
    return !job->has_failed && !job->closing && lease_queue_waits_to_begin(job->queue);
}

static bool may_begin(const struct node_agent_job *job)
{
    const struct node_agent_job *older = job->pool->jobs;

    while (older != job && !waits_to_begin(older))
        older = older->next;
    return older == job || lease_queue_has_begun(job->queue);
}

/* Nothing more of it will be done here. */
static bool fail_job(struct node_agent_job *job, int status)
{
    job->has_failed = true;
    if (job->queue)
        lease_queue_give_up(job->queue);
    return post_trouble(MESSAGE_JOB_FAILED, job->pool->id, job->id, status);
}

static bool on_job_open(unsigned node, const void *payload, size_t size)
{
    const struct message_job *message = payload;
    const struct job_spec *spec = (const struct job_spec *)(message + 1);
    struct node_agent_pool *pool;
    struct node_agent_job *job;
    int status;

    if (node || size < sizeof *message + sizeof *spec ||
        size - sizeof *message - sizeof *spec != spec->context_size || !(pool = pool_of(message->pool)) ||
        !pool->node_pool || !(job = calloc(1, sizeof *job)))
        return false;
    job->id = message->job;
    job->spec = *spec;
    job->pool = pool;
    job->time = node_pool_time(pool->node_pool);
    *pool->last_job = job;
    pool->last_job = &job->next;
    status = lease_queue_create(&(struct queued_job){.node_pool = pool->node_pool,
                                                     .spec = spec,
                                                     .context = spec + 1,
                                                     .seen = tell_of_lease,
                                                     .argument = job},
                                &job->queue);
    return status ? fail_job(job, status) : true;
}

static bool on_job_close(unsigned node, const void *payload, size_t size)
{
    const struct message_job *message = payload;
    struct node_agent_job *job;

    if (node || size != sizeof *message || !(job = job_of(message->pool, message->job)))
        return false;
    job->closing = true;
    job->is_awaited = message->is_awaited;
    if (job->queue)
        lease_queue_stop(job->queue);
    return true;
}

static bool is_items(const struct node_agent_job *job, const void *items, size_t size,
                     const struct message_lease *lease)
{
    return job->spec.kind == JOB_BLOBS ? blob_is_pack(items, size, lease->count)
                                       : size == job_bytes_of(&job->spec, lease->first, lease->count);
}

static bool on_lease(unsigned node, const void *payload, size_t size)
{
    const struct message_lease *message = payload;
    struct node_agent_job *job;
    struct granted_lease lease;
    int status;

    if (node || size < sizeof *message || !(job = job_of(message->pool, message->job)) || !message->count ||
        message->count > UINT32_MAX || !is_items(job, message + 1, size - sizeof *message, message))
        return false;
    if (job->has_failed)
        return true; /* main has been told */
    be_lively(job);
    lease = (struct granted_lease){.number = message->lease,
                                   .first = message->first,
                                   .count = message->count,
                                   .size = size - sizeof *message};
    if (lease.size)
        lease.items = message + 1;
    status = lease_queue_grant(job->queue, &lease, may_begin(job));
    return status ? fail_job(job, status) : true;
}

static bool on_recall(unsigned node, const void *payload, size_t size)
{
    const struct message_lease *message = payload;
    struct message_lease reply;
    struct node_agent_job *job;

    if (node || size != sizeof *message)
        return false;
    reply = *message;
    if (!(job = job_of(message->pool, message->job)) || !job->queue ||
        !lease_queue_recall(job->queue, message->lease, &reply.count))
        return true; /* it was done while the recall was on its way */
    return !courier_post_one(0, MESSAGE_RETURNED, &reply, sizeof reply);
}

static bool look_at_job(struct node_agent_job *job)
{
    bool worked = false;
    int status;

    if (!job->queue)
        return false;
    if ((status = lease_queue_look(job->queue, may_begin(job), &worked)) && !fail_job(job, status))
        context_break(MPM_ENOMEM, mpm_error());
    return worked || status;
}

static void free_closed(struct node_agent_job *job)
{
    struct message_job message = {.pool = job->pool->id, .job = job->id};

    if (job->is_awaited && courier_post_one(0, MESSAGE_JOB_CLOSED, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
    free(job);
}

static bool look_at_jobs(struct node_agent_pool *pool)
{
    bool worked = false;

    for (struct node_agent_job **at = &pool->jobs, *job; (job = *at);) {
        if (!job->closing)
            worked |= look_at_job(job);
        if (job->closing && (!job->queue || lease_queue_close(job->queue))) {
            if (!(*at = job->next))
                pool->last_job = at;
            free_closed(job);
            worked = true;
        } else {
            at = &job->next;
        }
    }
    return worked;
}

/* As node_pool_check(), but MPM_EFORKSERVER if no worker is left. */
static int check_node_pool(struct node_pool *node_pool)
{
    return node_pool_has_no_workers(node_pool) ? node_pool_say_no_workers(node_pool)
                                               : node_pool_check(node_pool);
}

static bool announce_pool(struct node_agent_pool *pool)
{
    int status;

    if (pool->is_announced || (status = check_node_pool(pool->node_pool)) > 0)
        return false;
    pool->has_failed = status < 0;
    pool->is_announced = true;
    if (!post_trouble(MESSAGE_POOL_STATE, pool->id, 0, status))
        context_break(MPM_ENOMEM, mpm_error());
    return true;
}

/* Workers that leave a lease ring the doorbell. */
static void tell_idle(struct node_agent_pool *pool)
{
    struct message_pool message = {.pool = pool->id};

    if (!pool->is_asked || !node_pool_has_idle(pool->node_pool))
        return;
    pool->is_asked = false;
    if (courier_post_one(0, MESSAGE_IDLE, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

/* A pool whose workers have died and cannot be had again is told once more, with its trouble, behind the results
 * that it has had until then. */
static bool look_at_pool(struct node_agent_pool *pool)
{
    bool worked = look_at_jobs(pool);
    int status;

    if (!pool->node_pool)
        return worked;
    node_pool_watch(pool->node_pool);
    if (announce_pool(pool))
        return true;
    tell_idle(pool);
    if (!pool->has_failed && pool->is_announced && (status = check_node_pool(pool->node_pool)) < 0) {
        pool->has_failed = true;
        post_trouble(MESSAGE_POOL_STATE, pool->id, 0, status);
        return true;
    }
    return worked;
}

static bool node_agent_work(void)
{
    bool worked = false;

    for (struct node_agent_pool **at = &pools, *pool; (pool = *at);) {
        worked |= look_at_pool(pool);
        if (pool->killing && pool->node_pool)
            node_pool_kill_all(pool->node_pool);
        if (pool->closing && !pool->jobs && (!pool->node_pool || node_pool_is_closed(pool->node_pool))) {
            struct bad_ends ends = pool->node_pool ? node_pool_bad_ends(pool->node_pool)
                                                   : (struct bad_ends){0};
            struct message_pool message = {.pool = pool->id, .late = ends.late, .crashed = ends.crashed};

            *at = pool->next;
            if (courier_post_one(0, MESSAGE_POOL_CLOSED, &message, sizeof message))
                context_break(MPM_ENOMEM, mpm_error());
            node_pool_free(pool->node_pool);
            free(pool);
            worked = true;
        } else {
            at = &pool->next;
        }
    }
    return worked;
}

/* Of an earlier run that has broken in their midst. Their node pools look into its arena, which is gone: they are
 * left. */
static void forget_pools(void)
{
    for (struct node_agent_pool *pool = pools, *next_pool; pool; pool = next_pool) {
        for (struct node_agent_job *job = pool->jobs, *next; job; job = next) {
            next = job->next;
            lease_queue_forget(job->queue);
            free(job);
        }
        next_pool = pool->next;
        free(pool);
    }
    pools = NULL;
}

void node_agent_announce(void)
{
    forget_pools();
    courier_handle(MESSAGE_POOL_OPEN, on_pool_open);
    courier_handle(MESSAGE_POOL_CLOSE, on_pool_close);
    courier_handle(MESSAGE_POOL_ASKED, on_pool_asked);
    courier_handle(MESSAGE_IDLE_ASKED, on_idle_asked);
    courier_handle(MESSAGE_JOB_OPEN, on_job_open);
    courier_handle(MESSAGE_JOB_CLOSE, on_job_close);
    courier_handle(MESSAGE_LEASE, on_lease);
    courier_handle(MESSAGE_RECALL, on_recall);
    courier_add_work(node_agent_work);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pool has done: main's own node tells it at once, the others are asked. */
#include "mpmap/stats.h"

#include <stdlib.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "pool/driver/pool_state.h"

struct answers {
    mpm_stats stats; /* first: it is the caller's */
    mpm_node_stats *nodes;
    mpm_worker_stats *workers;
    unsigned filled; /* workers */
};

static struct answers *make_answers(const struct mpm_pool *pool)
{
    size_t nodes_size = pool->node_count * sizeof(mpm_node_stats);
    struct answers *answers = calloc(1, sizeof *answers + nodes_size +
                                            pool->worker_count * sizeof(mpm_worker_stats));

    if (!answers) {
        error_set(MPM_ENOMEM, "no memory for the counts of %u workers", pool->worker_count);
        return NULL;
    }
    answers->stats.nodes = answers->nodes = (mpm_node_stats *)(answers + 1);
    answers->stats.workers = answers->workers = (mpm_worker_stats *)(answers->nodes + pool->node_count);
    answers->stats.node_count = pool->node_count;
    answers->stats.worker_count = pool->worker_count;
    answers->stats.open_s = (double)(clock_now_ns() - pool->opened_ns) * 1e-9;
    return answers;
}

static void add_workers(struct answers *answers, unsigned node, const struct node_stats *stats)
{
    mpm_node_stats *there = &answers->nodes[node];

    for (uint64_t i = 0; i < stats->workers && answers->filled < answers->stats.worker_count; i++) {
        const struct worker_stats *told = &stats->worker[i];

        answers->workers[answers->filled++] = (mpm_worker_stats){
            .node = node, .done = told->done, .failed = told->failed, .busy_s = (double)told->busy_ns * 1e-9};
        there->done += told->done;
        there->failed += told->failed;
        there->busy_s += (double)told->busy_ns * 1e-9;
    }
}

static void add_node(struct answers *answers, const struct mpm_pool *pool, unsigned node,
                     const struct node_stats *stats)
{
    mpm_node_stats *there = &answers->nodes[node], *all = &answers->stats.all;

    *there = (mpm_node_stats){
        .workers = pool->node[node].workers,
        .failed = stats->failed,
        .retried = stats->retried,
        .bytes_sent = stats->call_bytes_sent + atomic_load(&pool->node[node].bytes_sent),
        .bytes_received = stats->call_bytes_received + atomic_load(&pool->node[node].bytes_received)};
    add_workers(answers, node, stats);
    all->workers += there->workers;
    all->done += there->done;
    all->failed += there->failed;
    all->retried += there->retried;
    all->bytes_sent += there->bytes_sent;
    all->bytes_received += there->bytes_received;
    all->busy_s += there->busy_s;
}

/* A lost node tells nothing: what it has done is not counted. */
static int wait_for_stats(const struct mpm_pool *pool, unsigned node, uint64_t question,
                          struct node_stats *stats, size_t size)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        int status;

        if (pool_state_stats(pool, node, question, stats, size))
            return MPM_OK;
        if (lost_node_is(node))
            return lost_node_say(node);
        if ((status = context_check_whole()))
            return status;
        eventcount_wait(context_doorbell(), seen, 0, CLOCK_FOREVER);
    }
}

static int read_remote(struct answers *answers, const struct mpm_pool *pool, unsigned node, uint64_t question)
{
    struct node_stats *stats;
    size_t size = sizeof *stats + pool->node[node].workers * sizeof *stats->worker;
    int status;

    if (!(stats = malloc(size)))
        return error_set(MPM_ENOMEM, "no memory for the counts of %u workers", pool->node[node].workers);
    if (!(status = wait_for_stats(pool, node, question, stats, size)))
        add_node(answers, pool, node, stats);
    free(stats);
    return status == MPM_ENODELOST && lost_node_is(node) ? MPM_OK : status;
}

static int read_home(struct answers *answers, const struct mpm_pool *pool, unsigned node)
{
    size_t size;
    struct node_stats *stats = node_pool_stats(pool->home, &size);

    if (!stats)
        return error_set(MPM_ENOMEM, "no memory for the counts of %u workers", pool->node[node].workers);
    add_node(answers, pool, node, stats);
    free(stats);
    return MPM_OK;
}

static int ask(const struct mpm_pool *pool, uint64_t question)
{
    struct message_question message = {.pool = pool->spec.id, .question = question};
    int status = MPM_OK;

    for (unsigned node = 0; !status && node < pool->node_count; node++) {
        if (pool->node[node].workers && node != context_topology()->node)
            status = courier_post_one(node, MESSAGE_POOL_ASKED, &message, sizeof message);
    }
    return status;
}

static int read_all(struct answers *answers, const struct mpm_pool *pool)
{
    uint64_t question = pool_state_new_id();
    int status = ask(pool, question);

    for (unsigned node = 0; !status && node < pool->node_count; node++) {
        if (!pool->node[node].workers)
            continue;
        status = node == context_topology()->node ? read_home(answers, pool, node)
                                                  : read_remote(answers, pool, node, question);
    }
    return status;
}

int mpm_pool_stats(mpm_pool *pool, mpm_stats **stats)
{
    struct answers *answers;
    int status;

    if ((status = pool_enter_call("mpm_pool_stats", pool)))
        return status;
    if (!stats)
        status = error_set(MPM_EINVAL, "mpm_pool_stats: the pointer for the statistics is NULL");
    else if (!(answers = make_answers(pool)))
        status = MPM_ENOMEM;
    else if ((status = read_all(answers, pool)))
        free(answers);
    else
        *stats = &answers->stats;
    pool_leave_call(pool);
    return status;
}

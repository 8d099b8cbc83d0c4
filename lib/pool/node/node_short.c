/* SPDX-License-Identifier: BSD-3-Clause */
/* Short maps, as a program makes that goes on in steps: what counts is the way from the call to its return.
 *
 * Memory. The job and the lease of one that has ended, in which nothing has failed, are kept for the next one: of the
 * same shape, it writes what differs, and the rest stays in the workers' caches. No worker is in a lease that is quiet,
 * so this is as if it were freed, and another lease made in its place; a worker that is still on its way to it finds
 * another serial.
 *
 * Waking. A worker that has nothing to do looks on for some time before it sleeps. A map like the last one, that took
 * its workers less time than it takes to wake one, is left to one of those who look on: the board's `work` is moved on
 * and nobody is woken. That is a guess: how many look on is reckoned from who sleeps, and may be wrong, since a worker
 * may be busy, or dead, or without a CPU. So whoever has woken nobody looks on for the end, and wakes the others if it
 * does not come soon; and whoever has woken only as many as there are items, while more slept, looks again after
 * WAKE_REST_NS, and wakes the rest if something is unclaimed then. (Where nobody sleeps on there is nothing to look
 * for, and no timer is set: on a virtual machine that would cost more than the map.) A worker that dies has its fork
 * server ring for the others (reaper.c). If the driver dies in between nobody wants the map any more.
 *
 * Ringing. Each worker that leaves a lease rings the doorbell; of a short one only the last does (`rings_last`): it
 * stores that it has left, then looks for others in it, both sequentially consistent, so of those who leave at the same
 * time at least the last to store sees nobody, and rings. One that dies is counted out by its fork server, which rings. */
#include "pool/node/node_short.h"

#include <stdlib.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/node/arena_budget.h"
#include "pool/node/node_pool_inside.h"

#define WORTH_NS     8000u    /* what takes longer is worth another worker */
#define LOOK_NS      10000u   /* how long a driver looks on that keeps a worker from its CPU */
#define LONG_LOOK_NS 20000u   /* and one that does not */
#define WAKE_REST_NS 1000000u /* by then a worker that was woken has come */
#define MOST_LUCK    8
#define BAD_LUCK     4 /* maps for which nobody looks on, after one whose end was not seen */
#define MOST_KEPT    ((uint64_t)64 << 10) /* bytes of a lease that is kept */
#define ARENA_SHARE  64u                  /* and at most one of so many parts of the arena */

int node_short_open(struct node_pool *node_pool, struct job_spec *spec, const struct function *task,
                    const void *context, struct node_job **opened)
{
    struct node_job *job = atomic_exchange(&node_pool->kept, NULL);
    int status;

    if (job && node_job_begin_again(job, spec, task, context)) {
        *opened = job;
        return MPM_OK;
    }
    if (job)
        node_job_free(job);
    spec->task = *task;
    if (!(status = node_job_open(node_pool, spec, context, opened)))
        (*opened)->is_short = true;
    return status;
}

/* Whether a worker looks on that does it all before another one would have woken. */
static bool is_left_to_lookers(const struct node_pool *node_pool, uint32_t sleepers)
{
    return sleepers < node_pool->board->worker_count &&
           atomic_load_explicit(&node_pool->work_ns, memory_order_relaxed) < WORTH_NS &&
           atomic_load_explicit(&node_pool->luck, memory_order_relaxed) > 0;
}

/* Whether it is done soon, and to look on takes no CPU from those who do it. One that has to be woken may come to this
 * very CPU. */
static bool may_look_on(const struct node_pool *node_pool, uint32_t sleepers, uint64_t count)
{
    uint64_t workers = node_pool->board->worker_count;

    return node_pool->has_own_cpu && !sleepers &&
           atomic_load_explicit(&node_pool->work_ns, memory_order_relaxed) <
               LONG_LOOK_NS * (count < workers ? count : workers);
}

static void note_luck(struct node_pool *node_pool, bool is_seen)
{
    int luck = atomic_load_explicit(&node_pool->luck, memory_order_relaxed);

    if (!is_seen)
        luck = -BAD_LUCK;
    else if (luck < MOST_LUCK)
        luck++;
    else
        return;
    atomic_store_explicit(&node_pool->luck, luck, memory_order_relaxed);
}

static bool is_claimed(const struct node_lease *lease)
{
    return atomic_load(&lease->block->next) >= lease->block->count;
}

static void wake_others(struct node_lease *lease)
{
    lease->wake_rest_ns = CLOCK_FOREVER;
    if (!is_claimed(lease))
        eventcount_wake(&lease->job->node_pool->board->work, UINT32_MAX);
}

/* Whether workers have left it, with nothing more to claim. */
static bool is_over(const struct node_lease *lease)
{
    return is_claimed(lease) && node_lease_is_quiet(lease);
}

static bool look_on(struct node_lease *lease, uint64_t look_ns)
{
    uint64_t until_ns = clock_now_ns() + look_ns, now_ns;

    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (is_over(lease))
            return true;
        if ((now_ns = clock_now_ns()) >= until_ns ||
            !eventcount_spin(context_doorbell(), seen, until_ns - now_ns))
            return false;
    }
}

/* Sees to it that workers come, and looks on if that takes no CPU from them. */
static void have_it_done(struct node_lease *lease, uint64_t count)
{
    struct node_pool *node_pool = lease->job->node_pool;
    uint32_t sleepers = eventcount_sleepers(&node_pool->board->work);
    bool is_left = is_left_to_lookers(node_pool, sleepers), is_seen;

    if (!is_left) {
        eventcount_wake(&node_pool->board->work, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
        lease->wake_rest_ns = count < sleepers ? 0 : CLOCK_FOREVER;
    }
    if (!is_left && !may_look_on(node_pool, sleepers, count)) {
        if (atomic_load_explicit(&node_pool->luck, memory_order_relaxed) <= 0)
            note_luck(node_pool, true);
        return;
    }
    is_seen = look_on(lease, is_left ? LOOK_NS : LONG_LOOK_NS);
    if (!is_left)
        return;
    note_luck(node_pool, is_seen);
    if (!is_seen)
        wake_others(lease);
}

int node_short_publish(struct node_job *job, uint64_t count, const void *items, uint64_t size,
                       struct node_lease **lease)
{
    int status = node_lease_publish(job, &(struct lease_range){.number = 1, .count = count}, items, size,
                                    lease);

    if (status)
        return status;
    (*lease)->wake_rest_ns = 0;
    have_it_done(*lease, count);
    return MPM_OK;
}

enum lease_look node_short_look(struct node_lease *lease)
{
    if (lease->wake_rest_ns && clock_now_ns() >= lease->wake_rest_ns)
        wake_others(lease);
    return node_lease_look(lease);
}

uint64_t node_short_look_again_ns(struct node_lease *lease)
{
    if (!lease->wake_rest_ns)
        lease->wake_rest_ns = clock_now_ns() + WAKE_REST_NS;
    return lease->wake_rest_ns;
}

/* What the map took its workers, if it was the only one. */
static void note_work(struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;
    uint64_t busy_ns = 0, before_ns = atomic_load_explicit(&node_pool->busy_ns, memory_order_relaxed);

    for (uint32_t i = 0; i < board->worker_count; i++)
        busy_ns += atomic_load_explicit(&board->worker[i].busy_ns, memory_order_relaxed);
    atomic_store_explicit(&node_pool->busy_ns, busy_ns, memory_order_relaxed);
    atomic_store_explicit(&node_pool->work_ns, busy_ns - before_ns, memory_order_relaxed);
}

/* Nothing has failed in it, so that it is as it was at first, but for what make_again() sees to. */
static bool is_clean(const struct node_job *job, const struct node_lease *lease)
{
    const struct lease_block *block = lease->block;
    mpm_node info;

    return !lease->crashed_item_count && !lease->given_up && !block->order && !lease->failures.count &&
           !atomic_load_explicit(&block->note_count, memory_order_relaxed) &&
           !atomic_load_explicit(&block->crash_count, memory_order_relaxed) &&
           !atomic_load_explicit(&job->block->refusals, memory_order_relaxed) &&
           !atomic_load_explicit(&job->block->text_used, memory_order_relaxed) &&
           lease->block_size + job->context_room <= MOST_KEPT &&
           !mpm_node_info(context_topology()->node, &info) &&
           lease->block_size + job->context_room <= info.arena_size / ARENA_SHARE;
}

/* Its lease is the next one's. */
static void keep(struct node_job *job)
{
    struct node_lease *lease = job->leases;

    job->leases = NULL;
    lease->is_said_claimed = false;
    job->spare = lease;
    if (!arena_budget_lease_rests(job->node_pool->arena, lease->offset, lease->block_size)) {
        free(lease);
        job->spare = NULL;
    }
}

void node_short_end(struct node_job *job)
{
    struct node_pool *node_pool = job->node_pool;
    struct node_job *none = NULL;

    note_work(node_pool);
    if (is_clean(job, job->leases)) {
        keep(job);
        if (atomic_compare_exchange_strong(&node_pool->kept, &none, job))
            return;
    }
    node_job_free(job);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Short maps, as a program makes that goes on in steps: what counts is the way from the call to its return.
 *
 * Memory. The job and the lease of one that has ended, in which nothing has failed, are kept for the next one: of the
 * same shape, it writes what differs, and the rest stays in the workers' caches. No worker is in a lease that is quiet,
 * so this is as if it were freed, and another lease made in its place; a worker that is still on its way to it finds
 * another serial.
 *
 * Waking. A worker that has nothing to do looks on for some time before it sleeps. short_plan.h says from the maps
 * before how many workers this one wants. If so many look on, the board's `work` is moved on and nobody is woken;
 * else so many are that are missing. That is a guess: how many look on is reckoned from who sleeps, and may be wrong,
 * since a worker may be busy, or dead, or without a CPU; and the map may be larger than it seems to be. So while
 * anybody sleeps who was not woken, whoever has published the map looks at it again: at the end of the time for which
 * it looks on; or, if it sleeps at once, after WAKE_REST_NS; and wakes the rest if something is unclaimed then. Where
 * nobody sleeps there is nothing to look for, and no timer is set. A worker that falls asleep meanwhile has seen
 * `work` as it was moved on, or finds it moved as it is about to sleep (eventcount.h), and looks at the board once
 * more. A worker that dies has its fork server ring for the others (reaper.c). If the driver dies in between nobody
 * wants the map any more.
 *
 * So nothing that is only guessed is ever waited for without a bound: what short_plan.h decides costs time where it
 * is wrong, and never an end that nobody sees. Nor does it matter whether the CPU is true that a worker has said it
 * looks on at: it is stored without any order, and says only whether the driver spins, yields or sleeps.
 *
 * Ringing. Each worker that leaves a lease rings the doorbell; of a short one only the last does (`rings_last`): it
 * stores that it has left, then looks for others in it, both sequentially consistent, so of those who leave at the
 * same time at least the last to store sees nobody, and rings. One that dies is counted out by its fork server, which
 * rings. */
#include "pool/node/node_short.h"

#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/node/arena_budget.h"
#include "pool/node/node_pool_inside.h"

#define LONG_LOOK_NS 1000000u /* of a look at what takes much less */
#define WAKE_REST_NS \
    5000000u /* by then a worker that was woken has come. Behind the next tick: no timer is set for it */

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

/* Until the doorbell has rung, or the clock says so. It rings for others, too. */
static bool look_for_ring(uint32_t seen, uint64_t until_ns, bool yields)
{
    for (;;) {
        if (yields)
            sched_yield();
        if (yields ? eventcount_prepare(context_doorbell()) != seen
                   : eventcount_spin(context_doorbell(), seen, 0))
            return true;
        if (clock_now_ns() >= until_ns)
            return false;
    }
}

/* Looks on until it is over, or the time is. */
static bool look_on(const struct node_lease *lease, uint64_t until_ns, bool yields)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (is_over(lease))
            return true;
        if (!look_for_ring(seen, until_ns, yields))
            return false;
    }
}

/* Whether it is to be learned from a look at all. A map of which some has been claimed after all the time that it
 * should take, but not all, is larger than it seemed to be: that says nothing of who has a CPU. */
static bool is_telling(struct node_lease *lease, bool is_seen)
{
    return is_seen || is_claimed(lease) || !node_lease_is_begun(lease);
}

/* For the end of the map. If others were let to run for much longer, it is seen, but a stranger had the CPU. */
static bool look_for_end(struct node_lease *lease, const struct short_plan *plan)
{
    uint64_t begun_ns = clock_now_ns();
    bool is_seen = look_on(lease, begun_ns + plan->wait_ns, plan->yields);

    if (!is_seen && is_claimed(lease))
        is_seen = look_on(lease, begun_ns + plan->look_ns, plan->yields);
    if (is_telling(lease, is_seen))
        short_plan_learn_look(&lease->job->node_pool->past,
                              is_seen && (!plan->yields || clock_now_ns() - begun_ns < LONG_LOOK_NS));
    return is_seen;
}

/* Whether the board has no lease but that one, whose workers would not come to another one soon. */
static bool has_only(const struct board *board, uint64_t lease)
{
    uint32_t end = atomic_load_explicit(&board->entry_end, memory_order_relaxed);

    for (uint32_t i = 0; i < end; i++) {
        uint64_t offset = atomic_load_explicit(&board->entry[i], memory_order_relaxed);

        if (offset && offset != lease)
            return false;
    }
    return true;
}

bool node_short_stays(struct node_pool *node_pool, uint64_t task_id, uint64_t count, uint32_t elsewhere)
{
    struct short_scene scene = {
        .task_id = task_id, .count = count, .workers = node_pool->board->worker_count};

    return has_only(node_pool->board, 0) && short_plan_stays(&node_pool->past, &scene, elsewhere);
}

static void store_hint(_Atomic uint32_t *hint, uint32_t value)
{
    if (atomic_load_explicit(hint, memory_order_relaxed) != value)
        atomic_store_explicit(hint, value, memory_order_relaxed);
}

/* Workers that look on, as far as they have said, on this thread's CPU. */
static uint32_t count_beside(struct board *board)
{
    uint32_t own = (uint32_t)sched_getcpu(), count = 0;

    store_hint(&board->driver_cpu, own);
    for (uint32_t i = atomic_load_explicit(&board->first_looker, memory_order_relaxed);
         i < board->worker_count; i++)
        count += atomic_load_explicit(&board->worker[i].cpu, memory_order_relaxed) == own;
    return count;
}

static struct short_plan make_plan(const struct node_lease *lease, uint64_t count, uint32_t sleepers)
{
    struct node_pool *node_pool = lease->job->node_pool;
    struct board *board = node_pool->board;
    struct short_scene scene = {.task_id = lease->job->block->spec.task_id,
                                .count = count,
                                .cpus = node_pool->cpus,
                                .workers = board->worker_count};

    if (sleepers < board->worker_count && has_only(board, lease->offset))
        scene.lookers = board->worker_count - sleepers;
    scene.beside = count_beside(board);
    if (scene.beside > scene.lookers)
        scene.beside = scene.lookers;
    return short_plan_make(&node_pool->past, &scene);
}

/* Sees to it that workers come, and looks on if that takes no CPU from them. */
static void have_it_done(struct node_lease *lease, uint64_t count)
{
    struct node_pool *node_pool = lease->job->node_pool;
    struct board *board = node_pool->board;
    uint32_t sleepers = eventcount_sleepers(&board->work);
    struct short_plan plan = make_plan(lease, count, sleepers);

    store_hint(&board->first_looker, plan.first_looker);
    eventcount_wake(&board->work, plan.wakes);
    lease->wake_rest_ns = plan.wakes < sleepers ? 0 : CLOCK_FOREVER;
    if (plan.look_ns && !look_for_end(lease, &plan))
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
    if (lease->wake_rest_ns && lease->wake_rest_ns != CLOCK_FOREVER && clock_now_ns() >= lease->wake_rest_ns)
        wake_others(lease);
    return node_lease_look(lease);
}

uint64_t node_short_look_again_ns(struct node_lease *lease)
{
    if (!lease->wake_rest_ns)
        lease->wake_rest_ns = clock_now_ns() + WAKE_REST_NS;
    return lease->wake_rest_ns;
}

/* What its workers have done since it was last called. */
static uint64_t take_busy_ns(struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;
    uint64_t busy_ns = 0, before_ns = atomic_load_explicit(&node_pool->busy_ns, memory_order_relaxed);

    for (uint32_t i = 0; i < board->worker_count; i++)
        busy_ns += atomic_load_explicit(&board->worker[i].busy_ns, memory_order_relaxed);
    atomic_store_explicit(&node_pool->busy_ns, busy_ns, memory_order_relaxed);
    return busy_ns - before_ns;
}

void node_short_learn(struct node_pool *node_pool, uint64_t task_id, uint64_t count, uint64_t work_ns)
{
    take_busy_ns(node_pool);
    short_plan_learn_work(&node_pool->past, task_id, count, work_ns);
}

/* What the map took its workers, if it was the only one. */
static void note_work(const struct node_job *job)
{
    uint64_t work_ns = take_busy_ns(job->node_pool);

    if (job->leases->keep == job->leases->block->count)
        short_plan_learn_work(&job->node_pool->past, job->block->spec.task_id, job->leases->keep, work_ns);
}

uint64_t node_short_cut(struct node_lease *lease)
{
    return is_claimed(lease) ? lease->keep : node_lease_cut(lease);
}

/* Nothing has failed in it, so that it is as it was at first, but for what make_again() sees to. */
static bool is_clean(const struct node_job *job, const struct node_lease *lease)
{
    const struct lease_block *block = lease->block;

    return lease->keep == block->count && !lease->crashed_item_count && !lease->given_up && !block->order &&
           !lease->failures.count && !atomic_load_explicit(&block->note_count, memory_order_relaxed) &&
           !atomic_load_explicit(&block->crash_count, memory_order_relaxed) &&
           !atomic_load_explicit(&job->block->refusals, memory_order_relaxed) &&
           !atomic_load_explicit(&job->block->text_used, memory_order_relaxed) &&
           lease->block_size + job->context_room <= job->node_pool->most_kept;
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

    note_work(job);
    if (is_clean(job, job->leases)) {
        keep(job);
        if (atomic_compare_exchange_strong(&node_pool->kept, &none, job))
            return;
    }
    node_job_free(job);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fork server does when a worker has died, or its rank, if the fork server has, too: board.h says in which
 * order. */
#include "pool/node/reaper.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "pool/node/lack.h"
#include "pool/shared/board.h"
#include "shm/kill_point.h"

/* What the node pool had to do with a death. */
enum death_cause {
    DEATH_CAUSE_OF_ITEM, /* nothing: whatever the item did */
    DEATH_CAUSE_LIMIT,   /* it had the worker killed, because this item has passed a limit */
    DEATH_CAUSE_NONE,    /* it had the worker killed for something else, or its fork server has died */
};

static enum death_cause death_cause_of(const struct worker_record *record,
                                       const struct process_record *process)
{
    uint64_t doomed = atomic_load(&record->kill_order.generation);

    if (!forkserver_is_self() && WIFSIGNALED(process->wait_status) &&
        WTERMSIG(process->wait_status) == SIGKILL)
        return DEATH_CAUSE_NONE;
    if (doomed != (uint64_t)process_generation_of(atomic_load(&process->word)) + 1 ||
        !WIFSIGNALED(process->wait_status) || WTERMSIG(process->wait_status) != SIGKILL)
        return DEATH_CAUSE_OF_ITEM;
    return record->kill_order.item != NO_ITEM && record->kill_order.item == atomic_load(&record->item) &&
                   record->kill_order.entered == atomic_load(&record->entered)
               ? DEATH_CAUSE_LIMIT
               : DEATH_CAUSE_NONE;
}

/* Whether the fork server has noted it before it died. */
static bool is_noted(const struct lease_block *lease, uint32_t worker, uint32_t generation)
{
    uint32_t count = atomic_load(&lease->crash_count);

    for (uint32_t i = 0; i < count && i < LEASE_MAX_CRASH; i++) {
        const struct crash *crash = &lease->crash[i];

        if (atomic_load(&crash->ready) && crash->worker == worker && crash->generation == generation)
            return true;
    }
    return false;
}

/* What the dead worker was in, or was about to begin; NO_ITEM if that was nothing. */
static uint64_t item_of(const struct worker_record *record)
{
    uint64_t made_ready = atomic_load(&record->made_ready);

    return made_ready ? made_ready - 1 : atomic_load(&record->item);
}

/* Blames the item that the worker was in, if it had not finished it. */
static void note_crash(struct arena *arena, struct worker_record *record, uint32_t number,
                       const struct process_record *process)
{
    uint64_t offset = atomic_load(&record->lease), item = item_of(record);
    struct lease_block *lease = arena_at(arena, offset);
    uint32_t generation = process_generation_of(atomic_load(&process->word)), claimed;
    enum death_cause death_cause = death_cause_of(record, process);
    struct crash *crash;

    if (!offset || item == NO_ITEM || atomic_load(&record->in_block) || item / lease->parts >= lease->size ||
        death_cause == DEATH_CAUSE_NONE ||
        lease_bit(lease_bits(arena, lease, lease->done, number), item / lease->parts) ||
        is_noted(lease, number, generation) ||
        (claimed = atomic_fetch_add(&lease->crash_count, 1)) >= LEASE_MAX_CRASH)
        return;
    KILL_POINT();
    crash = &lease->crash[claimed];
    crash->item = item;
    crash->wait_status = process->wait_status;
    crash->limit = death_cause == DEATH_CAUSE_LIMIT ? record->kill_order.limit : LIMIT_NONE;
    crash->worker = number;
    crash->generation = generation;
    KILL_POINT();
    atomic_store(&crash->ready, 1);
    KILL_POINT();
}

/* Of a call that the dead worker had taken and not answered. */
static void settle_call(struct board *board, struct mailbox *mailbox, const struct process_record *process,
                        enum death_cause death_cause)
{
    uint64_t death = (atomic_load(&process->word) >> 32 << 32) | (process->argument_index + 1);

    mailbox->wait_status = process->wait_status;
    mailbox->limit = death_cause == DEATH_CAUSE_LIMIT
                         ? board->worker[process->argument_index].kill_order.limit
                         : LIMIT_NONE;
    mailbox->is_alone = death_cause == DEATH_CAUSE_OF_ITEM && WIFSIGNALED(process->wait_status) &&
                        WTERMSIG(process->wait_status) == SIGKILL;
    KILL_POINT();
    if (death_cause != DEATH_CAUSE_NONE && mailbox->counted != death) {
        mailbox->counted = death;
        atomic_signal_fence(memory_order_seq_cst);
        KILL_POINT();
        mailbox->attempts++;
    }
    KILL_POINT();
    if (mailbox->attempts >= board->spec.max_attempts || atomic_load(&mailbox->is_given_up))
        atomic_store(&mailbox->reply, MAILBOX_HAS_DIED);
    else
        atomic_store(&mailbox->state, MAILBOX_WANTED);
    KILL_POINT();
}

/* Whether the dead worker has left the call without a reply. One that has a reply may be another call by the next
 * look; but nobody else makes a mailbox this worker's again, so if it still is after the reply was missing, that was
 * this call's. */
static bool is_left(const struct mailbox *mailbox, uint32_t number)
{
    uint32_t reply = atomic_load(&mailbox->reply);

    KILL_POINT();
    return !reply && atomic_load(&mailbox->state) == MAILBOX_TAKEN + (uint64_t)number;
}

/* The worker may have died between any two steps of taking a call. */
static void settle_calls(struct board *board, const struct worker_record *record, uint32_t number,
                         const struct process_record *process)
{
    enum death_cause death_cause = death_cause_of(record, process);
    uint64_t wanted = 0;

    for (unsigned i = 0; i < BOARD_MAILBOXES; i++) {
        struct mailbox *mailbox = &board->mailbox[i];

        if (atomic_load(&mailbox->state) == MAILBOX_TAKEN + (uint64_t)number) {
            KILL_POINT();
            if (is_left(mailbox, number))
                settle_call(board, mailbox, process, death_cause);
            eventcount_notify(&mailbox->answered);
        }
        if (atomic_load(&mailbox->state) == MAILBOX_WANTED)
            wanted |= UINT64_C(1) << i;
    }
    KILL_POINT();
    if (wanted) {
        atomic_fetch_or(&board->calls, wanted);
        KILL_POINT();
        eventcount_notify(&board->work);
    }
}

/* The time that it was in its last lease. */
static void count_time(struct worker_record *record)
{
    uint64_t since_ns = atomic_exchange(&record->busy_since_ns, 0);

    KILL_POINT();
    if (since_ns)
        atomic_fetch_add(&record->busy_ns, clock_now_ns() - since_ns);
}

/* Whether a worker was killed as it started, as for want of memory, in a pool that has had it before: that may pass. */
static bool is_starved(const struct worker_record *record, const struct process_record *process)
{
    return record->was_ready && !record->last_was_late && record->last_state < WORKER_READY &&
           WIFSIGNALED(process->wait_status) && WTERMSIG(process->wait_status) == SIGKILL;
}

/* The node pool had it killed for its initializer or its finalizer, and it still was in that. */
static bool was_late_in_setup(const struct worker_record *record, const struct process_record *process)
{
    return atomic_load(&record->kill_order.generation) ==
               (uint64_t)process_generation_of(atomic_load(&process->word)) + 1 &&
           record->kill_order.item == KILL_ORDER_IN_SETUP && WIFSIGNALED(process->wait_status) &&
           WTERMSIG(process->wait_status) == SIGKILL &&
           (record->last_state == WORKER_INITIALIZING || record->last_state == WORKER_RETIRING);
}

/* Whether the record gets another worker. A worker that cannot be had because its fork server has died is no failure of
 * the pool: the node pool looks whether any are left. */
static bool comes_again(struct board *board, struct worker_record *record,
                        const struct process_record *process)
{
    uint32_t none = 0;

    if (atomic_load(&board->closing) || atomic_load(&board->failed) || !forkserver_is_self())
        return false;
    if (atomic_load(&board->lack))
        return false;
    if (record->last_state >= WORKER_READY || is_starved(record, process) ||
        (!record->last_was_late && ++record->early_deaths < MAX_EARLY_DEATHS))
        return true;
    atomic_compare_exchange_strong(&board->failed, &none, process->argument_index + 1);
    return false;
}

/* Whether the number of an item in its lease does not tell its index in the map. */
static bool is_in_another_order(uint64_t lease)
{
    const struct lease_block *block = arena_at(context_arena(), lease);

    return job_is_indexed(&((const struct job_block *)arena_at(context_arena(), block->job))->spec);
}

static enum bad_end bad_end_of(const struct board *board, const struct worker_record *record,
                               const struct process_record *process)
{
    int status = process->wait_status;

    if (!status || !board->spec.has_finalizer || record->last_state != WORKER_RETIRING)
        return BAD_END_NONE;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return record->last_was_late ? BAD_END_LATE : BAD_END_NONE;
    return BAD_END_CRASHED;
}

/* Nobody may be there to be told by a status. */
static void tell_bad_end(const struct board *board, const struct process_record *process, enum bad_end end)
{
    unsigned long long pool = board->spec.id;
    char how[120];

    if (end == BAD_END_LATE)
        log_write(MPM_LOG_ERROR,
                  "worker %u of pool %llu was killed: its finalizer was still running after %g s",
                  process->argument_index, pool, board->spec.setup_timeout_s);
    else
        log_write(MPM_LOG_ERROR, "worker %u of pool %llu %s in its finalizer", process->argument_index, pool,
                  describe_wait_status(process->wait_status, how, sizeof how));
}

/* A record's first bad end is told, so that a finalizer which always crashes is told once a worker. */
static void note_end(const struct board *board, struct worker_record *record,
                     const struct process_record *process)
{
    enum bad_end end = bad_end_of(board, record, process);
    uint32_t none = BAD_END_NONE;

    if (end && atomic_compare_exchange_strong(&record->bad_end, &none, end))
        tell_bad_end(board, process, end);
}

/* A worker that ends in good order, or with its pool, is no news. */
static void tell_end(const struct board *board, const struct worker_record *record,
                     const struct process_record *process)
{
    uint64_t item = atomic_load(&record->item), lease = atomic_load(&record->lease);
    char how[120], where[40] = "";

    if (atomic_load(&board->closing) || (record->last_state == WORKER_RETIRING && !process->wait_status))
        return;
    if (lease && item != NO_ITEM && !is_in_another_order(lease))
        snprintf(
            where, sizeof where, " in item %llu",
            (unsigned long long)(((struct lease_block *)arena_at(context_arena(), lease))->first + item));
    log_write(MPM_LOG_INFO, "worker %u of pool %llu %s%s", process->argument_index,
              (unsigned long long)board->spec.id, describe_wait_status(process->wait_status, how, sizeof how),
              where);
}

/* Whether the pool has been without any worker on this node for as long as it may be. */
static bool is_given_up(struct board *board, int fork_errno)
{
    if (atomic_load(&board->lack))
        return true;
    if (!lack_has_lasted(board, board->spec.worker_timeout_s * UINT64_C(1000000000)))
        return false;
    atomic_store(&board->lack, fork_errno);
    return true;
}

/* Another worker for the record cannot be had now: whoever was there has been settled. */
static enum process_fate worker_lacks(struct board *board, struct worker_record *record,
                                      const struct process_record *process)
{
    bool is_over = !record->was_ready;
    uint32_t none = 0;

    lack_look(record, clock_now_ns());
    KILL_POINT();
    if (is_over && forkserver_is_self() && !atomic_load(&board->closing))
        atomic_compare_exchange_strong(&board->failed, &none, process->argument_index + 1);
    KILL_POINT();
    /* Before the look at `closing`. Pairs with node_pool_begin_close(), which stores `closing` and looks at the state,
     * all sequentially consistent: else a pool that closes would wait for a worker that is not had. */
    if (!is_over)
        atomic_store(&record->state, WORKER_LACKING);
    KILL_POINT();
    is_over |= atomic_load(&board->closing) || atomic_load(&board->failed) || !forkserver_is_self() ||
               is_given_up(board, process->fork_errno ? process->fork_errno : ENOMEM);
    if (is_over)
        atomic_store(&record->state, WORKER_GONE);
    KILL_POINT();
    eventcount_notify(arena_at(context_arena(), board->doorbell));
    return is_over ? PROCESS_IS_OVER : PROCESS_WAITS;
}

/* What it was just linking: see failure_text.h. */
void worker_died(uint32_t number)
{
    struct arena *arena = context_arena();
    const struct process_record *process = process_find(arena, number - 1);
    struct worker_record *record;
    struct board *board;
    uint64_t place, block;

    assert(thread_is(THREAD_FORKSERVER));
    if (!process || !(process->flags & PROCESS_IS_WORKER))
        return;
    board = arena_at(arena, process->argument);
    record = &board->worker[process->argument_index];
    if (!(place = atomic_load(&record->linking)))
        return;
    if ((block = atomic_load((_Atomic uint64_t *)arena_at(arena, place))))
        arena_pass(arena, block, board->owner);
    KILL_POINT();
    atomic_store(&record->linking, 0);
    KILL_POINT();
}

enum process_fate worker_ended(struct process_record *process)
{
    struct arena *arena = context_arena();
    struct board *board = arena_at(arena, process->argument);
    struct worker_record *record = &board->worker[process->argument_index];
    struct eventcount *doorbell = arena_at(arena, board->doorbell);
    bool again;

    assert(thread_is(THREAD_FORKSERVER));
    if (process->fork_errno)
        return worker_lacks(board, record, process);
    record->last_status = process->wait_status;
    record->last_state = atomic_load(&record->state);
    record->last_was_late = was_late_in_setup(record, process);
    note_end(board, record, process);
    tell_end(board, record, process);
    KILL_POINT();
    count_time(record);
    note_crash(arena, record, process->argument_index, process);
    settle_calls(board, record, process->argument_index, process);
    KILL_POINT();
    again = comes_again(board, record, process);
    atomic_store(&record->item, NO_ITEM);
    atomic_store(&record->made_ready, 0);
    atomic_store(&record->in_block, 0);
    KILL_POINT();
    atomic_store(&record->waits_for_node, 0);
    atomic_store(&record->kill_order.generation, 0);
    KILL_POINT();
    atomic_store(&record->lease, 0);
    KILL_POINT();
    atomic_store(&record->state, again ? WORKER_STARTING : WORKER_GONE);
    KILL_POINT();
    eventcount_notify(doorbell);
    eventcount_notify(&board->work); /* it may have been the only one that was woken */
    if (again && is_starved(record, process))
        return worker_lacks(board, record, process);
    return again ? PROCESS_COMES_AGAIN : PROCESS_IS_OVER;
}

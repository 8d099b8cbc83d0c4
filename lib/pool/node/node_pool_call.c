/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's side of single calls: see mailbox.h for who writes what. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/node/node_pool_inside.h"
#include "pool/node/arena_budget.h"
#include "shm/kill_point.h"

#define SPIN_NS  20000u    /* how long a caller looks on before it sleeps */
#define ROUND_NS 20000000u /* how long it sleeps at most before it checks whether there still is a pool */
#define KILL_NS  1000000u  /* and how long where it waits for a worker to die */

static struct mailbox *take_mailbox(struct board *board)
{
    static _Thread_local unsigned last; /* mostly this thread's own */

    for (unsigned i = 0; i < BOARD_MAILBOXES; i++) {
        unsigned number = (last + i) % BOARD_MAILBOXES;
        uint64_t none = MAILBOX_FREE;

        if (atomic_load_explicit(&board->mailbox[number].state, memory_order_relaxed) != MAILBOX_FREE ||
            !atomic_compare_exchange_strong(&board->mailbox[number].state, &none, MAILBOX_FILLING))
            continue;
        last = number;
        return &board->mailbox[number];
    }
    return NULL;
}

/* What of a call fits into no mailbox. */
static uint64_t block_size_of(uint32_t item_size, uint32_t result_size)
{
    return mailbox_item_part(item_size) + (result_size > MAILBOX_ROOM ? result_size : 0);
}

static void free_mailbox(struct arena *arena, struct mailbox *mailbox)
{
    if (mailbox->block)
        arena_budget_lease_ends(arena, mailbox->block,
                                block_size_of(mailbox->item_size, mailbox->result_size));
    mailbox->block = 0;
    if (atomic_load_explicit(&mailbox->said.blocks, memory_order_relaxed))
        failure_text_free(arena, &mailbox->said);
    /* Pairs with the exchange by which the next call takes it. */
    atomic_store_explicit(&mailbox->state, MAILBOX_FREE, memory_order_release);
}

static void count_bytes(_Atomic uint64_t *sum, uint64_t bytes)
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + bytes, memory_order_relaxed);
}

/* false if the arena has no room. */
static bool fill_mailbox(struct node_pool *node_pool, struct mailbox *mailbox,
                         const struct node_pool_call *call)
{
    struct arena *arena = node_pool->arena;
    uint64_t block_size = block_size_of(call->item_size, call->result_size);

    mailbox->item_size = call->item_size;
    mailbox->result_size = call->result_size;
    if (block_size &&
        arena_budget_take_for_lease(arena, block_size, node_pool->board->owner, &mailbox->block)) {
        mailbox->block = 0;
        return false;
    }
    if (call->item_size)
        memcpy(mailbox_item(mailbox, arena), call->item, call->item_size);
    count_bytes(&mailbox->bytes_sent, call->item_size);
    if (mailbox->task_id != call->task_id) {
        mailbox->task = *call->task;
        mailbox->task_id = call->task_id;
    }
    atomic_store_explicit(&mailbox->ticket,
                          atomic_fetch_add_explicit(&node_pool->last_ticket, 1, memory_order_relaxed),
                          memory_order_relaxed);
    mailbox->attempts = 0;
    mailbox->counted = 0;
    mailbox->is_alone = 0;
    atomic_store_explicit(&mailbox->is_given_up, 0, memory_order_relaxed);
    atomic_store_explicit(&mailbox->reply, MAILBOX_NO_REPLY, memory_order_relaxed);
    return true;
}

static bool spin_for_reply(struct mailbox *mailbox)
{
    uint64_t until_ns = 0;

    do {
        for (int i = 0; i < 64; i++) {
            /* Pairs with the store of MAILBOX_IS_DONE, worker/worker_mailbox.c. */
            if (atomic_load_explicit(&mailbox->reply, memory_order_acquire))
                return true;
            spin_pause();
        }
        if (!until_ns)
            until_ns = clock_now_ns() + SPIN_NS;
    } while (clock_now_ns() < until_ns);
    return false;
}

/* false if a worker has it. */
static bool take_back(struct mailbox *mailbox, uint64_t *state)
{
    *state = MAILBOX_WANTED;
    return atomic_compare_exchange_strong(&mailbox->state, state, MAILBOX_FILLING);
}

/* Nobody wants it any more. true if no worker has it; else that is killed, and the fork server will reply. */
static bool give_up(struct node_pool *node_pool, struct mailbox *mailbox)
{
    uint64_t state, number = (uint64_t)(mailbox - node_pool->board->mailbox);
    struct worker_record *record;
    uint64_t entered;

    atomic_store(&mailbox->is_given_up, 1);
    if (take_back(mailbox, &state))
        return true;
    if (state < MAILBOX_TAKEN)
        return false;
    record = &node_pool->board->worker[state - MAILBOX_TAKEN];
    entered = atomic_load(&record->entered);
    if (atomic_load(&mailbox->state) == state && !atomic_load(&mailbox->reply))
        node_pool_kill_worker(node_pool, (uint32_t)(state - MAILBOX_TAKEN), entered, number, LIMIT_NONE);
    return false;
}

/* Sleeps until there may be a reply, or something else to see to. */
static void sleep_on_mailbox(struct node_pool *node_pool, struct mailbox *mailbox, uint32_t seen,
                             uint64_t round_ns)
{
    uint64_t until_ns = clock_now_ns() + round_ns, watch_ns = node_pool_watch(node_pool);

    eventcount_wait(&mailbox->answered, seen, 0, watch_ns < until_ns ? watch_ns : until_ns);
}

/* What its caller says. A call that a worker has died in stays, with its count of attempts. */
static enum call_order look_at(struct mailbox *mailbox, call_look *look, void *argument)
{
    return look(argument, atomic_load(&mailbox->state) == MAILBOX_WANTED && !mailbox->attempts);
}

/* CALL_IS_DONE if there is a reply. A worker that was asleep needs longer than a spin is worth, and perhaps this
 * very CPU: it has that at once, before anything else is looked at. */
static enum call_end wait_for_reply(struct node_pool *node_pool, struct mailbox *mailbox, bool was_asleep,
                                    call_look *look, void *argument)
{
    enum call_order order = CALL_GOES_ON;
    uint64_t state;

    if (!was_asleep && spin_for_reply(mailbox))
        return CALL_IS_DONE;
    for (bool sleeps_at_once = was_asleep;; sleeps_at_once = false) {
        uint32_t seen = eventcount_prepare(&mailbox->answered);

        if (atomic_load(&mailbox->reply))
            return order == CALL_ENDS ? CALL_IS_GIVEN_UP : CALL_IS_DONE;
        if (order != CALL_ENDS && !sleeps_at_once)
            order = look_at(mailbox, look, argument);
        if (order == CALL_MOVES && take_back(mailbox, &state))
            return CALL_IS_MOVED;
        if (order == CALL_ENDS && (give_up(node_pool, mailbox) || context_check_whole()))
            return CALL_IS_GIVEN_UP;
        if (!sleeps_at_once && node_pool_has_no_workers(node_pool) && !atomic_load(&mailbox->reply))
            return order == CALL_ENDS ? CALL_IS_GIVEN_UP
                                      : CALL_IS_NOT_MADE; /* nobody will take it any more */
        sleep_on_mailbox(node_pool, mailbox, seen, order == CALL_ENDS ? KILL_NS : ROUND_NS);
    }
}

static void say_failure(const struct node_pool *node_pool, const struct mailbox *mailbox)
{
    struct worded_failure worded = {.failure = {.attempts = mailbox->attempts}};

    if (atomic_load(&mailbox->reply) == MAILBOX_HAS_DIED) {
        node_pool_describe_death(node_pool, mailbox->wait_status, (enum item_limit)mailbox->limit, &worded);
        error_set(MPM_ETASK, "the call failed: %s", worded.failure.text);
    } else if (mailbox->said.text[0]) {
        error_set(MPM_ETASK, "the call failed: %s", failure_text_of(node_pool->arena, &mailbox->said));
    } else {
        error_set(MPM_ETASK, "the call failed: the task returned %d", (int)mailbox->code);
    }
}

enum call_end node_pool_make_call(struct node_pool *node_pool, struct node_pool_call *call, call_look *look,
                                  void *argument)
{
    struct board *board = node_pool->board;
    struct mailbox *mailbox = take_mailbox(board);
    enum call_end end;
    bool was_asleep;

    if (!mailbox)
        return CALL_IS_NOT_MADE;
    if (!fill_mailbox(node_pool, mailbox, call)) {
        free_mailbox(node_pool->arena, mailbox);
        return CALL_IS_NOT_MADE;
    }
    /* Pairs with the exchange by which a worker takes it. */
    atomic_store_explicit(&mailbox->state, MAILBOX_WANTED, memory_order_release);
    atomic_fetch_or(&board->calls, UINT64_C(1) << (mailbox - board->mailbox));
    was_asleep = eventcount_notify_one(&board->work);
    end = wait_for_reply(node_pool, mailbox, was_asleep, look, argument);
    if (end == CALL_IS_DONE && atomic_load(&mailbox->reply) == MAILBOX_IS_DONE && !mailbox->code) {
        KILL_POINT();
        if (call->result_size)
            memcpy(call->result, mailbox_result(mailbox, node_pool->arena), call->result_size);
        count_bytes(&mailbox->bytes_received, call->result_size);
        atomic_fetch_add(&node_pool->counts[atomic_load(&mailbox->state) - MAILBOX_TAKEN].done, 1);
    } else if (end == CALL_IS_DONE) {
        end = CALL_HAS_FAILED;
        atomic_fetch_add(&node_pool->failed, 1);
        say_failure(node_pool, mailbox);
    }
    if (mailbox->attempts)
        atomic_fetch_add(&node_pool->retried,
                         mailbox->attempts - (atomic_load(&mailbox->reply) == MAILBOX_HAS_DIED));
    free_mailbox(node_pool->arena, mailbox);
    return end;
}

void node_pool_wake_callers(struct node_pool *node_pool)
{
    for (unsigned i = 0; i < BOARD_MAILBOXES; i++)
        eventcount_notify(&node_pool->board->mailbox[i].answered);
}

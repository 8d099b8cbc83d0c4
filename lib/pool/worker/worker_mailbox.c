/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of single calls: see mailbox.h for who writes what. */
#include "base/error.h"
#include "node/context.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

/* The task of the last call: most calls are for the same. */
static uint64_t task_id;
static mpm_task *task;

static int find_task(const struct mailbox *mailbox)
{
    function_pointer *found;

    if (mailbox->task_id == task_id)
        return MPM_OK;
    if (function_find(&mailbox->task, &found)) {
        mpm_fail(&worker_self.call, "%s", mpm_error());
        return 1;
    }
    task = (mpm_task *)found;
    task_id = mailbox->task_id;
    return MPM_OK;
}

/* The record says which item the worker is in, for those who look how long it takes. */
static void publish(uint64_t item)
{
    struct worker_record *record = worker_self.record;

    if (item != NO_ITEM)
        atomic_store_explicit(&record->entered,
                              atomic_load_explicit(&record->entered, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    KILL_POINT();
    /* Pairs with the loads of reaper.c and node_pool.c: `entered` is seen with it. */
    atomic_store_explicit(&record->item, item, memory_order_release);
    KILL_POINT();
}

static void run_mailbox(struct mailbox *mailbox, uint64_t number)
{
    struct mpm_call *call = &worker_self.call;
    int code;

    call->index = 0;
    call->item_size = mailbox->item_size;
    call->result_size = mailbox->result_size;
    call->context = NULL;
    call->text[0] = 0;
    publish(number);
    if (!(code = find_task(mailbox))) {
        code = task(call, mailbox->item_size ? mailbox_item(mailbox, worker_self.arena) : NULL,
                    mailbox->result_size ? mailbox_result(mailbox, worker_self.arena) : NULL);
        context_back_from_program(code);
    }
    publish(NO_ITEM);
    mailbox->code = code;
    if (code)
        worker_write_text(&mailbox->said, NULL);
    worker_forget_text();
    KILL_POINT();
    /* Pairs with spin_for_reply(), node/node_pool_call.c. */
    atomic_store_explicit(&mailbox->reply, MAILBOX_IS_DONE, memory_order_release);
    KILL_POINT();
    eventcount_notify(&mailbox->answered);
    KILL_POINT();
}

/* Gives back a call that it has taken and not begun. Without its bit nobody takes it. */
static void put_back(struct board *board, unsigned number, bool with_bit)
{
    atomic_store(&board->mailbox[number].state, MAILBOX_WANTED);
    KILL_POINT();
    if (with_bit)
        atomic_fetch_or(&board->calls, UINT64_C(1) << number);
    KILL_POINT();
    eventcount_notify(&board->mailbox[number].answered);
}

/* false if another worker was faster, or the call was taken back, or nobody is to begin anything now. */
static bool take_call(struct board *board, unsigned number)
{
    uint64_t wanted = MAILBOX_WANTED, bit = UINT64_C(1) << number;

    if (!(atomic_fetch_and(&board->calls, ~bit) & bit))
        return false;
    KILL_POINT();
    if (!atomic_compare_exchange_strong(&board->mailbox[number].state, &wanted,
                                        MAILBOX_TAKEN + (uint64_t)worker_self.number))
        return false;
    KILL_POINT();
    if (!worker_is_held())
        return true;
    put_back(board, number, true);
    return false;
}

static bool is_wanted(void *argument)
{
    const struct mailbox *mailbox = argument;

    return !atomic_load(&mailbox->is_given_up);
}

/* A call that nobody waits for any more is left for its caller to take back. */
static void run_call(struct board *board, unsigned number)
{
    struct mailbox *mailbox = &board->mailbox[number];
    bool is_alone = mailbox->is_alone;

    if (is_alone && !worker_take_node(is_wanted, mailbox)) {
        put_back(board, number, false);
        return;
    }
    if (worker_self.tasks_left != UINT64_MAX)
        worker_self.tasks_left--;
    run_mailbox(mailbox, number);
    if (is_alone)
        worker_give_node_back();
}

static uint64_t ticket_of(const struct board *board, unsigned number)
{
    return atomic_load_explicit(&board->mailbox[number].ticket, memory_order_relaxed);
}

/* Of the calls that are wanted, of which there mostly is one. */
static unsigned oldest_call(const struct board *board, uint64_t bits)
{
    unsigned oldest = (unsigned)__builtin_ctzll(bits);

    for (bits &= bits - 1; bits; bits &= bits - 1) {
        unsigned number = (unsigned)__builtin_ctzll(bits);

        if (ticket_of(board, number) < ticket_of(board, oldest))
            oldest = number;
    }
    return oldest;
}

bool worker_serve_calls(void)
{
    struct board *board = worker_self.board;
    bool served = false;
    uint64_t bits;

    /* Pairs with the bit that node_pool_make_call() sets. */
    while (worker_self.tasks_left && (bits = atomic_load_explicit(&board->calls, memory_order_acquire)) &&
           !(bits & BOARD_HELD)) {
        unsigned number = oldest_call(board, bits);

        if (!take_call(board, number))
            continue;
        KILL_POINT();
        run_call(board, number);
        served = true;
    }
    return served;
}

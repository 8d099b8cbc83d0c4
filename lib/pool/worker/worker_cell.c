/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of single calls: see cell.h for who writes what. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "node/context.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

/* The task of the last call: most calls are for the same. */
static uint64_t task_id;
static mpm_task *task;

static int find_task(const struct cell *cell)
{
    function_pointer *found;

    if (cell->task_id == task_id)
        return MPM_OK;
    if (function_find(&cell->task, &found)) {
        snprintf(worker_self.call.text, sizeof worker_self.call.text, "%s", mpm_error());
        return 1;
    }
    task = (mpm_task *)found;
    task_id = cell->task_id;
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
    atomic_store_explicit(&record->item, item, memory_order_release);
    KILL_POINT();
}

static void run_cell(struct cell *cell, uint64_t number)
{
    struct mpm_call *call = &worker_self.call;
    int code;

    call->index = 0;
    call->item_size = cell->item_size;
    call->result_size = cell->result_size;
    call->context = NULL;
    call->text[0] = 0;
    publish(number);
    if (!(code = find_task(cell))) {
        code = task(call, cell->item_size ? cell_item(cell, worker_self.arena) : NULL,
                    cell->result_size ? cell_result(cell, worker_self.arena) : NULL);
        runtime_back_from_program(code);
    }
    publish(NO_ITEM);
    cell->code = code;
    if (code)
        memcpy(cell->text, call->text, sizeof cell->text);
    call->text[0] = 0;
    KILL_POINT();
    atomic_store_explicit(&cell->answer, CELL_IS_DONE, memory_order_release);
    KILL_POINT();
    eventcount_notify(&cell->answered);
    KILL_POINT();
}

/* Gives back a call that it has taken and not begun. Without its bit nobody takes it. */
static void put_back(struct board *board, unsigned number, bool with_bit)
{
    atomic_store(&board->cell[number].state, CELL_WANTED);
    KILL_POINT();
    if (with_bit)
        atomic_fetch_or(&board->calls, UINT64_C(1) << number);
    KILL_POINT();
    eventcount_notify(&board->cell[number].answered);
}

/* false if another worker was faster, or the call was taken back, or nobody is to begin anything now. */
static bool take_call(struct board *board, unsigned number)
{
    uint64_t wanted = CELL_WANTED, bit = UINT64_C(1) << number;

    if (!(atomic_fetch_and(&board->calls, ~bit) & bit))
        return false;
    KILL_POINT();
    if (!atomic_compare_exchange_strong(&board->cell[number].state, &wanted,
                                        CELL_TAKEN + (uint64_t)worker_self.number))
        return false;
    KILL_POINT();
    if (!worker_is_held())
        return true;
    put_back(board, number, true);
    return false;
}

static bool is_wanted(void *argument)
{
    const struct cell *cell = argument;

    return !atomic_load(&cell->is_given_up);
}

/* A call that nobody waits for any more is left for its caller to take back. */
static void run_call(struct board *board, unsigned number)
{
    struct cell *cell = &board->cell[number];
    bool is_alone = cell->is_alone;

    if (is_alone && !worker_take_node(is_wanted, cell)) {
        put_back(board, number, false);
        return;
    }
    if (worker_self.tasks_left != UINT64_MAX)
        worker_self.tasks_left--;
    run_cell(cell, number);
    if (is_alone)
        worker_give_node_back();
}

static uint64_t ticket_of(const struct board *board, unsigned number)
{
    return atomic_load_explicit(&board->cell[number].ticket, memory_order_relaxed);
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

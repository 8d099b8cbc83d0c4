/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's side of single calls: see cell.h for who writes what. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "node/context.h"
#include "pool/node/node_pool_inside.h"
#include "pool/node/arena_budget.h"
#include "shm/kill_point.h"

#define SPIN_NS  20000u    /* how long a caller looks on before it sleeps */
#define ROUND_NS 20000000u /* how long it sleeps at most before it checks whether there still is a pool */
#define KILL_NS  1000000u  /* and how long where it waits for a worker to die */

static struct cell *take_cell(struct board *board)
{
    static _Thread_local unsigned last; /* mostly this thread's own */

    for (unsigned i = 0; i < BOARD_CELLS; i++) {
        unsigned number = (last + i) % BOARD_CELLS;
        uint64_t none = CELL_FREE;

        if (atomic_load_explicit(&board->cell[number].state, memory_order_relaxed) != CELL_FREE ||
            !atomic_compare_exchange_strong(&board->cell[number].state, &none, CELL_FILLING))
            continue;
        last = number;
        return &board->cell[number];
    }
    return NULL;
}

/* What of a call fits into no cell. */
static uint64_t block_size_of(uint32_t item_size, uint32_t result_size)
{
    return cell_item_part(item_size) + (result_size > CELL_ROOM ? result_size : 0);
}

static void free_cell(struct arena *arena, struct cell *cell)
{
    if (cell->block)
        arena_budget_lease_ends(arena, cell->block, block_size_of(cell->item_size, cell->result_size));
    cell->block = 0;
    atomic_store_explicit(&cell->state, CELL_FREE, memory_order_release);
}

static void count_bytes(_Atomic uint64_t *sum, uint64_t bytes)
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + bytes, memory_order_relaxed);
}

/* false if the arena has no room. */
static bool fill_cell(struct node_pool *node_pool, struct cell *cell, const struct node_pool_call *call)
{
    struct arena *arena = node_pool->arena;
    uint64_t block_size = block_size_of(call->item_size, call->result_size);

    cell->item_size = call->item_size;
    cell->result_size = call->result_size;
    if (block_size && arena_budget_take_for_lease(arena, block_size, node_pool->board->owner, &cell->block)) {
        cell->block = 0;
        return false;
    }
    if (call->item_size)
        memcpy(cell_item(cell, arena), call->item, call->item_size);
    count_bytes(&cell->bytes_sent, call->item_size);
    if (cell->task_id != call->task_id) {
        cell->task = *call->task;
        cell->task_id = call->task_id;
    }
    atomic_store_explicit(&cell->ticket,
                          atomic_fetch_add_explicit(&node_pool->last_ticket, 1, memory_order_relaxed),
                          memory_order_relaxed);
    cell->attempts = 0;
    cell->counted = 0;
    cell->is_alone = 0;
    atomic_store_explicit(&cell->is_given_up, 0, memory_order_relaxed);
    atomic_store_explicit(&cell->answer, CELL_NO_ANSWER, memory_order_relaxed);
    return true;
}

static bool spin_for_answer(struct cell *cell)
{
    uint64_t until_ns = 0;

    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&cell->answer, memory_order_acquire))
                return true;
            spin_pause();
        }
        if (!until_ns)
            until_ns = clock_now_ns() + SPIN_NS;
    } while (clock_now_ns() < until_ns);
    return false;
}

/* false if a worker has it. */
static bool take_back(struct cell *cell, uint64_t *state)
{
    *state = CELL_WANTED;
    return atomic_compare_exchange_strong(&cell->state, state, CELL_FILLING);
}

/* Nobody wants it any more. true if no worker has it; else that is killed, and the host will answer. */
static bool give_up(struct node_pool *node_pool, struct cell *cell)
{
    uint64_t state, number = (uint64_t)(cell - node_pool->board->cell);
    struct worker_record *record;
    uint64_t entered;

    atomic_store(&cell->is_given_up, 1);
    if (take_back(cell, &state))
        return true;
    if (state < CELL_TAKEN)
        return false;
    record = &node_pool->board->worker[state - CELL_TAKEN];
    entered = atomic_load(&record->entered);
    if (atomic_load(&cell->state) == state && !atomic_load(&cell->answer))
        node_pool_kill_worker(node_pool, (uint32_t)(state - CELL_TAKEN), entered, number, LIMIT_NONE);
    return false;
}

/* Sleeps until there may be an answer, or something else to see to. */
static void sleep_on_cell(struct node_pool *node_pool, struct cell *cell, uint32_t seen, uint64_t round_ns)
{
    uint64_t until_ns = clock_now_ns() + round_ns, watch_ns = node_pool_watch(node_pool);

    eventcount_wait(&cell->answered, seen, 0, watch_ns < until_ns ? watch_ns : until_ns);
}

/* What its caller says. A call that a worker has died in stays, with its count of attempts. */
static enum call_order look_at(struct cell *cell, call_look *look, void *argument)
{
    return look(argument, atomic_load(&cell->state) == CELL_WANTED && !cell->attempts);
}

/* CALL_IS_DONE if there is an answer. A worker that was asleep needs longer than a spin is worth, and perhaps this
 * very CPU: it has that at once, before anything else is looked at. */
static enum call_end wait_for_answer(struct node_pool *node_pool, struct cell *cell, bool was_asleep,
                                     call_look *look, void *argument)
{
    enum call_order order = CALL_GOES_ON;
    uint64_t state;

    if (!was_asleep && spin_for_answer(cell))
        return CALL_IS_DONE;
    for (bool sleeps_at_once = was_asleep;; sleeps_at_once = false) {
        uint32_t seen = eventcount_prepare(&cell->answered);

        if (atomic_load(&cell->answer))
            return order == CALL_ENDS ? CALL_IS_GIVEN_UP : CALL_IS_DONE;
        if (order != CALL_ENDS && !sleeps_at_once)
            order = look_at(cell, look, argument);
        if (order == CALL_MOVES && take_back(cell, &state))
            return CALL_IS_MOVED;
        if (order == CALL_ENDS && (give_up(node_pool, cell) || runtime_check_whole()))
            return CALL_IS_GIVEN_UP;
        if (!sleeps_at_once && node_pool_has_no_workers(node_pool) && !atomic_load(&cell->answer))
            return order == CALL_ENDS ? CALL_IS_GIVEN_UP
                                      : CALL_IS_NOT_MADE; /* nobody will take it any more */
        sleep_on_cell(node_pool, cell, seen, order == CALL_ENDS ? KILL_NS : ROUND_NS);
    }
}

static void describe_failure(const struct node_pool *node_pool, const struct cell *cell, mpm_failure *failure)
{
    *failure = (mpm_failure){.attempts = cell->attempts, .node = runtime_topology()->node};
    if (atomic_load(&cell->answer) == CELL_HAS_DIED) {
        node_pool_describe_death(node_pool, cell->wait_status, (enum item_limit)cell->limit, failure);
        return;
    }
    failure->attempts++;
    failure->code = cell->code;
    if (cell->text[0])
        snprintf(failure->text, sizeof failure->text, "%s", cell->text);
    else
        snprintf(failure->text, sizeof failure->text, "the task returned %d", (int)cell->code);
}

enum call_end node_pool_make_call(struct node_pool *node_pool, struct node_pool_call *call, call_look *look,
                                  void *argument)
{
    struct board *board = node_pool->board;
    struct cell *cell = take_cell(board);
    enum call_end end;
    bool was_asleep;

    if (!cell)
        return CALL_IS_NOT_MADE;
    if (!fill_cell(node_pool, cell, call)) {
        free_cell(node_pool->arena, cell);
        return CALL_IS_NOT_MADE;
    }
    atomic_store_explicit(&cell->state, CELL_WANTED, memory_order_release);
    atomic_fetch_or(&board->calls, UINT64_C(1) << (cell - board->cell));
    was_asleep = eventcount_notify_one(&board->work);
    end = wait_for_answer(node_pool, cell, was_asleep, look, argument);
    if (end == CALL_IS_DONE && atomic_load(&cell->answer) == CELL_IS_DONE && !cell->code) {
        KILL_POINT();
        if (call->result_size)
            memcpy(call->result, cell_result(cell, node_pool->arena), call->result_size);
        count_bytes(&cell->bytes_received, call->result_size);
        atomic_fetch_add(&node_pool->counts[atomic_load(&cell->state) - CELL_TAKEN].done, 1);
    } else if (end == CALL_IS_DONE) {
        end = CALL_HAS_FAILED;
        atomic_fetch_add(&node_pool->failed, 1);
        describe_failure(node_pool, cell, &call->failure);
    }
    if (cell->attempts)
        atomic_fetch_add(&node_pool->retried, cell->attempts - (atomic_load(&cell->answer) == CELL_HAS_DIED));
    free_cell(node_pool->arena, cell);
    return end;
}

void node_pool_wake_callers(struct node_pool *node_pool)
{
    for (unsigned i = 0; i < BOARD_CELLS; i++)
        eventcount_notify(&node_pool->board->cell[i].answered);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool registry. It is changed under its mutex only, but for numbers that are given back.
 *
 * Who writes what, in which order, and what is true if the writer dies at each step:
 *
 * A number is free while 0 stands in `taken`; else that holds the number of the pool that has it, a pool's own number
 * its own. `doomed` is the number of a pool that is just being made or freed: it is stored before the number is taken,
 * or the board taken out of the list, and taken back when the pool is whole and in the list, or nothing of it is left.
 * Whoever takes the mutex over from a dead node pool frees what is doomed, by the same steps, each of which may be
 * done twice. So at any other moment boards in the list are whole, each number has one of them, and each block of the
 * arena that a pool has is owned by a number of it. What a driver was just allocating or freeing has its number, too.
 *
 * A number that a driver gives back is freed of its blocks first, then 0 is stored. If it dies before that, the number
 * is the pool's still.
 *
 * Running alone. A worker that is to run an item while no other of the node's workers runs any takes the node, under
 * the mutex: it stores its board, the time, and its number in `loner`, then sets BOARD_HELD in `calls` of each board
 * in the list; boards that are made meanwhile get it, too. Whoever sees that bit begins no item and no call: it looks
 * for it after it has named its lease, or taken its call, and the loner sets the bit first and looks at those then, so
 * one of them sees the other; between two chunks workers look at `calls` anyhow. The loner begins when nobody is in a
 * lease or a call any more, but who waits for the node itself. To give the node back it takes the bits out, rings, and
 * then stores 0 in `loner`. If it dies, the fork server that reaps it finds its number in `loner`, and does that for
 * it; each step may be done twice. So nothing depends on the node pool: it may be in a progress function of its user's
 * that waits for a call. Workers of other pools stand back for HOLD_OTHERS_NS at most: what they do, the loner, or one
 * that it waits for, may depend on.
 *
 * When a process dies, the fork server that reaps it (1) looks for boards that it drove, and marks each `is_orphan`,
 * then `closing`, so that no worker is forked anew, and empties its slots; (2) has its workers killed; (3) when none is
 * left, sets their records free, and frees the pool. A fork server looks at 2 and 3 again each time that it has told of
 * some process's end, or of its coming again. Workers are found by their records, so it does not matter whether
 * the driver knew of them: they are of the pool whose board's offset stands there, and a board is freed only when no
 * record that is wanted, runs, or has ended names it. A fork server that dies in any of this leaves its rank, or the
 * next fork server that looks, to do it. */
#include "pool/shared/pool_registry.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_role.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "pool/shared/board.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "shm/robust_mutex.h"

/* Above the numbers of processes and ranks, below those of objects. */
#define FIRST_NUMBER ARENA_FIRST_LASTING_OWNER
#define NUMBERS      4096u

#define HOLD_OTHERS_NS UINT64_C(30000000000)

struct pool_registry {
    struct robust_mutex mutex;
    _Atomic uint32_t doomed; /* 0: none */
    _Atomic uint64_t first;  /* of the boards: each names the next */
    _Atomic uint32_t loner;  /* number of the worker that has the node; 0: nobody has */
    _Atomic uint64_t loner_board, loner_since_ns;
    _Atomic uint32_t taken[NUMBERS];
};

static struct pool_registry *pool_registry(void)
{
    return arena_root(context_arena(), ARENA_ROOT_POOLS);
}

static struct board *board_at(uint64_t offset)
{
    return offset ? arena_at(context_arena(), offset) : NULL;
}

int pool_registry_create(struct arena *arena)
{
    int status = arena_make_root(arena, ARENA_ROOT_POOLS, sizeof(struct pool_registry));

    if (!status)
        robust_mutex_create(&pool_registry()->mutex);
    return status;
}

/* Numbers. */

static _Atomic uint32_t *taken_of(uint32_t number)
{
    return &pool_registry()->taken[number - FIRST_NUMBER];
}

static void free_number(uint32_t number)
{
    arena_free_owned(context_arena(), number);
    KILL_POINT();
    atomic_store(taken_of(number), 0);
    KILL_POINT();
}

/* Under the mutex. */
static int find_number(uint32_t *number)
{
    for (uint32_t i = 0; i < NUMBERS; i++) {
        if (!atomic_load(&pool_registry()->taken[i])) {
            *number = FIRST_NUMBER + i;
            return MPM_OK;
        }
    }
    return error_set(MPM_ENOMEM, "a node can have at most %u pools and maps of blobs at once", NUMBERS);
}

/* Under the mutex. */

static void unlink_board(uint32_t number)
{
    for (_Atomic uint64_t *at = &pool_registry()->first; atomic_load(at);
         at = &board_at(atomic_load(at))->next) {
        const struct board *board = board_at(atomic_load(at));

        if (board->owner == number) {
            atomic_store(at, atomic_load(&board->next));
            return;
        }
    }
}

/* The pool's own number is the last to be free: until then the others can be told. */
static void free_doomed(void)
{
    uint32_t number = atomic_load(&pool_registry()->doomed);

    if (!number)
        return;
    unlink_board(number);
    KILL_POINT();
    for (uint32_t i = 0; i < NUMBERS; i++) {
        if (atomic_load(&pool_registry()->taken[i]) == number && FIRST_NUMBER + i != number)
            free_number(FIRST_NUMBER + i);
    }
    free_number(number);
    atomic_store(&pool_registry()->doomed, 0);
    KILL_POINT();
}

static void kill_order(uint32_t number)
{
    atomic_store(&pool_registry()->doomed, number);
    KILL_POINT();
}

static void lock(void)
{
    if (!robust_mutex_lock(&pool_registry()->mutex))
        return;
    free_doomed();
    robust_mutex_repaired(&pool_registry()->mutex);
}

static void unlock(void)
{
    robust_mutex_unlock(&pool_registry()->mutex);
    KILL_POINT();
}

/* Making and freeing. */

static int make_board(size_t size, uint32_t number, uint64_t *offset)
{
    struct board *board;
    int status;

    kill_order(number);
    atomic_store(taken_of(number), number);
    KILL_POINT();
    if ((status = arena_alloc(context_arena(), size, number, offset))) {
        free_doomed();
        return status;
    }
    board = board_at(*offset);
    memset(board, 0, size);
    board->owner = number;
    board->driver = process_own_number();
    if (atomic_load(&pool_registry()->loner))
        atomic_store(&board->calls, BOARD_HELD);
    atomic_store(&board->next, atomic_load(&pool_registry()->first));
    KILL_POINT();
    atomic_store(&pool_registry()->first, *offset);
    kill_order(0);
    return MPM_OK;
}

int pool_registry_enter(size_t size, uint64_t *board)
{
    uint32_t number = 0;
    int status;

    lock();
    if (!(status = find_number(&number)))
        status = make_board(size, number, board);
    unlock();
    return status;
}

void pool_registry_leave(uint64_t board)
{
    lock();
    kill_order(board_at(board)->owner);
    free_doomed();
    unlock();
}

int pool_registry_take_number(uint64_t board, uint32_t *number)
{
    int status;

    lock();
    if (!(status = find_number(number)))
        atomic_store(taken_of(*number), board_at(board)->owner);
    unlock();
    return status;
}

void pool_registry_give_number_back(uint32_t number)
{
    if (number)
        free_number(number);
}

/* Running alone. */

bool pool_registry_take_node(uint64_t board)
{
    bool is_free;

    assert(thread_is(THREAD_WORKER));
    lock();
    if ((is_free = !atomic_load(&pool_registry()->loner))) {
        atomic_store(&pool_registry()->loner_board, board);
        atomic_store(&pool_registry()->loner_since_ns, clock_now_ns());
        KILL_POINT();
        atomic_store(&pool_registry()->loner, process_own_number());
        KILL_POINT();
        for (uint64_t at = atomic_load(&pool_registry()->first); at; at = atomic_load(&board_at(at)->next)) {
            atomic_fetch_or(&board_at(at)->calls, BOARD_HELD);
            KILL_POINT();
        }
    }
    unlock();
    return is_free;
}

static void let_stand_up(struct board *board)
{
    atomic_fetch_and(&board->calls, ~BOARD_HELD);
    KILL_POINT();
    eventcount_notify(&board->work);
}

/* Under the mutex. */
static void end_alone(uint32_t number)
{
    if (atomic_load(&pool_registry()->loner) != number)
        return;
    for (uint64_t at = atomic_load(&pool_registry()->first); at; at = atomic_load(&board_at(at)->next))
        let_stand_up(board_at(at));
    KILL_POINT();
    atomic_store(&pool_registry()->loner, 0);
    KILL_POINT();
}

void pool_registry_give_node_back(void)
{
    assert(thread_is(THREAD_WORKER));
    lock();
    end_alone(process_own_number());
    unlock();
}

static bool is_at_work(const struct worker_record *record)
{
    return !atomic_load(&record->waits_for_node) &&
           (atomic_load(&record->lease) || atomic_load(&record->item) != NO_ITEM);
}

/* Whether another worker has taken that call, and is to reply it. */
static bool is_called(const struct board *board, const struct mailbox *mailbox,
                      const struct worker_record *own)
{
    uint64_t state = atomic_load(&mailbox->state);
    const struct worker_record *taker;

    if (state < MAILBOX_TAKEN)
        return false;
    taker = &board->worker[state - MAILBOX_TAKEN];
    return taker != own && !atomic_load(&taker->waits_for_node) && !atomic_load(&mailbox->reply);
}

static bool is_quiet(const struct board *board, const struct worker_record *own)
{
    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (&board->worker[i] != own && is_at_work(&board->worker[i]))
            return false;
    }
    for (unsigned i = 0; i < BOARD_MAILBOXES; i++) {
        if (is_called(board, &board->mailbox[i], own))
            return false;
    }
    return true;
}

bool pool_registry_node_is_quiet(const struct worker_record *own)
{
    bool all_are = true;

    assert(thread_is(THREAD_WORKER));
    lock();
    for (uint64_t at = atomic_load(&pool_registry()->first); at && all_are;
         at = atomic_load(&board_at(at)->next)) {
        if (atomic_load(&board_at(at)->calls) & BOARD_HELD)
            all_are = is_quiet(board_at(at), own);
    }
    unlock();
    return all_are;
}

/* While the loner is just taking the node, or giving it back, it is soon. */
uint64_t pool_registry_stands_back_until(uint64_t board)
{
    if (!atomic_load(&pool_registry()->loner))
        return clock_now_ns() + 1000000;
    if (atomic_load(&pool_registry()->loner_board) == board)
        return CLOCK_FOREVER;
    return atomic_load(&pool_registry()->loner_since_ns) + HOLD_OTHERS_NS;
}

void pool_registry_stand_up(uint64_t board)
{
    lock();
    if (atomic_load(&pool_registry()->loner) && clock_now_ns() >= pool_registry_stands_back_until(board))
        let_stand_up(board_at(board));
    unlock();
}

/* Deaths: in a fork server, or in a rank that stands in for it. Under the mutex. */

/* Whether a record is of a process that works for a board, as it is now: `word`. */
static bool works_for(const struct process_record *process, uint64_t board, uint64_t *word)
{
    bool is_so;

    do {
        *word = atomic_load(&process->word);
        is_so = process->flags & PROCESS_IS_WORKER && process->argument == board;
        atomic_thread_fence(memory_order_acquire); /* pairs with that in fill_record(), forkserver/record.c */
    } while (atomic_load(&process->word) != *word);
    return is_so;
}

/* Has those killed that still run; false if there are none: then their records are free. */
static bool end_workers(uint64_t board)
{
    struct process_record *process;
    bool any = false;

    for (uint32_t i = 0; (process = process_find(context_arena(), i)); i++) {
        uint64_t word;

        if (!works_for(process, board, &word))
            continue;
        switch (process_state_of(word)) {
        case PROCESS_WANTED:
        case PROCESS_RUNNING:
            any = true;
            process_signal(context_arena(), i, process_generation_of(word), SIGKILL);
            break;
        case PROCESS_ENDED:
            process_close(context_arena(), process, process_generation_of(word));
            KILL_POINT();
            break;
        case PROCESS_FREE:
        case PROCESS_RESERVED:
            break;
        }
    }
    return any;
}

static void end_orphans(void)
{
    for (uint64_t offset = atomic_load(&pool_registry()->first), next; offset; offset = next) {
        struct board *board = board_at(offset);

        next = atomic_load(&board->next);
        if (!board->is_orphan || end_workers(offset))
            continue;
        kill_order(board->owner);
        free_doomed();
    }
}

static void orphan(struct board *board)
{
    board->is_orphan = true;
    KILL_POINT();
    atomic_store(&board->closing, 1);
    KILL_POINT();
    for (unsigned i = 0; i < BOARD_ENTRIES; i++)
        atomic_store(&board->entry[i], 0);
    eventcount_notify(&board->work);
}

void pool_registry_process_died(uint32_t number)
{
    assert(thread_is(THREAD_FORKSERVER));
    lock();
    end_alone(number);
    for (uint64_t offset = atomic_load(&pool_registry()->first); offset; offset = board_at(offset)->next) {
        if (board_at(offset)->driver == number)
            orphan(board_at(offset));
    }
    end_orphans();
    unlock();
}

void pool_registry_process_ended(void)
{
    assert(thread_is(THREAD_FORKSERVER));
    lock();
    end_orphans();
    unlock();
}

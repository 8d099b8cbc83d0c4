/* SPDX-License-Identifier: BSD-3-Clause */
/* Process records, and what anybody of the node may ask of a fork server: see forkserver.c for who writes what.
 *
 * `free` tells which records are free, so that nobody has to look for one: who sets a record free adds it then, and who
 * wants one takes a number out and reserves the record, if it is free indeed. A process that dies in between has said
 * before that it has a record in hand, so its reaper looks at all of them, and notes those that are free. What is lost
 * with a fork server is found where nothing else is left, by a look at all records. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "forkserver/forkserver_inside.h"
#include "shm/kill_point.h"
#include "shm/thread_token.h"

/* An address in libmpmap as a distance from this one: the same in all processes that run this build. */
static const char anchor;

int64_t forkserver_distance_of(void (*function)(void))
{
    return function ? (intptr_t)function - (intptr_t)&anchor : 0;
}

void (*forkserver_function_at(int64_t distance))(void)
{
    return (void (*)(void))((intptr_t)&anchor + distance);
}

struct forkserver_area *forkserver_area_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_FORKSERVERS);
}

int forkserver_area_create(struct arena *arena, unsigned forkserver_count, uint32_t generation)
{
    size_t size = sizeof(struct forkserver_area) + forkserver_count * sizeof(struct forkserver_record);
    int status = arena_make_root(arena, ARENA_ROOT_FORKSERVERS, size);

    if (!status) {
        forkserver_area_of(arena)->forkserver_count = forkserver_count;
        forkserver_area_of(arena)->generation = generation;
    }
    return status;
}

uint32_t process_own_number_word;

void forkserver_set_own_number(uint32_t number)
{
    process_own_number_word = number;
}

struct process_record *process_at(struct arena *arena, uint32_t process)
{
    struct forkserver_area *area = forkserver_area_of(arena);
    /* Pairs with the exchange by which a segment is added. */
    uint64_t segment = atomic_load_explicit(&area->segment[process / SEGMENT_RECORDS], memory_order_acquire);
    struct process_record *records = arena_at(arena, segment);

    return &records[process % SEGMENT_RECORDS];
}

struct process_record *process_find(struct arena *arena, uint32_t process)
{
    if (process >= MAX_PROCESSES ||
        !atomic_load(&forkserver_area_of(arena)->segment[process / SEGMENT_RECORDS]))
        return NULL;
    return process_at(arena, process);
}

void forkserver_set_state(struct process_record *process, enum process_state state)
{
    atomic_store(&process->word, word_of(process_generation_of(atomic_load(&process->word)), 0, state));
}

/* The calling process is about to take or free a record, or has done: before it does, and behind the ring. */
static void count_in_hand(struct arena *arena, uint32_t change)
{
    struct process_record *own = process_own_number() ? process_find(arena, process_own_number() - 1) : NULL;

    if (own)
        atomic_fetch_add(&own->records_in_hand, change);
}

static void fill_segment(struct arena *arena, struct process_record *records, uint32_t number)
{
    memset(records, 0, SEGMENT_RECORDS * sizeof *records);
    for (uint32_t i = 0; i < SEGMENT_RECORDS; i++) {
        records[i].number = number * SEGMENT_RECORDS + i;
        atomic_store(&records[i].word, word_of(forkserver_area_of(arena)->generation, 0, PROCESS_FREE));
    }
}

/* Makes segment `number` if nobody has yet. A block that loses the race is freed again. */
static int make_segment(struct arena *arena, uint32_t number)
{
    struct forkserver_area *area = forkserver_area_of(arena);
    uint64_t none = 0, offset;
    int status;

    if ((status = arena_alloc(arena, SEGMENT_RECORDS * sizeof(struct process_record), ARENA_NO_OWNER,
                              &offset)))
        return status;
    fill_segment(arena, arena_at(arena, offset), number);
    if (atomic_compare_exchange_strong(&area->segment[number], &none, offset))
        index_set_add_64(&area->free, number * SEGMENT_RECORDS);
    else
        arena_free(arena, offset);
    return MPM_OK;
}

void forkserver_note_free(struct arena *arena, const struct process_record *process)
{
    index_set_add(&forkserver_area_of(arena)->free, process->number);
}

/* Whether the record's generations are used up: it is not reserved any more, lest a handle that is very old name
 * another process. */
static bool is_retired(struct arena *arena, uint64_t word)
{
    return process_generation_of(word) - forkserver_area_of(arena)->generation >= RECORD_GENERATIONS;
}

/* Takes a free record; false if it is not. */
static bool reserve(struct arena *arena, struct process_record *process)
{
    uint64_t word = atomic_load_explicit(&process->word, memory_order_relaxed);

    return process_state_of(word) == PROCESS_FREE && !is_retired(arena, word) &&
           atomic_compare_exchange_strong(
               &process->word, &word,
               word_of(process_generation_of(word) + 1, process_own_number(), PROCESS_RESERVED));
}

static bool reserve_noted(struct arena *arena, uint32_t *process)
{
    while (index_set_take(&forkserver_area_of(arena)->free, process)) {
        if (reserve(arena, process_at(arena, *process)))
            return true;
    }
    return false;
}

static bool reserve_any(struct arena *arena, uint32_t *process)
{
    for (*process = 0; process_find(arena, *process); ++*process) {
        if (reserve(arena, process_at(arena, *process)))
            return true;
    }
    return false;
}

static int make_next_segment(struct arena *arena)
{
    struct forkserver_area *area = forkserver_area_of(arena);

    for (uint32_t number = 0; number < MAX_SEGMENTS; number++) {
        if (!atomic_load(&area->segment[number]))
            return make_segment(arena, number);
    }
    return error_set(MPM_ENOMEM, "a node can have at most %u processes", MAX_PROCESSES);
}

static int reserve_record(struct arena *arena, uint32_t *process)
{
    while (!reserve_noted(arena, process)) {
        int status = make_next_segment(arena);

        if (status)
            return reserve_any(arena, process) ? MPM_OK : status;
    }
    return MPM_OK;
}

/* Whether a process holds the record, or is about to. */
static bool is_taken(struct process_record *process)
{
    enum process_state state = process_state_of(atomic_load(&process->word));

    return state != PROCESS_FREE && state != PROCESS_ENDED;
}

/* Where the table of thread tokens cannot grow: with the caller's record, which is reserved, so of those that start at
 * once none is overlooked. */
static int check_room(struct arena *arena, uint32_t others)
{
    uint32_t lives = thread_token_room(), room = lives > others ? lives - others : 0, taken = 0;

    for (uint32_t i = 0; process_find(arena, i); i++)
        taken += is_taken(process_at(arena, i));
    if (taken <= room)
        return MPM_OK;
    return error_set(
        MPM_ENOMEM,
        "this node's arena has room for %u processes at once, and all of them are running: a larger one "
        "(MPMAP_ARENA) has room for more",
        room);
}

/* There are never more processes than can have a thread token at once: one that had none would wait for another's end
 * when it first locks. Each fork server, and its spare, may need one, too. While there is room for all numbers up to
 * the caller's nobody has to count. */
static int make_room(struct arena *arena, uint32_t number)
{
    uint32_t others = 2 * forkserver_area_of(arena)->forkserver_count;

    return thread_token_make_room(number + 1 + others) ? MPM_OK : check_room(arena, others);
}

static void fill_record(struct process_record *record, unsigned rank_in_node,
                        const struct process_order *order)
{
    assert(order->about_size <= sizeof record->about);
    /* RESERVED goes before all that follows. Pairs with the acquire fences of those who read a record without owning
     * it and look at the word again: process_read_about(), look_local(), works_for(). Without, they might find what is
     * written here under the word of the process that was here before. */
    atomic_thread_fence(memory_order_release);
    record->forkserver = rank_in_node;
    record->fork_errno = 0;
    record->entry = forkserver_distance_of((void (*)(void))order->entry);
    record->ended = forkserver_distance_of((void (*)(void))order->ended);
    record->argument_index = order->argument_index;
    atomic_store(&record->is_thread_ref, 0);
    atomic_store(&record->records_in_hand, 0);
    memset(record->about, 0, sizeof record->about);
    if (order->about_size)
        memcpy(record->about, order->about, order->about_size);
    atomic_store(&record->pid, pid_word_of(process_generation_of(atomic_load(&record->word)), 0));
    record->argument = order->argument; /* before the flags: what stood there may be a pool's */
    KILL_POINT();
    record->flags = order->flags;
    KILL_POINT();
}

void forkserver_call(struct arena *arena, unsigned rank_in_node, uint32_t process)
{
    struct forkserver_record *forkserver = &forkserver_area_of(arena)->forkserver[rank_in_node];

    index_set_add(&forkserver->wanted, process);
    KILL_POINT();
    eventcount_notify(&forkserver->doorbell);
}

/* Reserves a record and fills it in. */
static int prepare_record(struct arena *arena, unsigned rank_in_node, const struct process_order *order,
                          uint32_t *number)
{
    struct process_record *record;
    int status;

    if ((status = reserve_record(arena, number)))
        return status;
    KILL_POINT();
    record = process_at(arena, *number);
    if ((status = make_room(arena, *number))) {
        process_release(arena, record);
        return status;
    }
    fill_record(record, rank_in_node, order);
    if (order->flags & PROCESS_OWNS_ARGUMENT)
        arena_give(arena, order->argument);
    return MPM_OK;
}

static uint32_t want_record(struct arena *arena, unsigned rank_in_node, uint32_t number, uint32_t flags)
{
    struct process_record *record = process_at(arena, number);
    uint32_t generation = process_generation_of(atomic_load(&record->word));

    KILL_POINT();
    atomic_store(&record->word, word_of(generation, process_own_number(), PROCESS_WANTED));
    KILL_POINT();
    forkserver_call(arena, rank_in_node, number);
    if (flags & PROCESS_IS_USERS)
        eventcount_notify(&forkserver_area_of(arena)->forkserver[rank_in_node].spare);
    return generation;
}

int forkserver_order(struct arena *arena, unsigned rank_in_node, const struct process_order *order,
                     uint32_t *process, uint32_t *generation)
{
    uint32_t number = 0;
    int status;

    assert(rank_in_node < forkserver_area_of(arena)->forkserver_count);
    if (forkserver_is_lost(arena, rank_in_node))
        return error_set(
            MPM_EFORKSERVER,
            "the fork server process of rank %u of the node has died: it can fork no more processes",
            rank_in_node);
    count_in_hand(arena, 1);
    KILL_POINT();
    if (!(status = prepare_record(arena, rank_in_node, order, &number))) {
        *process = number;
        *generation = want_record(arena, rank_in_node, number, order->flags);
    }
    KILL_POINT();
    count_in_hand(arena, -1u);
    return status;
}

uint32_t forkserver_load(struct arena *arena, unsigned rank_in_node)
{
    return atomic_load_explicit(&forkserver_area_of(arena)->forkserver[rank_in_node].load,
                                memory_order_relaxed);
}

void process_signal(struct arena *arena, uint32_t process, uint32_t generation, int signal_number)
{
    struct process_record *record = process_at(arena, process);
    uint64_t request = atomic_load(&record->request), wanted;

    do {
        uint64_t others = process_generation_of(request) == generation ? request : (uint64_t)generation << 32;

        if (process_generation_of(atomic_load(&record->word)) != generation)
            return;
        wanted = others | UINT64_C(1) << signal_number;
    } while (!atomic_compare_exchange_weak(&record->request, &request, wanted));
    KILL_POINT();
    forkserver_call(arena, record->forkserver, process);
}

void process_reconsider(struct arena *arena, uint32_t process)
{
    forkserver_call(arena, process_at(arena, process)->forkserver, process);
}

bool process_close(struct arena *arena, struct process_record *process, uint32_t generation)
{
    uint64_t ended = word_of(generation, 0, PROCESS_ENDED);

    bool is_closed;

    count_in_hand(arena, 1);
    is_closed = atomic_compare_exchange_strong(&process->word, &ended, word_of(generation, 0, PROCESS_FREE));
    KILL_POINT();
    if (is_closed)
        forkserver_note_free(arena, process);
    KILL_POINT();
    count_in_hand(arena, -1u);
    return is_closed;
}

void process_release(struct arena *arena, struct process_record *process)
{
    forkserver_set_state(process, PROCESS_FREE);
    KILL_POINT();
    forkserver_note_free(arena, process);
}

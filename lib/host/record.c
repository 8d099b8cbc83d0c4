/* SPDX-License-Identifier: BSD-3-Clause */
/* Process records, and what anybody of the node may ask of a host: see host.c for who writes what. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "host/host_inside.h"
#include "shm/kill_point.h"
#include "shm/life.h"

/* An address in libmpmap as a distance from this one: the same in all processes that run this build. */
static const char anchor;

int64_t host_distance_of(void (*function)(void))
{
    return function ? (intptr_t)function - (intptr_t)&anchor : 0;
}

void (*host_function_at(int64_t distance))(void)
{
    return (void (*)(void))((intptr_t)&anchor + distance);
}

struct host_area *host_area_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_HOSTS);
}

int host_area_create(struct arena *arena, unsigned host_count, uint32_t generation)
{
    size_t size = sizeof(struct host_area) + host_count * sizeof(struct host_record);
    int status = arena_make_root(arena, ARENA_ROOT_HOSTS, size);

    if (!status) {
        host_area_of(arena)->host_count = host_count;
        host_area_of(arena)->generation = generation;
    }
    return status;
}

static uint32_t own_number;

uint32_t process_own_number(void)
{
    return own_number;
}

void host_set_own_number(uint32_t number)
{
    own_number = number;
}

struct process_record *process_at(struct arena *arena, uint32_t process)
{
    struct host_area *area = host_area_of(arena);
    uint64_t segment = atomic_load_explicit(&area->segment[process / SEGMENT_RECORDS], memory_order_acquire);
    struct process_record *records = arena_at(arena, segment);

    return &records[process % SEGMENT_RECORDS];
}

struct process_record *process_find(struct arena *arena, uint32_t process)
{
    if (process >= MAX_PROCESSES || !atomic_load(&host_area_of(arena)->segment[process / SEGMENT_RECORDS]))
        return NULL;
    return process_at(arena, process);
}

void host_set_state(struct process_record *process, enum process_state state)
{
    atomic_store(&process->word, word_of(process_generation_of(atomic_load(&process->word)), 0, state));
}

/* Makes segment `number` if nobody has yet. A block that loses the race is freed again. */
static int make_segment(struct arena *arena, uint32_t number)
{
    struct host_area *area = host_area_of(arena);
    struct process_record *records;
    uint64_t none = 0, offset;
    int status;

    if (atomic_load(&area->segment[number]))
        return MPM_OK;
    if ((status = arena_alloc(arena, SEGMENT_RECORDS * sizeof(struct process_record), ARENA_NO_OWNER,
                              &offset)))
        return status;
    records = memset(arena_at(arena, offset), 0, SEGMENT_RECORDS * sizeof *records);
    for (uint32_t i = 0; i < SEGMENT_RECORDS; i++)
        atomic_store(&records[i].word, word_of(area->generation, 0, PROCESS_FREE));
    if (!atomic_compare_exchange_strong(&area->segment[number], &none, offset))
        arena_free(arena, offset);
    return MPM_OK;
}

/* Takes a free record; false if it is not. */
static bool reserve(struct process_record *process)
{
    uint64_t word = atomic_load_explicit(&process->word, memory_order_relaxed);

    return process_state_of(word) == PROCESS_FREE &&
           atomic_compare_exchange_strong(
               &process->word, &word, word_of(process_generation_of(word) + 1, own_number, PROCESS_RESERVED));
}

static int reserve_record(struct arena *arena, uint32_t *process)
{
    for (uint32_t i = 0; i < MAX_PROCESSES; i++) {
        int status;

        if (i % SEGMENT_RECORDS == 0 && (status = make_segment(arena, i / SEGMENT_RECORDS)))
            return status;
        if (reserve(process_at(arena, i))) {
            *process = i;
            return MPM_OK;
        }
    }
    return error_set(MPM_ENOMEM, "a node cannot have more than %u processes", MAX_PROCESSES);
}

/* Whether a process holds the record, or is about to. */
static bool is_taken(struct process_record *process)
{
    enum process_state state = process_state_of(atomic_load(&process->word));

    return state != PROCESS_FREE && state != PROCESS_ENDED;
}

/* How many processes can have a life at once: each host, and its spare, may need one, too. */
static uint32_t room_for_processes(struct arena *arena)
{
    uint32_t lives = life_room(), others = 2 * host_area_of(arena)->host_count;

    return lives > others ? lives - others : 0;
}

/* With the caller's record, which is reserved: so of those that start at once none is overlooked, and there are
 * never more than there is room for. One that had no life would wait for another's end when it first locks. */
static int check_room(struct arena *arena)
{
    uint32_t room = room_for_processes(arena), taken = 0;

    if (!process_find(arena, room))
        return MPM_OK; /* there are not so many records */
    for (uint32_t i = 0; process_find(arena, i); i++)
        taken += is_taken(process_at(arena, i));
    if (taken <= room)
        return MPM_OK;
    return error_set(MPM_ENOMEM,
                     "this node's arena has room for %u processes at once, and they run: a larger one "
                     "(MPMAP_ARENA) has room for more",
                     room);
}

static void fill_record(struct process_record *record, unsigned rank_in_node,
                        const struct process_order *order)
{
    assert(order->about_size <= sizeof record->about);
    record->host = rank_in_node;
    record->fork_errno = 0;
    record->entry = host_distance_of((void (*)(void))order->entry);
    record->ended = host_distance_of((void (*)(void))order->ended);
    record->argument_index = order->argument_index;
    atomic_store(&record->is_party, 0);
    memset(record->about, 0, sizeof record->about);
    if (order->about_size)
        memcpy(record->about, order->about, order->about_size);
    atomic_store(&record->pid, pid_word_of(process_generation_of(atomic_load(&record->word)), 0));
    record->argument = order->argument; /* before the flags: what stood there may be a pool's */
    KILL_POINT();
    record->flags = order->flags;
    KILL_POINT();
}

void host_call(struct arena *arena, unsigned rank_in_node, uint32_t process)
{
    struct host_record *host = &host_area_of(arena)->host[rank_in_node];

    index_set_add(&host->wanted, process);
    KILL_POINT();
    wait_ring(&host->bell);
}

int host_order(struct arena *arena, unsigned rank_in_node, const struct process_order *order,
               uint32_t *process, uint32_t *generation)
{
    struct process_record *record;
    uint32_t number = 0;
    int status;

    assert(rank_in_node < host_area_of(arena)->host_count);
    if (host_is_lost(arena, rank_in_node))
        return error_set(MPM_EHOSTLOST,
                         "the host process of rank %u of the node is gone: it forks nothing any more",
                         rank_in_node);
    if ((status = reserve_record(arena, &number)))
        return status;
    KILL_POINT();
    record = process_at(arena, number);
    if ((status = check_room(arena))) {
        process_release(record);
        return status;
    }
    fill_record(record, rank_in_node, order);
    if (order->flags & PROCESS_OWNS_ARGUMENT)
        arena_give(arena, order->argument);
    *process = number;
    *generation = process_generation_of(atomic_load(&record->word));
    KILL_POINT();
    atomic_store(&record->word, word_of(*generation, own_number, PROCESS_WANTED));
    KILL_POINT();
    host_call(arena, rank_in_node, number);
    return MPM_OK;
}

uint32_t host_load(struct arena *arena, unsigned rank_in_node)
{
    return atomic_load_explicit(&host_area_of(arena)->host[rank_in_node].load, memory_order_relaxed);
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
    host_call(arena, record->host, process);
}

void process_reconsider(struct arena *arena, uint32_t process)
{
    host_call(arena, process_at(arena, process)->host, process);
}

bool process_close(struct process_record *process, uint32_t generation)
{
    uint64_t ended = word_of(generation, 0, PROCESS_ENDED);

    return atomic_compare_exchange_strong(&process->word, &ended, word_of(generation, 0, PROCESS_FREE));
}

void process_release(struct process_record *process)
{
    host_set_state(process, PROCESS_FREE);
}

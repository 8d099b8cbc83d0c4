/* SPDX-License-Identifier: BSD-3-Clause */
/* Lives; see the header. A life is a place in the table and the place's generation.
 *
 * Each place has a robust mutex of pthread's, `held`, which the thread that lives there takes and never gives
 * back: the kernel marks it when the thread ends, be it by SIGKILL, so nobody has to be asked and nothing to
 * be reaped. Who writes what: `generation` is written by the holder of `held` only. Who takes `held` over
 * moves it on before all else, by which every life there so far is over for all to see; and then lives there
 * itself, or lets go of it (who only wanted to know). If it dies before that, or after, `held` is marked
 * again, and that is all. `state` is taken from NEW to MAKING by compare-and-swap, and then stored as MADE:
 * if the maker dies in between, the place is lost, and nothing else.
 *
 * The table grows with need: behind the first segment come others, each as large as all before it, so a place's number
 * says where it is. A segment is added by one store of its offset, and never taken away. Where
 * its memory comes from is the affair of the table's owner (life_grow). It takes locks, which need a life: so the last places of the table are kept
 * for who finds no other, and who gets one of them has the table grow. If it dies before it has, that place is free
 * again, and its next one does the same.
 *
 * A place whose generation is near its end is not taken any more, so no life comes twice.
 *
 * A forked child has none of its parent's lives: its one thread forgets the one it had. A lasting process has
 * no place: it holds no mutex in memory that may be unmapped while it goes on. */
#include "shm/life.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "shm/kill_point.h"
#include "shm/life_inside.h"

#define LIFE(generation, place) ((uint64_t)(generation) << 32 | ((uint64_t)(place) + 1))
#define LIFE_GENERATION(life)   ((uint32_t)((life) >> 32))
#define LIFE_PLACE(life)        ((uint32_t)(life)-1)
#define LASTING                 LIFE(0, UINT32_C(0x7ffffffe))
#define KEPT_PLACES             8u
#define LOOK_NS                 1000000 /* between two looks for a place where there is none */
#define LOOKS_A_SENTENCE        500u
#define MOST_LOOKS              1000u /* by who can be told that there is none */
#define NO_PLACE                                                                                      \
    "%u threads of this node's processes use its arena, and there is room for no more: a larger one " \
    "(MPMAP_ARENA) has "                                                                              \
    "room for more"

enum place_state { PLACE_NEW, PLACE_MAKING, PLACE_MADE };

_Thread_local uint64_t life_of_thread;
static struct life_table *table_in_use;
static life_grow *grow_table;
static bool is_forked;

size_t life_table_size(unsigned threads)
{
    return sizeof(struct life_table) + threads * sizeof(struct place);
}

void life_table_create(struct life_table *table, unsigned threads)
{
    assert(threads);
    table->first = threads;
}

void life_table_use(struct life_table *table, life_grow *grow)
{
    table_in_use = table;
    grow_table = grow;
    life_of_thread = 0;
    is_forked = false;
}

static unsigned segments_of(struct life_table *table)
{
    unsigned count = 0;

    while (count < LIFE_MAX_SEGMENTS && atomic_load_explicit(&table->segment[count], memory_order_acquire))
        count++;
    return count;
}

static uint32_t places_of(struct life_table *table)
{
    return table->first << segments_of(table);
}

size_t life_next_segment_size(struct life_table *table)
{
    uint64_t places = places_of(table);

    return segments_of(table) == LIFE_MAX_SEGMENTS || 2 * places > LIFE_MOST_PLACES
               ? 0
               : places * sizeof(struct place);
}

void life_add_segment(struct life_table *table, void *zeroed)
{
    atomic_store_explicit(&table->segment[segments_of(table)], (uint64_t)((char *)zeroed - (char *)table),
                          memory_order_release);
    KILL_POINT();
}

void *life_segment(struct life_table *table, unsigned number)
{
    return number < segments_of(table) ? (char *)table + atomic_load(&table->segment[number]) : NULL;
}

/* Segment k has the places from first * 2^k on, and as many. */
static struct place *place_at(struct life_table *table, uint32_t number)
{
    unsigned segment;

    if (number < table->first)
        return &table->place[number];
    segment = 31 - (unsigned)__builtin_clz(number / table->first);
    return (struct place *)life_segment(table, segment) + (number - (table->first << segment));
}

unsigned life_room(void)
{
    return places_of(table_in_use);
}

bool life_make_room(unsigned threads)
{
    while (life_room() < threads) {
        if (!grow_table || !grow_table(table_in_use))
            return false;
    }
    return true;
}

static void forget(void)
{
    life_of_thread = 0;
    is_forked = true;
}

static __attribute__((constructor)) void at_fork(void)
{
    int failed = pthread_atfork(NULL, NULL, forget);

    assert(!failed);
    (void)failed;
}

static void make(struct place *place)
{
    pthread_mutexattr_t attributes;
    int failed = pthread_mutexattr_init(&attributes);

    failed |= pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    failed |= pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    failed |= pthread_mutex_init(&place->held, &attributes);
    failed |= pthread_mutexattr_destroy(&attributes);
    assert(!failed);
    (void)failed;
}

static bool is_made(struct place *place)
{
    uint32_t state = atomic_load_explicit(&place->state, memory_order_acquire);

    if (state != PLACE_NEW || !atomic_compare_exchange_strong(&place->state, &state, PLACE_MAKING))
        return state == PLACE_MADE;
    KILL_POINT();
    make(place);
    KILL_POINT();
    atomic_store_explicit(&place->state, PLACE_MADE, memory_order_release);
    KILL_POINT();
    return true;
}

/* Takes a place over if nobody lives there; all lives there so far are over then. */
static bool take(struct place *place)
{
    int failed = pthread_mutex_trylock(&place->held);

    if (failed == EBUSY)
        return false;
    KILL_POINT();
    if (failed == EOWNERDEAD)
        failed = pthread_mutex_consistent(&place->held);
    assert(!failed);
    KILL_POINT();
    atomic_fetch_add(&place->generation, 1);
    KILL_POINT();
    return true;
}

static uint64_t try_place(struct life_table *table, uint32_t number)
{
    struct place *place = place_at(table, number);

    if (atomic_load_explicit(&place->generation, memory_order_relaxed) >= LIFE_LAST_GENERATION ||
        !is_made(place) || !take(place))
        return 0;
    return LIFE(atomic_load(&place->generation), number);
}

/* How many of so many places are for who finds no other. */
static uint32_t kept_of(uint32_t places)
{
    return places > 2 * KEPT_PLACES ? KEPT_PLACES : places / 2;
}

/* One after the other from where the last search has ended, so a search is short while many places are free. */
static uint64_t find_place(struct life_table *table, bool *is_last)
{
    uint32_t places = places_of(table), common = places - kept_of(places);
    uint32_t from = atomic_load_explicit(&table->turn, memory_order_relaxed);
    uint64_t life;

    for (uint32_t i = 0; i < places; i++) {
        uint32_t number = i < common ? (from % common + i) % common : i;

        if ((life = try_place(table, number))) {
            atomic_store_explicit(&table->turn, number + 1, memory_order_relaxed);
            *is_last = i >= common;
            return life;
        }
    }
    return 0;
}

/* Gives the calling thread a place, if there is one, and has the table grow where few are left. */
static bool try_begin(void)
{
    bool is_last = false;

    if (!is_forked) {
        life_of_thread = LASTING;
        return true;
    }
    assert(table_in_use);
    if (!(life_of_thread = find_place(table_in_use, &is_last)))
        return false;
    KILL_POINT();
    if (is_last && grow_table)
        grow_table(table_in_use);
    return true;
}

/* A table that is just growing is waited for shortly, one that cannot until somebody ends, or `most` looks. */
static bool begin_in(unsigned most)
{
    int saved_errno = errno;
    bool has_begun;

    for (unsigned looks = 1; !(has_begun = try_begin()) && looks != most; looks++) {
        if (!most && looks % LOOKS_A_SENTENCE == 0)
            log_write(MPM_LOG_ERROR, NO_PLACE ": one waits for another to end", life_room());
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    errno = saved_errno;
    return has_begun;
}

uint64_t life_begin(void)
{
    begin_in(0);
    return life_of_thread;
}

int life_begin_in_time(void)
{
    return begin_in(MOST_LOOKS) ? MPM_OK : error_set(MPM_ENOMEM, NO_PLACE, life_room());
}

bool life_is_over(uint64_t life)
{
    struct place *place;

    if (life == LASTING)
        return false;
    place = place_at(table_in_use, LIFE_PLACE(life));
    if (atomic_load_explicit(&place->generation, memory_order_acquire) != LIFE_GENERATION(life))
        return true;
    if (!take(place))
        return false;
    pthread_mutex_unlock(&place->held);
    return true;
}

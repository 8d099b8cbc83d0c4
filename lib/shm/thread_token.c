/* SPDX-License-Identifier: BSD-3-Clause */
/* Lives; see the header. A thread token is a place in the table and the place's generation.
 *
 * Each place has a robust mutex of pthread's, `held`, which the thread that lives there takes and never gives
 * back: the kernel marks it when the thread ends, be it by SIGKILL, so nobody has to be asked and nothing to
 * be reaped. Who writes what: `generation` is written by the holder of `held` only. Who takes `held` over
 * moves it on before all else, by which every thread token there so far is over for all to see; and then lives there
 * itself, or lets go of it (who only wanted to know). If it dies before that, or after, `held` is marked
 * again, and that is all. `state` is taken from NEW to MAKING by compare-and-swap, and then stored as MADE:
 * if the maker dies in between, the place is lost, and nothing else.
 *
 * The table grows with need: behind the first segment come others, each as large as all before it, so a place's number
 * says where it is. A segment is added by one store of its offset, and never taken away. Where
 * its memory comes from is the affair of the table's owner (thread_token_grow). It takes locks, which need a thread
 * token: so the last places of the table are kept for who finds no other, and who gets one of them has the table grow.
 * If it dies before it has, that place is free again, and its next one does the same.
 *
 * A place whose generation is near its end is not taken any more, so no thread token comes twice.
 *
 * A forked child has none of its parent's thread tokens: its one thread forgets the one it had. A lasting process has
 * no place: it holds no mutex in memory that may be unmapped while it goes on. */
#include "shm/thread_token.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "shm/kill_point.h"
#include "shm/thread_token_inside.h"

#define THREAD_TOKEN(generation, place)       ((uint64_t)(generation) << 32 | ((uint64_t)(place) + 1))
#define THREAD_TOKEN_GENERATION(thread_token) ((uint32_t)((thread_token) >> 32))
#define THREAD_TOKEN_PLACE(thread_token)      ((uint32_t)(thread_token)-1)
#define LASTING                               THREAD_TOKEN(0, UINT32_C(0x7ffffffe))
#define KEPT_PLACES                           8u
#define LOOK_NS                               1000000 /* between two looks for a place where there is none */
#define LOOKS_A_SENTENCE                      500u
#define MOST_LOOKS                            1000u /* by who can be told that there is none */
#define NO_PLACE                                                                                          \
    "%u threads of this node's processes use its arena, which is the most it has room for: a larger one " \
    "(MPMAP_ARENA) has "                                                                                  \
    "room for more"

enum place_state { PLACE_NEW, PLACE_MAKING, PLACE_MADE };

_Thread_local uint64_t own_thread_token;
static struct thread_token_table *table_in_use;
static thread_token_grow *grow_table;
static bool is_forked;

size_t thread_token_table_size(unsigned threads)
{
    return sizeof(struct thread_token_table) + threads * sizeof(struct place);
}

void thread_token_table_create(struct thread_token_table *table, unsigned threads)
{
    assert(threads);
    table->first = threads;
}

void thread_token_table_use(struct thread_token_table *table, thread_token_grow *grow)
{
    table_in_use = table;
    grow_table = grow;
    own_thread_token = 0;
    is_forked = false;
}

static unsigned segments_of(struct thread_token_table *table)
{
    unsigned count = 0;

    /* Pairs with thread_token_add_segment(). */
    while (count < THREAD_TOKEN_MAX_SEGMENTS &&
           atomic_load_explicit(&table->segment[count], memory_order_acquire))
        count++;
    return count;
}

static uint32_t places_of(struct thread_token_table *table)
{
    return table->first << segments_of(table);
}

size_t thread_token_next_segment_size(struct thread_token_table *table)
{
    uint64_t places = places_of(table);

    return segments_of(table) == THREAD_TOKEN_MAX_SEGMENTS || 2 * places > THREAD_TOKEN_MOST_PLACES
               ? 0
               : places * sizeof(struct place);
}

void thread_token_add_segment(struct thread_token_table *table, void *zeroed)
{
    /* Pairs with segments_of(). */
    atomic_store_explicit(&table->segment[segments_of(table)], (uint64_t)((char *)zeroed - (char *)table),
                          memory_order_release);
    KILL_POINT();
}

void *thread_token_segment(struct thread_token_table *table, unsigned number)
{
    return number < segments_of(table) ? (char *)table + atomic_load(&table->segment[number]) : NULL;
}

/* Segment k has the places from first * 2^k on, and as many. */
static struct place *place_at(struct thread_token_table *table, uint32_t number)
{
    unsigned segment;

    if (number < table->first)
        return &table->place[number];
    segment = 31 - (unsigned)__builtin_clz(number / table->first);
    return (struct place *)thread_token_segment(table, segment) + (number - (table->first << segment));
}

unsigned thread_token_room(void)
{
    return places_of(table_in_use);
}

bool thread_token_make_room(unsigned threads)
{
    while (thread_token_room() < threads) {
        if (!grow_table || !grow_table(table_in_use))
            return false;
    }
    return true;
}

static void forget(void)
{
    own_thread_token = 0;
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
    /* Pairs with PLACE_MADE below. */
    uint32_t state = atomic_load_explicit(&place->state, memory_order_acquire);

    if (state != PLACE_NEW || !atomic_compare_exchange_strong(&place->state, &state, PLACE_MAKING))
        return state == PLACE_MADE;
    KILL_POINT();
    make(place);
    KILL_POINT();
    /* Pairs with the acquire above. */
    atomic_store_explicit(&place->state, PLACE_MADE, memory_order_release);
    KILL_POINT();
    return true;
}

/* Takes a place over if nobody lives there; all thread tokens there so far are over then. */
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

static uint64_t try_place(struct thread_token_table *table, uint32_t number)
{
    struct place *place = place_at(table, number);

    if (atomic_load_explicit(&place->generation, memory_order_relaxed) >= THREAD_TOKEN_LAST_GENERATION ||
        !is_made(place) || !take(place))
        return 0;
    return THREAD_TOKEN(atomic_load(&place->generation), number);
}

/* How many of so many places are for who finds no other. */
static uint32_t kept_of(uint32_t places)
{
    return places > 2 * KEPT_PLACES ? KEPT_PLACES : places / 2;
}

/* One after the other from where the last search has ended, so a search is short while many places are free. */
static uint64_t find_place(struct thread_token_table *table, bool *is_last)
{
    uint32_t places = places_of(table), common = places - kept_of(places);
    uint32_t from = atomic_load_explicit(&table->turn, memory_order_relaxed);
    uint64_t thread_token;

    for (uint32_t i = 0; i < places; i++) {
        uint32_t number = i < common ? (from % common + i) % common : i;

        if ((thread_token = try_place(table, number))) {
            atomic_store_explicit(&table->turn, number + 1, memory_order_relaxed);
            *is_last = i >= common;
            return thread_token;
        }
    }
    return 0;
}

/* Gives the calling thread a place, if there is one, and has the table grow where few are left. */
static bool try_begin(void)
{
    bool is_last = false;

    if (!is_forked) {
        own_thread_token = LASTING;
        return true;
    }
    assert(table_in_use);
    if (!(own_thread_token = find_place(table_in_use, &is_last)))
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
            log_write(MPM_LOG_ERROR, NO_PLACE ": a thread now waits for another one to end",
                      thread_token_room());
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    errno = saved_errno;
    return has_begun;
}

uint64_t thread_token_begin(void)
{
    begin_in(0);
    return own_thread_token;
}

int thread_token_begin_in_time(void)
{
    return begin_in(MOST_LOOKS) ? MPM_OK : error_set(MPM_ENOMEM, NO_PLACE, thread_token_room());
}

bool thread_token_is_over(uint64_t thread_token)
{
    struct place *place;

    if (thread_token == LASTING)
        return false;
    place = place_at(table_in_use, THREAD_TOKEN_PLACE(thread_token));
    /* Pairs with the increment when a thread is over: what the dead have written is seen. */
    if (atomic_load_explicit(&place->generation, memory_order_acquire) !=
        THREAD_TOKEN_GENERATION(thread_token))
        return true;
    if (!take(place))
        return false;
    pthread_mutex_unlock(&place->held);
    return true;
}

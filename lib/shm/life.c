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
 * A forked child has none of its parent's lives: its one thread forgets the one it had. A lasting process has
 * no place: it holds no mutex in memory that may be unmapped while it goes on. */
#include "shm/life.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/log.h"
#include "shm/kill_point.h"

#define LIFE(generation, place) ((uint64_t)(generation) << 32 | ((uint64_t)(place) + 1))
#define LIFE_GENERATION(life)   ((uint32_t)((life) >> 32))
#define LIFE_PLACE(life)        ((uint32_t)(life)-1)
#define LASTING                 LIFE(0, UINT32_C(0x7ffffffe))

enum place_state { PLACE_NEW, PLACE_MAKING, PLACE_MADE };

struct place {
    pthread_mutex_t held;
    _Atomic uint32_t generation;
    _Atomic uint32_t state;
};

struct life_table {
    uint64_t places;
    struct place place[];
};

_Thread_local uint64_t life_of_thread;
static struct life_table *table_in_use;
static bool is_forked;

size_t life_table_size(unsigned threads)
{
    return sizeof(struct life_table) + threads * sizeof(struct place);
}

void life_table_create(struct life_table *table, unsigned threads)
{
    table->places = threads;
}

void life_table_use(struct life_table *table)
{
    table_in_use = table;
    life_of_thread = 0;
    is_forked = false;
}

unsigned life_room(void)
{
    return (unsigned)table_in_use->places;
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

static uint64_t find_place(struct life_table *table)
{
    for (uint32_t i = 0; i < table->places; i++) {
        struct place *place = &table->place[i];

        if (is_made(place) && take(place))
            return LIFE(atomic_load(&place->generation), i);
    }
    return 0;
}

uint64_t life_begin(void)
{
    struct timespec pause = {.tv_nsec = 500000000};
    int saved_errno = errno;
    uint64_t life = LASTING;

    if (is_forked) {
        assert(table_in_use);
        while (!(life = find_place(table_in_use))) {
            log_write(MPM_LOG_ERROR,
                      "more than %u threads of a node use its memory: one waits for another to end",
                      (unsigned)table_in_use->places);
            nanosleep(&pause, NULL);
        }
    }
    errno = saved_errno;
    return life_of_thread = life;
}

bool life_is_over(uint64_t life)
{
    struct place *place;

    if (life == LASTING)
        return false;
    place = &table_in_use->place[LIFE_PLACE(life)];
    if (atomic_load_explicit(&place->generation, memory_order_acquire) != LIFE_GENERATION(life))
        return true;
    if (!take(place))
        return false;
    pthread_mutex_unlock(&place->held);
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The word of a lock or a semaphore; see the header, also for who writes what. */
#include "sync/quick.h"

#include "base/clock.h"
#include "node/context.h"
#include "object/spin.h"
#include "shm/eventcount.h"
#include "shm/kill_point.h"

#define SPIN_NS    2000u
#define MAX_PAUSES 16u

/* QUICK_SLOW if the word cannot name it. */
static uint64_t held_word(const struct thread_ref *owner)
{
    if (owner->number >> QUICK_NUMBER_BITS || owner->thread >> QUICK_THREAD_BITS)
        return QUICK_SLOW;
    return (uint64_t)owner->generation << 32 | owner->thread << QUICK_THREAD_SHIFT |
           owner->number << QUICK_NUMBER_SHIFT | QUICK_HELD;
}

/* Between two looks: longer and longer, but never for long. */
static void pause_more(unsigned *pauses)
{
    for (unsigned i = 0; i < *pauses; i++)
        spin_pause();
    if (*pauses < MAX_PAUSES)
        *pauses *= 2;
}

static bool is_stopped(uint64_t word)
{
    return !(word & (QUICK_OPEN | QUICK_HELD)) || (word & QUICK_STOPPED);
}

bool quick_acquire_soon(const mpm_handle *lock)
{
    struct object *object = object_find_recent(lock, OBJECT_LOCK);
    uint64_t open = quick_open_word(lock->generation), own, word, until_ns;
    unsigned pauses = 1;

    if (!object || (own = quick_own_word()) == QUICK_SLOW)
        return false;
    until_ns = clock_now_ns() + SPIN_NS;
    do {
        word = atomic_load_explicit(&object->quick, memory_order_relaxed);
        if (word == open && quick_take(object, open, own))
            return true;
        pause_more(&pauses);
    } while (!is_stopped(word) && clock_now_ns() < until_ns);
    return false;
}

/* No longer than waits at the semaphore have been worth, and only what is found is learned here: who finds nothing goes
 * on to wait, and learns that there. */
bool quick_acquire_permit_soon(const mpm_handle *semaphore)
{
    struct object *object = object_find_recent(semaphore, OBJECT_SEMAPHORE);
    struct spin_hint hint;
    uint64_t start_ns, now_ns, time_ns;

    if (!object)
        return false;
    hint = spin_hint_of(&object->wait[0]);
    time_ns = spin_time_ns(hint, object_has_woken());
    for (now_ns = start_ns = clock_now_ns(); now_ns - start_ns < time_ns; now_ns = spin_rest(now_ns)) {
        if (!quick_has_permits_of(atomic_load_explicit(&object->quick, memory_order_relaxed), semaphore))
            return false;
        if (quick_take_permit(object, semaphore)) {
            spin_learn(&object->wait[0], hint, true, now_ns - start_ns);
            return true;
        }
    }
    return false;
}

uint64_t quick_stop(struct object *object)
{
    /* Pairs with quick_release() and quick_release_permit(). */
    uint64_t word = atomic_load_explicit(&object->quick, memory_order_acquire);

    if (word == QUICK_SLOW)
        return word;
    word = atomic_fetch_or_explicit(&object->quick, QUICK_STOPPED, memory_order_acquire);
    KILL_POINT();
    return word;
}

struct thread_ref quick_owner(uint64_t word)
{
    if (!(word & QUICK_HELD))
        return (struct thread_ref){0};
    return (struct thread_ref){
        .node = (uint16_t)context_topology()->node,
        .number = (uint32_t)(word >> QUICK_NUMBER_SHIFT) & ((1u << QUICK_NUMBER_BITS) - 1),
        .thread = (uint32_t)(word >> QUICK_THREAD_SHIFT) & ((1u << QUICK_THREAD_BITS) - 1),
        .generation = (uint32_t)(word >> 32)};
}

void quick_set_slow(struct object *object)
{
    atomic_store_explicit(&object->quick, QUICK_SLOW, memory_order_relaxed);
    KILL_POINT();
}

static void start(struct object *object, uint64_t word)
{
    /* Pairs with quick_take() and quick_take_permit(). */
    atomic_store_explicit(&object->quick, word, memory_order_release);
    KILL_POINT();
}

void quick_start(struct object *object, const struct thread_ref *owner)
{
    if (!owner->number)
        start(object, quick_open_word(object->generation));
    else
        start(object, owner->node == context_topology()->node ? held_word(owner) : QUICK_SLOW);
}

void quick_start_permits(struct object *object, unsigned permits)
{
    if (permits <= QUICK_MOST_PERMITS)
        start(object, quick_open_word(object->generation) + permits * QUICK_ONE_PERMIT);
}

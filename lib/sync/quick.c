/* SPDX-License-Identifier: BSD-3-Clause */
/* The word of a lock; see the header, also for who writes what. */
#include "sync/quick.h"

#include "base/clock.h"
#include "node/context.h"
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
        for (unsigned i = 0; i < pauses; i++)
            spin_pause();
        if (pauses < MAX_PAUSES)
            pauses *= 2;
    } while ((word & (QUICK_OPEN | QUICK_HELD)) && !(word & QUICK_STOPPED) && clock_now_ns() < until_ns);
    return false;
}

bool quick_stop(struct object *object, struct thread_ref *owner)
{
    /* Pairs with quick_release(). */
    uint64_t word = atomic_load_explicit(&object->quick, memory_order_acquire);

    if (word == QUICK_SLOW)
        return false;
    word = atomic_fetch_or_explicit(&object->quick, QUICK_STOPPED, memory_order_acquire);
    KILL_POINT();
    *owner = (struct thread_ref){0};
    if (!(word & QUICK_HELD))
        return true;
    owner->node = (uint16_t)context_topology()->node;
    owner->number = (uint32_t)(word >> QUICK_NUMBER_SHIFT) & ((1u << QUICK_NUMBER_BITS) - 1);
    owner->thread = (uint32_t)(word >> QUICK_THREAD_SHIFT) & ((1u << QUICK_THREAD_BITS) - 1);
    owner->generation = (uint32_t)(word >> 32);
    return true;
}

void quick_set_slow(struct object *object)
{
    atomic_store_explicit(&object->quick, QUICK_SLOW, memory_order_relaxed);
    KILL_POINT();
}

void quick_start(struct object *object, const struct thread_ref *owner)
{
    uint64_t word = quick_open_word(object->generation);

    if (owner->number)
        word = owner->node == context_topology()->node ? held_word(owner) : QUICK_SLOW;
    /* Pairs with quick_take(). */
    atomic_store_explicit(&object->quick, word, memory_order_release);
    KILL_POINT();
}

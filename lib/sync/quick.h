/* SPDX-License-Identifier: BSD-3-Clause */
/* The quick way of a lock or a semaphore: taken by one compare-and-swap, and released by one, as long as nobody waits
 * for it. For sync/ only.
 *
 * Who writes what. The state stands in two copies (state.c). Beside them the object record has one word, `quick`,
 * which is
 *
 *   SLOW     the state is true
 *   OPEN     the lock is free, or the semaphore has so many permits, and the word is true, whatever the state says; with
 *            the object's generation, so that no stale handle can take what belongs to another object
 *   HELD     a thread has the lock: the word names it. The word is true
 *   STOPPED  HELD or OPEN, and somebody is about to make the state true. Only who has the mutex goes on from here
 *
 *   SLOW -----> OPEN, HELD           quick_start(): under the mutex, after a commit
 *   OPEN <----> HELD                 anybody: quick_acquire(), quick_release()
 *   OPEN -----> OPEN                 anybody: quick_acquire_permit(), quick_release_permit(), one permit less or more
 *   OPEN, HELD -----> STOPPED        quick_stop(): under the mutex
 *   STOPPED -----> SLOW              state.c: under the mutex, after the commit of what the word says
 *
 * All that looks at a state takes the mutex first, and stops the quick way before it looks. So steps know nothing of
 * it. Who waits stands in the state's line, and as long as somebody stands there the quick way stays closed: a release
 * that finds the word OPEN or HELD by itself has nobody to wake, and need not look.
 *
 * Who dies before its compare-and-swap has changed nothing. Behind it, it has the lock, dead, which the next one that
 * stops the quick way finds, or has released it; it has a permit, which is gone with it as any permit of the dead, or
 * has given it back. Who dies under the mutex leaves SLOW with a state that is true, which is slower, and nothing else;
 * or STOPPED, and whoever gets the mutex next does the rest: it commits what the word says, once more perhaps, and
 * stores SLOW.
 *
 * The word names a thread by its process's number, generation and its own number, which need 61 bits; threads whose
 * number needs more than 12 bits, and those of other nodes, have no quick way. Nor has a semaphore with more permits
 * than 29 bits can count, as long as it has so many. */
#ifndef SYNC_QUICK_H
#define SYNC_QUICK_H

#include <stdbool.h>
#include <stdint.h>

#include "forkserver/forkserver.h"
#include "object/object.h"
#include "object/thread_ref.h"
#include "shm/kill_point.h"

/* From the lowest bit: what it is, whether it is stopped, and of HELD the process's number and the thread's, of OPEN
 * the permits; above them a generation, of the process, or of OPEN that of the object. */
#define QUICK_SLOW         UINT64_C(0)
#define QUICK_OPEN         UINT64_C(1)
#define QUICK_HELD         UINT64_C(2)
#define QUICK_STOPPED      UINT64_C(4)
#define QUICK_NUMBER_SHIFT 3
#define QUICK_NUMBER_BITS  17
#define QUICK_THREAD_SHIFT (QUICK_NUMBER_SHIFT + QUICK_NUMBER_BITS)
#define QUICK_THREAD_BITS  12
#define QUICK_ONE_PERMIT   (UINT64_C(1) << QUICK_NUMBER_SHIFT)
#define QUICK_MOST_PERMITS ((1u << (32 - QUICK_NUMBER_SHIFT)) - 1)
_Static_assert(QUICK_THREAD_SHIFT + QUICK_THREAD_BITS == 32, "a generation stands above");

/* Of a lock; of a semaphore without permits. */
static inline uint64_t quick_open_word(uint32_t generation)
{
    return (uint64_t)generation << 32 | QUICK_OPEN;
}

/* HELD by the calling thread; QUICK_SLOW if the word cannot name it, or before the thread's first step on any state. */
static inline uint64_t quick_own_word(void)
{
    /* Pairs with the store in find_own_process(), object/thread_ref.c: the process's flag is raised. */
    uint64_t process = atomic_load_explicit(&thread_ref_process, memory_order_acquire);
    uint32_t number = (uint32_t)process, thread = thread_ref_thread;

    if (number != process_own_number() || number >> QUICK_NUMBER_BITS || !thread ||
        thread >> QUICK_THREAD_BITS)
        return QUICK_SLOW;
    return (process - number) | thread << QUICK_THREAD_SHIFT | number << QUICK_NUMBER_SHIFT | QUICK_HELD;
}

/* Pairs with whoever has set it free, in quick_release() or quick_start(): what the last owner has written is seen. */
static inline bool quick_take(struct object *object, uint64_t open, uint64_t own)
{
    bool is_taken = atomic_compare_exchange_strong_explicit(&object->quick, &open, own, memory_order_acquire,
                                                            memory_order_relaxed);

    KILL_POINT();
    return is_taken;
}

/* Takes a lock of this node, or releases one that the calling thread has, if that can be done at once; true if it was.
 * They look at nothing but the object record's first two lines. */
static inline bool quick_acquire(const mpm_handle *lock)
{
    struct object *object = object_find_recent(lock, OBJECT_LOCK);
    uint64_t own;

    return object && (own = quick_own_word()) != QUICK_SLOW &&
           quick_take(object, quick_open_word(lock->generation), own);
}

static inline bool quick_release(const mpm_handle *lock)
{
    struct object *object = object_find_recent(lock, OBJECT_LOCK);
    uint64_t own;
    bool is_released;

    if (!object || (own = quick_own_word()) == QUICK_SLOW)
        return false;
    /* Pairs with quick_take() and quick_stop(). */
    is_released = atomic_compare_exchange_strong_explicit(
        &object->quick, &own, quick_open_word(lock->generation), memory_order_release, memory_order_relaxed);
    KILL_POINT();
    return is_released;
}

/* Looks for a moment whether a lock that somebody has, in the quick way, becomes free, and takes it. */
bool quick_acquire_soon(const mpm_handle *lock);

/* Semaphores. */

static inline unsigned quick_permits(uint64_t word)
{
    return (uint32_t)word >> QUICK_NUMBER_SHIFT;
}

/* Whether a word of a semaphore's object record is OPEN, and that semaphore's. */
static inline bool quick_has_permits_of(uint64_t word, const mpm_handle *semaphore)
{
    return word % QUICK_ONE_PERMIT == QUICK_OPEN && word >> 32 == semaphore->generation;
}

/* Takes a permit of a semaphore of this node, if there is one and nobody waits. */
static inline bool quick_take_permit(struct object *object, const mpm_handle *semaphore)
{
    uint64_t word = atomic_load_explicit(&object->quick, memory_order_relaxed);
    bool is_taken = false;

    /* Pairs with whoever has given it back, in quick_release_permit() or quick_start(). */
    while (quick_has_permits_of(word, semaphore) && quick_permits(word) && !is_taken)
        is_taken = atomic_compare_exchange_weak_explicit(&object->quick, &word, word - QUICK_ONE_PERMIT,
                                                         memory_order_acquire, memory_order_relaxed);
    KILL_POINT();
    return is_taken;
}

static inline bool quick_acquire_permit(const mpm_handle *semaphore)
{
    struct object *object = object_find_recent(semaphore, OBJECT_SEMAPHORE);

    return object && quick_take_permit(object, semaphore);
}

/* Gives one back, if nobody waits and the semaphore does not have its most. */
static inline bool quick_release_permit(const mpm_handle *semaphore)
{
    struct object *object = object_find_recent(semaphore, OBJECT_SEMAPHORE);
    bool is_released = false;
    uint64_t word;

    if (!object)
        return false;
    word = atomic_load_explicit(&object->quick, memory_order_relaxed);
    /* Pairs with quick_take_permit() and quick_stop(). */
    while (quick_has_permits_of(word, semaphore) && quick_permits(word) < object->quick_most && !is_released)
        is_released = atomic_compare_exchange_weak_explicit(&object->quick, &word, word + QUICK_ONE_PERMIT,
                                                            memory_order_release, memory_order_relaxed);
    KILL_POINT();
    return is_released;
}

/* Looks for a moment whether a semaphore without permits gets one, and takes it. */
bool quick_acquire_permit_soon(const mpm_handle *semaphore);

/* Under the mutex. */

/* What the word says, if it is true: then it is STOPPED from here on. Else QUICK_SLOW. */
uint64_t quick_stop(struct object *object);
/* Who has the lock, by its word; `number` 0: nobody. */
struct thread_ref quick_owner(uint64_t word);
/* The state is true: after its commit. */
void quick_set_slow(struct object *object);
/* Nobody waits: the word is true from here on, if it can name the owner of the lock, or count the permits. */
void quick_start(struct object *object, const struct thread_ref *owner);
void quick_start_permits(struct object *object, unsigned permits);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The quick way of a lock: taken by one compare-and-swap, and released by one, as long as nobody waits for it. For
 * sync/ only.
 *
 * Who writes what. A lock's state stands in two copies (state.c). Beside them its object record has one word, `quick`,
 * which is
 *
 *   SLOW     the state is true
 *   OPEN     the lock is free, and the word is true, whatever the state says; with the object's generation, so that no
 *            stale handle can take the lock of another object
 *   HELD     a thread has it: the word names it. The word is true
 *   STOPPED  HELD or OPEN, and somebody is about to make the state true. Only who has the mutex goes on from here
 *
 *   SLOW -----> OPEN, HELD           quick_start(): under the mutex, after a commit
 *   OPEN <----> HELD                 anybody: quick_acquire(), quick_release()
 *   OPEN, HELD -----> STOPPED        quick_stop(): under the mutex
 *   STOPPED -----> SLOW              state.c: under the mutex, after the commit of what the word says
 *
 * All that looks at a state takes the mutex first, and stops the quick way before it looks. So steps know nothing of
 * it. Who waits for the lock stands in the state's line, and as long as somebody stands there the quick way stays
 * closed: a release that finds the word HELD by itself has nobody to wake, and need not look.
 *
 * Who dies before its compare-and-swap has changed nothing. Behind it, it has the lock, dead, which the next one that
 * stops the quick way finds, or has released it. Who dies under the mutex leaves SLOW with a state that is true, which
 * is slower, and nothing else; or STOPPED, and whoever gets the mutex next does the rest: it commits what the word
 * says, once more perhaps, and stores SLOW.
 *
 * The word names a thread by its process's number, generation and its own number, which need 61 bits; threads whose
 * number needs more than 12 bits, and those of other nodes, have no quick way. */
#ifndef SYNC_QUICK_H
#define SYNC_QUICK_H

#include <stdbool.h>
#include <stdint.h>

#include "forkserver/forkserver.h"
#include "object/object.h"
#include "object/thread_ref.h"
#include "shm/kill_point.h"

/* From the lowest bit: what it is, whether it is stopped, and of HELD the process's number and the thread's; above them
 * a generation, of the process, or of OPEN that of the object. */
#define QUICK_SLOW         UINT64_C(0)
#define QUICK_OPEN         UINT64_C(1)
#define QUICK_HELD         UINT64_C(2)
#define QUICK_STOPPED      UINT64_C(4)
#define QUICK_NUMBER_SHIFT 3
#define QUICK_NUMBER_BITS  17
#define QUICK_THREAD_SHIFT (QUICK_NUMBER_SHIFT + QUICK_NUMBER_BITS)
#define QUICK_THREAD_BITS  12
_Static_assert(QUICK_THREAD_SHIFT + QUICK_THREAD_BITS == 32, "a generation stands above");

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

/* Under the mutex. */

/* Whether the word is true: then it is STOPPED from here on, and `owner` says who has the lock (`number` 0: nobody). */
bool quick_stop(struct object *object, struct thread_ref *owner);
/* The state is true: after its commit. */
void quick_set_slow(struct object *object);
/* Nobody waits, and `owner` has the lock: the word is true from here on, if it can name it. */
void quick_start(struct object *object, const struct thread_ref *owner);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A mutex between processes that a killed holder does not keep: the next one gets it, and is told.
 *
 * For short critical sections of the arena's own structures, whose changes are committed by one store each:
 * what a dead holder had not committed never happened, what it had committed may leave derived data behind,
 * and who is told must make that anew before it calls robust_mutex_repaired(). Taking it is one
 * compare-and-swap, and letting it go one store, which is no full fence. Who writes what: see robust_mutex.c.
 * For shm/ and the layers above it. */
#ifndef SHM_ROBUST_MUTEX_H
#define SHM_ROBUST_MUTEX_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/thread_token.h"

#define ROBUST_MUTEX_DAMAGED THREAD_TOKEN_UNUSED_BITS

struct robust_mutex {
    _Atomic uint64_t holder; /* 0, or the thread token of who is inside; DAMAGED until it has repaired */
};

/* Once, before anybody else sees it. */
void robust_mutex_create(struct robust_mutex *mutex);

bool robust_mutex_lock_slowly(struct robust_mutex *mutex, uint64_t own);

/* Locks it if nobody is inside, dead or alive. Not before the thread has a thread token. */
static inline bool robust_mutex_lock_at_once(struct robust_mutex *mutex)
{
    uint64_t nobody = 0, own = own_thread_token;

    /* Pairs with robust_mutex_unlock(). */
    return __builtin_expect(own && atomic_compare_exchange_strong_explicit(&mutex->holder, &nobody, own,
                                                                           memory_order_acquire,
                                                                           memory_order_relaxed),
                            1);
}

/* Locks it. true if the last holder died inside: repair what it guards, then robust_mutex_repaired(). Who can fail
 * calls thread_token_ensure() before: a thread that can have no thread token waits here until another one ends. */
static inline bool robust_mutex_lock(struct robust_mutex *mutex)
{
    return !robust_mutex_lock_at_once(mutex) && robust_mutex_lock_slowly(mutex, thread_token_own());
}

void robust_mutex_repaired(struct robust_mutex *mutex);

static inline void robust_mutex_unlock(struct robust_mutex *mutex)
{
    assert(!(atomic_load_explicit(&mutex->holder, memory_order_relaxed) & ROBUST_MUTEX_DAMAGED));
    /* Pairs with the acquires of those who get the lock next. */
    atomic_store_explicit(&mutex->holder, 0, memory_order_release);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/driver/biased_lock.h"

#include <sched.h>

#include "base/asymmetric_fence.h"

#define FIRST_ROW \
    256u /* times in a row, until a thread is favoured; twice as many after each that was wrong */

_Thread_local char biased_lock_self;

void biased_lock_exclude(struct biased_lock *lock)
{
    struct bias *bias = atomic_load_explicit(&lock->favoured, memory_order_relaxed);

    if (!bias || bias->thread == &biased_lock_self)
        return;
    atomic_store_explicit(&lock->favoured, NULL, memory_order_relaxed);
    asymmetric_fence_heavy(); /* pairs with the light one of biased_lock_enter() */
    while (atomic_load_explicit(&bias->is_inside, memory_order_acquire))
        sched_yield();
    lock->given_up++;
}

/* The caller's bias; NULL if all are those of others. */
static struct bias *own_bias(struct biased_lock *lock)
{
    for (unsigned i = 0; i < BIASED_LOCK_THREADS; i++) {
        if (!lock->bias[i].thread)
            lock->bias[i].thread = &biased_lock_self;
        if (lock->bias[i].thread == &biased_lock_self)
            return &lock->bias[i];
    }
    return NULL;
}

bool biased_lock_taken(struct biased_lock *lock)
{
    if (lock->last != &biased_lock_self)
        lock->in_row = 0;
    lock->last = &biased_lock_self;
    if (lock->given_up >= BIASED_LOCK_THREADS || ++lock->in_row < FIRST_ROW << lock->given_up)
        return false;
    if (!asymmetric_fence_is_cheap())
        return lock->in_row == FIRST_ROW << lock->given_up; /* once, should it never be cheap */
    /* Pairs with biased_lock_enter(): the bias is whole. */
    atomic_store_explicit(&lock->favoured, own_bias(lock), memory_order_release);
    return false;
}

void biased_lock_waited(struct biased_lock *lock)
{
    lock->in_row = 0;
}

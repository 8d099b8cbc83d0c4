/* SPDX-License-Identifier: BSD-3-Clause */
/* A lock that favours the thread which has taken it many times in a row: that one enters and leaves by plain loads and
 * stores, as long as nobody else comes. Everybody else has a mutex, which is the caller's.
 *
 * Who writes what. `favoured`, and all behind it, is written under the mutex. Each bias is one thread's for good, and
 * only that thread writes its `is_inside`.
 *   The favoured thread writes `is_inside`, passes a light fence, and is inside if `favoured` still is its bias.
 *   Who excludes it, under the mutex, writes NULL into `favoured`, passes a heavy fence, and waits while it is inside.
 * One of them sees what the other has written (base/asymmetric_fence.h), so they are never inside together. A thread
 * that is stopped for long after it has read `favoured`, and is not favoured any more when it goes on, writes into its
 * own bias only, and finds that out: it disturbs nobody. What was written inside is seen by whoever comes next: through
 * `is_inside`, or the mutex. A thread that ends is never inside; another one that takes its place has its bias too.
 *
 * What tests see of that: on two CPUs that the heavy fence is missing, and under ThreadSanitizer each acquire and each
 * release, which on x86 no run can tell from relaxed ones. But nobody sees two, which stand here only: the signal fence,
 * which keeps compilers from what none does today; and the release of the way back from biased_lock_enter(), for whoever
 * reads that `false`, and not the one of biased_lock_leave() before it.
 *
 * For pool/driver/ only. */
#ifndef POOL_DRIVER_BIASED_LOCK_H
#define POOL_DRIVER_BIASED_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "shm/kill_point.h"

#define BIASED_LOCK_THREADS 8u /* that one lock favours in its time; none after these */

struct bias {
    const void *thread; /* constant once there is one */
    _Atomic bool is_inside;
};

/* Zero at first. */
struct biased_lock {
    struct bias *_Atomic favoured; /* NULL: nobody */
    const void *last;              /* the thread that has taken it last, */
    unsigned in_row;               /* so many times */
    unsigned given_up;             /* how often somebody else came */
    struct bias bias[BIASED_LOCK_THREADS];
};

/* Its address is the thread's name. */
extern __attribute__((tls_model("initial-exec"))) _Thread_local char biased_lock_self;

/* Without the mutex: the bias to leave by, or NULL, if the mutex is to be taken. */
static inline struct bias *biased_lock_enter(struct biased_lock *lock)
{
    /* Pairs with the store of biased_lock_taken(). */
    struct bias *bias = atomic_load_explicit(&lock->favoured, memory_order_acquire);

    if (!bias || bias->thread != &biased_lock_self)
        return NULL;
    DELAY_POINT();
    atomic_store_explicit(&bias->is_inside, true, memory_order_relaxed);
    atomic_signal_fence(
        memory_order_seq_cst); /* a light fence; pairs with the heavy one of biased_lock_exclude() */
    DELAY_POINT();
    if (__builtin_expect(atomic_load_explicit(&lock->favoured, memory_order_relaxed) == bias, 1))
        return bias;
    atomic_store_explicit(&bias->is_inside, false, memory_order_release);
    return NULL;
}

static inline void biased_lock_leave(struct bias *bias)
{
    /* Pairs with biased_lock_exclude(). */
    atomic_store_explicit(&bias->is_inside, false, memory_order_release);
}

/* All that follow: under the mutex. */

/* Whoever is favoured, but the caller, comes by the mutex from now on. Once after each time that the mutex was
 * taken. */
void biased_lock_exclude(struct biased_lock *lock);
/* The caller has taken it once more. Whether it is to be favoured as soon as light fences are cheap: that is for the
 * caller to see to, without the mutex. */
bool biased_lock_taken(struct biased_lock *lock);
/* It has had to wait for what it took: so the mutex is not what it pays for. */
void biased_lock_waited(struct biased_lock *lock);

#endif

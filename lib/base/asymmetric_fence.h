/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences of two threads of a process, one of which passes its own millions of times a second, and the other seldom.
 * Each writes a word, passes its fence, and reads what the other has written: at least one of them sees the other's.
 *
 * At first both are full fences. Once asymmetric_fence_prepare() has succeeded the light one keeps the compiler from
 * moving loads and stores across it, and no more; the heavy one has the kernel make every thread of the process pass a
 * full fence (membarrier). In between heavy ones ask the kernel already while light ones are full fences still. The
 * kernel is asked once more before the light ones become cheap, so a heavy one that has not asked it is in the past of
 * each cheap one. No test sees that on x86, nor the acquire below: a heavy fence that is missing is seen on two CPUs, by
 * biased_lock_test. For pool/driver/ only. */
#ifndef BASE_ASYMMETRIC_FENCE_H
#define BASE_ASYMMETRIC_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>

enum asymmetry { FENCES_ARE_EQUAL, HEAVY_FENCE_IS_READY, LIGHT_FENCE_IS_CHEAP };

extern _Atomic int asymmetric_fence_state; /* enum asymmetry: only goes up */

static inline bool asymmetric_fence_is_cheap(void)
{
    /* Pairs with the stores of asymmetric_fence_prepare(). */
    return atomic_load_explicit(&asymmetric_fence_state, memory_order_acquire) == LIGHT_FENCE_IS_CHEAP;
}

/* Pairs with asymmetric_fence_heavy(). */
static inline void asymmetric_fence_light(void)
{
    if (__builtin_expect(asymmetric_fence_is_cheap(), 1))
        atomic_signal_fence(memory_order_seq_cst);
    else
        atomic_thread_fence(memory_order_seq_cst);
}

/* Pairs with asymmetric_fence_light(). */
void asymmetric_fence_heavy(void);

/* Has the light one cost nothing from now on; false if the kernel cannot do that. In a process with several threads the
 * first call may take 20 ms. */
bool asymmetric_fence_prepare(void);

#endif

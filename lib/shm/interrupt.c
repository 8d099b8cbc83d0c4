/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupting waits; see the header. */
#include "shm/interrupt.h"

#include <stdatomic.h>
#include <stddef.h>

#include "mpmap/wait.h"

#include "base/error.h"

/* Initial-exec: a handler must not be the first to touch memory that has to be allocated. */
static __attribute__((tls_model("initial-exec"))) _Thread_local struct {
    struct eventcount *_Atomic word; /* that the thread sleeps on, or is going to; NULL: it does not wait */
    _Atomic uint32_t is_pending;
} own;

void mpm_interrupt_waits(void)
{
    struct eventcount *word;

    atomic_store(&own.is_pending, 1);
    if ((word = atomic_load(&own.word)))
        eventcount_notify_from_handler(word);
}

void mpm_interrupt_clear(void)
{
    atomic_store(&own.is_pending, 0);
}

bool interrupt_is_pending(void)
{
    return atomic_load_explicit(&own.is_pending, memory_order_relaxed);
}

/* The two may not change places, for a handler: the compiler must not, and the processor shows a thread's own stores to
 * its handlers in order. */
bool wait_change_or_interrupt(struct eventcount *word, uint32_t seen, uint64_t spin_ns, uint64_t deadline_ns)
{
    bool is_changed;

    atomic_store_explicit(&own.word, word, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    is_changed = interrupt_is_pending() || eventcount_wait(word, seen, spin_ns, deadline_ns);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&own.word, NULL, memory_order_relaxed);
    return is_changed;
}

int interrupt_take(const char *what)
{
    mpm_interrupt_clear();
    return error_set(MPM_EINTERRUPTED, "the wait for the %s was ended by mpm_interrupt_waits()", what);
}

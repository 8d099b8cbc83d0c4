/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupting the waits of a thread, by its own signal handlers (mpm_interrupt_waits).
 *
 * Who writes what: two words of the thread's own, which only it and its handlers touch. Before it looks whether an
 * interruption is pending, a thread says on which eventcount it is going to sleep. A handler sets the first, and moves
 * that word on: so the kernel, which compares the word as it puts the thread to sleep, does not; and a thread that
 * slept finds another value when the handler returns. So it does not matter between which two instructions the handler
 * runs. Nobody else is woken; whoever else waits on the word finds nothing, and goes on waiting.
 * For shm/ and the layers above it. */
#ifndef SHM_INTERRUPT_H
#define SHM_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/eventcount.h"

/* As eventcount_wait(); but it also returns, at once, when an interruption is pending. What it returns says nothing of
 * that.
 */
bool wait_change_or_interrupt(struct eventcount *word, uint32_t seen, uint64_t spin_ns, uint64_t deadline_ns);

/* Whether one is pending. */
bool interrupt_is_pending(void);

/* Takes it: MPM_EINTERRUPTED, with a sentence that names what the caller has waited for. */
int interrupt_take(const char *what);

#endif

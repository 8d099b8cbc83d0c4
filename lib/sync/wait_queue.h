/* SPDX-License-Identifier: BSD-3-Clause */
/* The line of those who wait for a permit: of a lock, which is one permit, or of a semaphore.
 *
 * Whoever comes may take a free permit past those who wait, which costs nobody a wake-up; but only
 * WAIT_QUEUE_BYPASSES times past the oldest waiter. Then a free permit is that one's, and everybody else waits
 * until it has it, has given up, or is dead. So the waiter in place n of the line gets a permit after at
 * most n * (WAIT_QUEUE_BYPASSES + 1) acquisitions, whoever keeps coming, and wherever it waits. For sync/ only. */
#ifndef SYNC_WAIT_QUEUE_H
#define SYNC_WAIT_QUEUE_H

#include "sync/state.h"

#define WAIT_QUEUE_BYPASSES 64u

/* Whether the caller may take a permit that is free. Drops dead ones from the head of the line. */
bool wait_queue_may_take(struct draft *draft);
/* The caller has taken a permit. */
void wait_queue_took(struct draft *draft);
/* The caller must wait: it stands in line from here on, if it comes again. CALL_MUST_WAIT,
 * STATE_NEEDS_ROOM. */
int wait_queue_wait(struct draft *draft, const struct state_request *request);
/* The caller's time is up. */
void wait_queue_leave(struct draft *draft);

#endif

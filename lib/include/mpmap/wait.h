/* SPDX-License-Identifier: BSD-3-Clause */
/** @file wait.h  Waiting for several things at once, and interrupting a wait. */
#ifndef MPMAP_WAIT_H
#define MPMAP_WAIT_H

#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** Waits until at least one of several objects is ready, on whatever nodes they are:
 * - a process is ready when it has ended;
 * - a connection when a receive would not have to wait: there is a message, or the other end is closed or gone;
 * - a queue when a get would not have to wait: there is a message, or the queue is closed;
 * - an event while it is set;
 * - a result of a pool (mpm_result_handle()) when mpm_result_get() would not have to wait. Only the process that has
 *   the result can wait for it: others get MPM_EINVAL.
 *
 * Nothing is taken from them: what is ready stays so until somebody takes or clears it. An object at a node that
 * does not answer in time (see the time limits in sync.h) is not ready. Any process may call this; several may
 * wait for the same object.
 * @param handles      of the objects, in any mixture: `process.handle`, `connection.handle` …
 * @param count        how many
 * @param timeout_s    seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param ready        out: room for `count` indexes into `handles`, of those that are ready, rising. If the call
 *                     does not have to wait, all that are ready; otherwise all that it knows of when it wakes
 * @param ready_count  out: how many are ready, at least one
 * @return 0; MPM_ETIMEDOUT if nothing was ready in time; MPM_EINVAL if `count` is 0, or for something that cannot
 *         be waited for, such as the sending end of a oneway pipe; MPM_ECLOSED for an end of a pipe that is
 *         closed; MPM_ESTALE if an object was destroyed, also meanwhile; MPM_EINTERRUPTED; MPM_ENOMEM; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_wait_any(const mpm_handle *handles, size_t count, double timeout_s, size_t *ready,
                                     size_t *ready_count);

/** Interrupts the calling thread's waits. It is made for signal handlers: it is async-signal-safe. A signal alone
 * ends no wait of mpmap: its handler runs, and the wait continues. If the handler calls this, the wait returns
 * MPM_EINTERRUPTED. What it has waited for is untouched, as if its time had been up: nothing was taken, no message
 * was got or lost, a wait for a condition has the lock again, and a barrier breaks. (What is put or sent at
 * another node may be on its way already, as with time limits: see queue.h and pipe.h.)
 *
 * If the thread does not wait at that moment, the interruption is pending: the thread's next call that would have
 * to wait returns MPM_EINTERRUPTED instead, so it does not matter whether the signal comes just before the call or
 * during it. One interruption ends one wait, and several that come before a wait ends are one. A call that need
 * not wait, or may not (with a timeout of 0), does what it does, and leaves it pending. At an object of another
 * node a call with a time limit waits for the answer, so it is one that has to wait.
 *
 * The waits that end: every call with a timeout_s on queues, pipes, locks, semaphores, conditions, events,
 * barriers and processes, mpm_wait_any(), and waiting for a result or for the next one of a stream. Those that do
 * not, and leave it pending: all others, among them mpm_pool_map(), mpm_pool_apply(), closing and joining a pool,
 * and mpm_finalize(). A map that a signal is to end is begun by mpm_pool_map_async(), waited for by
 * mpm_result_wait(), and cancelled.
 *
 * Other threads and processes are not affected. A process may have the signal sent to a certain thread by
 * pthread_kill(). */
MPM_API void mpm_interrupt_waits(void);

/** Forgets an interruption of the calling thread that is pending, if one is. Async-signal-safe. */
MPM_API void mpm_interrupt_clear(void);

MPM_END

#endif

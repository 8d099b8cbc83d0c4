/* SPDX-License-Identifier: BSD-3-Clause */
/** @file queue.h  Queues of messages, for all processes on all nodes.
 *
 * First in, first out: one order for all, that in which puts were done at the queue's home. What put accepted
 * will be got: the putter may end or be killed right after. A process killed in put or get loses at most its
 * own message. Any process may call all of these.
 *
 * At the queue's home what put accepted is in the queue when put returns. Messages of 8 KiB at most that are
 * put from another node into a queue without bound may be on their way then, many together; whatever else the
 * home is told by that node later, by a call, a reply, or the end of a process or a task, comes behind them.
 * Who learns of a put by way of a third node may look too early, and is to wait for the message.
 *
 * A process of another node that waits for a message, or for room, is served although processes of the queue's
 * home are faster: at most 64 messages of those go past the one that has waited longest, and the rest of the
 * last one's batch. Then whoever of the home waits, too, waits until that one is served, gives up or is dead.
 * Calls whose time is up, or that may not wait at all, take what there is all the same, and so may go past it
 * again and again. A getter that waits for a message of more than 64 KiB learns its length at its turn, and gets
 * the next one at its next turn, which comes at once. */
#ifndef MPMAP_QUEUE_H
#define MPMAP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** A queue. */
typedef struct mpm_queue {
    mpm_handle handle;
} mpm_queue;

/** Options of mpm_queue_create; zero is the default. */
typedef struct mpm_queue_options {
    size_t maxsize; /**< the most messages that it holds; 0: as many as the arena has memory for */
} mpm_queue_options;

/** Makes an empty queue at the caller's node. MPM_ENOMEM, MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_queue_create(const mpm_queue_options *options, mpm_queue *queue);
/** Ends it, with what is in it: handles are stale from here on, and whoever waits gets MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_queue_destroy(mpm_queue queue);

/* Each of these: MPM_EINVAL for a handle that is none, MPM_ESTALE for a destroyed queue, MPM_ENODELOST; if it has
 * to wait, MPM_EINTERRUPTED (see mpm_interrupt_waits in wait.h). */

/** Puts a message of `size` bytes, 0 included; it is copied. Waits timeout_s for room (see the time limits of sync.h).
 * If the queue's node has not answered in time, the message is not in the queue, unless the answer was on its way at
 * that moment.
 * @return MPM_EFULL if there was none in time; MPM_ECLOSED; MPM_ENOMEM if the arena has no memory for it.
 * What was accepted on another node, and finds no memory when it comes, waits for it at the home in order,
 * and is not counted by mpm_queue_size meanwhile. */
MPM_API MPM_CHECKED int mpm_queue_put(mpm_queue queue, const void *message, size_t size, double timeout_s);

/** Gets the first message; waits timeout_s for one (see the time limits of sync.h). One that comes too late from another
 * node is the first in the queue again; a queue that was full meanwhile has one more than its maximum then.
 * @param room  bytes that `message` has room for
 * @param size  out: bytes of the message; NULL if nobody wants to know
 * @return MPM_EEMPTY if there was none in time; MPM_ECLOSED if it is closed and empty; MPM_ETOOSMALL if the
 * message is longer than `room`: it stays first in the queue, and `size` tells (the one output of a failure);
 * MPM_ENOMEM if the queue is at another node, and the caller's arena has no memory for the message: it stays, too.
 */
MPM_API MPM_CHECKED int mpm_queue_get(mpm_queue queue, double timeout_s, void *message, size_t room,
                                      size_t *size);

/** Gets the first message, however long it is, into memory of its own; waits as mpm_queue_get(). There is memory for it
 * before it is taken: if there is none, it stays the first one.
 * @param message  out: the caller frees it with free(); never NULL, also for a message of 0 bytes
 * @param size     out: its bytes
 * @return as mpm_queue_get(), but for MPM_ETOOSMALL; MPM_ENOMEM also if the caller has no memory; MPM_EINVAL also if a
 * place for a result is NULL. */
MPM_API MPM_CHECKED int mpm_queue_get_alloc(mpm_queue queue, double timeout_s, void **message, size_t *size);

/** Puts `count` messages of `size` bytes each, which stand one behind the other, in order, nobody's between
 * them unless it has to wait for room.
 * @param put  out: how many were put, also when it fails; or NULL
 * @return as mpm_queue_put, of the first that could not be put. */
MPM_API MPM_CHECKED int mpm_queue_put_many(mpm_queue queue, const void *messages, size_t size, size_t count,
                                           double timeout_s, size_t *put);
/** Gets up to `count` messages of exactly `size` bytes each, as many as are there; waits for the first only.
 * @param got  out: how many
 * @return as mpm_queue_get, of the first; MPM_ETOOSMALL also if it is shorter than `size`. */
MPM_API MPM_CHECKED int mpm_queue_get_many(mpm_queue queue, size_t size, size_t count, double timeout_s,
                                           void *messages, size_t *got);

/** Messages in it now. */
MPM_API MPM_CHECKED int mpm_queue_size(mpm_queue queue, size_t *messages);
/** Whether there is no message in it now.
 * @param is_empty  out */
MPM_API MPM_CHECKED int mpm_queue_is_empty(mpm_queue queue, bool *is_empty);
/** Whether it has `maxsize` messages now; never so for a queue without a bound.
 * @param is_full  out */
MPM_API MPM_CHECKED int mpm_queue_is_full(mpm_queue queue, bool *is_full);

/** No more puts, anywhere: they get MPM_ECLOSED; gets drain what is there, and get MPM_ECLOSED then. Twice is
 * fine. Waits for what other nodes have accepted: it is there when this returns. */
MPM_API MPM_CHECKED int mpm_queue_close(mpm_queue queue);

/** Says that one message that was got has been worked on. MPM_EINVAL once too often. */
MPM_API MPM_CHECKED int mpm_queue_task_done(mpm_queue queue);
/** Waits until as many were said as were put. MPM_ETIMEDOUT. */
MPM_API MPM_CHECKED int mpm_queue_join(mpm_queue queue, double timeout_s);

MPM_END

#endif

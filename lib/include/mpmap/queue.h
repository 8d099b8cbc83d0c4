/* SPDX-License-Identifier: BSD-3-Clause */
/** @file queue.h  Queues of messages, for all processes on all nodes.
 *
 * First in, first out, in one order for everybody: that in which messages were put at the queue's home, the node
 * where it was made. Any process may call all of these functions. A message that mpm_queue_put() has accepted will
 * be got, even if the process that put it is killed right after. A process that is killed in a put or a get loses
 * at most its own message.
 *
 * At the queue's home an accepted message is in the queue when the put returns. From another node, messages of up
 * to 8 KiB into a queue without a maximum may still be on their way, many together. Whatever else that node tells
 * the home later (a call, a reply, the end of a process or a task) comes after them. A process that learns of a
 * put through a third node may look too early: it should wait for the message.
 *
 * Processes at the home are faster than those of other nodes. So that these get their share, at most 64 messages
 * (and the rest of the last batch) pass a process of another node that waits for a message or for room; then those
 * of the home wait until it is served, gives up or is dead. Calls that must not wait, or whose time is up, still
 * take what there is, and may pass it again and again. For a message of more than 64 KiB such a process needs two
 * turns, which follow each other.
 *
 * Statuses that all of them may return, beside those in their own texts: MPM_EINVAL if the handle is not a
 * queue's, or a place for a result is NULL; MPM_ESTALE if the queue was destroyed; MPM_ESTATE without a run;
 * MPM_ENODELOST if a node was lost. Those with a time limit that have to wait: MPM_EINTERRUPTED, see
 * mpm_interrupt_waits(). */
#ifndef MPMAP_QUEUE_H
#define MPMAP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "handle.h"
#include "message.h"

MPM_BEGIN

/** A queue of messages of any length. */
typedef struct mpm_queue {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_queue;

/** Options of mpm_queue_create(); zero is the default. */
typedef struct mpm_queue_options {
    size_t
        maxsize; /**< the most messages that it holds; 0: as many as the node's shared memory has room for */
} mpm_queue_options;

/** Makes an empty queue at the caller's node. It lives until mpm_queue_destroy() or the end of the run. Does not
 * block.
 * @param options  or NULL: defaults
 * @param queue    out: the queue
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_queue_create(const mpm_queue_options *options, mpm_queue *queue);

/** Destroys a queue with the messages in it. From then on its handles give MPM_ESTALE, also to processes that wait
 * at it.
 * @param queue  the queue
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_destroy(mpm_queue queue);

/** Puts a message, which is copied. Waits while the queue is full. If the queue's node does not answer in time (see
 * the time limits in sync.h), the message is not in the queue, unless the answer was on its way at that moment. A
 * message that was accepted on another node, and finds no memory at the home, waits for it there, in order;
 * mpm_queue_size() does not count it meanwhile.
 * @param queue      the queue
 * @param message    `size` bytes; may be NULL if `size` is 0
 * @param size       bytes of the message; a message of no bytes is one, too
 * @param timeout_s  seconds to wait for room at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_EFULL if there was no room in time; MPM_ECLOSED if the queue is closed; MPM_ENOMEM if shared
 *         memory is full; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_put(mpm_queue queue, const void *message, size_t size, double timeout_s);

/** Puts a message without copying it: it changes hands (message.h). Waits while the queue is full.
 * @param queue      the queue
 * @param message    the caller's own; none once it has been put. If the call fails it is the caller's still, unless it
 *                   had left for another node, which then did not answer in time or was lost, or the call was
 *                   interrupted: then it is freed, and is none, too
 * @param timeout_s  seconds to wait for room at most, or MPM_FOREVER; 0: do not wait
 * @return as mpm_queue_put(); MPM_EINVAL also for what is no message of this process, and if its size was made
 *         larger. */
MPM_API MPM_CHECKED int mpm_queue_put_message(mpm_queue queue, mpm_message *message, double timeout_s);

/** Gets the first message. Waits while the queue is empty. A message that comes too late from another node (see the
 * time limits in sync.h) becomes the first of the queue again; a queue that has become full meanwhile then has one
 * more than its maximum.
 * @param queue      the queue
 * @param timeout_s  seconds to wait for a message at most, or MPM_FOREVER; 0: do not wait
 * @param message    out: the message
 * @param room       bytes that `message` has room for
 * @param size       out: bytes of the message, also with MPM_ETOOSMALL; or NULL
 * @return 0; MPM_EEMPTY if there was no message in time; MPM_ECLOSED if the queue is closed and empty;
 *         MPM_ETOOSMALL if the message is longer than `room`: it stays first in the queue; MPM_ENOMEM if the queue
 *         is at another node, and the caller's node has no shared memory for the message, which stays, too;
 *         MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_get(mpm_queue queue, double timeout_s, void *message, size_t room,
                                      size_t *size);

/** Gets the first message, however long it is, into memory of its own. Waits as mpm_queue_get(). The memory is
 * there before the message is taken: if there is none, it stays the first one.
 * @param queue      the queue
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param message    out: the message, which the caller frees with free(); never NULL, not even for a message of no
 *                   bytes
 * @param size       out: bytes of the message
 * @return as mpm_queue_get(), but for MPM_ETOOSMALL; MPM_ENOMEM also if the caller has no memory; MPM_EINVAL also
 *         if `message` or `size` is NULL. */
MPM_API MPM_CHECKED int mpm_queue_get_alloc(mpm_queue queue, double timeout_s, void **message, size_t *size);

/** Gets the first message, however long it is, without copying it: the caller frees it with mpm_message_destroy(), or
 * puts it into a queue again. Waits as mpm_queue_get().
 * @param queue      the queue
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param message    out: the message, the caller's own
 * @return as mpm_queue_get(), but for MPM_ETOOSMALL; MPM_ENOMEM also if there is no shared memory for a short message,
 *         which stays; MPM_EINVAL also if `message` is NULL. */
MPM_API MPM_CHECKED int mpm_queue_get_message(mpm_queue queue, double timeout_s, mpm_message *message);

/** Gets the first message if it has exactly `size` bytes. Waits as mpm_queue_get().
 * @param queue      the queue
 * @param size       bytes that the message is to have
 * @param timeout_s  seconds to wait for a message at most, or MPM_FOREVER; 0: do not wait
 * @param message    out: the message; may be NULL if `size` is 0
 * @return as mpm_queue_get(), but for MPM_ETOOSMALL; MPM_ETYPE if the message has another size, which mpm_error()
 *         tells: it stays first in the queue. */
MPM_API MPM_CHECKED int mpm_queue_get_exact(mpm_queue queue, size_t size, double timeout_s, void *message);

/** Puts one thing of any type, such as a struct: mpm_queue_put() of as many bytes as its type has. Waits for room
 * without a limit.
 * @param queue  the queue
 * @param thing  a pointer to the thing, of any type but void and char
 * @return as mpm_queue_put(). */
#define mpm_put(queue, thing) mpm_queue_put(queue, thing, MPM_SIZE_OF_ONE(thing), MPM_FOREVER)

/** Gets one thing: mpm_queue_get_exact() of as many bytes as its type has. Waits for it without a limit.
 * @param queue  the queue
 * @param thing  out: a pointer to room for the thing, of any type but void and char
 * @return as mpm_queue_get_exact(). */
#define mpm_get(queue, thing) mpm_queue_get_exact(queue, MPM_SIZE_OF_ONE(thing), MPM_FOREVER, thing)

/** Puts several messages of the same size, in order. No other message gets between them unless the call has to wait
 * for room.
 * @param queue      the queue
 * @param messages   `count` messages of `size` bytes each, one after the other
 * @param size       bytes of each
 * @param count      how many messages
 * @param timeout_s  seconds to wait for room at most, or MPM_FOREVER; 0: do not wait
 * @param put        out, also if the call fails: how many were put; or NULL
 * @return as mpm_queue_put(), of the first message that could not be put. */
MPM_API MPM_CHECKED int mpm_queue_put_many(mpm_queue queue, const void *messages, size_t size, size_t count,
                                           double timeout_s, size_t *put);

/** Gets as many messages as there are, of exactly `size` bytes each. Waits for the first of them only.
 * @param queue      the queue
 * @param size       bytes of each
 * @param count      the most messages to get
 * @param timeout_s  seconds to wait for the first at most, or MPM_FOREVER; 0: do not wait
 * @param messages   out: room for `count` messages of `size` bytes each
 * @param got        out: how many there were
 * @return as mpm_queue_get(), of the first; MPM_ETOOSMALL also if that has fewer than `size` bytes. */
MPM_API MPM_CHECKED int mpm_queue_get_many(mpm_queue queue, size_t size, size_t count, double timeout_s,
                                           void *messages, size_t *got);

/** Counts the messages in a queue at this moment. From another node it is one round trip.
 * @param queue     the queue
 * @param messages  out: how many
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_size(mpm_queue queue, size_t *messages);

/** Tells whether a queue is empty at this moment. From another node it is one round trip.
 * @param queue     the queue
 * @param is_empty  out: whether there is no message in it
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_is_empty(mpm_queue queue, bool *is_empty);

/** Tells whether a queue holds its maximum of messages at this moment. From another node it is one round trip.
 * @param queue    the queue
 * @param is_full  out: whether it holds `maxsize` messages; false for a queue without a maximum
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_is_full(mpm_queue queue, bool *is_full);

/** Closes a queue for everybody: later puts return MPM_ECLOSED; gets take what is there, and then return
 * MPM_ECLOSED. Closing again is no error. Blocks until messages that other nodes have accepted are in the queue.
 * @param queue  the queue
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_close(mpm_queue queue);

/** Says that one message that was got has been worked on, for mpm_queue_join(). Any process may say so.
 * @param queue  the queue
 * @return 0; MPM_EINVAL, also if it was said for every message already; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_task_done(mpm_queue queue);

/** Waits until mpm_queue_task_done() was called once for every message that was put.
 * @param queue      the queue
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_queue_join(mpm_queue queue, double timeout_s);

MPM_END

#endif

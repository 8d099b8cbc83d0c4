/* SPDX-License-Identifier: BSD-3-Clause */
/** @file pipe.h  Pipes: two connected ends, for processes on all nodes.
 *
 * What one end sends the other receives: whole messages, in the order of the sends. An end may be used by any
 * number of processes; each message is received once. A direction holds up to 1024 messages, so who sends
 * faster than the other end receives waits. If processes of the pipe's home and of other nodes wait at the same
 * end, they have turns as at a queue (see queue.h).
 *
 * A process holds an end from the moment on that it was started with the end's handle in its args (at a
 * distance of a multiple of 8 bytes), or has used the end: sent, received or polled. Making a pipe alone does
 * not hold its ends. When all processes that held an end have ended, it is gone, until another process uses
 * it; an end that nobody has held yet is not. A child that was started with the handles of both ends in its args
 * holds both: as long as it lives neither is gone, and it is never told that the other side has died. So hand a
 * child the ends that it is to use. Main and the other ranks end with the run only, so an end that main has used
 * is to be closed, for all, or let go of, by main alone (mpm_connection_release). */
#ifndef MPMAP_PIPE_H
#define MPMAP_PIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** An end of a pipe: a value that means the same everywhere. */
typedef struct mpm_connection {
    mpm_handle handle;
} mpm_connection;

/** Which ways messages go. */
enum mpm_pipe_direction {
    MPM_DUPLEX, /**< both */
    MPM_ONEWAY, /**< a receives what b sends */
};

/** Makes a pipe at the caller's node. MPM_EINVAL for a direction that there is not; MPM_ENOMEM, MPM_ESTATE.
 */
MPM_API MPM_CHECKED int mpm_pipe_create(enum mpm_pipe_direction direction, mpm_connection *a,
                                        mpm_connection *b);

/* Each of these: MPM_EINVAL for a handle that is none, MPM_ESTALE when both ends were closed, MPM_ENODELOST; if it
 * has to wait, MPM_EINTERRUPTED (see mpm_interrupt_waits in wait.h).
 * Any process may call them. */

/** Sends a message of `size` bytes, 0 included; it is copied. Waits timeout_s for room (see the time limits of sync.h).
 * If the pipe's node has not answered in time, the message is not in the pipe, unless the answer was on its way at that
 * moment. A message of more than 4 MiB goes there in pieces, for each of which the node has the time that is left, and
 * the moment for its answer.
 * @return MPM_ETIMEDOUT if there was none in time; MPM_EPIPE if the other end is closed or gone; MPM_ECLOSED
 * if this one is closed; MPM_EINVAL at the end of a oneway pipe that receives; MPM_ENOMEM if the arena has no
 * memory for it. Nothing was sent then. */
MPM_API MPM_CHECKED int mpm_connection_send(mpm_connection connection, const void *message, size_t size,
                                            double timeout_s);

/** Receives the next message; waits timeout_s for one (see the time limits of sync.h). One that comes too late from
 * another node is the first in the pipe again.
 * @param room  bytes that `message` has room for
 * @param size  out: bytes of the message; NULL if nobody wants to know
 * @return MPM_ETIMEDOUT if there was none in time; MPM_EEOF if the other end is closed or gone, and all was
 * received; MPM_ETOOSMALL if the message is longer than `room`: it stays the next one, and `size` tells (the
 * one output of a failure); MPM_ECLOSED if this end is closed; MPM_EINVAL at the end of a oneway pipe that
 * sends; MPM_ENOMEM. */
MPM_API MPM_CHECKED int mpm_connection_recv(mpm_connection connection, double timeout_s, void *message,
                                            size_t room, size_t *size);

/** Receives the next message, however long it is, into memory of its own; waits as mpm_connection_recv(). There is memory
 * for it before it is taken: if there is none, it stays the next one.
 * @param message  out: the caller frees it with free(); never NULL, also for a message of 0 bytes
 * @param size     out: its bytes
 * @return as mpm_connection_recv(), but for MPM_ETOOSMALL; MPM_EINVAL also if a place for a result is NULL. */
MPM_API MPM_CHECKED int mpm_connection_recv_alloc(mpm_connection connection, double timeout_s, void **message,
                                                  size_t *size);

/** Waits timeout_s until a receive would not have to wait.
 * @param is_ready  out: true if there is a message, or a receive would return MPM_EEOF; false if the time is up
 * @return as mpm_connection_recv(), but MPM_ETIMEDOUT. */
MPM_API MPM_CHECKED int mpm_connection_poll(mpm_connection connection, double timeout_s, bool *is_ready);

/** Closes this end, for all processes, at once: what was sent from it can be received still. When both ends
 * are closed the pipe ends, with what is in it: handles are stale from there on. Twice is fine until then. */
MPM_API MPM_CHECKED int mpm_connection_close(mpm_connection connection);

/** The calling process does not hold this end any more: the other processes that hold it do, and when the last of them has
 * ended or let go, the end is gone. Main does so with the end that its child is to have, as a program that forks closes
 * its own copy: then the other end is told when the child has ended. To let go before anybody else holds the end is to end
 * it, so start the child first. A process that uses the end afterwards holds it again. Does nothing if the caller does not
 * hold it, or it is closed. */
MPM_API MPM_CHECKED int mpm_connection_release(mpm_connection connection);

MPM_END

#endif

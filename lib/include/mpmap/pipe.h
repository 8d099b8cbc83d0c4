/* SPDX-License-Identifier: BSD-3-Clause */
/** @file pipe.h  Pipes: two connected ends, for processes on all nodes.
 *
 * One end receives what the other sends: whole messages, in the order in which they were sent. Any number of
 * processes may use an end; each message is received once. A direction holds up to 1024 messages: then a send
 * waits. Processes of several nodes that wait at the same end take turns as at a queue (queue.h). Any process may
 * call all of these functions.
 *
 * A process *holds* an end if it was started with the end's handle in its args (at a multiple of 8 bytes), or has
 * sent, received or polled there. Making a pipe alone does not hold its ends. When all processes that held an end
 * have ended, the end is gone, until another process uses it; an end that nobody has held yet is not gone. A child
 * that was started with both ends in its args holds both: while it lives neither is gone, and it is never told
 * that the other side has died. So give a child the ends that it is to use, and no others. Main and the other
 * ranks end with the run only: close an end that main has used, for all, or let go of it for main alone
 * (mpm_connection_release()).
 *
 * Statuses that all of them may return, beside those in their own texts: MPM_EINVAL if the handle is not a
 * connection's; MPM_ESTALE if both ends were closed; MPM_ESTATE without a run; MPM_ENODELOST if a node was lost.
 * Those with a time limit that have to wait: MPM_EINTERRUPTED, see mpm_interrupt_waits(). */
#ifndef MPMAP_PIPE_H
#define MPMAP_PIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** An end of a pipe. */
typedef struct mpm_connection {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_connection;

/** The directions in which messages go. */
enum mpm_pipe_direction {
    MPM_DUPLEX, /**< both */
    MPM_ONEWAY, /**< a receives what b sends */
};

/** Makes a pipe at the caller's node. Does not block.
 * @param direction  of the messages
 * @param a          out: one end; of a oneway pipe the one that receives
 * @param b          out: the other end; of a oneway pipe the one that sends
 * @return 0; MPM_EINVAL, also if there is no such direction; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_pipe_create(enum mpm_pipe_direction direction, mpm_connection *a,
                                        mpm_connection *b);

/** Sends a message, which is copied. Waits while 1024 messages are on their way. If the pipe's node does not answer
 * in time (see the time limits in sync.h), the message was not sent, unless the answer was on its way at that
 * moment. A message of more than 4 MiB crosses nodes in pieces; for each of them the node has the time that is
 * left.
 * @param connection  the end that sends
 * @param message     `size` bytes; may be NULL if `size` is 0
 * @param size        bytes of the message; a message of no bytes is one, too
 * @param timeout_s   seconds to wait for room at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if there was no room in time; MPM_EPIPE if the other end is closed or gone; MPM_ECLOSED
 *         if this one is closed; MPM_EINVAL, also at the receiving end of a oneway pipe; MPM_ENOMEM if shared
 *         memory is full; MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED; MPM_ENODELOST. If it fails, nothing was sent. */
MPM_API MPM_CHECKED int mpm_connection_send(mpm_connection connection, const void *message, size_t size,
                                            double timeout_s);

/** Receives the next message. Waits while there is none. A message that comes too late from another node (see the
 * time limits in sync.h) becomes the first in the pipe again.
 * @param connection  the end that receives
 * @param timeout_s   seconds to wait for a message at most, or MPM_FOREVER; 0: do not wait
 * @param message     out: the message
 * @param room        bytes that `message` has room for
 * @param size        out: bytes of the message, also with MPM_ETOOSMALL; or NULL
 * @return 0; MPM_ETIMEDOUT if there was no message in time; MPM_EEOF if the other end is closed or gone, and
 *         everything was received; MPM_ETOOSMALL if the message is longer than `room`: it stays the next one;
 *         MPM_ECLOSED if this end is closed; MPM_EINVAL, also at the sending end of a oneway pipe; MPM_ENOMEM;
 *         MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_connection_recv(mpm_connection connection, double timeout_s, void *message,
                                            size_t room, size_t *size);

/** Receives the next message, however long it is, into memory of its own. Waits as mpm_connection_recv(). The
 * memory is there before the message is taken: if there is none, it stays the next one.
 * @param connection  the end that receives
 * @param timeout_s   seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param message     out: the message, which the caller frees with free(); never NULL, not even for a message of
 *                    no bytes
 * @param size        out: bytes of the message
 * @return as mpm_connection_recv(), but for MPM_ETOOSMALL; MPM_EINVAL also if `message` or `size` is NULL. */
MPM_API MPM_CHECKED int mpm_connection_recv_alloc(mpm_connection connection, double timeout_s, void **message,
                                                  size_t *size);

/** Receives the next message if it has exactly `size` bytes. Waits as mpm_connection_recv().
 * @param connection  the end that receives
 * @param size        bytes that the message is to have
 * @param timeout_s   seconds to wait for a message at most, or MPM_FOREVER; 0: do not wait
 * @param message     out: the message; may be NULL if `size` is 0
 * @return as mpm_connection_recv(), but for MPM_ETOOSMALL; MPM_ETYPE if the message has another size, which
 *         mpm_error() tells: it stays the next one. */
MPM_API MPM_CHECKED int mpm_connection_recv_exact(mpm_connection connection, size_t size, double timeout_s,
                                                  void *message);

/** Sends one thing of any type, such as a struct: mpm_connection_send() of as many bytes as its type has. Waits for
 * room without a limit.
 * @param connection  the end that sends
 * @param thing       a pointer to the thing, of any type but void and char
 * @return as mpm_connection_send(). */
#define mpm_send(connection, thing) \
    mpm_connection_send(connection, thing, MPM_SIZE_OF_ONE(thing), MPM_FOREVER)

/** Receives one thing: mpm_connection_recv_exact() of as many bytes as its type has. Waits for it without a limit.
 * @param connection  the end that receives
 * @param thing       out: a pointer to room for the thing, of any type but void and char
 * @return as mpm_connection_recv_exact(). */
#define mpm_recv(connection, thing) \
    mpm_connection_recv_exact(connection, MPM_SIZE_OF_ONE(thing), MPM_FOREVER, thing)

/** Waits until a receive would not have to wait: because there is a message, or because it would return MPM_EEOF.
 * @param connection  the end that receives
 * @param timeout_s   seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param is_ready    out: whether it would not wait; false if the time is up
 * @return 0; MPM_ECLOSED, MPM_EINVAL, MPM_ENOMEM, MPM_ESTALE, MPM_ESTATE, MPM_EINTERRUPTED, MPM_ENODELOST as for
 *         mpm_connection_recv(). */
MPM_API MPM_CHECKED int mpm_connection_poll(mpm_connection connection, double timeout_s, bool *is_ready);

/** Closes this end at once, for all processes. What was sent from it can still be received. When both ends are
 * closed the pipe is destroyed with what is in it, and its handles give MPM_ESTALE; until then closing again is no
 * error.
 * @param connection  the end to close
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_connection_close(mpm_connection connection);

/** Lets go of an end for the calling process alone. The other processes that hold it still do; when the last of
 * them has ended or let go, the end is gone. Main does so with the end that its child is to have, as a program
 * that forks closes its own copy: then the other end is told when the child has ended. To let go before anybody
 * else holds the end is to end it, so start the child first. A process that uses the end afterwards holds it
 * again. Does nothing if the caller does not hold it, or it is closed.
 * @param connection  the end to let go of
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_connection_release(mpm_connection connection);

MPM_END

#endif

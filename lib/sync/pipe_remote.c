/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes of other nodes: the caller's part, and what the home's courier does for it.
 *
 * A message goes in one call, if the caller's node has memory for all of it at once. Else it is gathered at the home,
 * piece by piece, and sent into the pipe at once when it is whole; or it is received at once there, and fetched piece
 * by piece then. So a caller that dies has sent all of its message or nothing, and has received it or lost it,
 * as one that dies right after a receive.
 *
 * A caller whose time is up takes back the call that it is at (object/call.h), and the home ends what belongs to it: a
 * message that is gathered is dropped; one that was received, or is being fetched, is the pipe's first again, and is
 * kept until its last piece has arrived. One that is in the pipe already stays there. */
#include <stdio.h>
#include <string.h>

#include "mpmap/runtime.h"
#include "mpmap/status.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "sync/kinds.h"
#include "sync/pipe.h"
#include "sync/transfer.h"

#define PIECE       ((size_t)4 << 20)
#define LEAST_PIECE ((size_t)128) /* needs no memory of the arena */

/* The home. */

static int say_wrong_piece(size_t size)
{
    return error_set(MPM_EPROTOCOL, "a piece of %zu bytes does not fit the rest of its message", size);
}

/* Ends a transfer if it is there. */
static void drop(const struct pipe_use *use, uint64_t number)
{
    struct transfer *transfer = NULL;

    if (number && !transfer_find(&use->thread_ref, number, &transfer))
        transfer_end(transfer);
}

/* What was gathered is the message. */
int pipe_serve_send(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_send_in *send = invocation->in;
    struct transfer *transfer = NULL;
    int status;

    if (!send->transfer)
        return pipe_try_send(object, handle, invocation);
    if ((status = transfer_find(&send->use.thread_ref, send->transfer, &transfer)))
        return status;
    invocation->tail = transfer->bytes;
    invocation->tail_size = transfer->size;
    status = transfer->done == transfer->size ? pipe_try_send(object, handle, invocation)
                                              : say_wrong_piece(transfer->done);
    if (status != CALL_MUST_WAIT)
        transfer_end(transfer);
    return status;
}

/* What was gathered for a send that is not to be is dropped. */
int pipe_undo_send(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    const struct pipe_send_in *send = invocation->in;

    (void)handle;
    (void)was_given;
    drop(&send->use, send->transfer);
    return MPM_OK;
}

/* At home, too. */
int pipe_late_send(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    (void)object;
    if (invocation->is_served)
        pipe_undo_send(handle, invocation, false);
    return error_set(MPM_ETIMEDOUT, "the pipe was full for the whole timeout");
}

/* MPM_ETOOSMALL with `size` if it has more than `room` bytes. */
static int receive_short(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                         size_t room, size_t *size)
{
    struct pipe_buffer buffer = {.room = room};
    int status;

    if ((status = invocation_make_room(invocation, room)))
        return status;
    buffer.bytes = invocation->more;
    status = pipe_receive_into(object, handle, invocation->in, invocation->turn, &buffer);
    *size = buffer.size;
    if (!status)
        invocation->size = buffer.size;
    return status;
}

static int receive_long(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                        size_t room, size_t *size)
{
    const struct pipe_receive_in *receive = invocation->in;
    struct pipe_receive_out *received = invocation->out;
    struct pipe_buffer buffer = {.room = room};
    struct transfer *transfer = NULL;
    int status;

    if ((status = transfer_begin(&receive->use.thread_ref, room, &transfer)))
        return status;
    buffer.bytes = transfer->bytes;
    status = pipe_receive_into(object, handle, receive, invocation->turn, &buffer);
    *size = buffer.size;
    if (status) {
        transfer_end(transfer);
        return status;
    }
    transfer->size = buffer.size;
    received->transfer = transfer->number;
    return MPM_OK;
}

/* A short one is copied, and a long one comes in its block. */
static int receive_whole(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_receive_in *receive = invocation->in;
    struct pipe_receive_out *received = invocation->out;
    struct pipe_buffer buffer = {.room = receive->room, .takes_block = true};
    int status;

    if ((status = invocation_make_room(invocation, receive->room < RING_SHORT ? receive->room : RING_SHORT)))
        return status;
    buffer.bytes = invocation->more;
    status = pipe_receive_into(object, handle, receive, invocation->turn, &buffer);
    received->size = buffer.size;
    if (!status && buffer.block.block)
        invocation_give_block(invocation, &buffer.block);
    else if (!status)
        invocation->size = buffer.size;
    return status;
}

/* By pieces: the home has little room for it at first, and then as much as the message asks for: the caller's may be
 * far more, unless the message is to fill it. */
int pipe_serve_receive(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_receive_in *receive = invocation->in;
    struct pipe_receive_out *received = invocation->out;
    size_t room = receive->is_exact || receive->room < CALL_FIRST_ROOM ? receive->room : CALL_FIRST_ROOM,
           size = 0;
    int status;

    if ((status = pipe_try_poll(object, handle, invocation)))
        return status;
    if (!receive->by_pieces)
        return receive_whole(object, handle, invocation);
    while ((status = room <= CALL_FIRST_ROOM
                         ? receive_short(object, handle, invocation, room, &size)
                         : receive_long(object, handle, invocation, room, &size)) == MPM_ETOOSMALL &&
           size <= receive->room)
        room = size;
    received->size = size;
    return status;
}

int pipe_serve_gather(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_gather_in *gather = invocation->in;
    uint64_t *number = invocation->out;
    struct transfer *transfer = NULL;
    int status;

    (void)object;
    (void)handle;
    if (!(status = transfer_begin(&gather->use.thread_ref, gather->size, &transfer)))
        *number = transfer->number;
    return status;
}

int pipe_serve_piece(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_transfer_in *piece = invocation->in;
    struct transfer *transfer = NULL;
    int status;

    (void)object;
    (void)handle;
    invocation->gives = true;
    if ((status = transfer_find(&piece->use.thread_ref, piece->number, &transfer)))
        return status;
    if (invocation->tail_size > transfer->size - transfer->done)
        return say_wrong_piece(invocation->tail_size);
    memcpy(transfer->bytes + transfer->done, invocation->tail, invocation->tail_size);
    transfer->done += invocation->tail_size;
    return MPM_OK;
}

int pipe_serve_fetch(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_transfer_in *fetch = invocation->in;
    struct transfer *transfer = NULL;
    int status;

    (void)object;
    (void)handle;
    invocation->gives = true;
    if ((status = transfer_find(&fetch->use.thread_ref, fetch->number, &transfer)))
        return status;
    if (fetch->size > transfer->size - transfer->done)
        return say_wrong_piece(fetch->size);
    if ((status = invocation_add(invocation, transfer->bytes + transfer->done, fetch->size)))
        return status;
    transfer->done += fetch->size;
    invocation->asks = transfer->done == transfer->size;
    return MPM_OK;
}

int pipe_serve_drop(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_transfer_in *what = invocation->in;

    (void)object;
    (void)handle;
    drop(&what->use, what->number);
    return MPM_OK;
}

/* Gives a message back to the pipe that it was received from. */
static int give_back(const mpm_handle *handle, unsigned end, const void *message, size_t size,
                     struct ring_block *block)
{
    struct object *object;
    int status;

    if (object_find(handle, OBJECT_PIPE, &object))
        return MPM_OK; /* there is no pipe any more */
    status = pipe_give_back(object, handle, end, message, size, block);
    return status == MPM_ENOMEM ? CALL_MUST_WAIT : MPM_OK;
}

static int give_back_transfer(const mpm_handle *handle, const struct pipe_use *use, uint64_t number)
{
    struct transfer *transfer = NULL;
    int status;

    if (transfer_find(&use->thread_ref, number, &transfer))
        return MPM_OK;
    if (!(status = give_back(handle, use->end, transfer->bytes, transfer->size, NULL)))
        transfer_end(transfer);
    return status;
}

int pipe_undo_receive(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    const struct pipe_receive_in *receive = invocation->in;
    const struct pipe_receive_out *received = invocation->out;

    if (!was_given)
        return MPM_OK;
    return received->transfer
               ? give_back_transfer(handle, &receive->use, received->transfer)
               : give_back(handle, receive->use.end, invocation->more, received->size, invocation->block);
}

int pipe_undo_gather(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    const struct pipe_gather_in *gather = invocation->in;
    const uint64_t *number = invocation->out;

    (void)handle;
    if (was_given)
        drop(&gather->use, *number);
    return MPM_OK;
}

int pipe_undo_piece(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    const struct pipe_transfer_in *piece = invocation->in;

    (void)handle;
    (void)was_given;
    drop(&piece->use, piece->number);
    return MPM_OK;
}

int pipe_undo_fetch(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    const struct pipe_transfer_in *fetch = invocation->in;

    (void)was_given;
    return give_back_transfer(handle, &fetch->use, fetch->number);
}

/* All of a message was fetched. */
void pipe_fetch_arrived(const struct invocation *invocation)
{
    const struct pipe_transfer_in *fetch = invocation->in;
    struct transfer *transfer = NULL;

    if (!transfer_find(&fetch->use.thread_ref, fetch->number, &transfer) && transfer->done == transfer->size)
        transfer_end(transfer);
}

void pipe_announce(void)
{
    transfer_forget_all();
}

/* The caller. */

/* Has the home gather a message; its number. Each piece is to be taken in time, as if it was the only one. Where there
 * is no memory for a piece it goes in smaller ones. */
static int gather(const mpm_handle *handle, const struct invocation *send, double timeout_s, uint64_t *number)
{
    const struct pipe_use *use = send->in;
    struct pipe_gather_in begin = {.use = *use, .size = send->tail_size};
    struct pipe_transfer_in piece = {.use = *use};
    struct invocation beginning = {.method = &pipe_methods[PIPE_GATHER], .in = &begin, .out = number};
    struct invocation adding = {.method = &pipe_methods[PIPE_PIECE], .in = &piece};
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    size_t most = PIECE, done = 0;
    int status = invoke_remote(handle, &beginning, timeout_s);

    piece.number = *number;
    while (!status && done < send->tail_size) {
        adding.tail = (const char *)send->tail + done;
        adding.tail_size = send->tail_size - done < most ? send->tail_size - done : most;
        status = invoke_remote(handle, &adding, call_time_left_s(timeout_s, deadline_ns));
        if (!status)
            done += adding.tail_size;
        else if (status == MPM_ENOMEM && most > LEAST_PIECE) {
            most /= 2;
            status = MPM_OK;
        }
    }
    return status;
}

/* A send whose time is up, or that is interrupted, has nothing at the home any more. */
static int send_long(const mpm_handle *handle, const struct invocation *whole, double timeout_s)
{
    const struct pipe_use *use = whole->in;
    struct pipe_send_in send = {.use = *use};
    struct pipe_transfer_in gathered = {.use = *use};
    struct invocation sending = {.method = &pipe_methods[PIPE_SEND], .in = &send};
    struct invocation dropping = {.method = &pipe_methods[PIPE_DROP], .in = &gathered};
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status = gather(handle, whole, timeout_s, &send.transfer);

    if (!status)
        status = invoke_remote(handle, &sending, call_time_left_s(timeout_s, deadline_ns));
    gathered.number = send.transfer;
    if (status && gathered.number && status != MPM_ETIMEDOUT && status != MPM_EINTERRUPTED) {
        char why[MESSAGE_TEXT_SIZE];

        snprintf(why, sizeof why, "%s", mpm_error());
        (void)invoke_remote(handle, &dropping, 0);
        error_set(status, "%s", why);
    }
    return status;
}

/* At once, unless this node has no memory for all of it. */
int pipe_send_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    size_t size = invocation->tail_size;
    int status = size <= CALL_WHOLE ? invoke_remote(handle, invocation, timeout_s) : MPM_ENOMEM;

    return status == MPM_ENOMEM && size > CALL_FIRST_ROOM ? send_long(handle, invocation, timeout_s) : status;
}

/* The message is in the pipe no more: where there is no memory for a piece of it, it comes in smaller ones. */
static int fetch(const mpm_handle *handle, const struct invocation *received, double timeout_s,
                 uint64_t deadline_ns)
{
    const struct pipe_receive_out *what = received->out;
    struct pipe_transfer_in in = {.use = *(const struct pipe_use *)received->in, .number = what->transfer};
    struct invocation invocation = {.method = &pipe_methods[PIPE_FETCH], .in = &in};
    size_t done = 0, piece = PIECE;
    int status;

    while (done < what->size) {
        in.size = piece < what->size - done ? piece : what->size - done;
        invocation.more = (char *)received->more + done;
        invocation.room = in.size;
        status = invoke_remote(handle, &invocation, call_time_left_s(timeout_s, deadline_ns));
        if (status == MPM_ENOMEM && piece > LEAST_PIECE) {
            piece /= 2;
            continue;
        }
        if (status)
            return status;
        if (invocation.size != in.size)
            return say_wrong_piece(invocation.size);
        done += invocation.size;
    }
    return MPM_OK;
}

static int receive_by_pieces(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    const struct pipe_receive_out *received = invocation->out;
    struct pipe_receive_in *receive = invocation->in;
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status;

    receive->by_pieces = 1;
    invocation->reserve = 0;
    invocation->room = receive->room < CALL_FIRST_ROOM ? receive->room : CALL_FIRST_ROOM;
    status = invoke_remote(handle, invocation, timeout_s);
    return !status && received->transfer ? fetch(handle, invocation, timeout_s, deadline_ns) : status;
}

/* At once, unless this node has no memory for all of it when it comes: then it is the pipe's first again. */
int pipe_receive_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    const struct pipe_receive_out *received = invocation->out;
    struct pipe_receive_in *receive = invocation->in;
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    size_t room = receive->room;
    int status;

    receive->room = call_expect(invocation, room);
    status = invoke_remote(handle, invocation, timeout_s);
    receive->room = room;
    if (status == MPM_ENOMEM || (status == MPM_ETOOSMALL && received->size <= room))
        status = receive_by_pieces(handle, invocation, call_time_left_s(timeout_s, deadline_ns));
    return status == MPM_ETOOSMALL ? pipe_too_small(received->size, receive->room) : status;
}

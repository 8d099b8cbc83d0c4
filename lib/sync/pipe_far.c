/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes of other nodes: the caller's part, and what the home's courier does for it.
 *
 * A message of at most PIECE bytes goes in one call. A longer one is gathered at the home, piece by piece,
 * and sent into the pipe at once when it is whole; or it is received at once there, and fetched piece by
 * piece then. So a caller that dies has sent all of its message or nothing, and has received it or lost it,
 * as one that dies right after a receive.
 *
 * A caller whose time is up takes back the call that it is at (object/call.h), and the home ends what belongs to it: a
 * message that is gathered is dropped; one that was received, or is being fetched, is the pipe's first again, and is
 * kept until its last piece has arrived. One that is in the pipe already stays there. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/status.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "sync/layer.h"
#include "sync/pipe.h"
#include "sync/transfer.h"

#define PIECE       ((size_t)4 << 20)
#define LEAST_PIECE ((size_t)128)     /* needs no memory of the arena */
#define FIRST_ROOM  ((size_t)1 << 16) /* bytes that a receive at the home has room for at first */

struct send_call { /* then the message, unless it was gathered */
    struct pipe_use use;
    uint64_t transfer; /* number of the gathered one; 0: there is none */
};

struct receive_call {
    struct pipe_use use;
    uint64_t room;
};

struct receive_reply { /* then the message, unless it is to be fetched */
    int64_t status;    /* MPM_OK or MPM_ETOOSMALL, which tells `size` */
    uint64_t size;
    uint64_t transfer; /* number of the one that is to be fetched; 0: there is none */
};

enum transfer_step { TRANSFER_BEGIN, TRANSFER_PIECE, TRANSFER_FETCH, TRANSFER_DROP };

struct transfer_call { /* then the bytes of TRANSFER_PIECE */
    struct pipe_use use;
    uint64_t step;   /* enum transfer_step */
    uint64_t number; /* of all but TRANSFER_BEGIN, which replies it */
    uint64_t size;   /* of TRANSFER_BEGIN: the message's; of TRANSFER_FETCH: how many bytes of it at most */
};

/* The home. */

static int nonsense(void)
{
    return error_set(MPM_EPROTOCOL, "a call on a pipe makes no sense");
}

/* What a call begins with, and the pipe. */
static int open_call(const mpm_handle *handle, const void *in, size_t in_size, void *call, size_t call_size,
                     struct object **object)
{
    const struct pipe_use *use = call;

    if (in_size < call_size)
        return nonsense();
    memcpy(call, in, call_size);
    if (use->end >= PIPE_ENDS)
        return nonsense();
    return object_find(handle, OBJECT_PIPE, object);
}

/* Into a pipe that was found, or not, which is `status`. */
static int send_gathered(int status, struct object *object, const mpm_handle *handle,
                         const struct send_call *call)
{
    struct pipe_send send = {.use = call->use, .turn = call_turn()};
    struct transfer *transfer = NULL;
    int missing;

    if ((missing = transfer_find(&call->use.party, call->transfer, &transfer)))
        return missing;
    send.message = transfer->bytes;
    send.size = transfer->size;
    if (!status)
        status = transfer->done == transfer->size ? pipe_try_send(object, handle, &send) : nonsense();
    if (status != CALL_MUST_WAIT)
        transfer_end(transfer);
    return status;
}

/* What was gathered for a send that is not to be is dropped. */
static int undo_send(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *given)
{
    struct transfer *transfer = NULL;
    struct send_call call;

    (void)handle;
    (void)given;
    if (in_size < sizeof call)
        return MPM_OK;
    memcpy(&call, in, sizeof call);
    if (call.transfer && !transfer_find(&call.use.party, call.transfer, &transfer))
        transfer_end(transfer);
    return MPM_OK;
}

static int on_send(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct send_call call = {.transfer = 0};
    struct object *object = NULL;
    struct pipe_send send;
    int status;

    (void)reply;
    status = open_call(handle, in, in_size, &call, sizeof call, &object);
    if (call.transfer)
        return send_gathered(status, object, handle, &call);
    if (status)
        return status;
    send = (struct pipe_send){call.use, (const char *)in + sizeof call, in_size - sizeof call, call_turn()};
    return pipe_try_send(object, handle, &send);
}

/* MPM_ETOOSMALL with `size` if it has more than `room` bytes. */
static int receive_short(struct object *object, const mpm_handle *handle, const struct pipe_use *use,
                         size_t room, size_t *size, struct call_reply *reply)
{
    struct receive_reply *head = malloc(sizeof *head + room);
    struct pipe_receive receive = {.use = *use, .message = head + 1, .room = room, .turn = call_turn()};
    int status;

    if (!head)
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes", room);
    status = pipe_try_receive(object, handle, &receive);
    *size = receive.size;
    if (status) {
        free(head);
        return status;
    }
    *head = (struct receive_reply){.size = receive.size};
    *reply = (struct call_reply){.bytes = head, .size = sizeof *head + receive.size, .gives = true};
    return MPM_OK;
}

static int receive_long(struct object *object, const mpm_handle *handle, const struct pipe_use *use,
                        size_t room, size_t *size, struct call_reply *reply)
{
    struct pipe_receive receive = {.use = *use, .room = room, .turn = call_turn()};
    struct transfer *transfer = NULL;
    struct receive_reply head;
    int status;

    if ((status = transfer_begin(&use->party, room, &transfer)))
        return status;
    receive.message = transfer->bytes;
    head = (struct receive_reply){.transfer = transfer->number};
    if ((status = call_reply_add(reply, &head, sizeof head)) ||
        (status = pipe_try_receive(object, handle, &receive))) {
        transfer_end(transfer);
        free(reply->bytes);
        *reply = (struct call_reply){.bytes = NULL};
    } else {
        transfer->size = ((struct receive_reply *)reply->bytes)->size = receive.size;
        reply->gives = true;
    }
    *size = receive.size;
    return status;
}

/* The home has little room for it at first, and then as much as the message asks for: the caller's may be far
 * more. */
static int on_receive(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct receive_call call;
    struct receive_reply head = {.status = MPM_ETOOSMALL};
    struct object *object;
    size_t room, size = 0;
    int status;

    if ((status = open_call(handle, in, in_size, &call, sizeof call, &object)) ||
        (status = pipe_try_poll(object, handle, &call.use)))
        return status;
    room = call.room < FIRST_ROOM ? call.room : FIRST_ROOM;
    while ((status = room <= PIECE
                         ? receive_short(object, handle, &call.use, room, &size, reply)
                         : receive_long(object, handle, &call.use, room, &size, reply)) == MPM_ETOOSMALL &&
           size <= call.room)
        room = size;
    head.size = size;
    return status == MPM_ETOOSMALL ? call_reply_add(reply, &head, sizeof head) : status;
}

static int add_piece(struct transfer *transfer, const void *bytes, size_t size)
{
    if (size > transfer->size - transfer->done)
        return nonsense();
    memcpy(transfer->bytes + transfer->done, bytes, size);
    transfer->done += size;
    return MPM_OK;
}

static int reply_piece(struct transfer *transfer, size_t size, struct call_reply *reply)
{
    int status;

    if (size > transfer->size - transfer->done)
        return nonsense();
    if ((status = call_reply_add(reply, transfer->bytes + transfer->done, size)))
        return status;
    transfer->done += size;
    reply->asks = transfer->done == transfer->size;
    return MPM_OK;
}

static int on_transfer(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct transfer *transfer = NULL;
    struct transfer_call call;
    struct object *object;
    int status;

    if (in_size < sizeof call)
        return nonsense();
    memcpy(&call, in, sizeof call);
    if (call.step == TRANSFER_BEGIN) {
        reply->gives = true;
        if ((status = object_find(handle, OBJECT_PIPE, &object)) ||
            (status = transfer_begin(&call.use.party, call.size, &transfer)))
            return status;
        return call_reply_add(reply, &transfer->number, sizeof transfer->number);
    }
    reply->gives = call.step != TRANSFER_DROP;
    /* What was received is the caller's, even if the pipe has ended since. */
    if ((status = transfer_find(&call.use.party, call.number, &transfer)))
        return status;
    switch (call.step) {
    case TRANSFER_PIECE:
        return add_piece(transfer, (const char *)in + sizeof call, in_size - sizeof call);
    case TRANSFER_FETCH:
        return reply_piece(transfer, call.size, reply);
    case TRANSFER_DROP:
        transfer_end(transfer);
        return MPM_OK;
    default:
        return nonsense();
    }
}

/* Of a send whose time is up: nobody asks for what was gathered any more. */
static int on_late_send(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)reply;
    undo_send(handle, in, in_size, NULL);
    return error_set(pipe_sending[0].late_status, "%s", pipe_sending[0].late_sentence);
}

/* Gives a message back to the pipe that it was received from. */
static int give_back(const mpm_handle *handle, const struct pipe_use *use, const void *message, size_t size)
{
    struct pipe_send send = {.use = *use, .message = message, .size = size};
    struct object *object;
    int status;

    if (object_find(handle, OBJECT_PIPE, &object))
        return MPM_OK; /* there is no pipe any more */
    status = pipe_give_back(object, handle, &send);
    return status == MPM_ENOMEM ? CALL_MUST_WAIT : MPM_OK;
}

static int give_back_transfer(const mpm_handle *handle, const struct pipe_use *use, uint64_t number)
{
    struct transfer *transfer = NULL;
    int status;

    if (transfer_find(&use->party, number, &transfer))
        return MPM_OK;
    if (!(status = give_back(handle, use, transfer->bytes, transfer->size)))
        transfer_end(transfer);
    return status;
}

static int undo_receive(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *given)
{
    const struct receive_reply *reply = given ? given->bytes : NULL;
    struct receive_call call;

    if (!reply || in_size != sizeof call)
        return MPM_OK;
    memcpy(&call, in, sizeof call);
    return reply->transfer ? give_back_transfer(handle, &call.use, reply->transfer)
                           : give_back(handle, &call.use, reply + 1, reply->size);
}

static int undo_transfer(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *given)
{
    struct transfer *transfer = NULL;
    struct transfer_call call;

    if (in_size < sizeof call)
        return MPM_OK;
    memcpy(&call, in, sizeof call);
    if (call.step == TRANSFER_BEGIN && given && given->bytes)
        memcpy(&call.number, given->bytes, sizeof call.number);
    if (call.step == TRANSFER_FETCH)
        return give_back_transfer(handle, &call.use, call.number);
    if (!transfer_find(&call.use.party, call.number, &transfer))
        transfer_end(transfer);
    return MPM_OK;
}

/* All of a message was fetched, or it is gathered still. */
static void on_transfer_arrived(const void *in, size_t in_size)
{
    struct transfer *transfer = NULL;
    struct transfer_call call;

    if (in_size < sizeof call)
        return;
    memcpy(&call, in, sizeof call);
    if (call.step == TRANSFER_FETCH && !transfer_find(&call.use.party, call.number, &transfer) &&
        transfer->done == transfer->size)
        transfer_end(transfer);
}

/* Verbs that are nothing but a use. */
static int on_use(const mpm_handle *handle, const void *in, size_t in_size,
                  int (*try)(struct object *object, const mpm_handle *handle, void *use))
{
    struct object *object;
    struct pipe_use use;
    int status = open_call(handle, in, in_size, &use, sizeof use, &object);

    return status ? status : try(object, handle, &use);
}

static int on_poll(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)reply;
    return on_use(handle, in, in_size, pipe_try_poll);
}

static int on_close(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)reply;
    return on_use(handle, in, in_size, pipe_try_close);
}

static int on_hold(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)reply;
    return on_use(handle, in, in_size, pipe_try_hold);
}

static int on_let_go(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)reply;
    return on_use(handle, in, in_size, pipe_try_let_go);
}

static unsigned side_of(const void *in, size_t in_size, bool sends)
{
    struct pipe_use use = {.end = PIPE_ENDS};

    if (in_size >= sizeof use)
        memcpy(&use, in, sizeof use);
    return use.end < PIPE_ENDS ? pipe_side(use.end, sends) : OBJECT_SIDES;
}

static unsigned sending_side(const void *in, size_t in_size)
{
    return side_of(in, in_size, true);
}

static unsigned receiving_side(const void *in, size_t in_size)
{
    return side_of(in, in_size, false);
}

void pipe_far_announce(void)
{
    transfer_forget_all();
    call_register(VERB_PIPE_SEND, on_send, pipe_sending[0].late_status, pipe_sending[0].late_sentence);
    call_register(VERB_PIPE_RECEIVE, on_receive, pipe_receiving[0].late_status,
                  pipe_receiving[0].late_sentence);
    call_register_ends(VERB_PIPE_SEND, &(struct call_ends){.late = on_late_send, .undo = undo_send});
    call_register_ends(VERB_PIPE_RECEIVE, &(struct call_ends){.undo = undo_receive});
    call_register_turns(VERB_PIPE_SEND, sending_side);
    call_register_turns(VERB_PIPE_RECEIVE, receiving_side);
    call_register(VERB_PIPE_POLL, on_poll, pipe_polling[0].late_status, pipe_polling[0].late_sentence);
    call_register(VERB_PIPE_CLOSE, on_close, MPM_OK, "");
    call_register(VERB_PIPE_HOLD, on_hold, MPM_OK, "");
    call_register(VERB_PIPE_LET_GO, on_let_go, MPM_OK, "");
    call_register(VERB_PIPE_TRANSFER, on_transfer, MPM_OK, "");
    call_register_ends(VERB_PIPE_TRANSFER,
                       &(struct call_ends){.undo = undo_transfer, .arrived = on_transfer_arrived});
}

/* The caller. */

/* What a caller gets whose node has not answered: the sentence says so. */
static int late(int status)
{
    return status == CALL_NO_ANSWER ? MPM_ETIMEDOUT : status;
}

/* One call with bytes behind its struct. */
static int call_with(const mpm_handle *handle, enum call_verb verb, const void *call, size_t call_size,
                     const void *bytes, size_t size, double timeout_s)
{
    char *message = malloc(call_size + size);
    int status;

    if (!message)
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes", size);
    memcpy(message, call, call_size);
    if (size)
        memcpy(message + call_size, bytes, size);
    status = call_timed(handle, verb, message, call_size + size, timeout_s, NULL, 0, NULL);
    free(message);
    return late(status);
}

/* Has the home gather a message; its number. Each piece is to be taken in time, as if it was the only one. */
static int gather(const mpm_handle *handle, const struct pipe_send *send, struct transfer_call *call,
                  double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    size_t done = 0;
    int status;

    if ((status = late(call_timed(handle, VERB_PIPE_TRANSFER, call, sizeof *call, timeout_s, &call->number,
                                  sizeof call->number, NULL))))
        return status;
    call->step = TRANSFER_PIECE;
    while (!status && done < send->size) {
        size_t piece = send->size - done < PIECE ? send->size - done : PIECE;

        status = call_with(handle, VERB_PIPE_TRANSFER, call, sizeof *call, (const char *)send->message + done,
                           piece, call_time_left_s(timeout_s, deadline_ns));
        done += piece;
    }
    return status;
}

/* A send whose time is up has nothing at the home any more. */
static int send_long(const mpm_handle *handle, const struct pipe_send *send, double timeout_s)
{
    struct transfer_call step = {.use = send->use, .step = TRANSFER_BEGIN, .size = send->size};
    struct send_call call = {.use = send->use};
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status;

    if (!(status = gather(handle, send, &step, timeout_s))) {
        call.transfer = step.number;
        return late(call_timed(handle, VERB_PIPE_SEND, &call, sizeof call,
                               call_time_left_s(timeout_s, deadline_ns), NULL, 0, NULL));
    }
    if (step.number && status != MPM_ETIMEDOUT && status != MPM_EINTERRUPTED) {
        step.step = TRANSFER_DROP;
        call_remote(handle, VERB_PIPE_TRANSFER, &step, sizeof step, 0, NULL, 0, NULL);
    }
    return status;
}

int pipe_send_far(const mpm_handle *handle, const struct pipe_send *send, double timeout_s)
{
    struct send_call call = {.use = send->use};

    if (send->size > PIECE)
        return send_long(handle, send, timeout_s);
    return call_with(handle, VERB_PIPE_SEND, &call, sizeof call, send->message, send->size, timeout_s);
}

/* The message is in the pipe no more: where there is no memory for a piece of it, it comes in smaller ones. */
static int fetch(const mpm_handle *handle, const struct receive_reply *reply, struct pipe_receive *receive,
                 double timeout_s, uint64_t deadline_ns)
{
    struct transfer_call call = {.use = receive->use, .step = TRANSFER_FETCH, .number = reply->transfer};
    size_t done = 0, piece = PIECE, got;
    int status;

    while (done < reply->size) {
        call.size = piece < reply->size - done ? piece : reply->size - done;
        status = call_timed(handle, VERB_PIPE_TRANSFER, &call, sizeof call,
                            call_time_left_s(timeout_s, deadline_ns), (char *)receive->message + done,
                            call.size, &got);
        if (status == MPM_ENOMEM && piece > LEAST_PIECE) {
            piece /= 2;
            continue;
        }
        if (status)
            return late(status);
        if (got != call.size)
            return error_set(MPM_EPROTOCOL, "a piece of %zu bytes of a message makes no sense", got);
        done += got;
    }
    return MPM_OK;
}

int pipe_receive_far(const mpm_handle *handle, struct pipe_receive *receive, double timeout_s)
{
    struct receive_call call = {.use = receive->use, .room = receive->room};
    size_t room = sizeof(struct receive_reply) + (receive->room < PIECE ? receive->room : PIECE);
    struct receive_reply *reply = malloc(room);
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status;

    if (!reply)
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes", room);
    if (!(status = late(
              call_timed(handle, VERB_PIPE_RECEIVE, &call, sizeof call, timeout_s, reply, room, NULL)))) {
        receive->size = reply->size;
        if (reply->status)
            status = pipe_too_small(receive->size, receive->room);
        else if (reply->transfer)
            status = fetch(handle, reply, receive, timeout_s, deadline_ns);
        else if (reply->size)
            memcpy(receive->message, reply + 1, reply->size);
    }
    free(reply);
    return status;
}

int pipe_poll_far(const mpm_handle *handle, const struct pipe_use *use, double timeout_s)
{
    return late(call_timed(handle, VERB_PIPE_POLL, use, sizeof *use, timeout_s, NULL, 0, NULL));
}

int pipe_close_far(const mpm_handle *handle, const struct pipe_use *use)
{
    return call_remote(handle, VERB_PIPE_CLOSE, use, sizeof *use, 0, NULL, 0, NULL);
}

int pipe_hold_far(const mpm_handle *handle, const struct pipe_use *use)
{
    return call_remote(handle, VERB_PIPE_HOLD, use, sizeof *use, 0, NULL, 0, NULL);
}

int pipe_let_go_far(const mpm_handle *handle, const struct pipe_use *use)
{
    return call_remote(handle, VERB_PIPE_LET_GO, use, sizeof *use, 0, NULL, 0, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes, as they are at their home: one try of each operation, for processes there (sync/pipe.c) and for
 * calls from other nodes (sync/pipe_far.c). Who writes what: see pipe.c. For sync/. */
#ifndef SYNC_PIPE_H
#define SYNC_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "object/object.h"
#include "object/operation.h"
#include "object/party.h"
#include "object/turn.h"

#define PIPE_ENDS 2u

/* Who does something, at which end. What a try is given begins with it. */
struct pipe_use {
    uint32_t end, reserved;
    struct party party;
};

struct pipe_send {
    struct pipe_use use;
    const void *message;
    size_t size;
    enum turn turn;
};

struct pipe_receive {
    struct pipe_use use;
    void *message;
    size_t room;
    size_t size; /* out: of the message, also with MPM_ETOOSMALL */
    enum turn turn;
};

/* The sides of a pipe (object/turn.h): sending and receiving at each end. */
static inline unsigned pipe_side(unsigned end, bool sends)
{
    return 2 * end + sends;
}

/* One try each: see object/operation.h. The argument is a struct pipe_send, struct pipe_receive, and struct
 * pipe_use for the others. Holding notes the party of the use at its end: as dead, if that says so; not if it has let go of it. */
int pipe_try_send(struct object *object, const mpm_handle *handle, void *send);
int pipe_try_receive(struct object *object, const mpm_handle *handle, void *receive);
int pipe_try_poll(struct object *object, const mpm_handle *handle, void *use);
int pipe_try_close(struct object *object, const mpm_handle *handle, void *use);
int pipe_try_hold(struct object *object, const mpm_handle *handle, void *use);
int pipe_try_let_go(struct object *object, const mpm_handle *handle, void *use);

/* Makes a message that an end has received the first one again that it receives. MPM_ENOMEM, MPM_ESTALE. */
int pipe_give_back(struct object *object, const mpm_handle *handle, const struct pipe_send *received);

/* The operations that may wait, by end. */
extern const struct operation pipe_sending[PIPE_ENDS], pipe_receiving[PIPE_ENDS], pipe_polling[PIPE_ENDS];

int pipe_too_small(size_t size, size_t room);

/* The same, done by the home, which is another node: the caller's part. */
int pipe_send_far(const mpm_handle *handle, const struct pipe_send *send, double timeout_s);
int pipe_receive_far(const mpm_handle *handle, struct pipe_receive *receive, double timeout_s);
int pipe_poll_far(const mpm_handle *handle, const struct pipe_use *use, double timeout_s);
int pipe_close_far(const mpm_handle *handle, const struct pipe_use *use);
int pipe_hold_far(const mpm_handle *handle, const struct pipe_use *use);
int pipe_let_go_far(const mpm_handle *handle, const struct pipe_use *use);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes, as they are at their home: one try of each operation, for processes there (sync/pipe.c) and for
 * calls from other nodes (sync/pipe_remote.c). Who writes what: see pipe.c. For sync/. */
#ifndef SYNC_PIPE_H
#define SYNC_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "object/method.h"
#include "object/object.h"
#include "object/thread_ref.h"
#include "object/fairness.h"

#define PIPE_ENDS 2u

enum {
    PIPE_SEND,
    PIPE_RECEIVE,
    PIPE_POLL,
    PIPE_CLOSE,
    PIPE_HOLD,
    PIPE_RELEASE,
    PIPE_GATHER, /* these four are of other nodes only, for messages that cross in pieces */
    PIPE_PIECE,
    PIPE_FETCH,
    PIPE_DROP,
    PIPE_METHODS
};
extern const struct method pipe_methods[];

/* Who does something, at which end: what goes of every method begins with it. */
struct pipe_use {
    uint32_t end, reserved;
    struct thread_ref thread_ref;
};

struct pipe_send_in { /* then the message, unless it was gathered */
    struct pipe_use use;
    uint64_t transfer; /* number of the gathered one; 0: there is none */
};

struct pipe_receive_in {
    struct pipe_use use;
    uint64_t room;
    uint32_t is_exact;  /* 1: the message is to have as many bytes as there is room for */
    uint32_t by_pieces; /* 1: a long one is to be fetched: the caller has no memory for it at once */
};

struct pipe_receive_out { /* then the message, unless it is to be fetched */
    uint64_t size;        /* of the message, also with MPM_ETOOSMALL */
    uint64_t transfer;    /* number of the one that is to be fetched; 0: there is none */
};

struct pipe_gather_in { /* the number comes */
    struct pipe_use use;
    uint64_t size;
};

struct pipe_transfer_in { /* then a piece, or one comes */
    struct pipe_use use;
    uint64_t number;
    uint64_t size; /* of the piece that is to come at most */
};

/* The sides of a pipe (object/fairness.h): sending and receiving at each end. */
static inline unsigned pipe_side(unsigned end, bool sends)
{
    return 2 * end + sends;
}

/* One try each. */
method_try pipe_try_send, pipe_try_receive, pipe_try_poll;
struct pipe_buffer {
    void *bytes;
    size_t room; /* all of it is to be filled if the receive is to be exact */
    size_t size; /* out: of the message, also with MPM_ETOOSMALL and MPM_ETYPE */
    /* A long message is taken in its block, which is the process's then, and not copied. */
    bool takes_block;
    struct ring_block block; /* out: block.block is 0 if it was copied */
};
int pipe_receive_into(struct object *object, const mpm_handle *handle, const struct pipe_receive_in *receive,
                      enum turn turn, struct pipe_buffer *buffer);
/* Makes a message that an end has received the first one again that it receives: in its block, if that is given, which
 * it takes. MPM_ENOMEM, MPM_ESTALE. */
int pipe_give_back(struct object *object, const mpm_handle *handle, unsigned end, const void *message,
                   size_t size, struct ring_block *block);
int pipe_too_small(size_t size, size_t room);

/* In the courier, for callers of other nodes: in pipe_remote.c. */
method_try pipe_serve_send, pipe_serve_receive, pipe_late_send, pipe_serve_gather, pipe_serve_piece,
    pipe_serve_fetch, pipe_serve_drop;
int pipe_undo_send(const mpm_handle *handle, struct invocation *invocation, bool was_given);
int pipe_undo_receive(const mpm_handle *handle, struct invocation *invocation, bool was_given);
int pipe_undo_gather(const mpm_handle *handle, struct invocation *invocation, bool was_given);
int pipe_undo_piece(const mpm_handle *handle, struct invocation *invocation, bool was_given);
int pipe_undo_fetch(const mpm_handle *handle, struct invocation *invocation, bool was_given);
void pipe_fetch_arrived(const struct invocation *invocation);

/* The caller's part of what crosses nodes: the messages are the invocation's. */
int pipe_send_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s);
int pipe_receive_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a home has answered to calls of other nodes, until it is known that the answers have arrived: a caller whose
 * time is up takes its call back (object/call.h), and what the home has given by then is given back.
 *
 * Answers and what takes calls back go by the same road, in order. So a home that is told that a call is taken back
 * knows which it is:
 *   - the call waits still: it is forgotten;
 *   - it was answered: the reply will be thrown away, since its request was not waiting for it any more when it came,
 *     or will not be. What was given is undone;
 *   - neither: it was never sent.
 * What cannot be undone, as a put whose message somebody has got since, stays. So a home that was not at work for so
 * long that a caller may have given up asks whether a call is wanted still, before it tries it.
 * A reply is known to have arrived when another call comes from its request, or when the caller's courier says so:
 * it is asked to if the reply is large, so a home keeps GIVEN_SMALL bytes at most for each request that was ever used.
 *
 * In the home's courier only; nothing is shared. For object/. */
#ifndef OBJECT_CALL_GIVEN_H
#define OBJECT_CALL_GIVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "object/message.h"
#include "object/method.h"

#define GIVEN_SMALL ((size_t)4096)

/* The bytes of a large reply, which leave out of the memory where they stand (net/courier.h): the wire has them until
 * they have left, and what was given for as long as it is kept. */
struct reply_bytes {
    unsigned users;
    struct invocation invocation; /* whose `more` they are */
};
/* Takes over `more`, which the invocation goes on to look at, for one user. NULL if there is no memory. */
struct reply_bytes *reply_bytes_share(const struct invocation *invocation);
/* One user less: `shared` is a struct reply_bytes. */
void reply_bytes_release(void *shared);

/* What was given, and how the call began. */
struct given {
    struct given *next; /* whoever has it may put it into a list */
    struct message_call call;
    struct invocation invocation; /* as it was answered, without its tail */
    struct reply_bytes *shared;   /* `more` is its; or NULL */
    _Alignas(16) char in[METHOD_GIVEN_LIMIT];
    _Alignas(16) char out[METHOD_GIVEN_LIMIT];
};

/* A call was answered: takes over `more` if it gives something, or is one more user of it. Before its request's last
 * reply is replaced, given_arrived() is to be called. */
void given_note(unsigned node, const struct message_call *call, struct invocation *invocation,
                struct reply_bytes *shared);
/* Whether that call was answered; `given`: what it was given, which is the caller's to free now, or NULL. */
bool given_take(unsigned node, const struct message_call *call, struct given **given);
/* The reply to a call has arrived, or, with a serial of 0, the last one to its request: what it was given, which is the
 * caller's to free now, or NULL. */
struct given *given_arrived(unsigned node, uint32_t request, uint32_t serial);
void given_free(struct given *given);
/* Before and after an undo: it may take the block of `more`, unless that has not left yet. */
void given_offer_block(struct given *given);
void given_note_block(struct given *given);
/* A node is lost: what was given there stays as it is. */
void given_forget_node(unsigned node);
/* Forgets all of an earlier run. */
void given_forget_all(void);

#endif

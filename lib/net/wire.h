/* SPDX-License-Identifier: BSD-3-Clause */
/* Large messages on their way between couriers. Each has a head, which goes with its announcement, and a body, which
 * goes in pieces, out of the memory where it stands and into that where it is wanted: nothing is copied. So many pieces
 * are under way to a node that the wire does not run dry, and no more, so that what is sent meanwhile stands behind
 * those only. To one node large messages go one after another. All of it is the courier's own. For net/courier.c. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/message.h"
#include "net/transport.h"

#define PIECE_SIZE ((size_t)512 << 10) /* of all bodies but short ones: see wire.c */

/* One that is to leave. Its memory is malloc's. */
struct large_message {
    struct large_message *next;
    struct message_body body;
    uint32_t kind;
    unsigned lane;
    size_t head_size;
    _Alignas(8) char head[];
};

/* What announces one; its head follows. */
struct large_header {
    uint32_t kind;
    uint32_t head_size;
    uint64_t body_size;
};

/* One that comes. */
struct large_coming {
    struct large_header header;
    unsigned node;
    char *payload; /* malloc's: the head, and behind it the body, unless that */
    void *place;   /* is received elsewhere; or NULL */
};

/* What the wires ask of the courier. */
struct wire_owner {
    void (*announce)(unsigned node, const struct large_message *message); /* tells the node what follows */
    void (*has_left)(unsigned node, unsigned lane);                       /* all of one has left */
    void (*said)(unsigned node);                                          /* a piece was sent, */
    void (*heard)(unsigned node);                                         /* and one has come */
    void (*failed)(unsigned node); /* mpm_error() says why; does not return */
};

/* One wire for each node. MPM_ENOMEM. */
int wires_create(const struct transport *transport, unsigned node_count, const struct wire_owner *owner);
void wires_destroy(void);

/* Sends one behind those before: it is the wire's from here on. */
void wire_send(unsigned node, struct large_message *message);
/* The other side has announced one: it is the wire's until wires_receive(). MPM_EPROTOCOL if it has announced another
 * one that is not here yet. */
int wire_expect(unsigned node, const struct large_coming *coming);
/* The node is lost: what is not under way never will be. What is under way stays in memory, and is never given back. */
void wire_drop(unsigned node);
/* After that: what was coming from it is not waited for any more. Its memory stays, since the transport may know it. */
void wire_leave(unsigned node);
/* Of one that will not leave: its body is given back. */
void large_message_drop(struct large_message *message);

/* Moves pieces on. true if any moved. */
bool wires_send(void);
/* true with a message that has come whole; its payload is the caller's to free. */
bool wires_receive(struct large_coming *come);

/* How many have left for a node, and how many have come from it. */
uint64_t wire_sent(unsigned node);
uint64_t wire_received(unsigned node);
/* Whether a frame that goes behind so many can be: that many were announced. */
bool wire_knows(unsigned node, uint64_t count);
/* Whether nothing is to be sent any more. */
bool wires_are_clear(void);

#endif

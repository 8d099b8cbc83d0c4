/* SPDX-License-Identifier: BSD-3-Clause */
/* Large messages on their way between couriers, in pieces: so many of them are under way to a node that the wire does
 * not run dry, and no more, so that what is sent meanwhile stands behind those only. To one node they go one after
 * another. All of it is the courier's own. For net/courier.c. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/transport.h"

#define PIECE_SIZE ((size_t)512 << 10)

/* What the wires ask of the courier. */
struct wire_owner {
    void (*announce)(unsigned node,
                     uint64_t size); /* tells the node that a message of so many bytes follows */
    void (*has_left)(unsigned node, unsigned lane); /* all of one has left */
    void (*said)(unsigned node);                    /* a piece was sent, */
    void (*heard)(unsigned node);                   /* and one has come */
    void (*failed)(unsigned node);                  /* mpm_error() says why; does not return */
};

/* One wire for each node. MPM_ENOMEM. */
int wires_create(const struct transport *transport, unsigned node_count, const struct wire_owner *owner);
void wires_destroy(void);

/* Sends bytes that malloc gave behind those before. `lane` comes back by has_left(). MPM_ENOMEM, with nothing done. */
int wire_send(unsigned node, void *bytes, size_t size, unsigned lane);
/* The other side has announced one. MPM_ENOMEM; MPM_EPROTOCOL if it has said so of another one that is not here yet. */
int wire_expect(unsigned node, uint64_t size);
/* The node is lost: what is not under way never will be. What is under way stays in memory. */
void wire_drop(unsigned node);
/* After that: what was coming from it is not waited for any more. Its memory stays, since the transport may know it. */
void wire_leave(unsigned node);

/* Moves pieces on. true if any moved. */
bool wires_send(void);
/* true with a message that has come whole; its bytes are the caller's to free. */
bool wires_receive(struct frame *frame);

/* How many have left for a node, and how many have come from it. */
uint64_t wire_sent(unsigned node);
uint64_t wire_received(unsigned node);
/* Whether a frame that goes behind so many can be: that many were announced. */
bool wire_knows(unsigned node, uint64_t count);
/* Whether nothing is to be sent any more. */
bool wires_are_clear(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Sender and receiver cut a body alike: all pieces are of one size, but for the last. The transport keeps those of one
 * node in order.
 *
 * MPI over TCP sends what has 64 KiB or more, its own header included, only when the receiver has said that there is a
 * place for it: a round trip. A body that is not much longer goes in pieces that are a little shorter than that, and all
 * of them leave at once. They may come before their place is known, and be copied once more; longer bodies are faster
 * without that. */
#include "net/wire.h"

#include <stdlib.h>

#include "base/error.h"

#define SHORT_PIECE    ((size_t)60 << 10)
#define SHORT_BODY     (2 * SHORT_PIECE)
#define SEND_WINDOW    4u /* pieces under way to a node */
#define RECEIVE_WINDOW 8u /* places that are ready for those of a node */

struct wire {
    struct large_message *first, **end; /* the first one is on its way once `is_announced` */
    bool is_announced;
    size_t at; /* of the first one's body: bytes that were handed to the transport */
    uint64_t sent, received;
    bool is_coming;
    struct large_coming coming;
    size_t asked_size;
    unsigned asked; /* pieces that have a place and have not come */
};

static struct {
    const struct transport *transport;
    const struct wire_owner *owner;
    unsigned count, busy; /* wires; messages that are to leave, on all of them */
    unsigned coming;      /* messages that come, */
    unsigned empty;       /* and those of them that have no body */
    struct wire *wires;   /* by node */
} all;

int wires_create(const struct transport *transport, unsigned node_count, const struct wire_owner *owner)
{
    all.transport = transport;
    all.owner = owner;
    all.count = node_count;
    all.busy = all.coming = all.empty = 0;
    if (!(all.wires = calloc(node_count, sizeof *all.wires)))
        return error_set(MPM_ENOMEM, "no memory for the wires to %u nodes", node_count);
    for (unsigned node = 0; node < node_count; node++)
        all.wires[node].end = &all.wires[node].first;
    return MPM_OK;
}

static void give_back(const struct large_message *message)
{
    if (message->body.left)
        message->body.left(message->body.owner);
}

void large_message_drop(struct large_message *message)
{
    give_back(message);
    free(message);
}

static struct large_message *remove_first(struct wire *wire)
{
    struct large_message *first = wire->first;

    if (!(wire->first = first->next))
        wire->end = &wire->first;
    wire->is_announced = false;
    wire->at = 0;
    all.busy--;
    return first;
}

void wires_destroy(void)
{
    for (unsigned node = 0; node < all.count; node++) {
        wire_drop(node);
        if (all.wires[node].is_coming)
            free(all.wires[node].coming.payload);
    }
    free(all.wires);
    all.wires = NULL;
    all.count = 0;
}

void wire_send(unsigned node, struct large_message *message)
{
    struct wire *wire = &all.wires[node];

    message->next = NULL;
    *wire->end = message;
    wire->end = &message->next;
    all.busy++;
}

/* The transport may still read the first one. */
void wire_drop(unsigned node)
{
    struct wire *wire = &all.wires[node];

    while (wire->first) {
        bool is_read = wire->is_announced && all.transport->pieces_left(node);
        struct large_message *first = remove_first(wire);

        if (is_read)
            free(first);
        else
            large_message_drop(first);
    }
}

void wire_leave(unsigned node)
{
    struct wire *wire = &all.wires[node];

    if (wire->is_coming) {
        all.coming--;
        all.empty -= !wire->coming.header.body_size;
    }
    wire->is_coming = false;
    wire->asked = 0;
}

static size_t piece_of(size_t size, size_t at)
{
    size_t piece = size <= SHORT_BODY ? SHORT_PIECE : PIECE_SIZE;

    return size - at < piece ? size - at : piece;
}

/* Sending. */

/* Whether the first one has left whole. */
static bool send_pieces(unsigned node, struct wire *wire, bool *moved)
{
    const struct large_message *first = wire->first;
    const struct message_body *body = &first->body;
    unsigned left = all.transport->pieces_left(node);

    if (!wire->is_announced)
        all.owner->announce(node, first);
    wire->is_announced = true;
    for (; left < SEND_WINDOW && wire->at < body->size; left++) {
        size_t size = piece_of(body->size, wire->at);

        if (all.transport->send_piece(node, (const char *)body->bytes + wire->at, size))
            all.owner->failed(node);
        all.owner->said(node);
        wire->at += size;
        *moved = true;
    }
    return wire->at == body->size && !left;
}

bool wires_send(void)
{
    bool moved = false;

    for (unsigned node = 0; all.busy && node < all.count; node++) {
        struct wire *wire = &all.wires[node];

        while (wire->first && send_pieces(node, wire, &moved)) {
            unsigned lane = wire->first->lane;

            large_message_drop(remove_first(wire));
            wire->sent++;
            all.owner->has_left(node, lane);
            moved = true;
        }
    }
    return moved;
}

/* Receiving. */

static void ask_for_pieces(unsigned node, struct wire *wire)
{
    const struct large_header *header = &wire->coming.header;
    char *body = wire->coming.place ? wire->coming.place : wire->coming.payload + header->head_size;

    for (; wire->asked < RECEIVE_WINDOW && wire->asked_size < header->body_size; wire->asked++) {
        size_t size = piece_of(header->body_size, wire->asked_size);

        if (all.transport->expect_piece(node, body + wire->asked_size, size))
            all.owner->failed(node);
        wire->asked_size += size;
    }
}

int wire_expect(unsigned node, const struct large_coming *coming)
{
    struct wire *wire = &all.wires[node];

    if (wire->is_coming)
        return error_set(MPM_EPROTOCOL, "announced a message before the one before had left");
    wire->is_coming = true;
    wire->coming = *coming;
    wire->asked_size = 0;
    all.coming++;
    all.empty += !coming->header.body_size;
    ask_for_pieces(node, wire);
    return MPM_OK;
}

static bool take_whole(unsigned node, struct wire *wire, struct large_coming *come)
{
    ask_for_pieces(node, wire);
    if (wire->asked)
        return false;
    *come = wire->coming;
    wire->is_coming = false;
    wire->received++;
    all.coming--;
    all.empty -= !come->header.body_size;
    return true;
}

/* No piece tells of it. */
static bool take_empty(struct large_coming *come)
{
    for (unsigned node = 0; all.empty && node < all.count; node++) {
        struct wire *wire = &all.wires[node];

        if (wire->is_coming && !wire->coming.header.body_size)
            return take_whole(node, wire, come);
    }
    return false;
}

bool wires_receive(struct large_coming *come)
{
    unsigned node;

    while (all.coming && all.transport->poll_piece(&node)) {
        all.wires[node].asked--;
        all.owner->heard(node);
        if (take_whole(node, &all.wires[node], come))
            return true;
    }
    return take_empty(come);
}

uint64_t wire_sent(unsigned node)
{
    return all.wires[node].sent;
}

uint64_t wire_received(unsigned node)
{
    return all.wires[node].received;
}

bool wire_knows(unsigned node, uint64_t count)
{
    const struct wire *wire = &all.wires[node];

    return count <= wire->received + wire->is_coming;
}

bool wires_are_clear(void)
{
    return !all.busy;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces are sent out of the message and received into it, so nothing is copied. Sender and receiver cut alike: all
 * pieces are of one size, but for the last. The transport keeps those of one node in order. */
#include "net/wire.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

#define SEND_WINDOW    4u /* pieces under way to a node */
#define RECEIVE_WINDOW 8u /* places that are ready for those of a node */

/* A message that is to leave. */
struct outgoing {
    struct outgoing *next;
    char *bytes;
    size_t size;
    unsigned lane;
};

struct wire {
    struct outgoing *first, **end; /* the first one is on its way once `is_announced` */
    bool is_announced;
    size_t at; /* of the first: bytes that were handed to the transport */
    uint64_t sent, received;
    char *coming; /* NULL: none is */
    size_t coming_size, asked_size;
    unsigned asked; /* pieces that have a place and have not come */
};

static struct {
    const struct transport *transport;
    const struct wire_owner *owner;
    unsigned count, busy; /* wires; messages that are to leave, on all of them */
    unsigned coming;      /* messages that come */
    struct wire *wires;   /* by node */
} all;

int wires_create(const struct transport *transport, unsigned node_count, const struct wire_owner *owner)
{
    all.transport = transport;
    all.owner = owner;
    all.count = node_count;
    if (!(all.wires = calloc(node_count, sizeof *all.wires)))
        return error_set(MPM_ENOMEM, "no memory for the wires to %u nodes", node_count);
    for (unsigned node = 0; node < node_count; node++)
        all.wires[node].end = &all.wires[node].first;
    return MPM_OK;
}

static void remove_first(struct wire *wire)
{
    struct outgoing *first = wire->first;

    if (!(wire->first = first->next))
        wire->end = &wire->first;
    wire->is_announced = false;
    wire->at = 0;
    all.busy--;
    free(first);
}

void wires_destroy(void)
{
    for (unsigned node = 0; node < all.count; node++) {
        wire_drop(node);
        free(all.wires[node].coming);
    }
    free(all.wires);
    all.wires = NULL;
    all.count = 0;
}

int wire_send(unsigned node, void *bytes, size_t size, unsigned lane)
{
    struct wire *wire = &all.wires[node];
    struct outgoing *outgoing = malloc(sizeof *outgoing);

    if (!outgoing)
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes to node %u", size, node);
    *outgoing = (struct outgoing){.bytes = bytes, .size = size, .lane = lane};
    *wire->end = outgoing;
    wire->end = &outgoing->next;
    all.busy++;
    return MPM_OK;
}

/* The transport may still read the first one. */
void wire_drop(unsigned node)
{
    struct wire *wire = &all.wires[node];

    while (wire->first) {
        if (!wire->is_announced || !all.transport->pieces_left(node))
            free(wire->first->bytes);
        remove_first(wire);
    }
}

void wire_leave(unsigned node)
{
    struct wire *wire = &all.wires[node];

    if (wire->coming)
        all.coming--;
    wire->coming = NULL;
    wire->asked = 0;
}

static size_t piece_of(size_t size, size_t at)
{
    return size - at < PIECE_SIZE ? size - at : PIECE_SIZE;
}

/* Sending. */

/* Whether the first one has left whole. */
static bool send_pieces(unsigned node, struct wire *wire, bool *moved)
{
    const struct outgoing *first = wire->first;
    unsigned left = all.transport->pieces_left(node);

    if (!wire->is_announced)
        all.owner->announce(node, first->size);
    wire->is_announced = true;
    for (; left < SEND_WINDOW && wire->at < first->size; left++) {
        size_t size = piece_of(first->size, wire->at);

        if (all.transport->send_piece(node, first->bytes + wire->at, size))
            all.owner->failed(node);
        all.owner->said(node);
        wire->at += size;
        *moved = true;
    }
    return wire->at == first->size && !left;
}

bool wires_send(void)
{
    bool moved = false;

    for (unsigned node = 0; all.busy && node < all.count; node++) {
        struct wire *wire = &all.wires[node];

        while (wire->first && send_pieces(node, wire, &moved)) {
            unsigned lane = wire->first->lane;

            free(wire->first->bytes);
            remove_first(wire);
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
    for (; wire->asked < RECEIVE_WINDOW && wire->asked_size < wire->coming_size; wire->asked++) {
        size_t size = piece_of(wire->coming_size, wire->asked_size);

        if (all.transport->expect_piece(node, wire->coming + wire->asked_size, size))
            all.owner->failed(node);
        wire->asked_size += size;
    }
}

int wire_expect(unsigned node, uint64_t size)
{
    struct wire *wire = &all.wires[node];

    if (wire->coming || !size || size > SIZE_MAX / 2)
        return error_set(MPM_EPROTOCOL, "announced a message that is not valid");
    if (!(wire->coming = malloc(size)))
        return error_set(MPM_ENOMEM, "no memory for a message of %llu bytes from it",
                         (unsigned long long)size);
    memory_expect_all(wire->coming, size);
    wire->coming_size = size;
    wire->asked_size = 0;
    all.coming++;
    ask_for_pieces(node, wire);
    return MPM_OK;
}

static bool take_whole(unsigned node, struct wire *wire, struct frame *frame)
{
    ask_for_pieces(node, wire);
    if (wire->asked)
        return false;
    *frame = (struct frame){.node = node, .size = wire->coming_size, .bytes = wire->coming};
    wire->coming = NULL;
    wire->received++;
    all.coming--;
    return true;
}

bool wires_receive(struct frame *frame)
{
    unsigned node;

    while (all.coming && all.transport->poll_piece(&node)) {
        all.wires[node].asked--;
        all.owner->heard(node);
        if (take_whole(node, &all.wires[node], frame))
            return true;
    }
    return false;
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

    return count <= wire->received + (wire->coming != NULL);
}

bool wires_are_clear(void)
{
    return !all.busy;
}

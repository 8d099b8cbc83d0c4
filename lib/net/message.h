/* SPDX-License-Identifier: BSD-3-Clause */
/* What couriers say to each other, as net/ sees it: a message is of a kind, and the rest is its kind's affair.
 *
 * Each layer has its kinds, and what is in each, byte for byte, in its own message.h. A kind is a number below
 * MESSAGE_KINDS, and no two kinds have the same one: run/messages.c, which names them all, does not compile then. All
 * ranks are of one build (topology_check_build), so messages are plain structs; a receiver checks every length all the
 * same. What a message carries of variable length follows its struct. For net/ and the layers above it. */
#ifndef NET_MESSAGE_H
#define NET_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_KINDS     64u
#define MESSAGE_LANES     8u
#define MESSAGE_TEXT_SIZE 512
#define MESSAGE_LIMIT     ((size_t)0x7fffff00) /* bytes of the longest: MPI counts those of a frame by an int */

/* Between couriers themselves. */
enum courier_message {
    MESSAGE_BEAT = 1, /* nothing: the sender is there */
    MESSAGE_LEAVING,  /* nothing: the sender says no more */
    MESSAGE_LARGE,    /* struct large_header and the head: a large message follows in pieces */
    MESSAGE_EXPELLED, /* nothing: the receiver was taken for lost, and the run has gone on without it. From main */
};

/* How a kind of message goes together with large ones, which take a while. */
struct message_rule {
    unsigned lane; /* below MESSAGE_LANES: large ones of a lane stay in order */
    unsigned
        waits_for; /* a bit for each lane: it goes behind large ones of these, and passes those of others */
    bool is_never_large;
};
/* The rule of a kind; NULL of those of couriers themselves, and if there is no such kind. */
typedef const struct message_rule *message_rule_of(uint32_t kind);

/* Bytes that stay where they are until they have left: then `left` is called with their owner. NULL: they stay for
 * good. */
struct message_body {
    const void *bytes;
    size_t size;
    void (*left)(void *owner);
    void *owner;
};

/* How long a message is where another one follows it in a frame, or a group of operations. */
static inline size_t message_padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

#endif

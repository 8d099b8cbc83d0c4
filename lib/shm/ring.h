/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring: messages in order, in a chain of segments that grows and shrinks in the arena.
 *
 * Putters exclude each other, and so do getters, by locks of whoever uses the ring; one putter and one getter
 * never exclude each other. Who writes what, in which order, and what is true when the writer dies: see
 * ring.c. For shm/ and the layers above it. */
#ifndef SHM_RING_H
#define SHM_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/arena.h"

/* Where a record begins: a segment, and the record itself in it, both by offset in the arena. */
struct ring_place {
    uint64_t segment; /* 0: before the first one */
    uint64_t record;
    uint64_t end; /* of the segment: constant */
};

/* What putters, or getters, share with each other, in one line; the other side reads `committed` only. */
struct ring_side {
    _Atomic uint64_t committed; /* messages so far << 1 | which of `place` is true */
    struct ring_place place[2]; /* of the next record */
    uint64_t seen;              /* cache: how many messages the other side had done when last looked at */
};
_Static_assert(sizeof(struct ring_side) == 64, "a side is a line");

struct ring {
    _Alignas(64) uint64_t first; /* the first segment, before anybody has left one */
    uint64_t maxsize;            /* the most messages; 0: as many as there is memory for */
    uint32_t owner;              /* in the arena, of the segments */
    _Alignas(64) struct ring_side put;
    _Alignas(64) struct ring_side got;
};

#define RING_SEGMENT_MAX ((uint64_t)65536 - ARENA_ALIGNMENT) /* the arena's header stands before each block */
#define RING_SHORT       (RING_SEGMENT_MAX / 4) /* a message of more bytes has a segment to itself */

enum ring_result { RING_DONE, RING_EMPTY, RING_TOO_SMALL };

/* Makes an empty ring, which has no memory of the arena. Blocks with the even number `owner`, and with the
 * one above it, are to be this ring's only. */
void ring_create(struct ring *ring, uint32_t owner, uint64_t maxsize);

/* Messages of one size that stand one behind the other. */
struct ring_messages {
    const void *bytes;
    size_t size; /* of each */
    size_t count;
};

/* Puts as many messages as there is room for now; `put` tells how many. MPM_ENOMEM if the arena has no memory even for
 * the first. By a putter. */
int ring_put(struct ring *ring, struct arena *arena, const struct ring_messages *messages, size_t *put);

/* Takes the first message into `message`. `size` is its size, also if that is more than `room` and the
 * message stays where it is. By a getter. */
enum ring_result ring_get(struct ring *ring, struct arena *arena, void *message, size_t room, size_t *size);
struct ring_batch {
    size_t size, count; /* in: of each message, and how many at most */
    size_t got;         /* out, with RING_DONE */
    size_t first_size;  /* out, unless it is RING_EMPTY: the size of the first message */
};
/* Takes messages as long as they have exactly the size of the batch. RING_TOO_SMALL if the first has another. By a
 * getter. */
enum ring_result ring_get_many(struct ring *ring, struct arena *arena, void *messages,
                               struct ring_batch *batch);

/* A long message stands in a block of the arena that is all its own, and that may change hands in place of a copy. It
 * begins RING_BLOCK_AT bytes behind the block, on a line of its own; what stands before it is the ring's, while that has
 * the block, and of no account else. */
#define RING_BLOCK_AT ((uint64_t)64)
struct ring_block {
    uint64_t block; /* 0: none */
    uint64_t at;    /* where the message stands, by offset */
    size_t size;
};
/* Whether a message is long enough for that. */
static inline bool ring_is_long(size_t size)
{
    return size > RING_SHORT;
}
/* Makes the block of a message that is to be written there; it can be put if it is long. It is `owner`'s. MPM_ENOMEM. */
int ring_block_make(struct arena *arena, size_t size, uint32_t owner, struct ring_block *made);
/* Puts a long message in its block, which is the ring's then, and not the caller's any more: `block` has none. `put` tells
 * whether: 0 if the ring is full. MPM_ENOMEM, with nothing done. By a putter. */
int ring_put_block(struct ring *ring, struct arena *arena, struct ring_block *block, size_t *put);
/* Takes the first message with its block, which is `owner`'s then. RING_TOO_SMALL, with its size, if it is not long, or
 * does not have `least` to `most` bytes, and stays where it is. By a getter. */
enum ring_result ring_get_block(struct ring *ring, struct arena *arena, size_t least, size_t most,
                                uint32_t owner, struct ring_block *got);
/* Makes a message that was got in its block the first one again: the block is the ring's, and not the caller's any
 * more. By a getter. */
void ring_give_back_block(struct ring *ring, struct arena *arena, struct ring_block *block);

/* Makes a message that was got the first one again. MPM_ENOMEM. By a getter. */
int ring_give_back(struct ring *ring, struct arena *arena, const void *message, size_t size);

/* Frees what a dead putter or getter has left behind: under both locks. Whoever dies in it has not done it.
 */
void ring_sweep(struct ring *ring, struct arena *arena);
/* Frees all segments of a ring that nobody uses any more; `ring` may be a copy. */
void ring_free(struct ring *ring, struct arena *arena);

/* Messages so far: they only grow, but for those that are given back. Anybody. */
static inline uint64_t ring_put_count(const struct ring *ring)
{
    /* Pairs with ring_commit() of the putters. */
    return atomic_load_explicit(&ring->put.committed, memory_order_acquire) >> 1;
}

static inline uint64_t ring_got_count(const struct ring *ring)
{
    /* Pairs with ring_commit() of the getters. */
    return atomic_load_explicit(&ring->got.committed, memory_order_acquire) >> 1;
}

/* Messages in it at one moment of the call. Anybody. */
uint64_t ring_size(const struct ring *ring);

static inline bool ring_is_empty(const struct ring *ring)
{
    return ring_put_count(ring) == ring_got_count(ring);
}

static inline bool ring_is_full(const struct ring *ring)
{
    return ring->maxsize && ring_put_count(ring) - ring_got_count(ring) >= ring->maxsize;
}

#endif

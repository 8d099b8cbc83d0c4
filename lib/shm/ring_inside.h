/* SPDX-License-Identifier: BSD-3-Clause */
/* What a ring does for nearly every message, in the caller's own code: a short message is put, or taken, where the
 * segment goes on. Anything else is left to ring.c, which says who writes what. Those who use rings
 * and count instructions include it. For shm/ring.c and sync/queue.c. */
#ifndef SHM_RING_INSIDE_H
#define SHM_RING_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/kill_point.h"
#include "shm/ring.h"

#define RING_END   UINT64_MAX /* in place of a size: the next record is the first of the next segment */
#define RING_AHEAD 256        /* bytes: lines so far ahead are asked for */

struct ring_record {
    uint64_t size;
    char bytes[];
};

/* Bytes of the record of a message, of at most 2^63 bytes. */
static inline uint64_t ring_record_size(uint64_t size)
{
    return sizeof(struct ring_record) + (size + 7) / 8 * 8;
}

/* Each side's own word: nobody else writes it. */
static inline uint64_t ring_own_word(const struct ring_side *side)
{
    return atomic_load_explicit(&side->committed, memory_order_relaxed);
}

static inline struct ring_place ring_own_place(const struct ring_side *side)
{
    return side->place[ring_own_word(side) & 1];
}

static inline void ring_commit(struct ring_side *side, struct ring_place place, uint64_t messages)
{
    uint64_t word = ring_own_word(side), other = ~word & 1;

    side->place[other] = place;
    KILL_POINT();
    /* Pairs with ring_put_count() and ring_got_count(). */
    atomic_store_explicit(&side->committed, ((word >> 1) + messages) << 1 | other, memory_order_release);
    KILL_POINT();
}

/* The sizes of most messages are known to few instructions. */
static inline void ring_copy(void *to, const void *from, size_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else if (size)
        memcpy(to, from, size);
}

/* Whether a message has room where its segment goes on. Committed places are in segments for many records. */
static inline bool ring_fits(const struct ring_place *place, uint64_t size)
{
    return size <= RING_SHORT && ring_record_size(size) <= place->end - place->record;
}

/* Asks for a line that is about to be written, which the other side's processor may have: a hint, for any address. */
static inline void ring_expect_to_write(const void *address)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0"
                     :
                     : "m"(*(const char *)address)); /* gcc has it for some processors only */
#else
    __builtin_prefetch(address, 1);
#endif
}

/* Writes a record where there is room for it, and moves the place on. */
static inline void ring_write(struct arena *arena, struct ring_place *place, const void *message, size_t size)
{
    struct ring_record *record = arena_at(arena, place->record);

    ring_expect_to_write((const char *)record + RING_AHEAD);
    record->size = size;
    KILL_POINT();
    ring_copy(record->bytes, message, size);
    place->record += ring_record_size(size);
}

/* Puts one message, if it has room in the segment, and below the maximum by what is known of the getters; else
 * false, and nothing has been done. By a putter. */
static inline bool ring_put_at_once(struct ring *ring, struct arena *arena, const void *message, size_t size)
{
    struct ring_place place = ring_own_place(&ring->put);

    if (!ring_fits(&place, size) ||
        (ring->maxsize && (ring_own_word(&ring->put) >> 1) - ring->put.seen >= ring->maxsize))
        return false;
    ring_write(arena, &place, message, size);
    ring_commit(&ring->put, place, 1);
    return true;
}

/* Takes the first message, if it is known of, short, no longer than `room`, and in the getters' segment; else false,
 * and nothing has been done. By a getter. */
static inline bool ring_get_at_once(struct ring *ring, struct arena *arena, void *message, size_t room,
                                    size_t *size)
{
    struct ring_place place = ring_own_place(&ring->got);
    const struct ring_record *record = arena_at(arena, place.record);
    uint64_t length;

    if (ring->got.seen == ring_own_word(&ring->got) >> 1 || place.record == place.end ||
        (length = record->size) > room || length > RING_SHORT)
        return false;
    ring_copy(message, record->bytes, length);
    place.record += ring_record_size(length);
    KILL_POINT();
    ring_commit(&ring->got, place, 1);
    *size = length; /* read no more: the caller may have it overlap the message */
    return true;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A send buffer: records that many processes of a node leave one behind the other in a fixed piece of memory, and
 * that one taker carries away.
 *
 * Who writes what: a putter holds `mutex`, writes its record behind the last one, where the taker does not
 * look, and then stores `posted` (release), which commits. `posted` is all that the record's place depends
 * on, so a putter that is killed before that store has left nothing, the next one writes over what it wrote,
 * and nothing is to be repaired; one that is killed after it has left its record, though it cannot say so.
 * `taken` and `done` are the taker's: bytes that it has carried away, and those of them whose room putters
 * may use again, which need not be the first ones: it is their number that counts. The taker is never
 * killed alone.
 * `noted` is 1 if the taker knows that there is something: a putter that finds 0 after its commit, stores 1,
 * and tells the taker; one that dies in between is seen by its reaper, who tells the taker in its place. The
 * taker stores 0 before it looks. A putter that waits for room sets `room_wanted` before it looks for the
 * last time, and sleeps on `room` then.
 *
 * Three counts, which only go up: done <= taken <= posted <= done + SEND_BUFFER_SIZE.
 *
 *   free ----> posted ----> taken ----> free
 *
 *   free -> posted   send_buffer_put(): a putter moves `posted`
 *   posted -> taken  send_until(), object/post.c: the taker moves `taken`
 *   taken -> free    send_buffer_give_room(): the taker moves `done`
 *
 *   noted:        0 --> 1 tell_courier(); send_send_buffer(), where it waits for more.  1 --> 0 send_send_buffer()
 *   room_wanted:  0 --> 1 send_buffer_wait_for_room().  1 --> 0 send_buffer_give_room(), which rings `room`
 *
 * For shm/ and the layers above it. */
#ifndef SHM_SEND_BUFFER_H
#define SHM_SEND_BUFFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/robust_mutex.h"
#include "shm/eventcount.h"

#define SEND_BUFFER_SIZE         ((uint64_t)1 << 19) /* bytes that may be there or under way */
#define SEND_BUFFER_RECORD_LIMIT ((size_t)1 << 14)   /* the longest record */

struct send_buffer {
    struct robust_mutex mutex; /* of putters */
    _Alignas(64) _Atomic uint64_t posted;
    _Alignas(64) _Atomic uint32_t noted;
    _Atomic uint32_t room_wanted;
    struct eventcount room;
    _Alignas(64) _Atomic uint64_t taken;
    _Atomic uint64_t done;
    _Alignas(64) char bytes[SEND_BUFFER_SIZE];
};

/* A record as the taker finds it. */
struct send_buffer_record {
    const char *bytes; /* 8-aligned */
    size_t size;
    uint64_t cost; /* what it takes of the send buffer */
};

/* Makes an empty send buffer. */
void send_buffer_create(struct send_buffer *send_buffer);

void send_buffer_lock(struct send_buffer *send_buffer);
static inline void send_buffer_unlock(struct send_buffer *send_buffer)
{
    robust_mutex_unlock(&send_buffer->mutex);
}

/* Puts a record of two parts, SEND_BUFFER_RECORD_LIMIT bytes at most. false if there is no room now. By who holds
 * the lock. */
bool send_buffer_put(struct send_buffer *send_buffer, const void *head, size_t head_size, const void *bytes,
                     size_t size);

/* Waits for room: true if there may be some, false if the deadline came first. Without the lock. */
bool send_buffer_wait_for_room(struct send_buffer *send_buffer, uint64_t deadline_ns);

/* What was posted so far. */
static inline uint64_t send_buffer_posted(const struct send_buffer *send_buffer)
{
    /* Pairs with the last store of send_buffer_put(). */
    return atomic_load_explicit(&send_buffer->posted, memory_order_acquire);
}

/* The record at `*at`, which is less than what was posted; `*at` goes on behind it. By the taker. */
struct send_buffer_record send_buffer_look(const struct send_buffer *send_buffer, uint64_t *at);

/* Room of so many bytes that were taken is free again. By the taker. */
void send_buffer_give_room(struct send_buffer *send_buffer, uint64_t bytes);

#endif

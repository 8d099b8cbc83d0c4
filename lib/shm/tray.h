/* SPDX-License-Identifier: BSD-3-Clause */
/* A tray: records that many processes of a node leave one behind the other in a fixed piece of memory, and
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
 * last time, and sleeps on `room` then. For shm/ and the layers above it. */
#ifndef SHM_TRAY_H
#define SHM_TRAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/robust_mutex.h"
#include "shm/eventcount.h"

#define TRAY_SIZE         ((uint64_t)1 << 19) /* bytes that may be there or under way */
#define TRAY_RECORD_LIMIT ((size_t)1 << 14)   /* the longest record */

struct tray {
    struct robust_mutex mutex; /* of putters */
    _Alignas(64) _Atomic uint64_t posted;
    _Alignas(64) _Atomic uint32_t noted;
    _Atomic uint32_t room_wanted;
    struct eventcount room;
    _Alignas(64) _Atomic uint64_t taken;
    _Atomic uint64_t done;
    _Alignas(64) char bytes[TRAY_SIZE];
};

/* A record as the taker finds it. */
struct tray_record {
    const char *bytes; /* 8-aligned */
    size_t size;
    uint64_t cost; /* what it takes of the tray */
};

/* Makes an empty tray. */
void tray_create(struct tray *tray);

void tray_lock(struct tray *tray);
static inline void tray_unlock(struct tray *tray)
{
    robust_mutex_unlock(&tray->mutex);
}

/* Puts a record of two parts, TRAY_RECORD_LIMIT bytes at most. false if there is no room now. By who holds
 * the lock. */
bool tray_put(struct tray *tray, const void *head, size_t head_size, const void *bytes, size_t size);

/* Waits for room: true if there may be some, false if the deadline came first. Without the lock. */
bool tray_wait_for_room(struct tray *tray, uint64_t deadline_ns);

/* What was posted so far. */
static inline uint64_t tray_posted(const struct tray *tray)
{
    return atomic_load_explicit(&tray->posted, memory_order_acquire);
}

/* The record at `*at`, which is less than what was posted; `*at` goes on behind it. By the taker. */
struct tray_record tray_look(const struct tray *tray, uint64_t *at);

/* Room of so many bytes that were taken is free again. By the taker. */
void tray_give_room(struct tray *tray, uint64_t bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Trays: see the header for who writes what. A record is its size, and its bytes padded to 8; one that does
 * not fit between the last one and the end of the memory stands at the beginning, and a SKIP before it. */
#include "shm/tray.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "shm/kill_point.h"

#define SKIP    UINT64_MAX /* in place of a size: the next record is at the beginning */
#define SPIN_NS 5000u

void tray_create(struct tray *tray)
{
    memset(tray, 0, offsetof(struct tray, bytes));
    robust_mutex_create(&tray->mutex);
}

void tray_lock(struct tray *tray)
{
    if (robust_mutex_lock(&tray->mutex))
        robust_mutex_repaired(&tray->mutex); /* nothing is derived */
}

static uint64_t cost_of(size_t size)
{
    return sizeof(uint64_t) + ((uint64_t)size + 7) / 8 * 8;
}

static uint64_t *size_at(struct tray *tray, uint64_t at)
{
    return (uint64_t *)(void *)&tray->bytes[at % TRAY_SIZE];
}

/* What is between `at` and the record of that cost that stands behind it. */
static uint64_t skipped_before(uint64_t at, uint64_t cost)
{
    uint64_t left = TRAY_SIZE - at % TRAY_SIZE;

    return left < cost ? left : 0;
}

bool tray_put(struct tray *tray, const void *head, size_t head_size, const void *bytes, size_t size)
{
    uint64_t at = atomic_load_explicit(&tray->posted, memory_order_relaxed), cost = cost_of(head_size + size);
    uint64_t skipped = skipped_before(at, cost);
    char *to;

    assert(head_size + size <= TRAY_RECORD_LIMIT);
    if (at + skipped + cost - atomic_load_explicit(&tray->done, memory_order_acquire) > TRAY_SIZE)
        return false;
    if (skipped)
        *size_at(tray, at) = SKIP;
    KILL_POINT();
    at += skipped;
    *size_at(tray, at) = head_size + size;
    KILL_POINT();
    to = (char *)(size_at(tray, at) + 1);
    memcpy(to, head, head_size);
    if (size)
        memcpy(to + head_size, bytes, size);
    KILL_POINT();
    atomic_store_explicit(&tray->posted, at + cost, memory_order_release);
    KILL_POINT();
    return true;
}

static bool has_room(const struct tray *tray)
{
    return tray_posted(tray) - atomic_load(&tray->done) + 2 * cost_of(TRAY_RECORD_LIMIT) <= TRAY_SIZE;
}

bool tray_wait_for_room(struct tray *tray, uint64_t deadline_ns)
{
    uint32_t seen = eventcount_prepare(&tray->room);

    DELAY_POINT();
    atomic_store(&tray->room_wanted, 1);
    atomic_thread_fence(memory_order_seq_cst);
    DELAY_POINT();
    return has_room(tray) || eventcount_wait(&tray->room, seen, SPIN_NS, deadline_ns);
}

struct tray_record tray_look(const struct tray *tray, uint64_t *at)
{
    const char *record = &tray->bytes[*at % TRAY_SIZE];
    uint64_t skipped = 0, size;

    memcpy(&size, record, sizeof size);
    if (size == SKIP) {
        skipped = TRAY_SIZE - *at % TRAY_SIZE;
        record = tray->bytes;
        memcpy(&size, record, sizeof size);
    }
    *at += skipped + cost_of(size);
    return (struct tray_record){.bytes = record + sizeof size, .size = size, .cost = skipped + cost_of(size)};
}

/* Putters that wait are woken when there is room for some more than a few of them. */
void tray_give_room(struct tray *tray, uint64_t bytes)
{
    atomic_fetch_add(&tray->done, bytes);
    DELAY_POINT();
    if (has_room(tray) && atomic_exchange(&tray->room_wanted, 0))
        eventcount_notify(&tray->room);
}

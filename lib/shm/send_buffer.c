/* SPDX-License-Identifier: BSD-3-Clause */
/* Send buffers: see the header for who writes what. A record is its size, and its bytes padded to 8; one that does
 * not fit between the last one and the end of the memory stands at the beginning, and a SKIP before it. */
#include "shm/send_buffer.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "shm/kill_point.h"

#define SKIP    UINT64_MAX /* in place of a size: the next record is at the beginning */
#define SPIN_NS 5000u

void send_buffer_create(struct send_buffer *send_buffer)
{
    memset(send_buffer, 0, offsetof(struct send_buffer, bytes));
    robust_mutex_create(&send_buffer->mutex);
}

void send_buffer_lock(struct send_buffer *send_buffer)
{
    if (robust_mutex_lock(&send_buffer->mutex))
        robust_mutex_repaired(&send_buffer->mutex); /* nothing is derived */
}

static uint64_t cost_of(size_t size)
{
    return sizeof(uint64_t) + ((uint64_t)size + 7) / 8 * 8;
}

static uint64_t *size_at(struct send_buffer *send_buffer, uint64_t at)
{
    return (uint64_t *)(void *)&send_buffer->bytes[at % SEND_BUFFER_SIZE];
}

/* What is between `at` and the record of that cost that stands behind it. */
static uint64_t skipped_before(uint64_t at, uint64_t cost)
{
    uint64_t left = SEND_BUFFER_SIZE - at % SEND_BUFFER_SIZE;

    return left < cost ? left : 0;
}

bool send_buffer_put(struct send_buffer *send_buffer, const void *head, size_t head_size, const void *bytes,
                     size_t size)
{
    uint64_t at = atomic_load_explicit(&send_buffer->posted, memory_order_relaxed),
             cost = cost_of(head_size + size);
    uint64_t skipped = skipped_before(at, cost);
    char *to;

    assert(head_size + size <= SEND_BUFFER_RECORD_LIMIT);
    /* Pairs with the increment of `done` by whoever has read the records there. */
    if (at + skipped + cost - atomic_load_explicit(&send_buffer->done, memory_order_acquire) >
        SEND_BUFFER_SIZE)
        return false;
    if (skipped)
        *size_at(send_buffer, at) = SKIP;
    KILL_POINT();
    at += skipped;
    *size_at(send_buffer, at) = head_size + size;
    KILL_POINT();
    to = (char *)(size_at(send_buffer, at) + 1);
    memcpy(to, head, head_size);
    if (size)
        memcpy(to + head_size, bytes, size);
    KILL_POINT();
    /* Pairs with send_buffer_posted(). */
    atomic_store_explicit(&send_buffer->posted, at + cost, memory_order_release);
    KILL_POINT();
    return true;
}

static bool has_room(const struct send_buffer *send_buffer)
{
    return send_buffer_posted(send_buffer) - atomic_load(&send_buffer->done) +
               2 * cost_of(SEND_BUFFER_RECORD_LIMIT) <=
           SEND_BUFFER_SIZE;
}

bool send_buffer_wait_for_room(struct send_buffer *send_buffer, uint64_t deadline_ns)
{
    uint32_t seen = eventcount_prepare(&send_buffer->room);

    DELAY_POINT();
    atomic_store(&send_buffer->room_wanted, 1);
    /* Pairs with the fetch_add of `done` in send_buffer_give_room(): without, this looks too early and the taker at
     * `room_wanted`, too, and the putter sleeps beside free room until its deadline. */
    atomic_thread_fence(memory_order_seq_cst);
    DELAY_POINT();
    return has_room(send_buffer) || eventcount_wait(&send_buffer->room, seen, SPIN_NS, deadline_ns);
}

struct send_buffer_record send_buffer_look(const struct send_buffer *send_buffer, uint64_t *at)
{
    const char *record = &send_buffer->bytes[*at % SEND_BUFFER_SIZE];
    uint64_t skipped = 0, size;

    memcpy(&size, record, sizeof size);
    if (size == SKIP) {
        skipped = SEND_BUFFER_SIZE - *at % SEND_BUFFER_SIZE;
        record = send_buffer->bytes;
        memcpy(&size, record, sizeof size);
    }
    *at += skipped + cost_of(size);
    return (struct send_buffer_record){
        .bytes = record + sizeof size, .size = size, .cost = skipped + cost_of(size)};
}

/* Putters that wait are woken when there is room for some more than a few of them. */
void send_buffer_give_room(struct send_buffer *send_buffer, uint64_t bytes)
{
    atomic_fetch_add(&send_buffer->done, bytes); /* a full fence: see send_buffer_wait_for_room() */
    DELAY_POINT();
    if (has_room(send_buffer) && atomic_exchange(&send_buffer->room_wanted, 0))
        eventcount_notify(&send_buffer->room);
}

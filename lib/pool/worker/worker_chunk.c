/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming chunks of a lease, and running their items. board.h says what is written, in which order, and what
 * a death at each step means. */
#include <string.h>

#include "base/clock.h"
#include "node/context.h"
#include "pool/shared/batch.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

/* A worker that may have a certain number of items claims no more than that. */
static inline uint64_t within_tasks_left(uint64_t chunk)
{
    return chunk < worker_self.tasks_left ? chunk : worker_self.tasks_left;
}

static inline bool is_limited(void)
{
    return worker_self.tasks_left != UINT64_MAX;
}

/* What running items of a plain task needs: a copy on the stack, which the compiler keeps in registers across
 * the calls of the task, as it may not do with `self`. */
struct workplace {
    mpm_task *task;
    const char *items;
    char *results;
    size_t item_size, result_size;
    uint64_t first;
    _Atomic uint64_t *current, *done;
    const _Atomic uint64_t *calls;
};

static inline struct workplace set_up_workplace(void)
{
    const struct lease_block *lease = worker_self.lease;

    return (struct workplace){
        .task = (mpm_task *)worker_self.task,
        .items = worker_self.call.item_size ? arena_at(worker_self.arena, lease->items) : NULL,
        .results = worker_self.call.result_size ? arena_at(worker_self.arena, lease->results) : NULL,
        .item_size = worker_self.call.item_size,
        .result_size = worker_self.call.result_size,
        .first = lease->first + worker_self.job->spec.first_index,
        .current = &worker_self.record->item,
        .done = worker_self.done,
        .calls = &worker_self.board->calls};
}

/* Runs one item; its bit is the caller's to set. An item size of 0 leaves the pointer NULL. */
static inline void run_item(const struct workplace *place, uint64_t item)
{
    int code;

    atomic_store_explicit(place->current, item, memory_order_relaxed);
    KILL_POINT();
    worker_self.call.index = place->first + item;
    code = place->task(&worker_self.call, place->items + item * place->item_size,
                       place->results + item * place->result_size);
    context_back_from_program(code);
    if (__builtin_expect(code, 0))
        worker_item_has_failed(item, code);
    KILL_POINT();
}

/* The word of done bits that the last item was in: nobody else writes it, so it need not be read for each item. */
struct done_word {
    uint64_t number, bits;
};

static inline void set_done(const struct workplace *place, struct done_word *word, uint64_t item)
{
    if (__builtin_expect(item / 64 != word->number, 0))
        *word = (struct done_word){item / 64,
                                   atomic_load_explicit(&place->done[item / 64], memory_order_relaxed)};
    word->bits |= UINT64_C(1) << item % 64;
    /* Pairs with node_lease_done_word() and lease_bit(). */
    atomic_store_explicit(&place->done[item / 64], word->bits, memory_order_release);
}

/* Items that were lost with a worker, one by one. */
static void run_listed_chunk(uint64_t from, uint64_t to)
{
    struct done_word word = {.number = UINT64_MAX};
    const uint32_t *order = arena_at(worker_self.arena, worker_self.lease->order);
    const struct workplace place = set_up_workplace();

    for (uint64_t position = from; position < to; position++) {
        run_item(&place, order[position]);
        set_done(&place, &word, order[position]);
        KILL_POINT();
    }
}

/* Items whose bits are in one word. */
static inline void run_word(const struct workplace *place, uint64_t from, uint64_t to)
{
    _Atomic uint64_t *word = &place->done[from / 64];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed), bit = UINT64_C(1) << from % 64;

    for (uint64_t item = from; item < to; item++, bit <<= 1) {
        run_item(place, item);
        bits |= bit;
        /* Pairs with node_lease_done_word() and lease_bit(). */
        atomic_store_explicit(word, bits, memory_order_release);
        KILL_POINT();
    }
}

/* The hot path with chunks of any size: a function of its own, because the compiler keeps more of it in registers
 * than it would among the others. */
static __attribute__((noinline)) void run_plain_chunk(uint64_t from, uint64_t to)
{
    const struct workplace place = set_up_workplace();

    for (uint64_t end; from < to; from = end) {
        end = (from / 64 + 1) * 64 < to ? (from / 64 + 1) * 64 : to;
        run_word(&place, from, end);
    }
}

/* Items that stand in another order than in their map. */
static void run_indexed_chunk(uint64_t from, uint64_t to)
{
    const struct lease_block *lease = worker_self.lease;
    const uint32_t *order = lease->order ? arena_at(worker_self.arena, lease->order) : NULL;
    uint64_t stride = worker_self.job->spec.item_size;
    struct workplace place = set_up_workplace();

    place.item_size = place.items ? stride : 0;
    for (uint64_t position = from; position < to; position++) {
        uint64_t item = order ? order[position] : position;
        const char *at = (const char *)arena_at(worker_self.arena, lease->items) + item * stride;
        uint64_t index;

        memcpy(&index, at + stride - sizeof index, sizeof index);
        place.first = index - item;
        run_item(&place, item);
        lease_set_bit(worker_self.done, item);
        KILL_POINT();
    }
}

/* How many of the first items have consecutive indexes. */
static uint64_t count_consecutive(const uint64_t *indexes, uint64_t count)
{
    uint64_t length = 1;

    while (length < count && indexes[length] == indexes[0] + length)
        length++;
    return length;
}

/* A batch gets items that are consecutive in the map, and in the lease too: in a lease with an order, one by one. */
static void run_batch_chunk(uint64_t from, uint64_t to)
{
    const struct lease_block *lease = worker_self.lease;
    const uint32_t *order = lease->order ? arena_at(worker_self.arena, lease->order) : NULL;
    const uint64_t *indexes = worker_self.job->spec.kind == JOB_INDEXED_BATCH
                                  ? arena_at(worker_self.arena, lease->items)
                                  : NULL;
    batch_task *task = (batch_task *)(void (*)(void))worker_self.task;

    for (uint64_t step; from < to; from += step) {
        uint64_t item = order ? order[from] : from;
        uint64_t index = indexes ? indexes[item] : lease->first + item;
        int status;

        step = order ? 1 : indexes ? count_consecutive(indexes + item, to - from) : to - from;
        worker_self.index_shift = index - item;
        worker_self.call.text[0] = 0;
        if ((status = task(&worker_self.call, index, step))) {
            worker_refuses_job(status);
            return;
        }
        for (uint64_t i = 0; i < step; i++)
            lease_set_bit(worker_self.done, item + i);
    }
}

static void run_chunk(uint64_t from, uint64_t to)
{
    if (job_is_batch(&worker_self.job->spec))
        run_batch_chunk(from, to);
    else if (worker_self.job->spec.kind == JOB_BLOBS)
        worker_run_blobs(from, to);
    else if (worker_self.job->spec.kind == JOB_INDEXED)
        run_indexed_chunk(from, to);
    else if (worker_self.lease->order)
        run_listed_chunk(from, to);
    else
        run_plain_chunk(from, to);
}

/* The hot path: items of a plain task, in chunks of one size. An item's bit is set after the next claim, not
 * before it: a locked instruction waits for the stores that precede it, and then costs nearly twice as much.
 */
static inline __attribute__((always_inline)) void run_fixed_plain(uint64_t chunk)
{
    const struct workplace place = set_up_workplace();
    _Atomic uint64_t *next = &worker_self.lease->next;
    uint64_t count = worker_self.lease->count, finished = NO_ITEM, from;
    struct done_word word = {.number = UINT64_MAX};

    while (!atomic_load_explicit(place.calls, memory_order_relaxed) &&
           (from = atomic_fetch_add_explicit(next, chunk, memory_order_relaxed)) < count) {
        uint64_t to = count - from < chunk ? count : from + chunk;

        KILL_POINT();
        for (uint64_t item = from; item < to; item++) {
            if (finished != NO_ITEM)
                set_done(&place, &word, finished);
            run_item(&place, item);
            finished = item;
        }
    }
    KILL_POINT();
    if (finished != NO_ITEM)
        set_done(&place, &word, finished);
}

/* Claims the next items: at most `chunk`. How many; the first one is at `from`. */
static uint64_t claim(uint64_t chunk, uint64_t *from)
{
    uint64_t count = worker_self.lease->count, size;

    *from = atomic_fetch_add_explicit(&worker_self.lease->next, chunk, memory_order_relaxed);
    KILL_POINT();
    if (*from >= count)
        return 0;
    size = count - *from < chunk ? count - *from : chunk;
    if (is_limited())
        worker_self.tasks_left -= size;
    return size;
}

/* For whoever drains the job: how long it may take until what has begun has ended. */
static void note_claim(uint64_t took_ns)
{
    _Atomic uint64_t *longest_ns = &worker_self.job->longest_claim_ns;

    if (took_ns > atomic_load_explicit(longest_ns, memory_order_relaxed))
        atomic_store_explicit(longest_ns, took_ns, memory_order_relaxed);
}

/* A batch takes long enough to look at the clock. */
static void run_fixed_chunk(uint64_t from, uint64_t to)
{
    bool is_batch = job_is_batch(&worker_self.job->spec);
    uint64_t start_ns = is_batch ? clock_now_ns() : 0;

    run_chunk(from, to);
    if (is_batch)
        note_claim(clock_now_ns() - start_ns);
}

/* Chunks of one size, without looking at the clock, but for batches. */
static void run_fixed(uint64_t chunk)
{
    uint64_t from, size;

    if (worker_self.job->spec.kind == JOB_PLAIN && !worker_self.lease->order && !is_limited()) {
        if (chunk == 1)
            run_fixed_plain(1); /* a loop of its own, without the inner one */
        else
            run_fixed_plain(chunk);
        return;
    }
    while (worker_self.tasks_left && !worker_is_called() && (size = claim(within_tasks_left(chunk), &from)))
        run_fixed_chunk(from, from + size);
}

/* The size of the next chunk, by what is left now. */
static uint64_t next_chunk(const struct chunk_wish *wish)
{
    struct lease_block *lease = worker_self.lease;
    uint64_t position = atomic_load_explicit(&lease->next, memory_order_relaxed), count = lease->count;

    return within_tasks_left(chunk_next(&worker_self.pace, wish, position < count ? count - position : 0));
}

static void run_adaptive(void)
{
    struct chunk_wish wish = {worker_self.job->spec.chunk_s, worker_self.job->spec.chunk_limit,
                              worker_self.lease->worker_count};
    uint64_t from, size, start_ns = clock_now_ns(), end_ns;

    worker_self.pace.last = 0;
    while (worker_self.tasks_left && !worker_is_called() && (size = claim(next_chunk(&wish), &from))) {
        run_chunk(from, from + size);
        end_ns = clock_now_ns();
        chunk_measured(&worker_self.pace, size, (double)(end_ns - start_ns) * 1e-9);
        note_claim(end_ns - start_ns);
        start_ns = end_ns;
    }
}

/* Whether there is something to claim: a map that ends leaves nothing. */
static bool has_items(void *unused)
{
    (void)unused;
    return atomic_load(&worker_self.lease->next) < worker_self.lease->count;
}

/* One item after the other, and nothing beside them. */
static void run_alone(void)
{
    uint64_t from;

    if (!worker_take_node(has_items, NULL))
        return;
    while (worker_self.tasks_left && claim(1, &from))
        run_chunk(from, from + 1);
    worker_give_node_back();
}

void worker_run_items(uint32_t chunk)
{
    if (worker_self.lease->is_alone)
        run_alone();
    else if (chunk)
        run_fixed(chunk);
    else
        run_adaptive();
}

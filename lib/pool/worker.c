/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's loop: enter a lease, claim chunks, run items, leave. board.h says what it writes, in which
 * order, and what its death at each step means. */
#include "pool/worker.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "core/runtime.h"
#include "pool/batch.h"
#include "pool/board.h"

#define SPIN_NS         20000u /* how long an idle worker looks on before it sleeps */
#define MAX_CHUNK       (UINT64_C(1) << 20)
#define CHUNKS_AHEAD    2u /* near the end, as many chunks a worker should still be there to claim */
#define CHUNK_GROWTH    8u
#define SPEED_SMOOTHING 0.5

struct mpm_call {
    uint64_t index;
    size_t item_size, result_size;
    const void *context;
    char text[NOTE_TEXT_SIZE]; /* of mpm_fail(); "" is none */
};

/* The worker's own memory. Batch tasks reach it through their call. */
static struct {
    mpm_call call; /* first: a call is the worker */
    struct arena *arena;
    struct board *board;
    struct worker_record *record;
    uint32_t number;
    /* The lease that it is in. */
    struct lease_block *lease;
    struct job_block *job;
    _Atomic uint64_t *done, *failed;
    uint64_t position; /* of the item that a batch has begun */
    /* The job that it served last. */
    uint64_t job_id;
    int job_status;
    function_pointer *task;
    double item_s; /* measured; 0 if not yet */
} self;

/* What tasks may ask and say. */

size_t mpm_call_index(const mpm_call *call)
{
    return call->index;
}

size_t mpm_call_item_size(const mpm_call *call)
{
    return call->item_size;
}

size_t mpm_call_result_size(const mpm_call *call)
{
    return call->result_size;
}

const void *mpm_call_context(const mpm_call *call)
{
    return call->context;
}

int mpm_fail(mpm_call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(call->text, sizeof call->text, format, arguments);
    va_end(arguments);
    return 1;
}

/* Failures. */

static void write_note(uint64_t item, int code)
{
    struct lease_block *lease = self.lease;
    uint32_t number = atomic_fetch_add(&lease->note_count, 1);
    struct note *note = (struct note *)arena_at(self.arena, lease->notes) + number;

    if (number >= lease->note_room)
        return;
    note->worker = self.number;
    note->item = item;
    note->code = code;
    memcpy(note->text, self.call.text, sizeof note->text);
    atomic_store_explicit(&note->ready, 1, memory_order_release);
}

static void item_has_failed(uint64_t item, int code)
{
    lease_set_bit(self.failed, item);
    write_note(item, code);
    self.call.text[0] = 0;
}

/* Nobody shall claim from the lease any more: the job is lost. */
static void job_is_lost(int status)
{
    struct note *loss = &self.job->loss;

    self.job_status = status;
    if (!atomic_exchange(&self.job->is_lost, 1)) {
        loss->code = status;
        memcpy(loss->text, self.call.text, sizeof loss->text);
        atomic_store_explicit(&loss->ready, 1, memory_order_release);
    }
    self.call.text[0] = 0;
    atomic_exchange(&self.lease->next, LEASE_FROZEN);
}

void batch_begin_item(mpm_call *call, uint64_t index, size_t item_size, size_t result_size)
{
    call->index = index;
    call->item_size = item_size;
    call->result_size = result_size;
    call->text[0] = 0;
    self.position = index - self.lease->first;
    atomic_store_explicit(&self.record->item, self.position, memory_order_relaxed);
}

void batch_fail_item(mpm_call *call, int code)
{
    (void)call;
    item_has_failed(self.position, code);
}

void batch_show_context(mpm_call *call, const void *context)
{
    call->context = context;
}

uint64_t batch_map_id(const mpm_call *call)
{
    (void)call;
    return self.job_id;
}

/* Chunks. */

/* How many items to claim at `position`, so that a chunk takes about the time that the job wants, grows no
 * faster than by a factor, and leaves enough for the other workers near the end. */
static uint64_t next_chunk(uint64_t position, uint64_t chunk)
{
    uint64_t left = self.lease->count - position, most = left / (CHUNKS_AHEAD * self.lease->worker_count);
    double wanted = self.item_s > 0 ? self.job->spec.chunk_s / self.item_s : 1.0;

    if (most > self.job->spec.chunk_limit)
        most = self.job->spec.chunk_limit;
    if (most > MAX_CHUNK)
        most = MAX_CHUNK;
    if (most > chunk * CHUNK_GROWTH)
        most = chunk * CHUNK_GROWTH;
    if (wanted < (double)most)
        most = (uint64_t)wanted;
    return most ? most : 1;
}

static void measure(uint64_t items, uint64_t took_ns)
{
    double item_s = (double)took_ns * 1e-9 / (double)items;

    self.item_s = self.item_s > 0 ? self.item_s + SPEED_SMOOTHING * (item_s - self.item_s) : item_s;
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
};

static inline struct workplace set_up_workplace(void)
{
    const struct lease_block *lease = self.lease;

    return (struct workplace){.task = (mpm_task *)self.task,
                              .items = self.call.item_size ? arena_at(self.arena, lease->items) : NULL,
                              .results = self.call.result_size ? arena_at(self.arena, lease->results) : NULL,
                              .item_size = self.call.item_size,
                              .result_size = self.call.result_size,
                              .first = lease->first,
                              .current = &self.record->item,
                              .done = self.done};
}

/* Runs one item; its bit is the caller's to set. An item size of 0 leaves the pointer NULL. */
static inline void run_item(const struct workplace *place, uint64_t item)
{
    int code;

    atomic_store_explicit(place->current, item, memory_order_relaxed);
    self.call.index = place->first + item;
    code = place->task(&self.call, place->items + item * place->item_size,
                       place->results + item * place->result_size);
    if (__builtin_expect(code, 0))
        item_has_failed(item, code);
}

static void run_plain_chunk(uint64_t from, uint64_t to)
{
    const uint32_t *order = self.lease->order ? arena_at(self.arena, self.lease->order) : NULL;
    const struct workplace place = set_up_workplace();

    for (uint64_t position = from; position < to; position++) {
        uint64_t item = order ? order[position] : position;

        run_item(&place, item);
        lease_set_bit(place.done, item);
    }
}

/* A batch gets consecutive items: in a lease with an order, one by one. */
static void run_batch_chunk(uint64_t from, uint64_t to)
{
    const struct lease_block *lease = self.lease;
    const uint32_t *order = lease->order ? arena_at(self.arena, lease->order) : NULL;
    batch_task *task = (batch_task *)(void (*)(void))self.task;

    for (uint64_t step; from < to; from += step) {
        uint64_t item = order ? order[from] : from;
        int status;

        step = order ? 1 : to - from;
        self.call.text[0] = 0;
        if ((status = task(&self.call, lease->first + item, step))) {
            job_is_lost(status);
            return;
        }
        for (uint64_t i = 0; i < step; i++)
            lease_set_bit(self.done, item + i);
    }
}

static void run_chunk(uint64_t from, uint64_t to)
{
    if (self.job->spec.is_batch)
        run_batch_chunk(from, to);
    else
        run_plain_chunk(from, to);
}

/* The hot path: items of a plain task, in chunks of one size. An item's bit is set after the next claim, not
 * before it: a locked instruction waits for the stores that precede it, and then costs nearly twice as much.
 */
static inline __attribute__((always_inline)) void run_fixed_plain(uint64_t chunk)
{
    const struct workplace place = set_up_workplace();
    _Atomic uint64_t *next = &self.lease->next;
    uint64_t count = self.lease->count, finished = NO_ITEM, from;

    while ((from = atomic_fetch_add_explicit(next, chunk, memory_order_relaxed)) < count) {
        uint64_t to = count - from < chunk ? count : from + chunk;

        for (uint64_t item = from; item < to; item++) {
            if (finished != NO_ITEM)
                lease_set_bit(place.done, finished);
            run_item(&place, item);
            finished = item;
        }
    }
    if (finished != NO_ITEM)
        lease_set_bit(place.done, finished);
}

/* Chunks of one size, without looking at the clock. */
static void run_fixed(uint64_t chunk)
{
    struct lease_block *lease = self.lease;
    uint64_t count = lease->count, from;

    if (!self.job->spec.is_batch && !lease->order) {
        if (chunk == 1)
            run_fixed_plain(1); /* a loop of its own, without the inner one */
        else
            run_fixed_plain(chunk);
        return;
    }
    while ((from = atomic_fetch_add_explicit(&lease->next, chunk, memory_order_relaxed)) < count)
        run_chunk(from, count - from < chunk ? count : from + chunk);
}

static void run_adaptive(void)
{
    struct lease_block *lease = self.lease;
    uint64_t count = lease->count, from, chunk = 1, start_ns = clock_now_ns(), end_ns;

    if (self.item_s > 0)
        chunk = next_chunk(0, MAX_CHUNK);
    while ((from = atomic_fetch_add_explicit(&lease->next, chunk, memory_order_relaxed)) < count) {
        uint64_t to = count - from < chunk ? count : from + chunk;

        run_chunk(from, to);
        end_ns = clock_now_ns();
        measure(to - from, end_ns - start_ns);
        start_ns = end_ns;
        chunk = next_chunk(to, chunk);
    }
}

/* Leases. */

/* Finds the task of a job that is new to this worker. */
static void take_up_job(void)
{
    if (self.job_id == self.job->spec.id)
        return;
    self.job_id = self.job->spec.id;
    self.item_s = 0;
    self.job_status = function_find(&self.job->spec.task, &self.task);
    if (self.job_status) {
        snprintf(self.call.text, sizeof self.call.text, "%s", mpm_error());
        job_is_lost(self.job_status);
    }
}

static void run_lease(void)
{
    struct lease_block *lease = self.lease;
    uint32_t chunk;

    self.job = arena_at(self.arena, lease->job);
    self.done = lease_bits(self.arena, lease, lease->done, self.number);
    self.failed = lease_bits(self.arena, lease, lease->failed, self.number);
    take_up_job();
    if (self.job_status)
        return;
    self.call.item_size = self.job->spec.item_size;
    self.call.result_size = self.job->spec.result_size;
    self.call.context = self.job->spec.context_size ? self.job->context : NULL;
    chunk = lease->chunk ? lease->chunk : self.job->spec.chunk;
    if (chunk)
        run_fixed(chunk);
    else
        run_adaptive();
}

/* Enters the lease of a slot if there is anything to claim, and stays until there is not. */
static bool serve_slot(_Atomic uint64_t *slot)
{
    uint64_t offset = atomic_load(slot);
    struct lease_block *lease;
    bool served = false;

    if (!offset)
        return false;
    atomic_store(&self.record->lease, offset);
    if (atomic_load(slot) == offset) {
        self.lease = lease = arena_at(self.arena, offset);
        if ((served = atomic_load(&lease->next) < lease->count))
            run_lease();
    }
    atomic_store_explicit(&self.record->item, NO_ITEM, memory_order_relaxed);
    atomic_store(&self.record->lease, 0);
    if (served || atomic_load(slot) != offset) /* its holder may wait for it to become quiet */
        wait_ring(arena_at(self.arena, self.board->bell));
    return served;
}

/* The slot of the oldest lease that is younger than `serial`, NULL if there is none. What it reads of a lease
 * that has just been freed is some number, and does no harm. */
static _Atomic uint64_t *next_slot(uint64_t *serial)
{
    _Atomic uint64_t *oldest = NULL;
    uint64_t lowest = UINT64_MAX;

    for (unsigned i = 0; i < BOARD_SLOTS; i++) {
        uint64_t offset = atomic_load_explicit(&self.board->slot[i], memory_order_acquire), number;

        if (!offset)
            continue;
        number = atomic_load_explicit(&((struct lease_block *)arena_at(self.arena, offset))->serial,
                                      memory_order_relaxed);
        if (number > *serial && number < lowest) {
            lowest = number;
            oldest = &self.board->slot[i];
        }
    }
    *serial = lowest;
    return oldest;
}

/* Oldest first: what came first is to be done first, and the newest can still be taken back. */
static bool serve_board(void)
{
    _Atomic uint64_t *slot;
    uint64_t serial = 0;
    bool served = false;

    while ((slot = next_slot(&serial)))
        served |= serve_slot(slot);
    return served;
}

int worker_main(struct process_record *process)
{
    self.arena = runtime_arena();
    self.board = arena_at(self.arena, process->argument);
    self.number = process->argument_index;
    self.record = &self.board->worker[self.number];
    atomic_store(&self.record->item, NO_ITEM);
    atomic_store(&self.record->state, WORKER_READY);
    self.record->early_deaths = 0;
    wait_ring(arena_at(self.arena, self.board->bell));
    while (!atomic_load(&self.board->closing)) {
        uint32_t seen = wait_look(&self.board->work);

        if (!serve_board() && !atomic_load(&self.board->closing))
            wait_change(&self.board->work, seen, SPIN_NS, CLOCK_FOREVER);
    }
    return EXIT_SUCCESS;
}

/* In the host. */

/* Blames the item that the worker was in, if it had not finished it. */
static void note_crash(struct arena *arena, const struct board *board, uint32_t number, int wait_status)
{
    const struct worker_record *record = &board->worker[number];
    uint64_t offset = atomic_load(&record->lease), item = atomic_load(&record->item);
    struct lease_block *lease = arena_at(arena, offset);
    uint32_t crash;

    if (!offset || item == NO_ITEM || item >= lease->size ||
        lease_bit(lease_bits(arena, lease, lease->done, number), item))
        return;
    crash = atomic_fetch_add(&lease->crash_count, 1);
    if (crash < LEASE_MAX_CRASH)
        lease->crash[crash] = (struct crash){.item = item, .wait_status = wait_status};
}

enum process_fate worker_ended(struct process_record *process)
{
    struct arena *arena = runtime_arena();
    struct board *board = arena_at(arena, process->argument);
    struct worker_record *record = &board->worker[process->argument_index];
    struct wait_word *bell = arena_at(arena, board->bell);
    bool again = !atomic_load(&board->closing);

    record->last_status = process->wait_status;
    note_crash(arena, board, process->argument_index, process->wait_status);
    if (process->fork_errno ||
        (atomic_load(&record->state) != WORKER_READY && ++record->early_deaths >= MAX_EARLY_DEATHS)) {
        atomic_store(&board->failed, 1);
        again = false;
    }
    atomic_store(&record->item, NO_ITEM);
    atomic_store(&record->lease, 0);
    atomic_store(&record->state, again ? WORKER_STARTING : WORKER_GONE);
    if (!again)
        atomic_fetch_add(&board->gone, 1); /* the last one: the board may be freed from here on */
    wait_ring(bell);
    return again ? PROCESS_COMES_AGAIN : PROCESS_IS_FORGOTTEN;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The holder's side of the board: see board.h for who writes what.
 *
 * A lease goes through rounds. A round ends when everything has been claimed and no worker is in the lease;
 * the items without a done bit then were lost with their workers. Those that a crash was blamed on as often
 * as an item may be tried have failed; the rest is hung up again, by a list of their numbers. */
#include "pool/holder.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/runtime.h"
#include "host/host.h"
#include "pool/board.h"
#include "pool/worker.h"

struct holder {
    struct arena *arena;
    uint64_t offset; /* of the board */
    struct board *board;
    unsigned max_attempts;
};

struct held_job {
    struct holder *holder;
    uint64_t offset; /* of the job_block */
    struct job_block *block;
    struct held_lease *leases; /* newest first */
};

/* An item that a worker died in. */
struct suspect {
    uint64_t item;
    unsigned attempts;
    int wait_status; /* of the last death */
};

struct held_lease {
    struct held_lease *next;
    struct held_job *job;
    uint64_t number, first;
    uint64_t keep;   /* items that it keeps */
    uint64_t offset; /* of the lease_block */
    struct lease_block *block;
    _Atomic uint64_t *slot; /* where it hangs; NULL if it does not */
    int status;             /* why it is lost */
    struct suspect *suspects;
    size_t suspect_count, suspect_room;
    struct batch_failure *failures;
    size_t failure_count, failure_room;
};

/* Pools. */

static int spawn_workers(struct holder *holder, const uint32_t *workers_by_rank, unsigned rank_count)
{
    uint32_t number = 0, process;
    int status;

    for (unsigned rank = 0; rank < rank_count; rank++) {
        for (uint32_t i = 0; i < workers_by_rank[rank]; i++, number++) {
            if ((status = host_spawn(holder->arena, rank, worker_main, worker_ended, holder->offset, number,
                                     &process))) {
                atomic_fetch_add(&holder->board->gone, holder->board->worker_count - number);
                return status;
            }
        }
    }
    return MPM_OK;
}

static int make_board(struct holder *holder, uint64_t pool, uint32_t worker_count)
{
    size_t size = sizeof(struct board) + worker_count * sizeof(struct worker_record);
    int status;

    if ((status = arena_alloc(holder->arena, size, ARENA_NO_OWNER, &holder->offset)))
        return status;
    holder->board = arena_at(holder->arena, holder->offset);
    memset(holder->board, 0, size);
    holder->board->pool = pool;
    holder->board->worker_count = worker_count;
    holder->board->bell = arena_offset(holder->arena, runtime_bell());
    return MPM_OK;
}

int holder_open(uint64_t pool, const uint32_t *workers_by_rank, unsigned rank_count, unsigned max_attempts,
                struct holder **opened)
{
    struct holder *holder = calloc(1, sizeof *holder);
    uint32_t worker_count = 0;
    int status;

    if (!holder)
        return error_set(MPM_ENOMEM, "no memory for a pool");
    holder->arena = runtime_arena();
    holder->max_attempts = max_attempts;
    for (unsigned i = 0; i < rank_count; i++)
        worker_count += workers_by_rank[i];
    if ((status = make_board(holder, pool, worker_count))) {
        free(holder);
        return status;
    }
    *opened = holder;
    return spawn_workers(holder, workers_by_rank, rank_count);
}

int holder_check(struct holder *holder)
{
    struct board *board = holder->board;
    char how[80];

    if (atomic_load(&board->failed)) {
        for (uint32_t i = 0; i < board->worker_count; i++) {
            if (atomic_load(&board->worker[i].state) == WORKER_GONE)
                return error_set(MPM_EWORKER, "workers cannot be started: the last one %s",
                                 describe_wait_status(board->worker[i].last_status, how, sizeof how));
        }
        return error_set(MPM_EWORKER, "workers cannot be started");
    }
    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].state) == WORKER_STARTING)
            return 1;
    }
    return MPM_OK;
}

void holder_begin_close(struct holder *holder)
{
    atomic_store(&holder->board->closing, 1);
    wait_ring(&holder->board->work);
}

bool holder_is_closed(struct holder *holder)
{
    return atomic_load(&holder->board->gone) >= holder->board->worker_count;
}

void holder_free(struct holder *holder)
{
    if (!holder)
        return;
    arena_free(holder->arena, holder->offset);
    free(holder);
}

/* Jobs. */

int held_job_open(struct holder *holder, const struct job_spec *spec, const void *context,
                  struct held_job **opened)
{
    struct held_job *job = calloc(1, sizeof *job);
    size_t size = sizeof(struct job_block) + spec->context_size;
    int status;

    if (!job)
        return error_set(MPM_ENOMEM, "no memory for a map");
    if ((status = arena_alloc(holder->arena, size, ARENA_NO_OWNER, &job->offset))) {
        free(job);
        return status;
    }
    job->holder = holder;
    job->block = arena_at(holder->arena, job->offset);
    memset(job->block, 0, sizeof *job->block);
    job->block->spec = *spec;
    if (spec->context_size)
        memcpy(job->block->context, context, spec->context_size);
    *opened = job;
    return MPM_OK;
}

static void take_down(struct held_lease *lease)
{
    if (lease->slot)
        atomic_store(lease->slot, 0);
    lease->slot = NULL;
}

/* No worker is in a lease that has been taken down, or will be. */
static bool is_quiet(const struct held_lease *lease)
{
    struct board *board = lease->job->holder->board;

    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].lease) == lease->offset)
            return false;
    }
    return true;
}

void held_job_stop(struct held_job *job)
{
    for (struct held_lease *lease = job->leases; lease; lease = lease->next) {
        atomic_exchange(&lease->block->next, LEASE_FROZEN);
        take_down(lease);
    }
}

bool held_job_close(struct held_job *job)
{
    for (struct held_lease *lease = job->leases; lease; lease = lease->next) {
        take_down(lease);
        if (!is_quiet(lease))
            return false;
    }
    while (job->leases)
        held_lease_drop(job->leases);
    arena_free(job->holder->arena, job->offset);
    free(job);
    return true;
}

struct held_lease *held_job_next_lease(struct held_job *job, struct held_lease *lease)
{
    return lease ? lease->next : job->leases;
}

/* The done bits of all workers together: one word of them. */
static uint64_t done_word(const struct held_lease *lease, uint64_t word)
{
    const struct lease_block *block = lease->block;
    struct arena *arena = lease->job->holder->arena;
    uint64_t bits = 0;

    for (uint32_t worker = 0; worker < block->worker_count; worker++)
        bits |= atomic_load_explicit(&lease_bits(arena, block, block->done, worker)[word],
                                     memory_order_acquire);
    return bits;
}

uint64_t held_job_items_done(const struct held_job *job)
{
    uint64_t done = 0;

    for (const struct held_lease *lease = job->leases; lease; lease = lease->next) {
        for (uint64_t word = 0; word < lease->block->words; word++)
            done += (unsigned)__builtin_popcountll(done_word(lease, word));
    }
    return done;
}

/* Hanging up. */

/* Where each part of a lease stands in its one block of arena memory. */
struct lease_layout {
    uint64_t items, results, done, failed, notes, size;
};

static uint64_t aligned(uint64_t size)
{
    return (size + 63) / 64 * 64;
}

static struct lease_layout lay_out(const struct job_spec *spec, uint64_t count, uint64_t words,
                                   uint32_t workers, uint32_t notes)
{
    struct lease_layout layout;

    layout.items = aligned(sizeof(struct lease_block));
    layout.results = layout.items + aligned(count * spec->item_size);
    layout.done = layout.results + aligned(count * spec->result_size);
    layout.failed = layout.done + aligned(words * 8) * workers;
    layout.notes = layout.failed + aligned(words * 8) * workers;
    layout.size = layout.notes + aligned(notes * sizeof(struct note));
    return layout;
}

/* Writes the block of a lease, all but its items. */
static void fill_block(struct held_lease *lease, const struct lease_layout *layout, uint64_t words,
                       uint32_t notes)
{
    struct lease_block *block = lease->block;

    memset(block, 0, sizeof *block);
    block->job = lease->job->offset;
    block->first = lease->first;
    block->size = block->count = lease->keep;
    block->items = lease->offset + layout->items;
    block->results = lease->offset + layout->results;
    block->done = lease->offset + layout->done;
    block->failed = lease->offset + layout->failed;
    block->notes = lease->offset + layout->notes;
    block->words = words;
    block->note_room = notes;
    block->worker_count = lease->job->holder->board->worker_count;
    memset((char *)block + layout->done, 0, layout->size - layout->done);
}

/* Puts it where workers find it. Where so many maps run at once that the board is full it waits: a lease that
 * ends rings the bell, and held_lease_look() tries again. */
static void put_up(struct held_lease *lease)
{
    struct board *board = lease->job->holder->board;

    atomic_store_explicit(&lease->block->serial, atomic_fetch_add(&board->last_serial, 1) + 1,
                          memory_order_relaxed);
    for (unsigned i = 0; i < BOARD_SLOTS; i++) {
        uint64_t empty = 0;

        if (atomic_compare_exchange_strong(&board->slot[i], &empty, lease->offset)) {
            lease->slot = &board->slot[i];
            wait_ring(&board->work);
            return;
        }
    }
}

static int make_lease(struct held_job *job, uint64_t number, uint64_t first, uint64_t count,
                      struct held_lease **made)
{
    struct held_lease *lease = calloc(1, sizeof *lease);
    uint32_t notes = count < LEASE_MAX_NOTES ? (uint32_t)count : LEASE_MAX_NOTES;
    uint64_t words = aligned((count + 63) / 64 * 8) / 8;
    struct lease_layout layout = lay_out(&job->block->spec, count, words, job->holder->board->worker_count,
                                         notes);
    int status;

    if (!lease)
        return error_set(MPM_ENOMEM, "no memory for a lease");
    if ((status = arena_alloc(job->holder->arena, layout.size, ARENA_NO_OWNER, &lease->offset))) {
        free(lease);
        return status;
    }
    lease->job = job;
    lease->number = number;
    lease->first = first;
    lease->keep = count;
    lease->block = arena_at(job->holder->arena, lease->offset);
    fill_block(lease, &layout, words, notes);
    *made = lease;
    return MPM_OK;
}

int held_lease_hang(struct held_job *job, uint64_t number, uint64_t first, uint64_t count, const void *items,
                    struct held_lease **hung)
{
    struct held_lease *lease = NULL;
    int status;

    assert(count && count <= UINT32_MAX);
    if ((status = make_lease(job, number, first, count, &lease)))
        return status;
    if (items)
        memcpy(arena_at(job->holder->arena, lease->block->items), items, count * job->block->spec.item_size);
    put_up(lease);
    lease->next = job->leases;
    job->leases = lease;
    *hung = lease;
    return MPM_OK;
}

uint64_t held_lease_cut(struct held_lease *lease)
{
    struct lease_block *block = lease->block;
    uint64_t claimed;

    if (block->order || !lease->slot)
        return lease->keep; /* what is hung up anew is little, and scattered */
    claimed = atomic_exchange(&block->next, LEASE_FROZEN);
    if (claimed < lease->keep)
        lease->keep = claimed;
    return lease->keep;
}

/* Harvesting. */

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    size_t wanted = *room ? *room * 2 : 8;
    void *grown;

    if (count < *room)
        return true;
    if (!(grown = realloc(*array, wanted * size)))
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

static struct suspect *suspect_of(struct held_lease *lease, uint64_t item)
{
    struct suspect *suspect;

    for (size_t i = 0; i < lease->suspect_count; i++) {
        if (lease->suspects[i].item == item)
            return &lease->suspects[i];
    }
    if (!grow((void **)&lease->suspects, &lease->suspect_room, lease->suspect_count, sizeof *suspect))
        return NULL;
    suspect = &lease->suspects[lease->suspect_count++];
    *suspect = (struct suspect){.item = item};
    return suspect;
}

/* Takes the crashes of the round that has ended. Without memory for one it is not blamed. */
static void take_crashes(struct held_lease *lease)
{
    struct lease_block *block = lease->block;
    uint32_t count = atomic_load(&block->crash_count);

    for (uint32_t i = 0; i < count && i < LEASE_MAX_CRASH; i++) {
        struct suspect *suspect = suspect_of(lease, block->crash[i].item);

        if (suspect) {
            suspect->attempts++;
            suspect->wait_status = block->crash[i].wait_status;
        }
    }
    atomic_store(&block->crash_count, 0);
}

static bool add_failure(struct held_lease *lease, uint64_t item, const char *text)
{
    struct batch_failure *failure;

    if (!grow((void **)&lease->failures, &lease->failure_room, lease->failure_count, sizeof *failure))
        return false;
    failure = &lease->failures[lease->failure_count++];
    failure->index = lease->first + item;
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return true;
}

static void zero_result(struct held_lease *lease, uint64_t item)
{
    uint64_t size = lease->job->block->spec.result_size;

    if (size)
        memset((char *)arena_at(lease->job->holder->arena, lease->block->results) + item * size, 0, size);
}

static _Atomic uint64_t *bits_of(const struct held_lease *lease, uint64_t array, uint32_t worker)
{
    return lease_bits(lease->job->holder->arena, lease->block, array, worker);
}

/* Items that have cost as many workers as an item may are done: failed. The lease is quiet, so worker 0's
 * bits may be written here. */
static bool give_up_suspects(struct held_lease *lease)
{
    unsigned limit = lease->job->holder->max_attempts;
    char how[80], text[NOTE_TEXT_SIZE];

    for (size_t i = 0; i < lease->suspect_count; i++) {
        struct suspect *suspect = &lease->suspects[i];

        if (suspect->attempts < limit || done_word(lease, suspect->item / 64) >> suspect->item % 64 & 1)
            continue;
        snprintf(text, sizeof text, "its worker %s (%u attempts)",
                 describe_wait_status(suspect->wait_status, how, sizeof how), suspect->attempts);
        if (!add_failure(lease, suspect->item, text))
            return false;
        zero_result(lease, suspect->item);
        lease_set_bit(bits_of(lease, lease->block->done, 0), suspect->item);
    }
    return true;
}

/* The bits of `word` that are items which the lease keeps. */
static uint64_t kept_bits(const struct held_lease *lease, uint64_t word)
{
    if (lease->keep >= (word + 1) * 64)
        return UINT64_MAX;
    return lease->keep <= word * 64 ? 0 : (UINT64_C(1) << lease->keep % 64) - 1;
}

static uint64_t count_missing(const struct held_lease *lease)
{
    uint64_t missing = 0;

    for (uint64_t word = 0; word < lease->block->words; word++)
        missing += (unsigned)__builtin_popcountll(kept_bits(lease, word) & ~done_word(lease, word));
    return missing;
}

/* What a dead worker noted of items that it did not finish never happened. */
static void forget_failures(struct held_lease *lease, uint64_t word, uint64_t missing)
{
    for (uint32_t worker = 0; worker < lease->block->worker_count; worker++) {
        _Atomic uint64_t *failed = &bits_of(lease, lease->block->failed, worker)[word];

        atomic_store_explicit(failed, atomic_load_explicit(failed, memory_order_relaxed) & ~missing,
                              memory_order_relaxed);
    }
}

/* Lists the items without a done bit, for another round. */
static int list_missing(struct held_lease *lease, uint64_t count)
{
    struct arena *arena = lease->job->holder->arena;
    struct lease_block *block = lease->block;
    uint32_t *order;
    uint64_t offset, listed = 0;
    int status;

    if ((status = arena_alloc(arena, count * sizeof *order, ARENA_NO_OWNER, &offset)))
        return status;
    order = arena_at(arena, offset);
    for (uint64_t word = 0; word < block->words; word++) {
        uint64_t missing = kept_bits(lease, word) & ~done_word(lease, word);

        if (missing)
            forget_failures(lease, word, missing);
        for (; missing; missing &= missing - 1)
            order[listed++] = (uint32_t)(word * 64 + (unsigned)__builtin_ctzll(missing));
    }
    arena_free(arena, block->order);
    block->order = offset;
    block->count = count;
    block->chunk = 1;
    atomic_store(&block->next, 0);
    return MPM_OK;
}

/* Failed items of one worker: with the text of its note, where there is one. */
static bool take_failures_of(struct held_lease *lease, uint32_t worker)
{
    struct lease_block *block = lease->block;
    const struct note *notes = arena_at(lease->job->holder->arena, block->notes);
    _Atomic uint64_t *done = bits_of(lease, block->done, worker),
                     *failed = bits_of(lease, block->failed, worker);
    uint32_t note_count = atomic_load(&block->note_count);
    char text[NOTE_TEXT_SIZE];

    for (uint64_t word = 0; word < block->words; word++) {
        uint64_t bits = atomic_load(&failed[word]) & atomic_load(&done[word]) & kept_bits(lease, word);

        for (; bits; bits &= bits - 1) {
            uint64_t item = word * 64 + (unsigned)__builtin_ctzll(bits);

            snprintf(text, sizeof text, "it failed");
            for (uint32_t i = 0; i < note_count && i < block->note_room; i++) {
                if (notes[i].item != item || notes[i].worker != worker || !atomic_load(&notes[i].ready))
                    continue;
                if (notes[i].text[0])
                    snprintf(text, sizeof text, "%s", notes[i].text);
                else
                    snprintf(text, sizeof text, "the task returned %d", (int)notes[i].code);
            }
            zero_result(lease, item);
            if (!add_failure(lease, item, text))
                return false;
        }
    }
    return true;
}

static int compare_failures(const void *a, const void *b)
{
    uint64_t left = ((const struct batch_failure *)a)->index,
             right = ((const struct batch_failure *)b)->index;

    return (left > right) - (left < right);
}

void sort_failures(struct batch_failure *failures, size_t count)
{
    if (count)
        qsort(failures, count, sizeof *failures, compare_failures);
}

static bool take_failures(struct held_lease *lease)
{
    if (atomic_load(&lease->block->note_count)) {
        for (uint32_t worker = 0; worker < lease->block->worker_count; worker++) {
            if (!take_failures_of(lease, worker))
                return false;
        }
    }
    sort_failures(lease->failures, lease->failure_count);
    return true;
}

static enum lease_look lose(struct held_lease *lease, int status)
{
    lease->status = status;
    return LEASE_IS_LOST;
}

static enum lease_look lose_job(struct held_lease *lease)
{
    const struct note *loss = &lease->job->block->loss;

    if (!atomic_load(&loss->ready))
        return lose(lease, error_set(MPM_EWORKER, "a worker found that the map cannot be done, and died"));
    return lose(lease, error_set(loss->code < 0 ? loss->code : MPM_EWORKER, "%s", loss->text));
}

/* The round has ended. */
static enum lease_look end_round(struct held_lease *lease)
{
    uint64_t missing;
    int status;

    if (atomic_load(&lease->job->block->is_lost))
        return lose_job(lease);
    take_crashes(lease);
    if (!give_up_suspects(lease))
        return lose(lease, error_set(MPM_ENOMEM, "no memory for the list of failed items"));
    if ((missing = count_missing(lease))) {
        if ((status = list_missing(lease, missing)))
            return lose(lease, status);
        put_up(lease);
        return LEASE_RUNS;
    }
    if (!take_failures(lease))
        return lose(lease, error_set(MPM_ENOMEM, "no memory for the list of failed items"));
    return LEASE_IS_DONE;
}

enum lease_look held_lease_look(struct held_lease *lease)
{
    if (atomic_load(&lease->block->next) < lease->block->count) {
        if (!lease->slot)
            put_up(lease);
        return LEASE_RUNS;
    }
    take_down(lease);
    return is_quiet(lease) ? end_round(lease) : LEASE_RUNS;
}

int held_lease_status(const struct held_lease *lease)
{
    return lease->status;
}

uint64_t held_lease_number(const struct held_lease *lease)
{
    return lease->number;
}

uint64_t held_lease_first(const struct held_lease *lease)
{
    return lease->first;
}

uint64_t held_lease_count(const struct held_lease *lease)
{
    return lease->keep;
}

const void *held_lease_results(const struct held_lease *lease)
{
    return arena_at(lease->job->holder->arena, lease->block->results);
}

const struct batch_failure *held_lease_failures(const struct held_lease *lease, size_t *count)
{
    *count = lease->failure_count;
    return lease->failures;
}

void held_lease_drop(struct held_lease *lease)
{
    struct arena *arena = lease->job->holder->arena;

    for (struct held_lease **at = &lease->job->leases; *at; at = &(*at)->next) {
        if (*at == lease) {
            *at = lease->next;
            break;
        }
    }
    arena_free(arena, lease->block->order);
    arena_free(arena, lease->offset);
    free(lease->suspects);
    free(lease->failures);
    free(lease);
}

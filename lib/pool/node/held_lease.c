/* SPDX-License-Identifier: BSD-3-Clause */
/* The holder's jobs and leases: see board.h for who writes what. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/node/holder_inside.h"
#include "pool/node/room.h"
#include "pool/shared/estate.h"
#include "shm/kill_point.h"

#define LEASES_IN_PLACE 32u /* of a job, that all stand where its first one does */

int held_job_open(struct holder *holder, const struct job_spec *spec, const void *context,
                  struct held_job **opened)
{
    struct held_job *job = calloc(1, sizeof *job);
    size_t size = sizeof(struct job_block) + spec->context_size;
    uint32_t owner = 0;
    int status;

    if (!job)
        return error_set(MPM_ENOMEM, "no memory for a map");
    if ((spec->kind == JOB_BLOBS && (status = estate_take_number(holder->offset, &owner))) ||
        (status = room_for_job(holder->arena, size, holder->board->owner, &job->offset))) {
        estate_give_number_back(owner);
        free(job);
        return status;
    }
    job->holder = holder;
    job->block = arena_at(holder->arena, job->offset);
    memset(job->block, 0, sizeof *job->block);
    job->block->spec = *spec;
    job->block->blob_owner = owner;
    if (spec->context_size)
        memcpy(job->block->context, context, spec->context_size);
    *opened = job;
    return MPM_OK;
}

bool held_lease_is_quiet(const struct held_lease *lease)
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
        held_lease_take_down(lease);
    }
}

/* Has the workers killed that are in an item of the lease: nobody wants its result. One that has not begun an
 * item may only be looking. */
static void kill_workers_in(struct held_lease *lease)
{
    struct holder *holder = lease->job->holder;

    for (uint32_t i = 0; i < holder->board->worker_count; i++) {
        struct worker_record *record = &holder->board->worker[i];
        uint64_t entered = atomic_load(&record->entered), item = atomic_load(&record->item);

        if (item != NO_ITEM && atomic_load(&record->lease) == lease->offset)
            holder_kill_worker(holder, i, entered, item, LIMIT_NONE);
    }
}

bool held_job_close(struct held_job *job)
{
    bool is_quiet = true;

    for (struct held_lease *lease = job->leases; lease; lease = lease->next) {
        held_lease_take_down(lease);
        if (held_lease_is_quiet(lease))
            continue;
        kill_workers_in(lease);
        is_quiet = false;
    }
    if (!is_quiet)
        return false;
    while (job->leases)
        held_lease_drop(job->leases);
    estate_give_number_back(job->block->blob_owner);
    arena_free(job->holder->arena, job->offset);
    free(job);
    return true;
}

void held_job_stands_in_line(struct held_job *job)
{
    job->stands_in_line = true;
}

void held_job_use_in_place(struct held_job *job, const void *items, void *results)
{
    job->items = items ? arena_offset(job->holder->arena, items) : 0;
    job->results = results ? arena_offset(job->holder->arena, results) : 0;
}

struct held_lease *held_job_next_lease(struct held_job *job, struct held_lease *lease)
{
    return lease ? lease->next : job->leases;
}

uint64_t held_lease_done_word(const struct held_lease *lease, uint64_t word)
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
            done += (unsigned)__builtin_popcountll(held_lease_done_word(lease, word));
    }
    return done;
}

uint64_t held_job_longest_claim_ns(const struct held_job *job)
{
    return atomic_load_explicit(&job->block->longest_claim_ns, memory_order_relaxed);
}

/* Hanging up. */

/* Where each part of a lease stands in its one block of arena memory. */
struct lease_layout {
    uint64_t items, results, done, failed, pages, notes, size;
};

static uint64_t aligned(uint64_t size)
{
    return (size + 63) / 64 * 64;
}

static struct lease_layout lay_out(const struct held_job *job, uint64_t count, uint64_t items_size,
                                   uint64_t words, uint32_t notes)
{
    const struct job_spec *spec = &job->block->spec;
    uint32_t workers = job->holder->board->worker_count;
    struct lease_layout layout;

    layout.items = aligned(sizeof(struct lease_block));
    layout.results = layout.items + (job->items ? 0 : aligned(items_size));
    layout.done = layout.results + (job->results ? 0 : aligned(count * spec->result_size));
    layout.failed = layout.done + aligned(words * 8) * workers;
    layout.pages = layout.failed + aligned(words * 8) * workers;
    layout.notes = layout.pages + (spec->kind == JOB_BLOBS ? aligned(workers * sizeof(uint64_t)) : 0);
    layout.size = layout.notes + aligned(notes * sizeof(struct note));
    return layout;
}

/* Writes the block of a lease, all but its items. */
static void fill_block(struct held_lease *lease, const struct lease_layout *layout, uint64_t words,
                       uint32_t notes)
{
    struct lease_block *block = lease->block;
    const struct held_job *job = lease->job;

    memset(block, 0, sizeof *block);
    block->job = lease->job->offset;
    block->first = lease->first;
    block->size = block->count = lease->keep;
    block->items = job->items ? job->items + lease->first * job->block->spec.item_size
                              : lease->offset + layout->items;
    block->results = job->results ? job->results + lease->first * job->block->spec.result_size
                                  : lease->offset + layout->results;
    block->done = lease->offset + layout->done;
    block->failed = lease->offset + layout->failed;
    block->pages = lease->offset + layout->pages;
    block->notes = lease->offset + layout->notes;
    block->words = words;
    block->note_room = notes;
    block->worker_count = lease->job->holder->board->worker_count;
    memset((char *)block + layout->done, 0, layout->size - layout->done);
}

/* Under the slot mutex, as the next. false if there is none. */
static bool take_slot(struct held_lease *lease)
{
    struct board *board = lease->job->holder->board;

    for (unsigned i = 0; i < BOARD_SLOTS; i++) {
        if (atomic_load(&board->slot[i]))
            continue;
        atomic_store(&board->slot[i], lease->offset);
        KILL_POINT();
        lease->slot = &board->slot[i];
        eventcount_notify(&board->work);
        return true;
    }
    return false;
}

static void leave_slot(struct held_lease *lease)
{
    struct holder *holder = lease->job->holder;
    struct held_lease *next = holder->first_waiting;

    atomic_store(lease->slot, 0);
    lease->slot = NULL;
    if (!next || !take_slot(next))
        return;
    if (!(holder->first_waiting = next->next_waiting))
        holder->last_waiting = &holder->first_waiting;
}

bool holder_has_line(struct holder *holder)
{
    struct board *board = holder->board;
    bool has_line;

    pthread_mutex_lock(&holder->slot_mutex);
    has_line = holder->first_waiting;
    for (unsigned i = 0; i < BOARD_SLOTS && !has_line; i++) {
        uint64_t offset = atomic_load(&board->slot[i]);
        const struct lease_block *lease = arena_at(holder->arena, offset);

        has_line = offset && lease->is_in_line && !atomic_load(&lease->next);
    }
    pthread_mutex_unlock(&holder->slot_mutex);
    return has_line;
}

static void wait_for_slot(struct held_lease *lease)
{
    struct holder *holder = lease->job->holder;

    lease->next_waiting = NULL;
    *holder->last_waiting = lease;
    holder->last_waiting = &lease->next_waiting;
}

static void wait_no_more(struct held_lease *lease)
{
    struct held_lease **at = &lease->job->holder->first_waiting;

    while (*at != lease)
        at = &(*at)->next_waiting;
    if (!(*at = lease->next_waiting))
        lease->job->holder->last_waiting = at;
}

/* Workers serve the lowest first. The first leases of a job all have the place of its first one, so that a short map is
 * done before those that came later; one that takes long then gets in line again with each lease, so that it does not keep
 * out others. Under the slot mutex. */
static uint64_t next_serial(struct held_job *job)
{
    unsigned number = job->put_up++;

    if (!job->place || number >= LEASES_IN_PLACE)
        job->place = atomic_fetch_add(&job->holder->board->last_place, 1) + 1;
    return job->place * LEASES_IN_PLACE + (number < LEASES_IN_PLACE ? number : 0);
}

/* Puts it where workers find it. Where so many maps run at once that the board is full it waits: whoever takes a lease
 * down hangs it. */
void held_lease_put_up(struct held_lease *lease)
{
    struct holder *holder = lease->job->holder;

    lease->is_up = true;
    pthread_mutex_lock(&holder->slot_mutex);
    lease->block->is_in_line = lease->job->stands_in_line && !lease->job->put_up;
    atomic_store_explicit(&lease->block->serial, next_serial(lease->job), memory_order_relaxed);
    if (holder->first_waiting || !take_slot(lease))
        wait_for_slot(lease);
    pthread_mutex_unlock(&holder->slot_mutex);
}

void held_lease_take_down(struct held_lease *lease)
{
    struct holder *holder = lease->job->holder;

    if (!lease->is_up)
        return;
    lease->is_up = false;
    pthread_mutex_lock(&holder->slot_mutex);
    if (lease->slot)
        leave_slot(lease);
    else
        wait_no_more(lease);
    pthread_mutex_unlock(&holder->slot_mutex);
}

static int make_lease(struct held_job *job, uint64_t number, uint64_t first, uint64_t count,
                      uint64_t items_size, struct held_lease **made)
{
    struct held_lease *lease = calloc(1, sizeof *lease);
    uint32_t notes = count < LEASE_MAX_NOTES ? (uint32_t)count : LEASE_MAX_NOTES;
    uint64_t words = aligned((count + 63) / 64 * 8) / 8;
    uint32_t reserve = count > notes ? job->holder->board->worker_count : 0;
    struct lease_layout layout = lay_out(job, count, items_size, words, notes + reserve);
    int status;

    if (!lease)
        return error_set(MPM_ENOMEM, "no memory for a lease");
    if ((status = room_for_lease(job->holder->arena, layout.size, job->holder->board->owner,
                                 &lease->offset))) {
        free(lease);
        return status;
    }
    lease->block_size = layout.size;
    lease->job = job;
    lease->number = number;
    lease->first = first;
    lease->keep = count;
    lease->block = arena_at(job->holder->arena, lease->offset);
    fill_block(lease, &layout, words, notes);
    lease->block->note_reserve = reserve;
    *made = lease;
    return MPM_OK;
}

static void hang(struct held_lease *lease)
{
    held_lease_put_up(lease);
    lease->next = lease->job->leases;
    lease->job->leases = lease;
}

int held_lease_hang(struct held_job *job, uint64_t number, uint64_t first, uint64_t count, const void *items,
                    uint64_t size, struct held_lease **hung)
{
    int status;

    assert(count && count <= UINT32_MAX);
    if ((status = make_lease(job, number, first, count, size, hung)))
        return status;
    if (items && !job->items)
        memcpy(arena_at(job->holder->arena, (*hung)->block->items), items, size);
    hang(*hung);
    return MPM_OK;
}

int held_lease_hang_blobs(struct held_job *job, uint64_t number, uint64_t first, uint64_t count,
                          const mpm_blob *items, struct held_lease **hung)
{
    int status;

    assert(count && count <= UINT32_MAX);
    if ((status = make_lease(job, number, first, count, blob_pack_size(items, count), hung)))
        return status;
    blob_pack(arena_at(job->holder->arena, (*hung)->block->items), items, count);
    hang(*hung);
    return MPM_OK;
}

uint64_t held_lease_cut(struct held_lease *lease)
{
    struct lease_block *block = lease->block;
    uint64_t claimed;

    lease->is_said_claimed = true;
    if (block->order)
        return lease->keep; /* what is hung up anew is little, and scattered */
    claimed = atomic_exchange(&block->next, LEASE_FROZEN);
    if (claimed < lease->keep)
        lease->keep = claimed;
    return lease->keep;
}

bool held_lease_is_begun(const struct held_lease *lease)
{
    return atomic_load_explicit(&lease->block->next, memory_order_relaxed) != 0;
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

const mpm_failure *held_lease_failures(const struct held_lease *lease, size_t *count)
{
    *count = lease->failure_count;
    return lease->failures;
}

uint64_t held_lease_failures_untold(const struct held_lease *lease)
{
    return lease->failures_untold;
}

static void free_pages(const struct held_lease *lease)
{
    struct arena *arena = lease->job->holder->arena;
    const _Atomic uint64_t *pages = arena_at(arena, lease->block->pages);

    if (lease->job->block->spec.kind != JOB_BLOBS)
        return;
    for (uint32_t worker = 0; worker < lease->block->worker_count; worker++) {
        for (uint64_t page = atomic_load(&pages[worker]), next; page; page = next) {
            next = ((const struct blob_page *)arena_at(arena, page))->next;
            arena_free(arena, page);
        }
    }
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
    free_pages(lease);
    if (!held_lease_is_short_list(lease))
        arena_free(arena, lease->block->order);
    room_lease_ends(arena, lease->offset, lease->block_size);
    free(lease->suspects);
    free(lease->failures);
    free(lease);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The node pool's jobs and leases: see board.h for who writes what. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "node/context.h"
#include "pool/node/node_pool_inside.h"
#include "pool/node/arena_budget.h"
#include "pool/shared/pool_registry.h"
#include "shm/kill_point.h"

#define TEXT_SHARE      16u /* of the arena, for long texts of a job's failures */
#define LEASES_IN_PLACE 32u /* of a job, that all stand where its first one does */
#define ENTRIES_KEPT    4u  /* empty ones that workers look at, so that their end does not go up and down */
#define MOST_TO_LOOK_AT 16u /* workers whose records one of them looks at as it leaves a lease */

/* A small arena is not filled with texts. */
static uint64_t text_room_of(const struct job_spec *spec)
{
    mpm_node info;

    if (mpm_node_info(context_topology()->node, &info) || info.arena_size / TEXT_SHARE >= spec->text_room)
        return spec->text_room;
    return info.arena_size / TEXT_SHARE;
}

/* What a short map has left for the next one goes before anything fails for want of room. */
static int take_room(struct node_pool *node_pool,
                     int (*take)(struct arena *arena, uint64_t size, uint32_t owner, uint64_t *offset),
                     uint64_t size, uint64_t *offset)
{
    int status = take(node_pool->arena, size, node_pool->board->owner, offset);

    if (status && node_pool_forget_kept(node_pool))
        status = take(node_pool->arena, size, node_pool->board->owner, offset);
    return status;
}

bool node_pool_forget_kept(struct node_pool *node_pool)
{
    struct node_job *job = atomic_exchange(&node_pool->kept, NULL);

    if (job)
        node_job_free(job);
    return job;
}

int node_job_open(struct node_pool *node_pool, const struct job_spec *spec, const void *context,
                  struct node_job **opened)
{
    struct node_job *job = calloc(1, sizeof *job);
    size_t size = sizeof(struct job_block) + spec->context_size;
    uint32_t owner = 0;
    int status;

    if (!job)
        return error_set(MPM_ENOMEM, "no memory for a map");
    if ((spec->kind == JOB_BLOBS && (status = pool_registry_take_number(node_pool->offset, &owner))) ||
        (status = take_room(node_pool, arena_budget_take_for_job, size, &job->offset))) {
        pool_registry_give_number_back(owner);
        free(job);
        return status;
    }
    job->node_pool = node_pool;
    job->context_room = spec->context_size;
    job->block = arena_at(node_pool->arena, job->offset);
    memset(job->block, 0, sizeof *job->block);
    job->block->spec = *spec;
    job->block->text_room = text_room_of(spec);
    job->block->blob_owner = owner;
    if (spec->context_size)
        memcpy(job->block->context, context, spec->context_size);
    *opened = job;
    return MPM_OK;
}

/* A line that stays as it is stays in the workers' caches. */
static void update(void *to, const void *from, size_t size)
{
    if (memcmp(to, from, size))
        memcpy(to, from, size);
}

/* Whether it is the same but for its number. The task, which is long, has not changed if its number has not. */
static bool is_like(const struct job_spec *own, const struct job_spec *spec)
{
    size_t from = offsetof(struct job_spec, task_id);

    return !memcmp((const char *)own + from, (const char *)spec + from,
                   offsetof(struct job_spec, task) - from);
}

/* A job like the last one is the last one: then workers need not look at it once more, and know how long an item
 * takes. What workers write of a job that has failed in no way is as it was at first, but for the longest claim,
 * which nobody asks for of a short map. */
bool node_job_begin_again(struct node_job *job, const struct job_spec *spec, const struct function *task,
                          const void *context)
{
    struct job_spec *own = &job->block->spec;

    if (spec->context_size > job->context_room)
        return false;
    if (own->task_id != spec->task_id)
        own->task = *task;
    if (!is_like(own, spec))
        memcpy(own, spec, offsetof(struct job_spec, task));
    if (spec->context_size)
        update(job->block->context, context, spec->context_size);
    job->items = job->results = job->place = 0;
    job->published = 0;
    return true;
}

bool node_lease_is_quiet(const struct node_lease *lease)
{
    struct board *board = lease->job->node_pool->board;

    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].lease) == lease->offset)
            return false;
    }
    return true;
}

void node_job_stop(struct node_job *job)
{
    for (struct node_lease *lease = job->leases; lease; lease = lease->next) {
        atomic_exchange(&lease->block->next, LEASE_FROZEN);
        node_lease_withdraw(lease);
    }
}

/* Has the workers killed that are in an item of the lease: nobody wants its result. One that has not begun an
 * item may only be looking; but a batch may be long before its first item, while it opens and reads files. */
static void kill_workers_in(struct node_lease *lease)
{
    struct node_pool *node_pool = lease->job->node_pool;
    bool is_batch = job_is_batch(&lease->job->block->spec);

    for (uint32_t i = 0; i < node_pool->board->worker_count; i++) {
        struct worker_record *record = &node_pool->board->worker[i];
        uint64_t entered = atomic_load(&record->entered), item = atomic_load(&record->item);

        if ((item != NO_ITEM || is_batch) && atomic_load(&record->lease) == lease->offset)
            node_pool_kill_worker(node_pool, i, entered, item, LIMIT_NONE);
    }
}

bool node_job_close(struct node_job *job)
{
    bool is_quiet = true;

    for (struct node_lease *lease = job->leases; lease; lease = lease->next) {
        node_lease_withdraw(lease);
        if (node_lease_is_quiet(lease))
            continue;
        kill_workers_in(lease);
        is_quiet = false;
    }
    if (!is_quiet)
        return false;
    node_job_free(job);
    return true;
}

static void free_spare(struct node_job *job)
{
    if (!job->spare)
        return;
    arena_free(job->node_pool->arena, job->spare->offset);
    free(job->spare);
    job->spare = NULL;
}

void node_job_free(struct node_job *job)
{
    while (job->leases)
        node_lease_drop(job->leases);
    free_spare(job);
    pool_registry_give_number_back(job->block->blob_owner);
    failure_text_free(job->node_pool->arena, &job->block->loss.said);
    arena_free(job->node_pool->arena, job->offset);
    free(job);
}

void node_job_stands_in_line(struct node_job *job)
{
    job->stands_in_line = true;
}

void node_job_use_in_place(struct node_job *job, const void *items, void *results)
{
    job->items = items ? arena_offset(job->node_pool->arena, items) : 0;
    job->results = results ? arena_offset(job->node_pool->arena, results) : 0;
}

struct node_lease *node_job_next_lease(struct node_job *job, struct node_lease *lease)
{
    return lease ? lease->next : job->leases;
}

uint64_t node_lease_done_word(const struct node_lease *lease, uint64_t word)
{
    const struct lease_block *block = lease->block;
    struct arena *arena = lease->job->node_pool->arena;
    uint64_t bits = 0;

    for (uint32_t worker = 0; worker < block->worker_count; worker++)
        /* Pairs with set_done(), worker/worker_chunk.c: the results are seen. */
        bits |= atomic_load_explicit(&lease_bits(arena, block, block->done, worker)[word],
                                     memory_order_acquire);
    return bits;
}

uint64_t node_job_items_done(const struct node_job *job)
{
    uint64_t done = 0;

    for (const struct node_lease *lease = job->leases; lease; lease = lease->next) {
        for (uint64_t word = 0; word < lease->block->words; word++)
            done += (unsigned)__builtin_popcountll(node_lease_done_word(lease, word));
    }
    return done;
}

uint64_t node_job_longest_claim_ns(const struct node_job *job)
{
    return atomic_load_explicit(&job->block->longest_claim_ns, memory_order_relaxed);
}

/* Hanging up. */

static uint64_t aligned(uint64_t size)
{
    return (size + 63) / 64 * 64;
}

/* Of a worker's bits. One word goes with the claim counter, where items are claimed one by one: then an item's bit is
 * set just after a claim. In longer chunks others would take the line away in between. */
static uint64_t count_words(const struct node_job *job, uint64_t count)
{
    if (count <= LEASE_FEW_ITEMS && job->node_pool->board->worker_count <= LEASE_FEW_WORKERS &&
        job->block->spec.chunk == 1)
        return 1;
    return aligned((count + 63) / 64 * 8) / 8;
}

static struct lease_layout lay_out(const struct node_job *job, uint64_t count, uint64_t items_size,
                                   uint64_t words, uint32_t notes)
{
    const struct job_spec *spec = &job->block->spec;
    uint32_t workers = job->node_pool->board->worker_count;
    struct lease_layout layout;

    layout.items = aligned(sizeof(struct lease_block));
    layout.results = layout.items + (job->items ? 0 : aligned(items_size));
    layout.failed = layout.results + (job->results ? 0 : aligned(count * spec->result_size));
    layout.pages = layout.failed + aligned(words * 8 * workers);
    layout.done = offsetof(struct lease_block, few_done);
    if (words > 1) {
        layout.done = layout.pages;
        layout.pages += words * 8 * workers;
    }
    layout.leaf_records = layout.pages + (spec->kind == JOB_BLOBS ? aligned(workers * sizeof(uint64_t)) : 0);
    layout.notes = layout.leaf_records +
                   (spec->kind == JOB_REDUCE ? count * leaf_record_size(spec->parts) : 0);
    layout.size = layout.notes + aligned(notes * sizeof(struct note));
    return layout;
}

static uint64_t place_of_items(const struct node_lease *lease)
{
    const struct node_job *job = lease->job;

    return job->items ? job->items + lease->first * job->block->spec.item_size
                      : lease->offset + lease->layout.items;
}

static uint64_t place_of_results(const struct node_lease *lease)
{
    const struct node_job *job = lease->job;

    return job->results ? job->results + lease->first * job->block->spec.result_size
                        : lease->offset + lease->layout.results;
}

static void clear_done(struct node_lease *lease)
{
    struct lease_block *block = lease->block;

    memset((char *)block + lease->layout.done, 0, block->words * 8 * block->worker_count);
}

/* Writes the block of a lease, all but its items. */
static void fill_block(struct node_lease *lease, uint64_t words, uint32_t notes)
{
    struct lease_block *block = lease->block;
    const struct node_job *job = lease->job;
    const struct lease_layout *layout = &lease->layout;

    memset(block, 0, sizeof *block);
    block->job = lease->job->offset;
    block->first = lease->first;
    block->size = block->count = lease->keep;
    block->items = place_of_items(lease);
    block->results = place_of_results(lease);
    block->rings_last = job->is_short && job->node_pool->board->worker_count <= MOST_TO_LOOK_AT;
    block->done = lease->offset + layout->done;
    block->failed = lease->offset + layout->failed;
    block->pages = lease->offset + layout->pages;
    block->leaf_records = lease->offset + layout->leaf_records;
    block->parts = job->block->spec.parts;
    block->notes = lease->offset + layout->notes;
    block->words = words;
    block->note_room = notes;
    block->worker_count = lease->job->node_pool->board->worker_count;
    memset((char *)block + layout->failed, 0, layout->size - layout->failed);
}

/* Under the entry mutex, as the next. false if there is none. */
static bool take_entry(struct node_lease *lease)
{
    struct board *board = lease->job->node_pool->board;

    for (unsigned i = 0; i < BOARD_ENTRIES; i++) {
        if (atomic_load(&board->entry[i]))
            continue;
        if (i >= atomic_load_explicit(&board->entry_end, memory_order_relaxed))
            atomic_store(&board->entry_end, i + 1);
        KILL_POINT();
        atomic_store(&board->entry[i], lease->offset);
        KILL_POINT();
        lease->entry = &board->entry[i];
        return true;
    }
    return false;
}

/* A worker that sees an end which is too low yet has not seen the ring either that follows it. */
static void lower_entry_end(struct board *board)
{
    uint32_t end = atomic_load_explicit(&board->entry_end, memory_order_relaxed), lower = end;

    while (lower && !atomic_load_explicit(&board->entry[lower - 1], memory_order_relaxed))
        lower--;
    if (lower + ENTRIES_KEPT < end)
        atomic_store(&board->entry_end, lower);
}

static void leave_entry(struct node_lease *lease)
{
    struct node_pool *node_pool = lease->job->node_pool;
    struct node_lease *next = node_pool->first_waiting;

    atomic_store(lease->entry, 0);
    lease->entry = NULL;
    lower_entry_end(node_pool->board);
    if (!next || !take_entry(next))
        return;
    eventcount_notify(&node_pool->board->work);
    if (!(node_pool->first_waiting = next->next_waiting))
        node_pool->last_waiting = &node_pool->first_waiting;
}

bool node_pool_has_line(struct node_pool *node_pool)
{
    struct board *board = node_pool->board;
    bool has_line;

    pthread_mutex_lock(&node_pool->entry_mutex);
    has_line = node_pool->first_waiting;
    for (unsigned i = 0; i < BOARD_ENTRIES && !has_line; i++) {
        uint64_t offset = atomic_load(&board->entry[i]);
        const struct lease_block *lease = arena_at(node_pool->arena, offset);

        has_line = offset && lease->is_in_line && !atomic_load(&lease->next);
    }
    pthread_mutex_unlock(&node_pool->entry_mutex);
    return has_line;
}

static void wait_for_entry(struct node_lease *lease)
{
    struct node_pool *node_pool = lease->job->node_pool;

    lease->next_waiting = NULL;
    *node_pool->last_waiting = lease;
    node_pool->last_waiting = &lease->next_waiting;
}

static void wait_no_more(struct node_lease *lease)
{
    struct node_lease **at = &lease->job->node_pool->first_waiting;

    while (*at != lease)
        at = &(*at)->next_waiting;
    if (!(*at = lease->next_waiting))
        lease->job->node_pool->last_waiting = at;
}

/* Workers serve the lowest first. The first leases of a job all have the place of its first one, so that a short map is
 * done before those that came later; one that takes long then gets in line again with each lease, so that it does not
 * keep out others. Under the entry mutex. */
static uint64_t next_serial(struct node_job *job)
{
    unsigned number = job->published++;

    if (!job->place || number >= LEASES_IN_PLACE)
        job->place = atomic_fetch_add(&job->node_pool->board->last_place, 1) + 1;
    return job->place * LEASES_IN_PLACE + (number < LEASES_IN_PLACE ? number : 0);
}

/* Puts it where workers find it. Where so many maps run at once that the board is full it waits: whoever takes a lease
 * publishes it. */
void node_lease_put_on_board(struct node_lease *lease)
{
    struct node_pool *node_pool = lease->job->node_pool;

    lease->is_published = true;
    pthread_mutex_lock(&node_pool->entry_mutex);
    update(&lease->block->is_in_line, &(uint32_t){lease->job->stands_in_line && !lease->job->published},
           sizeof(uint32_t));
    atomic_store_explicit(&lease->block->serial, next_serial(lease->job), memory_order_relaxed);
    if (node_pool->first_waiting || !take_entry(lease))
        wait_for_entry(lease);
    else if (lease->is_silent)
        eventcount_advance(&node_pool->board->work);
    else
        eventcount_notify(&node_pool->board->work);
    pthread_mutex_unlock(&node_pool->entry_mutex);
}

void node_lease_withdraw(struct node_lease *lease)
{
    struct node_pool *node_pool = lease->job->node_pool;

    if (!lease->is_published)
        return;
    lease->is_published = false;
    pthread_mutex_lock(&node_pool->entry_mutex);
    if (lease->entry)
        leave_entry(lease);
    else
        wait_no_more(lease);
    pthread_mutex_unlock(&node_pool->entry_mutex);
}

/* Takes the lease of the last short map, in which nothing has failed, for one like that: only done bits are not as they
 * were. */
static bool make_again(struct node_job *job, const struct lease_range *range,
                       const struct lease_layout *layout, struct node_lease **made)
{
    struct node_lease *lease = job->spare;

    if (!lease || lease->keep != range->count || memcmp(&lease->layout, layout, sizeof *layout))
        return false;
    job->spare = NULL;
    *made = lease;
    lease->number = range->number;
    update(&lease->block->items, &(uint64_t){place_of_items(lease)}, sizeof(uint64_t));
    update(&lease->block->results, &(uint64_t){place_of_results(lease)}, sizeof(uint64_t));
    clear_done(lease);
    atomic_store_explicit(&lease->block->next, 0, memory_order_relaxed);
    arena_budget_lease_begins_again(lease->block_size);
    return true;
}

static int make_lease(struct node_job *job, const struct lease_range *range, uint64_t items_size,
                      struct node_lease **made)
{
    struct node_lease *lease;
    uint64_t count = range->count, parts = count * job->block->spec.parts;
    uint32_t notes = parts < LEASE_MAX_NOTES ? (uint32_t)parts : LEASE_MAX_NOTES;
    uint64_t words = count_words(job, count);
    uint32_t reserve = parts > notes ? job->node_pool->board->worker_count : 0;
    struct lease_layout layout = lay_out(job, count, items_size, words, notes + reserve);
    int status;

    assert(count && count <= UINT32_MAX);
    if (make_again(job, range, &layout, made))
        return MPM_OK;
    free_spare(job);
    if (!(lease = calloc(1, sizeof *lease)))
        return error_set(MPM_ENOMEM, "no memory for a lease");
    if ((status = take_room(job->node_pool, arena_budget_take_for_lease, layout.size, &lease->offset))) {
        free(lease);
        return status;
    }
    lease->block_size = layout.size;
    lease->layout = layout;
    lease->job = job;
    lease->number = range->number;
    lease->first = range->first;
    lease->keep = count;
    lease->block = arena_at(job->node_pool->arena, lease->offset);
    fill_block(lease, words, notes);
    lease->block->note_reserve = reserve;
    *made = lease;
    return MPM_OK;
}

static void publish(struct node_lease *lease)
{
    lease->is_silent = lease->job->is_short;
    node_lease_put_on_board(lease);
    lease->is_silent = false;
    lease->next = lease->job->leases;
    lease->job->leases = lease;
}

int node_lease_publish(struct node_job *job, const struct lease_range *range, const void *items,
                       uint64_t size, struct node_lease **published)
{
    int status;

    if ((status = make_lease(job, range, size, published)))
        return status;
    if (items && !job->items)
        memcpy(arena_at(job->node_pool->arena, (*published)->block->items), items, size);
    publish(*published);
    return MPM_OK;
}

int node_lease_publish_blobs(struct node_job *job, const struct lease_range *range, const mpm_blob *items,
                             struct node_lease **published)
{
    int status;

    if ((status = make_lease(job, range, blob_pack_size(items, range->count), published)))
        return status;
    blob_pack(arena_at(job->node_pool->arena, (*published)->block->items), items, range->count);
    publish(*published);
    return MPM_OK;
}

uint64_t node_lease_cut(struct node_lease *lease)
{
    struct lease_block *block = lease->block;
    uint64_t claimed;

    lease->is_said_claimed = true;
    if (block->order)
        return lease->keep; /* what is published again is little, and scattered */
    claimed = atomic_exchange(&block->next, LEASE_FROZEN);
    if (claimed < lease->keep)
        lease->keep = claimed;
    return lease->keep;
}

bool node_lease_is_begun(const struct node_lease *lease)
{
    return atomic_load_explicit(&lease->block->next, memory_order_relaxed) != 0;
}

int node_lease_status(const struct node_lease *lease)
{
    return lease->status;
}

uint64_t node_lease_number(const struct node_lease *lease)
{
    return lease->number;
}

uint64_t node_lease_first(const struct node_lease *lease)
{
    return lease->first;
}

uint64_t node_lease_count(const struct node_lease *lease)
{
    return lease->keep;
}

const void *node_lease_results(const struct node_lease *lease)
{
    return arena_at(lease->job->node_pool->arena, lease->block->results);
}

const struct failure_list *node_lease_failures(const struct node_lease *lease)
{
    return &lease->failures;
}

uint64_t node_lease_failures_untold(const struct node_lease *lease)
{
    return lease->failures_untold;
}

static void free_pages(const struct node_lease *lease)
{
    struct arena *arena = lease->job->node_pool->arena;
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

static void free_texts(const struct node_lease *lease)
{
    struct lease_block *block = lease->block;
    struct arena *arena = lease->job->node_pool->arena;
    struct note *notes = arena_at(arena, block->notes);
    uint32_t count = atomic_load(&block->note_count);

    for (uint32_t i = 0; i < count && i < block->note_room; i++)
        failure_text_free(arena, &notes[i].said);
    for (uint32_t i = 0; count > block->note_room && i < block->note_reserve; i++)
        failure_text_free(arena, &notes[block->note_room + i].said);
}

void node_lease_drop(struct node_lease *lease)
{
    struct arena *arena = lease->job->node_pool->arena;

    for (struct node_lease **at = &lease->job->leases; *at; at = &(*at)->next) {
        if (*at == lease) {
            *at = lease->next;
            break;
        }
    }
    free_pages(lease);
    free_texts(lease);
    if (!node_lease_is_short_list(lease))
        arena_free(arena, lease->block->order);
    arena_budget_lease_ends(arena, lease->offset, lease->block_size);
    free(lease->crashed_items);
    failure_list_free(&lease->failures);
    free(lease);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool on one node: its workers, and who has run past its time. See board.h for who writes what. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "pool/node/node_pool_inside.h"
#include "pool/node/reaper.h"
#include "pool/shared/pool_registry.h"
#include "pool/worker/worker.h"
#include "shm/kill_point.h"

#define WATCH_PART      16u                  /* a worker with a time limit is looked at so often within it */
#define WATCH_MIN_NS    1000000u             /* but not more often than that */
#define WATCH_MAX_NS    50000000u            /* nor more seldom */
#define WATCH_MEMORY_NS 20000000u            /* how often one is looked at that may have so much memory */
#define MOST_KEPT       ((uint64_t)64 << 10) /* bytes of a short map that are kept for the next one, */
#define ARENA_SHARE     64u                  /* and at most one of so many parts of the arena */

static int spawn_workers(struct node_pool *node_pool, const uint32_t *workers_by_rank, unsigned rank_count)
{
    uint32_t number = 0, process, generation;
    int status;

    for (unsigned rank = 0; rank < rank_count; rank++) {
        for (uint32_t i = 0; i < workers_by_rank[rank]; i++, number++) {
            struct process_order order = {.entry = worker_main,
                                          .ended = worker_ended,
                                          .argument = node_pool->offset,
                                          .argument_index = number,
                                          .flags = PROCESS_IS_WORKER};

            status = forkserver_order(node_pool->arena, rank, &order, &process, &generation);
            if (status == MPM_EFORKSERVER)
                atomic_store(&node_pool->board->worker[number].state, WORKER_GONE);
            else if (status)
                return status;
            else
                node_pool->board->worker[number].process = process + 1;
            KILL_POINT();
        }
    }
    return MPM_OK;
}

/* The process of a worker; NULL if it never had one. */
static struct process_record *process_of(const struct node_pool *node_pool, uint32_t worker)
{
    uint32_t process = node_pool->board->worker[worker].process;

    return process ? process_at(node_pool->arena, process - 1) : NULL;
}

static int make_board(struct node_pool *node_pool, const struct pool_spec *spec, const void *argument,
                      uint32_t worker_count)
{
    size_t size = sizeof(struct board) + worker_count * sizeof(struct worker_record);
    struct board *board;
    uint32_t slots;
    mpm_node info;
    int status;

    if ((status = pool_registry_enter(size, &node_pool->offset)))
        return status;
    node_pool->board = board = arena_at(node_pool->arena, node_pool->offset);
    if (mpm_node_info(context_topology()->node, &info))
        info = (mpm_node){.slots = 1};
    slots = info.slots;
    node_pool->most_kept = info.arena_size / ARENA_SHARE < MOST_KEPT ? info.arena_size / ARENA_SHARE
                                                                     : MOST_KEPT;
    board->spec = *spec;
    board->worker_count = worker_count;
    node_pool->cpus = slots;
    board->first_looker = worker_count < slots ? 0 : worker_count - slots + 1;
    for (uint32_t i = 0; i < worker_count; i++)
        atomic_store(&board->worker[i].item, NO_ITEM);
    atomic_store(&board->driver_cpu, NO_CPU);
    board->doorbell = arena_offset(node_pool->arena, context_doorbell());
    if (!spec->argument_size)
        return MPM_OK;
    if ((status = arena_alloc(node_pool->arena, spec->argument_size, board->owner, &board->argument))) {
        pool_registry_leave(node_pool->offset);
        return status;
    }
    memcpy(arena_at(node_pool->arena, board->argument), argument, spec->argument_size);
    return MPM_OK;
}

static bool is_to_be_watched(const struct pool_spec *spec)
{
    return spec->item_timeout_s > 0 || spec->item_memory_bytes ||
           (spec->setup_timeout_s > 0 && (spec->has_initializer || spec->has_finalizer));
}

static int make_node_pool(const struct pool_spec *spec, const void *argument, uint32_t worker_count,
                          struct node_pool **made)
{
    struct node_pool *node_pool = calloc(1, sizeof *node_pool);
    int status;

    if (!node_pool)
        return error_set(MPM_ENOMEM, "no memory for a pool");
    node_pool->arena = context_arena();
    pthread_mutex_init(&node_pool->kill_mutex, NULL);
    pthread_mutex_init(&node_pool->watch_mutex, NULL);
    pthread_mutex_init(&node_pool->entry_mutex, NULL);
    node_pool->last_waiting = &node_pool->first_waiting;
    if (!(node_pool->counts = calloc(worker_count, sizeof *node_pool->counts)))
        status = error_set(MPM_ENOMEM, "no memory for %u workers", worker_count);
    else if (is_to_be_watched(spec) &&
             !(node_pool->watched = calloc(worker_count, sizeof *node_pool->watched)))
        status = error_set(MPM_ENOMEM, "no memory to watch %u workers", worker_count);
    else
        status = make_board(node_pool, spec, argument, worker_count);
    if (status) {
        free(node_pool->counts);
        free(node_pool->watched);
        free(node_pool);
        return status;
    }
    *made = node_pool;
    return MPM_OK;
}

int node_pool_open(const struct pool_spec *spec, const void *argument, const uint32_t *workers_by_rank,
                   unsigned rank_count, struct node_pool **opened)
{
    uint32_t worker_count = 0;
    int status;

    for (unsigned i = 0; i < rank_count; i++)
        worker_count += workers_by_rank[i];
    if ((status = make_node_pool(spec, argument, worker_count, opened)))
        return status;
    return spawn_workers(*opened, workers_by_rank, rank_count);
}

/* Why a worker cannot be had. */
static int tell_failure(const struct node_pool *node_pool, uint32_t worker)
{
    const struct worker_record *record = &node_pool->board->worker[worker];
    const struct process_record *process = process_of(node_pool, worker);
    const struct note *note = &record->start_note;
    char how[160];

    if (atomic_load(&note->ready) && note->said.text[0])
        return error_set(MPM_EWORKER, "cannot start workers: %s",
                         failure_text_of(node_pool->arena, &note->said));
    if (atomic_load(&note->ready))
        return error_set(MPM_EWORKER, "cannot start workers: the initializer returned %d", (int)note->code);
    if (record->last_was_late)
        return error_set(MPM_EWORKER,
                         "cannot start workers: the initializer was still running after %g s, and was killed "
                         "(setup_timeout_s of mpm_pool_open gives it longer)",
                         node_pool->board->spec.setup_timeout_s);
    if (process && process->fork_errno)
        return error_set(MPM_EWORKER, "cannot start workers: cannot fork a process: %s",
                         describe_fork_errno(process->fork_errno, how, sizeof how));
    return error_set(MPM_EWORKER, "cannot start workers: the last one %s%s",
                     describe_wait_status(record->last_status, how, sizeof how),
                     record->last_state == WORKER_INITIALIZING && node_pool->board->spec.has_initializer
                         ? " in its initializer"
                         : "");
}

/* Whether the pool has failed is looked at last: that is said before a worker is gone. */

int node_pool_check(struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;
    bool are_ready = true;
    uint32_t failed;

    for (uint32_t i = 0; i < board->worker_count; i++)
        are_ready &= atomic_load(&board->worker[i].state) > WORKER_INITIALIZING;
    DELAY_POINT();
    if ((failed = atomic_load(&board->failed)))
        return tell_failure(node_pool, failed - 1);
    return are_ready ? MPM_OK : 1;
}

bool node_pool_has_failed(const struct node_pool *node_pool)
{
    return atomic_load(&node_pool->board->failed);
}

bool node_pool_has_no_workers(struct node_pool *node_pool)
{
    struct board *board = node_pool->board;

    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].state) != WORKER_GONE)
            return false;
    }
    DELAY_POINT();
    return !atomic_load(&board->closing) && !atomic_load(&board->failed);
}

void node_pool_begin_close(struct node_pool *node_pool)
{
    struct board *board = node_pool->board;

    atomic_store(&board->closing, 1); /* before the look at states: see worker_lacks(), reaper.c */
    eventcount_notify(&board->work);
    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].state) == WORKER_LACKING)
            process_reconsider(node_pool->arena, board->worker[i].process - 1);
    }
}

/* Something that is published there may be claimed. What it reads of a lease that has just been freed does no harm. */
static bool has_work(const struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;

    for (unsigned i = 0; i < BOARD_ENTRIES; i++) {
        uint64_t offset = atomic_load(&board->entry[i]);
        const struct lease_block *lease = arena_at(node_pool->arena, offset);

        if (offset && atomic_load(&lease->next) < lease->count)
            return true;
    }
    return atomic_load(&board->calls) != 0;
}

bool node_pool_has_idle(const struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;

    for (uint32_t i = 0; i < board->worker_count; i++) {
        const struct worker_record *record = &board->worker[i];

        if (atomic_load(&record->state) == WORKER_READY && !atomic_load(&record->lease) &&
            atomic_load(&record->item) == NO_ITEM)
            return !has_work(node_pool);
    }
    return false;
}

int node_pool_say_no_workers(const struct node_pool *node_pool)
{
    int lack = atomic_load(&node_pool->board->lack);
    char why[160];

    if (!lack)
        return error_set(MPM_EFORKSERVER, "their fork server processes have died");
    return error_set(MPM_EFORKSERVER, "none of them could be forked for %u s: %s",
                     (unsigned)node_pool->board->spec.worker_timeout_s,
                     describe_fork_errno(lack, why, sizeof why));
}

struct bad_ends node_pool_bad_ends(const struct node_pool *node_pool)
{
    struct bad_ends ends = {0};

    for (uint32_t i = 0; i < node_pool->board->worker_count; i++) {
        uint32_t end = atomic_load(&node_pool->board->worker[i].bad_end);

        ends.late += end == BAD_END_LATE;
        ends.crashed += end == BAD_END_CRASHED;
    }
    return ends;
}

bool node_pool_is_closed(struct node_pool *node_pool)
{
    for (uint32_t i = 0; i < node_pool->board->worker_count; i++) {
        const struct process_record *process = process_of(node_pool, i);

        if (process && process_state_of(atomic_load(&process->word)) != PROCESS_ENDED)
            return false;
    }
    return true;
}

void node_pool_free(struct node_pool *node_pool)
{
    if (!node_pool)
        return;
    for (uint32_t i = 0; i < node_pool->board->worker_count; i++) {
        struct process_record *process = process_of(node_pool, i);

        if (process)
            process_close(context_arena(), process, process_generation_of(atomic_load(&process->word)));
    }
    node_pool_forget_kept(node_pool);
    pool_registry_leave(node_pool->offset);
    pthread_mutex_destroy(&node_pool->kill_mutex);
    pthread_mutex_destroy(&node_pool->watch_mutex);
    free(node_pool->counts);
    free(node_pool->watched);
    free(node_pool);
}

/* The time of a lease that it is in, too. */
static uint64_t busy_ns(const struct worker_record *record, uint64_t now_ns)
{
    uint64_t since_ns = atomic_load(&record->busy_since_ns), busy = atomic_load(&record->busy_ns);

    return since_ns && since_ns < now_ns ? busy + now_ns - since_ns : busy;
}

struct worker_time node_pool_time(const struct node_pool *node_pool)
{
    const struct board *board = node_pool->board;
    uint64_t now_ns = clock_now_ns();
    struct worker_time time = {.all_ns = board->worker_count * now_ns};

    for (uint32_t i = 0; i < board->worker_count; i++)
        time.busy_ns += busy_ns(&board->worker[i], now_ns);
    return time;
}

struct node_stats *node_pool_stats(const struct node_pool *node_pool, size_t *size)
{
    const struct board *board = node_pool->board;
    uint64_t now_ns = clock_now_ns();
    struct node_stats *stats;

    *size = sizeof *stats + board->worker_count * sizeof *stats->worker;
    if (!(stats = calloc(1, *size)))
        return NULL;
    stats->workers = board->worker_count;
    stats->failed = atomic_load(&node_pool->failed);
    stats->retried = atomic_load(&node_pool->retried);
    for (uint32_t i = 0; i < board->worker_count; i++)
        stats->worker[i] = (struct worker_stats){.done = atomic_load(&node_pool->counts[i].done),
                                                 .failed = atomic_load(&node_pool->counts[i].failed),
                                                 .busy_ns = busy_ns(&board->worker[i], now_ns)};
    for (unsigned i = 0; i < BOARD_MAILBOXES; i++) {
        stats->call_bytes_sent += atomic_load(&board->mailbox[i].bytes_sent);
        stats->call_bytes_received += atomic_load(&board->mailbox[i].bytes_received);
    }
    return stats;
}

/* Killing. */

/* The generation of a worker that has begun an item, when, and which. */
struct item_run {
    uint32_t generation;
    uint64_t entered, item;
};

/* Dooms that generation of the worker, if it still is in that run of an item and is not doomed yet. */
static bool kill_order(struct node_pool *node_pool, struct worker_record *record, const struct item_run *run,
                       enum item_limit limit)
{
    uint64_t doomed = (uint64_t)run->generation + 1;
    bool is_doomed = false;

    pthread_mutex_lock(&node_pool->kill_mutex);
    if (atomic_load(&record->entered) == run->entered && atomic_load(&record->item) == run->item &&
        atomic_load(&record->kill_order.generation) != doomed) {
        KILL_POINT();
        record->kill_order.entered = run->entered;
        KILL_POINT();
        record->kill_order.limit = limit;
        record->kill_order.item = limit == LIMIT_NONE ? NO_ITEM : run->item;
        KILL_POINT();
        atomic_store(&record->kill_order.generation, doomed);
        is_doomed = true;
    }
    pthread_mutex_unlock(&node_pool->kill_mutex);
    return is_doomed;
}

void node_pool_kill_worker(struct node_pool *node_pool, uint32_t worker, uint64_t entered, uint64_t item,
                           enum item_limit limit)
{
    struct worker_record *record = &node_pool->board->worker[worker];
    const struct process_record *process = process_of(node_pool, worker);
    uint32_t generation = process_generation_of(atomic_load(&process->word));

    if (!kill_order(node_pool, record, &(struct item_run){generation, entered, item}, limit))
        return;
    KILL_POINT();
    process_signal(node_pool->arena, record->process - 1, generation, SIGKILL);
}

void node_pool_kill_all(struct node_pool *node_pool)
{
    for (uint32_t i = 0; i < node_pool->board->worker_count; i++) {
        const struct worker_record *record = &node_pool->board->worker[i];
        const struct process_record *process = process_of(node_pool, i);

        if (process && atomic_load(&record->state) != WORKER_GONE)
            process_signal(node_pool->arena, record->process - 1,
                           process_generation_of(atomic_load(&process->word)), SIGKILL);
    }
}

/* Whether the worker has more memory of its own than it may, beside what it had as it was ready. */
static bool is_too_large(const struct node_pool *node_pool, uint32_t worker)
{
    uint64_t limit = node_pool->board->spec.item_memory_bytes, pages;
    const struct process_record *process = process_of(node_pool, worker);

    if (!limit || !memory_own_pages((pid_t)(uint32_t)atomic_load(&process->pid), &pages))
        return false;
    return pages > node_pool->board->worker[worker].memory_at_start + limit / memory_page_size();
}

/* Has it killed if it still is in the initializer or finalizer of that generation. */
static void kill_in_setup(struct node_pool *node_pool, uint32_t worker, uint32_t state, uint32_t generation)
{
    struct worker_record *record = &node_pool->board->worker[worker];
    const struct process_record *process = process_of(node_pool, worker);
    bool is_doomed = false;

    pthread_mutex_lock(&node_pool->kill_mutex);
    if (atomic_load(&record->state) == state &&
        process_generation_of(atomic_load(&process->word)) == generation &&
        atomic_load(&record->kill_order.generation) != (uint64_t)generation + 1) {
        KILL_POINT();
        record->kill_order.item = KILL_ORDER_IN_SETUP;
        KILL_POINT();
        atomic_store(&record->kill_order.generation, (uint64_t)generation + 1);
        is_doomed = true;
    }
    pthread_mutex_unlock(&node_pool->kill_mutex);
    KILL_POINT();
    if (is_doomed)
        process_signal(node_pool->arena, record->process - 1, generation, SIGKILL);
}

/* Whether what was seen of a worker is the same as before, and has been for that long: it began before it was seen
 * first, so it is never too early. */
static bool is_too_long(struct watched *watched, uint64_t entered, uint64_t item, uint64_t now_ns,
                        uint64_t limit_ns)
{
    if (watched->item == item && watched->entered == entered && watched->since_ns)
        return now_ns - watched->since_ns >= limit_ns;
    *watched = (struct watched){.entered = entered, .item = item, .since_ns = now_ns};
    return false;
}

static uint64_t item_limit_ns(const struct pool_spec *spec)
{
    return spec->item_timeout_s > 0 ? (uint64_t)(spec->item_timeout_s * 1e9) : CLOCK_FOREVER;
}

static uint64_t setup_limit_ns(const struct pool_spec *spec)
{
    return spec->setup_timeout_s > 0 ? (uint64_t)(spec->setup_timeout_s * 1e9) : CLOCK_FOREVER;
}

/* By watch_clock.h. */
static void watch_worker(struct node_pool *node_pool, uint32_t worker, uint64_t now_ns)
{
    const struct pool_spec *spec = &node_pool->board->spec;
    struct worker_record *record = &node_pool->board->worker[worker];
    struct watched *watched = &node_pool->watched[worker];
    uint64_t entered = atomic_load(&record->entered), item = atomic_load(&record->item);
    uint32_t state = atomic_load(&record->state), generation;

    if ((state == WORKER_INITIALIZING && spec->has_initializer) ||
        (state == WORKER_RETIRING && spec->has_finalizer)) {
        generation = process_generation_of(atomic_load(&process_of(node_pool, worker)->word));
        if (is_too_long(watched, generation, KILL_ORDER_IN_SETUP - state, now_ns, setup_limit_ns(spec)))
            kill_in_setup(node_pool, worker, state, generation);
    } else if (item == NO_ITEM) {
        watched->since_ns = 0;
    } else if (is_too_long(watched, entered, item, now_ns, item_limit_ns(spec))) {
        node_pool_kill_worker(node_pool, worker, entered, item, LIMIT_TIME);
    } else if (is_too_large(node_pool, worker)) {
        node_pool_kill_worker(node_pool, worker, entered, item, LIMIT_MEMORY);
    }
}

uint64_t node_pool_watch(struct node_pool *node_pool)
{
    const struct pool_spec *spec = &node_pool->board->spec;
    uint64_t now_ns, next_ns, limit_ns, pause_ns, counted_ns;

    if (!node_pool->watched)
        return CLOCK_FOREVER;
    limit_ns = item_limit_ns(spec);
    if (setup_limit_ns(spec) < limit_ns)
        limit_ns = setup_limit_ns(spec);
    pause_ns = limit_ns / WATCH_PART;
    pause_ns = pause_ns < WATCH_MIN_NS ? WATCH_MIN_NS : pause_ns > WATCH_MAX_NS ? WATCH_MAX_NS : pause_ns;
    if (spec->item_memory_bytes && pause_ns > WATCH_MEMORY_NS)
        pause_ns = WATCH_MEMORY_NS;
    pthread_mutex_lock(&node_pool->watch_mutex);
    now_ns = clock_now_ns();
    if (now_ns >= node_pool->next_watch_ns) {
        counted_ns = watch_clock_look(&node_pool->watch_clock, now_ns, pause_ns);
        for (uint32_t i = 0; i < node_pool->board->worker_count; i++)
            watch_worker(node_pool, i, counted_ns);
        node_pool->next_watch_ns = now_ns + pause_ns;
    }
    next_ns = node_pool->next_watch_ns;
    pthread_mutex_unlock(&node_pool->watch_mutex);
    return next_ns;
}

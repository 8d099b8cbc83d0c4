/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's thread token: start, enter leases and leave them, end. board.h says what it writes, in which order, and
 * what its death at each step means. */
#include "pool/worker/worker.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_role.h"
#include "node/context.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

#define LOOK_NS       20000u   /* how long an idle worker looks on before it sleeps; */
#define MOST_LOOK_NS  200000u  /* and at most, where that would have been worth it; */
#define YIELD_NS      2000u    /* and after how long it lets others run */
#define LONG_YIELD_NS 1000000u /* if that takes so long it does not look on for */
#define SLEEPS        64u      /* so many waits */

struct worker_self worker_self;

/* Leases. */

/* Finds the task of a job that is new to this worker, unless it is that of the last one. */
static void take_up_job(void)
{
    const struct job_spec *spec = &worker_self.job->spec;

    if (worker_self.job_id == spec->id)
        return;
    worker_self.job_id = spec->id;
    worker_self.pace = (struct chunk_pace){0};
    worker_self.job_status = MPM_OK;
    if (worker_self.task_id == spec->task_id)
        return;
    worker_self.job_status = function_find(&spec->task, &worker_self.task);
    worker_self.task_id = worker_self.job_status ? 0 : spec->task_id;
    if (worker_self.job_status) {
        mpm_fail(&worker_self.call, "%s", mpm_error());
        worker_refuses_job(worker_self.job_status);
    }
}

/* Two looks at the clock a lease: what it costs is nothing beside its items. */
static void run_timed(uint32_t chunk)
{
    struct worker_record *record = worker_self.record;
    uint64_t begun_ns = clock_now_ns();

    atomic_store_explicit(&record->busy_since_ns, begun_ns, memory_order_relaxed);
    KILL_POINT();
    worker_run_items(chunk);
    atomic_store_explicit(&record->busy_ns,
                          atomic_load_explicit(&record->busy_ns, memory_order_relaxed) + clock_now_ns() -
                              begun_ns,
                          memory_order_relaxed);
    KILL_POINT();
    /* Pairs with the load of node_pool_stats(): `busy_ns` is seen with it. */
    atomic_store_explicit(&record->busy_since_ns, 0, memory_order_release);
}

static void run_lease(void)
{
    struct lease_block *lease = worker_self.lease;
    uint32_t chunk;

    worker_self.job = arena_at(worker_self.arena, lease->job);
    worker_self.done = lease_bits(worker_self.arena, lease, lease->done, worker_self.number);
    worker_self.failed = lease_bits(worker_self.arena, lease, lease->failed, worker_self.number);
    take_up_job();
    if (worker_self.job_status)
        return;
    worker_self.call.item_size = worker_self.job->spec.task_item_size;
    worker_self.call.result_size = worker_self.job->spec.result_size;
    worker_self.call.context = worker_self.job->spec.context_size ? worker_self.job->context : NULL;
    chunk = lease->chunk ? lease->chunk : worker_self.job->spec.chunk;
    run_timed(chunk);
}

/* Whether another worker is in the lease: who leaves it later rings. */
static bool has_others(const struct board *board, uint64_t lease)
{
    for (uint32_t i = 0; i < board->worker_count; i++) {
        /* Sequentially consistent, as the stores: of those who leave at the same time the last one sees nobody. */
        if (i != worker_self.number && atomic_load(&board->worker[i].lease) == lease)
            return true;
    }
    return false;
}

/* It has left the lease. Its node pool may wait for that to become quiet. Who was woken may have to run on this very
 * CPU, and is not to wait until this worker, which looks on, has found that there is nothing more to do. */
static void ring_after(const _Atomic uint64_t *entry, uint64_t lease, bool served, bool rings_last)
{
    struct board *board = worker_self.board;

    if (atomic_load(entry) == lease && (rings_last ? has_others(board, lease) : !served))
        return;
    if (eventcount_notify(arena_at(worker_self.arena, board->doorbell)))
        sched_yield();
}

/* Enters the lease of an entry, if it still is the one with that serial and there is anything to claim, and stays
 * until there is not. */
static bool serve_entry(_Atomic uint64_t *entry, uint64_t serial)
{
    uint64_t offset = atomic_load(entry);
    struct lease_block *lease;
    bool served = false, rings_last = false;

    if (!offset)
        return false;
    atomic_store_explicit(&worker_self.record->entered,
                          atomic_load_explicit(&worker_self.record->entered, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    KILL_POINT();
    /* Both sequentially consistent, as the other side of it: node_lease_withdraw() empties the entry, and
     * node_lease_is_quiet() looks at the names. Else a lease that is being entered would be freed. */
    atomic_store(&worker_self.record->lease, offset);
    KILL_POINT();
    if (atomic_load(entry) == offset) {
        worker_self.lease = lease = arena_at(worker_self.arena, offset);
        rings_last = lease->rings_last;
        if ((served = !worker_is_held() && worker_self.tasks_left && atomic_load(&lease->serial) == serial &&
                      atomic_load(&lease->next) < lease->count))
            run_lease();
    }
    KILL_POINT();
    atomic_store_explicit(&worker_self.record->item, NO_ITEM, memory_order_relaxed);
    atomic_store_explicit(&worker_self.record->made_ready, 0, memory_order_relaxed);
    KILL_POINT();
    atomic_store(&worker_self.record->lease, 0);
    KILL_POINT();
    ring_after(entry, offset, served, rings_last);
    return served;
}

/* The entry of the lease with the lowest serial above `serial`, which is `lowest` then; NULL and UINT64_MAX if there is
 * none. What it reads of a lease that has just been freed is some number, and does no harm. */
static _Atomic uint64_t *lowest_entry(uint64_t serial, uint64_t *lowest)
{
    _Atomic uint64_t *found = NULL;
    /* Pairs with the stores of node_lease.c: it is raised before an entry is made, and that before `work` is rung. */
    uint32_t end = atomic_load_explicit(&worker_self.board->entry_end, memory_order_acquire);

    *lowest = UINT64_MAX;
    for (unsigned i = 0; i < end; i++) {
        /* Pairs with the store by which node_lease.c makes the entry. */
        uint64_t offset = atomic_load_explicit(&worker_self.board->entry[i], memory_order_acquire), number;
        const struct lease_block *lease;

        if (!offset)
            continue;
        lease = arena_at(worker_self.arena, offset);
        number = atomic_load_explicit(&lease->serial, memory_order_relaxed);
        if (number > serial && number < *lowest) {
            *lowest = number;
            found = &worker_self.board->entry[i];
        }
    }
    return found;
}

/* While it looks, two may be published, the older one where it has looked before: a second look finds that. */
static _Atomic uint64_t *next_entry(uint64_t *serial)
{
    uint64_t lowest = UINT64_MAX, before;
    _Atomic uint64_t *entry;

    do {
        before = lowest;
        entry = lowest_entry(*serial, &lowest);
    } while (lowest != before);
    *serial = lowest;
    return entry;
}

/* Oldest first: what came first is to be done first, and the newest can still be taken back. Single calls go before
 * leases. */
static bool serve_board(void)
{
    _Atomic uint64_t *entry;
    uint64_t serial = 0;
    bool served = false;

    while (!worker_is_called() && (entry = next_entry(&serial)))
        served |= serve_entry(entry, serial);
    return served;
}

/* Start and end. */

/* Finds a function that the pool was opened with, and says where it is not to be had. */
static int find_function(const struct function *function, function_pointer **pointer)
{
    int status = function_find(function, pointer);

    if (status)
        mpm_fail(&worker_self.call, "%s", mpm_error());
    return status;
}

static int initialize(void)
{
    const struct board *board = worker_self.board;
    function_pointer *initializer;
    int code;

    if (!board->spec.has_initializer)
        return 0;
    if ((code = find_function(&board->spec.initializer, &initializer)))
        return code;
    code = ((mpm_initializer *)initializer)(
        &worker_self.call, board->argument ? arena_at(worker_self.arena, board->argument) : NULL,
        board->spec.argument_size, &worker_self.call.state);
    context_back_from_program(code);
    return code;
}

/* The pool cannot have this worker: it has failed. */
static void start_has_failed(int code)
{
    struct note *note = &worker_self.record->start_note;
    uint32_t none = 0;

    note->code = code;
    worker_write_text(&note->said, NULL);
    KILL_POINT();
    /* Pairs with the loads of node_pool.c. */
    atomic_store_explicit(&note->ready, 1, memory_order_release);
    KILL_POINT();
    atomic_compare_exchange_strong(&worker_self.board->failed, &none, worker_self.number + 1);
    KILL_POINT();
}

static void finalize(void)
{
    function_pointer *finalizer;

    atomic_store(&worker_self.record->state, WORKER_RETIRING);
    KILL_POINT();
    if (!worker_self.board->spec.has_finalizer)
        return;
    if (find_function(&worker_self.board->spec.finalizer, &finalizer))
        log_write(MPM_LOG_ERROR, "a worker ends without its finalizer: %s", worker_self.call.text);
    else
        ((mpm_finalizer *)finalizer)(worker_self.call.state);
    context_back_from_program(EXIT_SUCCESS);
}

/* Waiting for work. */

static void note_cpu(uint32_t cpu)
{
    if (cpu != atomic_load_explicit(&worker_self.record->cpu, memory_order_relaxed))
        atomic_store_explicit(&worker_self.record->cpu, cpu, memory_order_relaxed);
}

static bool may_look_on(void)
{
    note_cpu((uint32_t)sched_getcpu());
    return worker_self.number >= atomic_load_explicit(&worker_self.board->first_looker, memory_order_relaxed);
}

/* Whoever publishes waits for this very CPU, as far as it has said. */
static bool is_beside_driver(void)
{
    return atomic_load_explicit(&worker_self.board->driver_cpu, memory_order_relaxed) ==
           atomic_load_explicit(&worker_self.record->cpu, memory_order_relaxed);
}

/* If that takes so long that a stranger must have had the CPU for all of its time, it is better to sleep for some
 * waits: whoever is woken may be let to run before that one's time is over. */
static void let_others_run(void)
{
    uint64_t begun_ns = clock_now_ns();

    sched_yield();
    if (clock_now_ns() - begun_ns > LONG_YIELD_NS)
        worker_self.sleeps = SLEEPS;
}

/* For a while, and lets others run meanwhile: the driver may be waiting for this very CPU. Whether there is news. */
static bool look_on(struct board *board, uint32_t seen)
{
    uint64_t until_ns = clock_now_ns() + worker_self.look_ns;

    if (!is_beside_driver() && eventcount_spin(&board->work, seen, 0))
        return true;
    while (may_look_on() && !worker_self.sleeps) {
        let_others_run();
        if (eventcount_spin(&board->work, seen, YIELD_NS))
            return true;
        if (clock_now_ns() >= until_ns)
            return false;
    }
    return false;
}

/* What it waited for, it could have seen by looking on for longer, and had not had to be woken: it does so the next
 * time. So workers that have slept in step after step do not sleep ever after, because each wake-up takes as long as
 * the others look on. */
static void learn_look(uint64_t waited_ns)
{
    worker_self.look_ns = waited_ns > MOST_LOOK_NS / 2 ? LOOK_NS
                          : 2 * waited_ns > LOOK_NS    ? 2 * waited_ns
                                                       : LOOK_NS;
}

static void wait_for_work(struct board *board, uint32_t seen)
{
    uint64_t begun_ns;

    if (worker_self.sleeps)
        worker_self.sleeps--;
    else if (may_look_on() && look_on(board, seen))
        return;
    note_cpu(NO_CPU);
    begun_ns = clock_now_ns();
    eventcount_wait(&board->work, seen, 0, CLOCK_FOREVER);
    learn_look(worker_self.look_ns + clock_now_ns() - begun_ns);
}

static void serve_until_the_end(void)
{
    struct board *board = worker_self.board;

    while (!atomic_load(&board->closing) && worker_self.tasks_left) {
        uint32_t seen = eventcount_prepare(&board->work);

        if (worker_is_held())
            worker_stand_back(seen);
        else if (!worker_serve_calls() && !serve_board() && !atomic_load(&board->closing) &&
                 worker_self.tasks_left)
            wait_for_work(board, seen);
    }
}

/* What the worker has before its first item is on nobody's account. */
static void note_memory(void)
{
    uint64_t pages = 0;

    if (worker_self.board->spec.item_memory_bytes)
        memory_own_pages(getpid(), &pages);
    worker_self.record->memory_at_start = (uint32_t)pages;
}

int worker_main(struct process_record *process)
{
    struct board *board;
    int code;

    thread_become(THREAD_WORKER);
    worker_self.arena = context_arena();
    worker_self.board = board = arena_at(worker_self.arena, process->argument);
    worker_self.number = process->argument_index;
    worker_self.record = &board->worker[worker_self.number];
    worker_self.tasks_left = board->spec.max_tasks_per_worker;
    worker_self.look_ns = LOOK_NS;
    atomic_store(&worker_self.record->item, NO_ITEM);
    atomic_store(&worker_self.record->start_note.ready, 0);
    note_cpu(NO_CPU);
    atomic_store(&worker_self.record->state, WORKER_INITIALIZING);
    if ((code = initialize())) {
        start_has_failed(code);
        return EXIT_FAILURE;
    }
    worker_forget_text();
    KILL_POINT();
    worker_self.record->early_deaths = 0;
    worker_self.record->was_ready = 1;
    note_memory();
    atomic_store(&worker_self.record->lacking_ns, 0);
    KILL_POINT();
    atomic_store(&worker_self.record->state, WORKER_READY);
    KILL_POINT();
    eventcount_notify(arena_at(worker_self.arena, board->doorbell));
    serve_until_the_end();
    finalize();
    return EXIT_SUCCESS;
}

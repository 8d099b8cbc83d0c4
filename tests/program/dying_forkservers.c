/* SPDX-License-Identifier: BSD-3-Clause */
/* Single calls and maps in which a worker dies, and its fork server at one point after the other of its work on that
 * death, while other fork servers go on: for dying_forkservers.sh.
 *
 *   dying_forkservers crash|hang|map POINT    the first of its fork servers that dies does so at POINT, the next at the
 * one after it
 *
 * A call crashes or hangs the first time; of a map one item crashes the first time, and all fail in the end.
 * All fork servers but one may die. Prints how many have, or what is wrong. Its library has kill points. */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "support/shared_file.h"

#define LARGE       5000u /* a call that has a block of the arena */
#define ITEMS       60u
#define CRASHING    20u     /* item */
#define ITEM_NS     200000u /* what an item takes */
#define PATIENCE_NS UINT64_C(20000000000)

unsigned long kill_point_count, kill_point_target = 1;

static struct {
    _Atomic unsigned search; /* how many there were: a fork server counts its points anew in each */
    unsigned long target;
    _Atomic unsigned is_armed;    /* one fork server dies in each */
    _Atomic unsigned deaths;      /* of fork servers */
    _Atomic unsigned initialized; /* workers */
    _Atomic unsigned runs;        /* of the call's task */
    bool hangs, maps;
} * shared;

__attribute__((visibility("default"))) void kill_point_reached(void)
{
    static unsigned search;
    static unsigned long passed;

    kill_point_target = kill_point_count + 1;
    if (!forkserver_is_self() || !atomic_load(&shared->search))
        return;
    if (search != atomic_load(&shared->search))
        passed = 0;
    search = atomic_load(&shared->search);
    if (++passed != shared->target || !atomic_exchange(&shared->is_armed, 0))
        return;
    atomic_fetch_add(&shared->deaths, 1);
    kill(getpid(), SIGKILL);
}

/* Costs its worker the first time. */
static int die_once(mpm_call *call, const void *item, void *result)
{
    if (!atomic_fetch_add(&shared->runs, 1)) {
        if (shared->hangs)
            for (;;)
                pause();
        raise(SIGSEGV);
    }
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}

static bool is_called(mpm_pool *pool, size_t size)
{
    char item[LARGE], result[LARGE] = {0};

    memset(item, 7, sizeof item);
    if (mpm_pool_apply(pool, die_once, item, size, size, result)) {
        mpm_report_error();
        return false;
    }
    return !memcmp(item, result, size);
}

/* All fail, so that it is told how often each was tried. */
static int die_once_and_fail(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    if (mpm_call_index(call) == CRASHING && !atomic_fetch_add(&shared->runs, 1))
        raise(SIGSEGV);
    for (uint64_t until_ns = clock_now_ns() + ITEM_NS; clock_now_ns() < until_ns;)
        ;
    return 1;
}

/* Whoever dies with its fork server is not to blame. */
static bool is_mapped(mpm_pool *pool)
{
    size_t failure_count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {.chunk = 1, .failures = &failures, .failure_count = &failure_count};
    bool is_right = mpm_pool_map(pool, die_once_and_fail, NULL, ITEMS, 0, 0, &options, NULL) == MPM_ETASK &&
                    failure_count == ITEMS;

    for (size_t i = 0; is_right && i < ITEMS; i++) {
        is_right = failures[i].cause == MPM_CAUSE_TASK && failures[i].attempts == (i == CRASHING ? 2 : 1);
        if (!is_right)
            fprintf(stderr, "item %zu has had %u attempts: %s\n", i, failures[i].attempts, failures[i].text);
    }
    free(failures);
    return is_right;
}

static int count_workers(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    atomic_fetch_add(&shared->initialized, 1);
    return 0;
}

/* The dead fork servers are known, and their workers are over. */
static bool is_over(void)
{
    struct process_record *process;
    unsigned lost = 0;

    for (unsigned rank = 0; rank < mpm_rank_count(); rank++)
        lost += forkserver_is_lost(context_arena(), rank);
    for (uint32_t number = 0; (process = process_find(context_arena(), number)); number++) {
        enum process_state state = process_state_of(atomic_load(&process->word));

        if ((state == PROCESS_WANTED || state == PROCESS_RUNNING) &&
            forkserver_is_lost(context_arena(), process->forkserver))
            return false;
    }
    return lost == atomic_load(&shared->deaths);
}

/* The fork server has forked another worker, or has died with all that it had: else a worker without a fork server
 * could be the one that dies in the next search. */
static bool is_settled(unsigned workers, unsigned deaths)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while ((atomic_load(&shared->initialized) == workers && atomic_load(&shared->deaths) == deaths) ||
           !is_over()) {
        if (clock_now_ns() > end_ns)
            return false;
        sched_yield();
    }
    return true;
}

static bool search_point(mpm_pool *pool, unsigned long point)
{
    unsigned workers = atomic_load(&shared->initialized), deaths = atomic_load(&shared->deaths);
    bool is_right;

    shared->target = point;
    atomic_store(&shared->runs, 0);
    atomic_store(&shared->is_armed, 1);
    atomic_fetch_add(&shared->search, 1);
    if (shared->maps)
        is_right = is_mapped(pool);
    else
        is_right = is_called(pool, point % 2 ? sizeof(int) : LARGE) && is_called(pool, sizeof(int));
    is_right = is_right && is_settled(workers, deaths);
    if (!is_right)
        printf("wrong: a fork server was to die at point %lu\n", point);
    return is_right;
}

static size_t blocks_in_use(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used_blocks;
}

static bool search_from(unsigned long point)
{
    mpm_pool_options options = {.workers = 2 * mpm_rank_count(),
                                .item_timeout_s = shared->hangs ? 0.05 : 0,
                                .setup_timeout_s = MPM_FOREVER,
                                .initializer = count_workers};
    mpm_pool *pool = NULL;
    bool is_right = true;

    if (mpm_pool_open(&options, &pool)) {
        mpm_report_error();
        return false;
    }
    for (unsigned i = 1; is_right && i < mpm_rank_count(); i++)
        is_right = search_point(pool, point++);
    atomic_store(&shared->search, 0);
    mpm_pool_close(pool);
    return is_right;
}

/* Has the run make what it keeps. */
static void warm_up(void)
{
    mpm_pool *pool = NULL;

    if (mpm_pool_open(NULL, &pool))
        mpm_report_error();
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    size_t blocks;
    bool is_right;
    int status;

    shared = shared_file("dying_forkservers", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (argc != 3) {
        fputs("usage: dying_forkservers crash|hang|map POINT\n", stderr);
        return EXIT_FAILURE;
    }
    shared->hangs = !strcmp(argv[1], "hang");
    shared->maps = !strcmp(argv[1], "map");
    warm_up();
    blocks = blocks_in_use();
    is_right = search_from(strtoul(argv[2], NULL, 10));
    if (arena_check(context_arena()) || blocks_in_use() > blocks) {
        printf("wrong: %zu blocks are in use, and were %zu\n", blocks_in_use(), blocks);
        is_right = false;
    }
    printf("%u\n", atomic_load(&shared->deaths));
    status = mpm_finalize();
    return is_right && (status == MPM_OK || status == MPM_EFORKSERVER) ? EXIT_SUCCESS : EXIT_FAILURE;
}

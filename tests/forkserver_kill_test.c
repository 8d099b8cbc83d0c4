/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true when a fork server is killed at any point of its work: while it forks, reaps, tells of deaths, settles
 * calls, and forks anew; and when it is held up there. A run of its own for each point, without a launcher: its only
 * fork server dies there, so what was wanted of it has ended by SIGKILL, or as it would have; nothing hangs, no result
 * is wrong, and the arena gets back all but what the fork server was just freeing. A process dies with a pool of its
 * own, too: what becomes of that is fork servers' work. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "shm/kill_point.h"
#include "support/child.h"
#include "support/gate.h"
#include "support/node.h"
#include "support/suite.h"

#define PATIENCE_S  100
#define ITEMS       12u
#define LARGE_CALL  5000u
#define MOST_POINTS 5000ul
#define QUIET       20ul /* so many targets in a row that no fork server has reached: there are no more */

/* The fork server counts on where its rank was when it was forked. */
unsigned long kill_point_count, kill_point_target;

static pid_t rank_pid;

/* Shared by all processes of all runs. */
static struct shared {
    _Atomic unsigned reached, crashes;
    _Atomic int hanging; /* items */
    size_t blocks;       /* in use at the end of a run whose fork server was not killed */
    /* Of a fork server that is held up. */
    unsigned held_at; /* at which of the points that it passes */
    _Atomic unsigned is_counted, keeps_cell, passed, begun, initialized;
} * shared;

static void hold_up(bool is_forkserver);

/* Only the rank's child is a fork server. */
__attribute__((visibility("default"))) void kill_point_reached(void)
{
    bool is_forkserver = getpid() != rank_pid && getppid() == rank_pid;

    if (shared->held_at) {
        hold_up(is_forkserver);
        return;
    }
    if (!is_forkserver)
        return;
    atomic_store(&shared->reached, 1);
    kill(getpid(), SIGKILL);
}

#define EXPECT(condition) expect(condition, #condition, __LINE__)

static bool is_right;

static void expect(bool is_so, const char *condition, int line)
{
    if (is_so)
        return;
    is_right = false;
    fprintf(stderr, "killed at point %lu, line %d: not so: %s (%s)\n", kill_point_target, line, condition,
            mpm_error());
}

/* Every fifth item costs a worker, once in a while: it is within its attempts. */
static int crash_at_times(mpm_call *call, const void *item, void *result)
{
    uint64_t squared = mpm_call_index(call) * mpm_call_index(call) + 1;

    (void)item;
    if (mpm_call_index(call) % 5 == 3 && atomic_fetch_add(&shared->crashes, 1) % 2 == 0)
        raise(SIGKILL);
    memcpy(result, &squared, sizeof squared);
    return 0;
}

/* What workers die of on their own may count as attempts; ITEMS of them are never used up. */
static void use_a_pool(void)
{
    mpm_pool_options options = {.workers = 2, .max_attempts = ITEMS, .max_tasks_per_worker = 5};
    uint64_t results[ITEMS] = {0}, result;
    mpm_pool *pool;
    int status;

    if ((status = mpm_pool_open(&options, &pool))) {
        EXPECT(status == MPM_EWORKER);
        return;
    }
    status = mpm_pool_map(pool, crash_at_times, NULL, ITEMS, 0, sizeof *results, NULL, results);
    EXPECT(status == MPM_OK || status == MPM_EWORKER);
    for (uint64_t i = 0; i < ITEMS; i++)
        EXPECT(results[i] == i * i + 1 || status);
    status = mpm_pool_apply(pool, crash_at_times, NULL, 0, sizeof result, &result);
    EXPECT(status == MPM_EWORKER || (status == MPM_OK && result == 1));
    mpm_pool_close(pool);
}

/* The first run of a call ends as `way` says. */
static int crash_the_first_time(mpm_call *call, const void *item, void *result)
{
    if (atomic_fetch_add(&shared->crashes, 1) == 0) {
        if (*(const int *)item == SIGALRM)
            for (;;)
                pause();
        raise(*(const int *)item);
    }
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}

/* Of any length: larger ones have a block of the arena. */
static void call_and_crash(mpm_pool *pool, int way, size_t size)
{
    char item[LARGE_CALL] = {0}, result[LARGE_CALL] = {0};
    int status;

    memcpy(item, &way, sizeof way);
    atomic_store(&shared->crashes, 0);
    status = mpm_pool_apply(pool, crash_the_first_time, item, size, size, result);
    EXPECT(status == MPM_EWORKER || (status == MPM_OK && !memcmp(item, result, size)));
}

static int crash(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    raise(SIGSEGV);
    return 0;
}

/* The limit is short, since it is waited for hundreds of times: on a busy machine a run that does nothing wrong may
 * pass it, and is tried again. */
static void use_limited_calls(void)
{
    mpm_pool_options options = {
        .workers = 2, .item_timeout_s = 0.02, .setup_timeout_s = MPM_FOREVER, .max_attempts = 50};
    mpm_pool *pool;
    int status;

    if ((status = mpm_pool_open(&options, &pool))) {
        EXPECT(status == MPM_EWORKER);
        return;
    }
    call_and_crash(pool, SIGALRM, sizeof(int));
    mpm_pool_close(pool);
}

static void use_calls(void)
{
    mpm_pool *pool;
    int status;

    if ((status = mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))) {
        EXPECT(status == MPM_EWORKER);
        return;
    }
    call_and_crash(pool, SIGKILL, sizeof(int));
    call_and_crash(pool, SIGSEGV, LARGE_CALL);
    status = mpm_pool_apply(pool, crash, NULL, 0, 0, NULL);
    EXPECT(status == MPM_EWORKER || (status == MPM_ETASK && strstr(mpm_error(), "SIGSEGV (2 attempts)")));
    mpm_pool_close(pool);
}

static int sleep_on(const void *args, size_t size)
{
    (void)args;
    (void)size;
    for (;;)
        pause();
    return 0;
}

/* Its daemon ends with it. */
static int be_a_parent(const void *args, size_t size)
{
    mpm_process *daemon = *(mpm_process *const *)args;
    mpm_process_options options = {.daemon = 1};

    (void)size;
    return mpm_process_start(sleep_on, NULL, 0, &options, daemon) ? 1 : 7;
}

static void expect_end(mpm_process process, int exitcode)
{
    int ended = -1000;

    EXPECT(!mpm_process_join(process, PATIENCE_S));
    EXPECT(!mpm_process_exitcode(process, &ended));
    EXPECT(ended == exitcode || ended == -SIGKILL || (ended == 1 && exitcode == 7));
    EXPECT(!mpm_process_close(process));
}

static void use_processes(void)
{
    mpm_process process, *daemon;
    void *memory;
    int status;

    EXPECT(!mpm_alloc(sizeof *daemon, &memory));
    daemon = memory;
    for (unsigned i = 0; i < 2; i++) {
        memset(daemon, 0, sizeof *daemon);
        if ((status = mpm_process_start(be_a_parent, &memory, sizeof memory, NULL, &process))) {
            EXPECT(status == MPM_EFORKSERVER);
            break;
        }
        expect_end(process, 7);
        if (daemon->handle.kind)
            expect_end(*daemon, -SIGKILL);
    }
    mpm_free(memory);
}

static int hang(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_fetch_add(&shared->hanging, 1);
    for (;;)
        pause();
    return 0;
}

static int die_in_a_map(const void *args, size_t size)
{
    mpm_pool *pool;
    mpm_result *result;

    (void)args;
    (void)size;
    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool) ||
        mpm_pool_map_async(pool, hang, NULL, 2, 0, 0, NULL, NULL, NULL, &result))
        return 1;
    (void)gate_reached(&shared->hanging, 2);
    return raise(SIGKILL);
}

/* Its fork server frees what is left of its pool. */
static void use_a_pool_of_a_process(void)
{
    mpm_process process;
    int status;

    atomic_store(&shared->hanging, 0);
    if ((status = mpm_process_start(die_in_a_map, NULL, 0, NULL, &process)))
        EXPECT(status == MPM_EFORKSERVER);
    else
        expect_end(process, -SIGKILL);
}

/* The run: in a child of the test. The first one is for its count of blocks, and its fork server is not killed. */
static bool live(void *unused)
{
    int status;

    (void)unused;
    is_right = true;
    rank_pid = getpid();
    alarm(3 * PATIENCE_S);
    kill_point_count = 0;
    if (mpm_init(NULL, NULL, NULL))
        return mpm_report_error() == EXIT_SUCCESS;
    use_processes();
    use_a_pool();
    use_calls();
    use_limited_calls();
    if (kill_point_target)
        use_a_pool_of_a_process();
    else
        shared->blocks = node_blocks_in_use();
    EXPECT(node_is_left_with(shared->blocks + 1, UINT_MAX));
    status = mpm_finalize();
    EXPECT(status == MPM_OK || status == MPM_EFORKSERVER);
    return is_right;
}

/* A fork server that is held up. */

static void wait_until(const _Atomic unsigned *word, unsigned least)
{
    while (atomic_load(word) < least && atomic_load(&shared->initialized) < 3)
        sched_yield();
}

/* The fork server stays at its point until another call has begun, main keeps the cell of the first until the fork
 * server is there. If the fork server does not come there, a third worker comes. */
static void hold_up(bool is_forkserver)
{
    kill_point_target = kill_point_count + 1;
    if (!is_forkserver && getpid() == rank_pid && atomic_exchange(&shared->keeps_cell, 0)) {
        wait_until(&shared->passed, shared->held_at);
    } else if (is_forkserver && atomic_load(&shared->is_counted) &&
               atomic_fetch_add(&shared->passed, 1) + 1 == shared->held_at) {
        atomic_store(&shared->reached, 1);
        wait_until(&shared->begun, 2);
    }
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

/* The second one lasts until the fork server has settled the first one's. */
static int call_after_call(mpm_call *call, const void *item, void *result)
{
    unsigned number = atomic_fetch_add(&shared->begun, 1) + 1;

    (void)call;
    (void)item;
    if (number > 1)
        wait_until(&shared->initialized, 3);
    memcpy(result, &number, sizeof number);
    return 0;
}

static bool live_on(void *unused)
{
    mpm_pool_options options = {
        .workers = 2, .max_attempts = 1, .max_tasks_per_worker = 1, .initializer = count_workers};
    mpm_pool *pool;

    (void)unused;
    is_right = true;
    rank_pid = getpid();
    alarm(PATIENCE_S);
    kill_point_target = kill_point_count + 1;
    if (mpm_init(NULL, NULL, NULL) || mpm_pool_open(&options, &pool))
        return mpm_report_error() == EXIT_SUCCESS;
    atomic_store(&shared->is_counted, 1);
    atomic_store(&shared->keeps_cell, 1);
    for (unsigned i = 1, number; i <= 2; i++) {
        EXPECT(!mpm_pool_apply(pool, call_after_call, NULL, 0, sizeof number, &number));
        EXPECT(number == i);
    }
    EXPECT(atomic_load(&shared->begun) == 2);
    mpm_pool_close(pool);
    EXPECT(!mpm_finalize());
    return is_right;
}

static void a_forkserver_that_is_slow_harms_no_call_that_follows(void)
{
    unsigned points = 0, quiet = 0;

    for (unsigned at = 1; at < MOST_POINTS && quiet < QUIET; at++) {
        memset(shared, 0, sizeof *shared);
        shared->held_at = at;
        if (!child_succeeds(live_on, NULL)) {
            CU_FAIL("a call was harmed");
            break;
        }
        points += atomic_load(&shared->reached);
        quiet = atomic_load(&shared->reached) ? 0 : quiet + 1;
    }
    CU_ASSERT(points >= 10);
    printf("%u points searched … ", points);
}

static void every_point_of_a_forkservers_work_may_be_the_last(void)
{
    unsigned long points = 0, quiet = 0;

    CU_ASSERT_FATAL(child_succeeds(live, NULL));
    for (unsigned long target = 1; target < MOST_POINTS && (!points || quiet < QUIET); target++) {
        kill_point_target = target;
        atomic_store(&shared->reached, 0);
        if (!child_succeeds(live, NULL)) {
            CU_FAIL("the fork server's death has cost more than its slots");
            break;
        }
        points += atomic_load(&shared->reached);
        quiet = atomic_load(&shared->reached) ? 0 : quiet + 1;
    }
    CU_ASSERT(points >= 100);
    CU_ASSERT(quiet >= QUIET);
    printf("%lu points searched … ", points);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"every_point_of_a_forkservers_work_may_be_the_last",
         every_point_of_a_forkservers_work_may_be_the_last},
        {"a_forkserver_that_is_slow_harms_no_call_that_follows",
         a_forkserver_that_is_slow_harms_no_call_that_follows},
    };

    shared = child_memory(sizeof *shared);
    return suite_run("forkserver_kill", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker that is to be killed for an item that is late, and has gone on to another one meanwhile: that one is
 * innocent, and is run again, although it may be tried only once. Main is held up at each point between its look at
 * the item and the signal, until the worker has begun the next. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "pool/driver/pool_state.h"
#include "pool/node/node_pool_inside.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"
#include "support/child.h"
#include "support/suite.h"

#define MOST_POINTS 100u

unsigned long kill_point_count, kill_point_target = 1;

static pid_t rank_pid;

/* Shared by all processes. */
static struct {
    unsigned target; /* the point at which main is held up */
    bool waits_for_lease;
    _Atomic unsigned is_armed, is_too_early, passed, held;
    _Atomic unsigned workers;  /* that have begun: the second one when the first is dead */
    _Atomic unsigned begun[2]; /* how often each of the two items was */
} * shared;

/* Of the pool that is open. */
static struct node_pool *node_pool;

/* Whether this thread of main is the one that watches: any may do other things meanwhile. */
static bool watches(void)
{
    return getpid() == rank_pid && node_pool && node_pool->watch_mutex.__data.__owner == gettid();
}

/* In main, where it finds item 0 late. Where that has been killed already, it was no point before the signal. */
__attribute__((visibility("default"))) void kill_point_reached(void)
{
    kill_point_target = kill_point_count + 1;
    if (!watches())
        return;
    if (!atomic_load(&shared->is_armed)) {
        atomic_store(&shared->is_too_early, 1);
        return;
    }
    if (atomic_fetch_add(&shared->passed, 1) + 1 != shared->target)
        return;
    atomic_store(&shared->held, 1);
    while (!atomic_load(&shared->begun[1]) && atomic_load(&shared->workers) < 2)
        sched_yield();
    if (atomic_load(&shared->workers) > 1)
        atomic_store(&shared->held, 0);
}

static int count_workers(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    atomic_fetch_add(&shared->workers, 1);
    return 0;
}

/* Whether the worker will find another one when it has ended this. */
static bool another_lease_hangs(void)
{
    for (unsigned i = 0; i < BOARD_ENTRIES; i++) {
        uint64_t offset = atomic_load(&worker_self.board->entry[i]);

        if (offset && offset != atomic_load(&worker_self.record->lease))
            return true;
    }
    return false;
}

/* Item 0 lasts until main is held up, or for ever; item 1 is killed the first time. */
static int last(unsigned item)
{
    unsigned before = atomic_fetch_add(&shared->begun[item], 1);

    if (item == 0) {
        while (shared->waits_for_lease && !another_lease_hangs())
            sched_yield();
        atomic_store(&shared->is_armed, 1);
        while (!atomic_load(&shared->held))
            sched_yield();
    } else if (!before && atomic_load(&shared->held)) {
        for (;;)
            pause();
    }
    return 0;
}

static int last_item(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return last((unsigned)mpm_call_index(call));
}

static int last_told(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    return last(*(const unsigned *)item);
}

static int map_both(mpm_pool *pool)
{
    return mpm_pool_map(pool, last_item, NULL, 2, 0, 0, &(mpm_map_options){.chunk = 2}, NULL);
}

static int call(mpm_pool *pool, unsigned item)
{
    return mpm_pool_apply(pool, last_told, &item, sizeof item, 0, NULL);
}

static int map_one(mpm_pool *pool, unsigned item)
{
    return mpm_pool_map(pool, last_told, &item, 1, sizeof item, 0, NULL, NULL);
}

struct second {
    mpm_pool *pool;
    int (*run)(mpm_pool *pool, unsigned item);
    int status;
};

static void *run_second(void *argument)
{
    struct second *second = argument;

    child_reached(&shared->begun[0], 1);
    second->status = second->run(second->pool, 1);
    return NULL;
}

/* The second in a thread, once the first has begun. */
static int run_both(mpm_pool *pool, int (*run)(mpm_pool *pool, unsigned item))
{
    struct second second = {pool, run, MPM_OK};
    pthread_t thread;
    int status;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_second, &second), 0);
    status = run(pool, 0);
    CU_ASSERT_FATAL(!pthread_join(thread, NULL));
    return status ? status : second.status;
}

static int call_both(mpm_pool *pool)
{
    return run_both(pool, call);
}

/* Both are item 0, of one lease and of the next. */
static int map_one_by_one(mpm_pool *pool)
{
    return run_both(pool, map_one);
}

/* Holds main up where there is such a point. Where there is none nobody lets item 0 go, and it fails. */
static void hold_up_at(unsigned target, int (*run)(mpm_pool *pool))
{
    mpm_pool_options options = {.workers = 1,
                                .max_attempts = 1,
                                .item_timeout_s = 0.1,
                                .setup_timeout_s = MPM_FOREVER,
                                .initializer = count_workers};
    mpm_pool *pool = NULL;
    int status;

    memset(shared, 0, sizeof *shared);
    shared->target = target;
    shared->waits_for_lease = run == map_one_by_one;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    node_pool = pool->home;
    status = run(pool);
    node_pool = NULL;
    if (atomic_load(&shared->held)) {
        if (status)
            mpm_report_error();
        CU_ASSERT_EQUAL(status, MPM_OK);
        CU_ASSERT_EQUAL(atomic_load(&shared->begun[1]), 2);
    } else {
        CU_ASSERT_EQUAL(status, MPM_ETASK);
        CU_ASSERT(error_has("it ran past its 0.1 s (1 attempt)"));
    }
    CU_ASSERT_EQUAL(atomic_load(&shared->begun[0]), 1);
    mpm_pool_close(pool);
}

/* Item 0 may have been late before all was ready for it: then once more. */
static bool is_held_up_at(unsigned target, int (*run)(mpm_pool *pool))
{
    do
        hold_up_at(target, run);
    while (!atomic_load(&shared->is_armed) || atomic_load(&shared->is_too_early));
    return atomic_load(&shared->held);
}

static void search(int (*run)(mpm_pool *pool))
{
    unsigned points = 0;

    while (points < MOST_POINTS && is_held_up_at(points + 1, run))
        points++;
    CU_ASSERT(points >= 5);
    CU_ASSERT(points < MOST_POINTS);
    printf("%u points searched … ", points);
}

static void an_item_after_the_late_one_is_innocent(void)
{
    search(map_both);
}

static void an_item_of_the_same_number_is_innocent(void)
{
    search(map_one_by_one);
}

static void a_call_after_the_late_one_is_innocent(void)
{
    search(call_both);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"an_item_after_the_late_one_is_innocent", an_item_after_the_late_one_is_innocent},
        {"an_item_of_the_same_number_is_innocent", an_item_of_the_same_number_is_innocent},
        {"a_call_after_the_late_one_is_innocent", a_call_after_the_late_one_is_innocent},
    };
    int failed;

    shared = child_memory(sizeof *shared);
    rank_pid = getpid();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("late_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

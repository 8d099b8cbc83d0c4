/* SPDX-License-Identifier: BSD-3-Clause */
/* Items whose workers were killed, as for want of memory: they are tried again alone on their node, whatever pools
 * there are, and whatever then becomes of them, of their workers, or of their drivers. Items count in shared memory how
 * many of them are in a node. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/shared_file.h"
#include "support/suite.h"

#define ITEMS      AMOUNT(120u, 60u)
#define CALLS      AMOUNT(40u, 20u)
#define HUNGRY     17u /* every one of so many */
#define MOST_NODES 16u
#define MOST_MAPS  4u
#define PATIENCE_S 60

/* What an item is to do. */
struct order {
    uint32_t map;       /* whose tries count */
    uint32_t deaths;    /* how often hungry items die */
    uint32_t is_a_call; /* it has no index of its own */
    uint32_t index;     /* of a call */
};

static struct {
    _Atomic int inside[MOST_NODES];
    _Atomic unsigned crowded, alone; /* runs of hungry items beside others, and by themselves */
    _Atomic unsigned tries[MOST_MAPS][256];
    _Atomic int gate, arrived;
} * shared;

static void forget(void)
{
    memset(shared, 0, sizeof *shared);
}

static void nap_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static bool is_hungry(uint64_t index)
{
    return index % HUNGRY == 5;
}

/* Looks for a while who else is there. */
static void look_around(_Atomic int *inside)
{
    bool is_alone = true;

    for (int i = 0; i < 20; i++) {
        is_alone &= atomic_load(inside) == 1;
        nap_us(100);
    }
    atomic_fetch_add(is_alone ? &shared->alone : &shared->crowded, 1);
}

static int work(mpm_call *call, const void *item, void *result)
{
    const struct order *order = item;
    uint64_t index = order->is_a_call ? order->index : mpm_call_index(call);
    _Atomic int *inside = &shared->inside[mpm_node_id()];

    if (is_hungry(index) && atomic_fetch_add(&shared->tries[order->map][index], 1) < order->deaths) {
        nap_us(300);
        kill(getpid(), SIGKILL);
    }
    atomic_fetch_add(inside, 1);
    if (is_hungry(index))
        look_around(inside);
    else
        nap_us(200);
    atomic_fetch_sub(inside, 1);
    memcpy(result, &index, sizeof index);
    return 0;
}

static mpm_pool *open_pool(unsigned a_rank, unsigned max_attempts, double item_timeout_s)
{
    mpm_pool_options options = {
        .workers = a_rank * mpm_rank_count(), .max_attempts = max_attempts, .item_timeout_s = item_timeout_s};
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    return pool;
}

struct map {
    mpm_pool *pool;
    struct order order;
    const mpm_map_options *options;
    int status;
    unsigned wrong;
};

static void *run_map(void *argument)
{
    struct map *map = argument;
    struct order orders[ITEMS];
    uint64_t results[ITEMS];
    mpm_map_options options = {.chunk = 1};

    for (unsigned i = 0; i < ITEMS; i++)
        orders[i] = map->order;
    map->status = mpm_pool_map(map->pool, work, orders, ITEMS, sizeof *orders, sizeof *results,
                               map->options ? map->options : &options, results);
    for (unsigned i = 0; i < ITEMS; i++)
        map->wrong += results[i] != i;
    return NULL;
}

static void *make_calls(void *argument)
{
    struct map *map = argument;

    for (unsigned i = 0; i < CALLS; i++) {
        struct order order = map->order;
        uint64_t result = 0;

        order.is_a_call = 1;
        order.index = i;
        map->status |= mpm_pool_apply(map->pool, work, &order, sizeof order, sizeof result, &result);
        map->wrong += result != i;
    }
    return NULL;
}

static unsigned hungry_of(unsigned count)
{
    unsigned hungry = 0;

    for (unsigned i = 0; i < count; i++)
        hungry += is_hungry(i);
    return hungry;
}

static void what_was_killed_runs_alone_on_its_node(void)
{
    mpm_pool *pools[] = {open_pool(3, 0, 0), open_pool(2, 0, 0)};
    struct map maps[] = {{.pool = pools[0], .order = {.map = 0, .deaths = 1}},
                         {.pool = pools[1], .order = {.map = 1, .deaths = 1}},
                         {.pool = pools[0], .order = {.map = 2, .deaths = 1}}};
    pthread_t threads[3];

    forget();
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, i < 2 ? run_map : make_calls, &maps[i]), 0);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(maps[i].status, MPM_OK);
        CU_ASSERT_EQUAL(maps[i].wrong, 0);
    }
    CU_ASSERT_EQUAL(atomic_load(&shared->crowded), 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->alone), 2 * hungry_of(ITEMS) + hungry_of(CALLS));
    mpm_pool_close(pools[0]);
    mpm_pool_close(pools[1]);
}

/* Its worker is killed again, alone. */
static void what_dies_alone_leaves_the_node_to_others(void)
{
    mpm_pool *pool = open_pool(3, 3, 0);
    struct map good = {.pool = pool, .order = {.map = 0, .deaths = 2}},
               bad = {.pool = pool, .order = {.map = 1, .deaths = 3}};

    forget();
    run_map(&good);
    CU_ASSERT_EQUAL(good.status, MPM_OK);
    CU_ASSERT_EQUAL(good.wrong, 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->crowded), 0);
    run_map(&bad);
    CU_ASSERT_EQUAL(bad.status, MPM_ETASK);
    CU_ASSERT(error_has("killed by SIGKILL, likely out of memory (3 attempts)"));
    CU_ASSERT_EQUAL(bad.wrong, hungry_of(ITEMS));
    mpm_pool_close(pool);
}

/* The thread that drives a map waits for a call, while one item is to run alone. */
static void call_in_progress(const mpm_progress *now, void *argument)
{
    struct map *map = argument;
    struct order order = {.map = 3, .is_a_call = 1};
    uint64_t result = 1;

    (void)now;
    map->status |= mpm_pool_apply(map->pool, work, &order, sizeof order, sizeof result, &result);
    map->wrong += result != 0;
}

static void a_progress_function_may_wait_for_calls_meanwhile(void)
{
    mpm_pool *pool = open_pool(2, 0, 0);
    struct map called = {.pool = pool};
    mpm_map_options options = {.chunk = 1, .progress = call_in_progress, .progress_argument = &called};
    struct map map = {.pool = pool, .order = {.map = 0, .deaths = 1}, .options = &options};

    forget();
    for (int i = 0; i < 3; i++) {
        memset(shared->tries, 0, sizeof shared->tries);
        run_map(&map);
    }
    CU_ASSERT_EQUAL(map.status | called.status, MPM_OK);
    CU_ASSERT_EQUAL(map.wrong + called.wrong, 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->crowded), 0);
    mpm_pool_close(pool);
}

/* Is killed, and hangs when it is alone. */
static int die_and_hang(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    if (mpm_call_index(call))
        return 0;
    if (!atomic_fetch_add(&shared->tries[0][0], 1))
        kill(getpid(), SIGKILL);
    atomic_store(&shared->arrived, 1);
    for (;;)
        pause();
}

static void expect_others_go_on(void)
{
    mpm_pool *pool = open_pool(2, 0, 0);
    struct map map = {.pool = pool, .order = {.map = 1, .deaths = 0}};

    run_map(&map);
    CU_ASSERT_EQUAL(map.status, MPM_OK);
    CU_ASSERT_EQUAL(map.wrong, 0);
    mpm_pool_close(pool);
}

static void what_hangs_alone_ends_with_its_time(void)
{
    mpm_pool *pool = open_pool(2, 2, 0.3);
    mpm_failure *failures = NULL;
    size_t count = 0;
    mpm_map_options options = {.chunk = 1, .failures = &failures, .failure_count = &count};

    forget();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, die_and_hang, NULL, ITEMS, 0, 0, &options, NULL), MPM_ETASK);
    CU_ASSERT_FATAL(count == 1);
    CU_ASSERT_EQUAL(failures[0].cause, MPM_CAUSE_TIME);
    free(failures);
    expect_others_go_on();
    mpm_pool_close(pool);
}

static bool wait_for(_Atomic int *word)
{
    for (int i = 0; i < PATIENCE_S * 1000 && !atomic_load(word); i++)
        nap_us(1000);
    return atomic_load(word) != 0;
}

static int drive(const void *args, size_t size)
{
    mpm_pool *pool;

    (void)args;
    (void)size;
    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool) ||
        mpm_pool_map(pool, die_and_hang, NULL, 1, 0, 0, NULL, NULL))
        return 1;
    return 2;
}

/* Its worker has the node when its driver is killed. */
static void the_node_is_free_when_a_driver_dies(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};
        mpm_process driver;

        forget();
        CU_ASSERT_EQUAL_FATAL(mpm_process_start(drive, NULL, 0, &options, &driver), MPM_OK);
        CU_ASSERT(wait_for(&shared->arrived));
        CU_ASSERT_EQUAL(mpm_process_kill(driver), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_join(driver, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_close(driver), MPM_OK);
        expect_others_go_on();
    }
}

/* An item that others wait for, on all nodes. */
static int wait_at_gate(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_fetch_add(&shared->arrived, 1);
    return wait_for(&shared->gate) ? 0 : 1;
}

/* What waits for the node, because others are in items for long, can be ended, and so can its pool. */
static void what_waits_for_the_node_can_be_canceled(void)
{
    mpm_pool *busy = open_pool(1, 0, 0), *pool;
    mpm_result *waiting = NULL, *canceled = NULL;

    forget();
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(busy, wait_at_gate, NULL, mpm_rank_count(), 0, 0,
                                             &(mpm_map_options){.chunk = 1}, NULL, NULL, &waiting),
                          MPM_OK);
    while (atomic_load(&shared->arrived) < (int)mpm_rank_count())
        nap_us(1000);
    for (int i = 0; i < 2; i++) {
        pool = open_pool(2, 0, 0);
        atomic_store(&shared->tries[0][0], 0);
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_map_async(pool, die_and_hang, NULL, 1, 0, 0, NULL, NULL, NULL, &canceled), MPM_OK);
        while (!atomic_load(&shared->tries[0][0]))
            nap_us(1000);
        CU_ASSERT_EQUAL(mpm_result_wait(canceled, 0.05), MPM_ETIMEDOUT);
        if (i)
            mpm_pool_terminate(pool);
        else
            CU_ASSERT_EQUAL(mpm_result_cancel(canceled), MPM_OK);
        CU_ASSERT_EQUAL(mpm_result_get(canceled, PATIENCE_S, NULL), MPM_ECANCELED);
        mpm_result_destroy(canceled);
        if (!i)
            mpm_pool_close(pool);
    }
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_result_get(waiting, PATIENCE_S, NULL), MPM_OK);
    mpm_result_destroy(waiting);
    mpm_pool_close(busy);
    expect_others_go_on();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"what_was_killed_runs_alone_on_its_node", what_was_killed_runs_alone_on_its_node},
        {"what_dies_alone_leaves_the_node_to_others", what_dies_alone_leaves_the_node_to_others},
        {"a_progress_function_may_wait_for_calls_meanwhile",
         a_progress_function_may_wait_for_calls_meanwhile},
        {"what_hangs_alone_ends_with_its_time", what_hangs_alone_ends_with_its_time},
        {"the_node_is_free_when_a_driver_dies", the_node_is_free_when_a_driver_dies},
        {"what_waits_for_the_node_can_be_canceled", what_waits_for_the_node_can_be_canceled},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    shared = shared_file("alone_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("alone", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where single calls run while maps keep workers busy: items wait at gates, so a call that was bound to a worker or a
 * node that is busy would wait, too. At home, and over virtual nodes of one worker each. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <mpmap.h>

#include "pool/driver/pool_state.h"
#include "pool/node/node_pool_inside.h"
#include "support/gate.h"
#include "support/predicate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define ITEMS   8
#define ASYNC   70 /* more than leases hang on a board at once */
#define THREADS 4
#define CALLS   150

static struct {
    _Atomic int gate[ITEMS], inside[ITEMS];
    _Atomic int node[ITEMS]; /* where the item is */
    _Atomic int begun, ended, runs;
    _Atomic int stop;
} * shared;

/* Items at gates. */

static int wait_at_gate(mpm_call *call, const void *item, void *result)
{
    size_t i = mpm_call_index(call);

    (void)item;
    (void)result;
    atomic_store(&shared->node[i], (int)mpm_node_id());
    atomic_store(&shared->inside[i], 1);
    atomic_fetch_add(&shared->begun, 1);
    gate_reached(&shared->gate[i], 1);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

/* A pool of `workers` that are all in items, one each. */
static mpm_pool *open_busy_pool(unsigned workers, size_t items, size_t chunk, mpm_result **map)
{
    mpm_map_options options = {.chunk = chunk};
    mpm_pool *pool = NULL;

    memset(shared, 0, sizeof *shared);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, wait_at_gate, NULL, items, 0, 0, &options, NULL, NULL, map), MPM_OK);
    CU_ASSERT_FATAL(gate_reached(&shared->begun, (int)workers));
    return pool;
}

/* One that is in its item, at home or elsewhere. */
static size_t item_inside(bool at_home)
{
    size_t i = 0;

    while (i + 1 < ITEMS &&
           !(atomic_load(&shared->inside[i]) && (atomic_load(&shared->node[i]) == 0) == at_home))
        i++;
    CU_ASSERT_FATAL(atomic_load(&shared->inside[i]));
    return i;
}

static void close_busy_pool(mpm_pool *pool, mpm_result *map)
{
    for (size_t i = 0; i < ITEMS; i++)
        atomic_store(&shared->gate[i], 1);
    CU_ASSERT_EQUAL(mpm_result_get(map, MPM_FOREVER, NULL), MPM_OK);
    mpm_result_destroy(map);
    mpm_pool_close(pool);
}

/* Calls. */

static int tell_node(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    *(unsigned *)result = mpm_node_id();
    atomic_fetch_add(&shared->runs, 1);
    return 0;
}

struct caller {
    mpm_pool *pool;
    pthread_t thread;
    int status;
    unsigned node;
};

static void *call_once(void *argument)
{
    struct caller *caller = argument;

    caller->status = mpm_pool_apply(caller->pool, tell_node, NULL, 0, sizeof caller->node, &caller->node);
    return NULL;
}

static bool is_posted(const mpm_pool *pool)
{
    return atomic_load(&pool->home->board->calls) != 0;
}

static bool waits(const mpm_pool *pool)
{
    return atomic_load(&pool->waiting) != 0;
}

static bool becomes_true(bool (*is)(const mpm_pool *pool), const mpm_pool *pool)
{
    for (int i = 0; i < 30000 && !is(pool); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return is(pool);
}

static void begin_call(struct caller *caller, mpm_pool *pool, bool (*until)(const mpm_pool *pool))
{
    *caller = (struct caller){.pool = pool, .status = 1};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&caller->thread, NULL, call_once, caller), 0);
    CU_ASSERT(becomes_true(until, pool));
}

static void end_call(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
    CU_ASSERT_EQUAL(caller->status, MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&shared->runs), 1);
}

static bool has_nodes(void)
{
    return mpm_node_count() > 1;
}

static void check_next_item(size_t chunk)
{
    mpm_result *map;
    mpm_pool *pool = open_busy_pool(2, ITEMS, chunk, &map);
    struct caller caller;

    begin_call(&caller, pool, is_posted);
    atomic_store(&shared->gate[item_inside(true)], 1);
    end_call(&caller);
    CU_ASSERT_EQUAL(atomic_load(&shared->ended), 1);
    close_busy_pool(pool, map);
}

static void a_call_goes_before_the_next_item_of_a_map(void)
{
    if (has_nodes())
        return;
    check_next_item(0);
    check_next_item(1);
}

static void a_call_finds_the_idle_worker_of_another_node(void)
{
    mpm_result *map;
    mpm_pool *pool;
    unsigned node = 0;

    if (!has_nodes())
        return;
    pool = open_busy_pool(mpm_node_count(), mpm_node_count(), 0, &map);
    atomic_store(&shared->gate[item_inside(false)], 1);
    CU_ASSERT(gate_reached(&shared->ended, 1));
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, tell_node, NULL, 0, sizeof node, &node), MPM_OK);
    CU_ASSERT_NOT_EQUAL(node, 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->ended), 1);
    CU_ASSERT_EQUAL(atomic_load(&shared->runs), 1);
    close_busy_pool(pool, map);
}

static void a_call_that_waits_goes_to_the_node_that_has_a_worker_first(void)
{
    mpm_result *map;
    mpm_pool *pool;
    struct caller caller;

    if (!has_nodes())
        return;
    pool = open_busy_pool(mpm_node_count(), mpm_node_count(), 0, &map);
    begin_call(&caller, pool, waits);
    atomic_store(&shared->gate[item_inside(false)], 1);
    end_call(&caller);
    CU_ASSERT_NOT_EQUAL(caller.node, 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->ended), 1);
    CU_ASSERT(!waits(pool));
    close_busy_pool(pool, map);
}

/* Calls wait on all nodes, and the worker of one comes free: it takes all of them. */
static void check_async_calls(bool at_home)
{
    unsigned count = mpm_node_count();
    mpm_result *map, *results[ASYNC];
    mpm_pool *pool = open_busy_pool(count, count, 0, &map);

    for (unsigned i = 0; i < ASYNC; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, tell_node, NULL, 0, sizeof(unsigned), NULL, &results[i]), MPM_OK);
    CU_ASSERT(becomes_true(waits, pool));
    atomic_store(&shared->gate[item_inside(at_home)], 1);
    for (unsigned i = 0; i < ASYNC; i++) {
        const void *node = NULL;

        CU_ASSERT_EQUAL_FATAL(mpm_result_get(results[i], MPM_FOREVER, &node), MPM_OK);
        CU_ASSERT_EQUAL(*(const unsigned *)node == 0, at_home);
        mpm_result_destroy(results[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&shared->ended), 1);
    CU_ASSERT_EQUAL(atomic_load(&shared->runs), ASYNC);
    CU_ASSERT(!waits(pool));
    close_busy_pool(pool, map);
}

static void asynchronous_calls_that_wait_come_home(void)
{
    if (has_nodes())
        check_async_calls(true);
}

static void asynchronous_calls_that_wait_go_to_another_node(void)
{
    if (has_nodes())
        check_async_calls(false);
}

static void what_waits_on_all_nodes_is_canceled(void)
{
    unsigned count = mpm_node_count();
    mpm_result *map, *results[ITEMS];
    mpm_pool *pool = open_busy_pool(count, count, 0, &map);

    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, tell_node, NULL, 0, sizeof(unsigned), NULL, &results[i]), MPM_OK);
    CU_ASSERT(!has_nodes() || becomes_true(waits, pool));
    for (unsigned i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(mpm_result_cancel(results[i]), MPM_OK);
        CU_ASSERT_EQUAL(mpm_result_get(results[i], 0, NULL), MPM_ECANCELED);
        mpm_result_destroy(results[i]);
    }
    CU_ASSERT(!waits(pool));
    CU_ASSERT_EQUAL(atomic_load(&shared->runs), 0);
    close_busy_pool(pool, map);
}

/* Many calls, while items that take some time come and go on all nodes. */

static int take_time(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
}

static void *map_until_stopped(void *pool)
{
    int status = MPM_OK;

    while (!status && !atomic_load(&shared->stop))
        status = mpm_pool_map(pool, take_time, NULL, mpm_node_count(), 0, 0, NULL, NULL);
    CU_ASSERT_EQUAL(status, MPM_OK);
    return NULL;
}

static void *call_often(void *pool)
{
    unsigned node;

    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, tell_node, NULL, 0, sizeof node, &node), MPM_OK);
    return NULL;
}

/* Order. Each waits at its gate, and says its number then. */

#define IN_A_ROW 100 /* more than cells */

static struct {
    _Atomic int open, inside; /* numbers below `open` go on */
    _Atomic int count;
    int numbers[2 * IN_A_ROW];
} * row;

static int say_number(mpm_call *call, const void *item, void *result)
{
    int number = *(const int *)item;

    (void)call;
    (void)result;
    atomic_fetch_add(&row->inside, 1);
    gate_reached(&row->open, number + 1);
    row->numbers[atomic_fetch_add(&row->count, 1)] = number;
    return 0;
}

struct numbered_call {
    mpm_pool *pool;
    pthread_t thread;
    int number, status;
};

static void *call_number(void *argument)
{
    struct numbered_call *call = argument;

    call->status = mpm_pool_apply(call->pool, say_number, &call->number, sizeof call->number, 0, NULL);
    return NULL;
}

/* Calls that no worker has taken: in cells, and in leases. */
static int count_waiting(const mpm_pool *pool)
{
    return __builtin_popcountll(atomic_load(&pool->home->board->calls)) +
           (int)atomic_load(&pool->home->board->last_place);
}

static void begin_number(struct numbered_call *call, mpm_pool *pool, int number, int waiting)
{
    *call = (struct numbered_call){.pool = pool, .number = number};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&call->thread, NULL, call_number, call), 0);
    for (int i = 0; i < 30000 && count_waiting(pool) < waiting; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CU_ASSERT(count_waiting(pool) >= waiting);
}

/* The first is in the worker, then the second, so the cell of the first is free for one that comes later. The last ones
 * find no cell free. */
static void calls_of_many_threads_run_oldest_first(void)
{
    struct numbered_call calls[IN_A_ROW];
    mpm_pool *pool = NULL;

    memset(row, 0, sizeof *row);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool), MPM_OK);
    begin_number(&calls[0], pool, 0, 0);
    CU_ASSERT(gate_reached(&row->inside, 1));
    for (int i = 1; i < 6; i++)
        begin_number(&calls[i], pool, i, i);
    atomic_store(&row->open, 1);
    CU_ASSERT(gate_reached(&row->inside, 2));
    for (int i = 6; i < IN_A_ROW; i++)
        begin_number(&calls[i], pool, i, i - 1);
    atomic_store(&row->open, IN_A_ROW);
    for (int i = 0; i < IN_A_ROW; i++) {
        pthread_join(calls[i].thread, NULL);
        CU_ASSERT_EQUAL(calls[i].status, MPM_OK);
        CU_ASSERT_EQUAL(row->numbers[i], i);
    }
    mpm_pool_close(pool);
}

static int place_of(int number)
{
    int place = 0;

    while (place < atomic_load(&row->count) && row->numbers[place] != number)
        place++;
    return place;
}

/* Asynchronous calls and maps, a map and a call that are waited for: they begin as they are submitted. */
static void what_is_submitted_begins_in_order(void)
{
    enum { AFTER = IN_A_ROW + 12 };
    mpm_result *results[IN_A_ROW], *maps[4];
    int numbers[AFTER + 3];
    mpm_pool *pool = NULL;

    memset(row, 0, sizeof *row);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool), MPM_OK);
    for (int i = 0; i < AFTER + 3; i++)
        numbers[i] = i;
    for (int i = 0; i < IN_A_ROW; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, say_number, &numbers[i], sizeof(int), 0, NULL, &results[i]), MPM_OK);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, say_number, &numbers[IN_A_ROW + 3 * i], 3, sizeof(int),
                                                 0, &(mpm_map_options){.chunk = 1}, NULL, NULL, &maps[i]),
                              MPM_OK);
    atomic_store(&row->open, AFTER + 3);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, say_number, &numbers[AFTER], 2, sizeof(int), 0, NULL, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, say_number, &numbers[AFTER + 2], sizeof(int), 0, NULL), MPM_OK);
    for (int i = 0; i < IN_A_ROW; i++) {
        CU_ASSERT_EQUAL(row->numbers[i], i);
        mpm_result_destroy(results[i]);
    }
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(maps[i], MPM_FOREVER, NULL), MPM_OK);
        CU_ASSERT(!i || place_of(IN_A_ROW + 3 * i) > place_of(IN_A_ROW + 3 * i - 3));
        mpm_result_destroy(maps[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&row->count), AFTER + 3);
    CU_ASSERT(place_of(AFTER) > place_of(AFTER - 3) && place_of(AFTER + 2) > place_of(AFTER));
    mpm_pool_close(pool);
}

/* The call goes behind those that wait, and no asynchronous one passes what was canceled before it. */
static void a_call_goes_behind_asynchronous_calls_that_wait(void)
{
    struct numbered_call call;
    mpm_result *first, *canceled, *second;
    mpm_pool *pool = NULL;

    memset(row, 0, sizeof *row);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, say_number, &(int){5}, sizeof(int), 0, NULL, &canceled),
                    MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, say_number, &(int){0}, sizeof(int), 0, NULL, &first), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, say_number, &(int){1}, sizeof(int), 0, NULL, &second), MPM_OK);
    CU_ASSERT(gate_reached(&row->inside, 1));
    call = (struct numbered_call){.pool = pool, .number = 2};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&call.thread, NULL, call_number, &call), 0);
    CU_ASSERT_EQUAL(result_is_ready(first), 0);
    CU_ASSERT_EQUAL(atomic_load(&row->inside), 1);
    CU_ASSERT_EQUAL(mpm_result_cancel(canceled), MPM_OK);
    CU_ASSERT(gate_reached(&row->inside, 2));
    atomic_store(&row->open, 3);
    pthread_join(call.thread, NULL);
    CU_ASSERT_EQUAL(call.status, MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(second, MPM_FOREVER, NULL), MPM_OK);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(row->numbers[i], i);
    mpm_result_destroy(first);
    mpm_result_destroy(second);
    mpm_result_destroy(canceled);
    mpm_pool_close(pool);
}

static void calls_that_move_run_once(void)
{
    pthread_t threads[THREADS], mapper;
    mpm_pool *pool = NULL;

    memset(shared, 0, sizeof *shared);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = mpm_node_count()}, &pool), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&mapper, NULL, map_until_stopped, pool), 0);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, call_often, pool), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&shared->stop, 1);
    pthread_join(mapper, NULL);
    CU_ASSERT_EQUAL(atomic_load(&shared->runs), THREADS * CALLS);
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_call_goes_before_the_next_item_of_a_map", a_call_goes_before_the_next_item_of_a_map},
        {"a_call_finds_the_idle_worker_of_another_node", a_call_finds_the_idle_worker_of_another_node},
        {"a_call_that_waits_goes_to_the_node_that_has_a_worker_first",
         a_call_that_waits_goes_to_the_node_that_has_a_worker_first},
        {"asynchronous_calls_that_wait_come_home", asynchronous_calls_that_wait_come_home},
        {"asynchronous_calls_that_wait_go_to_another_node", asynchronous_calls_that_wait_go_to_another_node},
        {"what_waits_on_all_nodes_is_canceled", what_waits_on_all_nodes_is_canceled},
        {"calls_that_move_run_once", calls_that_move_run_once},
        {"calls_of_many_threads_run_oldest_first", calls_of_many_threads_run_oldest_first},
        {"what_is_submitted_begins_in_order", what_is_submitted_begins_in_order},
        {"a_call_goes_behind_asynchronous_calls_that_wait", a_call_goes_behind_asynchronous_calls_that_wait},
    };
    int failed;

    shared = shared_file("apply_test", sizeof *shared);
    row = shared_file("apply_test_row", sizeof *row);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("apply", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

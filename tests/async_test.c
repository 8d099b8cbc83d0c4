/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous maps and calls, their results and callbacks, at home and over virtual nodes. */
#include <CUnit/CUnit.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "support/gate.h"
#include "support/predicate.h"
#include "support/shared_file.h"
#include "support/suite.h"

static struct {
    _Atomic int gate; /* what tasks wait for */
    _Atomic int inside, outside;
    _Atomic int tries[100];
} * shared;

static void forget(void)
{
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    atomic_store(&shared->outside, 0);
    for (int i = 0; i < 100; i++)
        atomic_store(&shared->tries[i], 0);
}

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool), MPM_OK);
    return pool;
}

static int square(mpm_call *call, const void *item, void *result)
{
    const int *n = item;

    (void)call;
    *(long *)result = (long)*n * *n;
    return 0;
}

static int wait_at_gate(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_fetch_add(&shared->inside, 1);
    gate_reached(&shared->gate, 1);
    atomic_fetch_add(&shared->outside, 1);
    return 0;
}

static int fail_sevens(mpm_call *call, const void *item, void *result)
{
    (void)item;
    *(int *)result = 5;
    return mpm_call_index(call) % 10 == 7 ? mpm_fail(call, "no %zu", mpm_call_index(call)) : 0;
}

static int crash(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    raise(SIGSEGV);
    return 0;
}

static int crash_once(mpm_call *call, const void *item, void *result)
{
    if (!atomic_fetch_add(&shared->tries[0], 1))
        raise(SIGSEGV);
    return square(call, item, result);
}

static mpm_result *map_squares(mpm_pool *pool, const int *items, size_t count, long *results)
{
    mpm_result *result = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, square, items, count, sizeof *items, sizeof *results, NULL,
                                             NULL, results, &result),
                          MPM_OK);
    return result;
}

static mpm_result *wait_in_a_map(mpm_pool *pool, size_t count)
{
    mpm_result *result = NULL;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, wait_at_gate, NULL, count, 0, 0, NULL, NULL, NULL, &result), MPM_OK);
    return result;
}

/* How many of them are wrong. */
static size_t wrong_squares(const long *squares, const int *items, size_t count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++)
        wrong += squares[i] != (long)items[i] * items[i];
    return wrong;
}

static int *numbers(size_t count)
{
    int *items = malloc(count * sizeof *items);

    for (size_t i = 0; i < count; i++)
        items[i] = (int)(i * 7 % 30011);
    return items;
}

#define COUNT 100000

static void a_result_is_got_again_and_again(void)
{
    mpm_pool *pool = open_pool(0);
    int *items = numbers(COUNT);
    long *squares = calloc(COUNT, sizeof *squares);
    mpm_result *result = map_squares(pool, items, COUNT, squares);

    for (int i = 0; i < 3; i++) {
        const void *results = NULL;

        CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, &results), MPM_OK);
        CU_ASSERT_PTR_EQUAL(results, squares);
        CU_ASSERT_EQUAL(result_is_ready(result), 1);
        CU_ASSERT_EQUAL(result_is_successful(result), 1);
        CU_ASSERT_EQUAL(mpm_result_wait(result, 0), MPM_OK);
    }
    CU_ASSERT_EQUAL(wrong_squares(squares, items, COUNT), 0);
    CU_ASSERT_EQUAL(mpm_result_cancel(result), MPM_ESTATE);
    mpm_result_destroy(result);
    mpm_result_destroy(NULL);
    mpm_pool_close(pool);
    free(items);
    free(squares);
}

static void a_result_has_room_of_its_own_and_outlives_its_pool(void)
{
    mpm_pool *pool = open_pool(0);
    int *items = numbers(COUNT);
    mpm_result *result = map_squares(pool, items, COUNT, NULL);
    const void *results = NULL;

    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(result_is_ready(result), 1);
    CU_ASSERT_EQUAL_FATAL(mpm_result_get(result, 0, &results), MPM_OK);
    CU_ASSERT_EQUAL(wrong_squares(results, items, COUNT), 0);
    mpm_result_destroy(result);
    free(items);
}

static void what_is_not_ready_says_so(void)
{
    mpm_pool *pool = open_pool(2);
    const mpm_failure *failures;
    mpm_result *result;
    size_t count;

    forget();
    result = wait_in_a_map(pool, 5);
    CU_ASSERT(gate_reached(&shared->inside, 2));
    CU_ASSERT_EQUAL(result_is_ready(result), 0);
    CU_ASSERT_EQUAL(result_is_successful(result), MPM_EBUSY);
    CU_ASSERT_EQUAL(mpm_result_failures(result, &failures, &count), MPM_EBUSY);
    CU_ASSERT_EQUAL(mpm_result_wait(result, 0), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_result_wait(result, -1), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_result_wait(result, 0.01), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0.01, NULL), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_result_wait(result, NAN), MPM_EINVAL);
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 5);
    mpm_result_destroy(result);
    mpm_pool_close(pool);
}

static int no_items(void *argument, void *item)
{
    (void)argument, (void)item;
    return 0;
}

/* Each waits at a gate of its own. */
enum { RUNNERS = 5 };

static int wait_at_own_gate(mpm_call *call, const void *item, void *result)
{
    const int *number = item;

    (void)call;
    gate_reached(&shared->tries[*number], 1);
    *(int *)result = *number;
    return 0;
}

static void start_runners(mpm_pool *pool, mpm_result **results)
{
    forget();
    for (int i = 0; i < RUNNERS; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, wait_at_own_gate, &i, sizeof i, sizeof i, NULL, &results[i]), MPM_OK);
}

static void *open_gate(void *number)
{
    atomic_store(&shared->tries[*(const int *)number], 1);
    return NULL;
}

static void results_are_taken_as_they_come(void)
{
    static const int order[RUNNERS] = {3, 0, 4, 1, 2};
    mpm_pool *pool = open_pool(RUNNERS);
    mpm_result *results[RUNNERS + 1] = {NULL};
    const void *number;
    size_t ready = 77;

    start_runners(pool, results);
    CU_ASSERT_EQUAL(mpm_result_wait_any(results, RUNNERS + 1, 0, &ready), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_result_wait_any(results, RUNNERS + 1, 0.01, &ready), MPM_ETIMEDOUT);
    for (int i = 0; i < RUNNERS; i++) {
        pthread_t opener;

        CU_ASSERT_EQUAL_FATAL(pthread_create(&opener, NULL, open_gate, (void *)(uintptr_t)&order[i]), 0);
        CU_ASSERT_EQUAL_FATAL(mpm_result_wait_any(results, RUNNERS + 1, MPM_FOREVER, &ready), MPM_OK);
        CU_ASSERT_EQUAL(ready, order[i]);
        CU_ASSERT_EQUAL(mpm_result_get(results[ready], 0, &number), MPM_OK);
        CU_ASSERT_EQUAL(*(const int *)number, order[i]);
        mpm_result_destroy(results[ready]);
        results[ready] = NULL;
        pthread_join(opener, NULL);
    }
    CU_ASSERT_EQUAL(mpm_result_wait_any(results, RUNNERS + 1, MPM_FOREVER, &ready), MPM_EINVAL);
    CU_ASSERT(strstr(mpm_error(), "nothing to wait for") != NULL);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
}

static int wait_for_what_is_of_another(const void *args, size_t size)
{
    const mpm_handle *handle = args;
    size_t ready, count;

    (void)size;
    return mpm_wait_any(handle, 1, 60, &ready, &count) != MPM_EINVAL ||
           !strstr(mpm_error(), "only the process that has a result");
}

static void only_its_process_waits_for(const mpm_handle *handle)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;
        int exitcode = -1;

        CU_ASSERT_EQUAL_FATAL(mpm_process_start(wait_for_what_is_of_another, handle, sizeof *handle,
                                                &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process),
                              MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_reap(process, 60, &exitcode), MPM_OK);
        CU_ASSERT_EQUAL(exitcode, 0);
    }
}

/* Beside a queue that stays empty: nothing but the result ends the wait. */
static void results_are_waited_for_beside_other_objects(void)
{
    static const int order[RUNNERS] = {3, 0, 4, 1, 2};
    mpm_pool *pool = open_pool(RUNNERS);
    mpm_handle handles[RUNNERS + 1], again;
    mpm_result *results[RUNNERS];
    size_t ready[RUNNERS + 1], count = 0;
    mpm_queue queue;

    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &queue), MPM_OK);
    start_runners(pool, results);
    for (int i = 0; i < RUNNERS; i++)
        CU_ASSERT_EQUAL(mpm_result_handle(results[i], &handles[i]), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_handle(results[1], &again), MPM_OK);
    CU_ASSERT(again.place == handles[1].place && again.place != handles[2].place);
    handles[RUNNERS] = queue.handle;
    CU_ASSERT_EQUAL(mpm_wait_any(handles, RUNNERS + 1, 0.01, ready, &count), MPM_ETIMEDOUT);
    for (int i = 0; i < RUNNERS; i++) {
        pthread_t opener;

        CU_ASSERT_EQUAL_FATAL(pthread_create(&opener, NULL, open_gate, (void *)(uintptr_t)&order[i]), 0);
        CU_ASSERT_EQUAL_FATAL(mpm_wait_any(handles, RUNNERS + 1, MPM_FOREVER, ready, &count), MPM_OK);
        CU_ASSERT(count == 1 && ready[0] == (size_t)order[i]);
        handles[order[i]] = queue.handle;
        pthread_join(opener, NULL);
    }
    only_its_process_waits_for(&again);
    CU_ASSERT_EQUAL(mpm_wait_any(&again, 1, 0, ready, &count), MPM_OK);
    for (int i = 0; i < RUNNERS; i++)
        mpm_result_destroy(results[i]);
    CU_ASSERT_EQUAL(mpm_wait_any(&again, 1, 60, ready, &count), MPM_ESTALE);
    CU_ASSERT_EQUAL(mpm_queue_destroy(queue), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
}

static void a_result_lists_its_failures(void)
{
    mpm_pool *pool = open_pool(0);
    const mpm_failure *failures;
    const void *results = NULL;
    mpm_result *result;
    size_t count;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, fail_sevens, NULL, 100, 0, sizeof(int), NULL, NULL, NULL, &result), MPM_OK);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, &results), MPM_ETASK);
        CU_ASSERT(error_has("10 of 100 items failed; the first is item 7: no 7"));
    }
    CU_ASSERT_EQUAL(result_is_successful(result), 0);
    CU_ASSERT_EQUAL_FATAL(mpm_result_failures(result, &failures, &count), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(count, 10);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(failures[i].index, 10 * i + 7);
    CU_ASSERT_EQUAL(((const int *)results)[6], 5);
    CU_ASSERT_EQUAL(((const int *)results)[7], 0);
    mpm_result_destroy(result);
    mpm_pool_close(pool);
}

static void many_maps_run_at_once_in_several_pools(void)
{
    enum { MAPS = 200 };
    mpm_pool *pools[] = {open_pool(0), open_pool(3)};
    int *items = numbers(5000);
    mpm_result *results[MAPS];

    for (size_t i = 0; i < MAPS; i++)
        results[i] = map_squares(pools[i % 2], items + i, 1000, NULL);
    for (size_t i = 0; i < MAPS; i++) {
        const void *squares = NULL;

        CU_ASSERT_EQUAL_FATAL(mpm_result_get(results[i], MPM_FOREVER, &squares), MPM_OK);
        CU_ASSERT_EQUAL(wrong_squares(squares, items + i, 1000), 0);
        mpm_result_destroy(results[i]);
    }
    mpm_pool_close(pools[0]);
    mpm_pool_close(pools[1]);
    free(items);
}

static void a_map_of_no_items_is_ready_soon(void)
{
    mpm_pool *pool = open_pool(1);
    mpm_result *result = map_squares(pool, NULL, 0, NULL);

    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_OK);
    mpm_result_destroy(result);
    mpm_pool_close(pool);
}

/* Single calls. */

static void apply_runs_a_task_once(void)
{
    mpm_pool *pool = open_pool(0);
    size_t wrong = 0;

    for (int i = 0; i < 500; i++) {
        long squared = -1;

        wrong += mpm_pool_apply(pool, square, &i, sizeof i, sizeof squared, &squared) != MPM_OK ||
                 squared != (long)i * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    mpm_pool_close(pool);
}

static int turn_over(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);

    for (size_t i = 0; i < size; i++)
        ((char *)result)[i] = ((const char *)item)[size - 1 - i];
    return mpm_call_index(call) || mpm_call_context(call) || mpm_call_result_size(call) != size;
}

static void apply_carries_any_size(void)
{
    static const size_t sizes[] = {1, 255, 256, 257, 4096, 3000000};
    mpm_pool *pool = open_pool(0);

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t size = sizes[k], wrong = 0;
        char *item = malloc(size), *result = calloc(1, size);

        for (size_t i = 0; i < size; i++)
            item[i] = (char)(i * 2654435761u >> 24);
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, turn_over, item, size, size, result), MPM_OK);
        for (size_t i = 0; i < size; i++)
            wrong += result[i] != item[size - 1 - i];
        CU_ASSERT_EQUAL(wrong, 0);
        free(item);
        free(result);
    }
    mpm_pool_close(pool);
}

static int count_up(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_fetch_add(&shared->outside, 1);
    return 0;
}

static void apply_takes_no_item_and_no_result(void)
{
    mpm_pool *pool = open_pool(2);

    forget();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, count_up, NULL, 0, 0, NULL), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 10);
    mpm_pool_close(pool);
}

static void apply_tells_a_failure_and_goes_on(void)
{
    mpm_pool *pool = open_pool(2);
    int n = 12, untouched = 42;
    long squared = 0;

    forget();
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash, &n, sizeof n, sizeof untouched, &untouched), MPM_ETASK);
        CU_ASSERT(error_has("the call failed: its worker was killed by SIGSEGV (2 attempts)"));
        CU_ASSERT_EQUAL(untouched, 42);
    }
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash_once, &n, sizeof n, sizeof squared, &squared), MPM_OK);
    CU_ASSERT_EQUAL(squared, 144);
    mpm_pool_close(pool);
}

static int fail_politely(mpm_call *call, const void *item, void *result)
{
    (void)result;
    return *(const int *)item ? mpm_fail(call, "%d is not 0", *(const int *)item) : 33;
}

static void apply_tells_what_the_task_said(void)
{
    mpm_pool *pool = open_pool(0);
    int n = 12;

    CU_ASSERT_EQUAL(mpm_pool_apply(pool, fail_politely, &n, sizeof n, 0, NULL), MPM_ETASK);
    CU_ASSERT(error_has("the call failed: 12 is not 0"));
    n = 0;
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, fail_politely, &n, sizeof n, 0, NULL), MPM_ETASK);
    CU_ASSERT(error_has("the call failed: the task returned 33"));
    mpm_pool_close(pool);
}

static int hang(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    while (!pause() || true)
        ;
    return 0;
}

static void apply_past_its_time_fails(void)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_open(&(mpm_pool_options){.workers = 2, .item_timeout_s = 1, .max_attempts = 2}, &pool),
        MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, hang, NULL, 0, 0, NULL), MPM_ETASK);
    CU_ASSERT(error_has("the call failed: it ran past its 1 s (2 attempts)"));
    mpm_pool_close(pool);
}

static void *apply_often(void *argument)
{
    size_t wrong = 0;

    for (int i = 0; i < 300; i++) {
        long squared = -1;

        wrong += mpm_pool_apply(argument, square, &i, sizeof i, sizeof squared, &squared) != MPM_OK ||
                 squared != (long)i * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    return NULL;
}

static void applies_of_many_threads_run_at_once(void)
{
    mpm_pool *pool = open_pool(3);
    pthread_t threads[24];

    for (int i = 0; i < 24; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, apply_often, pool), 0);
    for (int i = 0; i < 24; i++)
        pthread_join(threads[i], NULL);
    mpm_pool_close(pool);
}

static int node_of_worker(mpm_call *call, const void *item, void *result)
{
    wait_at_gate(call, item, result);
    *(unsigned *)result = mpm_node_id();
    return 0;
}

static void many_async_calls_use_all_nodes(void)
{
    enum { CALLS = 3000 };
    mpm_pool *pool = open_pool(mpm_slot_count());
    mpm_result **results = calloc(CALLS, sizeof *results);
    unsigned seen[64] = {0}, used = 0;

    forget();
    for (size_t i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, node_of_worker, NULL, 0, sizeof(unsigned), NULL, &results[i]), MPM_OK);
    CU_ASSERT(gate_reached(&shared->inside, (int)mpm_slot_count()));
    atomic_store(&shared->gate, 1);
    for (size_t i = 0; i < CALLS; i++) {
        const void *node = NULL;

        CU_ASSERT_EQUAL_FATAL(mpm_result_get(results[i], MPM_FOREVER, &node), MPM_OK);
        seen[*(const unsigned *)node % 64]++;
        mpm_result_destroy(results[i]);
    }
    for (unsigned node = 0; node < 64; node++)
        used += seen[node] > 0;
    CU_ASSERT_EQUAL(used, mpm_node_count());
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), CALLS);
    free(results);
    mpm_pool_close(pool);
}

static void an_async_call_copies_its_item(void)
{
    mpm_pool *pool = open_pool(0);
    mpm_result *results[50];
    size_t wrong = 0;

    for (int i = 0; i < 50; i++) {
        int item = i;

        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, square, &item, sizeof item, sizeof(long), NULL, &results[i]), MPM_OK);
        item = -1;
    }
    for (int i = 0; i < 50; i++) {
        const void *squared = NULL;

        CU_ASSERT_EQUAL_FATAL(mpm_result_get(results[i], MPM_FOREVER, &squared), MPM_OK);
        wrong += *(const long *)squared != (long)i * i;
        mpm_result_destroy(results[i]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    mpm_pool_close(pool);
}

static int add_context(mpm_call *call, const void *item, void *result)
{
    *(int *)result = *(const int *)item + *(const int *)mpm_call_context(call);
    return 0;
}

static void the_context_is_copied(void)
{
    mpm_pool *pool = open_pool(0);
    int item = 1, context = 41, sum = 0;
    mpm_result *result;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, add_context, &item, 1, sizeof item, sizeof sum,
                           &(mpm_map_options){.context = &context, .context_size = sizeof context}, NULL,
                           &sum, &result),
        MPM_OK);
    context = 0;
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_OK);
    CU_ASSERT_EQUAL(sum, 42);
    mpm_result_destroy(result);
    mpm_pool_close(pool);
}

/* Callbacks. */

struct told {
    _Atomic int done, failed;
    pthread_t thread;
    mpm_pool *pool;
    mpm_result *other;
    int status;
    bool applies; /* single calls; else maps */
};

static void tell_done(mpm_result *result, void *argument)
{
    struct told *told = argument;

    CU_ASSERT_EQUAL(result_is_ready(result), 1);
    told->thread = pthread_self();
    atomic_fetch_add(&told->done, 1);
}

static void tell_error(mpm_result *result, void *argument)
{
    struct told *told = argument;

    told->status = mpm_result_get(result, 0, NULL);
    atomic_fetch_add(&told->failed, 1);
}

static void callbacks_are_called_before_close_returns(void)
{
    mpm_pool *pool = open_pool(0);
    struct told told = {.status = 0};
    mpm_callbacks callbacks = {.done = tell_done, .error = tell_error, .argument = &told};
    int n = 3;

    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, square, &n, sizeof n, sizeof(long), &callbacks, NULL),
                        MPM_OK);
        CU_ASSERT_EQUAL(
            mpm_pool_map_async(pool, fail_sevens, NULL, 10, 0, sizeof(int), NULL, &callbacks, NULL, NULL),
            MPM_OK);
    }
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(atomic_load(&told.done), 20);
    CU_ASSERT_EQUAL(atomic_load(&told.failed), 20);
    CU_ASSERT_EQUAL(told.status, MPM_ETASK);
    CU_ASSERT(!pthread_equal(told.thread, pthread_self()));
}

static void map_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;
    int items[] = {1, 2, 3};
    long squares[3] = {0};

    (void)result;
    told->status = mpm_pool_map(told->pool, square, items, 3, sizeof *items, sizeof *squares, NULL, squares);
    atomic_store(&told->done, (int)squares[2]);
}

static void a_callback_may_map(void)
{
    struct told told = {.pool = open_pool(0), .status = -1};
    mpm_callbacks callbacks = {.done = map_in_a_callback, .argument = &told};

    CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, count_up, NULL, 0, 0, &callbacks, NULL), MPM_OK);
    CU_ASSERT(gate_reached(&told.done, 9));
    CU_ASSERT_EQUAL(told.status, MPM_OK);
    mpm_pool_close(told.pool);
}

static void cancel_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;

    told->status = mpm_result_cancel(told->other);
    mpm_result_destroy(result);
    atomic_store(&told->done, 1);
}

static void a_callback_may_cancel_and_destroy(void)
{
    struct told told = {.pool = open_pool(3 * mpm_node_count()), .status = -1};
    mpm_callbacks callbacks = {.done = cancel_in_a_callback, .argument = &told};
    mpm_result *result;

    forget();
    told.other = wait_in_a_map(told.pool, 2);
    CU_ASSERT(gate_reached(&shared->inside, 2));
    CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, count_up, NULL, 0, 0, &callbacks, &result), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(told.other, MPM_FOREVER, NULL), MPM_ECANCELED);
    CU_ASSERT(gate_reached(&told.done, 1));
    CU_ASSERT_EQUAL(told.status, MPM_OK);
    mpm_result_destroy(told.other);
    mpm_pool_close(told.pool);
}

static void destroy_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;
    const void *squared = NULL;

    CU_ASSERT_EQUAL(mpm_result_get(result, 0, &squared), MPM_OK);
    mpm_result_destroy(result);
    atomic_fetch_add(&told->done, (int)*(const long *)squared); /* it is valid until the callback returns */
}

static void a_callback_may_destroy_what_nobody_has_asked_for(void)
{
    enum { CALLS = 100 };
    struct told told = {.pool = open_pool(2)};
    mpm_callbacks callbacks = {.done = destroy_in_a_callback, .argument = &told};
    mpm_result *result;

    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, square, &(int){1}, sizeof(int), sizeof(long),
                                             &callbacks, i % 2 ? &result : NULL),
                        MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&told.done), CALLS);
}

static void leave_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;

    (void)result;
    if (atomic_fetch_add(&told->done, 1) % 3 == 1)
        pthread_exit(NULL);
}

static void a_callback_may_end_its_thread(void)
{
    enum { CALLS = 20 };
    struct told told = {.pool = open_pool(2)};
    mpm_callbacks callbacks = {.done = leave_in_a_callback, .argument = &told};
    mpm_result *results[CALLS];

    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, square, &(int){1}, sizeof(int), sizeof(long),
                                             &callbacks, i % 2 ? &results[i] : NULL),
                        MPM_OK);
    for (int i = 1; i < CALLS; i += 2) {
        CU_ASSERT_EQUAL(mpm_result_get(results[i], MPM_FOREVER, NULL), MPM_OK);
        mpm_result_destroy(results[i]);
    }
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&told.done), CALLS);
}

static void terminate_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;

    (void)result;
    mpm_pool_terminate(told->pool);
    atomic_store(&told->done, 1);
}

static void a_callback_may_terminate_its_pool(void)
{
    struct told told = {.pool = open_pool(3 * mpm_node_count()), .status = -1};
    mpm_callbacks callbacks = {.done = terminate_in_a_callback, .argument = &told};

    forget();
    told.other = wait_in_a_map(told.pool, 2);
    CU_ASSERT(gate_reached(&shared->inside, 2));
    CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, count_up, NULL, 0, 0, &callbacks, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(told.other, MPM_FOREVER, NULL), MPM_ECANCELED);
    CU_ASSERT(gate_reached(&told.done, 1));
    mpm_result_destroy(told.other);
}

/* Ending. */

static void cancel_ends_a_map_and_its_tasks(void)
{
    struct arena_usage before, after;
    mpm_pool *pool = open_pool(3);
    int *items = numbers(COUNT);
    mpm_result *canceled, *other;
    const void *squares = NULL;

    forget();
    arena_usage(context_arena(), &before);
    canceled = wait_in_a_map(pool, 1000);
    CU_ASSERT(gate_reached(&shared->inside, 3));
    other = map_squares(pool, items, COUNT, NULL);
    CU_ASSERT_EQUAL(mpm_result_cancel(canceled), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(canceled, 0, NULL), MPM_ECANCELED);
    CU_ASSERT_EQUAL(result_is_successful(canceled), 0);
    CU_ASSERT_EQUAL_FATAL(mpm_result_get(other, MPM_FOREVER, &squares), MPM_OK);
    CU_ASSERT_EQUAL(wrong_squares(squares, items, COUNT), 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 0);
    mpm_result_destroy(canceled);
    mpm_result_destroy(other);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    mpm_pool_close(pool);
    free(items);
}

static void what_waits_for_its_turn_is_canceled_at_once(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_result *results[300];

    forget();
    for (size_t i = 0; i < 300; i++)
        results[i] = wait_in_a_map(pool, 1);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    CU_ASSERT_EQUAL(mpm_result_cancel(results[299]), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_cancel(results[250]), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_cancel(results[0]), MPM_OK);
    mpm_result_destroy(results[200]);
    CU_ASSERT_EQUAL(result_is_ready(results[298]), 0);
    atomic_store(&shared->gate, 1);
    for (size_t i = 0; i < 300; i++) {
        int status = i == 299 || i == 250 || i == 0 ? MPM_ECANCELED : MPM_OK;

        if (i == 200)
            continue;
        CU_ASSERT_EQUAL(mpm_result_get(results[i], MPM_FOREVER, NULL), status);
        mpm_result_destroy(results[i]);
    }
    mpm_pool_close(pool);
}

static void *get_forever(void *argument)
{
    struct told *told = argument;

    told->status = mpm_result_get(told->other, MPM_FOREVER, NULL);
    return NULL;
}

static void terminate_ends_what_is_waited_for(void)
{
    struct told told = {.pool = open_pool(2)};
    mpm_result *others[100];
    pthread_t thread;

    forget();
    told.other = wait_in_a_map(told.pool, 10);
    for (size_t i = 0; i < 100; i++)
        others[i] = wait_in_a_map(told.pool, 1);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, get_forever, &told), 0);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    mpm_pool_terminate(told.pool);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(told.status, MPM_ECANCELED);
    for (size_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(others[i], 0, NULL), MPM_ECANCELED);
        mpm_result_destroy(others[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 0);
    mpm_result_destroy(told.other);
}

static void *apply_at_gate(void *argument)
{
    struct told *told = argument;

    told->status = mpm_pool_apply(told->pool, wait_at_gate, NULL, 0, 0, NULL);
    return NULL;
}

static void terminate_ends_an_apply_of_another_thread(void)
{
    struct told told[6];
    mpm_pool *pool = open_pool(2);
    pthread_t threads[6];
    int canceled = 0;

    forget();
    for (int i = 0; i < 6; i++) {
        told[i] = (struct told){.pool = pool};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, apply_at_gate, &told[i]), 0);
    }
    CU_ASSERT(gate_reached(&shared->inside, 2));
    mpm_pool_terminate(pool);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        canceled += told[i].status == MPM_ECANCELED;
        CU_ASSERT(told[i].status == MPM_ECANCELED || told[i].status == MPM_ESTATE);
    }
    CU_ASSERT(canceled >= 2); /* others may not have begun before the end did */
}

static void close_drains_what_was_begun(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_result *results[20];

    forget();
    atomic_store(&shared->gate, 1);
    for (size_t i = 0; i < 20; i++)
        results[i] = wait_in_a_map(pool, 3);
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 60);
    for (size_t i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(results[i], 0, NULL), MPM_OK);
        mpm_result_destroy(results[i]);
    }
}

static int no_item(void *argument, void *item)
{
    (void)argument;
    (void)item;
    return 0;
}

/* Every call that begins something in a pool; how many are not told that its end has begun. */
static int count_let_in(mpm_pool *pool)
{
    mpm_result *result = NULL;
    mpm_stream *stream = NULL;
    mpm_stats *stats = NULL;
    int n = 3, let_in = 0;
    long squared = 0;

    let_in += mpm_pool_map(pool, square, &n, 1, sizeof n, sizeof squared, NULL, &squared) != MPM_ESTATE;
    let_in += !error_has("mpm_pool_map: the pool is closed or closing");
    let_in += mpm_pool_map_blobs(pool, square, NULL, 0, NULL, NULL) != MPM_ESTATE;
    let_in += mpm_pool_apply(pool, square, &n, sizeof n, sizeof squared, &squared) != MPM_ESTATE;
    let_in += mpm_pool_map_async(pool, square, &n, 1, sizeof n, 8, NULL, NULL, NULL, &result) != MPM_ESTATE;
    let_in += mpm_pool_apply_async(pool, square, &n, sizeof n, sizeof(long), NULL, &result) != MPM_ESTATE;
    let_in += mpm_pool_imap(pool, square, no_item, NULL, sizeof n, sizeof(long), NULL, &stream) != MPM_ESTATE;
    let_in += mpm_pool_stats(pool, &stats) != MPM_ESTATE;
    let_in += mpm_pool_worker_count(pool) != 0;
    return let_in + (result || stream || stats || squared);
}

static void call_when_the_end_has_begun(mpm_result *result, void *argument)
{
    struct told *told = argument;

    (void)result;
    while (mpm_pool_worker_count(told->pool))
        usleep(100);
    told->status = count_let_in(told->pool);
    atomic_store(&told->done, mpm_pool_close(told->pool) == MPM_ESTATE);
}

static void nothing_is_begun_in_a_pool_once_its_end_has_begun(void)
{
    struct told told = {.pool = open_pool(2), .status = -1};
    mpm_callbacks callbacks = {.done = call_when_the_end_has_begun, .argument = &told};

    CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, count_up, NULL, 0, 0, &callbacks, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_OK);
    CU_ASSERT_EQUAL(told.status, 0);
    CU_ASSERT_EQUAL(atomic_load(&told.done), 1);
    CU_ASSERT_EQUAL(count_let_in(told.pool), 0);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_pool_terminate(told.pool), MPM_ESTATE);
    CU_ASSERT(error_has("mpm_pool_terminate: the pool is closed"));
}

static void *call_until_refused(void *argument)
{
    struct told *told = argument;
    int items[8] = {3, 3, 3, 3, 3, 3, 3, 3};
    long squares[8];

    while (
        !(told->status = told->applies
                             ? mpm_pool_apply(told->pool, square, items, sizeof *items, 8, squares)
                             : mpm_pool_map(told->pool, square, items, 8, sizeof *items, 8, NULL, squares)))
        atomic_fetch_add(&told->done, squares[0] == 9);
    return NULL;
}

static void threads_may_call_while_a_pool_is_closed(void)
{
    for (int round = 0; round < AMOUNT(30, 3); round++) {
        mpm_pool *pool = open_pool(2);
        pthread_t threads[4];
        struct told told[4];

        for (int i = 0; i < 4; i++) {
            told[i] = (struct told){.pool = pool, .applies = i % 2};
            CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, call_until_refused, &told[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            CU_ASSERT(gate_reached(&told[i].done, 1 + round % 4));
        CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            CU_ASSERT_EQUAL(told[i].status, MPM_ESTATE);
        }
    }
}

static void *close_in_a_thread(void *argument)
{
    struct told *told = argument;

    told->status = mpm_pool_close(told->pool);
    return NULL;
}

static void terminate_ends_a_pool_that_is_being_closed(void)
{
    struct told told = {.pool = open_pool(2), .status = -1};
    mpm_result *result;
    pthread_t thread;

    forget();
    result = wait_in_a_map(told.pool, 10);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, close_in_a_thread, &told), 0);
    while (mpm_pool_worker_count(told.pool))
        usleep(100);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_ESTATE);
    CU_ASSERT(error_has("another call is closing it"));
    CU_ASSERT_EQUAL(mpm_pool_terminate(told.pool), MPM_OK);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(told.status, MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0, NULL), MPM_ECANCELED);
    mpm_result_destroy(result);
    CU_ASSERT_EQUAL(mpm_pool_terminate(told.pool), MPM_ESTATE);
}

static void finalize_in_a_callback(mpm_result *result, void *argument)
{
    struct told *told = argument;

    (void)result;
    told->status = mpm_finalize() == MPM_ESTATE && error_has("a callback cannot end the run");
    atomic_store(&told->done, 1);
}

/* With two workers in items that wait at the gate. */
static mpm_result *begin_waiting(mpm_pool **pool, size_t count)
{
    mpm_result *result;

    *pool = open_pool(2);
    forget();
    result = wait_in_a_map(*pool, count);
    CU_ASSERT(gate_reached(&shared->inside, 2));
    return result;
}

static void nothing_new_is_taken(mpm_pool *pool)
{
    mpm_stream *stream;
    int item = 1;
    long squared;

    CU_ASSERT_EQUAL(mpm_map(pool, square, &item, 1, &squared), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_apply(pool, square, &item, &squared), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, square, &item, sizeof item, sizeof squared, NULL, NULL),
                    MPM_ESTATE);
    CU_ASSERT_EQUAL(
        mpm_pool_map_async(pool, square, &item, 1, sizeof item, sizeof squared, NULL, NULL, NULL, NULL),
        MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, square, no_items, NULL, sizeof item, sizeof squared, NULL, &stream),
                    MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), 0);
}

static void what_was_submitted_before_a_shutdown_comes_to_its_end(void)
{
    mpm_pool *pool;
    mpm_result *result = begin_waiting(&pool, 5);

    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_ESTATE);
    CU_ASSERT(strstr(mpm_error(), "is still open") != NULL);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    nothing_new_is_taken(pool);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, 0), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, 0.01), MPM_ETIMEDOUT);
    nothing_new_is_taken(pool);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0, NULL), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 5);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_DROP), MPM_ESTATE);
    nothing_new_is_taken(pool);
    mpm_result_destroy(result);
}

enum { DROPPED = 200 };

/* Before the gate is open: so nobody waits for what runs. */
static void what_has_not_begun_is_dropped_by_a_shutdown(void)
{
    mpm_pool *pool;
    mpm_result *runs = begin_waiting(&pool, 2), *dropped[DROPPED];

    for (int i = 0; i < DROPPED; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, square, &i, sizeof i, sizeof(long), NULL, &dropped[i]), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_DROP), MPM_OK);
    for (int i = 0; i < DROPPED; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(dropped[i], MPM_FOREVER, NULL), MPM_ECANCELED);
        mpm_result_destroy(dropped[i]);
    }
    CU_ASSERT_EQUAL(result_is_ready(runs), 0);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, 0), MPM_ETIMEDOUT);
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(runs, 0, NULL), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&shared->outside), 2);
    mpm_result_destroy(runs);
}

static void a_pool_that_is_shut_down_may_be_closed_or_terminated(void)
{
    mpm_pool *pool;
    mpm_result *result = begin_waiting(&pool, 5);

    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_terminate(pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0, NULL), MPM_ECANCELED);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, 0), MPM_ESTATE);
    mpm_result_destroy(result);

    result = begin_waiting(&pool, 5);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_terminate(pool), MPM_ESTATE);
    mpm_result_destroy(result);
}

static void *join_again_and_again(void *pool)
{
    int status;

    while ((status = mpm_pool_join(pool, 0.0002)) == MPM_ETIMEDOUT)
        ;
    return status && status != MPM_ESTATE ? pool : NULL;
}

/* Whoever terminates it may come while a join gives up: one of the two ends it. */
static void a_pool_may_be_terminated_while_it_is_joined(void)
{
    for (int i = 0; i < AMOUNT(30, 10); i++) {
        mpm_pool *pool;
        mpm_result *result = begin_waiting(&pool, 5);
        void *wrong = NULL;
        pthread_t joiner;

        CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&joiner, NULL, join_again_and_again, pool), 0);
        CU_ASSERT_EQUAL(mpm_pool_terminate(pool), MPM_OK);
        pthread_join(joiner, &wrong);
        CU_ASSERT_PTR_NULL(wrong);
        CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_ECANCELED);
        mpm_result_destroy(result);
    }
}

static void shut_down(mpm_result *result, void *argument)
{
    mpm_pool *pool = argument;

    (void)result;
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_OK);
    atomic_store(&shared->gate, 1);
}

static void shut_down_in_progress(const mpm_progress *now, void *argument)
{
    (void)now;
    CU_ASSERT_EQUAL(mpm_pool_shutdown(argument, MPM_DROP), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_join(argument, MPM_FOREVER), MPM_ESTATE);
}

static void callbacks_and_progress_functions_may_shut_down(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_callbacks callbacks = {.done = shut_down, .argument = pool};
    mpm_map_options options = {.progress = shut_down_in_progress};
    int item = 3;
    long squared = 0;

    forget();
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, square, &item, sizeof item, sizeof squared, &callbacks, NULL),
                    MPM_OK);
    CU_ASSERT(gate_reached(&shared->gate, 1));
    options.progress_argument = pool = open_pool(2);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, &item, 1, sizeof item, sizeof squared, &options, &squared),
                    MPM_OK);
    CU_ASSERT_EQUAL(squared, 9);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_OK);
}

static void a_callback_cannot_end_the_run(void)
{
    struct told told = {.pool = open_pool(1)};
    mpm_callbacks callbacks = {.done = finalize_in_a_callback, .argument = &told};

    CU_ASSERT_EQUAL(mpm_pool_apply_async(told.pool, count_up, NULL, 0, 0, &callbacks, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_OK);
    CU_ASSERT_EQUAL(atomic_load(&told.done), 1);
    CU_ASSERT_EQUAL(told.status, 1);
}

static void nonsense_is_refused(void)
{
    mpm_pool *pool = open_pool(1);
    mpm_result *result = NULL;
    int item = 1;
    long squared;
    mpm_map_options with_failures = {.failure_count = &(size_t){0}};

    CU_ASSERT_EQUAL(mpm_pool_map_async(NULL, square, &item, 1, 4, 8, NULL, NULL, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("mpm_pool_map_async: the pool is NULL"));
    CU_ASSERT_EQUAL(mpm_pool_map_async(pool, NULL, &item, 1, 4, 8, NULL, NULL, NULL, &result), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_map_async(pool, square, NULL, 1, 4, 8, NULL, NULL, NULL, &result), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_map_async(pool, square, &item, SIZE_MAX, 0, 8, NULL, NULL, NULL, &result),
                    MPM_EINVAL);
    CU_ASSERT_EQUAL(
        mpm_pool_map_async(pool, wait_at_gate, NULL, SIZE_MAX - 5, 0, 1, NULL, NULL, NULL, &result),
        MPM_ENOMEM);
    CU_ASSERT_EQUAL(mpm_pool_map_async(pool, square, &item, 1, 4, 8, &with_failures, NULL, NULL, &result),
                    MPM_EINVAL);
    CU_ASSERT(error_has("ask the result with mpm_result_failures instead"));
    CU_ASSERT_EQUAL(mpm_pool_apply(NULL, square, &item, 4, 8, &squared), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, NULL, &item, 4, 8, &squared), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, square, NULL, 4, 8, &squared), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, square, &item, 4, 8, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, (mpm_task *)(void *)&shared, &item, 4, 8, &squared), MPM_EINVAL);
    CU_ASSERT(error_has("is not a function"));
    CU_ASSERT_EQUAL(mpm_pool_apply_async(pool, square, NULL, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT_PTR_NULL(result);
    CU_ASSERT_EQUAL(mpm_result_get(NULL, 0, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_result_wait(NULL, 0), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_result_cancel(NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(result_is_successful(NULL), MPM_EINVAL);
    mpm_pool_close(pool);
}

/* Each waits for all the others: so they must be spread over all workers of all nodes. */
static void maps_of_one_item_go_to_all_nodes(void)
{
    unsigned count = mpm_slot_count();
    mpm_result **result = calloc(count, sizeof *result);
    mpm_pool *pool = NULL;

    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_map_async(pool, wait_at_gate, NULL, 1, 0, 0, NULL, NULL, NULL, &result[i]), MPM_OK);
    CU_ASSERT(gate_reached(&shared->inside, (int)count));
    atomic_store(&shared->gate, 1);
    for (unsigned i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(mpm_result_get(result[i], MPM_FOREVER, NULL), MPM_OK);
        mpm_result_destroy(result[i]);
    }
    mpm_pool_close(pool);
    free(result);
}

/* It is shut down, and not joined: mpm_finalize() waits for what it has to do. */
static int leave_a_pool_to_the_end_of_the_run(void)
{
    mpm_pool *pool;

    forget();
    atomic_store(&shared->gate, 1);
    return mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool) ||
           mpm_pool_map_async(pool, wait_at_gate, NULL, 3, 0, 0, NULL, NULL, NULL, NULL) ||
           mpm_pool_shutdown(pool, MPM_FINISH);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_result_is_got_again_and_again", a_result_is_got_again_and_again},
        {"a_result_has_room_of_its_own_and_outlives_its_pool",
         a_result_has_room_of_its_own_and_outlives_its_pool},
        {"what_is_not_ready_says_so", what_is_not_ready_says_so},
        {"results_are_taken_as_they_come", results_are_taken_as_they_come},
        {"results_are_waited_for_beside_other_objects", results_are_waited_for_beside_other_objects},
        {"a_result_lists_its_failures", a_result_lists_its_failures},
        {"many_maps_run_at_once_in_several_pools", many_maps_run_at_once_in_several_pools},
        {"a_map_of_no_items_is_ready_soon", a_map_of_no_items_is_ready_soon},
        {"the_context_is_copied", the_context_is_copied},
        {"apply_runs_a_task_once", apply_runs_a_task_once},
        {"apply_carries_any_size", apply_carries_any_size},
        {"apply_takes_no_item_and_no_result", apply_takes_no_item_and_no_result},
        {"apply_tells_a_failure_and_goes_on", apply_tells_a_failure_and_goes_on},
        {"apply_tells_what_the_task_said", apply_tells_what_the_task_said},
        {"apply_past_its_time_fails", apply_past_its_time_fails},
        {"applies_of_many_threads_run_at_once", applies_of_many_threads_run_at_once},
        {"many_async_calls_use_all_nodes", many_async_calls_use_all_nodes},
        {"an_async_call_copies_its_item", an_async_call_copies_its_item},
        {"callbacks_are_called_before_close_returns", callbacks_are_called_before_close_returns},
        {"a_callback_may_map", a_callback_may_map},
        {"a_callback_may_cancel_and_destroy", a_callback_may_cancel_and_destroy},
        {"a_callback_may_terminate_its_pool", a_callback_may_terminate_its_pool},
        {"a_callback_may_destroy_what_nobody_has_asked_for",
         a_callback_may_destroy_what_nobody_has_asked_for},
        {"a_callback_may_end_its_thread", a_callback_may_end_its_thread},
        {"cancel_ends_a_map_and_its_tasks", cancel_ends_a_map_and_its_tasks},
        {"what_waits_for_its_turn_is_canceled_at_once", what_waits_for_its_turn_is_canceled_at_once},
        {"terminate_ends_what_is_waited_for", terminate_ends_what_is_waited_for},
        {"terminate_ends_an_apply_of_another_thread", terminate_ends_an_apply_of_another_thread},
        {"close_drains_what_was_begun", close_drains_what_was_begun},
        {"nothing_is_begun_in_a_pool_once_its_end_has_begun",
         nothing_is_begun_in_a_pool_once_its_end_has_begun},
        {"threads_may_call_while_a_pool_is_closed", threads_may_call_while_a_pool_is_closed},
        {"terminate_ends_a_pool_that_is_being_closed", terminate_ends_a_pool_that_is_being_closed},
        {"what_was_submitted_before_a_shutdown_comes_to_its_end",
         what_was_submitted_before_a_shutdown_comes_to_its_end},
        {"what_has_not_begun_is_dropped_by_a_shutdown", what_has_not_begun_is_dropped_by_a_shutdown},
        {"a_pool_that_is_shut_down_may_be_closed_or_terminated",
         a_pool_that_is_shut_down_may_be_closed_or_terminated},
        {"a_pool_may_be_terminated_while_it_is_joined", a_pool_may_be_terminated_while_it_is_joined},
        {"callbacks_and_progress_functions_may_shut_down", callbacks_and_progress_functions_may_shut_down},
        {"a_callback_cannot_end_the_run", a_callback_cannot_end_the_run},
        {"maps_of_one_item_go_to_all_nodes", maps_of_one_item_go_to_all_nodes},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    shared = shared_file("async_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("async", tests, sizeof tests / sizeof *tests);
    if (leave_a_pool_to_the_end_of_the_run() || mpm_finalize())
        return mpm_report_error();
    return failed || atomic_load(&shared->outside) != 3;
}

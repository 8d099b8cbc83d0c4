/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps over items in memory, as a user's program makes them, at home and over virtual nodes. What tasks must
 * remember across workers' deaths stands in a file that all ranks map before mpm_init, so that all workers
 * inherit it. */
#include <CUnit/CUnit.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define TOLD_ROOM  100000

/* Set once for each item that has been through what a test does to it once. */
static _Atomic unsigned char *told;
/* Whether somebody has looked how far a map is. */
static _Atomic int *looked;

static bool first_time(size_t index)
{
    return !atomic_exchange(&told[index % TOLD_ROOM], 1);
}

static void forget(void)
{
    for (size_t i = 0; i < TOLD_ROOM; i++)
        atomic_store_explicit(&told[i], 0, memory_order_relaxed);
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
    long *squared = result;

    (void)call;
    *squared = (long)*n * *n;
    return 0;
}

static void check_squares(mpm_pool *pool, size_t count, size_t chunk)
{
    int *numbers = malloc(count * sizeof *numbers);
    long *squares = malloc(count * sizeof *squares);
    size_t wrong = 0;

    CU_ASSERT_FATAL(numbers && squares);
    memset(squares, 0xff, count * sizeof *squares);
    for (size_t i = 0; i < count; i++)
        numbers[i] = (int)(i * 7 % 30011);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, numbers, count, sizeof *numbers, sizeof *squares,
                                 &(mpm_map_options){.chunk = chunk}, squares),
                    MPM_OK);
    for (size_t i = 0; i < count; i++)
        wrong += squares[i] != (long)numbers[i] * numbers[i];
    CU_ASSERT_EQUAL(wrong, 0);
    free(numbers);
    free(squares);
}

static void map_keeps_order(void)
{
    static const size_t chunks[] = {0, 1, 7, 1000000};
    mpm_pool *pool = open_pool(0);

    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        check_squares(pool, 1000003, chunks[i]);
    mpm_pool_close(pool);
}

struct pair {
    int first, second;
};

static int swap(mpm_call *call, const void *item, void *result)
{
    const struct pair *pair = item;
    struct pair *swapped = result;

    *swapped = (struct pair){pair->second, pair->first};
    return mpm_call_item_size(call) != sizeof *pair || mpm_call_result_size(call) != sizeof *swapped;
}

static void short_forms_know_the_sizes(void)
{
    mpm_pool *pool = open_pool(2);
    struct pair pairs[3] = {{1, 2}, {3, 4}, {5, 6}}, swapped[3], one = {0, 0};
    const int numbers[4] = {1, 2, 3, 4};
    long *squares = calloc(4, sizeof *squares);

    CU_ASSERT_FATAL(squares != NULL);
    CU_ASSERT_EQUAL(mpm_map(pool, swap, pairs, 3, swapped), MPM_OK);
    CU_ASSERT(swapped[0].first == 2 && swapped[2].first == 6 && swapped[2].second == 5);
    CU_ASSERT_EQUAL(mpm_map(pool, square, numbers, 4, squares), MPM_OK);
    CU_ASSERT(squares[0] == 1 && squares[3] == 16);
    CU_ASSERT_EQUAL(mpm_apply(pool, swap, &pairs[1], &one), MPM_OK);
    CU_ASSERT(one.first == 4 && one.second == 3);
    free(squares);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_map(NULL, swap, pairs, 3, swapped), MPM_EINVAL);
}

static void map_of_few_items_uses_any_number_of_workers(void)
{
    for (unsigned workers = 1; workers <= 9; workers += 2) {
        mpm_pool *pool = open_pool(workers);

        CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), workers);
        for (size_t count = 1; count <= 70; count += 23)
            check_squares(pool, count, 0);
        mpm_pool_close(pool);
    }
}

static void map_of_no_items_returns_at_once(void)
{
    mpm_pool *pool = open_pool(0);
    long untouched = 42;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, NULL, 0, sizeof(int), sizeof untouched, NULL, &untouched),
                    MPM_OK);
    CU_ASSERT_EQUAL(untouched, 42);
    mpm_pool_close(pool);
}

static int tell_index(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    if (item || mpm_call_item_size(call) || mpm_call_result_size(call) != sizeof index ||
        mpm_call_context(call))
        return mpm_fail(call, "the call tells wrong things of item %zu", index);
    memcpy(result, &index, sizeof index);
    return 0;
}

static void map_without_items_passes_the_index(void)
{
    mpm_pool *pool = open_pool(0);
    size_t *indexes = calloc(300000, sizeof *indexes), wrong = 0;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_index, NULL, 300000, 0, sizeof *indexes, NULL, indexes), MPM_OK);
    for (size_t i = 0; i < 300000; i++)
        wrong += indexes[i] != i;
    CU_ASSERT_EQUAL(wrong, 0);
    free(indexes);
    mpm_pool_close(pool);
}

#define LARGE 100000

static int turn_over(mpm_call *call, const void *item, void *result)
{
    const char *from = item;
    char *to = result;

    (void)call;
    for (size_t i = 0; i < LARGE; i++)
        to[i] = from[LARGE - 1 - i];
    return 0;
}

static void map_carries_large_items(void)
{
    mpm_pool *pool = open_pool(0);
    size_t count = 200, wrong = 0;
    char *items = malloc(count * LARGE), *results = malloc(count * LARGE);

    for (size_t i = 0; i < count * LARGE; i++)
        items[i] = (char)(i * 2654435761u >> 24);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, turn_over, items, count, LARGE, LARGE, NULL, results), MPM_OK);
    for (size_t i = 0; i < count * LARGE; i++)
        wrong += results[i] != items[i / LARGE * LARGE + LARGE - 1 - i % LARGE];
    CU_ASSERT_EQUAL(wrong, 0);
    free(items);
    free(results);
    mpm_pool_close(pool);
}

static int add_context(mpm_call *call, const void *item, void *result)
{
    const int *numbers = mpm_call_context(call), *n = item;
    int *sum = result;

    *sum = *n + numbers[0] + numbers[9999];
    return 0;
}

static void map_hands_its_context_to_every_call(void)
{
    mpm_pool *pool = open_pool(0);
    int *context = calloc(10000, sizeof *context), items[100], sums[100];
    size_t wrong = 0;

    context[0] = 1000;
    context[9999] = 234;
    for (int i = 0; i < 100; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, add_context, items, 100, sizeof *items, sizeof *sums,
                     &(mpm_map_options){.context = context, .context_size = 10000 * sizeof *context}, sums),
        MPM_OK);
    for (int i = 0; i < 100; i++)
        wrong += sums[i] != i + 1234;
    CU_ASSERT_EQUAL(wrong, 0);
    free(context);
    mpm_pool_close(pool);
}

static int fail_on_odd_thousands(mpm_call *call, const void *item, void *result)
{
    const int *n = item;
    int *copy = result;

    *copy = *n + 1;
    if (*n % 2000 == 1000)
        return mpm_fail(call, "%d is an odd number of thousands", *n);
    if (*n % 2000 == 1500)
        return 17;
    return 0;
}

static void a_failing_item_is_named_and_the_others_are_good(void)
{
    mpm_pool *pool = open_pool(0);
    int *items = malloc(50000 * sizeof *items), *results = malloc(50000 * sizeof *results);
    size_t wrong = 0;

    for (int i = 0; i < 50000; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_on_odd_thousands, items, 50000, sizeof *items, sizeof *results,
                                 NULL, results),
                    MPM_ETASK);
    CU_ASSERT(
        error_has("50 of 50000 items failed; the first is item 1000: 1000 is an odd number of thousands"));
    for (int i = 0; i < 50000; i++)
        wrong += results[i] != (i % 2000 == 1000 || i % 2000 == 1500 ? 0 : i + 1);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_on_odd_thousands, items + 1500, 1, sizeof *items, sizeof *results,
                                 NULL, results),
                    MPM_ETASK);
    CU_ASSERT(error_has("item 0: the task returned 17"));
    free(items);
    free(results);
    mpm_pool_close(pool);
}

static int fail_always(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return mpm_fail(call, "no %zu", mpm_call_index(call));
}

static void every_item_may_fail(void)
{
    mpm_pool *pool = open_pool(0);

    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_always, NULL, 20000, 0, 0, NULL, NULL), MPM_ETASK);
    CU_ASSERT(error_has("20000 of 20000 items failed; the first is item 0: no 0"));
    mpm_pool_close(pool);
}

/* Items of whose number the last digits are… */
enum { CRASH = 777, EXIT = 333, ABORT = 555, STOP_BEING = 111 };

static int crash_now_and_then(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    (void)item;
    memcpy(result, &index, sizeof index);
    switch (index % 1000) {
    case CRASH:
        raise(SIGSEGV);
        break;
    case EXIT:
        exit(3);
    case ABORT:
        abort();
    case STOP_BEING:
        if (first_time(index))
            raise(SIGKILL);
        break;
    }
    return 0;
}

static void check_crashes(mpm_pool *pool, size_t chunk)
{
    size_t results[2000], wrong = 0;

    forget();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash_now_and_then, NULL, 2000, 0, sizeof *results,
                                 &(mpm_map_options){.chunk = chunk}, results),
                    MPM_ETASK);
    CU_ASSERT(error_has(
        "6 of 2000 items failed; the first is item 333: its worker exited with code 3 (2 attempts)"));
    for (size_t i = 0; i < 2000; i++) {
        size_t digits = i % 1000;

        wrong += results[i] != (digits == CRASH || digits == EXIT || digits == ABORT ? 0 : i);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Some workers die in an item, others note that one fails. */
static int die_or_fail(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    (void)item;
    if (index % 16 == 0 && first_time(index))
        raise(SIGSEGV);
    memcpy(result, &index, sizeof index);
    return index % 7 == 3;
}

static void check_few_items(mpm_pool *pool, size_t count)
{
    size_t results[65], wrong = 0, failure_count = 0;
    mpm_failure *failures = NULL;

    forget();
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, die_or_fail, NULL, count, 0, sizeof *results,
                     &(mpm_map_options){.chunk = 1, .failures = &failures, .failure_count = &failure_count},
                     results),
        MPM_ETASK);
    for (size_t i = 0; i < count; i++)
        wrong += results[i] != (i % 7 == 3 ? 0 : i);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL_FATAL(failure_count, (count + 3) / 7);
    for (size_t i = 0; i < failure_count; i++)
        CU_ASSERT_EQUAL(failures[i].index, 7 * i + 3);
    free(failures);
}

static int wait_for_a_look(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return gate_reached(looked, 1) ? 0 : mpm_fail(call, "nobody has looked");
}

static void look_once(const mpm_progress *now, void *done)
{
    if (!atomic_exchange(looked, 1))
        *(uint64_t *)done = now->done;
}

/* Their words are clear before the first item has ended. */
static void check_none_is_done_at_first(mpm_pool *pool, size_t count)
{
    uint64_t done = count;

    atomic_store(looked, 0);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, wait_for_a_look, NULL, count, 0, 0,
                     &(mpm_map_options){.chunk = 1, .progress = look_once, .progress_argument = &done}, NULL),
        MPM_OK);
    CU_ASSERT_EQUAL(done, 0);
}

/* What each worker has done is one word beside the claim counter where both are few, and lines of its own else. */
static void of_few_items_none_is_lost_or_done_twice_whatever_dies(void)
{
    for (unsigned workers = 5; workers <= 7; workers++) {
        mpm_pool *pool = open_pool(workers * mpm_node_count());

        for (size_t count = 63; count <= 65; count++)
            check_few_items(pool, count);
        check_none_is_done_at_first(pool, 63);
        mpm_pool_close(pool);
    }
}

static void a_crash_costs_its_item_only(void)
{
    mpm_pool *pool = open_pool(0);

    check_crashes(pool, 1);
    check_crashes(pool, 50);
    check_crashes(pool, 0);
    check_squares(pool, 10000, 0);
    mpm_pool_close(pool);
}

static int die_once_often(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    (void)item;
    if (index * 2654435761u % 4096 < 4 && first_time(index))
        kill(getpid(), SIGKILL);
    memcpy(result, &index, sizeof index);
    return 0;
}

static void workers_that_die_at_random_lose_nothing(void)
{
    mpm_pool *pool = open_pool(3);
    size_t count = 100000, *results = calloc(count, sizeof *results), wrong = 0;

    forget();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, die_once_often, NULL, count, 0, sizeof *results, NULL, results),
                    MPM_OK);
    for (size_t i = 0; i < count; i++)
        wrong += results[i] != i;
    CU_ASSERT_EQUAL(wrong, 0);
    free(results);
    mpm_pool_close(pool);
}

/* Maps with costs. */

#define COSTLY 3000u

struct twelve {
    uint32_t a, b, c;
};

static double cost_of(size_t index)
{
    return index % 97 == 5 ? NAN : (double)(index * 2654435761u % 1009) - 100;
}

/* Says what does not fit together; some crash, once or always. */
static int check_item(mpm_call *call, const void *item, void *result)
{
    const struct twelve *own = item;
    size_t index = mpm_call_index(call);

    if (mpm_call_item_size(call) != sizeof *own || own->a != index || own->b != 2 * index ||
        own->c != 3 * index)
        return mpm_fail(call, "another item");
    if (index % 1000 == 500 || (index % 500 == 77 && first_time(index)))
        raise(SIGSEGV);
    if (index % 1000 == 600)
        return mpm_fail(call, "item %zu fails", index);
    memcpy(result, &index, sizeof index);
    return 0;
}

static void check_costly_map(mpm_pool *pool, size_t chunk)
{
    struct twelve items[COSTLY];
    double costs[COSTLY];
    size_t results[COSTLY], wrong = 0, count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {
        .chunk = chunk, .costs = costs, .failures = &failures, .failure_count = &count};

    forget();
    for (uint32_t i = 0; i < COSTLY; i++) {
        items[i] = (struct twelve){i, 2 * i, 3 * i};
        costs[i] = cost_of(i);
    }
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, check_item, items, COSTLY, sizeof *items, sizeof *results, &options, results),
        MPM_ETASK);
    for (size_t i = 0; i < COSTLY; i++)
        wrong += results[i] != (i % 1000 == 500 || i % 1000 == 600 ? 0 : i);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL_FATAL(count, 2 * COSTLY / 1000);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(failures[i].index, i / 2 * 1000 + (i % 2 ? 600 : 500));
    CU_ASSERT_STRING_EQUAL(failures[1].text, "item 600 fails");
    free(failures);
}

static void costs_change_the_order_and_nothing_else(void)
{
    mpm_pool *pool = open_pool(0);

    check_costly_map(pool, 1);
    check_costly_map(pool, 0);
    mpm_pool_close(pool);
}

/* How many items this worker has begun before. */
static int count_begun(mpm_call *call, const void *item, void *result)
{
    static size_t begun;

    (void)call;
    (void)item;
    memcpy(result, &begun, sizeof begun);
    begun++;
    return 0;
}

static void what_costs_most_is_begun_first(void)
{
    static const double costs[] = {1, 5, 3, 5, -1, 9, 0, 2, 7, 4};
    static const size_t places[] = {7, 2, 5, 3, 9, 0, 8, 6, 1, 4};
    size_t results[10];
    mpm_pool *pool = open_pool(1);

    CU_ASSERT_EQUAL(mpm_pool_map(pool, count_begun, NULL, 10, 0, sizeof *results,
                                 &(mpm_map_options){.costs = costs}, results),
                    MPM_OK);
    CU_ASSERT_EQUAL(memcmp(results, places, sizeof places), 0);
    mpm_pool_close(pool);
}

struct whereabouts {
    pid_t pid;
    unsigned node;
};

static int tell_whereabouts(mpm_call *call, const void *item, void *result)
{
    struct whereabouts here = {.pid = getpid(), .node = mpm_node_id()};
    volatile double x = 0;

    (void)call;
    (void)item;
    for (int i = 0; i < 2000; i++)
        x += i;
    memcpy(result, &here, sizeof here);
    return 0;
}

/* Whether a node stands on main's machine, so that its process ids mean something here. */
static bool is_here(unsigned node)
{
    mpm_node own, other;

    if (mpm_node_info(0, &own) || mpm_node_info(node, &other))
        return false;
    own.name[strcspn(own.name, "/")] = 0;
    other.name[strcspn(other.name, "/")] = 0;
    return !strcmp(own.name, other.name);
}

/* Kills whatever worker it finds, from outside, at any instruction, until told to stop. */
struct killer {
    pid_t pids[64];
    unsigned count;
    _Atomic bool stop;
};

static void *kill_them(void *argument)
{
    struct killer *killer = argument;

    for (unsigned i = 0; i < killer->count && !atomic_load(&killer->stop); i++)
        kill(killer->pids[i], SIGKILL);
    return NULL;
}

/* A killed worker may be blamed on an innocent item, which is tried again: with one kill a worker none can
 * fail. */
static void workers_killed_from_outside_lose_nothing(void)
{
    mpm_pool *pool = open_pool(4);
    size_t count = AMOUNT(200000, 20000), wrong = 0;
    struct whereabouts *results = calloc(count, sizeof *results);
    struct killer killer = {.count = 0};
    pthread_t thread;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_whereabouts, NULL, count, 0, sizeof *results, NULL, results),
                    MPM_OK);
    for (size_t i = 0; i < count; i++) {
        unsigned known = 0;

        while (known < killer.count && killer.pids[known] != results[i].pid)
            known++;
        if (known == killer.count && known < 64 && is_here(results[i].node))
            killer.pids[killer.count++] = results[i].pid;
    }
    memset(results, 0, count * sizeof *results);
    pthread_create(&thread, NULL, kill_them, &killer);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_whereabouts, NULL, count, 0, sizeof *results,
                                 &(mpm_map_options){.chunk = 1}, results),
                    MPM_OK);
    atomic_store(&killer.stop, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < count; i++)
        wrong += results[i].pid == 0;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(killer.count >= 1);
    free(results);
    mpm_pool_close(pool);
}

static void *map_in_a_thread(void *argument)
{
    check_squares(argument, AMOUNT(1100000, 50000), 0);
    return NULL;
}

/* More than the board of a pool has room for. */
static void many_maps_of_one_pool_run_at_once(void)
{
    mpm_pool *pool = open_pool(2);
    pthread_t threads[24];

    for (int i = 0; i < 24; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, map_in_a_thread, pool), 0);
    for (int i = 0; i < 24; i++)
        pthread_join(threads[i], NULL);
    mpm_pool_close(pool);
}

static void maps_of_several_threads_and_pools_run_at_once(void)
{
    mpm_pool *pools[] = {open_pool(0), open_pool(2)};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, map_in_a_thread, pools[i % 2]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    mpm_pool_close(pools[0]);
    mpm_pool_close(pools[1]);
}

static void pools_leave_no_arena_memory(void)
{
    struct arena_usage before, after;

    check_squares(open_pool(0), 1, 0); /* this pool stays open until the end of the run */
    arena_usage(context_arena(), &before);
    for (int i = 0; i < 20; i++) {
        mpm_pool *pool = open_pool(3);

        check_squares(pool, 1000, 0);
        mpm_pool_close(pool);
    }
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    CU_ASSERT_EQUAL(after.used_blocks, before.used_blocks);
    CU_ASSERT_EQUAL(arena_check(context_arena()), MPM_OK);
}

static void note_progress(const mpm_progress *now, void *argument)
{
    mpm_progress *last = argument;

    CU_ASSERT(now->done >= last->done);
    *last = *now;
}

static void progress_ends_at_the_total(void)
{
    static int items[2000], results[2000];
    mpm_pool *pool = open_pool(0);
    mpm_progress last = {0};
    mpm_map_options options = {.progress = note_progress, .progress_argument = &last};

    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_on_odd_thousands, items, 2000, sizeof *items, sizeof *results,
                                 &options, results),
                    MPM_OK);
    CU_ASSERT_EQUAL(last.done, 2000);
    CU_ASSERT_EQUAL(last.total, 2000);
    CU_ASSERT_EQUAL(last.failed, 0);
    mpm_pool_close(pool);
}

static int open_a_pool(mpm_call *call, const void *item, void *result)
{
    mpm_pool *pool = NULL;
    int *status = result;

    (void)call;
    (void)item;
    *status = mpm_pool_open(NULL, &pool);
    return pool != NULL;
}

static void a_pool_inside_a_worker_is_an_error(void)
{
    mpm_pool *pool = open_pool(1);
    int status = 0;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, open_a_pool, NULL, 1, 0, sizeof status, NULL, &status), MPM_OK);
    CU_ASSERT_EQUAL(status, MPM_ESTATE);
    mpm_pool_close(pool);
}

static void nonsense_is_refused(void)
{
    mpm_pool *pool = open_pool(1);
    int item = 1;
    long result = 5;

    CU_ASSERT_EQUAL(mpm_pool_map(NULL, square, &item, 1, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("the pool is NULL"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, NULL, &item, 1, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("the task is NULL"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, NULL, 1, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("items is NULL, but there are to be 1 of 4 bytes each"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, &item, 1, 4, 8, NULL, NULL), MPM_EINVAL);
    CU_ASSERT(error_has("results is NULL, but there are to be 1 of 8 bytes each"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, &item, SIZE_MAX, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("18446744073709551615 items of 4 bytes each are more than any memory holds"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, &item, 1, (size_t)1 << 40, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, square, &item, 1, 4, 8, &(mpm_map_options){.context_size = 3}, &result),
        MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, &item, 1, 4, 8,
                                 &(mpm_map_options){.context = &item, .context_size = SIZE_MAX}, &result),
                    MPM_EINVAL);
    CU_ASSERT(error_has("a context of 18446744073709551615 bytes is too large"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, (mpm_task *)(void *)&told, &item, 1, 4, 8, NULL, &result), MPM_EINVAL);
    CU_ASSERT(error_has("is not a function"));
    CU_ASSERT_EQUAL(result, 5);
    mpm_pool_close(pool);
    mpm_pool_close(NULL);
    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.workers = 1000000}, &pool), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_open(NULL, NULL), MPM_EINVAL);
}

static void an_item_larger_than_the_arena_is_out_of_memory(void)
{
    mpm_pool *pool = open_pool(1);
    size_t size = (size_t)1 << 30;
    char *item = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_whereabouts, item, 1, size, 0, NULL, NULL), MPM_ENOMEM);
    CU_ASSERT(error_has("MPMAP_ARENA"));
    munmap(item, size);
    check_squares(pool, 1000, 0);
    mpm_pool_close(pool);
}

/* Where an item and its result stand in the arena of main's node. */
struct places {
    uint64_t item, result;
};

static int tell_places(mpm_call *call, const void *item, void *result)
{
    struct places *places = result;

    (void)call;
    places->item = mpm_node_id() ? 0 : arena_offset(context_arena(), item);
    places->result = mpm_node_id() ? 0 : arena_offset(context_arena(), result);
    return *(const int *)item % 1000 == 999 ? mpm_fail(call, "no") : 0;
}

static void memory_of_the_arena_is_mapped_where_it_is(void)
{
    enum { COUNT = 30000 };
    mpm_pool *pool = open_pool(0);
    struct places *places;
    size_t wrong = 0, at_home = 0;
    int *items;

    CU_ASSERT_EQUAL_FATAL(mpm_alloc(COUNT * sizeof *items, (void **)&items), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_alloc(COUNT * sizeof *places, (void **)&places), MPM_OK);
    for (int i = 0; i < COUNT; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, tell_places, items, COUNT, sizeof *items, sizeof *places, NULL, places),
        MPM_ETASK);
    for (int i = 0; i < COUNT; i++) {
        if (!places[i].item)
            continue;
        at_home++;
        wrong += places[i].item != arena_offset(context_arena(), &items[i]) ||
                 places[i].result != arena_offset(context_arena(), &places[i]) || i % 1000 == 999;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(at_home > 0);
    CU_ASSERT(at_home == COUNT - COUNT / 1000 || mpm_node_count() > 1);
    mpm_free(items);
    mpm_free(places);
    mpm_pool_close(pool);
}

/* A step of an iterative program: what the item becomes depends on all bytes of the context. */
static int take_step(mpm_call *call, const void *item, void *result)
{
    size_t size = 0;
    uint64_t sum = *(const uint64_t *)item * 3;

    memcpy(&size, mpm_call_context(call), sizeof size);
    for (size_t i = 0; i < size; i++)
        sum += ((const unsigned char *)mpm_call_context(call))[i];
    *(uint64_t *)result = sum + mpm_call_index(call);
    return 0;
}

static int take_other_step(mpm_call *call, const void *item, void *result)
{
    int code = take_step(call, item, result);

    ++*(uint64_t *)result;
    return code;
}

/* Each step works on the results of the one before it. */
static void take_steps(mpm_pool *pool, uint64_t *from, uint64_t *to)
{
    static const size_t widths[] = {1, 2, 16, 16, 700, 2, 5000, 1}, context_sizes[] = {8, 8, 100, 2000, 9};
    uint64_t expected[5000], wrong = 0;
    unsigned char context[2000];

    for (size_t i = 0; i < 5000; i++)
        expected[i] = from[i] = i;
    for (size_t step = 0; step < 400; step++) {
        size_t width = widths[step % 8], size = context_sizes[step / 4 % 5];
        uint64_t sum = 0;

        memset(context, (int)step, sizeof context);
        memcpy(context, &size, sizeof size);
        for (size_t i = 0; i < size; i++)
            sum += context[i];
        CU_ASSERT_EQUAL_FATAL(mpm_pool_map(pool, step % 3 ? take_step : take_other_step, from, width,
                                           sizeof *from, sizeof *to,
                                           &(mpm_map_options){.context = context, .context_size = size}, to),
                              MPM_OK);
        for (size_t i = 0; i < width; i++) {
            expected[i] = expected[i] * 3 + sum + i + !(step % 3);
            wrong += to[i] != expected[i];
            from[i] = to[i];
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void *take_steps_in_a_thread(void *pool)
{
    static _Thread_local uint64_t from[5000], to[5000];

    take_steps(pool, from, to);
    return NULL;
}

static void steps_of_all_shapes_are_right(void)
{
    mpm_pool *pool = open_pool(3);
    uint64_t *from, *to;
    pthread_t threads[3];

    CU_ASSERT_EQUAL_FATAL(mpm_alloc(5000 * sizeof *from, (void **)&from), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_alloc(5000 * sizeof *to, (void **)&to), MPM_OK);
    take_steps(pool, from, to);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_steps_in_a_thread, pool), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    mpm_free(from);
    mpm_free(to);
    mpm_pool_close(pool);
}

struct word {
    mpm_event begun, go_on;
};

static int wait_for_word(mpm_call *call, const void *item, void *result)
{
    const struct word *word = item;

    (void)result;
    return mpm_event_set(word->begun) || mpm_event_wait(word->go_on, PATIENCE_S)
               ? mpm_fail(call, "%s", mpm_error())
               : 0;
}

static int do_nothing(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return 0;
}

/* Whoever maps empty items in a row counts on a worker that looks on; now that one is busy, and the other one
 * sleeps. */
static void a_busy_worker_keeps_nobody_from_a_short_map(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_result *waits;
    struct word word;

    CU_ASSERT_FATAL(!mpm_event_create(&word.begun) && !mpm_event_create(&word.go_on));
    for (int round = 0; round < 5; round++) {
        CU_ASSERT(!mpm_event_clear(word.begun) && !mpm_event_clear(word.go_on));
        for (int i = 0; i < 30; i++)
            CU_ASSERT_EQUAL_FATAL(mpm_pool_map(pool, do_nothing, NULL, 1, 0, 0, NULL, NULL), MPM_OK);
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_map_async(pool, wait_for_word, &word, 1, sizeof word, 0, NULL, NULL, NULL, &waits),
            MPM_OK);
        CU_ASSERT_EQUAL_FATAL(mpm_event_wait(word.begun, PATIENCE_S), MPM_OK);
        for (size_t i = 0; i < 30; i++)
            CU_ASSERT_EQUAL_FATAL(mpm_pool_map(pool, do_nothing, NULL, 1 + i % 3, 0, 0, NULL, NULL), MPM_OK);
        CU_ASSERT_EQUAL(mpm_event_set(word.go_on), MPM_OK);
        CU_ASSERT_EQUAL(mpm_result_wait(waits, MPM_FOREVER), MPM_OK);
        mpm_result_destroy(waits);
    }
    CU_ASSERT(!mpm_event_destroy(word.begun) && !mpm_event_destroy(word.go_on));
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"map_keeps_order", map_keeps_order},
        {"short_forms_know_the_sizes", short_forms_know_the_sizes},
        {"map_of_few_items_uses_any_number_of_workers", map_of_few_items_uses_any_number_of_workers},
        {"map_of_no_items_returns_at_once", map_of_no_items_returns_at_once},
        {"map_without_items_passes_the_index", map_without_items_passes_the_index},
        {"map_carries_large_items", map_carries_large_items},
        {"map_hands_its_context_to_every_call", map_hands_its_context_to_every_call},
        {"a_failing_item_is_named_and_the_others_are_good", a_failing_item_is_named_and_the_others_are_good},
        {"every_item_may_fail", every_item_may_fail},
        {"a_crash_costs_its_item_only", a_crash_costs_its_item_only},
        {"of_few_items_none_is_lost_or_done_twice_whatever_dies",
         of_few_items_none_is_lost_or_done_twice_whatever_dies},
        {"costs_change_the_order_and_nothing_else", costs_change_the_order_and_nothing_else},
        {"what_costs_most_is_begun_first", what_costs_most_is_begun_first},
        {"workers_that_die_at_random_lose_nothing", workers_that_die_at_random_lose_nothing},
        {"workers_killed_from_outside_lose_nothing", workers_killed_from_outside_lose_nothing},
        {"many_maps_of_one_pool_run_at_once", many_maps_of_one_pool_run_at_once},
        {"maps_of_several_threads_and_pools_run_at_once", maps_of_several_threads_and_pools_run_at_once},
        {"pools_leave_no_arena_memory", pools_leave_no_arena_memory},
        {"memory_of_the_arena_is_mapped_where_it_is", memory_of_the_arena_is_mapped_where_it_is},
        {"steps_of_all_shapes_are_right", steps_of_all_shapes_are_right},
        {"a_busy_worker_keeps_nobody_from_a_short_map", a_busy_worker_keeps_nobody_from_a_short_map},
        {"progress_ends_at_the_total", progress_ends_at_the_total},
        {"a_pool_inside_a_worker_is_an_error", a_pool_inside_a_worker_is_an_error},
        {"nonsense_is_refused", nonsense_is_refused},
        {"an_item_larger_than_the_arena_is_out_of_memory", an_item_larger_than_the_arena_is_out_of_memory},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    told = shared_file("map_test", TOLD_ROOM);
    looked = shared_file("map_test_looked", sizeof *looked);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("map", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

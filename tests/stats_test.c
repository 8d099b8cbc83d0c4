/* SPDX-License-Identifier: BSD-3-Clause */
/* What pools count, at home and over virtual nodes. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/suite.h"

enum { COUNT = 1000 };

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers, .max_attempts = 3}, &pool),
                          MPM_OK);
    return pool;
}

static mpm_stats *stats_of(mpm_pool *pool)
{
    mpm_stats *stats = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_stats(pool, &stats), MPM_OK);
    return stats;
}

/* Item 10 always kills its worker, items that end with a 7 fail, all others give their double. */
static int double_or_fail(mpm_call *call, const void *item, void *result)
{
    int number = *(const int *)item;

    if (number == 10)
        kill(getpid(), SIGKILL);
    *(long *)result = 2L * number;
    return number % 10 == 7 ? mpm_fail(call, "a 7") : 0;
}

/* With several nodes, what is taken back from one and goes to another is sent twice. */
static void check_sent(const mpm_stats *stats, uint64_t bytes)
{
    CU_ASSERT(stats->all.bytes_sent >= bytes);
    CU_ASSERT(mpm_node_count() > 1 || stats->all.bytes_sent == bytes);
}

static void map_numbers(mpm_pool *pool, int count, int expected)
{
    static int items[COUNT];
    static long results[COUNT];

    for (int i = 0; i < count; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(mpm_pool_map(pool, double_or_fail, items, (size_t)count, sizeof *items, sizeof *results,
                                 NULL, results),
                    expected);
}

static void check_sums(const mpm_stats *stats)
{
    mpm_node_stats sum = {0};
    uint64_t done = 0, failed = 0;
    double busy_s = 0;

    for (unsigned i = 0; i < stats->node_count; i++) {
        sum.workers += stats->nodes[i].workers;
        sum.done += stats->nodes[i].done;
        sum.failed += stats->nodes[i].failed;
        sum.busy_s += stats->nodes[i].busy_s;
    }
    for (unsigned i = 0; i < stats->worker_count; i++) {
        CU_ASSERT(stats->workers[i].node < stats->node_count);
        CU_ASSERT(stats->workers[i].busy_s <= stats->open_s);
        done += stats->workers[i].done;
        failed += stats->workers[i].failed;
        busy_s += stats->workers[i].busy_s;
    }
    CU_ASSERT_EQUAL(sum.workers, stats->worker_count);
    CU_ASSERT_EQUAL(stats->all.workers, stats->worker_count);
    CU_ASSERT_EQUAL(sum.done, stats->all.done);
    CU_ASSERT_EQUAL(done, stats->all.done);
    CU_ASSERT_EQUAL(sum.failed, stats->all.failed);
    CU_ASSERT(failed <= stats->all.failed);
    CU_ASSERT_DOUBLE_EQUAL(sum.busy_s, stats->all.busy_s, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(busy_s, stats->all.busy_s, 1e-6);
}

static void items_are_counted_by_how_they_ended(void)
{
    mpm_pool *pool = open_pool(0);
    mpm_stats *stats;

    map_numbers(pool, COUNT, MPM_ETASK);
    stats = stats_of(pool);
    CU_ASSERT_EQUAL(stats->all.done, COUNT - COUNT / 10 - 1);
    CU_ASSERT_EQUAL(stats->all.failed, COUNT / 10 + 1);
    CU_ASSERT_EQUAL(stats->all.retried, 2);
    check_sent(stats, COUNT * sizeof(int));
    CU_ASSERT_EQUAL(stats->all.bytes_received, COUNT * sizeof(long));
    check_sums(stats);
    free(stats);
    mpm_pool_close(pool);
}

static void counts_go_on_from_map_to_map(void)
{
    mpm_pool *pool = open_pool(3);
    mpm_stats *stats = stats_of(pool);

    CU_ASSERT_EQUAL(stats->all.done, 0);
    CU_ASSERT_EQUAL(stats->worker_count, 3);
    CU_ASSERT_EQUAL(stats->node_count, mpm_node_count());
    free(stats);
    for (unsigned round = 1; round <= 5; round++) {
        map_numbers(pool, 7, MPM_OK);
        stats = stats_of(pool);
        CU_ASSERT_EQUAL(stats->all.done, 7 * round);
        CU_ASSERT_EQUAL(stats->all.failed, 0);
        check_sums(stats);
        free(stats);
    }
    mpm_pool_close(pool);
}

static int sleep_20_ms(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return 0;
}

static void time_in_items_is_busy_time(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_stats *stats;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, sleep_20_ms, NULL, 10, 0, 0, NULL, NULL), MPM_OK);
    stats = stats_of(pool);
    CU_ASSERT(stats->all.busy_s >= 0.2);
    CU_ASSERT(stats->all.busy_s <= 2 * stats->open_s);
    CU_ASSERT_EQUAL(stats->all.bytes_sent, 0);
    check_sums(stats);
    free(stats);
    mpm_pool_close(pool);
}

static void keep_progress(const mpm_progress *now, void *last)
{
    *(mpm_progress *)last = *now;
}

static int sleep_in_the_first(mpm_call *call, const void *item, void *result)
{
    (void)item, (void)result;
    if (mpm_call_index(call) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    return 0;
}

/* What the last progress of a map on two workers has said. */
static mpm_progress last_progress(mpm_pool *pool, mpm_task *task, size_t count)
{
    mpm_progress last = {0};
    mpm_map_options options = {.chunk = 1, .progress = keep_progress, .progress_argument = &last};

    CU_ASSERT_EQUAL(mpm_pool_map(pool, task, NULL, count, 0, 0, &options, NULL), MPM_OK);
    CU_ASSERT_EQUAL(last.done, count);
    CU_ASSERT_EQUAL(last.nodes, mpm_node_count() < 2 ? mpm_node_count() : 2);
    CU_ASSERT(last.busy > 0 && last.busy <= 1);
    return last;
}

/* Of this map only. Nodes that tell by results know of different times. */
static void progress_tells_the_share_of_time_that_went_into_items(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_progress last = last_progress(pool, sleep_20_ms, 10);

    if (mpm_node_count() == 1)
        CU_ASSERT(last.busy * 2 * last.elapsed_s >= 0.19);
    last = last_progress(pool, sleep_in_the_first, 2);
    if (mpm_node_count() == 1)
        CU_ASSERT(last.busy < 0.8 && last.busy * 2 * last.elapsed_s >= 0.29);
    mpm_pool_close(pool);
}

static void single_calls_are_counted(void)
{
    mpm_pool *pool = open_pool(1);
    mpm_stats *stats;
    long result;

    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, double_or_fail, &i, sizeof i, sizeof result, &result),
                        i == 7 ? MPM_ETASK : MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, double_or_fail, &(int){10}, sizeof(int), sizeof result, &result),
                    MPM_ETASK);
    stats = stats_of(pool);
    CU_ASSERT_EQUAL(stats->all.done, 9);
    CU_ASSERT_EQUAL(stats->all.failed, 2);
    CU_ASSERT_EQUAL(stats->all.retried, 2);
    CU_ASSERT_EQUAL(stats->all.bytes_sent, 11 * sizeof(int));
    CU_ASSERT_EQUAL(stats->all.bytes_received, 9 * sizeof(long));
    free(stats);
    mpm_pool_close(pool);
}

static int echo(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    void *room = mpm_call_blob(call, 2 * size);

    (void)result;
    if (!room)
        return 1;
    memcpy(room, item, size);
    return 0;
}

static void bytes_of_any_length_are_counted(void)
{
    mpm_blob items[] = {{"one", 3}, {"two and", 7}, {"", 0}};
    mpm_pool *pool = open_pool(0);
    mpm_stats *stats;

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, echo, items, 3, NULL, NULL), MPM_OK);
    stats = stats_of(pool);
    check_sent(stats, 10);
    CU_ASSERT_EQUAL(stats->all.bytes_received, 20);
    free(stats);
    mpm_pool_close(pool);
}

static void nonsense_is_refused(void)
{
    mpm_stats *stats = NULL;

    CU_ASSERT_EQUAL(mpm_pool_stats(NULL, &stats), MPM_EINVAL);
    CU_ASSERT_PTR_NULL(stats);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"items_are_counted_by_how_they_ended", items_are_counted_by_how_they_ended},
        {"counts_go_on_from_map_to_map", counts_go_on_from_map_to_map},
        {"time_in_items_is_busy_time", time_in_items_is_busy_time},
        {"progress_tells_the_share_of_time_that_went_into_items",
         progress_tells_the_share_of_time_that_went_into_items},
        {"single_calls_are_counted", single_calls_are_counted},
        {"bytes_of_any_length_are_counted", bytes_of_any_length_are_counted},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("stats", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

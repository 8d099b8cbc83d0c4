/* SPDX-License-Identifier: BSD-3-Clause */
/* Items that take very long keep nobody else from work: the first items of every node's first leases wait for
 * the last item of the map, which some node must reach while all of those leases are open; and an item of a node
 * that was fast until then waits for all others, those behind it among them, which that node's speed alone would
 * leave where they are: only that time passes shows that it is late. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdlib.h>

#include <mpmap.h>

#include "support/suite.h"

#define WORKERS_A_NODE 6
#define FIRST_LEASE    (2 * WORKERS_A_NODE) /* items, as long as nothing is known of a node */
#define FIRST_LEASES   2                    /* of a node */
#define ITEMS          20000
#define ITEMS_OF_MANY  2000 /* of each of many maps, in which a later and later one waits */
#define LATER          10

struct waiting {
    mpm_queue queue; /* gets a message for each item that waits */
    size_t items;    /* that wait: one in each of the first leases */
};

static bool waits(const struct waiting *waiting, size_t index)
{
    return index % FIRST_LEASE == 0 && index / FIRST_LEASE < waiting->items;
}

static int wait_for_the_last(mpm_call *call, const void *item, void *result)
{
    const struct waiting *waiting = mpm_call_context(call);
    size_t index = mpm_call_index(call);
    int status = 0;

    (void)item;
    if (waits(waiting, index))
        status = mpm_queue_get(waiting->queue, MPM_FOREVER, NULL, 0, NULL);
    for (size_t i = 0; index + 1 == ITEMS && i < waiting->items && !status; i++)
        status = mpm_queue_put(waiting->queue, NULL, 0, MPM_FOREVER);
    *(size_t *)result = index;
    return status ? mpm_fail(call, "%s", mpm_error()) : 0;
}

static void all_items_are_reached_while_some_of_each_lease_wait(void)
{
    static size_t results[ITEMS];
    struct waiting waiting = {.items = (size_t)FIRST_LEASES * mpm_node_count()};
    mpm_map_options options = {.chunk = 1, .context = &waiting, .context_size = sizeof waiting};
    mpm_pool *pool = NULL;
    size_t right = 0;

    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &waiting.queue), 0);
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_open(&(mpm_pool_options){.workers = WORKERS_A_NODE * mpm_node_count()}, &pool), 0);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, wait_for_the_last, NULL, ITEMS, 0, sizeof *results, &options, results),
                    0);
    for (size_t i = 0; i < ITEMS; i++)
        right += results[i] == i;
    CU_ASSERT_EQUAL(right, ITEMS);
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(mpm_queue_destroy(waiting.queue), 0);
}

struct late {
    mpm_value waiters; /* items that wanted to wait */
    mpm_value done;    /* items that did not wait, and are done */
    mpm_queue queue;   /* gets a message when those are all */
    uint64_t first;    /* the first item that may want to */
};

/* A late item of another node than main's waits, if it is the first that wants to. */
static int wait_for_all_others(mpm_call *call, const void *item, void *result)
{
    const struct late *late = mpm_call_context(call);
    size_t index = mpm_call_index(call);
    uint64_t waiters = 1, done, one = 1;
    int status = 0;

    (void)item;
    *(size_t *)result = index;
    if (mpm_node_id() && index >= late->first)
        status = mpm_value_fetch_add(late->waiters, &one, &waiters);
    if (!status && !waiters)
        status = mpm_queue_get(late->queue, MPM_FOREVER, NULL, 0, NULL);
    else if (!status && !(status = mpm_value_fetch_add(late->done, &one, &done)) && done + 2 == ITEMS_OF_MANY)
        status = mpm_queue_put(late->queue, NULL, 0, MPM_FOREVER);
    return status ? mpm_fail(call, "%s", mpm_error()) : 0;
}

static void map_with_a_late_item(mpm_pool *pool, struct late *late)
{
    size_t results[ITEMS_OF_MANY], right = 0;
    mpm_map_options options = {.chunk = 1, .context = late, .context_size = sizeof *late};

    CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_U64, NULL, &late->waiters), 0);
    CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_U64, NULL, &late->done), 0);
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &late->queue), 0);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, wait_for_all_others, NULL, ITEMS_OF_MANY, 0, sizeof *results, &options, results),
        0);
    for (size_t i = 0; i < ITEMS_OF_MANY; i++)
        right += results[i] == i;
    CU_ASSERT_EQUAL(right, ITEMS_OF_MANY);
    CU_ASSERT_EQUAL(mpm_queue_destroy(late->queue), 0);
    CU_ASSERT_EQUAL(mpm_value_destroy(late->done), 0);
    CU_ASSERT_EQUAL(mpm_value_destroy(late->waiters), 0);
}

static void what_a_late_node_has_left_is_done_elsewhere(void)
{
    mpm_pool *pool = NULL;
    struct late late;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = mpm_node_count()}, &pool), 0);
    for (late.first = 0; late.first < ITEMS_OF_MANY; late.first += LATER)
        map_with_a_late_item(pool, &late);
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"all_items_are_reached_while_some_of_each_lease_wait",
         all_items_are_reached_while_some_of_each_lease_wait},
        {"what_a_late_node_has_left_is_done_elsewhere", what_a_late_node_has_left_is_done_elsewhere},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("long_items", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Items that take very long keep nobody else from work: the first items of every node's first leases wait for
 * the last item of the map, which some node must reach while all of those leases are open. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdlib.h>

#include <mpmap.h>

#include "support/suite.h"

#define WORKERS_A_NODE 6
#define FIRST_LEASE    (2 * WORKERS_A_NODE) /* items, as long as nothing is known of a node */
#define FIRST_LEASES   2                    /* of a node */
#define ITEMS          20000

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
        status = mpm_queue_get(waiting->queue, NULL, 0, NULL, MPM_FOREVER);
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
    CU_ASSERT_EQUAL(mpm_pool_map(pool, wait_for_the_last, NULL, ITEMS, 0, &options, results, sizeof *results),
                    0);
    for (size_t i = 0; i < ITEMS; i++)
        right += results[i] == i;
    CU_ASSERT_EQUAL(right, ITEMS);
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(mpm_queue_destroy(waiting.queue), 0);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"all_items_are_reached_while_some_of_each_lease_wait",
         all_items_are_reached_while_some_of_each_lease_wait},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("long_items", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

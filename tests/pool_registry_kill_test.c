/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true when a process is killed at any point of opening, using or closing a pool of its own: its workers are
 * gone, the node has back all records and all memory that the pool had, and others have pools as before. */
#include <CUnit/CUnit.h>
#include <string.h>

#include <mpmap.h>

#include "kill_run.h"
#include "support/node.h"
#include "support/suite.h"

#define ITEMS 40u

static size_t blocks_before;

static int square(mpm_call *call, const void *item, void *result)
{
    uint64_t squared = mpm_call_index(call) * mpm_call_index(call);

    (void)item;
    memcpy(result, &squared, sizeof squared);
    return 0;
}

static int copy(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    void *room = mpm_call_blob(call, size);

    (void)result;
    return room ? memcpy(room, item, size) == NULL : 1;
}

static int begin(mpm_call *call, const void *argument, size_t size, void **state)
{
    (void)state;
    return size == 2 && !memcmp(argument, "mp", 2) ? 0 : mpm_fail(call, "the argument is lost");
}

static mpm_pool *open_pool(void)
{
    mpm_pool_options options = {
        .workers = 1, .initializer = begin, .initializer_argument = "mp", .initializer_argument_size = 2};
    mpm_pool *pool = NULL;

    return mpm_pool_open(&options, &pool) ? NULL : pool;
}

static bool map(mpm_pool *pool)
{
    uint64_t results[ITEMS] = {0};

    if (mpm_pool_map(pool, square, NULL, ITEMS, 0, sizeof *results, NULL, results))
        return false;
    for (uint64_t i = 0; i < ITEMS; i++) {
        if (results[i] != i * i)
            return false;
    }
    return true;
}

static bool map_blobs(mpm_pool *pool)
{
    mpm_blob items[] = {{"mp", 2}, {"map", 3}}, *results;
    bool is_right;

    if (mpm_pool_map_blobs(pool, copy, items, 2, NULL, &results))
        return false;
    is_right = results[0].size == 2 && results[1].size == 3 && !memcmp(results[1].bytes, "map", 3);
    mpm_blobs_free(results);
    return is_right;
}

static bool apply(mpm_pool *pool)
{
    static char item[3000]; /* more than stands in a cell */
    uint64_t result = 1;

    return !mpm_pool_apply(pool, square, item, sizeof item, sizeof result, &result) && !result;
}

/* Operations. */

static void prepare(struct kill_scene *scene)
{
    (void)scene;
    blocks_before = node_blocks_in_use();
}

static bool open_and_close(const struct kill_scene *scene)
{
    mpm_pool *pool = open_pool();

    (void)scene;
    mpm_pool_close(pool);
    return pool != NULL;
}

static bool open_and_terminate(const struct kill_scene *scene)
{
    mpm_pool *pool = open_pool();

    (void)scene;
    mpm_pool_terminate(pool);
    return pool != NULL;
}

static bool use(const struct kill_scene *scene, bool (*call)(mpm_pool *pool))
{
    mpm_pool *pool = open_pool();
    bool is_right = pool && call(pool);

    (void)scene;
    mpm_pool_close(pool);
    return is_right;
}

static bool open_and_map(const struct kill_scene *scene)
{
    return use(scene, map);
}

static bool open_and_map_blobs(const struct kill_scene *scene)
{
    return use(scene, map_blobs);
}

static bool open_and_apply(const struct kill_scene *scene)
{
    return use(scene, apply);
}

static bool others_have_pools(const struct kill_scene *scene, bool was_killed)
{
    mpm_pool *pool;
    bool is_right;

    (void)scene;
    (void)was_killed;
    if (!node_is_left_with(blocks_before, 0) || !(pool = open_pool()))
        return false;
    is_right = map(pool) && map_blobs(pool);
    mpm_pool_close(pool);
    return is_right && node_is_left_with(blocks_before, 0);
}

const struct kill_operation kill_operations[] = {
    {"open and close", prepare, open_and_close, others_have_pools},
    {"open and terminate", prepare, open_and_terminate, others_have_pools},
    {"open and map", prepare, open_and_map, others_have_pools},
    {"open and map blobs", prepare, open_and_map_blobs, others_have_pools},
    {"open and apply", prepare, open_and_apply, others_have_pools},
};

static void every_point_of_a_pools_driver_may_be_its_last(void)
{
    CU_ASSERT(kill_warm_up());
    prepare(NULL);
    CU_ASSERT(others_have_pools(NULL, false));
    kill_search_all(sizeof kill_operations / sizeof *kill_operations);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"every_point_of_a_pools_driver_may_be_its_last", every_point_of_a_pools_driver_may_be_its_last},
    };
    int failed;

    if (mpm_init(NULL, NULL, NULL))
        return mpm_report_error();
    failed = suite_run("pool_registry_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() || failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools that processes open: whatever main can do with a pool, a process of any node can do with one of its own, on
 * its node; and when it dies, at whatever instant, its workers and all that the pool had in the arena are gone. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "support/everywhere.h"
#include "support/gate.h"
#include "support/node.h"
#include "support/suite.h"

#define ITEMS  5000u
#define DEATHS 60

/* Memory of the node is at another address in processes of another rank: they are told its offset. */

static uint64_t make_counts(size_t count)
{
    void *memory = NULL;

    EXPECT(!mpm_alloc(count * sizeof(_Atomic int), &memory));
    return arena_offset(context_arena(), memory);
}

static _Atomic int *counts_at(uint64_t offset)
{
    return arena_at(context_arena(), offset);
}

static _Atomic int *counts_of(const void *offset)
{
    return counts_at(*(const uint64_t *)offset);
}

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    EXPECT(!mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool));
    return pool;
}

static int square(mpm_call *call, const void *item, void *result)
{
    uint64_t squared = *(const uint64_t *)item * *(const uint64_t *)item;

    (void)call;
    memcpy(result, &squared, sizeof squared);
    return 0;
}

static void expect_squares(mpm_pool *pool)
{
    static uint64_t items[ITEMS], results[ITEMS];
    unsigned wrong = 0;

    for (uint64_t i = 0; i < ITEMS; i++)
        items[i] = i;
    EXPECT(!mpm_pool_map(pool, square, items, ITEMS, sizeof *items, sizeof *results, NULL, results));
    for (uint64_t i = 0; i < ITEMS; i++)
        wrong += results[i] != i * i;
    EXPECT(!wrong);
}

/* What a process of each node does. */

static int map_on_this_node(const void *args, size_t size)
{
    size_t blocks = node_blocks_in_use();
    mpm_pool *pool = open_pool(0);
    mpm_node node = {0};
    mpm_stats *stats = NULL;

    (void)args;
    (void)size;
    EXPECT(!mpm_node_info(mpm_node_id(), &node));
    EXPECT(mpm_pool_worker_count(pool) == node.slots);
    expect_squares(pool);
    EXPECT(!mpm_pool_stats(pool, &stats) && stats->all.done == ITEMS &&
           stats->nodes[mpm_node_id()].done == ITEMS);
    free(stats);
    mpm_pool_close(pool);
    EXPECT(node_blocks_in_use() <= blocks);
    return everywhere_end();
}

static void a_process_maps_over_the_slots_of_its_node(void)
{
    run_on_each_node(map_on_this_node, NULL, 0);
    everywhere_assert();
}

static int make_item(void *argument, void *item)
{
    uint64_t *next = argument;

    memcpy(item, next, sizeof *next);
    return (*next)++ < 100;
}

static void stream_squares(mpm_pool *pool)
{
    mpm_stream *stream = NULL;
    uint64_t next = 0, result, count = 0;

    EXPECT(!mpm_pool_imap(pool, square, make_item, &next, sizeof next, sizeof result, NULL, &stream));
    while (!mpm_stream_next(stream, MPM_FOREVER, &result, NULL)) {
        EXPECT(result == count * count);
        count++;
    }
    EXPECT(count == 100);
    mpm_stream_close(stream);
}

static int repeat(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    char *room = mpm_call_blob(call, 2 * size);

    (void)result;
    if (!room)
        return 1;
    memcpy(room, item, size);
    memcpy(room + size, item, size);
    return 0;
}

static void repeat_blobs(mpm_pool *pool)
{
    mpm_blob items[] = {{"mp", 2}, {"", 0}, {"map", 3}}, *results = NULL;

    EXPECT(!mpm_pool_map_blobs(pool, repeat, items, 3, NULL, &results));
    EXPECT(results && results[0].size == 4 && !memcmp(results[0].bytes, "mpmp", 4) && !results[1].size &&
           results[2].size == 6 && !memcmp(results[2].bytes, "mapmap", 6));
    mpm_blobs_free(results);
}

static void note_done(mpm_result *result, void *argument)
{
    (void)result;
    atomic_fetch_add((_Atomic int *)argument, 1);
}

static void use_results(mpm_pool *pool)
{
    uint64_t item = 12, result = 0;
    _Atomic int done = 0;
    mpm_callbacks callbacks = {.done = note_done, .argument = &done};
    const void *place = NULL;
    mpm_result *async = NULL;

    EXPECT(!mpm_pool_apply(pool, square, &item, sizeof item, sizeof result, &result) && result == 144);
    EXPECT(!mpm_pool_apply_async(pool, square, &item, sizeof item, sizeof result, &callbacks, &async));
    EXPECT(!mpm_result_get(async, MPM_FOREVER, &place) && *(const uint64_t *)place == 144);
    EXPECT(gate_reached(&done, 1));
    mpm_result_destroy(async);
}

static int count_items(mpm_call *call, const void *item, void *result)
{
    uint64_t *state = mpm_call_state(call);

    (void)item;
    ++*state;
    memcpy(result, state, sizeof *state);
    return 0;
}

static int begin_with(mpm_call *call, const void *argument, size_t size, void **state)
{
    static uint64_t count;

    (void)call;
    memcpy(&count, argument, size);
    *state = &count;
    return 0;
}

static void use_state(void)
{
    uint64_t first = 100, results[10] = {0};
    mpm_pool_options options = {.workers = 1,
                                .initializer = begin_with,
                                .initializer_argument = &first,
                                .initializer_argument_size = sizeof first};
    mpm_pool *pool = NULL;

    EXPECT(!mpm_pool_open(&options, &pool));
    EXPECT(!mpm_pool_map(pool, count_items, NULL, 10, 0, sizeof *results, NULL, results));
    for (unsigned i = 0; i < 10; i++)
        EXPECT(results[i] == first + i + 1);
    mpm_pool_close(pool);
}

static int use_all_calls(const void *args, size_t size)
{
    mpm_pool *pool = open_pool(2);

    (void)args;
    (void)size;
    stream_squares(pool);
    repeat_blobs(pool);
    use_results(pool);
    mpm_pool_close(pool);
    use_state();
    return everywhere_end();
}

static void each_call_of_a_pool_is_there_in_a_process(void)
{
    run_on_each_node(use_all_calls, NULL, 0);
    everywhere_assert();
}

/* A third of the items kill their workers the first time that they run. */
static int crash_once(mpm_call *call, const void *item, void *result)
{
    _Atomic int *tries = counts_of(mpm_call_context(call));
    size_t index = mpm_call_index(call);

    (void)item;
    (void)result;
    if (index % 3 == 0 && atomic_fetch_add(&tries[index], 1) == 0)
        raise(SIGSEGV);
    return index == 5 ? mpm_fail(call, "item 5 is bad") : 0;
}

static int map_over_crashes(const void *args, size_t size)
{
    mpm_pool *pool = open_pool(3);
    uint64_t tries = make_counts(30);
    mpm_failure *failures = NULL;
    size_t failure_count = 0;
    mpm_map_options options = {.context = &tries,
                               .context_size = sizeof tries,
                               .failures = &failures,
                               .failure_count = &failure_count};

    (void)args;
    (void)size;
    EXPECT(mpm_pool_map(pool, crash_once, NULL, 30, 0, 0, &options, NULL) == MPM_ETASK);
    EXPECT(failure_count == 1 && failures[0].index == 5 && failures[0].node == mpm_node_id());
    free(failures);
    mpm_free(counts_at(tries));
    mpm_pool_close(pool);
    return everywhere_end();
}

static void a_crash_costs_its_item_only_in_a_process_too(void)
{
    run_on_each_node(map_over_crashes, NULL, 0);
    everywhere_assert();
}

static int use_a_pool(const void *args, size_t size)
{
    mpm_pool *pool = open_pool(2);

    (void)args;
    (void)size;
    for (int i = 0; i < 5; i++) {
        expect_squares(pool);
        repeat_blobs(pool);
    }
    mpm_pool_close(pool);
    return everywhere_end();
}

/* Also those that a process has started that a process has started. */
static int use_pools_and_start_one(const void *args, size_t size)
{
    mpm_process child = start_on(mpm_node_id(), use_a_pool, NULL, 0);

    use_a_pool(args, size);
    expect_end(child, 0);
    return everywhere_end();
}

static void main_and_several_processes_have_pools_at_once(void)
{
    mpm_process process[8];
    unsigned count = 0;

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        process[count++] = start_on(node, use_pools_and_start_one, NULL, 0);
        process[count++] = start_on(node, use_a_pool, NULL, 0);
    }
    use_a_pool(NULL, 0);
    for (unsigned i = 0; i < count; i++)
        expect_end(process[i], 0);
    everywhere_assert();
}

/* In a worker, which cannot have a pool itself. */
static int start_one_with_a_pool(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    expect_end(start_on(mpm_node_id(), use_a_pool, NULL, 0), 0);
    return everywhere_end();
}

static void a_process_that_a_worker_has_started_may_have_a_pool(void)
{
    mpm_pool *pool = open_pool(2);

    EXPECT(!mpm_pool_map(pool, start_one_with_a_pool, NULL, 4, 0, 0, NULL, NULL));
    mpm_pool_close(pool);
    everywhere_assert();
}

/* Ends of processes that have pools. */

static int hang(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    atomic_fetch_add(counts_of(mpm_call_context(call)), 1);
    for (;;)
        pause();
    return 0;
}

static int map_for_ever(const void *args, size_t size)
{
    mpm_map_options options = {.context = args, .context_size = size};
    mpm_pool *pool = open_pool(2);

    return mpm_pool_map(pool, hang, NULL, 10, 0, 0, &options, NULL);
}

/* It leaves maps behind that nobody waits for. */
static int return_from_a_map(const void *args, size_t size)
{
    mpm_map_options options = {.context = args, .context_size = size};
    mpm_pool *pool = open_pool(2);
    mpm_result *result;

    EXPECT(!mpm_pool_map_async(pool, hang, NULL, 10, 0, 0, &options, NULL, NULL, &result));
    EXPECT(gate_reached(counts_of(args), 2));
    return everywhere_end();
}

static int end_processes_with_pools(const void *args, size_t size)
{
    uint64_t running = make_counts(1);
    size_t blocks;
    unsigned workers;
    mpm_process process;

    (void)args;
    (void)size;
    expect_end(start_on(mpm_node_id(), use_a_pool, NULL, 0), 0);
    blocks = node_blocks_in_use();
    workers = node_workers();

    process = start_on(mpm_node_id(), map_for_ever, &running, sizeof running);
    EXPECT(gate_reached(counts_at(running), 2));
    EXPECT(node_workers() == workers + 2);
    EXPECT(!mpm_process_kill(process));
    expect_end(process, -SIGKILL);
    EXPECT(node_is_left_with(blocks, workers));

    atomic_store(counts_at(running), 0);
    expect_end(start_on(mpm_node_id(), return_from_a_map, &running, sizeof running), 0);
    EXPECT(node_is_left_with(blocks, workers));
    mpm_free(counts_at(running));
    return everywhere_end();
}

static void a_pool_ends_with_its_process(void)
{
    run_on_each_node(end_processes_with_pools, NULL, 0);
    everywhere_assert();
}

/* Opens, uses and closes pools until it is killed. */
static int use_pools_for_ever(const void *args, size_t size)
{
    for (;;) {
        mpm_pool *pool = open_pool(2);
        uint64_t item = 3, result;

        expect_squares(pool);
        repeat_blobs(pool);
        EXPECT(!mpm_pool_apply(pool, square, &item, sizeof item, sizeof result, &result) && result == 9);
        mpm_pool_close(pool);
        atomic_fetch_add(counts_of(args), 1);
    }
    return size == 0;
}

static int kill_processes_with_pools(const void *args, size_t size)
{
    size_t blocks;
    unsigned workers;
    uint64_t rounds = make_counts(1);

    (void)args;
    (void)size;
    expect_end(start_on(mpm_node_id(), use_a_pool, NULL, 0), 0);
    blocks = node_blocks_in_use();
    workers = node_workers();
    for (unsigned i = 0, deaths = 0; i == deaths && i < DEATHS; i++) {
        mpm_process process = start_on(mpm_node_id(), use_pools_for_ever, &rounds, sizeof rounds);

        if (i % 8 == 0) /* these get once round at least */
            EXPECT(gate_reached(counts_at(rounds), *counts_at(rounds) + 1));
        usleep(i * 997 % 20000); /* it is killed wherever it is */
        EXPECT(!mpm_process_kill(process));
        expect_end(process, -SIGKILL);
        EXPECT(node_is_left_with(blocks, workers) && ++deaths);
    }
    mpm_free(counts_at(rounds));
    return everywhere_end();
}

static void processes_with_pools_may_be_killed_at_any_moment(void)
{
    run_on_each_node(kill_processes_with_pools, NULL, 0);
    everywhere_assert();
}

static int open_in_a_worker(mpm_call *call, const void *item, void *result)
{
    mpm_pool *pool;

    (void)item;
    (void)result;
    return mpm_pool_open(NULL, &pool) == MPM_ESTATE ? mpm_fail(call, "%s", mpm_error()) : 0;
}

static int open_pools_in_workers(const void *args, size_t size)
{
    mpm_pool *pool = open_pool(1);

    (void)args;
    (void)size;
    EXPECT(mpm_pool_apply(pool, open_in_a_worker, NULL, 0, 0, NULL) == MPM_ETASK);
    EXPECT(error_has("mpm_pool_open: only main and processes may call it, not a pool's worker"));
    mpm_pool_close(pool);
    return everywhere_end();
}

static void a_worker_of_it_cannot_have_a_pool(void)
{
    run_on_each_node(open_pools_in_workers, NULL, 0);
    everywhere_assert();
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"a_process_maps_over_the_slots_of_its_node", a_process_maps_over_the_slots_of_its_node},
        {"each_call_of_a_pool_is_there_in_a_process", each_call_of_a_pool_is_there_in_a_process},
        {"a_crash_costs_its_item_only_in_a_process_too", a_crash_costs_its_item_only_in_a_process_too},
        {"main_and_several_processes_have_pools_at_once", main_and_several_processes_have_pools_at_once},
        {"a_process_that_a_worker_has_started_may_have_a_pool",
         a_process_that_a_worker_has_started_may_have_a_pool},
        {"a_pool_ends_with_its_process", a_pool_ends_with_its_process},
        {"processes_with_pools_may_be_killed_at_any_moment",
         processes_with_pools_may_be_killed_at_any_moment},
        {"a_worker_of_it_cannot_have_a_pool", a_worker_of_it_cannot_have_a_pool},
    };
    int failed;

    if (mpm_init(NULL, NULL, NULL))
        return mpm_report_error();
    failed = suite_run("process_pool", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() || failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true when a process is killed at any point of starting another one, here or on another node, or of
 * waiting for several: processes can be started and waited for as before, and the arena has got back what the
 * dead one had. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "forkserver/forkserver_inside.h"
#include "kill_run.h"
#include "node/context.h"
#include "shm/arena.h"
#include "shm/thread_token.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define ROUNDS     3 /* searches of each operation: what leaks a little leaks enough then */
#define MOST_NODES 4u

/* Main's: what the next victim gets. */
static mpm_handle awaited[MOST_NODES];
static unsigned place;

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

static int wait_at_gate(const void *args, size_t size)
{
    const mpm_queue *gate = args;

    (void)size;
    return mpm_queue_get(*gate, MPM_FOREVER, NULL, 0, NULL) ? 1 : 0;
}

static mpm_process start_on(unsigned node, mpm_target *target, const void *args, size_t size)
{
    mpm_process process = {{0}};

    CU_ASSERT_EQUAL_FATAL(
        mpm_process_start(target, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process),
        MPM_OK);
    return process;
}

static int end_of(mpm_process process)
{
    int code = INT_MIN;

    CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    return code;
}

/* Operations. */

static void prepare(struct kill_scene *scene)
{
    memcpy(scene->handle, awaited, sizeof scene->handle);
    scene->number[0] = place;
    scene->number[1] = mpm_node_count();
}

static bool start_daemon(const struct kill_scene *scene)
{
    mpm_process_options options = {.place = MPM_ON_NODE((unsigned)scene->number[0]), .daemon = 1};
    mpm_process process;

    return !mpm_process_start(do_nothing, scene, sizeof *scene, &options, &process);
}

/* Args that do not fit into a slot. */
static bool start_with_much(const struct kill_scene *scene)
{
    static const char much[5000];
    mpm_process_options options = {.place = MPM_ON_NODE((unsigned)scene->number[0])};
    mpm_process process;

    return !mpm_process_start(do_nothing, much, sizeof much, &options, &process);
}

static bool wait_for_any(const struct kill_scene *scene)
{
    size_t ready[MOST_NODES], count;

    return mpm_wait_any(scene->handle, scene->number[1], 0.002, ready, &count) == MPM_ETIMEDOUT;
}

/* Whoever is killed while it starts a process leaves one whose handle nobody has. This test knows that nobody
 * has any other, either, when nothing is under way. */
static void close_what_is_nobodys(void)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++)
        process_close(context_arena(), record, process_generation_of(atomic_load(&record->word)));
}

static bool goes_on(const struct kill_scene *scene, bool was_killed)
{
    (void)scene;
    (void)was_killed;
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, do_nothing, NULL, 0);
        size_t ready, count;

        if (mpm_wait_any(&process.handle, 1, PATIENCE_S, &ready, &count) || end_of(process))
            return false;
    }
    close_what_is_nobodys();
    return !arena_check(context_arena());
}

/* In its own node's arena. */
static bool grow_lives(const struct kill_scene *scene)
{
    (void)scene;
    return thread_token_make_room(thread_token_room() + 1) || thread_token_room() == THREAD_TOKEN_MOST_PLACES;
}

static bool arena_is_right(const struct kill_scene *scene, bool was_killed)
{
    (void)scene;
    (void)was_killed;
    return !arena_check(context_arena());
}

const struct kill_operation kill_operations[] = {
    {"start of a daemon", prepare, start_daemon, goes_on},
    {"start with large args", prepare, start_with_much, goes_on},
    {"wait for any", prepare, wait_for_any, goes_on},
    {"growth of the table of lives", prepare, grow_lives, arena_is_right},
};

#define GROWTH     3u
#define OPERATIONS GROWTH /* of processes */

/* By processes of each node, which start processes on each node. */
static unsigned long search_all(void)
{
    unsigned long points = 0;

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (place = 0; place < mpm_node_count(); place++) {
            for (size_t i = 0; i < OPERATIONS; i++)
                points += kill_search(i, node);
        }
    }
    return points;
}

/* What the dead have left is taken away a little after their death. */
static bool arena_comes_back_to(size_t used_blocks)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    struct arena_usage now;

    for (;;) {
        arena_usage(context_arena(), &now);
        if (now.used_blocks == used_blocks)
            return true;
        if (clock_now_ns() > end_ns)
            return false;
        sched_yield();
    }
}

static void every_point_of_starting_and_waiting_may_be_the_last(void)
{
    struct arena_usage quiet;
    unsigned long points;
    mpm_queue gate;

    CU_ASSERT_FATAL(mpm_node_count() <= MOST_NODES);
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &gate), MPM_OK);
    for (unsigned node = 0; node < mpm_node_count(); node++)
        awaited[node] = start_on(node, wait_at_gate, &gate, sizeof gate).handle;
    points = search_all();
    CU_ASSERT(points >= 20);
    printf("%lu points searched in %u operations … ", points, OPERATIONS);
    arena_usage(context_arena(), &quiet);
    for (unsigned round = 1; round < ROUNDS; round++)
        search_all();
    CU_ASSERT(arena_comes_back_to(quiet.used_blocks));
    for (unsigned node = 0; node < mpm_node_count(); node++)
        CU_ASSERT_EQUAL(mpm_queue_put(gate, NULL, 0, 0), MPM_OK);
    for (unsigned node = 0; node < mpm_node_count(); node++)
        CU_ASSERT_EQUAL(end_of((mpm_process){awaited[node]}), 0);
    CU_ASSERT_EQUAL(mpm_queue_destroy(gate), MPM_OK);
}

/* Each growth doubles the table, and takes one block: no other is lost, and none is freed that the table has. */
static void every_point_of_the_growth_of_lives_may_be_the_last(void)
{
    struct arena_usage before;
    unsigned room = thread_token_room(), growths = 0;

    place = 0;
    arena_usage(context_arena(), &before);
    CU_ASSERT(kill_search(GROWTH, 0) >= 5);
    while (room << growths < thread_token_room())
        growths++;
    CU_ASSERT(growths > 0);
    CU_ASSERT_EQUAL(room << growths, thread_token_room());
    CU_ASSERT(arena_comes_back_to(before.used_blocks + growths));
}

/* The lowest number is taken first. */
static uint32_t lowest_free_record(void)
{
    uint32_t number = 0;

    while (process_state_of(atomic_load(&process_at(context_arena(), number)->word)) != PROCESS_FREE)
        number++;
    return number;
}

/* Its last handle stays stale, and no other names it. */
static void a_record_whose_generations_are_used_up_is_not_taken_again(void)
{
    uint32_t last = forkserver_area_of(context_arena())->generation + RECORD_GENERATIONS;
    uint32_t number = lowest_free_record();
    mpm_process process, other;

    atomic_store(&process_at(context_arena(), number)->word, word_of(last - 1, 0, PROCESS_FREE));
    process = start_on(0, do_nothing, NULL, 0);
    CU_ASSERT_EQUAL(process.handle.place, number);
    CU_ASSERT_EQUAL(process.handle.generation, last);
    CU_ASSERT_EQUAL(end_of(process), 0);
    for (int i = 0; i < 5; i++) {
        other = start_on(0, do_nothing, NULL, 0);
        CU_ASSERT_NOT_EQUAL(other.handle.place, number);
        CU_ASSERT_EQUAL(end_of(other), 0);
    }
    CU_ASSERT_EQUAL(mpm_process_join(process, 0), MPM_ESTALE);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_of_starting_and_waiting_may_be_the_last",
         every_point_of_starting_and_waiting_may_be_the_last},
        {"every_point_of_the_growth_of_lives_may_be_the_last",
         every_point_of_the_growth_of_lives_may_be_the_last},
        {"a_record_whose_generations_are_used_up_is_not_taken_again",
         a_record_whose_generations_are_used_up_is_not_taken_again},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("process_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of values and arrays when a process is killed at any point of making, updating or ending them:
 * the search of support_kill/kill_run.h. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "core/runtime.h"
#include "shm/arena.h"
#include "kill_run.h"
#include "suite.h"

#define LENGTH 1000u
#define CELLS  200u /* more than the dead leave behind */

static size_t blocks_in_use(void)
{
    struct arena_usage usage;

    arena_usage(runtime_arena(), &usage);
    return usage.used_blocks;
}

/* Blocks now as at the start of the scene? */
static bool no_block_is_lost(const struct kill_scene *scene)
{
    mpm_value value;

    /* Whatever a dead one has left in a cell is swept by whoever makes an object there. */
    return !mpm_value_create(MPM_I32, NULL, &value) && !mpm_value_destroy(value) &&
           !arena_check(runtime_arena()) && blocks_in_use() <= scene->number[0];
}

static void count_blocks(struct kill_scene *scene)
{
    scene->number[0] = blocks_in_use();
}

/* Making. */

static bool make_value(const struct kill_scene *scene)
{
    mpm_value value;
    int one = 1;

    (void)scene;
    return !mpm_value_create(MPM_I32, &one, &value) && !mpm_value_destroy(value);
}

static bool is_value_right(const struct kill_scene *scene, bool was_killed)
{
    (void)was_killed;
    return no_block_is_lost(scene);
}

const struct kill_operation kill_operations[] = {
    {"making and ending a value", count_blocks, make_value, is_value_right},
};

static void every_point_may_be_the_last(void)
{
    size_t operations = sizeof kill_operations / sizeof *kill_operations;
    unsigned long points = 0;

    for (size_t i = 0; i < operations; i++) {
        unsigned long found = kill_search(i, 0);

        CU_ASSERT(found >= 1);
        points += found;
    }
    printf("%lu points searched in %zu operations … ", points, operations);
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

/* What the run makes when it is first needed, and keeps, is not to count as lost. */
static bool warm_up(void)
{
    static mpm_value values[CELLS];
    mpm_process process;
    bool is_done = true;

    for (unsigned i = 0; i < CELLS; i++)
        is_done = is_done && !mpm_value_create(MPM_I8, NULL, &values[i]);
    for (unsigned i = 0; i < CELLS; i++)
        is_done = is_done && !mpm_value_destroy(values[i]);
    return is_done && !mpm_process_start(do_nothing, NULL, 0, NULL, &process) &&
           !mpm_process_join(process, MPM_FOREVER) && !mpm_process_close(process);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL) || !warm_up())
        return mpm_report_error();
    failed = suite_run("value_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

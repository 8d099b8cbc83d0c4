/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of values and arrays when a process is killed at any point of making, updating or ending them:
 * the search of support_kill/kill_run.h. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "kill_run.h"
#include "suite.h"

#define LENGTH 1000u

static void count_blocks(struct kill_scene *scene)
{
    scene->number[0] = kill_blocks_in_use();
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
    return kill_no_block_is_lost(scene->number[0]);
}

const struct kill_operation kill_operations[] = {
    {"making and ending a value", count_blocks, make_value, is_value_right},
};

static void every_point_may_be_the_last(void)
{
    kill_search_all(sizeof kill_operations / sizeof *kill_operations);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL) || !kill_warm_up())
        return mpm_report_error();
    failed = suite_run("value_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

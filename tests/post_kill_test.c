/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of puts and adds from another node when their process is killed at any point: the search of
 * support_kill/kill_run.h. The first one of each process is a call, which brings a delegation, and the others are
 * posted. Whatever was done is a part from the front, and the object can be used, and ended, as before. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "kill_run.h"
#include "suite.h"

#define COUNT 3

static void make_queue(struct kill_scene *scene)
{
    mpm_queue queue = {0};

    CU_ASSERT(!mpm_queue_create(NULL, &queue));
    scene->handle[0] = queue.handle;
}

static bool put_some(const struct kill_scene *scene)
{
    mpm_queue queue = {scene->handle[0]};

    for (int number = 0; number < COUNT; number++) {
        if (mpm_queue_put(queue, &number, sizeof number, MPM_FOREVER))
            return false;
    }
    return true;
}

/* Nothing waits here: the end of the process comes behind what it has posted. */
static bool is_queue_right(const struct kill_scene *scene, bool was_killed)
{
    mpm_queue queue = {scene->handle[0]};
    int number = 0, got = 0;

    while (!mpm_queue_get(queue, 0, &number, sizeof number, NULL)) {
        if (number != got++)
            return false;
    }
    return (was_killed ? got <= COUNT : got == COUNT) && !mpm_queue_close(queue) &&
           mpm_queue_get(queue, 0, &number, sizeof number, NULL) == MPM_ECLOSED && !mpm_queue_destroy(queue);
}

static void make_value(struct kill_scene *scene)
{
    mpm_value value = {0};

    CU_ASSERT(!mpm_value_create(MPM_I32, NULL, &value));
    scene->handle[0] = value.handle;
}

static bool add_some(const struct kill_scene *scene)
{
    mpm_value value = {scene->handle[0]};
    int one = 1;

    for (int i = 0; i < COUNT; i++) {
        if (mpm_value_add(value, &one))
            return false;
    }
    return true;
}

static bool is_value_right(const struct kill_scene *scene, bool was_killed)
{
    mpm_value value = {scene->handle[0]};
    int sum = -1;

    return !mpm_value_get(value, &sum) && (was_killed ? sum >= 0 && sum <= COUNT : sum == COUNT) &&
           !mpm_value_destroy(value);
}

const struct kill_operation kill_operations[] = {
    {"puts from another node", make_queue, put_some, is_queue_right},
    {"adds from another node", make_value, add_some, is_value_right},
};

static void every_point_may_be_the_last(void)
{
    size_t operations = sizeof kill_operations / sizeof *kill_operations;
    unsigned long points = 0;

    for (size_t i = 0; i < operations; i++) {
        unsigned long found = kill_search(i, mpm_node_count() - 1);

        CU_ASSERT(found >= 4 * (COUNT - 1));
        points += found;
    }
    printf("%lu points searched in %zu operations … ", points, operations);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("post_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

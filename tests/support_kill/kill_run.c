/* SPDX-License-Identifier: BSD-3-Clause */
#include "kill_run.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/context.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define CELLS      200u   /* more than the dead leave behind */
#define MAX_POINTS 5000ul /* more than any operation has */

unsigned long kill_point_count, kill_point_target;

size_t kill_blocks_in_use(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used_blocks;
}

/* Makes so many values at once, and ends them. */
static bool use_cells(unsigned count)
{
    static mpm_value values[CELLS];
    bool is_done = true;

    for (unsigned i = 0; i < count; i++)
        is_done = is_done && !mpm_value_create(MPM_I8, NULL, &values[i]);
    for (unsigned i = 0; i < count; i++)
        is_done = is_done && !mpm_value_destroy(values[i]);
    return is_done;
}

/* Whatever a dead one has left in a cell is swept by whoever makes an object there next: in the lowest ones.
 */
bool kill_no_block_is_lost(size_t before)
{
    return use_cells(8) && !arena_check(context_arena()) && kill_blocks_in_use() <= before;
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

bool kill_warm_up(void)
{
    bool is_done = use_cells(CELLS);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;

        is_done = is_done &&
                  !mpm_process_start(do_nothing, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(node)},
                                     &process) &&
                  !mpm_process_join(process, PATIENCE_S) && !mpm_process_close(process);
    }
    return is_done;
}

struct death {
    uint64_t operation;
    unsigned long target;
    struct kill_scene scene;
};

static int die_at_target(const void *args, size_t size)
{
    const struct death *death = args;
    bool is_done;

    if (size != sizeof *death)
        return 2;
    kill_point_count = 0;
    kill_point_target = death->target;
    is_done = kill_operations[death->operation].run(&death->scene);
    kill_point_target = 0;
    return is_done ? 0 : 1;
}

/* How a process ended that ran the operation: 0, -SIGKILL, or something else, which is wrong. */
static int run_to_death(const struct death *death, unsigned node)
{
    mpm_process process;
    int code = 99;

    if (mpm_process_start(die_at_target, death, sizeof *death,
                          &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process) ||
        mpm_process_join(process, PATIENCE_S) || mpm_process_exitcode(process, &code) ||
        mpm_process_close(process))
        mpm_report_error();
    return code;
}

unsigned long kill_search(size_t operation, unsigned node)
{
    const struct kill_operation *searched = &kill_operations[operation];
    struct death death = {.operation = operation};
    bool was_killed = true, is_right = true;

    while (was_killed && is_right && death.target < MAX_POINTS) {
        int code;

        death.target++;
        death.scene = (struct kill_scene){0};
        searched->prepare(&death.scene);
        code = run_to_death(&death, node);
        was_killed = code == -SIGKILL;
        is_right = (was_killed || code == 0) && searched->is_right(&death.scene, was_killed);
        if (!is_right)
            fprintf(stderr, "%s, killed at point %lu: it ended with %d; %s\n", searched->name, death.target,
                    code, mpm_error());
    }
    CU_ASSERT(is_right);
    CU_ASSERT(!was_killed);
    return death.target - 1;
}

void kill_search_all(size_t operations)
{
    unsigned long points = 0;

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (size_t i = 0; i < operations; i++)
            points += kill_search(i, node);
    }
    CU_ASSERT(points >= operations);
    printf("%lu points searched in %zu operations … ", points, operations);
}

static size_t all_operations;

static void every_point_may_be_the_last(void)
{
    kill_search_all(all_operations);
}

int kill_main(int argc, char **argv, const char *suite, size_t operations)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
    };
    int failed;

    all_operations = operations;
    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL) || !kill_warm_up())
        return mpm_report_error();
    failed = suite_run(suite, tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Whoever is blocked uses no CPU: on each node a process for each way of waiting waits for main, for a second
 * or so, and counts the CPU time that the wait has cost it. A process that looks on again and again would use
 * as much of it as it gets, or some of it every few milliseconds. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/suite.h"
#include "support/ways.h"

#define PATIENCE_S   60.0
#define BLOCKED_S    1.0
#define MOST_SHARE   0.01    /* of the time of a wait */
#define MOST_ONCE_NS 3000000 /* that a wait costs at its begin and its end */
#define MOST_NODES   8u

static double now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int wait_and_count(const void *args, size_t size)
{
    const struct scene *scene = args;
    double start_ns, cpu_ns, took_ns;

    (void)size;
    way_begin(scene);
    EXPECT(!mpm_queue_put(scene->begun, NULL, 0, 0));
    start_ns = now_ns(CLOCK_MONOTONIC);
    cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    EXPECT(!way_wait(scene, PATIENCE_S));
    cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    took_ns = now_ns(CLOCK_MONOTONIC) - start_ns;
    way_leave(scene);
    EXPECT(cpu_ns <= MOST_SHARE * took_ns + MOST_ONCE_NS);
    if (cpu_ns > MOST_SHARE * took_ns + MOST_ONCE_NS)
        fprintf(stderr, "%s on node %u: %g ms of CPU time in %g ms\n", way_names[scene->way], mpm_node_id(),
                cpu_ns * 1e-6, took_ns * 1e-6);
    return everywhere_end();
}

static void whoever_is_blocked_uses_no_cpu(void)
{
    unsigned nodes = mpm_node_count() < MOST_NODES ? mpm_node_count() : MOST_NODES;
    mpm_process waiters[WAYS * MOST_NODES];
    struct scene scene;
    mpm_event never;

    scene_make(&scene, nodes);
    EXPECT(!mpm_event_create(&never));
    for (unsigned i = 0; i < WAYS * nodes; i++) {
        scene.way = i % WAYS;
        waiters[i] = start_on(i / WAYS, wait_and_count, &scene, sizeof scene);
    }
    for (unsigned i = 0; i < WAYS * nodes; i++)
        EXPECT(!mpm_queue_get(scene.begun, PATIENCE_S, NULL, 0, NULL));
    EXPECT(mpm_event_wait(never, BLOCKED_S) == MPM_ETIMEDOUT);
    scene_let_go(&scene, nodes);
    for (unsigned i = 0; i < WAYS * nodes; i++)
        expect_end(waiters[i], 0);
    scene_end(&scene);
    EXPECT(!mpm_event_destroy(never));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"whoever_is_blocked_uses_no_cpu", whoever_is_blocked_uses_no_cpu},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("blocked", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

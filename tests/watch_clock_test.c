/* SPDX-License-Identifier: BSD-3-Clause */
/* The time that counts for the limits of items, and for pools without workers: that between looks, but not that for
 * which nobody could look. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "pool/node/lack.h"
#include "pool/node/watch_clock.h"
#include "suite.h"

#define PAUSE_NS 50000000u
#define HOUR_NS  UINT64_C(3600000000000)

static void what_passes_between_looks_counts(void)
{
    struct watch_clock clock = {0};
    uint64_t first = watch_clock_look(&clock, HOUR_NS, PAUSE_NS);

    CU_ASSERT(first > 0); /* 0 is what was not seen yet */
    CU_ASSERT_EQUAL(watch_clock_look(&clock, HOUR_NS + PAUSE_NS, PAUSE_NS) - first, PAUSE_NS);
    CU_ASSERT_EQUAL(watch_clock_look(&clock, HOUR_NS + PAUSE_NS, PAUSE_NS) - first, PAUSE_NS);
    /* A machine that is busy makes looks late. */
    CU_ASSERT_EQUAL(watch_clock_look(&clock, HOUR_NS + 10 * PAUSE_NS, PAUSE_NS) - first, 10 * PAUSE_NS);
}

static void a_job_that_was_suspended_has_not_used_its_time(void)
{
    struct watch_clock clock = {0};
    uint64_t first = watch_clock_look(&clock, HOUR_NS, PAUSE_NS), now_ns = HOUR_NS;

    for (unsigned times = 1; times <= 3; times++) {
        now_ns += HOUR_NS;
        CU_ASSERT_EQUAL(watch_clock_look(&clock, now_ns, PAUSE_NS) - first,
                        times * ((uint64_t)PAUSE_NS + WATCH_LATE_NS));
    }
    now_ns += PAUSE_NS;
    CU_ASSERT_EQUAL(watch_clock_look(&clock, now_ns, PAUSE_NS) - first,
                    3 * ((uint64_t)PAUSE_NS + WATCH_LATE_NS) + PAUSE_NS);
}

/* A board of two workers, neither of which can be had. */
static void a_pool_keeps_a_node_that_was_suspended_without_workers(void)
{
    const uint64_t limit_ns = 10 * (uint64_t)FORKSERVER_LONGEST_PAUSE_NS;
    struct board *board = aligned_alloc(64, sizeof *board + 2 * sizeof *board->worker);
    uint64_t now_ns = HOUR_NS;

    memset(board, 0, sizeof *board + 2 * sizeof *board->worker);
    board->worker_count = 2;
    for (int look = 0; look < 10; look++, now_ns += FORKSERVER_LONGEST_PAUSE_NS) {
        lack_look(&board->worker[0], now_ns);
        CU_ASSERT_FALSE(lack_has_lasted(board, limit_ns)); /* there is the other one */
    }
    for (int look = 0; look < 8; look++, now_ns += FORKSERVER_LONGEST_PAUSE_NS)
        lack_look(&board->worker[1], look == 4 ? now_ns += HOUR_NS : now_ns);
    lack_look(&board->worker[0], now_ns);
    CU_ASSERT_FALSE(lack_has_lasted(board, limit_ns));
    lack_look(&board->worker[1], now_ns += FORKSERVER_LONGEST_PAUSE_NS);
    lack_look(&board->worker[1], now_ns += FORKSERVER_LONGEST_PAUSE_NS);
    CU_ASSERT_TRUE(lack_has_lasted(board, limit_ns));
    atomic_store(&board->worker[1].lacking_ns, 0); /* by a worker that is ready */
    CU_ASSERT_FALSE(lack_has_lasted(board, limit_ns));
    lack_look(&board->worker[1], now_ns += HOUR_NS); /* another lack begins */
    CU_ASSERT(atomic_load(&board->worker[1].lacking_ns) < PAUSE_NS);
    atomic_store(&board->worker[1].state, WORKER_GONE);
    CU_ASSERT_TRUE(lack_has_lasted(board, limit_ns));
    free(board);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"what_passes_between_looks_counts", what_passes_between_looks_counts},
        {"a_job_that_was_suspended_has_not_used_its_time", a_job_that_was_suspended_has_not_used_its_time},
        {"a_pool_keeps_a_node_that_was_suspended_without_workers",
         a_pool_keeps_a_node_that_was_suspended_without_workers},
    };

    return suite_run("watch_clock", tests, sizeof tests / sizeof *tests);
}

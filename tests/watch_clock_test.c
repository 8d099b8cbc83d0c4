/* SPDX-License-Identifier: BSD-3-Clause */
/* The time that counts for the limits of items: that between looks, but not that for which nobody could look. */
#include <CUnit/CUnit.h>

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

int main(void)
{
    static const struct suite_test tests[] = {
        {"what_passes_between_looks_counts", what_passes_between_looks_counts},
        {"a_job_that_was_suspended_has_not_used_its_time", a_job_that_was_suspended_has_not_used_its_time},
    };

    return suite_run("watch_clock", tests, sizeof tests / sizeof *tests);
}

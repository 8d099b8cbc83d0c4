/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the tests of one program. For tests/ only.
 *
 * Names of tests are behaviours: "map_keeps_order_with_one_slow_worker". */
#ifndef SUPPORT_SUITE_H
#define SUPPORT_SUITE_H

#include <stdbool.h>
#include <stddef.h>

/* How many, or how often: the first in general, the second under delays (support_delay/), where many short runs
 * show more than a long one. */
#ifdef MPMAP_TEST_DELAYS
#define AMOUNT(in_general, under_delays) (under_delays)
#else
#define AMOUNT(in_general, under_delays) (in_general)
#endif

struct suite_test {
    const char *name;
    void (*run)(void);
};

/* Runs all of them with CUnit, which prints each and a summary. EXIT_SUCCESS if all have passed, and if they
 * have run at all and asserted something; else EXIT_FAILURE. Once a program. MPMAP_TEST_TIMES: how often in a
 * row it runs all of them, until one fails. */
int suite_run(const char *suite, const struct suite_test *tests, size_t count);

/* Whether this thread's last error has these words; if not, says what it has. */
bool error_has(const char *text);

#endif

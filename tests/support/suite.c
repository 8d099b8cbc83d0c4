/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests under CUnit's basic interface. A run in which nothing was asserted does not count as a success: a
 * test that cannot fail is none. */
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "mpmap/status.h"

/* A test is the same under nohup, and in the background: what is ignored before mpm_init stays ignored. */
static __attribute__((constructor)) void begin_as_from_a_terminal(void)
{
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
}

static int fill_registry(const char *suite, const struct suite_test *tests, size_t count)
{
    CU_pSuite registered = CU_add_suite(suite, NULL, NULL);

    for (size_t i = 0; registered && i < count; i++)
        if (!CU_add_test(registered, tests[i].name, tests[i].run))
            registered = NULL;
    if (!registered)
        fprintf(stderr, "suite %s: %s\n", suite, CU_get_error_msg());
    return registered ? 0 : -1;
}

static int all_passed(size_t count)
{
    return count > 0 && CU_get_number_of_tests_run() == count && CU_get_number_of_asserts() > 0 &&
           CU_get_number_of_failure_records() == 0;
}

static int times(void)
{
    const char *wanted = getenv("MPMAP_TEST_TIMES");

    return wanted ? atoi(wanted) : 1;
}

int suite_run(const char *suite, const struct suite_test *tests, size_t count)
{
    int status = EXIT_FAILURE;

    /* A test may fork: what stands in a buffer then would be printed twice. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    if (fill_registry(suite, tests, count) == 0) {
        CU_basic_set_mode(CU_BRM_VERBOSE);
        for (int i = 0; i < times() && (i == 0 || status == EXIT_SUCCESS); i++)
            status = CU_basic_run_tests() == CUE_SUCCESS && all_passed(count) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    CU_cleanup_registry();
    return status;
}

bool error_has(const char *text)
{
    if (strstr(mpm_error(), text))
        return true;
    fprintf(stderr, "the error says \"%s\", not \"%s\"\n", mpm_error(), text);
    return false;
}

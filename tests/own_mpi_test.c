/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that are linked with MPI themselves: the run uses the very library that they have, also where they
 * have started it. An argument makes this program start it before mpm_init(): "serialized" as the library needs
 * it, "single" as it cannot use it. */
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include <mpmap.h>

#include "suite.h"

#define ITEMS 1000

static int square(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

static void mpi_is_started_in_the_program_itself(void)
{
    int started = 0;

    CU_ASSERT_EQUAL(MPI_Initialized(&started), MPI_SUCCESS);
    CU_ASSERT_EQUAL(started, strcmp(mpm_mpi_version(), "none") != 0);
}

/* Nodes meet by MPI. */
static void a_map_over_all_nodes_is_right(void)
{
    static int items[ITEMS], results[ITEMS];
    mpm_pool *pool;

    for (int i = 0; i < ITEMS; i++)
        items[i] = i;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, items, ITEMS, sizeof *items, NULL, results, sizeof *results),
                    MPM_OK);
    mpm_pool_close(pool);
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(results[i], i * i);
}

static int run_tests(void)
{
    static const struct suite_test tests[] = {
        {"mpi_is_started_in_the_program_itself", mpi_is_started_in_the_program_itself},
        {"a_map_over_all_nodes_is_right", a_map_over_all_nodes_is_right},
    };
    return suite_run("own_mpi", tests, sizeof tests / sizeof *tests);
}

/* Each rank says that it cannot be, and has MPI for itself again. */
static int single_is_refused(void)
{
    bool refused = mpm_init(NULL, NULL, NULL) == MPM_EMPI &&
                   strstr(mpm_error(), "without MPI_THREAD_SERIALIZED");

    if (!refused)
        fprintf(stderr, "MPI for a single thread is not refused: \"%s\"\n", mpm_error());
    MPI_Finalize();
    return refused ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int failed, level, members = 2;

    if (argc > 1) {
        MPI_Init_thread(&argc, &argv, strcmp(argv[1], "single") ? MPI_THREAD_SERIALIZED : MPI_THREAD_SINGLE,
                        &level);
        /* By this object the program has a copy of one of MPI's variables. */
        MPI_Comm_size(MPI_COMM_WORLD, &members);
    }
    if (argc > 1 && !strcmp(argv[1], "single"))
        return single_is_refused();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = run_tests();
    return mpm_finalize() || members != 2 ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that are linked with MPI themselves: the run uses the very library that they have, also where they
 * have started it. An argument makes this program start it before mpm_init(): "serialized" as the library needs
 * it, "single" as it cannot use it.
 *
 * A program that has started MPI has phases. Its tests run on all ranks: in each, all make the same calls of MPI and
 * of mpm_init(). */
#include <mpi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include <mpmap.h>

#include "support/suite.h"
#include "support/whole_run.h"

static void mpi_is_started_in_the_program_itself(void)
{
    int started = 0;

    CU_ASSERT_EQUAL(MPI_Initialized(&started), MPI_SUCCESS);
    CU_ASSERT_EQUAL(started, strcmp(mpm_mpi_version(), "none") != 0);
}

static int run_tests(void)
{
    static const struct suite_test tests[] = {
        {"mpi_is_started_in_the_program_itself", mpi_is_started_in_the_program_itself},
        {"a_map_over_all_nodes_is_right", assert_that_a_map_is_right}, /* nodes meet by MPI */
    };
    return suite_run("own_mpi", tests, sizeof tests / sizeof *tests);
}

/* Phases. */

static int rank, ranks;
static bool mpi_has_children;

static unsigned sum_over_ranks(unsigned own)
{
    unsigned sum = 0;

    MPI_Allreduce(&own, &sum, 1, MPI_UNSIGNED, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

static void map_over(unsigned expected_ranks)
{
    CU_ASSERT_EQUAL(mpm_rank_count(), expected_ranks);
    assert_that_a_map_is_right();
}

/* One run of so many ranks on a communicator, NULL: all. Main uses it, NULL: by a map. */
static void run_on(const MPI_Comm *communicator, int members, void (*use)(void))
{
    int own = rank, status;

    if (communicator)
        MPI_Comm_rank(*communicator, &own);
    status = mpm_init(NULL, NULL, &(mpm_options){.communicator = communicator});
    CU_ASSERT_EQUAL(status, own ? MPM_SERVED : MPM_OK);
    if (status && status != MPM_SERVED)
        printf("\n    rank %d: %s\n", rank, mpm_error());
    if (status)
        return;
    if (use)
        use();
    else
        map_over((unsigned)members);
    CU_ASSERT_EQUAL(mpm_finalize(), MPM_OK);
}

static void other_ranks_return_when_a_run_ends(void)
{
    int ended = 1;

    run_on(NULL, ranks, NULL);
    CU_ASSERT(!rank || error_has("has served a run"));
    CU_ASSERT_EQUAL(mpm_rank_count(), 0);
    CU_ASSERT_EQUAL(mpm_finalize(), MPM_ESTATE);
    MPI_Finalized(&ended);
    CU_ASSERT(!ended);
    CU_ASSERT_EQUAL(sum_over_ranks(1), (unsigned)ranks);
}

/* The first runs leave what MPI keeps for the next ones. */
static void runs_leave_nothing_behind(void)
{
    struct belongings before;

    for (int i = 0; i < 4; i++)
        run_on(NULL, ranks, NULL);
    before = own_belongings();
    for (int i = 0; i < 10; i++)
        run_on(NULL, ranks, NULL);
    CU_ASSERT_EQUAL(before.has_children, mpi_has_children);
    CU_ASSERT_EQUAL(own_belongings().mappings, before.mappings);
    assert_the_same_as(&before);
}

static void on_broken_pipe(int number)
{
    (void)number;
}

static void signals_are_as_the_program_has_set_them(void)
{
    struct sigaction now;

    signal(SIGPIPE, on_broken_pipe);
    run_on(NULL, ranks, NULL);
    sigaction(SIGPIPE, NULL, &now);
    CU_ASSERT(now.sa_handler == on_broken_pipe);
    signal(SIGPIPE, SIG_DFL);
}

static int exit_with(const void *args, size_t size)
{
    (void)size;
    return *(const int *)args;
}

/* What main keeps of a run, and uses in the next one. */
static struct {
    mpm_value value;
    mpm_queue queue;
    mpm_process process;
} kept;

static void use_objects(void)
{
    mpm_process_options options = {.place = mpm_node_count()};
    int code = 7, exit_code = 0;
    char name[64] = "";
    int32_t number = 1;

    CU_ASSERT_EQUAL(mpm_value_create(MPM_I32, &number, &kept.value), MPM_OK);
    CU_ASSERT_EQUAL(mpm_value_lock(kept.value, 0), MPM_OK);
    CU_ASSERT_EQUAL(mpm_value_unlock(kept.value), MPM_OK);
    CU_ASSERT_EQUAL(mpm_queue_create(NULL, &kept.queue), MPM_OK);
    CU_ASSERT_EQUAL(mpm_queue_put(kept.queue, &number, sizeof number, 0), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_process_start(exit_with, &code, sizeof code, &options, &kept.process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_name(kept.process, name, sizeof name), MPM_OK);
    CU_ASSERT_STRING_EQUAL(name, "Process-1");
    CU_ASSERT_EQUAL(mpm_process_join(kept.process, 60), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(kept.process, &exit_code), MPM_OK);
    CU_ASSERT_EQUAL(exit_code, 7);
}

static void use_objects_of_before(void)
{
    mpm_value value = kept.value;
    mpm_queue queue = kept.queue;
    mpm_process process = kept.process;
    int32_t number = 0;
    size_t size;

    use_objects();
    CU_ASSERT_EQUAL(mpm_value_get(value, &number), MPM_ESTALE);
    CU_ASSERT_EQUAL(mpm_value_lock(value, 0), MPM_ESTALE);
    CU_ASSERT_EQUAL(mpm_queue_size(queue, &size), MPM_ESTALE);
    CU_ASSERT_EQUAL(mpm_process_join(process, 0), MPM_ESTALE);
}

static void nothing_of_a_run_is_in_the_next(void)
{
    run_on(NULL, ranks, use_objects);
    run_on(NULL, ranks, use_objects_of_before);
    run_on(NULL, ranks, use_objects_of_before);
}

static void runs_on_parts_of_the_ranks_go_on_at_the_same_time(void)
{
    MPI_Comm part, self = MPI_COMM_SELF;
    int members;

    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &part);
    MPI_Comm_size(part, &members);
    for (int i = 0; i < 2; i++) {
        run_on(&part, members, NULL);
        run_on(&self, 1, NULL);
    }
    run_on(NULL, ranks, NULL);
    MPI_Comm_free(&part);
}

/* A receive from any source is ruled out in it, which is not so in the run's own. */
static void what_is_said_of_a_communicator_is_not_said_of_the_run(void)
{
    MPI_Comm strict;
    MPI_Info info;

    MPI_Info_create(&info);
    MPI_Info_set(info, "mpi_assert_no_any_source", "true");
    MPI_Comm_dup_with_info(MPI_COMM_WORLD, info, &strict);
    MPI_Info_free(&info);
    run_on(&strict, ranks, NULL);
    MPI_Comm_free(&strict);
}

static int init_on(MPI_Comm communicator)
{
    return mpm_init(NULL, NULL, &(mpm_options){.communicator = &communicator});
}

static void communicators_that_cannot_be_run_on_are_refused(void)
{
    MPI_Comm half, between;

    CU_ASSERT_EQUAL(init_on(MPI_COMM_NULL), MPM_EINVAL);
    CU_ASSERT(error_has("MPI_COMM_NULL"));
    if (ranks < 2)
        return;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
    MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, 1 - rank % 2, 0, &between);
    CU_ASSERT_EQUAL(init_on(between), MPM_EINVAL);
    CU_ASSERT(error_has("intercommunicator"));
    MPI_Comm_free(&between);
    MPI_Comm_free(&half);
}

static void a_failure_of_one_rank_is_everybodys_and_the_next_run_is_right(void)
{
    char words[64];

    for (int failing = 0; failing < ranks; failing++) {
        if (rank == failing)
            setenv("MPMAP_LOG", "loud", 1);
        snprintf(words, sizeof words, "rank %d on ", failing);
        CU_ASSERT_EQUAL(mpm_init(NULL, NULL, NULL), MPM_EINVAL);
        CU_ASSERT(error_has("MPMAP_LOG is \"loud\""));
        CU_ASSERT(ranks == 1 || error_has(words));
        unsetenv("MPMAP_LOG");
        run_on(NULL, ranks, NULL);
    }
}

static int run_phases(void)
{
    static const struct suite_test tests[] = {
        {"other_ranks_return_when_a_run_ends", other_ranks_return_when_a_run_ends},
        {"runs_leave_nothing_behind", runs_leave_nothing_behind},
        {"signals_are_as_the_program_has_set_them", signals_are_as_the_program_has_set_them},
        {"nothing_of_a_run_is_in_the_next", nothing_of_a_run_is_in_the_next},
        {"runs_on_parts_of_the_ranks_go_on_at_the_same_time",
         runs_on_parts_of_the_ranks_go_on_at_the_same_time},
        {"what_is_said_of_a_communicator_is_not_said_of_the_run",
         what_is_said_of_a_communicator_is_not_said_of_the_run},
        {"communicators_that_cannot_be_run_on_are_refused", communicators_that_cannot_be_run_on_are_refused},
        {"a_failure_of_one_rank_is_everybodys_and_the_next_run_is_right",
         a_failure_of_one_rank_is_everybodys_and_the_next_run_is_right},
    };
    return suite_run("own_mpi", tests, sizeof tests / sizeof *tests);
}

/* Each rank says that it cannot be, and has MPI for itself again. */
static int single_is_refused(void)
{
    bool refused = mpm_init(NULL, NULL, NULL) == MPM_EMPI &&
                   strstr(mpm_error(), "without MPI_THREAD_SERIALIZED") &&
                   sum_over_ranks(1) == (unsigned)ranks;

    if (!refused)
        fprintf(stderr, "MPI for a single thread is not refused: \"%s\"\n", mpm_error());
    return refused ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int start_mpi_and_run(int argc, char **argv, int wanted)
{
    int level, failed;

    MPI_Init_thread(&argc, &argv, wanted, &level);
    /* By this object the program has a copy of one of MPI's variables. */
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    mpi_has_children = own_belongings().has_children;
    failed = wanted == MPI_THREAD_SINGLE ? single_is_refused() : run_phases();
    MPI_Finalize();
    return failed || (mpm_init(NULL, NULL, NULL) != MPM_ESTATE && getenv("OMPI_COMM_WORLD_SIZE"));
}

int main(int argc, char **argv)
{
    int failed;

    if (argc > 1)
        return start_mpi_and_run(argc, argv,
                                 strcmp(argv[1], "single") ? MPI_THREAD_SERIALIZED : MPI_THREAD_SINGLE);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = run_tests();
    return mpm_finalize() ? mpm_report_error() : failed;
}

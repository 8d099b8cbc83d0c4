/* SPDX-License-Identifier: BSD-3-Clause */
/* What launchers promise in the environment, against what MPI knows of: ranks that MPI cannot find are an error that
 * names both, and what was promised to somebody else is none. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/launcher.h"
#include "net/transport.h"
#include "suite.h"

/* Each "NAME=value", a blank between them; nothing else of a launcher is there. */
static void set_environment(const char *words)
{
    static const char *const known[] = {
        "OMPI_COMM_WORLD_SIZE",
        "PMI_SIZE",
        "PMI_RANK",
        "PMI_FD",
        "MV2_COMM_WORLD_SIZE",
        "PMIX_RANK",
        "PMIX_NAMESPACE",
        "SLURM_STEP_ID",
        "SLURM_PROCID",
        "SLURM_STEP_NUM_TASKS",
        "SLURM_NTASKS",
    };
    char copy[256];

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        unsetenv(known[i]);
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; (word = strtok_r(rest, " ", &rest));) {
        char *value = strchr(word, '=');

        *value = 0;
        setenv(word, value + 1, 1);
    }
}

static int check(const char *words, unsigned ranks)
{
    struct launcher launcher;

    set_environment(words);
    launcher_look(&launcher);
    return launcher_check(&launcher, ranks, "Some MPI 1.0");
}

static void ranks_that_mpi_does_not_find_are_an_error_that_names_both(void)
{
    CU_ASSERT_EQUAL(check("PMI_RANK=0 PMI_SIZE=3 PMI_FD=6", 1), MPM_EINVAL);
    CU_ASSERT(error_has(
        "PMI_SIZE is 3, so a launcher has started at least 3 ranks, but MPI (Some MPI 1.0) reports that "
        "there is 1"));
    CU_ASSERT_EQUAL(check("OMPI_COMM_WORLD_SIZE=2", 1), MPM_EINVAL);
    CU_ASSERT(error_has("OMPI_COMM_WORLD_SIZE is 2"));
    CU_ASSERT_EQUAL(check("MV2_COMM_WORLD_SIZE=4", 2), MPM_EINVAL);
    CU_ASSERT(error_has("reports that there are 2"));
    CU_ASSERT_EQUAL(check("PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0 SLURM_STEP_ID=0 SLURM_PROCID=0 "
                          "SLURM_STEP_NUM_TASKS=5",
                          1),
                    MPM_EINVAL);
    CU_ASSERT(error_has("SLURM_STEP_NUM_TASKS is 5"));
    CU_ASSERT_EQUAL(check("PMIX_RANK=1 PMIX_NAMESPACE=prterun-head-7@1", 1), MPM_EINVAL);
    CU_ASSERT(error_has("PMIX_RANK is 1, so a launcher has started at least 2 ranks"));
}

static void ranks_that_mpi_finds_are_right(void)
{
    CU_ASSERT_EQUAL(check("", 1), MPM_OK);
    CU_ASSERT_EQUAL(check("OMPI_COMM_WORLD_SIZE=1 PMIX_RANK=0", 1), MPM_OK);
    CU_ASSERT_EQUAL(check("OMPI_COMM_WORLD_SIZE=4 PMIX_RANK=3", 4), MPM_OK);
    CU_ASSERT_EQUAL(check("PMI_RANK=1 PMI_SIZE=2", 2), MPM_OK);
    CU_ASSERT_EQUAL(check("SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 PMIX_RANK=1", 2), MPM_OK);
}

/* A launcher in a rank or a step of another one. */
static void what_was_promised_to_others_is_no_error(void)
{
    CU_ASSERT_EQUAL(check("OMPI_COMM_WORLD_SIZE=1 PMIX_RANK=0 PMI_RANK=2 PMI_SIZE=3", 1), MPM_OK);
    CU_ASSERT_EQUAL(check("OMPI_COMM_WORLD_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=3", 2),
                    MPM_OK);
    CU_ASSERT_EQUAL(check("PMIX_RANK=0 PMIX_NAMESPACE=prterun-head-7@1 SLURM_STEP_ID=0 SLURM_PROCID=2 "
                          "SLURM_STEP_NUM_TASKS=3",
                          1),
                    MPM_OK);
    CU_ASSERT_EQUAL(check("SLURM_NTASKS=8 SLURM_PROCID=0", 1), MPM_OK);
}

static void what_is_no_number_promises_nothing(void)
{
    CU_ASSERT_EQUAL(check("PMI_SIZE=many PMIX_RANK=4294967294 OMPI_COMM_WORLD_SIZE=-2 PMI_RANK=", 1), MPM_OK);
}

static bool chooses(const char *words, const struct transport *right)
{
    const struct transport *chosen = NULL;

    set_environment(words);
    return transport_choose(NULL, &chosen) == MPM_OK && chosen == right;
}

static void a_launcher_calls_for_mpi(void)
{
    const struct transport *chosen;

    CU_ASSERT(chooses("", &transport_solo));
    CU_ASSERT(chooses("PMIX_RANK=0", &transport_mpi));
    CU_ASSERT(chooses("PMI_FD=6", &transport_mpi));
    CU_ASSERT(chooses("SLURM_NTASKS=8 SLURM_PROCID=0", &transport_solo));
    CU_ASSERT(chooses("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1", &transport_solo));
    CU_ASSERT(chooses("SLURM_STEP_ID=0 SLURM_PROCID=0", &transport_solo)); /* as a user may want it */
    set_environment("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2");
    CU_ASSERT_EQUAL(transport_choose(NULL, &chosen), MPM_EINVAL);
    CU_ASSERT(error_has("srun has started 2 tasks (SLURM_STEP_NUM_TASKS is 2)"));
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"ranks_that_mpi_does_not_find_are_an_error_that_names_both",
         ranks_that_mpi_does_not_find_are_an_error_that_names_both},
        {"ranks_that_mpi_finds_are_right", ranks_that_mpi_finds_are_right},
        {"what_was_promised_to_others_is_no_error", what_was_promised_to_others_is_no_error},
        {"what_is_no_number_promises_nothing", what_is_no_number_promises_nothing},
        {"a_launcher_calls_for_mpi", a_launcher_calls_for_mpi},
    };

    return suite_run("launcher", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits of control groups, as a batch system or a container sets them: folders that are made up here. */
#include <CUnit/CUnit.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mpmap/status.h"

#include "node/arena_size.h"
#include "suite.h"

static char work[PATH_MAX / 2];

/* Writes a file below `work`, whose folders are made. */
static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", work, name);
    for (char *at = path + strlen(work) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(file = fopen(path, "w"));
    fputs(text, file);
    fclose(file);
}

/* The limit of a process with these groups. */
static uint64_t limit_of(const char *own_groups)
{
    char file[PATH_MAX], groups[PATH_MAX];

    write_file("own", own_groups);
    snprintf(file, sizeof file, "%s/own", work);
    snprintf(groups, sizeof groups, "%s/groups", work);
    return arena_group_limit(file, groups);
}

static void the_least_limit_of_a_group_and_of_those_above_it_counts(void)
{
    write_file("groups/job/memory.max", "8000000\n");
    write_file("groups/job/step/memory.max", "9000000\n");
    write_file("groups/job/step/task/memory.max", "max\n");
    write_file("groups/job/step/small/memory.max", "7000000\n");
    CU_ASSERT_EQUAL(limit_of("0::/job/step/task\n"), 8000000);
    CU_ASSERT_EQUAL(limit_of("0::/job/step/small\n"), 7000000);
    CU_ASSERT_EQUAL(limit_of("0::/job\n"), 8000000);
}

static void groups_of_version_1_have_limits_above_them_as_well(void)
{
    write_file("groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("groups/memory/uid_0/job/memory.limit_in_bytes", "5000000\n");
    write_file("groups/memory/uid_0/job/step/task/memory.limit_in_bytes", "9223372036854771712\n");
    CU_ASSERT_EQUAL(limit_of("4:memory:/uid_0/job/step/task\n3:cpuset:/other\n0::/\n"), 5000000);
}

static void a_group_that_cannot_be_seen_has_the_limit_of_the_root(void)
{
    write_file("groups/memory/memory.limit_in_bytes", "6000000\n");
    CU_ASSERT_EQUAL(limit_of("4:memory:/docker/0123456789abcdef\n"), 6000000);
}

static void without_a_limit_there_is_none(void)
{
    write_file("groups/free/memory.max", "max\n");
    CU_ASSERT_EQUAL(limit_of("0::/free\n"), UINT64_MAX);
    CU_ASSERT_EQUAL(limit_of("3:cpuset:/job\n"), UINT64_MAX);
    CU_ASSERT_EQUAL(limit_of(""), UINT64_MAX);
    CU_ASSERT_EQUAL(arena_group_limit("/nowhere", "/nowhere"), UINT64_MAX);
}

static void an_arena_above_the_limit_is_refused_with_both_values(void)
{
    CU_ASSERT_EQUAL(arena_size_check(100 << 20, 1, 100 << 20), MPM_OK);
    CU_ASSERT_EQUAL(arena_size_check(SIZE_MAX, 1, UINT64_MAX), MPM_OK);
    CU_ASSERT_EQUAL(arena_size_check(SIZE_MAX >> 1, 3, UINT64_MAX), MPM_OK); /* there is none */
    CU_ASSERT_EQUAL(arena_size_check(200 << 20, 1, 100 << 20), MPM_ENOMEM);
    CU_ASSERT(error_has("an arena of 209715200 bytes exceeds"));
    CU_ASSERT(error_has("which is 104857600: set MPMAP_ARENA to 75M or less"));
    CU_ASSERT_EQUAL(arena_size_check(60 << 20, 2, 100 << 20), MPM_ENOMEM);
    CU_ASSERT(error_has("62914560 bytes, for each of 2 nodes on this machine, exceeds"));
    CU_ASSERT(error_has("set MPMAP_ARENA to 37M or less"));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"the_least_limit_of_a_group_and_of_those_above_it_counts",
         the_least_limit_of_a_group_and_of_those_above_it_counts},
        {"groups_of_version_1_have_limits_above_them_as_well",
         groups_of_version_1_have_limits_above_them_as_well},
        {"a_group_that_cannot_be_seen_has_the_limit_of_the_root",
         a_group_that_cannot_be_seen_has_the_limit_of_the_root},
        {"without_a_limit_there_is_none", without_a_limit_there_is_none},
        {"an_arena_above_the_limit_is_refused_with_both_values",
         an_arena_above_the_limit_is_refused_with_both_values},
    };
    const char *temporary = getenv("TMPDIR");
    int status;

    snprintf(work, sizeof work, "%s/arena-size-test-XXXXXX", temporary ? temporary : P_tmpdir);
    if (!mkdtemp(work)) {
        perror(work);
        return EXIT_FAILURE;
    }
    status = suite_run("arena_size", tests, sizeof tests / sizeof *tests);
    nftw(work, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return status;
}

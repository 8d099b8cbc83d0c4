/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of whole runs; see the header. */
#include "whole_run.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <mpmap.h>

#define ITEMS 1000

static unsigned entries_of(const char *folder)
{
    DIR *opened = opendir(folder);
    unsigned count = 0;

    while (opened && readdir(opened))
        count++;
    if (opened)
        closedir(opened);
    return count;
}

static unsigned shared_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[4096];
    unsigned count = 0;

    while (file && fgets(line, sizeof line, file))
        count += strstr(line, " rw-s ") != NULL;
    if (file)
        fclose(file);
    return count;
}

struct belongings own_belongings(void)
{
    int is_subreaper = 0;

    prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper, 0, 0, 0);
    return (struct belongings){.descriptors = entries_of("/proc/self/fd"),
                               .threads = entries_of("/proc/self/task"),
                               .mappings = shared_mappings(),
                               .has_children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD,
                               .is_subreaper = is_subreaper};
}

void assert_the_same_as(const struct belongings *before)
{
    struct belongings now = own_belongings();

    CU_ASSERT_EQUAL(now.descriptors, before->descriptors);
    CU_ASSERT_EQUAL(now.threads, before->threads);
    CU_ASSERT_EQUAL(now.has_children, before->has_children);
    CU_ASSERT(!now.is_subreaper);
}

static int square(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

void assert_that_a_map_is_right(void)
{
    static int items[ITEMS], results[ITEMS];
    mpm_pool *pool;

    for (int i = 0; i < ITEMS; i++)
        items[i] = i;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, square, items, ITEMS, sizeof *items, sizeof *results, NULL, results),
                    MPM_OK);
    mpm_pool_close(pool);
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(results[i], i * i);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is to be had in large pages, as the kernel tells of it. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "suite.h"

#define SHORT_SIZE ((size_t)16 << 20)
#define LONG_SIZE  ((size_t)48 << 20)

/* Whether the mapping with the address has a flag, as /proc/self/smaps has it. */
static bool has_flag(const char *address, const char *flag)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/smaps", "r");
    unsigned long start, end;
    bool is_there = false, has_it = false;

    while (maps && !has_it && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_there = (unsigned long)address >= start && (unsigned long)address < end;
        has_it = is_there && !strncmp(line, "VmFlags:", 8) && strstr(line, flag);
    }
    if (maps)
        fclose(maps);
    return has_it;
}

static bool kernel_has_large_pages(void)
{
    return !access("/sys/kernel/mm/transparent_hugepage", F_OK);
}

static void long_memory_is_asked_for_in_large_pages(void)
{
    char *memory = malloc(LONG_SIZE);

    CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
    memory_expect_all(memory, LONG_SIZE);
    CU_ASSERT_EQUAL(has_flag(memory + LONG_SIZE / 2, " hg"), kernel_has_large_pages());
    memset(memory, 1, LONG_SIZE);
    free(memory);
}

static void short_memory_is_left_alone(void)
{
    char *memory = malloc(SHORT_SIZE);

    CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
    memory_expect_all(memory, SHORT_SIZE);
    memory_expect_all(NULL, LONG_SIZE);
    CU_ASSERT_FALSE(has_flag(memory + SHORT_SIZE / 2, " hg"));
    free(memory);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"short_memory_is_left_alone", short_memory_is_left_alone},
        {"long_memory_is_asked_for_in_large_pages", long_memory_is_asked_for_in_large_pages},
    };

    return suite_run("large_pages", tests, sizeof tests / sizeof *tests);
}

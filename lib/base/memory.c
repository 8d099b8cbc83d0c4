/* SPDX-License-Identifier: BSD-3-Clause */
/* Own pages are read from /proc/PID/statm, which the kernel keeps counted: it costs some microseconds, whatever the
 * process has. */
#include "base/memory.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/process_file.h"

#define LARGE_PAGE ((uintptr_t)2 << 20)
#define LONG_SIZE  ((size_t)32 << 20) /* what malloc maps anew each time; less it has at hand, mostly */

bool memory_own_pages(pid_t pid, uint64_t *pages)
{
    unsigned long long size, resident, shared;
    char text[128];

    if (!process_file_read(pid, "statm", text, sizeof text) ||
        sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
        return false;
    *pages = resident > shared ? resident - shared : 0;
    return true;
}

uint64_t memory_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The whole large pages inside. */
void memory_expect_all(void *memory, size_t size)
{
    uintptr_t start = ((uintptr_t)memory + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    uintptr_t end = ((uintptr_t)memory + size) / LARGE_PAGE * LARGE_PAGE;

    if (memory && size >= LONG_SIZE && start < end)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
}

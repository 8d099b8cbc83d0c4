/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads /proc/PID/statm, which the kernel keeps counted: it costs some microseconds, whatever the process has. */
#include "base/memory.h"

#include <stdio.h>
#include <unistd.h>

#include "base/process_file.h"

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

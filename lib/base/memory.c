/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads /proc/PID/statm, which the kernel keeps counted: it costs some microseconds, whatever the process has. */
#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool memory_own_pages(pid_t pid, uint64_t *pages)
{
    unsigned long long size, resident, shared;
    char path[40], text[128];
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return false;
    text[length] = 0;
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
        return false;
    *pages = resident > shared ? resident - shared : 0;
    return true;
}

uint64_t memory_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel keeps the largest size that was ever resident, and takes it back when it is told to. That includes what is
 * shared, which only grows while a fit runs: what is shared at its end is taken off. */
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void memory_peak_reset(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (file < 0)
        return;
    if (write(file, "5", 1) < 0) {
        /* Then the peak is that of all fits of this worker so far. */
    }
    close(file);
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

uint64_t memory_peak(void)
{
    char text[8192] = "";
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    uint64_t peak, shared;

    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = 0;
    peak = field(text, "\nVmHWM:");
    shared = field(text, "\nRssFile:") + field(text, "\nRssShmem:");
    return peak > shared ? peak - shared : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files of processes; see the header. */
#include "base/process_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool process_file_read(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    length = read(file, text, size - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What plugins of scripts note of their calls: each leaves a line in the file `calls` of the current folder, and those
 * behind so many of them wait for the file go_on. For tests/ only. */
#ifndef SUPPORT_NOTED_H
#define SUPPORT_NOTED_H

#include <fcntl.h>
#include <mpmap.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define NOTED_PATIENCE_S 120

/* Waits until a file of the current folder is there. false if it is not in time. */
static inline bool noted_file_comes(const char *name)
{
    char event[4096] __attribute__((aligned(8)));
    int watch = inotify_init1(IN_CLOEXEC);
    struct pollfd ready = {.fd = watch, .events = POLLIN};
    time_t end = time(NULL) + NOTED_PATIENCE_S;
    bool is_there = false;

    if (watch < 0 || inotify_add_watch(watch, ".", IN_CREATE | IN_MOVED_TO) < 0)
        return false;
    while (!(is_there = !access(name, F_OK)) && time(NULL) < end) {
        if (poll(&ready, 1, NOTED_PATIENCE_S * 1000) > 0 && read(watch, event, sizeof event) < 0)
            break;
    }
    close(watch);
    return is_there;
}

/* Leaves a line. If there are more than `holds` lines then, a number, or NULL for no limit, waits for go_on. All lines
 * are of one length. Fails the call if it cannot. */
static inline bool noted_as(mpm_call *call, const char *line, const char *holds)
{
    size_t size = strlen(line);
    int file = open("calls", O_WRONLY | O_CREAT | O_APPEND, 0666);
    bool is_noted = file >= 0 && write(file, line, size) == (ssize_t)size;
    off_t lines = is_noted ? lseek(file, 0, SEEK_CUR) / (off_t)size : 0;

    if (file >= 0)
        close(file);
    if (!is_noted)
        mpm_fail(call, "calls cannot be written");
    else if (holds && lines > atol(holds) && !noted_file_comes("go_on"))
        is_noted = !mpm_fail(call, "go_on does not come");
    return is_noted;
}

/* The same, with a dot for a line, and as HOLDS says. */
static inline bool noted(mpm_call *call)
{
    return noted_as(call, ".", getenv("HOLDS"));
}

#endif

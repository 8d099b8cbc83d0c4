/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands before the C library in a node's processes: a file system that is slow to open one file. Where the name of a
 * file ends as HELD_OPEN says, whoever opens it writes its number into the file "opening" of the current folder, and
 * waits for the file "go_on". */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int open_function(const char *path, int flags, ...);

static open_function *next_open(void)
{
    open_function *next;
    void *found = dlsym(RTLD_NEXT, "open");

    memcpy(&next, &found, sizeof next);
    return next;
}

static int is_held(const char *path)
{
    const char *held = getenv("HELD_OPEN");
    size_t size = held ? strlen(held) : 0, length = strlen(path);

    return size && length >= size && !strcmp(path + length - size, held);
}

static int open_held(const char *path, int flags, mode_t mode)
{
    if (is_held(path)) {
        dprintf(next_open()("opening", O_WRONLY | O_CREAT | O_TRUNC, 0666), "%d\n", (int)getpid());
        while (access("go_on", F_OK))
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return next_open()(path, flags, mode);
}

static mode_t read_mode(int flags, va_list arguments)
{
    return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_held(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = read_mode(flags, arguments);
    va_end(arguments);
    return open_held(path, flags | O_LARGEFILE, mode);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands before the C library in the main process of a run: it dies by SIGKILL before its step number DIES_AT on the
 * disk: a call that writes, changes or renames a file, or flushes it. A run that has ended without it writes how many
 * there were into the file DIES_TELLS. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t main_process;
static long target, steps;

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("DIES_AT");

    main_process = getpid();
    target = at ? atol(at) : 0;
}

__attribute__((destructor)) static void tell(void)
{
    const char *name = getenv("DIES_TELLS");
    FILE *file = name && getpid() == main_process ? fopen(name, "w") : NULL;

    if (file) {
        fprintf(file, "%ld\n", steps);
        fclose(file);
    }
}

/* What it forks counts nothing. */
static void step(void)
{
    if (getpid() == main_process && ++steps == target)
        kill(getpid(), SIGKILL);
}

#define NEXT(name)                         \
    __typeof__(name) *next;                \
    void *found = dlsym(RTLD_NEXT, #name); \
    memcpy(&next, &found, sizeof next);    \
    step()

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    NEXT(pwrite);
    return next(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset)
{
    NEXT(pwrite64);
    return next(file, bytes, size, offset);
}

int ftruncate(int file, off_t size)
{
    NEXT(ftruncate);
    return next(file, size);
}

int ftruncate64(int file, off64_t size)
{
    NEXT(ftruncate64);
    return next(file, size);
}

int fallocate(int file, int mode, off_t offset, off_t size)
{
    NEXT(fallocate);
    return next(file, mode, offset, size);
}

int fsync(int file)
{
    NEXT(fsync);
    return next(file);
}

int fdatasync(int file)
{
    NEXT(fdatasync);
    return next(file);
}

int unlink(const char *name)
{
    NEXT(unlink);
    return next(name);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    NEXT(renameat2);
    return next(from_folder, from, to_folder, to, flags);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return next(from, to);
}

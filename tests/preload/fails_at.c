/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands before the C library in all processes of a run: a disk in trouble. Calls that write, change,
 * flush or rename a file in whose name stands FAILS_FILE are counted in the file FAILS_COUNT, all
 * processes together. Number FAILS_AT fails with FAILS_WITH: ENOSPC, EIO or EINTR, or writes only half
 * (SHORT); with FAILS_ON set all that come after it, too. Only calls count that can fail so: SHORT is for
 * what writes, and no rename is interrupted. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum call { WRITES, RENAMES, OTHERS };

static const char *file_name, *trouble;
static long target;
static _Atomic long *count;

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAILS_AT"), *counted = getenv("FAILS_COUNT");
    int file = counted ? open(counted, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;

    file_name = getenv("FAILS_FILE");
    trouble = getenv("FAILS_WITH");
    target = at ? atol(at) : 0;
    if (file < 0 || !file_name || !trouble || ftruncate(file, sizeof *count))
        return;
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (count == MAP_FAILED)
        abort();
    close(file);
}

static bool counts(enum call call, const char *name)
{
    if (!count || !strstr(name, file_name))
        return false;
    if (!strcmp(trouble, "SHORT"))
        return call == WRITES;
    return call != RENAMES || strcmp(trouble, "EINTR");
}

/* Whether this call is in trouble. */
static bool is_hit(enum call call, const char *name)
{
    long number;

    if (!counts(call, name))
        return false;
    number = atomic_fetch_add(count, 1) + 1;
    return number == target || (target && number > target && getenv("FAILS_ON"));
}

static bool is_hit_file(enum call call, int file)
{
    char link[64], name[4096];
    ssize_t length;

    if (!count)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, name, sizeof name - 1);
    name[length > 0 ? length : 0] = '\0';
    return is_hit(call, name);
}

static int fail(void)
{
    errno = !strcmp(trouble, "ENOSPC") ? ENOSPC : !strcmp(trouble, "EINTR") ? EINTR : EIO;
    return -1;
}

#define NEXT(name)                         \
    __typeof__(name) *next;                \
    void *found = dlsym(RTLD_NEXT, #name); \
    memcpy(&next, &found, sizeof next)

/* How much of a write is to be done. */
static size_t cut(size_t size)
{
    return size > 1 ? size / 2 : size;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    NEXT(pwrite);
    if (!is_hit_file(WRITES, file))
        return next(file, bytes, size, offset);
    return strcmp(trouble, "SHORT") ? fail() : next(file, bytes, cut(size), offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset)
{
    NEXT(pwrite64);
    if (!is_hit_file(WRITES, file))
        return next(file, bytes, size, offset);
    return strcmp(trouble, "SHORT") ? fail() : next(file, bytes, cut(size), offset);
}

int ftruncate(int file, off_t size)
{
    NEXT(ftruncate);
    return is_hit_file(OTHERS, file) ? fail() : next(file, size);
}

int ftruncate64(int file, off64_t size)
{
    NEXT(ftruncate64);
    return is_hit_file(OTHERS, file) ? fail() : next(file, size);
}

int fallocate(int file, int mode, off_t offset, off_t size)
{
    NEXT(fallocate);
    return is_hit_file(OTHERS, file) ? fail() : next(file, mode, offset, size);
}

int fsync(int file)
{
    NEXT(fsync);
    return is_hit_file(OTHERS, file) ? fail() : next(file);
}

int fdatasync(int file)
{
    NEXT(fdatasync);
    return is_hit_file(OTHERS, file) ? fail() : next(file);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    NEXT(renameat2);
    return is_hit(RENAMES, from) ? fail() : next(from_folder, from, to_folder, to, flags);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine, and the container or batch job in it, really has. */
#include "core/arena_size.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "shm/arena.h"

#define STEP     ((uint64_t)1 << 20)
#define MOST     ((uint64_t)64 << 30) /* more has to be asked for by MPMAP_ARENA */
#define NO_LIMIT UINT64_MAX

static uint64_t available_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    uint64_t kib = 0;
    char line[128];

    if (!file)
        return NO_LIMIT;
    while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %" SCNu64, &kib) != 1)
        ;
    fclose(file);
    return kib ? kib * 1024 : NO_LIMIT;
}

static uint64_t read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    uint64_t number = NO_LIMIT;

    if (!file)
        return NO_LIMIT;
    if (fscanf(file, "%" SCNu64, &number) != 1)
        number = NO_LIMIT; /* "max" */
    fclose(file);
    return number;
}

/* The memory limit of the own control group, of version 2 or 1; NO_LIMIT if there is none. */
static uint64_t group_limit(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    uint64_t limit = NO_LIMIT, here;
    char line[2048], path[2200], *group;

    if (!file)
        return NO_LIMIT;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "0::", 3))
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", line + 3);
        else if ((group = strstr(line, ":memory:")))
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", group + 8);
        else
            continue;
        if ((here = read_number(path)) < limit)
            limit = here;
    }
    fclose(file);
    return limit;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

size_t arena_size_default(unsigned arenas, bool in_dev_shm)
{
    uint64_t size = least(available_memory(), group_limit()) / 4;
    struct statvfs shm;

    if (in_dev_shm && !statvfs("/dev/shm", &shm))
        size = least(size, (uint64_t)shm.f_bavail * shm.f_frsize / 2);
    size = least(size / arenas, MOST) / STEP * STEP;
    return size < ARENA_MIN_SIZE ? ARENA_MIN_SIZE : (size_t)size;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine, and the container or batch job in it, really has. */
#include "node/arena_size.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/error.h"
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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of a group and of all above it. `folder` is the group's, and `root` of its characters are the folder where
 * groups begin. */
static uint64_t least_limit(const char *folder, size_t root, const char *file)
{
    size_t length = strlen(folder);
    uint64_t limit = NO_LIMIT;
    char path[2400];

    for (;;) {
        snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, file);
        limit = least(limit, read_number(path));
        if (length <= root)
            return limit;
        while (length > root && folder[--length] != '/')
            ;
    }
}

/* Groups of version 2 or 1. A batch system limits a job, and puts each of its tasks into a group of its own
 * below. In a container the group may have a name that only the machine knows: what can be seen there is the
 * root. */
uint64_t arena_group_limit(const char *own_groups, const char *groups)
{
    FILE *file = fopen(own_groups, "re");
    char line[2048], folder[2300], *group;
    uint64_t limit = NO_LIMIT;

    if (!file)
        return NO_LIMIT;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "0::", 3)) {
            snprintf(folder, sizeof folder, "%s%s", groups, line + 3);
            limit = least(limit, least_limit(folder, strlen(groups), "memory.max"));
        } else if ((group = strstr(line, ":memory:"))) {
            snprintf(folder, sizeof folder, "%s/memory%s", groups, group + 8);
            limit = least(limit, least_limit(folder, strlen(groups) + 7, "memory.limit_in_bytes"));
        }
    }
    fclose(file);
    return limit;
}

/* Each process maps all of an arena. */
static uint64_t address_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ? NO_LIMIT : limit.rlim_cur;
}

size_t arena_size_default(unsigned arenas, bool in_dev_shm)
{
    uint64_t size = least(available_memory(), arena_group_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4;
    struct statvfs shm;

    if (in_dev_shm && !statvfs("/dev/shm", &shm))
        size = least(size, (uint64_t)shm.f_bavail * shm.f_frsize / 2);
    size = least(least(size / arenas, address_limit() / 4), MOST) / STEP * STEP;
    return size < ARENA_MIN_SIZE ? ARENA_MIN_SIZE : (size_t)size;
}

/* Main and its workers need some of the memory, too: what is advised leaves them a quarter. */
int arena_size_check(size_t size, unsigned arenas, uint64_t limit)
{
    uint64_t advised = limit / arenas / 4 * 3 / STEP;
    char several[48] = "";

    if (limit == NO_LIMIT || size <= limit / arenas)
        return MPM_OK;
    if (arenas > 1)
        snprintf(several, sizeof several, ", for each of %u nodes on this machine,", arenas);
    return error_set(MPM_ENOMEM,
                     "an arena of %zu bytes%s exceeds the memory limit of the control group, which is "
                     "%" PRIu64 ": set MPMAP_ARENA to %" PRIu64 "M or less",
                     size, several, limit, advised ? advised : 1);
}

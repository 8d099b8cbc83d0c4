/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. What cannot be read, or makes no sense, is no limit: none of it is ours. */
#include "net/cpu_limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_SIZE 2400

/* Reads one or two numbers; how many there are. */
static int read_numbers(const char *folder, const char *file, long long *first, long long *second)
{
    char path[PATH_SIZE + 32];
    FILE *stream;
    int count;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (!(stream = fopen(path, "re")))
        return 0;
    count = fscanf(stream, "%lld %lld", first, second); /* of "max 100000": none */
    fclose(stream);
    return count;
}

/* Time in a period: of version 2, then of version 1. */
static bool read_quota(const char *folder, long long *quota, long long *period)
{
    if (read_numbers(folder, "cpu.max", quota, period) == 2)
        return *quota > 0 && *period > 0;
    return read_numbers(folder, "cpu.cfs_quota_us", quota, period) >= 1 && *quota > 0 &&
           read_numbers(folder, "cpu.cfs_period_us", period, &(long long){0}) >= 1 && *period > 0;
}

static void note_group(const char *folder, struct cpu_quota *least)
{
    long long quota, period;
    uint64_t cpus;
    struct stat status;

    if (!read_quota(folder, &quota, &period))
        return;
    cpus = ((uint64_t)quota + (uint64_t)period - 1) / (uint64_t)period;
    if (cpus > UINT32_MAX || (least->cpus && cpus >= least->cpus) || stat(folder, &status))
        return;
    least->cpus = (uint32_t)cpus;
    least->group = (uint64_t)status.st_ino << 16 ^ (uint64_t)status.st_dev;
}

/* A group and all above it, up to the folder where groups begin, of `root` characters. */
static void note_groups(char *folder, size_t root, struct cpu_quota *least)
{
    for (size_t length = strlen(folder);; folder[length] = 0) {
        note_group(folder, least);
        if (length <= root)
            return;
        while (length > root && folder[--length] != '/')
            ;
    }
}

/* Whether a list as "cpu,cpuacct" has the CPU controller. */
static bool has_cpu(const char *controllers)
{
    char list[256];

    snprintf(list, sizeof list, ",%s,", controllers);
    return strstr(list, ",cpu,") != NULL;
}

/* A line is "number:controllers:path"; of version 2 it is "0::path". In a container the path may be one that only the
 * machine knows: what can be seen there is the root. */
static void note_line(char *line, const char *groups, struct cpu_quota *least)
{
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    char folder[PATH_SIZE];
    size_t root;

    if (!path)
        return;
    *controllers++ = *path++ = 0;
    if (*controllers && !has_cpu(controllers))
        return;
    root = (size_t)snprintf(folder, sizeof folder, "%s%s", groups, *controllers ? "/cpu" : "");
    if (root + strlen(path) >= sizeof folder)
        return;
    strcpy(folder + root, path);
    note_groups(folder, root, least);
}

struct cpu_quota cpu_quota_of(const char *own_groups, const char *groups)
{
    struct cpu_quota least = {0};
    FILE *file = fopen(own_groups, "re");
    char line[2048];

    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        note_line(line, groups, &least);
    }
    if (file)
        fclose(file);
    return least;
}

/* Slurm. */

static uint32_t read_count(const char *name)
{
    const char *text = getenv("SLURM_JOB_ID") ? getenv(name) : NULL;
    char *end;
    unsigned long count = text ? strtoul(text, &end, 10) : 0;

    return text && !*end && *text != '-' && count <= UINT32_MAX ? (uint32_t)count : 0;
}

uint32_t cpu_limit_of_job(void)
{
    return read_count("SLURM_CPUS_ON_NODE");
}

/* What mpirun starts has the variables of the batch script, or of its own daemon: they say nothing of one rank. */
uint32_t cpu_limit_of_task(void)
{
    bool is_task = getenv("SLURM_STEP_ID") && getenv("SLURM_PROCID") && !getenv("OMPI_COMM_WORLD_SIZE") &&
                   !getenv("HYDRA_PROXY_ID") && !getenv("HYDI_CONTROL_FD");

    return is_task ? read_count("SLURM_CPUS_PER_TASK") : 0;
}

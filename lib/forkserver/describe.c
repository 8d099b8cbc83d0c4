/* SPDX-License-Identifier: BSD-3-Clause */
/* How processes ended, and why they could not begin, in words: with the limit that was reached, where there is one.
 * Limits are those of the calling process: fork servers and their processes have them from the same rank. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "forkserver/forkserver.h"

#define PATH_SIZE 512

static unsigned long long soft_limit(int resource)
{
    struct rlimit limit;

    return getrlimit((__rlimit_resource_t)resource, &limit) ? RLIM_INFINITY : limit.rlim_cur;
}

struct limit {
    const char *what, *unit, *how; /* how: it is set */
    int resource;
};

/* Says that a limit was passed: a process may have set itself one that nobody else knows. */
static void describe_limit(const struct limit *limit, char *text, size_t size)
{
    unsigned long long most = soft_limit(limit->resource);

    if (most == RLIM_INFINITY)
        snprintf(text, size, "was killed by %s (%s)", limit->what, limit->how);
    else
        snprintf(text, size, "was killed by %s of %llu %s (%s)", limit->what, most, limit->unit, limit->how);
}

static void describe_signal(int signal, char *text, size_t size)
{
    static const struct limit file_size = {"SIGXFSZ: a file passed its limit", "bytes", "ulimit -f",
                                           RLIMIT_FSIZE};
    static const struct limit cpu_time = {"SIGXCPU: it passed its limit", "s of CPU time", "ulimit -t",
                                          RLIMIT_CPU};
    const char *name = sigabbrev_np(signal);

    if (signal == SIGXFSZ)
        describe_limit(&file_size, text, size);
    else if (signal == SIGXCPU)
        describe_limit(&cpu_time, text, size);
    else
        snprintf(text, size, "was killed by SIG%s%s", name ? name : "?",
                 signal == SIGKILL ? " (out of memory?)" : "");
}

char *describe_wait_status(int wait_status, char *text, size_t size)
{
    if (WIFSIGNALED(wait_status))
        describe_signal(WTERMSIG(wait_status), text, size);
    else
        snprintf(text, size, "exited with code %d", WEXITSTATUS(wait_status));
    return text;
}

/* What bounds the number of processes. */

/* The number in a file; ULLONG_MAX if there is none. */
static unsigned long long number_in(const char *path)
{
    unsigned long long number = RLIM_INFINITY;
    FILE *file = fopen(path, "re");

    if (!file)
        return number;
    if (fscanf(file, "%llu", &number) != 1)
        number = RLIM_INFINITY;
    fclose(file);
    return number;
}

/* The least of a group and those that it is in: `path` is cut down to its root. */
static unsigned long long least_in_groups(const char *root, char *path)
{
    unsigned long long least = RLIM_INFINITY, limit;
    char file[2 * PATH_SIZE], *end;

    do {
        snprintf(file, sizeof file, "%s%s/pids.max", root, path);
        if ((limit = number_in(file)) < least)
            least = limit;
        if ((end = strrchr(path, '/')))
            *end = 0;
    } while (end);
    return least;
}

/* Where a line of /proc/self/cgroup stands in the file system, and in it; NULL if it counts no processes. */
static const char *root_of(char *line, char **path)
{
    char *controllers = strchr(line, ':');

    if (!controllers || !(*path = strchr(++controllers, ':')))
        return NULL;
    *(*path)++ = 0;
    (*path)[strcspn(*path, "\n")] = 0;
    if (!*controllers)
        return "/sys/fs/cgroup";
    return strcmp(controllers, "pids") == 0 ? "/sys/fs/cgroup/pids" : NULL;
}

static unsigned long long group_limit(void)
{
    unsigned long long least = RLIM_INFINITY, limit;
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_SIZE], *path;
    const char *root;

    if (!file)
        return least;
    while (fgets(line, sizeof line, file)) {
        if ((root = root_of(line, &path)) && (limit = least_in_groups(root, path)) < least)
            least = limit;
    }
    fclose(file);
    return least;
}

/* Adds " (NAME is VALUE)", or " (…; NAME is VALUE)". */
static void add_limit(char *text, size_t size, const char *name, unsigned long long value, bool *has_some)
{
    size_t length = strlen(text);

    if (value == RLIM_INFINITY)
        return;
    if (*has_some)
        length--; /* the bracket */
    snprintf(text + length, size - length, "%s%s is %llu)", *has_some ? ", " : " (", name, value);
    *has_some = true;
}

struct fork_limits fork_limits_here(void)
{
    return (struct fork_limits){.processes = soft_limit(RLIMIT_NPROC), .group = group_limit()};
}

char *describe_fork_failure(int fork_errno, const struct fork_limits *limits, char *text, size_t size)
{
    bool has_some = false;
    size_t length;

    snprintf(text, size, "%s", strerror(fork_errno));
    if (fork_errno != EAGAIN)
        return text;
    add_limit(text, size, "ulimit -u", limits->processes, &has_some);
    add_limit(text, size, "pids.max of the cgroup", limits->group, &has_some);
    length = strlen(text);
    if (!has_some)
        snprintf(text + length, size - length, " (a limit is reached: ulimit -u, or pids.max of the cgroup)");
    return text;
}

char *describe_fork_errno(int fork_errno, char *text, size_t size)
{
    struct fork_limits limits = {0};

    if (fork_errno == EAGAIN)
        limits = fork_limits_here();
    return describe_fork_failure(fork_errno, &limits, text, size);
}

char *describe_thread_errno(int thread_errno, char *text, size_t size)
{
    unsigned long long memory = soft_limit(RLIMIT_AS);
    bool has_some = true;

    describe_fork_errno(thread_errno, text, size);
    if (thread_errno == EAGAIN) /* it is that, too, where there is no memory for a stack */
        add_limit(text, size, "ulimit -v", memory == RLIM_INFINITY ? memory : memory / 1024, &has_some);
    return text;
}

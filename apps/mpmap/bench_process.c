/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench process: starting a process that does nothing, and joining it, beside fork and wait of a small
 * process, and beside Python's Process; and how soon another worker does the next item when one has died. What fork and
 * exit cost goes with what a process has mapped, so the limit is measured by a process that has given back all but the
 * program itself and the C library. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpmap.h>

#include "bench.h"

#define MAX_RANGES      4096
#define DEFAULT_SECONDS 0.3

static const char help[] =
    "usage: mpmap bench process [--json] [--seconds S]\n"
    "\n"
    "Processes a second that are started and joined one after the other on this node; and workers of a pool\n"
    "a second that die in an item, and are replaced by another one, which does the next item.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* The limit. */

struct range {
    unsigned long start, end;
};

/* Whether a small process does without what is mapped there. */
static bool is_spare(const char *line, const char *program)
{
    const char *path = strpbrk(line, "/[");

    return path && *path == '/' && strncmp(path, program, strlen(program)) != 0 &&
           !strstr(path, "/libc.so") && !strstr(path, "/libc-") && !strstr(path, "/ld-");
}

static size_t find_ranges(struct range *ranges)
{
    char program[4096] = "", line[4352];
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t count = 0;

    if (!maps || readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return 0;
    while (count < MAX_RANGES && fgets(line, sizeof line, maps)) {
        if (is_spare(line, program) && sscanf(line, "%lx-%lx", &ranges[count].start, &ranges[count].end) == 2)
            count++;
    }
    fclose(maps);
    return count;
}

/* Gives back what it does not need, and forks. Nothing but system calls from there on: whatever else it
 * called might need what is gone. */
static _Noreturn void fork_small(uint64_t count, pid_t parent)
{
    static struct range ranges[MAX_RANGES];
    size_t range_count = find_ranges(ranges);
    long pid;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!range_count || syscall(SYS_getppid) != parent)
        _exit(EXIT_FAILURE);
    for (size_t i = 0; i < range_count; i++)
        syscall(SYS_munmap, ranges[i].start, ranges[i].end - ranges[i].start);
    for (uint64_t i = 0; i < count; i++) {
        if ((pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0)
            syscall(SYS_exit_group, 0);
        if (pid < 0 || syscall(SYS_wait4, pid, NULL, 0, NULL) != pid)
            syscall(SYS_exit_group, EXIT_FAILURE);
    }
    for (;;)
        syscall(SYS_exit_group, EXIT_SUCCESS);
}

static int run_small(const void *unused, uint64_t count)
{
    pid_t parent = getpid(), child = fork();
    int wait_status = 0;

    (void)unused;
    if (child == 0)
        fork_small(count, parent);
    if (child < 0 || waitpid(child, &wait_status, 0) != child || wait_status) {
        fputs("mpmap: cannot start a small process for comparison\n", stderr);
        return MPM_ESYSTEM;
    }
    return 0;
}

/* Ours. */

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

static int run_process(const void *unused, uint64_t count)
{
    mpm_process_options here = {.place = MPM_ON_NODE(0)};
    int status = 0;

    (void)unused;
    for (uint64_t i = 0; !status && i < count; i++) {
        mpm_process process;

        if (!(status = mpm_process_start(do_nothing, NULL, 0, &here, &process)) &&
            !(status = mpm_process_join(process, MPM_FOREVER)))
            status = mpm_process_close(process);
    }
    return status;
}

static int die(mpm_call *call, const void *item, void *result)
{
    (void)call, (void)item, (void)result;
    raise(SIGKILL);
    return 0;
}

static int do_item(mpm_call *call, const void *item, void *result)
{
    (void)call, (void)item, (void)result;
    return 0;
}

static int run_deaths(const void *argument, uint64_t count)
{
    mpm_pool *pool = *(mpm_pool *const *)argument;
    int status = 0;

    for (uint64_t i = 0; !status && i < count; i++) {
        status = mpm_pool_apply(pool, die, NULL, 0, 0, NULL);
        if (status == MPM_ETASK)
            status = mpm_pool_apply(pool, do_item, NULL, 0, 0, NULL);
    }
    return status;
}

static const char python_script[] = "count = 200\n"
                                    "context = multiprocessing.get_context(\"fork\")\n"
                                    "def nothing(): pass\n"
                                    "def once():\n"
                                    "    start = time.perf_counter()\n"
                                    "    for i in range(count):\n"
                                    "        process = context.Process(target=nothing)\n"
                                    "        process.start()\n"
                                    "        process.join()\n"
                                    "    return count / (time.perf_counter() - start)\n"
                                    "print(statistics.median(once() for _ in range(3)))\n";

/* Two figures. */
static int measure(double seconds, struct bench_figure *figures)
{
    static const char limit_name[] = "fork and wait, a small process";
    mpm_pool *pool = NULL;
    struct bench_case cases[] = {
        {.run = run_small}, {.run = run_process}, {.run = run_deaths, .argument = &pool}};
    int status = mpm_pool_open(&(mpm_pool_options){.workers = 1, .max_attempts = 1}, &pool);

    if (!status)
        status = bench_measure(cases, sizeof cases / sizeof *cases, seconds);
    mpm_pool_close(pool);
    if (status)
        return status;
    figures[0] = (struct bench_figure){"start and join", bench_rate(&cases[1]), "/s", bench_rate(&cases[0]),
                                       limit_name};
    figures[1] = (struct bench_figure){"a worker dies, another one does the next item", bench_rate(&cases[2]),
                                       "/s", bench_rate(&cases[0]), limit_name};
    return 0;
}

int bench_process(int argc, char **argv)
{
    struct bench_options options = {.name = "bench process", .help = help, .seconds = DEFAULT_SECONDS};
    struct bench_figure figures[3];
    size_t count = 2;
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    if (measure(options.seconds, figures))
        return mpm_report_error();
    count = bench_add_python(figures, count,
                             (struct bench_figure){"start and join, beside Python", figures[0].value, "/s", 0,
                                                   "Python multiprocessing.Process"},
                             python_script);
    bench_print(figures, count, options.json);
    return 0;
}

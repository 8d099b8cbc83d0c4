/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes as they are seen from outside the run: for process.sh.
 *
 *   processes lines COUNT  eight processes print COUNT lines each, half a line more, and end in different
 * ways processes finalize     mpm_finalize with processes that main does not join, on all nodes, then "over"
 *   processes pool         the same with processes that workers of a pool have started
 *   processes forever      prints the pids of three processes a node and of main, "running", and waits */
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 8

struct writer {
    int number, lines;
};

static int write_lines(const void *args, size_t size)
{
    const struct writer *writer = args;

    (void)size;
    for (int i = 0; i < writer->lines; i++) {
        printf("writer %d", writer->number);
        printf(" writes line %d of its lines, which are long enough to be cut somewhere in between", i);
        printf(" by the lines of another one\n");
    }
    printf("writer %d is done", writer->number);
    if (writer->number % 3 == 1)
        mpm_exit(0);
    if (writer->number % 3 == 2)
        exit(0);
    return 0;
}

static int lines(int count)
{
    mpm_process writers[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        if (mpm_process_start(write_lines, &(struct writer){i, count}, sizeof(struct writer), NULL,
                              &writers[i]))
            return mpm_report_error();
    }
    for (int i = 0; i < WRITERS; i++) {
        if (mpm_process_join(writers[i], MPM_FOREVER))
            return mpm_report_error();
        printf("\n");
        fflush(stdout);
    }
    return mpm_finalize();
}

/* What takes its time. */
static int work(const void *args, size_t size)
{
    (void)args;
    (void)size;
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    printf("worked\n");
    return 0;
}

static int wait_for_ever(const void *args, size_t size)
{
    (void)args;
    (void)size;
    while (pause())
        ;
    return EXIT_SUCCESS;
}

/* Starts one on every node, and leaves them alone. */
static int start_everywhere(const void *args, size_t size)
{
    mpm_process process;

    (void)args;
    (void)size;
    for (unsigned node = mpm_node_count(); node-- > 0;) {
        if (mpm_process_start(work, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process))
            return mpm_report_error();
    }
    return 0;
}

static int end(void)
{
    if (mpm_finalize())
        return mpm_report_error();
    printf("over\n");
    return EXIT_SUCCESS;
}

static int finalize(void)
{
    mpm_process process;

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};

        if (mpm_process_start(start_everywhere, NULL, 0, &options, &process))
            return mpm_report_error();
        options.daemon = 1;
        if (mpm_process_start(wait_for_ever, NULL, 0, &options, &process))
            return mpm_report_error();
    }
    return end();
}

static int start_in_a_task(mpm_call *call, const void *item, void *result)
{
    mpm_process process;

    (void)item;
    (void)result;
    if (mpm_process_start(work, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(mpm_node_id())},
                          &process))
        return mpm_fail(call, "%s", mpm_error());
    return 0;
}

static int pool(void)
{
    mpm_pool *workers;

    if (mpm_pool_open(NULL, &workers) ||
        mpm_pool_map(workers, start_in_a_task, NULL, 10, 0, &(mpm_map_options){.chunk = 1}, NULL, 0))
        return mpm_report_error();
    return end();
}

static int forever(void)
{
    mpm_process process;
    int pid;

    printf("%d\n", (int)getpid());
    for (unsigned i = 0; i < 3 * mpm_node_count(); i++) {
        if (mpm_process_start(wait_for_ever, NULL, 0,
                              &(mpm_process_options){.place = MPM_ON_NODE(i % mpm_node_count())}, &process) ||
            mpm_process_pid(process, &pid))
            return mpm_report_error();
        printf("%d\n", pid);
    }
    printf("running\n");
    fflush(stdout);
    return wait_for_ever(NULL, 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (!strcmp(what, "lines") && argc == 3)
        return lines(atoi(argv[2]));
    if (!strcmp(what, "finalize"))
        return finalize();
    if (!strcmp(what, "pool"))
        return pool();
    return !strcmp(what, "forever") ? forever() : EXIT_FAILURE;
}

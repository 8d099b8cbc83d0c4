/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes as they are seen from outside the run: for process.sh.
 *
 *   processes lines COUNT  eight processes print COUNT lines each, half a line more, and end in different
 *                          ways
 *   processes finalize     mpm_finalize with processes that main does not join, on all nodes, then "over"
 *   processes exits HOW    exit(3) while a thread waits without end: HOW is join, get or any
 *   processes pool         the same with processes that workers of a pool have started
 *   processes stdin        main reads lines, processes on all nodes read nothing
 *   processes forever      prints the pids of three processes a node, of what each has started, and of main,
 *                          "running", and waits */
#include <mpmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* What those wait for that are to work, and what opens it. */
struct gate {
    mpm_queue passes, opening;
    int count; /* of those who wait */
};

/* Works once the gate is open. */
static int work(const void *args, size_t size)
{
    const struct gate *gate = args;

    (void)size;
    if (mpm_queue_get(gate->passes, MPM_FOREVER, NULL, 0, NULL))
        return mpm_report_error();
    printf("worked\n");
    return 0;
}

static int open_gate(const void *args, size_t size)
{
    const struct gate *gate = args;

    (void)size;
    if (mpm_queue_get(gate->opening, MPM_FOREVER, NULL, 0, NULL))
        return mpm_report_error();
    for (int i = 0; i < gate->count; i++) {
        if (mpm_queue_put(gate->passes, NULL, 0, MPM_FOREVER))
            return mpm_report_error();
    }
    return 0;
}

/* A gate for so many, and a process that opens it when main ends. */
static int make_gate(int count, struct gate *gate)
{
    mpm_process opener;

    gate->count = count;
    if (mpm_queue_create(NULL, &gate->passes) || mpm_queue_create(NULL, &gate->opening))
        return -1;
    return mpm_process_start(open_gate, gate, sizeof *gate, NULL, &opener);
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

    for (unsigned node = mpm_node_count(); node-- > 0;) {
        if (mpm_process_start(work, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process))
            return mpm_report_error();
    }
    return 0;
}

/* Main is in mpm_finalize long before anybody has come through the gate. */
static int end(const struct gate *gate)
{
    if (mpm_queue_put(gate->opening, NULL, 0, 0) || mpm_finalize())
        return mpm_report_error();
    printf("over\n");
    return EXIT_SUCCESS;
}

static int finalize(void)
{
    mpm_process process;
    struct gate gate;

    if (make_gate((int)(mpm_node_count() * mpm_node_count()), &gate))
        return mpm_report_error();
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};

        if (mpm_process_start(start_everywhere, &gate, sizeof gate, &options, &process))
            return mpm_report_error();
        options.daemon = 1;
        if (mpm_process_start(wait_for_ever, NULL, 0, &options, &process))
            return mpm_report_error();
    }
    return end(&gate);
}

static int start_in_a_task(mpm_call *call, const void *item, void *result)
{
    mpm_process process;

    (void)item;
    (void)result;
    if (mpm_process_start(work, mpm_call_context(call), sizeof(struct gate),
                          &(mpm_process_options){.place = MPM_ON_NODE(mpm_node_id())}, &process))
        return mpm_fail(call, "%s", mpm_error());
    return 0;
}

static int pool(void)
{
    mpm_map_options options = {.chunk = 1};
    struct gate gate;
    mpm_pool *workers;

    options.context = &gate;
    options.context_size = sizeof gate;
    if (make_gate(10, &gate) || mpm_pool_open(NULL, &workers) ||
        mpm_pool_map(workers, start_in_a_task, NULL, 10, 0, 0, &options, NULL))
        return mpm_report_error();
    return end(&gate);
}

/* Leaves a child behind that has detached itself as a daemon of the system does. Its pid, -1 on failure. */
static pid_t detach(void)
{
    int ends[2];
    pid_t pid = -1;

    if (pipe(ends))
        return -1;
    if (fork() == 0) {
        if (setsid() < 0 || fork())
            _exit(EXIT_FAILURE);
        pid = getpid();
        if (write(ends[1], &pid, sizeof pid) != sizeof pid)
            _exit(EXIT_FAILURE);
        execle("/bin/sleep", "sleep", "300", (char *)NULL, (char *[]){NULL});
        _exit(EXIT_FAILURE);
    }
    close(ends[1]);
    return read(ends[0], &pid, sizeof pid) == sizeof pid ? pid : -1;
}

/* Tells its pid, and that of its child. With a change of user, where it may, the kernel unties it from its fork
 * server. */
static int detach_and_wait(const void *args, size_t size)
{
    int pids[2] = {(int)getpid(), (int)detach()};

    if (geteuid() == 0 && setuid(65534))
        return EXIT_FAILURE;
    if (mpm_queue_put(*(const mpm_queue *)args, pids, sizeof pids, MPM_FOREVER))
        return mpm_report_error();
    return wait_for_ever(NULL, size);
}

static int forever(void)
{
    mpm_process process;
    mpm_queue told;
    int pids[2];

    printf("%d\n", (int)getpid());
    if (mpm_queue_create(NULL, &told))
        return mpm_report_error();
    for (unsigned i = 0; i < 3 * mpm_node_count(); i++) {
        if (mpm_process_start(detach_and_wait, &told, sizeof told,
                              &(mpm_process_options){.place = MPM_ON_NODE(i % mpm_node_count())}, &process) ||
            mpm_queue_get(told, MPM_FOREVER, pids, sizeof pids, NULL))
            return mpm_report_error();
        printf("%d\n%d\n", pids[0], pids[1]);
    }
    printf("running\n");
    fflush(stdout);
    return wait_for_ever(NULL, 0);
}

/* Main has read one line before, and has more of them in its buffer; the others are still to come. */
static int count_bytes(const void *args, size_t size)
{
    int count = 0;

    (void)args;
    (void)size;
    while (getchar() != EOF)
        count++;
    return count > 0;
}

static int read_lines(void)
{
    int lines = 0, exitcode = -1;
    mpm_process process;
    char line[100];

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        if (mpm_process_start(count_bytes, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(node)},
                              &process) ||
            mpm_process_join(process, MPM_FOREVER) || mpm_process_exitcode(process, &exitcode))
            return mpm_report_error();
        printf("%d\n", exitcode);
    }
    while (fgets(line, sizeof line, stdin))
        lines++;
    printf("%d lines\n", lines);
    return mpm_finalize();
}

/* Where a thread waits when main leaves by exit(). */
static mpm_process awaited;
static mpm_queue empty;
static const char *where;

static void *wait_there(void *unused)
{
    size_t ready, count;

    if (!strcmp(where, "join") && mpm_process_join(awaited, MPM_FOREVER))
        return unused;
    if (!strcmp(where, "get") && mpm_queue_get(empty, MPM_FOREVER, NULL, 0, NULL))
        return unused;
    if (!strcmp(where, "any") && mpm_wait_any(&awaited.handle, 1, MPM_FOREVER, &ready, &count))
        return unused;
    return NULL;
}

/* The awaited process is another node's where there are several. */
static int exits(const char *how)
{
    mpm_process_options last = {.place = MPM_ON_NODE(mpm_node_count() - 1)};
    pthread_t thread;

    where = how;
    if (mpm_process_start(wait_for_ever, NULL, 0, &last, &awaited) || mpm_queue_create(NULL, &empty))
        return mpm_report_error();
    if (pthread_create(&thread, NULL, wait_there, NULL))
        return EXIT_FAILURE;
    exit(3);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    char first[100];

    if (!strcmp(what, "stdin") && !fgets(first, sizeof first, stdin))
        first[0] = 0; /* of other ranks it is empty */
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (!strcmp(what, "lines") && argc == 3)
        return lines(atoi(argv[2]));
    if (!strcmp(what, "finalize"))
        return finalize();
    if (!strcmp(what, "exits") && argc == 3)
        return exits(argv[2]);
    if (!strcmp(what, "pool"))
        return pool();
    if (!strcmp(what, "stdin"))
        return read_lines();
    return !strcmp(what, "forever") ? forever() : EXIT_FAILURE;
}

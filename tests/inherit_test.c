/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers and processes have of the program that started the run: the signals that it ignored, and the arena,
 * which is in none of their core dumps; and what ends with them: whatever they have started. On each node. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

/* Signals. */

static void handle(int signal_number)
{
    (void)signal_number;
}

/* What the program does with signals before mpm_init. */
static void set_signals(void)
{
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGCONT, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGUSR2, handle);
    signal(SIGTERM, handle);
}

static bool is_ignored(int signal_number)
{
    struct sigaction now;

    return !sigaction(signal_number, NULL, &now) && now.sa_handler == SIG_IGN;
}

static bool is_default(int signal_number)
{
    struct sigaction now;

    return !sigaction(signal_number, NULL, &now) && now.sa_handler == SIG_DFL;
}

static void expect_signals(void)
{
    EXPECT(is_ignored(SIGHUP));
    EXPECT(is_ignored(SIGUSR1));
    EXPECT(is_ignored(SIGXFSZ));
    EXPECT(is_ignored(SIGCONT));
    EXPECT(is_default(SIGCHLD));
    EXPECT(is_default(SIGUSR2));
    EXPECT(is_default(SIGTERM));
    EXPECT(is_default(SIGQUIT));
    EXPECT(!raise(SIGHUP));
}

static int look_at_signals(const void *args, size_t size)
{
    (void)args;
    (void)size;
    expect_signals();
    EXPECT(is_default(SIGINT));
    return everywhere_end();
}

static int look_at_a_workers_signals(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    expect_signals();
    EXPECT(is_ignored(SIGINT));
    return everywhere_end();
}

/* The first one on a node is forked for it, the next one was a spare. */
static void processes_ignore_what_the_program_ignored(void)
{
    run_on_each_node(look_at_signals, NULL, 0);
    run_on_each_node(look_at_signals, NULL, 0);
}

static void workers_ignore_what_the_program_ignored(void)
{
    unsigned count = 8 * mpm_slot_count();
    mpm_pool *pool;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, look_at_a_workers_signals, NULL, count, 0, 0, NULL, NULL), MPM_OK);
    mpm_pool_close(pool);
}

static int wait_for_a_signal(const void *args, size_t size)
{
    (void)size;
    EXPECT(!mpm_event_set(*(const mpm_event *)args));
    EXPECT(!mpm_event_wait(((const mpm_event *)args)[1], MPM_FOREVER));
    return everywhere_end();
}

/* A hangup of the whole job, as when a terminal is closed: each process gets it by itself. */
static void a_hangup_ends_nobody(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_event events[2];
        mpm_process process;
        int pid;

        CU_ASSERT_EQUAL_FATAL(mpm_event_create(&events[0]), MPM_OK);
        CU_ASSERT_EQUAL_FATAL(mpm_event_create(&events[1]), MPM_OK);
        process = start_on(node, wait_for_a_signal, events, sizeof events);
        CU_ASSERT_EQUAL(mpm_event_wait(events[0], 100), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_pid(process, &pid), MPM_OK);
        CU_ASSERT_EQUAL(kill(pid, SIGHUP), 0);
        CU_ASSERT_EQUAL(kill(pid, SIGUSR1), 0);
        CU_ASSERT_EQUAL(mpm_event_set(events[1]), MPM_OK);
        expect_end(process, 0);
        CU_ASSERT_EQUAL(mpm_event_destroy(events[0]), MPM_OK);
        CU_ASSERT_EQUAL(mpm_event_destroy(events[1]), MPM_OK);
    }
}

/* Core dumps. */

/* How many mappings of that size and more the calling process shares with others; `dumped`: out, those that core dumps
 * have. */
static unsigned count_mappings(size_t least, unsigned *dumped)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    unsigned long from, to, size = 0;
    char line[1024], permissions[5] = "";
    unsigned count = 0;

    *dumped = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3)
            size = to - from;
        if (strncmp(line, "VmFlags:", 8) || strcmp(permissions, "rw-s") || size < least)
            continue;
        count++;
        *dumped += !strstr(line, " dd");
    }
    if (file)
        fclose(file);
    return count;
}

static int look_at_mappings(const void *args, size_t size)
{
    mpm_node info;
    unsigned dumped;

    (void)args;
    (void)size;
    EXPECT(!mpm_node_info(mpm_node_id(), &info));
    EXPECT(count_mappings(info.arena_size, &dumped) >= 1);
    EXPECT(dumped == 0);
    return everywhere_end();
}

static int look_at_a_workers_mappings(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    return look_at_mappings(item, 0);
}

/* With several ranks on a node there are two: MPI's, and mpmap's own. */
static void core_dumps_leave_the_arena_out(void)
{
    mpm_pool *pool;

    CU_ASSERT_EQUAL(look_at_mappings(NULL, 0), 0);
    run_on_each_node(look_at_mappings, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, look_at_a_workers_mappings, NULL, 8, 0, 0, NULL, NULL), MPM_OK);
    mpm_pool_close(pool);
}

/* What they have started. */

/* How a child goes away from its parent. */
enum way { STAYS, IN_A_SESSION, DETACHED, ANOTHER_PROGRAM, WAYS };

/* How a process or a worker ends. */
enum end { RETURNS, LEAVES, CRASHES, IS_KILLED, ENDS };

static struct shared {
    _Atomic int child[WAYS]; /* pids */
} * shared;

static _Noreturn void be_left_behind(enum way way)
{
    static char *empty[] = {NULL};

    if (way != STAYS && setsid() < 0)
        _exit(EXIT_FAILURE);
    if (way >= DETACHED && fork())
        _exit(EXIT_SUCCESS);
    atomic_store(&shared->child[way], (int)getpid());
    if (way == ANOTHER_PROGRAM)
        execle("/bin/sleep", "sleep", "300", (char *)NULL, empty);
    alarm(300);
    for (;;)
        pause();
}

/* Has a child that does not end by itself. */
static void leave_behind(enum way way)
{
    pid_t child = fork();

    if (child == 0)
        be_left_behind(way);
    if (way >= DETACHED)
        EXPECT(waitpid(child, NULL, 0) == child);
    EXPECT(gate_reached(&shared->child[way], 1));
}

static void leave_all_behind(void)
{
    for (enum way way = 0; way < WAYS; way++)
        leave_behind(way);
}

static void forget_children(void)
{
    memset((void *)shared, 0, sizeof *shared);
}

/* Of another process's child. */
static bool ends_soon(pid_t pid)
{
    for (int i = 0; i < 30000; i++) {
        if (kill(pid, 0) && errno == ESRCH)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static void expect_no_children(void)
{
    for (enum way way = 0; way < WAYS; way++) {
        int pid = atomic_load(&shared->child[way]);

        CU_ASSERT(pid > 0);
        CU_ASSERT(pid > 0 && ends_soon(pid));
    }
    forget_children();
}

static int end_as(enum end end)
{
    if (end == LEAVES)
        exit(0);
    if (end == CRASHES)
        abort();
    while (end == IS_KILLED)
        pause();
    return everywhere_end();
}

static int leave_all_and_end(const void *args, size_t size)
{
    (void)size;
    leave_all_behind();
    return end_as(*(const enum end *)args);
}

static void what_a_process_has_started_ends_with_it(void)
{
    static const int codes[ENDS] = {0, 0, -SIGABRT, -SIGKILL};

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (enum end end = 0; end < ENDS; end++) {
            mpm_process process = start_on(node, leave_all_and_end, &end, sizeof end);

            if (end == IS_KILLED) {
                CU_ASSERT(gate_reached(&shared->child[WAYS - 1], 1));
                CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
            }
            expect_end(process, codes[end]);
            expect_no_children();
        }
    }
}

static int leave_all_in_a_task(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    leave_all_behind();
    return end_as(*(const enum end *)item);
}

/* The worker is of any node: so many workers as there are slots. */
static mpm_pool *open_pool(double item_timeout_s)
{
    mpm_pool_options options = {.item_timeout_s = item_timeout_s, .max_attempts = 1};
    mpm_pool *pool;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    return pool;
}

static void what_a_task_has_started_ends_with_its_worker(void)
{
    for (enum end end = 0; end < ENDS; end++) {
        mpm_pool *pool = open_pool(end == IS_KILLED ? 3 : 0);
        int status = mpm_pool_map(pool, leave_all_in_a_task, &end, 1, sizeof end, 0, NULL, NULL);

        CU_ASSERT_EQUAL(status, end == RETURNS ? MPM_OK : MPM_ETASK);
        if (end == RETURNS)
            CU_ASSERT_EQUAL(kill(atomic_load(&shared->child[DETACHED]), 0), 0);
        if (end != RETURNS)
            expect_no_children();
        mpm_pool_close(pool);
        if (end == RETURNS)
            expect_no_children();
    }
}

static void what_a_task_has_started_ends_when_the_pool_is_terminated(void)
{
    enum end end = IS_KILLED;
    mpm_pool *pool = open_pool(0);
    mpm_result *result;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, leave_all_in_a_task, &end, 1, sizeof end, 0, NULL, NULL, NULL, &result),
        MPM_OK);
    CU_ASSERT(gate_reached(&shared->child[WAYS - 1], 1));
    mpm_pool_terminate(pool);
    mpm_result_destroy(result);
    expect_no_children();
}

static int leave_one_and_wait(const void *args, size_t size)
{
    (void)size;
    leave_behind(DETACHED);
    EXPECT(!mpm_event_wait(*(const mpm_event *)args, MPM_FOREVER));
    return everywhere_end();
}

static int leave_another_one(const void *args, size_t size)
{
    (void)args;
    (void)size;
    leave_behind(ANOTHER_PROGRAM);
    return everywhere_end();
}

static void what_another_process_has_started_goes_on(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process first;
        mpm_event gate;

        CU_ASSERT_EQUAL_FATAL(mpm_event_create(&gate), MPM_OK);
        first = start_on(node, leave_one_and_wait, &gate, sizeof gate);
        CU_ASSERT(gate_reached(&shared->child[DETACHED], 1));
        expect_end(start_on(node, leave_another_one, NULL, 0), 0);
        CU_ASSERT(ends_soon(atomic_load(&shared->child[ANOTHER_PROGRAM])));
        CU_ASSERT_EQUAL(kill(atomic_load(&shared->child[DETACHED]), 0), 0);
        CU_ASSERT_EQUAL(mpm_event_set(gate), MPM_OK);
        expect_end(first, 0);
        CU_ASSERT(ends_soon(atomic_load(&shared->child[DETACHED])));
        CU_ASSERT_EQUAL(mpm_event_destroy(gate), MPM_OK);
        forget_children();
    }
}

static int wait_at_gate(const void *args, size_t size)
{
    (void)size;
    EXPECT(!mpm_event_wait(*(const mpm_event *)args, MPM_FOREVER));
    return everywhere_end();
}

/* So many that what the dead have left is looked for after a pause, in which this one dies: nobody rings then. */
static void what_one_of_many_has_started_ends_with_it(void)
{
    enum { MANY = 200, TIMES = 10, AT_ONCE = 5 };
    mpm_process others[MANY];
    mpm_event gate;

    CU_ASSERT_EQUAL_FATAL(mpm_event_create(&gate), MPM_OK);
    for (unsigned i = 0; i < MANY; i++)
        others[i] = start_on(0, wait_at_gate, &gate, sizeof gate);
    for (unsigned i = 0; i < TIMES; i++) {
        mpm_process first = start_on(0, leave_one_and_wait, &gate, sizeof gate);

        CU_ASSERT(gate_reached(&shared->child[DETACHED], 1));
        for (unsigned k = 0; k < AT_ONCE; k++)
            CU_ASSERT_EQUAL(mpm_process_kill(others[i * AT_ONCE + k]), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_kill(first), MPM_OK);
        expect_end(first, -SIGKILL);
        CU_ASSERT(ends_soon(atomic_load(&shared->child[DETACHED])));
        forget_children();
    }
    CU_ASSERT_EQUAL(mpm_event_set(gate), MPM_OK);
    for (unsigned i = 0; i < MANY; i++)
        expect_end(others[i], i < TIMES * AT_ONCE ? -SIGKILL : 0);
    CU_ASSERT_EQUAL(mpm_event_destroy(gate), MPM_OK);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"processes_ignore_what_the_program_ignored", processes_ignore_what_the_program_ignored},
        {"workers_ignore_what_the_program_ignored", workers_ignore_what_the_program_ignored},
        {"a_hangup_ends_nobody", a_hangup_ends_nobody},
        {"core_dumps_leave_the_arena_out", core_dumps_leave_the_arena_out},
        {"what_a_process_has_started_ends_with_it", what_a_process_has_started_ends_with_it},
        {"what_a_task_has_started_ends_with_its_worker", what_a_task_has_started_ends_with_its_worker},
        {"what_a_task_has_started_ends_when_the_pool_is_terminated",
         what_a_task_has_started_ends_when_the_pool_is_terminated},
        {"what_another_process_has_started_goes_on", what_another_process_has_started_goes_on},
        {"what_one_of_many_has_started_ends_with_it", what_one_of_many_has_started_ends_with_it},
    };
    int failed;

    shared = shared_file("inherit_test", sizeof *shared);
    set_signals();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("inherit", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

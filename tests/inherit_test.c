/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers and processes have of the program that started the run: the signals that it ignored. On each node. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>

#include <mpmap.h>

#include "support/everywhere.h"
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
    CU_ASSERT_EQUAL(mpm_pool_map(pool, look_at_a_workers_signals, NULL, count, 0, NULL, NULL, 0), MPM_OK);
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
        CU_ASSERT_EQUAL(mpm_event_wait(events[0], 30), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_pid(process, &pid), MPM_OK);
        CU_ASSERT_EQUAL(kill(pid, SIGHUP), 0);
        CU_ASSERT_EQUAL(kill(pid, SIGUSR1), 0);
        CU_ASSERT_EQUAL(mpm_event_set(events[1]), MPM_OK);
        expect_end(process, 0);
        CU_ASSERT_EQUAL(mpm_event_destroy(events[0]), MPM_OK);
        CU_ASSERT_EQUAL(mpm_event_destroy(events[1]), MPM_OK);
    }
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"processes_ignore_what_the_program_ignored", processes_ignore_what_the_program_ignored},
        {"workers_ignore_what_the_program_ignored", workers_ignore_what_the_program_ignored},
        {"a_hangup_ends_nobody", a_hangup_ends_nobody},
    };
    int failed;

    set_signals();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("inherit", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

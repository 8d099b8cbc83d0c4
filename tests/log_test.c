/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library says on stderr, and on which nodes. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/log.h"
#include "support/everywhere.h"
#include "support/suite.h"

/* All ranks of a machine write to one file, which each opens before the run. */
static char file_name[256];

static bool has_said(const char *words)
{
    static char text[1 << 16];
    int file = open(file_name, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);

    close(file);
    text[size < 0 ? 0 : size] = 0;
    return strstr(text, words) != NULL;
}

static void forget(void)
{
    CU_ASSERT_EQUAL(truncate(file_name, 0), 0);
}

static int end_with(const void *args, size_t size)
{
    (void)size;
    return *(const int *)args;
}

static void run_process(unsigned node, const char *name, int code)
{
    mpm_process_options options = {.place = MPM_ON_NODE(node), .name = name};
    mpm_process process;

    CU_ASSERT_EQUAL_FATAL(mpm_process_start(end_with, &code, sizeof code, &options, &process), MPM_OK);
    expect_end(process, code);
    everywhere_assert();
}

static void the_run_is_told_where_info_was_asked_for_before_it(void)
{
    char expected[120];

    snprintf(expected, sizeof expected, "mpmap: nodes: %u, ranks: %u, slots: %u, MPI: ", mpm_node_count(),
             mpm_rank_count(), mpm_slot_count());
    CU_ASSERT(has_said(expected));
}

static void begins_and_ends_of_processes_are_told_on_every_node(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        char begins[64], ends[64], name[32];

        snprintf(name, sizeof name, "Eve-%u", node);
        snprintf(begins, sizeof begins, "process %s starts: pid ", name);
        snprintf(ends, sizeof ends, "process %s exited with code %u\n", name, node + 3);
        run_process(node, name, (int)node + 3);
        CU_ASSERT(has_said(begins));
        CU_ASSERT(has_said(ends));
    }
}

static int crash_at_five(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return mpm_call_index(call) == 5 ? raise(SIGKILL) : 0;
}

/* Workers are told of by the fork servers of their nodes: before the map can end. */
static void pools_and_deaths_of_workers_are_told(void)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 3}, &pool), MPM_OK);
    CU_ASSERT(has_said("pool 1 is open: 3 workers\n"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash_at_five, NULL, 10, 0, 0, NULL, NULL), MPM_ETASK);
    CU_ASSERT(has_said(" of pool 1 was killed by SIGKILL (out of memory?) in item 5\n"));
    mpm_pool_close(pool);
    CU_ASSERT(has_said("pool 1 is closed\n"));
}

static int look_at_level(const void *args, size_t size)
{
    (void)size;
    EXPECT(log_get_level() == *(const enum mpm_log_level *)args);
    return everywhere_end();
}

/* What main says to another node comes there before a process that it starts there later. */
static void main_may_choose_for_all_nodes(void)
{
    enum mpm_log_level level = MPM_LOG_ERROR;

    CU_ASSERT_EQUAL(mpm_log_to_stderr(level), MPM_OK);
    run_on_each_node(look_at_level, &level, sizeof level);
    forget();
    run_process(mpm_node_count() - 1, "Silent", 0);
    CU_ASSERT(!has_said("mpmap: "));
    level = MPM_LOG_INFO;
    CU_ASSERT_EQUAL(mpm_log_to_stderr(level), MPM_OK);
    run_on_each_node(look_at_level, &level, sizeof level);
    everywhere_assert();
}

static int choose(const void *args, size_t size)
{
    (void)size;
    return mpm_log_to_stderr(*(const enum mpm_log_level *)args) ? 1 : 0;
}

static void a_process_may_choose_for_its_node(void)
{
    enum mpm_log_level debug = MPM_LOG_DEBUG, info = MPM_LOG_INFO;
    unsigned last = mpm_node_count() - 1;

    expect_end(start_on(last, choose, &debug, sizeof debug), 0);
    expect_end(start_on(last, look_at_level, &debug, sizeof debug), 0);
    if (last)
        expect_end(start_on(0, look_at_level, &info, sizeof info), 0);
    CU_ASSERT_EQUAL(mpm_log_to_stderr(MPM_LOG_INFO), MPM_OK);
    everywhere_assert();
}

static void a_level_that_is_none_is_refused(void)
{
    CU_ASSERT_EQUAL(mpm_log_to_stderr((enum mpm_log_level)4), MPM_EINVAL);
    CU_ASSERT(error_has("level is 4: it must be 0 (off) to 3 (debug)"));
    CU_ASSERT_EQUAL(log_get_level(), MPM_LOG_INFO);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"the_run_is_told_where_info_was_asked_for_before_it",
         the_run_is_told_where_info_was_asked_for_before_it},
        {"begins_and_ends_of_processes_are_told_on_every_node",
         begins_and_ends_of_processes_are_told_on_every_node},
        {"pools_and_deaths_of_workers_are_told", pools_and_deaths_of_workers_are_told},
        {"main_may_choose_for_all_nodes", main_may_choose_for_all_nodes},
        {"a_process_may_choose_for_its_node", a_process_may_choose_for_its_node},
        {"a_level_that_is_none_is_refused", a_level_that_is_none_is_refused},
    };
    const char *folder = getenv("TMPDIR");
    int file, failed;

    snprintf(file_name, sizeof file_name, "%s/mpmap-log-test-%d", folder ? folder : P_tmpdir,
             (int)(getenv("PMIX_RANK") ? getppid() : getpid()));
    file = open(file_name, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("MPMAP_LOG");
    if (file < 0 || dup2(file, STDERR_FILENO) < 0 || mpm_log_to_stderr(MPM_LOG_INFO) ||
        mpm_init(NULL, NULL, NULL))
        return EXIT_FAILURE;
    failed = suite_run("log", tests, sizeof tests / sizeof *tests);
    failed |= mpm_finalize();
    unlink(file_name);
    return failed;
}

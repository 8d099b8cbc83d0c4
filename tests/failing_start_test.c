/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools whose workers cannot be started, while main, the hosts, or the first worker are held up at each point between
 * stores that matter (shm/kill_point.h): opening one fails all the same, and says why. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "host/host.h"
#include "shm/kill_point.h"
#include "support/shared_file.h"
#include "support/suite.h"

unsigned long kill_point_count, kill_point_target;

enum slow { NOBODY, MAIN, HOSTS, FIRST_WORKER };

/* What all processes see. */
static struct {
    _Atomic int slow; /* enum slow */
    _Atomic long pause_ns;
    _Atomic int workers; /* whose initializers were called */
    _Atomic int no_fork; /* fork fails by this errno; 0: it does not */
} * shared;

static pid_t main_pid;
static bool is_first_worker;
static unsigned points_left; /* to where this process is killed; 0: nowhere */

static bool is_slow(void)
{
    switch (atomic_load(&shared->slow)) {
    case MAIN:
        return getpid() == main_pid;
    case HOSTS:
        return host_is_self();
    case FIRST_WORKER:
        return is_first_worker;
    default:
        return false;
    }
}

void kill_point_passed(void)
{
    if (points_left && !--points_left)
        kill(getpid(), SIGKILL);
    if (is_slow())
        nanosleep(&(struct timespec){.tv_nsec = atomic_load(&shared->pause_ns)}, NULL);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
    int failure = shared ? atomic_load(&shared->no_fork) : 0;

    if (!failure)
        return __real_fork();
    errno = failure;
    return -1;
}

static int die(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    raise(SIGSEGV);
    return 0;
}

static int refuse(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument;
    (void)argument_size;
    (void)state;
    is_first_worker = !atomic_fetch_add(&shared->workers, 1);
    return mpm_fail(call, "there is no model");
}

/* The first worker is killed at a point of its refusal, by `argument`; all others crash. */
static int refuse_or_die(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    if (atomic_fetch_add(&shared->workers, 1))
        return die(call, argument, argument_size, state);
    points_left = *(const unsigned *)argument;
    return mpm_fail(call, "there is no model");
}

static void check_open(enum slow slow, long pause_ns, const mpm_pool_options *options, const char *sentence)
{
    mpm_pool *pool = NULL;

    atomic_store(&shared->workers, 0);
    atomic_store(&shared->pause_ns, pause_ns);
    atomic_store(&shared->slow, slow);
    CU_ASSERT_EQUAL(mpm_pool_open(options, &pool), MPM_EWORKER);
    atomic_store(&shared->slow, NOBODY);
    if (pool)
        mpm_pool_terminate(pool);
    else if (!strstr(mpm_error(), sentence))
        printf("\"%s\" does not say \"%s\"\n", mpm_error(), sentence);
    CU_ASSERT(!pool && strstr(mpm_error(), sentence));
}

/* A worker takes about a millisecond to start, and die. */
static void check_refusal(enum slow slow, mpm_initializer *initializer, const char *sentence)
{
    for (long pause_ns = 500000; pause_ns < 10000000; pause_ns *= 3) {
        check_open(slow, pause_ns, &(mpm_pool_options){.workers = 1, .initializer = initializer}, sentence);
        check_open(slow, pause_ns,
                   &(mpm_pool_options){.workers = 3 * mpm_node_count(), .initializer = initializer},
                   sentence);
    }
}

static void workers_that_die_at_start_are_told_of_whoever_is_slow(void)
{
    for (enum slow slow = NOBODY; slow <= HOSTS; slow++)
        check_refusal(slow, die, "the last one was killed by SIGSEGV in its initializer");
}

static void initializers_that_fail_are_told_of_whoever_is_slow(void)
{
    for (enum slow slow = NOBODY; slow <= FIRST_WORKER; slow++)
        check_refusal(slow, refuse, "workers cannot be started: there is no model");
}

static void processes_that_cannot_be_forked_are_told_of(void)
{
    atomic_store(&shared->no_fork, EAGAIN);
    for (enum slow slow = NOBODY; slow <= HOSTS; slow++)
        check_refusal(slow, NULL, "a process cannot be forked: Resource temporarily unavailable");
    atomic_store(&shared->no_fork, 0);
}

static void a_refusal_that_was_not_told_is_forgotten(void)
{
    static const char *const sentences[] = {"the last one was killed by SIGSEGV in its initializer",
                                            "the last one was killed by SIGSEGV in its initializer",
                                            "workers cannot be started: there is no model"};

    for (unsigned point = 1; point <= sizeof sentences / sizeof *sentences; point++) {
        mpm_pool_options options = {.workers = 1,
                                    .initializer = refuse_or_die,
                                    .initializer_argument = &point,
                                    .initializer_argument_size = sizeof point};

        check_open(NOBODY, 0, &options, sentences[point - 1]);
    }
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"workers_that_die_at_start_are_told_of_whoever_is_slow",
         workers_that_die_at_start_are_told_of_whoever_is_slow},
        {"initializers_that_fail_are_told_of_whoever_is_slow",
         initializers_that_fail_are_told_of_whoever_is_slow},
        {"a_refusal_that_was_not_told_is_forgotten", a_refusal_that_was_not_told_is_forgotten},
        {"processes_that_cannot_be_forked_are_told_of", processes_that_cannot_be_forked_are_told_of},
    };
    int failed;

    shared = shared_file("failing_start_test", sizeof *shared);
    main_pid = getpid();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("failing_start", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

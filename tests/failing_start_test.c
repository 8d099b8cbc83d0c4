/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools whose workers cannot be started, while main, the fork servers, or the first worker are held up at each point
 * between stores that matter (shm/kill_point.h): opening one fails all the same, and says why. And pools whose workers
 * cannot be replaced for a while: they go on. And streams for which there are no threads. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "forkserver/forkserver.h"
#include "shm/kill_point.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define PROCESSES 30000 /* the limit of how many there may be */

unsigned long kill_point_count, kill_point_target;

#define ITEMS        200u
#define MOST_WORKERS 64u
#define PATIENCE     2000u /* maps of some milliseconds, until all workers are back */

enum slow { NOBODY, MAIN, FORKSERVERS, FIRST_WORKER };

/* What all processes see. */
static struct {
    _Atomic int slow; /* enum slow */
    _Atomic long pause_ns;
    _Atomic int workers;       /* whose initializers were called */
    _Atomic int no_fork;       /* fork fails by this errno; 0: it does not */
    _Atomic int no_fork_node;  /* on that node only; -1: on all */
    _Atomic int no_fork_times; /* so often, and then no more; -1: for ever */
    _Atomic unsigned no_forks; /* how often it has failed */
    _Atomic unsigned char was_tried[ITEMS];
    _Atomic int seen[MOST_WORKERS]; /* pids of workers that have had an item */
} * shared;

static pid_t main_pid;
static bool is_first_worker;
static unsigned points_left; /* to where this process is killed; 0: nowhere */

static bool is_slow(void)
{
    switch (atomic_load(&shared->slow)) {
    case MAIN:
        return getpid() == main_pid;
    case FORKSERVERS:
        return forkserver_is_self();
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
    int failure = shared ? atomic_load(&shared->no_fork) : 0, node, times;

    if (!failure || ((node = atomic_load(&shared->no_fork_node)) >= 0 && node != (int)mpm_node_id()))
        return __real_fork();
    for (times = atomic_load(&shared->no_fork_times); times >= 0;) {
        if (!times)
            return __real_fork();
        if (atomic_compare_exchange_weak(&shared->no_fork_times, &times, times - 1))
            break;
    }
    atomic_fetch_add(&shared->no_forks, 1);
    errno = failure;
    return -1;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument);

/* The thread of this number fails to start, and then no more; 0: none does. */
static _Atomic unsigned no_thread;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument)
{
    unsigned left = atomic_load(&no_thread);

    while (left && !atomic_compare_exchange_weak(&no_thread, &left, left - 1))
        ;
    return left == 1 ? EAGAIN : __real_pthread_create(thread, attributes, body, argument);
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

static void let_forks_fail(int node, int times)
{
    atomic_store(&shared->no_forks, 0);
    atomic_store(&shared->no_fork_node, node);
    atomic_store(&shared->no_fork_times, times);
    atomic_store(&shared->no_fork, EAGAIN);
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
    for (enum slow slow = NOBODY; slow <= FORKSERVERS; slow++)
        check_refusal(slow, die, "the last one was killed by SIGSEGV in its initializer");
}

static void initializers_that_fail_are_told_of_whoever_is_slow(void)
{
    for (enum slow slow = NOBODY; slow <= FIRST_WORKER; slow++)
        check_refusal(slow, refuse, "cannot start workers: there is no model");
}

static void processes_that_cannot_be_forked_are_told_of(void)
{
    let_forks_fail(-1, -1);
    for (enum slow slow = NOBODY; slow <= FORKSERVERS; slow++)
        check_refusal(slow, NULL, "cannot fork a process: Resource temporarily unavailable");
    atomic_store(&shared->no_fork, 0);
}

static void a_refusal_that_was_not_told_is_forgotten(void)
{
    static const char *const sentences[] = {"the last one was killed by SIGSEGV in its initializer",
                                            "the last one was killed by SIGSEGV in its initializer",
                                            "cannot start workers: there is no model"};

    for (unsigned point = 1; point <= sizeof sentences / sizeof *sentences; point++) {
        mpm_pool_options options = {.workers = 1,
                                    .initializer = refuse_or_die,
                                    .initializer_argument = &point,
                                    .initializer_argument_size = sizeof point};

        check_open(NOBODY, 0, &options, sentences[point - 1]);
    }
}

/* Workers that cannot be replaced. */

/* Every tenth item costs a worker at its first attempt. */
static int crash_once(mpm_call *call, const void *item, void *result)
{
    uint64_t index = mpm_call_index(call), squared = index * index + 1;

    (void)item;
    if (index % 10 == 3 && !atomic_exchange(&shared->was_tried[index], 1))
        raise(SIGSEGV);
    memcpy(result, &squared, sizeof squared);
    return 0;
}

/* Notes which worker it has. */
static int be_seen(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    for (unsigned i = 0; i < MOST_WORKERS; i++) {
        int nobody = 0;

        if (atomic_compare_exchange_strong(&shared->seen[i], &nobody, getpid()) || nobody == getpid())
            break;
    }
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    return 0;
}

static unsigned count_workers_seen(mpm_pool *pool)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MOST_WORKERS; i++)
        atomic_store(&shared->seen[i], 0);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, be_seen, NULL, ITEMS / 4, 0, 0, &(mpm_map_options){.chunk = 1}, NULL),
                    MPM_OK);
    for (unsigned i = 0; i < MOST_WORKERS; i++)
        count += atomic_load(&shared->seen[i]) != 0;
    return count;
}

static void expect_all_workers(mpm_pool *pool)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < PATIENCE && seen < mpm_pool_worker_count(pool); i++)
        seen = count_workers_seen(pool);
    CU_ASSERT_EQUAL(seen, mpm_pool_worker_count(pool));
}

static void expect_right_map(mpm_pool *pool, mpm_task *task)
{
    static uint64_t results[ITEMS];
    unsigned wrong = 0;

    for (unsigned i = 0; i < ITEMS; i++)
        atomic_store(&shared->was_tried[i], 0);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, task, NULL, ITEMS, 0, sizeof *results, &(mpm_map_options){.chunk = 1}, results),
        MPM_OK);
    for (uint64_t i = 0; i < ITEMS; i++)
        wrong += results[i] != i * i + 1;
    CU_ASSERT_EQUAL(wrong, 0);
}

static mpm_pool *open_two_a_rank(unsigned max_attempts)
{
    mpm_pool_options options = {.workers = 2 * mpm_rank_count(), .max_attempts = max_attempts};
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    return pool;
}

static void forks_that_fail_delay_a_pool_and_do_not_end_it(void)
{
    static const int times[] = {1, 3, 6};
    mpm_pool *pool = open_two_a_rank(0);

    for (enum slow slow = NOBODY; slow <= FORKSERVERS; slow++) {
        atomic_store(&shared->pause_ns, 200000);
        atomic_store(&shared->slow, slow);
        for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
            let_forks_fail(-1, times[i]);
            expect_right_map(pool, crash_once);
            expect_all_workers(pool);
            CU_ASSERT_EQUAL(atomic_load(&shared->no_forks), (unsigned)times[i]);
        }
        atomic_store(&shared->slow, NOBODY);
    }
    atomic_store(&shared->no_fork, 0);
    mpm_pool_close(pool);
}

static int crash(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    raise(SIGSEGV);
    return 0;
}

/* The first workers are fine, and those that come after `good` ones are killed as they start, `killed` in a row. */
struct starvation {
    int good, killed;
};

static int starve(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    const struct starvation *starvation = argument;
    int worker = atomic_fetch_add(&shared->workers, 1);

    (void)call;
    (void)argument_size;
    (void)state;
    if (worker >= starvation->good && worker < starvation->good + starvation->killed)
        raise(SIGKILL);
    return 0;
}

static mpm_pool *open_starving(unsigned a_rank, int killed)
{
    struct starvation starvation = {(int)(a_rank * mpm_rank_count()), killed};
    mpm_pool_options options = {.workers = (unsigned)starvation.good,
                                .initializer = starve,
                                .initializer_argument = &starvation,
                                .initializer_argument_size = sizeof starvation};
    mpm_pool *pool = NULL;

    atomic_store(&shared->workers, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    return pool;
}

static void workers_that_are_killed_as_they_start_are_a_lack(void)
{
    mpm_pool *pool = open_starving(2, 6);

    expect_right_map(pool, crash_once);
    expect_all_workers(pool);
    mpm_pool_close(pool);
    pool = open_starving(1, 1000000);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, ITEMS, 0, 0, NULL, NULL), MPM_EWORKER);
    CU_ASSERT(error_has("none of them could be forked for 3 s: Cannot allocate memory"));
    mpm_pool_close(pool);
}

/* Fork servers do not try it all the time. */
static void a_pool_without_workers_says_what_it_lacks(void)
{
    mpm_pool *pool = open_two_a_rank(0);

    let_forks_fail(-1, -1);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, ITEMS, 0, 0, NULL, NULL), MPM_EWORKER);
    CU_ASSERT(error_has("the pool has no workers left"));
    CU_ASSERT(error_has("none of them could be forked for 3 s: Resource temporarily unavailable"));
    CU_ASSERT(error_has("(ulimit -u is 30000"));
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash, NULL, 0, 0, NULL), MPM_EWORKER);
    CU_ASSERT(atomic_load(&shared->no_forks) < mpm_pool_worker_count(pool) + 50 * mpm_rank_count());
    mpm_pool_close(pool);
    atomic_store(&shared->no_fork, 0);
    pool = open_two_a_rank(0);
    expect_all_workers(pool);
    mpm_pool_close(pool);
}

/* The last node's workers crash, all of them. */
static int crash_there(mpm_call *call, const void *item, void *result)
{
    if (mpm_node_id() && mpm_node_id() == mpm_node_count() - 1)
        raise(SIGSEGV);
    return crash_once(call, item, result);
}

static void a_node_that_cannot_fork_leaves_its_items_to_others(void)
{
    mpm_pool *pool;

    if (mpm_node_count() == 1) {
        CU_PASS("there is one node");
        return;
    }
    pool = open_two_a_rank(1000);
    let_forks_fail((int)mpm_node_count() - 1, -1);
    expect_right_map(pool, crash_there);
    expect_right_map(pool, crash_once);
    atomic_store(&shared->no_fork, 0);
    mpm_pool_close(pool);
}

/* While nothing can be forked, nor will be. */
static void a_pool_that_waits_for_workers_can_be_closed(void)
{
    for (int now = 0; now < 2; now++) {
        mpm_pool *pool = open_two_a_rank(0);

        let_forks_fail(-1, -1);
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash_once, NULL, 0, sizeof(uint64_t), &(uint64_t){0}), MPM_OK);
        CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, 1, 0, 0, NULL, NULL), MPM_ETASK);
        if (now)
            mpm_pool_terminate(pool);
        else
            mpm_pool_close(pool);
        atomic_store(&shared->no_fork, 0);
    }
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

static void expect_limit_on(unsigned node)
{
    mpm_process_options options = {.place = MPM_ON_NODE(node)};
    mpm_process process = {{0}};
    int status;

    do /* fork servers have a spare */
        status = mpm_process_start(do_nothing, NULL, 0, &options, &process);
    while (!status);
    CU_ASSERT_EQUAL(status, MPM_ESYSTEM);
    CU_ASSERT(error_has(" on node"));
    CU_ASSERT(error_has("Resource temporarily unavailable (ulimit -u is 30000"));
}

static void a_process_that_cannot_be_forked_names_the_limit(void)
{
    mpm_process process = {{0}};

    CU_ASSERT_EQUAL(mpm_process_start(do_nothing, NULL, 0, NULL, &process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    let_forks_fail(-1, -1);
    for (unsigned node = 0; node < mpm_node_count(); node++)
        expect_limit_on(node);
    atomic_store(&shared->no_fork, 0);
    CU_ASSERT_EQUAL(mpm_process_start(do_nothing, NULL, 0, NULL, &process), MPM_OK);
}

static int next_number(void *argument, void *item)
{
    uint64_t *left = argument;

    *(uint64_t *)item = *left;
    return (*left)-- > 0;
}

static int add_one(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(uint64_t *)result = *(const uint64_t *)item + 1;
    return 0;
}

/* Reads a stream over 10 items, for which thread `failing` of those that it needs cannot be started: no result is
 * wrong. How it has ended. */
static int read_stream_without_thread(mpm_pool *pool, unsigned failing)
{
    uint64_t left = 10, result, index, expected = 11;
    mpm_stream *stream;
    int status;

    atomic_store(&no_thread, failing);
    status = mpm_pool_imap(pool, add_one, next_number, &left, sizeof left, sizeof result, NULL, &stream);
    if (status)
        return status;
    while (!(status = mpm_stream_next(stream, MPM_FOREVER, &result, &index))) {
        CU_ASSERT_EQUAL(result, expected);
        expected--;
    }
    CU_ASSERT_EQUAL(expected, status == MPM_ECLOSED ? 1 : 11);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, 0, &result, &index), status);
    mpm_stream_close(stream);
    return status;
}

/* Its puller's, and those that drive asynchronous maps and call back, which later ones have. */
static void a_stream_without_a_thread_gives_no_result(void)
{
    mpm_pool *pool = open_two_a_rank(0);
    struct rlimit before;

    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &before), 0);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)1 << 46, before.rlim_max}), 0);
    for (unsigned failing = 1; failing <= 3; failing++) {
        CU_ASSERT_EQUAL(read_stream_without_thread(pool, failing), MPM_ESYSTEM);
        CU_ASSERT(error_has("cannot start a thread: Resource temporarily unavailable (ulimit -u is 30000"));
        CU_ASSERT(error_has("ulimit -v is 68719476736)")); /* KiB: a stack needs memory */
    }
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_AS, &before), 0);
    CU_ASSERT_EQUAL(read_stream_without_thread(pool, 0), MPM_ECLOSED);
    mpm_pool_close(pool);
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
        {"forks_that_fail_delay_a_pool_and_do_not_end_it", forks_that_fail_delay_a_pool_and_do_not_end_it},
        {"workers_that_are_killed_as_they_start_are_a_lack",
         workers_that_are_killed_as_they_start_are_a_lack},
        {"a_pool_without_workers_says_what_it_lacks", a_pool_without_workers_says_what_it_lacks},
        {"a_node_that_cannot_fork_leaves_its_items_to_others",
         a_node_that_cannot_fork_leaves_its_items_to_others},
        {"a_pool_that_waits_for_workers_can_be_closed", a_pool_that_waits_for_workers_can_be_closed},
        {"a_process_that_cannot_be_forked_names_the_limit", a_process_that_cannot_be_forked_names_the_limit},
        {"a_stream_without_a_thread_gives_no_result", a_stream_without_a_thread_gives_no_result},
    };
    struct rlimit limit;
    int failed;

    shared = shared_file("failing_start_test", sizeof *shared);
    main_pid = getpid();
    setenv("MPMAP_WORKER_TIMEOUT", "3", 1);
    if (getrlimit(RLIMIT_NPROC, &limit) || limit.rlim_max < PROCESSES)
        limit.rlim_max = PROCESSES;
    limit.rlim_cur = PROCESSES; /* so that there is one, but not that it is reached */
    if (setrlimit(RLIMIT_NPROC, &limit))
        return EXIT_FAILURE;
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("failing_start", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs that are suspended, as batch systems do it: ranks, a fork server and a worker get SIGSTOP, and SIGCONT an hour
 * later. For that the clock jumps, so that the limits here are a minute and nobody waits for one. What must be looked at
 * after the hour has been looked at twice, by a count. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "pool/driver/map_inside.h"
#include "pool/node/node_pool.h"
#include "support/child.h"
#include "support/gate.h"
#include "support/rank.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define LIMIT_S    60.0
#define LIMIT_WORD "60"
#define SECOND_NS  UINT64_C(1000000000)
#define HOUR_NS    (3600 * SECOND_NS)
#define MOST_NODES 4u

/* What all processes see. */
static struct {
    _Atomic int ranks;
    pid_t rank[MOST_NODES];
    _Atomic uint64_t jumped_ns;    /* the clock is later by that */
    sem_t turn;                    /* who has it may ask */
    pid_t forkserver, worker;      /* who is asked for, beside the ranks; worker: 0 if none */
    sem_t asked;                   /* it is to be done, */
    _Atomic int done;              /* and has been, so often */
    _Atomic int looks[MOST_NODES]; /* at workers, of its rank or fork server */
    _Atomic int drain_looks;       /* of maps that drain */
    _Atomic int has_gone_wrong;    /* a gate was not reached */
    _Atomic int no_fork;           /* forks fail */
    _Atomic int no_forks[MOST_NODES];
    _Atomic int any_no_forks;
    _Atomic pid_t forkserver_of[MOST_NODES];
} * shared;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
pid_t __real_fork(void);
pid_t __wrap_fork(void);
uint64_t __real_node_pool_watch(struct node_pool *node_pool);
uint64_t __wrap_node_pool_watch(struct node_pool *node_pool);
int __real_map_drain_look(struct map *map);
int __wrap_map_drain_look(struct map *map);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = __real_clock_gettime(clock, now);

    if (shared && clock == CLOCK_MONOTONIC)
        now->tv_sec += (time_t)(atomic_load(&shared->jumped_ns) / SECOND_NS);
    return status;
}

/* A deadline by that clock is one of the kernel's. */
long __wrap_syscall(long number, ...)
{
    long argument[6];
    struct timespec deadline;
    va_list arguments;

    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (shared && number == SYS_futex && argument[1] == FUTEX_WAIT_BITSET && argument[3]) {
        memcpy(&deadline, (const void *)argument[3], sizeof deadline); // NOLINT(performance-no-int-to-ptr)
        deadline.tv_sec -= (time_t)(atomic_load(&shared->jumped_ns) / SECOND_NS);
        argument[3] = (long)&deadline;
    }
    return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                          argument[5]);
}

pid_t __wrap_fork(void)
{
    if (!shared || !atomic_load(&shared->no_fork))
        return __real_fork();
    atomic_fetch_add(&shared->no_forks[mpm_node_id()], 1);
    atomic_fetch_add(&shared->any_no_forks, 1);
    errno = EAGAIN;
    return -1;
}

uint64_t __wrap_node_pool_watch(struct node_pool *node_pool)
{
    uint64_t next_ns = __real_node_pool_watch(node_pool);

    atomic_fetch_add(&shared->looks[mpm_node_id()], 1);
    return next_ns;
}

int __wrap_map_drain_look(struct map *map)
{
    int status = __real_map_drain_look(map);

    if (map->is_draining)
        atomic_fetch_add(&shared->drain_looks, 1);
    return status;
}

/* The batch system. */

/* Those who are asked for; 0: none. */
static void for_all(void (*act)(pid_t))
{
    for (int i = 0; i < atomic_load(&shared->ranks); i++)
        act(shared->rank[i]);
    act(shared->forkserver);
    act(shared->worker);
}

static void stop(pid_t pid)
{
    (void)rank_stop(pid); /* or it has died */
}

static void go_on(pid_t pid)
{
    if (pid)
        rank_go_on(pid);
}

static void take(sem_t *semaphore)
{
    while (sem_wait(semaphore) && errno == EINTR)
        ;
}

/* It dies with whoever has forked it. */
static bool suspend_when_asked(void *nothing)
{
    (void)nothing;
    for (;;) {
        take(&shared->asked);
        for_all(stop);
        atomic_fetch_add(&shared->jumped_ns, HOUR_NS);
        atomic_fetch_add(&shared->done, 1);
        for_all(go_on);
        sem_post(&shared->turn); /* though who has asked may be dead */
    }
    return true;
}

static void expect_gate(const _Atomic int *count, int least)
{
    if (!gate_reached(count, least))
        atomic_store(&shared->has_gone_wrong, 1);
}

/* The run, with a fork server and a worker of it. */
static void suspend(pid_t forkserver, pid_t worker)
{
    int before;

    take(&shared->turn);
    before = atomic_load(&shared->done);
    shared->forkserver = forkserver;
    shared->worker = worker;
    sem_post(&shared->asked);
    expect_gate(&shared->done, before + 1);
}

/* In a worker: that it is at work has been seen when the run is suspended, and that it still is afterwards. A look is
 * for nothing if it comes too early, so time passes. */
static void be_suspended(void)
{
    const _Atomic int *looks = &shared->looks[mpm_node_id()];

    atomic_fetch_add(&shared->jumped_ns, SECOND_NS);
    expect_gate(looks, atomic_load(looks) + 2);
    suspend(getppid(), getpid());
    expect_gate(looks, atomic_load(looks) + 2);
}

static int be_suspended_in_item(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    be_suspended();
    return 0;
}

static int be_suspended_in_initializer(mpm_call *call, const void *argument, size_t argument_size,
                                       void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    be_suspended();
    return 0;
}

static void be_suspended_in_finalizer(void *state)
{
    (void)state;
    be_suspended();
}

static void initializers_items_and_finalizers_keep_their_time(void)
{
    mpm_pool_options options = {.workers = mpm_node_count(),
                                .max_attempts = 1,
                                .item_timeout_s = LIMIT_S,
                                .initializer = be_suspended_in_initializer,
                                .finalizer = be_suspended_in_finalizer};
    mpm_pool *pool;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, be_suspended_in_item, NULL, 2 * (size_t)mpm_node_count(), 0, 0,
                                 &(mpm_map_options){.chunk = 1}, NULL),
                    MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_FALSE(atomic_load(&shared->has_gone_wrong));
}

/* Costs a worker as long as no other one can be had. */
static int end_worker(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_store(&shared->forkserver_of[mpm_node_id()], getppid());
    if (atomic_load(&shared->no_fork))
        _exit(1);
    return 0;
}

/* Returns when some node has lost its worker and could have no other one, so often: that node. */
static unsigned begin_lack(mpm_pool *pool, int times, mpm_result **result)
{
    unsigned node = 0;

    for (unsigned i = 0; i < MOST_NODES; i++)
        atomic_store(&shared->no_forks[i], 0);
    atomic_store(&shared->any_no_forks, 0);
    atomic_store(&shared->no_fork, 1);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, end_worker, NULL, 4, 0, 0, NULL, NULL, NULL, result),
                          MPM_OK);
    expect_gate(&shared->any_no_forks, 1);
    while (node + 1 < MOST_NODES && !atomic_load(&shared->no_forks[node]))
        node++;
    expect_gate(&shared->no_forks[node], times);
    return node;
}

/* After two more tries of that node: the map goes on, on all nodes. */
static void end_lack(mpm_pool *pool, unsigned node, mpm_result *result)
{
    expect_gate(&shared->no_forks[node], atomic_load(&shared->no_forks[node]) + 2);
    atomic_store(&shared->no_fork, 0);
    CU_ASSERT_EQUAL(mpm_result_wait(result, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, 0, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), mpm_node_count());
    mpm_result_destroy(result);
}

static mpm_pool *open_one_a_node(void)
{
    mpm_pool_options options = {.workers = mpm_node_count(), .max_attempts = 1000};
    mpm_pool *pool;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    return pool;
}

static void a_node_without_workers_keeps_its_time(void)
{
    mpm_pool *pool = open_one_a_node();
    mpm_result *result;
    unsigned node = begin_lack(pool, 3, &result);

    suspend(atomic_load(&shared->forkserver_of[node]), 0);
    end_lack(pool, node, result);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_FALSE(atomic_load(&shared->has_gone_wrong));
}

/* Each of them counts for a second at least. */
static void lacks_that_have_ended_do_not_add_up(void)
{
    mpm_pool *pool = open_one_a_node();
    mpm_result *result;

    for (unsigned lack = 0; lack < mpm_node_count() * LIMIT_S + 10; lack++) {
        unsigned node = begin_lack(pool, 1, &result);

        atomic_fetch_add(&shared->jumped_ns, 2 * SECOND_NS);
        end_lack(pool, node, result);
    }
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_FALSE(atomic_load(&shared->has_gone_wrong));
}

static int be_suspended_in_drain(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    mpm_drain();
    expect_gate(&shared->drain_looks, 1);
    suspend(getppid(), getpid());
    expect_gate(&shared->drain_looks, atomic_load(&shared->drain_looks) + 2);
    return 0;
}

/* The last test: the run drains. */
static void what_a_drain_waits_for_keeps_its_grace(void)
{
    mpm_map_options options = {.drain = {.grace_s = LIMIT_S}};
    mpm_pool *pool;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = mpm_node_count()}, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, be_suspended_in_drain, NULL, 1, 0, 0, &options, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    CU_ASSERT_FALSE(atomic_load(&shared->has_gone_wrong));
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"initializers_items_and_finalizers_keep_their_time",
         initializers_items_and_finalizers_keep_their_time},
        {"a_node_without_workers_keeps_its_time", a_node_without_workers_keeps_its_time},
        {"lacks_that_have_ended_do_not_add_up", lacks_that_have_ended_do_not_add_up},
        {"what_a_drain_waits_for_keeps_its_grace", what_a_drain_waits_for_keeps_its_grace},
    };
    int failed;

    shared = shared_file("suspended_test", sizeof *shared);
    setenv("MPMAP_WORKER_TIMEOUT", LIMIT_WORD, 1);
    shared->rank[atomic_fetch_add(&shared->ranks, 1)] = getpid();
    if (shared->rank[0] == getpid()) {
        if (sem_init(&shared->turn, 1, 1) || sem_init(&shared->asked, 1, 0))
            return EXIT_FAILURE;
        child_start(suspend_when_asked, NULL);
    }
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("suspended", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpm_init, while each of its steps that can fail does so in turn, on each rank in turn: memory, mappings, threads,
 * processes, and what else it asks the system for. All ranks get the same error, nothing of the run is left on any of
 * them, and the next mpm_init is as good as the first. Under a launcher the program has started MPI, so that all ranks
 * go on. */
#include <mpi.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/suite.h"
#include "support/whole_run.h"

enum kind { MEMORY, MAPPING, THREAD, FORK, CHILD, SYSTEM, KINDS };

static const char *const kind_names[] = {"memory", "mapping",      "thread",
                                         "fork",   "forked child", "system call"};

/* Which call fails: the one of this number, of this kind, in the thread that has said so. */
static struct {
    enum kind kind;
    unsigned calls, failing;
} plan;
static _Thread_local bool is_planned;

static bool fails(enum kind kind)
{
    return is_planned && kind == plan.kind && ++plan.calls == plan.failing;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument);
pid_t __real_fork(void);
int __real_gethostname(char *name, size_t size);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *cpus);
int __real_prctl(int option, ...);
int __real_atexit(void (*function)(void));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument);
pid_t __wrap_fork(void);
int __wrap_gethostname(char *name, size_t size);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *cpus);
int __wrap_prctl(int option, unsigned long argument);
int __wrap_atexit(void (*function)(void));

void *__wrap_malloc(size_t size)
{
    return fails(MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    if (!fails(MAPPING))
        return __real_mmap(at, size, protection, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                          void *argument)
{
    return fails(THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, body, argument);
}

pid_t __wrap_fork(void)
{
    bool fails_itself = fails(FORK), child_fails = fails(CHILD);
    pid_t pid;

    if (fails_itself) {
        errno = EAGAIN;
        return -1;
    }
    if ((pid = __real_fork()) == 0) {
        is_planned = false;
        if (child_fails)
            _exit(EXIT_FAILURE);
    }
    return pid;
}

static int system_call(int result)
{
    if (!fails(SYSTEM))
        return result;
    errno = EPERM;
    return -1;
}

int __wrap_gethostname(char *name, size_t size)
{
    return system_call(__real_gethostname(name, size));
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *cpus)
{
    return system_call(__real_sched_getaffinity(pid, size, cpus));
}

/* Nothing has happened then. What is undone does not fail. */
int __wrap_prctl(int option, unsigned long argument)
{
    int failed = option == PR_SET_CHILD_SUBREAPER && !argument ? 0 : system_call(0);

    return failed ? failed : __real_prctl(option, argument, 0, 0, 0);
}

int __wrap_atexit(void (*function)(void))
{
    int failed = system_call(0);

    return failed ? failed : __real_atexit(function);
}

static bool is_launched;
static int rank, ranks = 1;

/* All ranks know it then. */
static int sum(int own)
{
    int all = own;

    if (is_launched)
        MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return all;
}

static void check_that_there_is_no_run(void)
{
    mpm_queue queue;

    CU_ASSERT_EQUAL(mpm_node_count(), 0);
    CU_ASSERT_EQUAL(mpm_queue_create(NULL, &queue), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_finalize(), MPM_ESTATE);
}

/* Whether it has failed, then on all ranks and by the same. */
static bool init_fails(int failing_rank)
{
    int status = mpm_init(NULL, NULL, NULL);
    bool failed = status && status != MPM_SERVED;
    char words[64];

    is_planned = false;
    if (!status) /* the other ranks are in it */
        CU_ASSERT_EQUAL(mpm_finalize(), MPM_OK);
    CU_ASSERT_EQUAL(sum(failed), failed ? ranks : 0);
    snprintf(words, sizeof words, "rank %d on ", failing_rank);
    CU_ASSERT(!failed || ranks == 1 || error_has(words));
    CU_ASSERT(!failed || (plan.kind != THREAD && plan.kind != FORK) ||
              error_has("Resource temporarily unavailable ("));
    CU_ASSERT(!failed || sum(status) == ranks * status);
    return failed;
}

static void check_calls(enum kind kind, int failing_rank)
{
    struct belongings before = own_belongings();
    unsigned failed = 0, number = 0;
    bool goes_on;

    do {
        plan.kind = kind;
        plan.calls = 0;
        plan.failing = ++number;
        is_planned = rank == failing_rank;
        failed += init_fails(failing_rank);
        check_that_there_is_no_run();
        goes_on = sum(rank == failing_rank && plan.calls >= number);
        assert_the_same_as(&before);
    } while (goes_on);
    if (!rank)
        printf("\n    %s on rank %d: %u calls, %u of them make mpm_init fail", kind_names[kind], failing_rank,
               number - 1, failed);
}

static void each_step_that_fails_is_undone(void)
{
    int status;

    for (enum kind kind = 0; kind < KINDS; kind++) {
        for (int failing_rank = 0; failing_rank < ranks; failing_rank++)
            check_calls(kind, failing_rank);
    }
    status = mpm_init(NULL, NULL, NULL);
    CU_ASSERT_EQUAL(status, rank ? MPM_SERVED : MPM_OK);
    if (status)
        return;
    assert_that_a_map_is_right();
    CU_ASSERT_EQUAL(mpm_finalize(), MPM_OK);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"each_step_that_fails_is_undone", each_step_that_fails_is_undone},
    };
    int failed, level;

    is_launched = getenv("OMPI_COMM_WORLD_SIZE") != NULL;
    if (is_launched) {
        MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    }
    /* What MPI makes for the first run, and keeps. */
    if (!mpm_init(NULL, NULL, NULL))
        (void)mpm_finalize();
    failed = suite_run("failing_init", tests, sizeof tests / sizeof *tests);
    if (is_launched)
        MPI_Finalize();
    return failed;
}

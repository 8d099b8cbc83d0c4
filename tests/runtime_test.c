/* SPDX-License-Identifier: BSD-3-Clause */
/* The run itself, as main sees it, however it was launched: what it consists of, what it shares, and what it
 * answers to calls at the wrong time. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "support/suite.h"

/* What the launcher says, in the words of Open MPI's or of Hydra; NULL without one. */
static const char *launcher_says(const char *open_mpi, const char *hydra)
{
    const char *text = getenv(open_mpi);

    return text ? text : getenv(hydra);
}

static unsigned launched_ranks(void)
{
    const char *ranks = launcher_says("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");

    return ranks ? (unsigned)atoi(ranks) : 1;
}

static void main_is_rank_0_of_as_many_ranks_as_were_launched(void)
{
    const char *rank = launcher_says("OMPI_COMM_WORLD_RANK", "PMI_RANK");

    CU_ASSERT_EQUAL(mpm_rank_count(), launched_ranks());
    CU_ASSERT(!rank || !strcmp(rank, "0"));
    CU_ASSERT_EQUAL(mpm_node_id(), 0);
    CU_ASSERT_EQUAL(context_role(), ROLE_MAIN);
}

static void nodes_add_up(void)
{
    const char *per_node = getenv("MPMAP_RANKS_PER_NODE");
    unsigned ranks = 0, slots = 0, size = per_node ? (unsigned)atoi(per_node) : launched_ranks();
    mpm_node info = {.name = "untouched"};

    CU_ASSERT_EQUAL(mpm_node_count(), (launched_ranks() + size - 1) / size);
    for (unsigned i = 0; i < mpm_node_count(); i++) {
        CU_ASSERT_EQUAL(mpm_node_info(i, &info), MPM_OK);
        CU_ASSERT(info.ranks >= 1 && info.slots >= info.ranks && info.arena_size >= 1 << 20);
        CU_ASSERT_EQUAL(strchr(info.name, '/') != NULL, mpm_node_count() > 1);
        ranks += info.ranks;
        slots += info.slots;
    }
    CU_ASSERT_EQUAL(ranks, mpm_rank_count());
    CU_ASSERT_EQUAL(slots, mpm_slot_count());
    strcpy(info.name, "untouched");
    CU_ASSERT_EQUAL(mpm_node_info(0, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_node_info(mpm_node_count(), &info), MPM_EINVAL);
    CU_ASSERT(error_has("there is no node"));
    CU_ASSERT_STRING_EQUAL(info.name, "untouched");
}

static void slots_are_the_cpus_that_were_given(void)
{
    unsigned cpus = mpm_cpu_count();

    /* Unbound ranks of one machine have one mask, and share it. */
    CU_ASSERT_EQUAL(mpm_slot_count(), cpus > mpm_rank_count() ? cpus : mpm_rank_count());
}

static void a_second_init_is_an_error(void)
{
    CU_ASSERT_EQUAL(mpm_init(NULL, NULL, NULL), MPM_ESTATE);
    CU_ASSERT(error_has("the run has already begun"));
}

static int add_to_shared(mpm_call *call, const void *item, void *result)
{
    uint64_t address;
    _Atomic unsigned *shared;

    (void)result;
    memcpy(&address, item, sizeof address);
    shared = arena_at(context_arena(), address);
    atomic_fetch_add(&shared[mpm_call_index(call) % 100], 1);
    return 0;
}

/* On main's node, by offset: another rank's processes may have the arena elsewhere. */
static void allocated_memory_is_shared_and_zeroed(void)
{
    unsigned slots_at_home = context_topology()->nodes[0].slots;
    mpm_pool *pool = NULL;
    _Atomic unsigned *shared;
    void *memory = NULL;
    uint64_t items[10000];
    unsigned sum = 0;

    CU_ASSERT_EQUAL_FATAL(mpm_alloc(100 * sizeof *shared, &memory), MPM_OK);
    shared = memory;
    CU_ASSERT_EQUAL((uintptr_t)shared % 64, 0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(shared[i], 0);
    for (int i = 0; i < 10000; i++)
        items[i] = arena_offset(context_arena(), shared);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = slots_at_home}, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, add_to_shared, items, 10000, sizeof *items, 0, NULL, NULL), MPM_OK);
    mpm_pool_close(pool);
    for (int i = 0; i < 100; i++)
        sum += shared[i] == 100;
    CU_ASSERT_EQUAL(sum, 100);
    mpm_free(memory);
    mpm_free(NULL);
}

static void memory_that_is_not_there_is_an_error(void)
{
    void *memory = &memory;

    CU_ASSERT_EQUAL(mpm_alloc(0, &memory), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_alloc(1, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_alloc((size_t)1 << 50, &memory), MPM_ENOMEM);
    CU_ASSERT(error_has("set a larger MPMAP_ARENA"));
    CU_ASSERT_PTR_EQUAL(memory, &memory);
}

static void memory_comes_back(void)
{
    struct arena_usage before, after;
    void *memory[50];

    arena_usage(context_arena(), &before);
    for (size_t i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(mpm_alloc(1 + i * 1000, &memory[i]), MPM_OK);
    for (size_t i = 0; i < 50; i++)
        mpm_free(memory[i * 7 % 50]);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    CU_ASSERT_EQUAL(arena_check(context_arena()), MPM_OK);
}

static int finalize_in_worker(mpm_call *call, const void *item, void *result)
{
    int statuses[] = {mpm_finalize(), mpm_init(NULL, NULL, NULL), (int)mpm_node_id()};

    (void)call;
    (void)item;
    memcpy(result, statuses, sizeof statuses);
    return 0;
}

static void a_worker_can_neither_begin_nor_end_the_run(void)
{
    int statuses[50][3];
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, finalize_in_worker, NULL, 50, 0, sizeof *statuses, NULL, statuses),
                    MPM_OK);
    for (int i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(statuses[i][0], MPM_ESTATE);
        CU_ASSERT_EQUAL(statuses[i][1], MPM_ESTATE);
        CU_ASSERT(statuses[i][2] >= 0 && statuses[i][2] < (int)mpm_node_count());
    }
    mpm_pool_close(pool);
}

static void versions_agree(void)
{
    CU_ASSERT_STRING_EQUAL(mpm_version(), MPM_VERSION);
    CU_ASSERT_EQUAL(strcmp(mpm_mpi_version(), "none") == 0,
                    launcher_says("OMPI_COMM_WORLD_SIZE", "PMI_SIZE") == NULL);
}

static void check_before(void)
{
    mpm_pool *pool = NULL;
    void *memory = NULL, *no_communicator = NULL;

    if (mpm_node_count() || mpm_slot_count() || mpm_finalize() != MPM_ESTATE ||
        mpm_pool_open(NULL, &pool) != MPM_ESTATE || !error_has("call mpm_init first") ||
        mpm_alloc(1, &memory) != MPM_ESTATE ||
        mpm_init(NULL, NULL, &(mpm_options){.communicator = &no_communicator}) != MPM_EINVAL ||
        !error_has("has not initialized MPI"))
        exit(EXIT_FAILURE);
}

static int double_number(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(int *)result = *(const int *)item * 2;
    return 0;
}

static bool map_is_right(void)
{
    int numbers[100], doubled[100] = {0};
    mpm_pool *pool;
    bool is_right;

    for (int i = 0; i < 100; i++)
        numbers[i] = i;
    is_right = !mpm_pool_open(NULL, &pool) && !mpm_pool_map(pool, double_number, numbers, 100,
                                                            sizeof *numbers, sizeof *doubled, NULL, doubled);
    for (int i = 0; i < 100; i++)
        is_right &= doubled[i] == 2 * i;
    return is_right; /* the pool is closed by mpm_finalize */
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int i = 0; i < 1024; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

static mpm_queue waited_for;

static void *get_from_queue(void *status)
{
    char message[16];
    size_t size;

    *(int *)status = mpm_queue_get(waited_for, MPM_FOREVER, message, sizeof message, &size);
    return NULL;
}

/* It sleeps soon, or comes later: that makes no difference. */
static bool a_thread_in_a_call_finds_the_end_of_the_run(void)
{
    pthread_t thread;
    int status = MPM_OK;

    if (mpm_init(NULL, NULL, NULL) || mpm_queue_create(NULL, &waited_for) ||
        pthread_create(&thread, NULL, get_from_queue, &status))
        return false;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (mpm_finalize())
        return false;
    pthread_join(thread, NULL);
    return status == MPM_ESTATE && mpm_queue_put(waited_for, &status, sizeof status, 0) == MPM_ESTATE;
}

/* Where MPI has gone with a run there is no other. */
static bool further_runs_are_right(void)
{
    unsigned descriptors = count_descriptors();
    mpm_value value = {{0}}, former;
    int32_t number = 5;

    if (launched_ranks() > 1)
        return mpm_init(NULL, NULL, NULL) == MPM_ESTATE && error_has("MPI was finalized in this process");
    for (int i = 0; i < 10 && !getenv("OMPI_COMM_WORLD_SIZE"); i++) {
        former = value;
        if (mpm_init(NULL, NULL, NULL) || !map_is_right() || mpm_value_create(MPM_I32, &number, &value) ||
            (i && mpm_value_get(former, &number) != MPM_ESTALE) || mpm_init(NULL, NULL, NULL) != MPM_ESTATE ||
            mpm_finalize() || mpm_finalize() != MPM_ESTATE)
            return false;
    }
    if (!getenv("OMPI_COMM_WORLD_SIZE") && !a_thread_in_a_call_finds_the_end_of_the_run())
        return false;
    return count_descriptors() == descriptors && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* Threads that begin something as often as they can, until they are refused, and one that waits for a message that
 * never comes, while main ends the run. */
static int nothing(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return 0;
}

static struct {
    mpm_pool *pool;
    mpm_queue queue;
    _Atomic unsigned begun;
} ending;

static int open_and_close(void)
{
    mpm_pool *pool = NULL;
    int status = mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool);

    return status || (status = mpm_pool_close(pool)) == MPM_ESTATE ? MPM_ESTATE : status;
}

static int call_and_wait(void)
{
    mpm_result *result = NULL;
    int status = mpm_pool_apply_async(ending.pool, nothing, NULL, 0, 0, NULL, &result);

    if (!status)
        status = mpm_result_get(result, MPM_FOREVER, NULL);
    mpm_result_destroy(result);
    return status;
}

static int begin_something(unsigned number)
{
    char byte;

    switch (number) {
    case 0:
        return mpm_pool_map(ending.pool, nothing, NULL, 10, 0, 0, NULL, NULL);
    case 1:
        return mpm_pool_apply(ending.pool, nothing, NULL, 0, 0, NULL);
    case 2:
        return call_and_wait();
    case 3:
        return open_and_close();
    default:
        return mpm_queue_get(ending.queue, MPM_FOREVER, &byte, 1, NULL);
    }
}

static void *begin_until_refused(void *number)
{
    int status;

    atomic_fetch_add(&ending.begun, 1);
    while (!(status = begin_something((unsigned)(uintptr_t)number)))
        ;
    return status == MPM_ESTATE ? NULL : number;
}

/* true if all of them were told MPM_ESTATE. */
static bool all_are_refused_while_the_run_ends(void)
{
    enum { THREADS = 5 };
    pthread_t threads[THREADS];
    bool are_refused = true;
    void *wrong;

    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &ending.pool) ||
        mpm_queue_create(NULL, &ending.queue))
        return false;
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, begin_until_refused, (void *)i))
            return false;
    }
    while (atomic_load(&ending.begun) < THREADS)
        usleep(100);
    if (mpm_finalize())
        return false;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        if (wrong)
            fprintf(stderr, "thread %u was not refused by MPM_ESTATE\n", (unsigned)i);
        are_refused &= !wrong;
    }
    return are_refused;
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"main_is_rank_0_of_as_many_ranks_as_were_launched",
         main_is_rank_0_of_as_many_ranks_as_were_launched},
        {"nodes_add_up", nodes_add_up},
        {"slots_are_the_cpus_that_were_given", slots_are_the_cpus_that_were_given},
        {"a_second_init_is_an_error", a_second_init_is_an_error},
        {"allocated_memory_is_shared_and_zeroed", allocated_memory_is_shared_and_zeroed},
        {"memory_that_is_not_there_is_an_error", memory_that_is_not_there_is_an_error},
        {"memory_comes_back", memory_comes_back},
        {"a_worker_can_neither_begin_nor_end_the_run", a_worker_can_neither_begin_nor_end_the_run},
        {"versions_agree", versions_agree},
    };
    int failed;

    check_before();
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("runtime", tests, sizeof tests / sizeof *tests);
    if (!all_are_refused_while_the_run_ends())
        return EXIT_FAILURE;
    return failed || mpm_node_count() || !further_runs_are_right();
}

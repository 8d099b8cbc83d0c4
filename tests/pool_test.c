/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools as they are opened with options, how items fail, and what is told of it, at home and over virtual nodes.
 * What workers do is counted in memory that all of them share. */
#include <CUnit/CUnit.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "pool/shared/board.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define ROOM 4096

static struct {
    _Atomic int initialized, finalized;
    _Atomic int gate; /* what tasks wait for */
    _Atomic int inside;
    _Atomic int tries[ROOM]; /* by item */
    _Atomic int worker;      /* its pid */
} * shared;

static void forget(void)
{
    atomic_store(&shared->initialized, 0);
    atomic_store(&shared->finalized, 0);
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    for (int i = 0; i < ROOM; i++)
        atomic_store(&shared->tries[i], 0);
}

static mpm_pool *open_pool(const mpm_pool_options *options)
{
    mpm_pool *pool = NULL;

    if (mpm_pool_open(options, &pool))
        fprintf(stderr, "%s\n", mpm_error());
    CU_ASSERT_FATAL(pool != NULL);
    return pool;
}

/* Workers' state. */

struct state {
    int base;
    pid_t pid;
};

static int initialize(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    struct state *made = malloc(sizeof *made);

    if (!made || argument_size != 100 * sizeof(int))
        return mpm_fail(call, "an argument of %zu bytes", argument_size);
    made->base = ((const int *)argument)[99];
    made->pid = getpid();
    *state = made;
    atomic_fetch_add(&shared->initialized, 1);
    return 0;
}

static void finalize(void *state)
{
    const struct state *made = state;

    if (made->pid == getpid())
        atomic_fetch_add(&shared->finalized, 1);
    free(state);
}

static int add_base(mpm_call *call, const void *item, void *result)
{
    const struct state *state = mpm_call_state(call);

    if (state->pid != getpid())
        return mpm_fail(call, "the state is another worker's");
    *(int *)result = *(const int *)item + state->base;
    return 0;
}

static const int *argument(void)
{
    static int numbers[100];

    numbers[99] = 1000;
    return numbers;
}

static size_t map_with_state(mpm_pool *pool, int count)
{
    int *items = calloc((size_t)count, sizeof *items), *results = calloc((size_t)count, sizeof *results);
    size_t wrong = 0;

    for (int i = 0; i < count; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, add_base, items, (size_t)count, sizeof *items, sizeof *results, NULL, results),
        MPM_OK);
    for (int i = 0; i < count; i++)
        wrong += results[i] != i + 1000;
    free(items);
    free(results);
    return wrong;
}

static void initializer_and_finalizer_run_once_a_worker(void)
{
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 5,
                                         .initializer = initialize,
                                         .initializer_argument = argument(),
                                         .initializer_argument_size = 100 * sizeof(int),
                                         .finalizer = finalize});
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), 5);
    CU_ASSERT_EQUAL(map_with_state(pool, 10000), 0);
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), 0);
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), 5);
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), 5);
}

static int crash_once_with_state(mpm_call *call, const void *item, void *result)
{
    if (!atomic_fetch_add(&shared->tries[mpm_call_index(call)], 1) && mpm_call_index(call) % 10 == 7)
        raise(SIGSEGV);
    return add_base(call, item, result);
}

static void a_replaced_worker_is_initialized_too(void)
{
    int items[40], results[40], wrong = 0;
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 2,
                                         .initializer = initialize,
                                         .initializer_argument = argument(),
                                         .initializer_argument_size = 100 * sizeof(int),
                                         .finalizer = finalize});
    for (int i = 0; i < 40; i++)
        items[i] = i;
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, crash_once_with_state, items, 40, sizeof *items, sizeof *results, NULL, results),
        MPM_OK);
    for (int i = 0; i < 40; i++)
        wrong += results[i] != i + 1000;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(gate_reached(&shared->initialized, 6));
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), 6);
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), 2);
}

static int refuse(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument_size;
    (void)state;
    return mpm_fail(call, "file %s does not exist", (const char *)argument);
}

static int return_17(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    return 17;
}

static int die(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    atomic_fetch_add(&shared->initialized, 1);
    raise(SIGSEGV);
    return 0;
}

static int leave(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    atomic_fetch_add(&shared->initialized, 1);
    exit(9);
}

static void check_refusal(mpm_initializer *initializer, unsigned workers, const char *sentence)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.workers = workers,
                                                      .initializer = initializer,
                                                      .initializer_argument = "model.bin",
                                                      .initializer_argument_size = 10},
                                  &pool),
                    MPM_EWORKER);
    CU_ASSERT(error_has(sentence));
    CU_ASSERT_PTR_NULL(pool);
}

static void a_failing_initializer_fails_open_with_its_text(void)
{
    struct arena_usage before, after;

    arena_usage(context_arena(), &before);
    check_refusal(refuse, 4, "cannot start workers: file model.bin does not exist");
    check_refusal(return_17, 3, "cannot start workers: the initializer returned 17");
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
}

static void workers_that_all_die_at_start_are_an_error(void)
{
    forget();
    check_refusal(die, 4, "the last one was killed by SIGSEGV in its initializer");
    CU_ASSERT(atomic_load(&shared->initialized) <= 4 * (int)MAX_EARLY_DEATHS);
    forget();
    check_refusal(leave, 1, "the last one exited with code 9 in its initializer");
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), MAX_EARLY_DEATHS);
}

static int refuse_the_third(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument;
    (void)argument_size;
    (void)state;
    return atomic_fetch_add(&shared->initialized, 1) < 2 ? 0 : mpm_fail(call, "that was one too many");
}

static int die_from_the_third_on(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    if (atomic_fetch_add(&shared->initialized, 1) >= 2)
        raise(SIGSEGV);
    return 0;
}

static int crash(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    raise(SIGSEGV);
    return 0;
}

static void a_worker_that_cannot_be_replaced_fails_the_map(void)
{
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 2, .initializer = refuse_the_third});
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, 100, 0, 0, NULL, NULL), MPM_EWORKER);
    CU_ASSERT(error_has("that was one too many"));
    CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), 0);
    mpm_pool_close(pool);
}

static void workers_that_die_at_start_in_mid_map_are_an_error(void)
{
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 2, .initializer = die_from_the_third_on});
    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, 100, 0, 0, NULL, NULL), MPM_EWORKER);
    CU_ASSERT(error_has("killed by SIGSEGV in its initializer"));
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash, NULL, 0, 0, NULL), MPM_EWORKER);
    mpm_pool_close(pool);
    CU_ASSERT(atomic_load(&shared->initialized) <= 2 + 2 * (int)MAX_EARLY_DEATHS);
}

static int tell_pid(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    *(pid_t *)result = getpid();
    return 0;
}

/* The most results that one process gave. */
static size_t most_of_one(const pid_t *pids, size_t count, size_t *processes)
{
    size_t most = 0;

    *processes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = 0, same = 0;

        for (size_t k = 0; k < count; k++) {
            same += pids[k] == pids[i];
            before += k < i && pids[k] == pids[i];
        }
        *processes += !before;
        most = same > most ? same : most;
    }
    return most;
}

/* Initializers and finalizers that take too long. */

static int hang(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    while (pause())
        ;
    return 0;
}

static int take_its_time(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    return nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

static void hang_at_the_end(void *state)
{
    (void)state;
    atomic_fetch_add(&shared->finalized, 1);
    for (;;)
        pause();
}

static void an_initializer_past_its_time_fails_open(void)
{
    struct arena_usage before, after;
    mpm_pool *pool = NULL;

    arena_usage(context_arena(), &before);
    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.initializer = hang, .setup_timeout_s = 0.1}, &pool),
                    MPM_EWORKER);
    CU_ASSERT(error_has("the initializer was still running after 0.1 s, and was killed"));
    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.initializer = hang, .item_timeout_s = 0.15}, &pool),
                    MPM_EWORKER);
    CU_ASSERT(error_has("the initializer was still running after 0.15 s, and was killed"));
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    pool = open_pool(&(mpm_pool_options){
        .initializer = take_its_time, .item_timeout_s = 0.05, .setup_timeout_s = MPM_FOREVER});
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    pool = open_pool(
        &(mpm_pool_options){.initializer = take_its_time, .item_timeout_s = 0.05, .setup_timeout_s = 60});
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
}

static void finalizers_past_their_time_are_killed_and_told_by_close(void)
{
    int workers = (int)(2 * mpm_slot_count());
    char sentence[100];
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){
        .workers = (unsigned)workers, .finalizer = hang_at_the_end, .setup_timeout_s = 0.1});
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_ETIMEDOUT);
    snprintf(sentence, sizeof sentence, "after 0.1 s (setup_timeout_s), and workers were killed: %d",
             workers);
    CU_ASSERT(error_has(sentence));
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), workers);
    pool = open_pool(&(mpm_pool_options){.finalizer = hang_at_the_end, .setup_timeout_s = 0.1});
    CU_ASSERT_EQUAL(mpm_pool_terminate(pool), MPM_OK);
}

static void crash_at_the_end(void *state)
{
    (void)state;
    atomic_fetch_add(&shared->finalized, 1);
    abort();
}

static void exit_at_the_end(void *state)
{
    (void)state;
    exit(3);
}

static void killed_at_the_end(void *state)
{
    (void)state;
    raise(SIGKILL);
}

/* On all nodes; and in mid-map, where the only worker makes place for others, and dies each time. */
static void finalizers_that_crash_are_told_by_close(void)
{
    int workers = (int)(2 * mpm_slot_count());
    char sentence[100];
    mpm_pool *pool;
    pid_t pids[6];

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = (unsigned)workers, .finalizer = crash_at_the_end});
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_EWORKER);
    snprintf(sentence, sizeof sentence, "workers have died in their finalizers: %d", workers);
    CU_ASSERT(error_has(sentence));
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), workers);
    pool = open_pool(
        &(mpm_pool_options){.workers = 1, .max_tasks_per_worker = 2, .finalizer = exit_at_the_end});
    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_pid, NULL, 6, 0, sizeof *pids, NULL, pids), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_shutdown(pool, MPM_FINISH), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_join(pool, MPM_FOREVER), MPM_EWORKER);
    CU_ASSERT(error_has("mpm_pool_join: the pool is closed, but workers have died in their finalizers: 1"));
    pool = open_pool(&(mpm_pool_options){.finalizer = killed_at_the_end});
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
}

/* The only worker makes place for others, and hangs each time. */
static void a_map_goes_on_when_finalizers_hang(void)
{
    mpm_pool *pool;
    pid_t pids[6];
    size_t processes;

    forget();
    pool = open_pool(&(mpm_pool_options){
        .workers = 1, .max_tasks_per_worker = 2, .finalizer = hang_at_the_end, .setup_timeout_s = 0.1});
    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_pid, NULL, 6, 0, sizeof *pids, NULL, pids), MPM_OK);
    CU_ASSERT_EQUAL(most_of_one(pids, 6, &processes), 2);
    CU_ASSERT_EQUAL(processes, 3);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_ETIMEDOUT);
    CU_ASSERT(error_has("workers were killed: 1"));
}

static void *terminate_when_finalizing(void *pool)
{
    CU_ASSERT(gate_reached(&shared->finalized, 1));
    CU_ASSERT_EQUAL(mpm_pool_terminate(pool), MPM_OK);
    return NULL;
}

static void terminate_ends_a_close_that_waits_for_finalizers(void)
{
    mpm_pool *pool;
    pthread_t thread;

    forget();
    pool = open_pool(&(mpm_pool_options){.finalizer = hang_at_the_end});
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, terminate_when_finalizing, pool), 0);
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    pthread_join(thread, NULL);
}

/* Workers that are replaced. */

static void check_replacing(size_t chunk)
{
    enum { COUNT = 300, TASKS = 20 };
    pid_t pids[COUNT];
    size_t processes;
    mpm_pool *pool;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 3,
                                         .max_tasks_per_worker = TASKS,
                                         .initializer = initialize,
                                         .initializer_argument = argument(),
                                         .initializer_argument_size = 100 * sizeof(int),
                                         .finalizer = finalize});
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, tell_pid, NULL, COUNT, 0, sizeof *pids, &(mpm_map_options){.chunk = chunk}, pids),
        MPM_OK);
    CU_ASSERT(most_of_one(pids, COUNT, &processes) <= TASKS);
    CU_ASSERT(processes >= COUNT / TASKS);
    CU_ASSERT_EQUAL(map_with_state(pool, 500), 0);
    mpm_pool_close(pool);
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), atomic_load(&shared->finalized));
}

static void max_tasks_per_worker_replaces_workers_in_mid_map(void)
{
    check_replacing(0);
    check_replacing(1);
    check_replacing(7);
    check_replacing(100);
}

/* Items past their time. */

static int hang_sometimes(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    (void)item;
    if (index == 33 || (index == 55 && !atomic_fetch_add(&shared->tries[index], 1)))
        for (;;)
            pause();
    memcpy(result, &index, sizeof index);
    return 0;
}

static void check_item_timeout(size_t chunk)
{
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 3, .item_timeout_s = 1, .max_attempts = 2});
    size_t results[200], wrong = 0, failure_count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {.chunk = chunk, .failures = &failures, .failure_count = &failure_count};

    forget();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, hang_sometimes, NULL, 200, 0, sizeof *results, &options, results),
                    MPM_ETASK);
    CU_ASSERT(error_has("1 of 200 items failed; the first is item 33: it ran past its 1 s (2 attempts)"));
    for (size_t i = 0; i < 200; i++)
        wrong += results[i] != (i == 33 ? 0 : i);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL_FATAL(failure_count, 1);
    CU_ASSERT_EQUAL(failures[0].index, 33);
    CU_ASSERT_EQUAL(failures[0].cause, MPM_CAUSE_TIME);
    CU_ASSERT_EQUAL(failures[0].attempts, 2);
    CU_ASSERT(failures[0].node < mpm_node_count());
    free(failures);
    mpm_pool_close(pool);
}

static void an_item_past_its_time_is_killed_and_tried_again(void)
{
    check_item_timeout(1);
    check_item_timeout(0);
    check_item_timeout(40);
}

static int last_60_ms(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
    return 0;
}

/* Item 0 of one lease or call after the other, in the same worker: each has its own time. */
static void each_item_has_its_own_time(void)
{
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 1, .item_timeout_s = 1, .max_attempts = 1});

    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(mpm_pool_map(pool, last_60_ms, NULL, 1, 0, 0, NULL, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, last_60_ms, NULL, 20, 0, 0, NULL, NULL), MPM_OK);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, last_60_ms, NULL, 0, 0, NULL), MPM_OK);
    mpm_pool_close(pool);
}

/* Failures. */

static __attribute__((noinline)) int overflow_stack(volatile int depth)
{
    volatile char room[4096];

    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow_stack(depth + 1) + room[0];
}

static int fail_in_every_way(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);

    (void)item;
    switch (index) {
    case 10:
        return mpm_fail(call, "item %zu is not to my liking", index);
    case 20:
        return 42;
    case 30:
        exit(3);
    case 40:
        abort();
    case 50:
        raise(SIGSEGV);
        break;
    case 60:
        raise(SIGKILL);
        break;
    case 70:
        return overflow_stack(1);
    case 80:
        for (;;)
            pause();
    case 90:
        if (!atomic_fetch_add(&shared->tries[index], 1))
            raise(SIGSEGV);
        return mpm_fail(call, "alive, and still it fails");
    }
    memcpy(result, &index, sizeof index);
    return 0;
}

static const struct {
    size_t index;
    enum mpm_cause cause;
    int code;
    unsigned attempts;
    const char *text;
} expected[] = {
    {10, MPM_CAUSE_TASK, 1, 1, "item 10 is not to my liking"},
    {20, MPM_CAUSE_TASK, 42, 1, "the task returned 42"},
    {30, MPM_CAUSE_EXIT, 3, 3, "its worker exited with code 3 (3 attempts)"},
    {40, MPM_CAUSE_SIGNAL, SIGABRT, 3, "its worker was killed by SIGABRT (3 attempts)"},
    {50, MPM_CAUSE_SIGNAL, SIGSEGV, 3, "its worker was killed by SIGSEGV (3 attempts)"},
    {60, MPM_CAUSE_SIGNAL, SIGKILL, 3, "its worker was killed by SIGKILL, likely out of memory (3 attempts)"},
    {70, MPM_CAUSE_SIGNAL, SIGSEGV, 3, "its worker was killed by SIGSEGV (3 attempts)"},
    {80, MPM_CAUSE_TIME, 0, 3, "it ran past its 1 s (3 attempts)"},
    {90, MPM_CAUSE_TASK, 1, 2, "alive, and still it fails"},
};
#define EXPECTED (sizeof expected / sizeof *expected)

/* A second: others must not be late, which may have to write a core on a busy machine. */
static void check_failures(size_t chunk)
{
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 4, .item_timeout_s = 1, .max_attempts = 3});
    size_t results[100], failure_count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {.chunk = chunk, .failures = &failures, .failure_count = &failure_count};

    forget();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_in_every_way, NULL, 100, 0, sizeof *results, &options, results),
                    MPM_ETASK);
    CU_ASSERT_EQUAL_FATAL(failure_count, EXPECTED);
    for (size_t i = 0; i < EXPECTED; i++) {
        CU_ASSERT_EQUAL(failures[i].index, expected[i].index);
        CU_ASSERT_EQUAL(failures[i].cause, expected[i].cause);
        CU_ASSERT_EQUAL(failures[i].code, expected[i].code);
        CU_ASSERT_EQUAL(failures[i].attempts, expected[i].attempts);
        CU_ASSERT_STRING_EQUAL(failures[i].text, expected[i].text);
        CU_ASSERT(failures[i].node < mpm_node_count());
    }
    for (size_t i = 1; i < 100; i += 2)
        CU_ASSERT_EQUAL(results[i], i);
    free(failures);
    mpm_pool_close(pool);
}

static void every_failure_is_listed_with_its_cause(void)
{
    check_failures(0);
    check_failures(1);
    check_failures(30);
}

static void a_map_without_failures_lists_none(void)
{
    mpm_pool *pool = open_pool(NULL);
    size_t failure_count = 7;
    mpm_failure *failures = (mpm_failure *)&failure_count;
    mpm_map_options options = {.failures = &failures, .failure_count = &failure_count};
    pid_t pids[10];

    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_pid, NULL, 10, 0, sizeof *pids, &options, pids), MPM_OK);
    CU_ASSERT_PTR_NULL(failures);
    CU_ASSERT_EQUAL(failure_count, 0);
    mpm_pool_close(pool);
}

static void max_attempts_1_tries_nothing_again(void)
{
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 2, .max_attempts = 1});

    CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, 5, 0, 0, NULL, NULL), MPM_ETASK);
    CU_ASSERT(
        error_has("5 of 5 items failed; the first is item 0: its worker was killed by SIGSEGV (1 attempt)"));
    mpm_pool_close(pool);
}

/* However many workers it has cost, on all nodes. */
static void a_task_that_fails_everywhere_leaves_the_pool_whole(void)
{
    mpm_pool *pool = open_pool(NULL);
    pid_t pids[100] = {0};

    for (int round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL(mpm_pool_map(pool, crash, NULL, 20, 0, 0, NULL, NULL), MPM_ETASK);
        CU_ASSERT(error_has("20 of 20 items failed"));
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, crash, NULL, 0, 0, NULL), MPM_ETASK);
        CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_pid, NULL, 100, 0, sizeof *pids, NULL, pids), MPM_OK);
        CU_ASSERT_EQUAL(mpm_pool_apply(pool, tell_pid, NULL, 0, sizeof *pids, pids), MPM_OK);
        CU_ASSERT(pids[0] && pids[99]);
    }
    mpm_pool_close(pool);
}

/* A kernel that is out of memory kills the process with the highest score: a worker, not a rank or a fork server. */
static int tell_oom_score(mpm_call *call, const void *item, void *result)
{
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    int score = -1;

    (void)call;
    (void)item;
    if (file && fscanf(file, "%d", &score) == 1)
        fclose(file);
    memcpy(result, &score, sizeof score);
    return 0;
}

static void workers_are_the_first_that_are_out_of_memory(void)
{
    mpm_pool *pool = open_pool(NULL);
    int scores[20], own = -1, wrong = 0;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, tell_oom_score, NULL, 20, 0, sizeof *scores, NULL, scores), MPM_OK);
    for (int i = 0; i < 20; i++)
        wrong += scores[i] != 1000;
    CU_ASSERT_EQUAL(wrong, 0);
    tell_oom_score(NULL, NULL, &own);
    CU_ASSERT(own < 1000);
    mpm_pool_close(pool);
}

/* Memory of items. */

#define MIB ((size_t)1 << 20)

static void *touch(size_t size)
{
    char *memory = malloc(size);

    for (size_t i = 0; memory && i < size; i += 4096)
        *(volatile char *)&memory[i] = 1;
    return memory;
}

/* What it has is not its items'. */
static int have_much(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument;
    (void)argument_size;
    return (*state = touch(160 * MIB)) ? 0 : mpm_fail(call, "no memory");
}

static int need_memory(mpm_call *call, const void *item, void *result)
{
    bool is_large = *(const int *)item;
    void *memory = touch(is_large ? 192 * MIB : 4 * MIB);

    if (!memory)
        return mpm_fail(call, "no memory");
    while (is_large)
        pause();
    free(memory);
    *(int *)result = 1;
    return 0;
}

static void an_item_that_needs_too_much_memory_fails_with_that(void)
{
    mpm_pool *pool = open_pool(
        &(mpm_pool_options){.workers = 2, .item_memory_bytes = 128 * MIB, .initializer = have_much});
    int items[40] = {[7] = 1, [31] = 1}, results[40], wrong = 0;
    mpm_failure *failures = NULL;
    size_t count = 0;
    mpm_map_options options = {.chunk = 1, .failures = &failures, .failure_count = &count};

    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, need_memory, items, 40, sizeof *items, sizeof *results, &options, results),
        MPM_ETASK);
    CU_ASSERT_FATAL(count == 2);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(failures[i].index, i ? 31 : 7);
        CU_ASSERT_EQUAL(failures[i].cause, MPM_CAUSE_MEMORY);
        CU_ASSERT_STRING_EQUAL(failures[i].text, "it needed more than 128 MiB (2 attempts)");
    }
    for (int i = 0; i < 40; i++)
        wrong += results[i] != !items[i];
    CU_ASSERT_EQUAL(wrong, 0);
    free(failures);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, need_memory, &items[7], sizeof *items, sizeof *results, results),
                    MPM_ETASK);
    CU_ASSERT(error_has("it needed more than 128 MiB (2 attempts)"));
    mpm_pool_close(pool);
}

/* There is another one at once: its death is what makes the fork server start it, and nothing else is there that could.
 * `mpmap bench process` tells how long that takes. */

static int note_start(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    atomic_fetch_add(&shared->initialized, 1);
    return 0;
}

static void a_worker_that_dies_is_replaced_though_nobody_asks(void)
{
    mpm_pool *pool;
    pid_t pid = 0;

    forget();
    pool = open_pool(&(mpm_pool_options){.workers = 1, .initializer = note_start});
    for (int started = 1; started <= 10; started++) {
        CU_ASSERT_FATAL(!mpm_pool_apply(pool, tell_pid, NULL, 0, sizeof pid, &pid) && pid > 1);
        CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
        CU_ASSERT_FATAL(gate_reached(&shared->initialized, started + 1));
    }
    mpm_pool_close(pool);
}

/* Ending. */

static int wait_at_gate(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    atomic_fetch_add(&shared->inside, 1);
    gate_reached(&shared->gate, 1);
    atomic_fetch_add(&shared->finalized, 1);
    return 0;
}

struct waiting_map {
    mpm_pool *pool;
    int status;
};

static void *map_at_gate(void *argument)
{
    struct waiting_map *map = argument;

    map->status = mpm_pool_map(map->pool, wait_at_gate, NULL, 50, 0, 0, NULL, NULL);
    return NULL;
}

static void terminate_ends_a_map_of_another_thread(void)
{
    struct arena_usage before, after;
    struct waiting_map map;
    pthread_t thread;

    forget();
    arena_usage(context_arena(), &before);
    map.pool = open_pool(&(mpm_pool_options){.workers = 3});
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, map_at_gate, &map), 0);
    CU_ASSERT(gate_reached(&shared->inside, 3));
    mpm_pool_terminate(map.pool);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(map.status, MPM_ECANCELED);
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), 0);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
}

static void *open_the_gate(void *unused)
{
    (void)unused;
    if (gate_reached(&shared->inside, 3))
        atomic_store(&shared->gate, 1);
    return NULL;
}

static void close_waits_for_a_map_of_another_thread(void)
{
    struct waiting_map map;
    pthread_t mapping, opening;

    forget();
    map.pool = open_pool(&(mpm_pool_options){.workers = 3});
    CU_ASSERT_EQUAL_FATAL(pthread_create(&mapping, NULL, map_at_gate, &map), 0);
    CU_ASSERT(gate_reached(&shared->inside, 3));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&opening, NULL, open_the_gate, NULL), 0);
    mpm_pool_close(map.pool);
    CU_ASSERT_EQUAL(atomic_load(&shared->finalized), 50);
    pthread_join(mapping, NULL);
    pthread_join(opening, NULL);
    CU_ASSERT_EQUAL(map.status, MPM_OK);
}

/* What a progress function was told when it tried to end what waits for it. */
struct endings {
    mpm_pool *pool, *other;
    int close, terminate, finalize, close_other;
    bool is_said;
};

static void try_to_end(const mpm_progress *now, void *argument)
{
    struct endings *told = argument;

    (void)now;
    told->close = mpm_pool_close(told->pool);
    told->is_said = error_has("mpm_pool_close: a callback of one of the pool's maps cannot end the pool");
    told->terminate = mpm_pool_terminate(told->pool);
    told->finalize = mpm_finalize();
    told->is_said &= error_has("a callback of an mpmap call cannot end the run");
    if (told->other)
        told->close_other = mpm_pool_close(told->other);
    told->other = NULL;
}

static void a_progress_function_cannot_end_what_waits_for_it(void)
{
    struct endings told = {.pool = open_pool(NULL), .other = open_pool(NULL), .close_other = -1};
    mpm_map_options options = {.progress = try_to_end, .progress_argument = &told};
    int results[10];

    CU_ASSERT_EQUAL(mpm_pool_map(told.pool, tell_pid, NULL, 10, 0, sizeof *results, &options, results),
                    MPM_OK);
    CU_ASSERT_EQUAL(told.close, MPM_ESTATE);
    CU_ASSERT_EQUAL(told.terminate, MPM_ESTATE);
    CU_ASSERT_EQUAL(told.finalize, MPM_ESTATE);
    CU_ASSERT_EQUAL(told.close_other, MPM_OK);
    CU_ASSERT(told.is_said);
    CU_ASSERT_EQUAL(mpm_pool_map(told.pool, tell_pid, NULL, 10, 0, sizeof *results, NULL, results), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_close(told.pool), MPM_OK);
}

/* More than are kept before their memory is used again; each pointer is known as closed until then. */
static void pools_are_opened_and_closed_again_and_again(void)
{
    enum { ROUNDS = AMOUNT(300, 20) };
    mpm_pool *before = NULL, *pool = NULL;

    for (int i = 0; i < ROUNDS; i++) {
        pool = open_pool(&(mpm_pool_options){.workers = 1});
        CU_ASSERT_NOT_EQUAL(pool, before);
        CU_ASSERT(!before || mpm_pool_map(before, tell_pid, NULL, 0, 0, 0, NULL, NULL) == MPM_ESTATE);
        CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), 1);
        CU_ASSERT_EQUAL_FATAL(mpm_pool_close(pool), MPM_OK);
        before = pool;
    }
}

static void terminate_of_an_idle_pool_ends_it(void)
{
    forget();
    mpm_pool_terminate(open_pool(&(mpm_pool_options){.workers = 4,
                                                     .initializer = initialize,
                                                     .initializer_argument = argument(),
                                                     .initializer_argument_size = 100 * sizeof(int),
                                                     .finalizer = finalize}));
    mpm_pool_terminate(NULL);
    CU_ASSERT_EQUAL(atomic_load(&shared->initialized), 4);
}

static void nonsense_is_refused(void)
{
    static const double times[] = {-1, NAN, INFINITY};
    mpm_pool *pool = NULL;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.item_timeout_s = times[i]}, &pool), MPM_EINVAL);
        CU_ASSERT(error_has("item_timeout_s"));
        CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.setup_timeout_s = times[i]}, &pool), MPM_EINVAL);
        CU_ASSERT(error_has("setup_timeout_s"));
    }
    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.initializer_argument_size = 3}, &pool), MPM_EINVAL);
    CU_ASSERT(error_has("initializer_argument is NULL, but its size is 3 bytes"));
    CU_ASSERT_EQUAL(
        mpm_pool_open(&(mpm_pool_options){.initializer = (mpm_initializer *)(void *)&shared}, &pool),
        MPM_EINVAL);
    CU_ASSERT(error_has("is not a function"));
    CU_ASSERT_PTR_NULL(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"initializer_and_finalizer_run_once_a_worker", initializer_and_finalizer_run_once_a_worker},
        {"a_replaced_worker_is_initialized_too", a_replaced_worker_is_initialized_too},
        {"a_failing_initializer_fails_open_with_its_text", a_failing_initializer_fails_open_with_its_text},
        {"workers_that_all_die_at_start_are_an_error", workers_that_all_die_at_start_are_an_error},
        {"a_worker_that_cannot_be_replaced_fails_the_map", a_worker_that_cannot_be_replaced_fails_the_map},
        {"max_tasks_per_worker_replaces_workers_in_mid_map",
         max_tasks_per_worker_replaces_workers_in_mid_map},
        {"an_item_past_its_time_is_killed_and_tried_again", an_item_past_its_time_is_killed_and_tried_again},
        {"each_item_has_its_own_time", each_item_has_its_own_time},
        {"every_failure_is_listed_with_its_cause", every_failure_is_listed_with_its_cause},
        {"a_map_without_failures_lists_none", a_map_without_failures_lists_none},
        {"workers_that_die_at_start_in_mid_map_are_an_error",
         workers_that_die_at_start_in_mid_map_are_an_error},
        {"max_attempts_1_tries_nothing_again", max_attempts_1_tries_nothing_again},
        {"a_task_that_fails_everywhere_leaves_the_pool_whole",
         a_task_that_fails_everywhere_leaves_the_pool_whole},
        {"workers_are_the_first_that_are_out_of_memory", workers_are_the_first_that_are_out_of_memory},
        {"an_item_that_needs_too_much_memory_fails_with_that",
         an_item_that_needs_too_much_memory_fails_with_that},
        {"a_worker_that_dies_is_replaced_though_nobody_asks",
         a_worker_that_dies_is_replaced_though_nobody_asks},
        {"terminate_ends_a_map_of_another_thread", terminate_ends_a_map_of_another_thread},
        {"close_waits_for_a_map_of_another_thread", close_waits_for_a_map_of_another_thread},
        {"an_initializer_past_its_time_fails_open", an_initializer_past_its_time_fails_open},
        {"finalizers_past_their_time_are_killed_and_told_by_close",
         finalizers_past_their_time_are_killed_and_told_by_close},
        {"finalizers_that_crash_are_told_by_close", finalizers_that_crash_are_told_by_close},
        {"a_map_goes_on_when_finalizers_hang", a_map_goes_on_when_finalizers_hang},
        {"terminate_ends_a_close_that_waits_for_finalizers",
         terminate_ends_a_close_that_waits_for_finalizers},
        {"a_progress_function_cannot_end_what_waits_for_it",
         a_progress_function_cannot_end_what_waits_for_it},
        {"pools_are_opened_and_closed_again_and_again", pools_are_opened_and_closed_again_and_again},
        {"terminate_of_an_idle_pool_ends_it", terminate_of_an_idle_pool_ends_it},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    shared = shared_file("pool_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("pool", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Children that the program forks itself, in main, in processes and in workers: they have no part in the run, and end
 * when they return from what the run has called. */
#include <CUnit/CUnit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define CODE 77 /* of children that return */

static struct shared {
    _Atomic int came_back; /* parents: how often they have returned from what forks */
} * shared;

/* What a child tries: all of it at main's node. */
struct things {
    mpm_value value;
    mpm_array array;
    mpm_queue queue;
    mpm_lock lock;
    mpm_event event;
    mpm_barrier barrier;
    mpm_connection connection, other;
};

static struct things things;
static mpm_pool *pool;
static mpm_result *result;

static void make_things(void)
{
    CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_I64, NULL, &things.value), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_array_create(MPM_F64, 4, NULL, &things.array), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &things.queue), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_lock_create(&things.lock), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_event_create(&things.event), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_barrier_create(1, NULL, &things.barrier), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pipe_create(MPM_DUPLEX, &things.connection, &things.other), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool), MPM_OK);
}

/* So that the fast ways are known. */
static void use(const struct things *of)
{
    int64_t one = 1;
    double number;
    char byte;

    EXPECT(!mpm_value_add(of->value, &one));
    EXPECT(!mpm_array_get(of->array, 1, &number));
    EXPECT(!mpm_queue_put(of->queue, "x", 1, 100));
    EXPECT(!mpm_queue_get(of->queue, 100, &byte, 1, NULL));
    EXPECT(!mpm_lock_acquire(of->lock, 100));
    EXPECT(!mpm_lock_release(of->lock));
    EXPECT(!mpm_event_set(of->event));
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

static int return_zero(mpm_call *call, const void *item, void *room)
{
    (void)call;
    (void)item;
    (void)room;
    return 0;
}

static bool is_refused(int status)
{
    return status == MPM_ESTATE && error_has("the program itself forked this process");
}

static void expect_objects_refused(const struct things *of)
{
    int64_t one = 1;
    double number;
    char byte;
    size_t count;

    EXPECT(is_refused(mpm_value_add(of->value, &one)));
    EXPECT(is_refused(mpm_array_get(of->array, 1, &number)));
    EXPECT(is_refused(mpm_queue_put(of->queue, "x", 1, 0)));
    EXPECT(is_refused(mpm_queue_get(of->queue, 0, &byte, 1, NULL)));
    EXPECT(is_refused(mpm_lock_acquire(of->lock, MPM_FOREVER)));
    EXPECT(is_refused(mpm_lock_release(of->lock)));
    EXPECT(is_refused(mpm_event_wait(of->event, MPM_FOREVER)));
    EXPECT(is_refused(mpm_barrier_wait(of->barrier, MPM_FOREVER, NULL)));
    EXPECT(is_refused(mpm_connection_send(of->connection, "x", 1, 0)));
    EXPECT(is_refused(mpm_wait_any(&of->event.handle, 1, MPM_FOREVER, &count, &count)));
    EXPECT(is_refused(mpm_lock_create(&(mpm_lock){{0}})));
}

static void expect_run_refused(void)
{
    mpm_process process;
    mpm_pool *other;
    void *memory;

    EXPECT(is_refused(mpm_process_start(do_nothing, NULL, 0, NULL, &process)));
    EXPECT(is_refused(mpm_current_process(&process)));
    EXPECT(is_refused(mpm_parent_process(&process)));
    EXPECT(is_refused(mpm_pool_open(NULL, &other)));
    EXPECT(is_refused(mpm_alloc(1, &memory)));
    EXPECT(is_refused(mpm_init(NULL, NULL, NULL)));
    EXPECT(is_refused(mpm_finalize()));
    EXPECT(mpm_node_count() == 0);
}

/* In main's child. */
static void expect_pool_refused(void)
{
    EXPECT(is_refused(mpm_pool_map(pool, return_zero, NULL, 1, 0, 0, NULL, NULL)));
    EXPECT(is_refused(mpm_pool_apply(pool, return_zero, NULL, 0, 0, NULL)));
    EXPECT(is_refused(mpm_result_wait(result, MPM_FOREVER)));
    mpm_result_destroy(result);
    mpm_pool_terminate(pool);
    mpm_pool_close(pool);
}

/* AddressSanitizer asks it when a process exits. A forked child does not look for leaks: that takes the locks of the
 * sanitizer's allocator, and one that another thread of the parent held at the fork stays held here for ever (gcc
 * 12). */
static bool is_forked_child;

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return is_forked_child;
}

/* With a child that tries all, and leaves by exit(). */
static void fork_and_try(const struct things *of, bool is_main)
{
    int wait_status = -1;
    pid_t child;

    use(of);
    if ((child = fork()) == 0) {
        is_forked_child = true;
        expect_objects_refused(of);
        expect_run_refused();
        if (is_main)
            expect_pool_refused();
        exit(everywhere_end());
    }
    EXPECT(waitpid(child, &wait_status, 0) == child && wait_status == 0);
    use(of);
}

static int fork_in_a_process(const void *args, size_t size)
{
    (void)size;
    fork_and_try(args, false);
    return everywhere_end();
}

static int fork_in_a_task(mpm_call *call, const void *item, void *room)
{
    (void)item;
    (void)room;
    fork_and_try(mpm_call_context(call), false);
    return everywhere_end();
}

static void a_forked_child_has_no_part_in_the_run(void)
{
    mpm_map_options options = {.context_size = sizeof things};

    make_things();
    options.context = &things;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_apply_async(pool, return_zero, NULL, 0, 0, NULL, &result), MPM_OK);
    fork_and_try(&things, true);
    everywhere_assert();
    mpm_result_destroy(result);
    run_on_each_node(fork_in_a_process, &things, sizeof things);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fork_in_a_task, NULL, 8, 0, 0, &options, NULL), MPM_OK);
    use(&things);
    everywhere_assert();
}

/* Children that return. */

/* In the parent it waits for the child's end, and counts that. In the child it returns. */
static bool fork_and_return(void)
{
    int wait_status = 0;
    pid_t child = fork();

    if (child == 0)
        return false;
    if (waitpid(child, &wait_status, 0) == child && WIFEXITED(wait_status) &&
        (WEXITSTATUS(wait_status) == CODE || WEXITSTATUS(wait_status) == 0))
        atomic_fetch_add(&shared->came_back, 1);
    return true;
}

static int fork_task(mpm_call *call, const void *item, void *room)
{
    (void)call;
    (void)item;
    if (room)
        *(int *)room = 5;
    return fork_and_return() ? 0 : CODE;
}

static int fork_target(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return fork_and_return() ? 0 : CODE;
}

static int fork_initializer(mpm_call *call, const void *argument, size_t size, void **state)
{
    (void)call;
    (void)argument;
    (void)size;
    (void)state;
    return fork_and_return() ? 0 : CODE;
}

static void fork_finalizer(void *state)
{
    (void)state;
    fork_and_return();
}

static void fork_callback(mpm_result *of, void *argument)
{
    (void)of;
    (void)argument;
    fork_and_return();
}

static void fork_progress(const mpm_progress *progress, void *argument)
{
    (void)progress;
    (void)argument;
    fork_and_return();
}

static int fork_generator(void *argument, void *item)
{
    int *left = argument;

    (void)item;
    return fork_and_return() ? (*left)-- > 0 : CODE;
}

static int fork_predicate(void *argument)
{
    (void)argument;
    return fork_and_return() ? 1 : CODE;
}

static void expect_returns(int least)
{
    int came_back = atomic_exchange(&shared->came_back, 0);

    if (came_back < least)
        fprintf(stderr, "%d of %d came back\n", came_back, least);
    CU_ASSERT(came_back >= least);
}

static void a_child_that_returns_from_a_task_ends(void)
{
    int results[40] = {0}, wrong = 0;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, fork_task, NULL, 40, 0, sizeof *results, NULL, results), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fork_task, NULL, 40, 0, 0, &(mpm_map_options){.chunk = 1}, NULL),
                    MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, fork_task, NULL, 0, 0, NULL), MPM_OK);
    for (int i = 0; i < 40; i++)
        wrong += results[i] != 5;
    CU_ASSERT_EQUAL(wrong, 0);
    expect_returns(81);
}

static void a_child_that_returns_from_an_item_of_any_length_ends(void)
{
    mpm_blob items[3] = {{"a", 1}, {"b", 1}, {"c", 1}};

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, fork_task, items, 3, NULL, NULL), MPM_OK);
    expect_returns(3);
}

static void a_child_that_returns_from_a_target_ends(void)
{
    run_on_each_node(fork_target, NULL, 0);
    expect_returns((int)mpm_node_count());
}

static void a_child_that_returns_from_an_initializer_or_a_finalizer_ends(void)
{
    mpm_pool_options options = {.workers = 2, .initializer = fork_initializer, .finalizer = fork_finalizer};
    mpm_pool *other;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &other), MPM_OK);
    mpm_pool_close(other);
    expect_returns(4);
}

static void a_child_that_returns_from_a_callback_ends(void)
{
    mpm_callbacks callbacks = {.done = fork_callback};
    mpm_pool *other;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &other), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_apply_async(other, return_zero, NULL, 0, 0, &callbacks, NULL), MPM_OK);
    mpm_pool_close(other);
    expect_returns(1);
}

static void a_child_that_returns_from_a_progress_function_ends(void)
{
    mpm_map_options options = {.progress = fork_progress};

    CU_ASSERT_EQUAL(mpm_pool_map(pool, return_zero, NULL, 10, 0, 0, &options, NULL), MPM_OK);
    expect_returns(1);
}

static void a_child_that_returns_from_a_generator_ends(void)
{
    mpm_stream *stream;
    int left = 3, status;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_imap(pool, return_zero, fork_generator, &left, 0, 0, NULL, &stream),
                          MPM_OK);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(mpm_stream_next(stream, 100, NULL, NULL), MPM_OK);
    status = mpm_stream_next(stream, 100, NULL, NULL);
    CU_ASSERT_NOT_EQUAL(status, MPM_OK);
    mpm_stream_close(stream);
    expect_returns(4);
}

static void a_child_that_returns_from_a_predicate_or_an_action_ends(void)
{
    mpm_condition condition;
    mpm_barrier barrier;

    CU_ASSERT_EQUAL_FATAL(mpm_condition_create(&condition), MPM_OK);
    CU_ASSERT_EQUAL(mpm_condition_acquire(condition, 100), MPM_OK);
    CU_ASSERT_EQUAL(mpm_condition_wait_for(condition, fork_predicate, NULL, 100), MPM_OK);
    CU_ASSERT_EQUAL(mpm_condition_release(condition), MPM_OK);
    CU_ASSERT_EQUAL(mpm_condition_destroy(condition), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_barrier_create(1, &(mpm_barrier_options){.action = fork_target}, &barrier),
                          MPM_OK);
    CU_ASSERT_EQUAL(mpm_barrier_wait(barrier, 100, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_barrier_destroy(barrier), MPM_OK);
    expect_returns(2);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_forked_child_has_no_part_in_the_run", a_forked_child_has_no_part_in_the_run},
        {"a_child_that_returns_from_a_task_ends", a_child_that_returns_from_a_task_ends},
        {"a_child_that_returns_from_an_item_of_any_length_ends",
         a_child_that_returns_from_an_item_of_any_length_ends},
        {"a_child_that_returns_from_a_target_ends", a_child_that_returns_from_a_target_ends},
        {"a_child_that_returns_from_an_initializer_or_a_finalizer_ends",
         a_child_that_returns_from_an_initializer_or_a_finalizer_ends},
        {"a_child_that_returns_from_a_callback_ends", a_child_that_returns_from_a_callback_ends},
        {"a_child_that_returns_from_a_progress_function_ends",
         a_child_that_returns_from_a_progress_function_ends},
        {"a_child_that_returns_from_a_generator_ends", a_child_that_returns_from_a_generator_ends},
        {"a_child_that_returns_from_a_predicate_or_an_action_ends",
         a_child_that_returns_from_a_predicate_or_an_action_ends},
    };
    int failed;

    shared = shared_file("fork_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("fork", tests, sizeof tests / sizeof *tests);
    mpm_pool_close(pool);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of main share objects as processes do. ThreadSanitizer sees what they do to the shared memory, which
 * it does not of processes: each kind of object is used by several threads at once, to the end of each of its
 * paths: full and empty, waiting, timing out, growing, closing, ending. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 60.0
#define THREADS    6u
#define ROUNDS     400u

/* What all threads of a test use. */
static struct shared {
    mpm_queue queue;
    mpm_connection near_end, far_end;
    mpm_lock lock;
    mpm_value value, counter;
    mpm_array array;
    mpm_bytes bytes;
    mpm_semaphore semaphore;
    mpm_condition condition;
    mpm_event event;
    mpm_barrier barrier;
    unsigned guarded; /* by whatever the test tries */
    mpm_pool *pool;
    _Atomic unsigned begun;
} shared;

typedef void thread_body(unsigned thread);

struct thread {
    pthread_t thread;
    unsigned number;
    thread_body *body;
};

/* In a thread: the expectations are the process's, so main asserts them when all have ended. */
static void *run_body(void *argument)
{
    struct thread *thread = argument;

    thread->body(thread->number);
    return NULL;
}

static void run_threads(thread_body *body)
{
    struct thread threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.number = i, .body = body};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i].thread, NULL, run_body, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    everywhere_assert();
}

/* Half of them put messages of all lengths, the others get them. */
static void put_or_get(unsigned thread)
{
    char message[700];
    size_t size;

    for (unsigned i = 0; i < ROUNDS; i++) {
        memset(message, (int)i, sizeof message);
        if (thread % 2)
            EXPECT(!mpm_queue_put(shared.queue, message, i % sizeof message, PATIENCE_S));
        else
            EXPECT(!mpm_queue_get(shared.queue, PATIENCE_S, message, sizeof message, &size) &&
                   !mpm_queue_task_done(shared.queue) && (!size || message[0] == message[size - 1]));
    }
}

static void queues(void)
{
    for (unsigned bound = 0; bound < 9; bound += 4) {
        EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = bound}, &shared.queue));
        run_threads(put_or_get);
        EXPECT(!mpm_queue_join(shared.queue, 0) && !mpm_queue_close(shared.queue));
        EXPECT(!mpm_queue_destroy(shared.queue));
    }
    everywhere_assert();
}

static void send_and_receive(unsigned thread)
{
    mpm_connection end = thread % 2 ? shared.near_end : shared.far_end;
    size_t size, ready, count;
    char message[300];

    for (unsigned i = 0; i < ROUNDS; i++) {
        memset(message, (int)i, sizeof message);
        EXPECT(!mpm_connection_send(end, message, i % sizeof message, PATIENCE_S));
        if (i % 3 == 0)
            EXPECT(!mpm_wait_any(&end.handle, 1, PATIENCE_S, &ready, &count));
        EXPECT(!mpm_connection_recv(end, PATIENCE_S, message, sizeof message, &size) &&
               (!size || message[0] == message[size - 1]));
    }
}

static void pipes(void)
{
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &shared.near_end, &shared.far_end));
    run_threads(send_and_receive);
    EXPECT(!mpm_connection_close(shared.near_end) && !mpm_connection_close(shared.far_end));
    everywhere_assert();
}

static void use_lock(unsigned thread)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        double timeout_s = (i + thread) % 7 ? PATIENCE_S : 0.0001;
        int status = mpm_lock_acquire(shared.lock, timeout_s);

        EXPECT(!status || status == MPM_ETIMEDOUT);
        if (status)
            continue;
        shared.guarded++;
        EXPECT(!mpm_lock_release(shared.lock));
    }
}

static void locks(void)
{
    EXPECT(!mpm_lock_create(&shared.lock));
    run_threads(use_lock);
    EXPECT(!mpm_lock_destroy(shared.lock));
    everywhere_assert();
}

static void use_numbers(unsigned thread)
{
    int64_t number, numbers[8];
    char bytes[64];

    for (unsigned i = 0; i < ROUNDS; i++) {
        EXPECT(!mpm_value_lock(shared.value, PATIENCE_S));
        EXPECT(!mpm_value_get(shared.value, &number));
        number++;
        shared.guarded++;
        EXPECT(!mpm_value_set(shared.value, &number) && !mpm_value_unlock(shared.value));
        EXPECT(!mpm_value_add(shared.counter, &(int64_t){1}) &&
               !mpm_array_add(shared.array, i % 8, &(int64_t){1}) &&
               !mpm_array_read(shared.array, 0, 8, numbers));
        memset(bytes, (int)(i + thread), sizeof bytes);
        EXPECT(!mpm_bytes_set(shared.bytes, bytes, sizeof bytes) &&
               !mpm_bytes_get(shared.bytes, bytes, sizeof bytes) && bytes[0] == bytes[sizeof bytes - 1]);
    }
}

static void numbers_and_bytes(void)
{
    int64_t number;

    EXPECT(!mpm_value_create(MPM_I64, NULL, &shared.value) &&
           !mpm_value_create(MPM_I64, NULL, &shared.counter) &&
           !mpm_array_create(MPM_I64, 8, NULL, &shared.array) && !mpm_bytes_create(64, NULL, &shared.bytes));
    run_threads(use_numbers);
    EXPECT(!mpm_value_get(shared.value, &number) && number == (int64_t)THREADS * ROUNDS);
    EXPECT(!mpm_value_get(shared.counter, &number) && number == (int64_t)THREADS * ROUNDS);
    EXPECT(!mpm_value_destroy(shared.value) && !mpm_value_destroy(shared.counter) &&
           !mpm_array_destroy(shared.array) && !mpm_bytes_destroy(shared.bytes));
    everywhere_assert();
}

static void meet(unsigned thread)
{
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        unsigned index;

        EXPECT(!mpm_barrier_wait(shared.barrier, PATIENCE_S, &index) && index < THREADS);
        if (thread == 0)
            EXPECT(!mpm_event_set(shared.event));
        EXPECT(!mpm_event_wait(shared.event, PATIENCE_S));
        EXPECT(!mpm_semaphore_acquire(shared.semaphore, PATIENCE_S));
        EXPECT(!mpm_semaphore_release(shared.semaphore));
        EXPECT(!mpm_barrier_wait(shared.barrier, PATIENCE_S, &index));
        if (index == 0)
            EXPECT(!mpm_event_clear(shared.event));
        EXPECT(!mpm_barrier_wait(shared.barrier, PATIENCE_S, NULL));
    }
}

static void barriers_events_and_semaphores(void)
{
    EXPECT(!mpm_barrier_create(THREADS, NULL, &shared.barrier) && !mpm_event_create(&shared.event) &&
           !mpm_semaphore_create(2, &shared.semaphore));
    run_threads(meet);
    EXPECT(!mpm_barrier_destroy(shared.barrier) && !mpm_event_destroy(shared.event) &&
           !mpm_semaphore_destroy(shared.semaphore));
    everywhere_assert();
}

/* In turn, as a number under the condition's lock says. */
static void take_turns(unsigned thread)
{
    for (unsigned i = 0; i < ROUNDS / 8; i++) {
        EXPECT(!mpm_condition_acquire(shared.condition, PATIENCE_S));
        while (shared.guarded % THREADS != thread)
            EXPECT(!mpm_condition_wait(shared.condition, PATIENCE_S));
        shared.guarded++;
        EXPECT(!mpm_condition_notify_all(shared.condition) && !mpm_condition_release(shared.condition));
    }
}

static void conditions(void)
{
    shared.guarded = 0;
    EXPECT(!mpm_condition_create(&shared.condition));
    run_threads(take_turns);
    EXPECT(shared.guarded == THREADS * (ROUNDS / 8));
    EXPECT(!mpm_condition_destroy(shared.condition));
    everywhere_assert();
}

/* Cells and blocks go from one thread to the next, while old handles are looked at. */
static void make_and_end(unsigned thread)
{

    mpm_lock old = {{0}};

    (void)thread;
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_queue queue;
        mpm_array array;
        mpm_lock lock;

        EXPECT(!mpm_queue_create(NULL, &queue) && !mpm_array_create(MPM_I8, 100, NULL, &array) &&
               !mpm_lock_create(&lock));
        EXPECT(!mpm_queue_put(queue, "x", 1, 0) && !mpm_array_lock(array, 0) && !mpm_lock_acquire(lock, 0));
        EXPECT(!i || mpm_lock_acquire(old, 0) == MPM_ESTALE);
        EXPECT(!mpm_queue_destroy(queue) && !mpm_array_destroy(array) && !mpm_lock_destroy(lock));
        old = lock;
    }
}

static void making_and_ending(void)
{
    run_threads(make_and_end);
}

/* Maps, calls and asynchronous calls, until the pool is closed under them. */

static int do_nothing(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return 0;
}

static int use_pool(unsigned thread)
{
    mpm_result *result = NULL;
    int status;

    if (thread % 3 == 0)
        return mpm_pool_map(shared.pool, do_nothing, NULL, 10, 0, 0, NULL, NULL);
    if (thread % 3 == 1)
        return mpm_pool_apply(shared.pool, do_nothing, NULL, 0, 0, NULL);
    if ((status = mpm_pool_apply_async(shared.pool, do_nothing, NULL, 0, 0, NULL, &result)))
        return status;
    status = mpm_result_get(result, PATIENCE_S, NULL);
    mpm_result_destroy(result);
    return status;
}

static void use_until_closed(unsigned thread)
{
    int status;

    while (!(status = use_pool(thread)))
        atomic_fetch_add(&shared.begun, 1);
    EXPECT(status == MPM_ESTATE);
}

static void *close_in_use(void *unused)
{
    (void)unused;
    while (atomic_load(&shared.begun) < THREADS * 10)
        usleep(100);
    EXPECT(!mpm_pool_close(shared.pool));
    return NULL;
}

static void pools(void)
{
    for (unsigned round = 0; round < 5; round++) {
        pthread_t closer;

        atomic_store(&shared.begun, 0);
        EXPECT(!mpm_pool_open(&(mpm_pool_options){.workers = 2}, &shared.pool));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&closer, NULL, close_in_use, NULL), 0);
        run_threads(use_until_closed);
        pthread_join(closer, NULL);
    }
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"queues", queues},
        {"pipes", pipes},
        {"locks", locks},
        {"numbers_and_bytes", numbers_and_bytes},
        {"barriers_events_and_semaphores", barriers_events_and_semaphores},
        {"conditions", conditions},
        {"making_and_ending", making_and_ending},
        {"pools", pools},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("threads", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

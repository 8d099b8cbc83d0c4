/* SPDX-License-Identifier: BSD-3-Clause */
/* A signal handler that calls mpm_interrupt_waits() ends any wait of its thread: before it, at any instruction of it,
 * and asleep; and nothing is taken or lost by that. On each node a process goes through each way of waiting. A signal
 * that was missed would leave its waiter to its time limit, and a waiter that has taken something would leave too
 * little to others. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/predicate.h"
#include "support/suite.h"
#include "support/ways.h"

#define PATIENCE_S 100.0
#define MOST_NODES 8u
#define SIGNALS    AMOUNT(60, 30)

/* SA_RESTART: the kernel would have the sleep go on. */
static void interrupt(int signal_number)
{
    (void)signal_number;
    mpm_interrupt_waits();
}

static void handle_signal(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};

    EXPECT(!sigaction(SIGUSR1, &action, NULL));
}

/* A thread that interrupts another one. */
struct interrupter {
    pthread_t thread, waiter;
    pid_t waiter_id;
    bool is_to_sleep;              /* the waiter, before it is interrupted */
    unsigned signals;              /* how many it sends, each after the one before it has ended a wait */
    _Atomic unsigned begun, ended; /* waits of the waiter */
};

static bool is_asleep(pid_t thread)
{
    char name[64], state = 0;
    FILE *file;

    snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)thread);
    if ((file = fopen(name, "r"))) {
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            state = 0;
        fclose(file);
    }
    return state == 'S';
}

static void *send_signals(void *argument)
{
    struct interrupter *interrupter = argument;

    for (unsigned i = 0; i < interrupter->signals; i++) {
        while (atomic_load(&interrupter->begun) <= i ||
               (interrupter->is_to_sleep && !is_asleep(interrupter->waiter_id)))
            sched_yield();
        pthread_kill(interrupter->waiter, SIGUSR1);
        while (atomic_load(&interrupter->ended) <= i)
            sched_yield();
    }
    return NULL;
}

/* Runs a wait of the calling thread as often as it is interrupted. */
static void be_interrupted(unsigned signals, bool is_to_sleep, void (*wait)(const void *argument),
                           const void *argument)
{
    struct interrupter interrupter = {.waiter = pthread_self(),
                                      .waiter_id = (pid_t)syscall(SYS_gettid),
                                      .is_to_sleep = is_to_sleep,
                                      .signals = signals};

    EXPECT(!pthread_create(&interrupter.thread, NULL, send_signals, &interrupter));
    for (unsigned i = 0; i < signals; i++) {
        atomic_fetch_add(&interrupter.begun, 1);
        wait(argument);
        atomic_fetch_add(&interrupter.ended, 1);
    }
    EXPECT(!pthread_join(interrupter.thread, NULL));
}

/* Objects. */

static void expect_interrupted(const struct scene *scene, double timeout_s)
{
    int status = way_wait(scene, timeout_s);

    if (status != MPM_EINTERRUPTED)
        fprintf(stderr, "%s from node %u: %s\n", way_names[scene->way], mpm_node_id(),
                mpm_status_name(status));
    EXPECT(status == MPM_EINTERRUPTED && strstr(mpm_error(), "mpm_interrupt_waits()"));
    if (scene->way == BARRIER)
        EXPECT(barrier_is_broken(scene->barrier) == 1 && !mpm_barrier_reset(scene->barrier));
}

static void wait_with_limit(const void *scene)
{
    expect_interrupted(scene, PATIENCE_S);
}

static void wait_without_limit(const void *scene)
{
    expect_interrupted(scene, MPM_FOREVER);
}

/* One is pending, and ends the next wait only; but not what need not wait, and not if it is taken back. */
static void be_interrupted_before(const struct scene *scene)
{
    mpm_queue queue;

    EXPECT(!mpm_queue_create(NULL, &queue));
    mpm_interrupt_waits();
    mpm_interrupt_waits();
    EXPECT(!mpm_queue_put(queue, NULL, 0, PATIENCE_S) && !mpm_queue_get(queue, PATIENCE_S, NULL, 0, NULL));
    EXPECT(mpm_queue_get(queue, 0, NULL, 0, NULL) == MPM_EEMPTY);
    expect_interrupted(scene, PATIENCE_S);
    EXPECT(mpm_queue_get(queue, 0.001, NULL, 0, NULL) == MPM_EEMPTY);
    mpm_interrupt_waits();
    mpm_interrupt_clear();
    EXPECT(mpm_queue_get(queue, 0.001, NULL, 0, NULL) == MPM_EEMPTY);
    EXPECT(!mpm_queue_destroy(queue));
}

static int be_interrupted_and_wait(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    handle_signal();
    way_begin(scene);
    be_interrupted_before(scene);
    be_interrupted(2, true, wait_with_limit, scene);
    be_interrupted(2, true, wait_without_limit, scene);
    be_interrupted(SIGNALS, false, wait_without_limit, scene);
    EXPECT(!mpm_queue_put(scene->begun, NULL, 0, 0));
    if (scene->way == CONDITION)
        EXPECT(!mpm_condition_release(scene->condition));
    EXPECT(!mpm_event_wait(scene->all_begun, PATIENCE_S));
    way_begin(scene);
    EXPECT(!way_wait(scene, PATIENCE_S));
    way_leave(scene);
    return everywhere_end();
}

static void await_waiters(const mpm_handle *handle, unsigned count)
{
    while (count_waiters(handle) < count)
        sched_yield();
}

static void an_interrupted_wait_has_taken_nothing(void)
{
    unsigned nodes = mpm_node_count() < MOST_NODES ? mpm_node_count() : MOST_NODES;
    mpm_process waiters[WAYS * MOST_NODES];
    struct scene scene;

    scene_make(&scene, nodes);
    for (unsigned i = 0; i < WAYS * nodes; i++) {
        scene.way = i % WAYS;
        waiters[i] = start_on(i / WAYS, be_interrupted_and_wait, &scene, sizeof scene);
        /* One after the other: an interrupted one breaks the barrier of all. */
        EXPECT(!mpm_queue_get(scene.begun, PATIENCE_S, NULL, 0, NULL));
    }
    EXPECT(!mpm_event_set(scene.all_begun));
    await_waiters(&scene.condition.handle, nodes);
    scene_let_go(&scene, nodes);
    for (unsigned i = 0; i < WAYS * nodes; i++)
        expect_end(waiters[i], 0);
    scene_end(&scene);
    everywhere_assert();
}

/* Pools. */

static int wait_for_event(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    return mpm_event_wait(*(const mpm_event *)item, PATIENCE_S);
}

static int give_event(void *event, void *item)
{
    mpm_event none = {.handle = {0}};

    memcpy(item, event, sizeof none);
    memcpy(event, &none, sizeof none);
    return memcmp(item, &none, sizeof none) != 0;
}

static void wait_for_result(const void *result)
{
    EXPECT(mpm_result_wait(*(mpm_result *const *)result, PATIENCE_S) == MPM_EINTERRUPTED);
    EXPECT(error_has("result"));
}

static void wait_for_next(const void *stream)
{
    EXPECT(mpm_stream_next(*(mpm_stream *const *)stream, PATIENCE_S, NULL, NULL) == MPM_EINTERRUPTED);
    EXPECT(error_has("stream"));
}

static void wait_for_any_result(const void *result)
{
    size_t ready;

    EXPECT(mpm_result_wait_any((mpm_result *const *)result, 1, PATIENCE_S, &ready) == MPM_EINTERRUPTED);
    EXPECT(error_has("result"));
}

static void waiting_for_results_is_interrupted(void)
{
    mpm_event event, given;
    mpm_pool *pool = NULL;
    mpm_result *result = NULL;
    mpm_stream *stream = NULL;

    handle_signal();
    EXPECT(!mpm_event_create(&event) && !mpm_pool_open(NULL, &pool));
    given = event;
    EXPECT(!mpm_pool_apply_async(pool, wait_for_event, &event, sizeof event, 0, NULL, &result));
    EXPECT(!mpm_pool_imap(pool, wait_for_event, give_event, &given, sizeof given, 0, NULL, &stream));
    be_interrupted(2, true, wait_for_result, &result);
    be_interrupted(2, true, wait_for_any_result, &result);
    be_interrupted(SIGNALS, false, wait_for_result, &result);
    be_interrupted(2, true, wait_for_next, &stream);
    be_interrupted(SIGNALS, false, wait_for_next, &stream);
    EXPECT(!mpm_event_set(event));
    EXPECT(!mpm_result_get(result, PATIENCE_S, NULL));
    EXPECT(!mpm_stream_next(stream, PATIENCE_S, NULL, NULL));
    EXPECT(mpm_stream_next(stream, PATIENCE_S, NULL, NULL) == MPM_ECLOSED);
    mpm_result_destroy(result);
    mpm_stream_close(stream);
    EXPECT(!mpm_pool_close(pool) && !mpm_event_destroy(event));
    everywhere_assert();
}

/* Who cancels a result must wait until it is over, whatever is pending. */
static void what_cannot_be_interrupted_leaves_it_pending(void)
{
    mpm_result *result = NULL;
    mpm_pool *pool = NULL;
    mpm_event event;

    EXPECT(!mpm_event_create(&event) && !mpm_pool_open(NULL, &pool));
    EXPECT(!mpm_pool_apply_async(pool, wait_for_event, &event, sizeof event, 0, NULL, &result));
    mpm_interrupt_waits();
    EXPECT(!mpm_result_cancel(result) && result_is_ready(result) == 1);
    mpm_result_destroy(result);
    EXPECT(!mpm_event_set(event));
    EXPECT(!mpm_pool_apply(pool, wait_for_event, &event, sizeof event, 0, NULL));
    EXPECT(!mpm_pool_close(pool));
    EXPECT(!mpm_event_clear(event) && mpm_event_wait(event, 0) == MPM_ETIMEDOUT);
    EXPECT(mpm_event_wait(event, PATIENCE_S) == MPM_EINTERRUPTED);
    EXPECT(!mpm_event_destroy(event));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"an_interrupted_wait_has_taken_nothing", an_interrupted_wait_has_taken_nothing},
        {"waiting_for_results_is_interrupted", waiting_for_results_is_interrupted},
        {"what_cannot_be_interrupted_leaves_it_pending", what_cannot_be_interrupted_leaves_it_pending},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("interrupt_waits", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Whoever is blocked uses no CPU: on each node a process for each way of waiting waits for main, for a second
 * or so, and counts the CPU time that the wait has cost it. A process that looks on again and again would use
 * as much of it as it gets, or some of it every few milliseconds. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S   60.0
#define BLOCKED_S    1.0
#define MOST_SHARE   0.01    /* of the time of a wait */
#define MOST_ONCE_NS 3000000 /* that a wait costs at its begin and its end */
#define MOST_NODES   8u

enum way {
    GET,
    PUT,
    QUEUE_JOIN,
    RECEIVE,
    POLL,
    LOCK,
    OWN_LOCK,
    SEMAPHORE,
    CONDITION,
    EVENT,
    BARRIER,
    JOIN,
    ANY,
    WAYS
};

static const char *const names[WAYS] = {"get",          "put",      "queue join", "receive",   "poll",
                                        "lock acquire", "own lock", "semaphore",  "condition", "event",
                                        "barrier",      "process",  "any of two"};

/* What main has made. */
struct scene {
    uint64_t way;
    mpm_queue empty, full, undone, begun;
    mpm_connection near_end, far_end;
    mpm_lock lock;
    mpm_value value;
    mpm_semaphore semaphore;
    mpm_condition condition;
    mpm_event event;
    mpm_barrier barrier;
    mpm_process process;
};

static int wait_for_any(const struct scene *scene)
{
    mpm_handle handles[] = {scene->process.handle, scene->event.handle};
    size_t ready[2], count;

    return mpm_wait_any(handles, 2, PATIENCE_S, ready, &count);
}

static int wait_for(const struct scene *scene)
{
    switch ((enum way)scene->way) {
    case GET:
        return mpm_queue_get(scene->empty, NULL, 0, NULL, PATIENCE_S);
    case PUT:
        return mpm_queue_put(scene->full, NULL, 0, PATIENCE_S);
    case QUEUE_JOIN:
        return mpm_queue_join(scene->undone, PATIENCE_S);
    case RECEIVE:
        return mpm_connection_recv(scene->far_end, NULL, 0, NULL, PATIENCE_S);
    case POLL:
        return mpm_connection_poll(scene->far_end, PATIENCE_S) == 1 ? 0 : -1;
    case LOCK:
        return mpm_lock_acquire(scene->lock, PATIENCE_S);
    case OWN_LOCK:
        return mpm_value_lock(scene->value, PATIENCE_S);
    case SEMAPHORE:
        return mpm_semaphore_acquire(scene->semaphore, PATIENCE_S);
    case CONDITION:
        return mpm_condition_wait(scene->condition, PATIENCE_S);
    case EVENT:
        return mpm_event_wait(scene->event, PATIENCE_S);
    case BARRIER:
        return mpm_barrier_wait(scene->barrier, PATIENCE_S, NULL);
    case JOIN:
        return mpm_process_join(scene->process, PATIENCE_S);
    case ANY:
        return wait_for_any(scene);
    default:
        return -1;
    }
}

static double now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What a waiter that has been let go leaves to the next. */
static void leave(const struct scene *scene)
{
    if (scene->way == LOCK)
        EXPECT(!mpm_lock_release(scene->lock));
    else if (scene->way == OWN_LOCK)
        EXPECT(!mpm_value_unlock(scene->value));
    else if (scene->way == CONDITION)
        EXPECT(!mpm_condition_release(scene->condition));
}

static int wait_and_count(const void *args, size_t size)
{
    const struct scene *scene = args;
    double start_ns, cpu_ns, took_ns;

    (void)size;
    if (scene->way == CONDITION)
        EXPECT(!mpm_condition_acquire(scene->condition, PATIENCE_S));
    EXPECT(!mpm_queue_put(scene->begun, NULL, 0, 0));
    start_ns = now_ns(CLOCK_MONOTONIC);
    cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    EXPECT(!wait_for(scene));
    cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    took_ns = now_ns(CLOCK_MONOTONIC) - start_ns;
    leave(scene);
    EXPECT(cpu_ns <= MOST_SHARE * took_ns + MOST_ONCE_NS);
    if (cpu_ns > MOST_SHARE * took_ns + MOST_ONCE_NS)
        fprintf(stderr, "%s on node %u: %g ms of CPU time in %g ms\n", names[scene->way], mpm_node_id(),
                cpu_ns * 1e-6, took_ns * 1e-6);
    return everywhere_end();
}

static int wait_at_gate(const void *args, size_t size)
{
    (void)size;
    EXPECT(!mpm_queue_get(*(const mpm_queue *)args, NULL, 0, NULL, PATIENCE_S));
    return everywhere_end();
}

/* Main has all that others wait for; `waiters` for each way. */
static void make_scene(struct scene *scene, mpm_queue *gate, unsigned waiters)
{
    *scene = (struct scene){.way = 0};
    EXPECT(!mpm_queue_create(NULL, &scene->empty) && !mpm_queue_create(NULL, &scene->undone) &&
           !mpm_queue_create(NULL, &scene->begun) && !mpm_queue_create(NULL, gate) &&
           !mpm_queue_create(&(mpm_queue_options){.maxsize = 1}, &scene->full));
    EXPECT(!mpm_queue_put(scene->full, NULL, 0, 0) && !mpm_queue_put(scene->undone, NULL, 0, 0) &&
           !mpm_queue_get(scene->undone, NULL, 0, NULL, 0));
    EXPECT(!mpm_pipe(MPM_DUPLEX, &scene->near_end, &scene->far_end));
    EXPECT(!mpm_lock_create(&scene->lock) && !mpm_lock_acquire(scene->lock, 0));
    EXPECT(!mpm_value_create(MPM_I32, NULL, &scene->value) && !mpm_value_lock(scene->value, 0));
    EXPECT(!mpm_semaphore_create(0, &scene->semaphore));
    EXPECT(!mpm_condition_create(&scene->condition) && !mpm_event_create(&scene->event));
    EXPECT(!mpm_barrier_create(waiters + 1, NULL, &scene->barrier));
    scene->process = start_on(mpm_node_count() - 1, wait_at_gate, gate, sizeof *gate);
}

static void let_go(const struct scene *scene, mpm_queue gate, unsigned waiters)
{
    for (unsigned i = 0; i < waiters; i++) {
        EXPECT(!mpm_queue_put(scene->empty, NULL, 0, 0));
        EXPECT(!mpm_queue_get(scene->full, NULL, 0, NULL, PATIENCE_S));
        EXPECT(!mpm_semaphore_release(scene->semaphore));
        /* One for each that receives, and one that stays for those who poll. */
        EXPECT(!mpm_connection_send(scene->near_end, NULL, 0, 0));
    }
    EXPECT(!mpm_connection_send(scene->near_end, NULL, 0, 0));
    EXPECT(!mpm_queue_task_done(scene->undone));
    EXPECT(!mpm_lock_release(scene->lock) && !mpm_value_unlock(scene->value));
    EXPECT(!mpm_condition_acquire(scene->condition, PATIENCE_S) &&
           !mpm_condition_notify_all(scene->condition) && !mpm_condition_release(scene->condition));
    EXPECT(!mpm_event_set(scene->event));
    EXPECT(!mpm_barrier_wait(scene->barrier, PATIENCE_S, NULL));
    EXPECT(!mpm_queue_put(gate, NULL, 0, 0));
}

static void end_scene(const struct scene *scene, mpm_queue gate)
{
    expect_end(scene->process, 0);
    EXPECT(!mpm_queue_destroy(scene->empty) && !mpm_queue_destroy(scene->full) &&
           !mpm_queue_destroy(scene->undone) && !mpm_queue_destroy(scene->begun) && !mpm_queue_destroy(gate));
    EXPECT(!mpm_connection_close(scene->near_end) && !mpm_connection_close(scene->far_end));
    EXPECT(!mpm_lock_destroy(scene->lock) && !mpm_value_destroy(scene->value) &&
           !mpm_semaphore_destroy(scene->semaphore) && !mpm_condition_destroy(scene->condition) &&
           !mpm_event_destroy(scene->event) && !mpm_barrier_destroy(scene->barrier));
}

static void whoever_is_blocked_uses_no_cpu(void)
{
    unsigned nodes = mpm_node_count() < MOST_NODES ? mpm_node_count() : MOST_NODES;
    mpm_process waiters[WAYS * MOST_NODES];
    struct scene scene;
    mpm_event never;
    mpm_queue gate;

    make_scene(&scene, &gate, nodes);
    EXPECT(!mpm_event_create(&never));
    for (unsigned i = 0; i < WAYS * nodes; i++) {
        scene.way = i % WAYS;
        waiters[i] = start_on(i / WAYS, wait_and_count, &scene, sizeof scene);
    }
    for (unsigned i = 0; i < WAYS * nodes; i++)
        EXPECT(!mpm_queue_get(scene.begun, NULL, 0, NULL, PATIENCE_S));
    EXPECT(mpm_event_wait(never, BLOCKED_S) == MPM_ETIMEDOUT);
    let_go(&scene, gate, nodes);
    for (unsigned i = 0; i < WAYS * nodes; i++)
        expect_end(waiters[i], 0);
    end_scene(&scene, gate);
    EXPECT(!mpm_event_destroy(never));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"whoever_is_blocked_uses_no_cpu", whoever_is_blocked_uses_no_cpu},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("blocked", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

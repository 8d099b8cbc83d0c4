/* SPDX-License-Identifier: BSD-3-Clause */
/* Ways of waiting; see the header. */
#include "ways.h"

#include "everywhere.h"
#include "predicate.h"

#define PATIENCE_S 60.0

const char *const way_names[WAYS] = {"get",          "put",      "queue join", "receive",   "poll",
                                     "lock acquire", "own lock", "semaphore",  "condition", "event",
                                     "barrier",      "process",  "any of two"};

static int wait_for_any(const struct scene *scene, double timeout_s)
{
    mpm_handle handles[] = {scene->process.handle, scene->event.handle};
    size_t ready[2], count;

    return mpm_wait_any(handles, 2, timeout_s, ready, &count);
}

static int poll_end(mpm_connection connection, double timeout_s)
{
    int status = connection_poll(connection, timeout_s);

    return status == 1 ? 0 : status ? status : MPM_ETIMEDOUT;
}

int way_wait(const struct scene *scene, double timeout_s)
{
    switch ((enum way)scene->way) {
    case GET:
        return mpm_queue_get(scene->empty, timeout_s, NULL, 0, NULL);
    case PUT:
        return mpm_queue_put(scene->full, NULL, 0, timeout_s);
    case QUEUE_JOIN:
        return mpm_queue_join(scene->undone, timeout_s);
    case RECEIVE:
        return mpm_connection_recv(scene->far_end, timeout_s, NULL, 0, NULL);
    case POLL:
        return poll_end(scene->far_end, timeout_s);
    case LOCK:
        return mpm_lock_acquire(scene->lock, timeout_s);
    case OWN_LOCK:
        return mpm_value_lock(scene->value, timeout_s);
    case SEMAPHORE:
        return mpm_semaphore_acquire(scene->semaphore, timeout_s);
    case CONDITION:
        return mpm_condition_wait(scene->condition, timeout_s);
    case EVENT:
        return mpm_event_wait(scene->event, timeout_s);
    case BARRIER:
        return mpm_barrier_wait(scene->barrier, timeout_s, NULL);
    case JOIN:
        return mpm_process_join(scene->process, timeout_s);
    case ANY:
        return wait_for_any(scene, timeout_s);
    default:
        return -1;
    }
}

void way_begin(const struct scene *scene)
{
    if (scene->way == CONDITION)
        EXPECT(!mpm_condition_acquire(scene->condition, PATIENCE_S));
}

void way_leave(const struct scene *scene)
{
    if (scene->way == LOCK)
        EXPECT(!mpm_lock_release(scene->lock));
    else if (scene->way == OWN_LOCK)
        EXPECT(!mpm_value_unlock(scene->value));
    else if (scene->way == CONDITION)
        EXPECT(!mpm_condition_release(scene->condition));
}

static int wait_at_gate(const void *args, size_t size)
{
    (void)size;
    EXPECT(!mpm_queue_get(*(const mpm_queue *)args, PATIENCE_S, NULL, 0, NULL));
    return everywhere_end();
}

void scene_make(struct scene *scene, unsigned waiters)
{
    *scene = (struct scene){.way = 0};
    EXPECT(!mpm_queue_create(NULL, &scene->empty) && !mpm_queue_create(NULL, &scene->undone) &&
           !mpm_queue_create(NULL, &scene->begun) && !mpm_queue_create(NULL, &scene->gate) &&
           !mpm_queue_create(&(mpm_queue_options){.maxsize = 1}, &scene->full));
    EXPECT(!mpm_queue_put(scene->full, NULL, 0, 0) && !mpm_queue_put(scene->undone, NULL, 0, 0) &&
           !mpm_queue_get(scene->undone, 0, NULL, 0, NULL));
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &scene->near_end, &scene->far_end));
    EXPECT(!mpm_lock_create(&scene->lock) && !mpm_lock_acquire(scene->lock, 0));
    EXPECT(!mpm_value_create(MPM_I32, NULL, &scene->value) && !mpm_value_lock(scene->value, 0));
    EXPECT(!mpm_semaphore_create(0, &scene->semaphore));
    EXPECT(!mpm_condition_create(&scene->condition) && !mpm_event_create(&scene->event) &&
           !mpm_event_create(&scene->all_begun));
    EXPECT(!mpm_barrier_create(waiters + 1, NULL, &scene->barrier));
    scene->process = start_on(mpm_node_count() - 1, wait_at_gate, &scene->gate, sizeof scene->gate);
}

void scene_let_go(const struct scene *scene, unsigned waiters)
{
    for (unsigned i = 0; i < waiters; i++) {
        EXPECT(!mpm_queue_put(scene->empty, NULL, 0, 0));
        EXPECT(!mpm_queue_get(scene->full, PATIENCE_S, NULL, 0, NULL));
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
    EXPECT(!mpm_queue_put(scene->gate, NULL, 0, 0));
}

void scene_end(const struct scene *scene)
{
    expect_end(scene->process, 0);
    EXPECT(!mpm_queue_destroy(scene->empty) && !mpm_queue_destroy(scene->full) &&
           !mpm_queue_destroy(scene->undone) && !mpm_queue_destroy(scene->begun) &&
           !mpm_queue_destroy(scene->gate));
    EXPECT(!mpm_connection_close(scene->near_end) && !mpm_connection_close(scene->far_end));
    EXPECT(!mpm_lock_destroy(scene->lock) && !mpm_value_destroy(scene->value) &&
           !mpm_semaphore_destroy(scene->semaphore) && !mpm_condition_destroy(scene->condition) &&
           !mpm_event_destroy(scene->event) && !mpm_event_destroy(scene->all_begun) &&
           !mpm_barrier_destroy(scene->barrier));
}

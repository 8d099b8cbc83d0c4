/* SPDX-License-Identifier: BSD-3-Clause */
/* Each way of waiting for an object, and objects that main has for it. For tests/ only.
 *
 * A waiter begins with way_begin(), calls way_wait() any number of times, and ends with way_leave() after one that was
 * 0. Main makes the scene, lets the waiters go, and ends the scene. */
#ifndef SUPPORT_WAYS_H
#define SUPPORT_WAYS_H

#include <stdint.h>

#include <mpmap.h>

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

extern const char *const way_names[WAYS];

/* What main has made. */
struct scene {
    uint64_t way;
    mpm_queue empty, full, undone, begun, gate;
    mpm_connection near_end, far_end;
    mpm_lock lock;
    mpm_value value;
    mpm_semaphore semaphore;
    mpm_condition condition;
    mpm_event event, all_begun; /* the second one is for the test itself */
    mpm_barrier barrier;
    mpm_process process;
};

/* For waiters. */
void way_begin(const struct scene *scene);
/* 0 or the status; 1 of a poll is 0. */
int way_wait(const struct scene *scene, double timeout_s);
/* What a waiter that has been let go leaves to the next. */
void way_leave(const struct scene *scene);

/* For main. `waiters` for each way. */
void scene_make(struct scene *scene, unsigned waiters);
void scene_let_go(const struct scene *scene, unsigned waiters);
void scene_end(const struct scene *scene);

#endif

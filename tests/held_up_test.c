/* SPDX-License-Identifier: BSD-3-Clause */
/* A process that waits for a lock is held up at each point of its wait in turn (shm/kill_point.h), while the lock's
 * holder dies on any node: it gets the lock all the same. The look whether the run is whole, which would let it
 * look again, comes too late here. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include <mpmap.h>

#include "base/clock.h"
#include "object/object.h"
#include "shm/kill_point.h"
#include "support/everywhere.h"
#include "support/shared_file.h"
#include "support/suite.h"
#include "sync/state.h"

#define PATIENCE_S 100.0

unsigned long kill_point_count, kill_point_target;

/* What all processes see. */
struct shared {
    _Atomic int is_held_up, may_go_on;
};

static struct shared *shared;
static unsigned points_left; /* to where this process is held up; 0: nowhere */

void kill_point_passed(void)
{
    if (!points_left || --points_left)
        return;
    atomic_store(&shared->is_held_up, 1);
    while (!atomic_load(&shared->may_go_on))
        sched_yield();
}

struct scene {
    mpm_lock lock;
    mpm_event has_it, never;
    unsigned point;
};

static int hold(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_lock_acquire(scene->lock, 0) && !mpm_event_set(scene->has_it));
    EXPECT(!mpm_event_wait(scene->never, MPM_FOREVER)); /* it is killed there */
    return 1;
}

static int wait_for_lock(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    points_left = scene->point;
    EXPECT(mpm_lock_acquire(scene->lock, MPM_FOREVER) == MPM_EOWNERDIED);
    return everywhere_end();
}

static struct object *object_of(mpm_lock lock)
{
    struct object *object = NULL;

    EXPECT(!object_find(&lock.handle, OBJECT_LOCK, &object));
    return object;
}

/* Returns when it is held up, or asleep; whether it is held up. */
static bool await_waiter(struct object *object)
{
    while (!atomic_load(&shared->is_held_up) && !atomic_load(&object->wait[0].word.sleepers))
        sched_yield();
    return atomic_load(&shared->is_held_up);
}

static int look_for_dead_owner(struct draft *draft, struct state_request *request, struct state_reply *answer)
{
    (void)request;
    answer->number = thread_ref_is_dead(&draft->state->owner);
    return MPM_OK;
}

/* The home has been told of the death. */
static void await_dead_owner(struct object *object, mpm_lock lock)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    struct state_request request = {.may_wait = 0};
    struct state_reply answer = {.number = 0};

    do
        EXPECT(!state_apply(object, &lock.handle, look_for_dead_owner, &request, &answer, NULL));
    while (!answer.number && clock_now_ns() < end_ns);
    EXPECT(answer.number);
}

/* Whether the waiter was held up, and had not gone to sleep before it came to that point. */
static bool play(unsigned holders_node, unsigned point)
{
    struct scene scene = {.point = point};
    bool is_held_up, is_inside;
    mpm_process holder, waiter;
    struct object *object;

    atomic_store(&shared->is_held_up, 0);
    atomic_store(&shared->may_go_on, 0);
    EXPECT(!mpm_lock_create(&scene.lock) && !mpm_event_create(&scene.has_it) &&
           !mpm_event_create(&scene.never));
    object = object_of(scene.lock);
    holder = start_on(holders_node, hold, &scene, sizeof scene);
    EXPECT(!mpm_event_wait(scene.has_it, PATIENCE_S));
    waiter = start_on(0, wait_for_lock, &scene, sizeof scene);
    is_held_up = await_waiter(object);
    is_inside = is_held_up && atomic_load(&object->mutex.holder);
    if (is_inside) /* nobody, the home's courier neither, can get past it */
        atomic_store(&shared->may_go_on, 1);
    EXPECT(!mpm_process_kill(holder));
    expect_end(holder, -SIGKILL);
    if (is_held_up && !is_inside) /* else the waiter may have the lock by now */
        await_dead_owner(object, scene.lock);
    atomic_store(&shared->may_go_on, 1);
    expect_end(waiter, 0);
    EXPECT(!mpm_lock_destroy(scene.lock) && !mpm_event_destroy(scene.has_it) &&
           !mpm_event_destroy(scene.never));
    return is_held_up;
}

static void whoever_waits_hears_of_its_holders_death(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        unsigned point = 1;

        while (play(node, point) && point < 1000) {
            CU_ASSERT_EQUAL_FATAL(everywhere_end(), 0);
            point++;
        }
        CU_ASSERT(point > 5 && point < 1000);
    }
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"whoever_waits_hears_of_its_holders_death", whoever_waits_hears_of_its_holders_death},
    };
    int failed;

    shared = shared_file("held_up_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("held_up", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of locks, semaphores, conditions, events and barriers when a process is killed at any point
 * of an operation on them.
 *
 * This program has its own build of the library, with kill points in it. Each scene is played by a victim,
 * which dies at its first kill point, then by another one that dies at its second, and so on until one gets
 * through; main and helpers, who are not killed, play the other parts. After each death the others go on,
 * the object is as it was before the operation or after it, and, when all is destroyed, no memory of the
 * arena is lost. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "everywhere.h"
#include "node/context.h"
#include "object/object.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "suite.h"
#include "predicate.h"
#include "sync/state.h"

#define SHORT_S         0.0005
#define PATIENCE_S      100.0
#define HELPERS         6u /* threads that wait: one more than stand in a cell, with the victim before them */
#define LEAST_POINTS    6ul /* that an operation has, */
#define WORD_POINTS     3ul /* and one of an event, which is one word */
#define MOST_POINTS     400ul
#define REPAIRED_POINTS 12ul /* of an operation, the first ones: all up to its commit, and some behind it */

unsigned long kill_point_count, kill_point_target;

static unsigned long points;

/* All that a scene may need. */
struct stage {
    mpm_lock lock;
    mpm_rlock rlock;
    mpm_semaphore semaphore, bounded;
    mpm_condition condition;
    mpm_event event;
    mpm_barrier barrier, pair; /* for one with an action, for two with an action */
};

/* What a victim or a helper is told. */
struct part {
    struct stage stage;
    int (*play)(const struct stage *stage);
    unsigned long target;
};

/* A scene: `prepare` and `check` are main's. Helpers start before the victim, and return from their part
 * with what `check` joins. */
struct scene {
    const char *name;
    void (*prepare)(const struct stage *stage);
    int (*play)(const struct stage *stage); /* 0 */
    void (*check)(const struct stage *stage, bool is_killed, mpm_process helper);
    int (*help)(const struct stage *stage);
    const mpm_handle *(*helper_waits_for)(const struct stage *stage);
    uint32_t helpers_waiting;
};

static int act(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

static struct stage make_stage(void)
{
    struct stage stage;
    mpm_barrier_options options = {.action = act};

    EXPECT(!mpm_lock_create(&stage.lock) && !mpm_rlock_create(&stage.rlock));
    EXPECT(!mpm_semaphore_create(1, &stage.semaphore) && !mpm_bounded_semaphore_create(2, &stage.bounded));
    EXPECT(!mpm_condition_create(&stage.condition) && !mpm_event_create(&stage.event));
    EXPECT(!mpm_barrier_create(1, &options, &stage.barrier) && !mpm_barrier_create(2, &options, &stage.pair));
    return stage;
}

/* What a scene has destroyed is gone already. */
static void end_stage(const struct stage *stage)
{
    int status[] = {mpm_lock_destroy(stage->lock),           mpm_rlock_destroy(stage->rlock),
                    mpm_semaphore_destroy(stage->semaphore), mpm_semaphore_destroy(stage->bounded),
                    mpm_condition_destroy(stage->condition), mpm_event_destroy(stage->event),
                    mpm_barrier_destroy(stage->barrier),     mpm_barrier_destroy(stage->pair)};

    for (size_t i = 0; i < sizeof status / sizeof *status; i++)
        EXPECT(!status[i] || status[i] == MPM_ESTALE);
}

static int play_part(const void *args, size_t size)
{
    const struct part *part = args;
    int result;

    (void)size;
    kill_point_count = 0;
    kill_point_target = part->target;
    result = part->play(&part->stage);
    kill_point_target = 0;
    return result;
}

static mpm_process start_part(const struct stage *stage, int (*play)(const struct stage *),
                              unsigned long target)
{
    struct part part = {*stage, play, target};

    return start_on(0, play_part, &part, sizeof part);
}

static int exitcode_of(mpm_process process)
{
    int exitcode = 1000;

    EXPECT(!mpm_process_join(process, PATIENCE_S) && !mpm_process_exitcode(process, &exitcode));
    EXPECT(!mpm_process_close(process));
    return exitcode;
}

static void await_waiters(const mpm_handle *handle, uint32_t count)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    while (count_waiters(handle) < count && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(count_waiters(handle) == count);
}

/* Whether a lock can be had, and was its owner's who died. */
static void expect_lock_goes_on(mpm_lock lock)
{
    int status = mpm_lock_acquire(lock, PATIENCE_S);

    EXPECT(!status || status == MPM_EOWNERDIED);
    EXPECT(!mpm_lock_release(lock) && !mpm_lock_acquire(lock, 0) && !mpm_lock_release(lock));
}

/* Locks. */

static int take_and_release_lock(const struct stage *stage)
{
    return mpm_lock_acquire(stage->lock, 0) || mpm_lock_release(stage->lock);
}

/* The first time is the thread's first step on any state; the second goes the quick way. */
static int take_and_release_lock_quickly(const struct stage *stage)
{
    return take_and_release_lock(stage) || take_and_release_lock(stage);
}

static void check_lock(const struct stage *stage, bool is_killed, mpm_process helper)
{
    (void)is_killed;
    (void)helper;
    expect_lock_goes_on(stage->lock);
}

static void hold_lock(const struct stage *stage)
{
    EXPECT(!mpm_lock_acquire(stage->lock, 0));
}

static int wait_for_lock_in_vain(const struct stage *stage)
{
    return mpm_lock_acquire(stage->lock, SHORT_S) != MPM_ETIMEDOUT;
}

static void check_held_lock(const struct stage *stage, bool is_killed, mpm_process helper)
{
    EXPECT(mpm_lock_acquire(stage->lock, 0) == MPM_ETIMEDOUT && !mpm_lock_release(stage->lock));
    EXPECT(!mpm_lock_acquire(stage->lock, 0) && !mpm_lock_release(stage->lock));
    check_lock(stage, is_killed, helper);
}

static int release_lock(const struct stage *stage)
{
    return mpm_lock_release(stage->lock);
}

static void check_released_lock(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int status = mpm_lock_acquire(stage->lock, 0);

    EXPECT(!status || (is_killed && status == MPM_ETIMEDOUT));
    EXPECT(!mpm_lock_release(stage->lock));
    check_lock(stage, is_killed, helper);
}

/* The helper waits for the lock, and must get it whether the victim has released it or not. */
static int wait_for_lock(const struct stage *stage)
{
    int status = mpm_lock_acquire(stage->lock, PATIENCE_S);

    return (status && status != MPM_EOWNERDIED) || mpm_lock_release(stage->lock);
}

static const mpm_handle *lock_of(const struct stage *stage)
{
    return &stage->lock.handle;
}

static void check_handed_over(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int released = mpm_lock_release(
        stage->lock); /* the helper has it or had it, or the victim never released */

    EXPECT(!released || released == MPM_EINVAL);
    EXPECT(exitcode_of(helper) == 0 || !released);
    check_lock(stage, is_killed, (mpm_process){{0}});
}

static int use_rlock(const struct stage *stage)
{
    return mpm_rlock_acquire(stage->rlock, 0) || mpm_rlock_acquire(stage->rlock, 0) ||
           mpm_rlock_release(stage->rlock) || mpm_rlock_release(stage->rlock);
}

static int use_rlock_quickly(const struct stage *stage)
{
    return mpm_rlock_acquire(stage->rlock, 0) || mpm_rlock_release(stage->rlock) || use_rlock(stage);
}

static void check_rlock(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int status = mpm_rlock_acquire(stage->rlock, PATIENCE_S);

    (void)helper;
    EXPECT(!status || (is_killed && status == MPM_EOWNERDIED));
    EXPECT(!mpm_rlock_release(stage->rlock) && mpm_rlock_release(stage->rlock) == MPM_EINVAL);
}

/* Semaphores. */

static unsigned permits_of(mpm_semaphore semaphore)
{
    unsigned value = 77;

    EXPECT(!mpm_semaphore_value(semaphore, &value));
    return value;
}

static int take_permit(const struct stage *stage)
{
    return mpm_semaphore_acquire(stage->semaphore, 0);
}

static void check_taken_permit(const struct stage *stage, bool is_killed, mpm_process helper)
{
    unsigned permits = permits_of(stage->semaphore);

    (void)helper;
    EXPECT(permits == 0 || (is_killed && permits == 1));
    EXPECT(!mpm_semaphore_release(stage->semaphore) && !mpm_semaphore_acquire(stage->semaphore, 0));
}

static int release_permits(const struct stage *stage)
{
    return mpm_semaphore_acquire(stage->bounded, 0) || mpm_semaphore_release(stage->bounded) ||
           mpm_semaphore_release(stage->bounded) != MPM_EINVAL || mpm_semaphore_release(stage->semaphore);
}

static void check_released_permits(const struct stage *stage, bool is_killed, mpm_process helper)
{
    unsigned plain = permits_of(stage->semaphore), bounded = permits_of(stage->bounded);

    (void)helper;
    EXPECT((plain == 2 && bounded == 2) || (is_killed && plain >= 1 && plain <= 2 && bounded >= 1));
}

static void take_only_permit(const struct stage *stage)
{
    EXPECT(!mpm_semaphore_acquire(stage->semaphore, 0));
}

static int wait_for_permit_in_vain(const struct stage *stage)
{
    return mpm_semaphore_acquire(stage->semaphore, SHORT_S) != MPM_ETIMEDOUT;
}

static void *wait_for_permit(void *argument)
{
    const struct stage *stage = argument;
    int status = mpm_semaphore_acquire(stage->semaphore, PATIENCE_S);

    return status && status != MPM_ESTALE ? argument : NULL;
}

static int wait_for_permits_in_threads(const struct stage *constant, unsigned count)
{
    struct stage stage = *constant;
    pthread_t threads[HELPERS];
    void *failed = NULL;
    int result = 0;

    for (unsigned i = 0; i < count; i++)
        result |= pthread_create(&threads[i], NULL, wait_for_permit, &stage);
    for (unsigned i = 0; i < count; i++)
        result |= pthread_join(threads[i], &failed) || failed;
    return result;
}

/* As many as stand in a cell: the victim makes a table. */
static int four_wait(const struct stage *stage)
{
    return wait_for_permits_in_threads(stage, 4);
}

static int all_wait(const struct stage *stage)
{
    return wait_for_permits_in_threads(stage, HELPERS);
}

static const mpm_handle *semaphore_of(const struct stage *stage)
{
    return &stage->semaphore.handle;
}

static void check_long_line(const struct stage *stage, bool is_killed, mpm_process helper)
{
    (void)is_killed;
    EXPECT(permits_of(stage->semaphore) == 0);
    for (unsigned i = 0; i < 4; i++)
        EXPECT(!mpm_semaphore_release(stage->semaphore));
    EXPECT(exitcode_of(helper) == 0 && permits_of(stage->semaphore) == 0);
}

static int destroy_semaphore(const struct stage *stage)
{
    return mpm_semaphore_destroy(stage->semaphore);
}

/* What hung from it is freed by whoever finds it half ended. */
static void check_destroyed(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int status = mpm_semaphore_destroy(stage->semaphore);

    EXPECT(status == MPM_ESTALE || (is_killed && !status));
    EXPECT(exitcode_of(helper) == 0);
}

/* The first time opens the quick way, unless main has; the second goes it. */
static int use_permit_quickly(const struct stage *stage)
{
    return mpm_semaphore_acquire(stage->semaphore, 0) || mpm_semaphore_release(stage->semaphore) ||
           mpm_semaphore_acquire(stage->semaphore, 0) || mpm_semaphore_release(stage->semaphore);
}

static void check_used_permit(const struct stage *stage, bool is_killed, mpm_process helper)
{
    unsigned permits = permits_of(stage->semaphore);

    (void)helper;
    EXPECT(permits == 1 || (is_killed && permits == 0));
    EXPECT(permits || !mpm_semaphore_release(stage->semaphore));
    EXPECT(!use_permit_quickly(stage) && permits_of(stage->semaphore) == 1);
}

static void open_quick_way(const struct stage *stage)
{
    EXPECT(!use_permit_quickly(stage));
}

/* It stops the quick way, and opens it again. */
static int count_permits(const struct stage *stage)
{
    return permits_of(stage->semaphore) != 1;
}

static void check_counted_permits(const struct stage *stage, bool is_killed, mpm_process helper)
{
    (void)is_killed;
    check_used_permit(stage, false, helper);
}

static int release_permit(const struct stage *stage)
{
    return mpm_semaphore_release(stage->semaphore);
}

static int one_waits(const struct stage *stage)
{
    return wait_for_permits_in_threads(stage, 1);
}

/* The helper has the victim's permit, or main's. */
static void check_handed_permit(const struct stage *stage, bool is_killed, mpm_process helper)
{
    unsigned permits;

    EXPECT(!mpm_semaphore_release(stage->semaphore) && exitcode_of(helper) == 0);
    permits = permits_of(stage->semaphore);
    EXPECT(permits == 1 || (is_killed && permits == 0));
}

/* Conditions. */

static int wait_for_notification(const struct stage *stage)
{
    int acquired = mpm_condition_acquire(stage->condition, PATIENCE_S), status;

    if (acquired && acquired != MPM_EOWNERDIED)
        return 1;
    status = mpm_condition_wait(stage->condition, PATIENCE_S);
    return (status && status != MPM_EOWNERDIED) || mpm_condition_release(stage->condition);
}

static int wait_in_vain_for_notification(const struct stage *stage)
{
    return mpm_condition_acquire(stage->condition, 0) || mpm_condition_acquire(stage->condition, 0) ||
           mpm_condition_wait(stage->condition, SHORT_S) != MPM_ETIMEDOUT ||
           mpm_condition_release(stage->condition) || mpm_condition_release(stage->condition);
}

/* true if its owner has died with it. */
static bool acquire_condition(const struct stage *stage)
{
    int status = mpm_condition_acquire(stage->condition, PATIENCE_S);

    EXPECT(!status || status == MPM_EOWNERDIED);
    return status == MPM_EOWNERDIED;
}

static void check_condition(const struct stage *stage, bool is_killed, mpm_process helper)
{
    EXPECT(!acquire_condition(stage) || is_killed);
    EXPECT(!mpm_condition_notify(stage->condition, 1));
    if (helper.handle.kind)
        EXPECT(!mpm_condition_notify_all(stage->condition));
    EXPECT(mpm_condition_wait(stage->condition, 0) == MPM_ETIMEDOUT);
    EXPECT(!mpm_condition_release(stage->condition));
    if (helper.handle.kind)
        EXPECT(exitcode_of(helper) == 0);
}

static const mpm_handle *condition_of(const struct stage *stage)
{
    return &stage->condition.handle;
}

static int notify(const struct stage *stage)
{
    return mpm_condition_acquire(stage->condition, PATIENCE_S) || mpm_condition_notify(stage->condition, 1) ||
           mpm_condition_release(stage->condition);
}

/* Events. */

static int set_event(const struct stage *stage)
{
    return mpm_event_set(stage->event);
}

static int wait_for_event(const struct stage *stage)
{
    return mpm_event_wait(stage->event, PATIENCE_S);
}

/* If it is set, whoever waits goes on by itself: the reaper has rung. */
static void check_set_event(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int is_set = event_is_set(stage->event);

    EXPECT(is_set == 1 || (is_killed && is_set == 0));
    if (!is_set)
        EXPECT(!mpm_event_set(stage->event));
    EXPECT(exitcode_of(helper) == 0);
}

static int use_event(const struct stage *stage)
{
    return mpm_event_wait(stage->event, SHORT_S) != MPM_ETIMEDOUT || mpm_event_set(stage->event) ||
           mpm_event_wait(stage->event, 0) || event_is_set(stage->event) != 1 ||
           mpm_event_clear(stage->event);
}

static void check_event(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int is_set = event_is_set(stage->event);

    (void)helper;
    EXPECT(is_set == 0 || (is_killed && is_set == 1));
    EXPECT(!mpm_event_set(stage->event) && !mpm_event_wait(stage->event, 0) &&
           !mpm_event_clear(stage->event));
    EXPECT(mpm_event_wait(stage->event, 0) == MPM_ETIMEDOUT);
}

/* Barriers. */

static int meet_alone(const struct stage *stage)
{
    return mpm_barrier_wait(stage->barrier, 0, NULL) || mpm_barrier_wait(stage->barrier, 0, NULL);
}

static void check_met_alone(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int is_broken = barrier_is_broken(stage->barrier);

    (void)helper;
    EXPECT(is_broken == 0 || (is_killed && is_broken == 1));
    EXPECT(mpm_barrier_wait(stage->barrier, 0, NULL) == (is_broken ? MPM_EBROKEN : MPM_OK));
    EXPECT(!mpm_barrier_reset(stage->barrier) && !mpm_barrier_wait(stage->barrier, 0, NULL));
}

static int meet_other(const struct stage *stage)
{
    return mpm_barrier_wait(stage->pair, PATIENCE_S, NULL);
}

/* 0 if it was released, 1 if it broke. */
static int meet_or_break(const struct stage *stage)
{
    int status = meet_other(stage);

    return status == MPM_EBROKEN ? 1 : status ? 2 : 0;
}

static const mpm_handle *pair_of(const struct stage *stage)
{
    return &stage->pair.handle;
}

/* Where the victim never came, the helper still waits: until the barrier is aborted. */
static void check_met_other(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int met;

    if (is_killed)
        EXPECT(!mpm_barrier_abort(stage->pair));
    met = exitcode_of(helper);
    EXPECT(met == 0 || (is_killed && met == 1));
    EXPECT(!mpm_barrier_reset(stage->pair) && barrier_is_broken(stage->pair) == 0);
    EXPECT(mpm_barrier_wait(stage->pair, 0, NULL) == MPM_ETIMEDOUT);
}

static int come_in_vain(const struct stage *stage)
{
    return mpm_barrier_wait(stage->pair, SHORT_S, NULL) != MPM_ETIMEDOUT;
}

static void check_come_in_vain(const struct stage *stage, bool is_killed, mpm_process helper)
{
    int is_broken = barrier_is_broken(stage->pair);

    (void)helper;
    EXPECT(is_broken == 1 || (is_killed && is_broken == 0));
    EXPECT(!mpm_barrier_reset(stage->pair) && barrier_is_broken(stage->pair) == 0);
}

static int break_and_reset(const struct stage *stage)
{
    return mpm_barrier_abort(stage->pair) || mpm_barrier_reset(stage->pair);
}

static void check_broken(const struct stage *stage, bool is_killed, mpm_process helper)
{
    if (is_killed)
        EXPECT(!mpm_barrier_abort(stage->pair));
    EXPECT(exitcode_of(helper) == 1 && !mpm_barrier_reset(stage->pair));
}

/* Making and ending. */

static int make_and_end(const struct stage *unused)
{
    mpm_lock lock;
    mpm_rlock rlock;
    mpm_semaphore semaphore;
    mpm_condition condition, other;
    mpm_event event;
    mpm_barrier barrier;

    (void)unused;
    return mpm_lock_create(&lock) || mpm_rlock_create(&rlock) || mpm_semaphore_create(1, &semaphore) ||
           mpm_condition_create(&condition) || mpm_condition_create_with_lock(lock, &other) ||
           mpm_event_create(&event) || mpm_barrier_create(2, NULL, &barrier) ||
           mpm_barrier_destroy(barrier) || mpm_event_destroy(event) || mpm_condition_destroy(other) ||
           mpm_condition_destroy(condition) || mpm_semaphore_destroy(semaphore) || mpm_rlock_destroy(rlock) ||
           mpm_lock_destroy(lock);
}

static int destroy_all(const struct stage *stage)
{
    return mpm_lock_destroy(stage->lock) || mpm_condition_destroy(stage->condition) ||
           mpm_event_destroy(stage->event) || mpm_barrier_destroy(stage->barrier);
}

static const struct scene scenes[] = {
    {"a lock is acquired and released", NULL, take_and_release_lock, check_lock, NULL, NULL, 0},
    {"a lock is acquired and released the quick way", NULL, take_and_release_lock_quickly, check_lock, NULL,
     NULL, 0},
    {"a lock is waited for in vain", hold_lock, wait_for_lock_in_vain, check_held_lock, NULL, NULL, 0},
    {"a lock is released for its owner", hold_lock, release_lock, check_released_lock, NULL, NULL, 0},
    {"a lock is released for who waits", hold_lock, release_lock, check_handed_over, wait_for_lock, lock_of,
     1},
    {"an rlock is acquired and released the quick way", NULL, use_rlock_quickly, check_rlock, NULL, NULL, 0},
    {"an rlock is acquired and released twice", NULL, use_rlock, check_rlock, NULL, NULL, 0},
    {"a permit is acquired", NULL, take_permit, check_taken_permit, NULL, NULL, 0},
    {"permits are released", NULL, release_permits, check_released_permits, NULL, NULL, 0},
    {"a permit is acquired and released the quick way", NULL, use_permit_quickly, check_used_permit, NULL,
     NULL, 0},
    {"permits that are acquired the quick way are counted", open_quick_way, count_permits,
     check_counted_permits, NULL, NULL, 0},
    {"a permit is released for who waits", take_only_permit, release_permit, check_handed_permit, one_waits,
     semaphore_of, 1},
    {"the line of a semaphore gets a table", take_only_permit, wait_for_permit_in_vain, check_long_line,
     four_wait, semaphore_of, 4},
    {"a semaphore is destroyed while many wait", take_only_permit, destroy_semaphore, check_destroyed,
     all_wait, semaphore_of, HELPERS},
    {"a condition is waited for in vain", NULL, wait_in_vain_for_notification, check_condition, NULL, NULL,
     0},
    {"a condition is notified", NULL, notify, check_condition, wait_for_notification, condition_of, 1},
    {"an event is set", NULL, set_event, check_set_event, wait_for_event, NULL, 0},
    {"an event is waited for, set and cleared", NULL, use_event, check_event, NULL, NULL, 0},
    {"a barrier of one is passed", NULL, meet_alone, check_met_alone, NULL, NULL, 0},
    {"the last one comes to a barrier", NULL, meet_other, check_met_other, meet_or_break, pair_of, 1},
    {"a barrier is waited at in vain", NULL, come_in_vain, check_come_in_vain, NULL, NULL, 0},
    {"a barrier is broken and reset", NULL, break_and_reset, check_broken, meet_or_break, pair_of, 1},
    {"a lock, a condition, an event and a barrier are destroyed", NULL, destroy_all, NULL, NULL, NULL, 0},
};

#define SCENES (sizeof scenes / sizeof *scenes)

static size_t used_memory(void)
{
    struct arena_usage usage;

    EXPECT(!arena_check(context_arena()));
    arena_usage(context_arena(), &usage);
    return usage.used;
}

/* true if the victim was killed. */
static bool play(const struct scene *scene, unsigned long target)
{
    struct stage stage = make_stage();
    mpm_process helper = {{0}};
    int exitcode;

    if (scene->prepare)
        scene->prepare(&stage);
    if (scene->help)
        helper = start_part(&stage, scene->help, 0);
    if (scene->helper_waits_for)
        await_waiters(scene->helper_waits_for(&stage), scene->helpers_waiting);
    exitcode = exitcode_of(start_part(&stage, scene->play, target));
    EXPECT(exitcode == 0 || exitcode == -SIGKILL);
    if (scene->check)
        scene->check(&stage, exitcode != 0, helper);
    end_stage(&stage);
    return exitcode != 0;
}

static bool has_gone_well(const char *name, unsigned long target)
{
    if (!everywhere_end())
        return true;
    fprintf(stderr, "%s, killed at point %lu\n", name, target);
    CU_FAIL("a kill point does harm");
    return false;
}

/* Plays a scene once for each kill point. How many there were. */
static unsigned long
search_points(const char *name, bool (*play_once)(const void *what, unsigned long target), const void *what)
{
    unsigned long target = 0;
    size_t used;
    bool is_killed;

    play_once(what, MOST_POINTS);
    used = used_memory();
    do {
        is_killed = play_once(what, ++target);
        EXPECT(used_memory() == used);
    } while (has_gone_well(name, target) && is_killed && target < MOST_POINTS);
    return target - 1;
}

static bool play_scene(const void *scene, unsigned long target)
{
    return play(scene, target);
}

/* Plays a scene whose victim dies at a point, and then a second victim, which is to repair what the first has
 * left, and dies at another one. true if it was killed, too. */
static bool play_twice(const struct scene *scene, unsigned long first, unsigned long second)
{
    struct stage stage = make_stage();
    mpm_process helper = {{0}};
    int exitcode;

    scene->prepare(&stage);
    helper = start_part(&stage, scene->help, 0);
    await_waiters(scene->helper_waits_for(&stage), scene->helpers_waiting);
    exitcode_of(start_part(&stage, scene->play, first));
    exitcode = exitcode_of(start_part(&stage, scene->play, second));
    scene->check(&stage, true, helper);
    end_stage(&stage);
    return exitcode == -SIGKILL;
}

static void whoever_repairs_may_die_too(void)
{
    unsigned long found = 0;

    for (size_t i = 0; i < SCENES; i++) {
        size_t used = used_memory();

        if (scenes[i].help != four_wait && scenes[i].help != all_wait)
            continue;
        for (unsigned long first = 1; first <= REPAIRED_POINTS; first++) {
            bool is_killed = true;

            for (unsigned long second = 1; is_killed && second <= REPAIRED_POINTS; second++) {
                is_killed = play_twice(&scenes[i], first, second);
                EXPECT(used_memory() == used);
                if (!has_gone_well(scenes[i].name, first * 1000 + second))
                    return;
                found += is_killed;
            }
        }
    }
    CU_ASSERT(found >= 50);
    printf("%lu deaths after deaths … ", found);
}

static unsigned long least_points(const struct scene *scene)
{
    return scene->play == set_event || scene->play == use_event ? WORD_POINTS : LEAST_POINTS;
}

static void every_point_of_every_operation_may_be_the_last(void)
{
    for (size_t i = 0; i < SCENES; i++) {
        unsigned long found = search_points(scenes[i].name, play_scene, &scenes[i]);

        CU_ASSERT(found >= least_points(&scenes[i]) && found < MOST_POINTS - 1);
        points += found;
    }
    printf("%lu points searched in %zu scenes … ", points, SCENES);
}

/* Cells that a dead one has made are nobody's: they are not counted. */
static void whoever_makes_and_ends_objects_may_die_anywhere(void)
{
    unsigned long target = 0;
    struct part part = {.play = make_and_end};
    int exitcode;

    do {
        part.target = ++target;
        exitcode = exitcode_of(start_on(0, play_part, &part, sizeof part));
        EXPECT(exitcode == 0 || exitcode == -SIGKILL);
        EXPECT(!make_and_end(NULL) && !arena_check(context_arena()));
    } while (has_gone_well("objects are made and ended", target) && exitcode && target < MOST_POINTS);
    CU_ASSERT(target > 20 && target < MOST_POINTS);
    printf("%lu points … ", target - 1);
}

/* The helper, which says so while it has the lock: who gets the lock then knows that it waits. */
static int say_and_wait(const struct stage *stage)
{
    int acquired = mpm_condition_acquire(stage->condition, PATIENCE_S), status;

    if ((acquired && acquired != MPM_EOWNERDIED) || mpm_event_set(stage->event))
        return 1;
    status = mpm_condition_wait(stage->condition, PATIENCE_S);
    return (status && status != MPM_EOWNERDIED) || mpm_condition_release(stage->condition);
}

/* The victim, which ends with the lock. */
static int wait_and_keep(const struct stage *stage)
{
    return mpm_condition_acquire(stage->condition, PATIENCE_S) ||
           mpm_condition_wait(stage->condition, PATIENCE_S);
}

/* A notification that the victim has not used up goes to the helper, which is the younger waiter. The
 * victim has used it up only if it has died with the lock. */
static bool play_notified(const void *unused, unsigned long target)
{
    struct stage stage = make_stage();
    mpm_process victim = start_part(&stage, wait_and_keep, target), helper;
    int exitcode;

    (void)unused;
    while (!count_waiters(&stage.condition.handle) && process_is_alive(victim) == 1)
        sched_yield();
    helper = start_part(&stage, say_and_wait, 0);
    EXPECT(!mpm_event_wait(stage.event, PATIENCE_S));
    acquire_condition(&stage);
    EXPECT(!mpm_condition_notify(stage.condition, 1) && !mpm_condition_release(stage.condition));
    exitcode = exitcode_of(victim);
    EXPECT(exitcode == 0 || exitcode == -SIGKILL);
    if (acquire_condition(&stage))
        EXPECT(!mpm_condition_notify(stage.condition, 1));
    EXPECT(!mpm_condition_release(stage.condition));
    EXPECT(exitcode_of(helper) == 0);
    end_stage(&stage);
    return exitcode != 0;
}

static void no_notification_is_lost_with_its_waiter(void)
{
    unsigned long found = search_points("a notified waiter", play_notified, NULL);

    CU_ASSERT(found >= 20 && found < MOST_POINTS - 1);
    printf("%lu points … ", found);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_of_every_operation_may_be_the_last", every_point_of_every_operation_may_be_the_last},
        {"whoever_repairs_may_die_too", whoever_repairs_may_die_too},
        {"whoever_makes_and_ends_objects_may_die_anywhere", whoever_makes_and_ends_objects_may_die_anywhere},
        {"no_notification_is_lost_with_its_waiter", no_notification_is_lost_with_its_waiter},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("sync_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

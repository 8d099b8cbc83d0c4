/* SPDX-License-Identifier: BSD-3-Clause */
/* Conditions, from processes on all nodes. Who holds the lock knows who waits: a process that says so while
 * it has the lock, and then waits, is among the waiters as soon as somebody else gets the lock. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "object/method.h"
#include "object/object.h"
#include "support/everywhere.h"
#include "support/suite.h"
#include "sync/state.h"

#define MANY 6u

/* A condition, how many have said that they wait and how many went on, at main's node. */
struct scene {
    mpm_condition condition;
    mpm_value waiting, woken;
    int argument;
};

static struct scene make_scene(void)
{
    struct scene scene = {.argument = 0};

    EXPECT(!mpm_condition_create(&scene.condition) && !mpm_value_create(MPM_I32, NULL, &scene.waiting) &&
           !mpm_value_create(MPM_I32, NULL, &scene.woken));
    return scene;
}

static void end_scene(const struct scene *scene)
{
    EXPECT(!mpm_condition_destroy(scene->condition) && !mpm_value_destroy(scene->waiting) &&
           !mpm_value_destroy(scene->woken));
    EXPECT(mpm_condition_acquire(scene->condition, 0) == MPM_ESTALE); /* its lock went with it */
    everywhere_assert();
}

static int number_in(mpm_value value)
{
    int number = -1;

    EXPECT(!mpm_value_get(value, &number));
    return number;
}

static void add_one(mpm_value value)
{
    int one = 1;

    EXPECT(!mpm_value_add(value, &one));
}

/* Returns, with the lock, when so many wait. */
static void acquire_when_waiting(const struct scene *scene, int count)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    for (;;) {
        int status = mpm_condition_acquire(scene->condition, 100);

        EXPECT(!status || status == MPM_EOWNERDIED);
        if (number_in(scene->waiting) >= count || clock_now_ns() > end_ns)
            break;
        EXPECT(!mpm_condition_release(scene->condition));
        sched_yield();
    }
    EXPECT(number_in(scene->waiting) == count);
}

static void await_woken(const struct scene *scene, int count)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    while (number_in(scene->woken) < count && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(number_in(scene->woken) == count);
}

/* Waits as often as the lock counts more than once. */
static int wait_once(const void *args, size_t size)
{
    const struct scene *scene = args;
    int depth = scene->argument ? scene->argument : 1;

    (void)size;
    for (int i = 0; i < depth; i++)
        EXPECT(!mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    EXPECT(!mpm_condition_wait(scene->condition, 60));
    add_one(scene->woken);
    for (int i = 0; i < depth; i++)
        EXPECT(!mpm_condition_release(scene->condition));
    EXPECT(mpm_condition_release(scene->condition) == MPM_EINVAL);
    return everywhere_end();
}

static int use_without_lock(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(mpm_condition_wait(scene->condition, 1) == MPM_EINVAL);
    EXPECT(mpm_condition_notify(scene->condition, 1) == MPM_EINVAL);
    EXPECT(mpm_condition_notify_all(scene->condition) == MPM_EINVAL);
    EXPECT(mpm_condition_release(scene->condition) == MPM_EINVAL);
    return everywhere_end();
}

static void wait_and_notify_without_the_lock_are_errors(void)
{
    struct scene scene = make_scene();

    run_on_each_node(use_without_lock, &scene, sizeof scene);
    EXPECT(!mpm_condition_acquire(scene.condition, 0));
    run_on_each_node(use_without_lock, &scene, sizeof scene);
    EXPECT(!mpm_condition_release(scene.condition));
    end_scene(&scene);
}

static int wait_in_vain(const void *args, size_t size)
{
    const struct scene *scene = args;
    uint64_t start_ns = clock_now_ns();

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    EXPECT(mpm_condition_wait(scene->condition, 0.06) == MPM_ETIMEDOUT && took(start_ns, 0.06));
    EXPECT(mpm_condition_wait(scene->condition, 0) == MPM_ETIMEDOUT);
    EXPECT(!mpm_condition_notify(scene->condition, 1) && !mpm_condition_notify_all(scene->condition));
    EXPECT(mpm_condition_wait(scene->condition, 0.01) == MPM_ETIMEDOUT); /* nobody is notified in advance */
    EXPECT(!mpm_condition_release(scene->condition));
    return everywhere_end();
}

static void wait_times_out_and_never_early(void)
{
    struct scene scene = make_scene();

    run_on_each_node(wait_in_vain, &scene, sizeof scene);
    EXPECT(!wait_in_vain(&scene, sizeof scene));
    end_scene(&scene);
}

static void notify_wakes_as_many_as_it_says(void)
{
    struct scene scene = make_scene();
    mpm_process processes[MANY];

    for (unsigned i = 0; i < MANY; i++)
        processes[i] = start_on(i % mpm_node_count(), wait_once, &scene, sizeof scene);
    acquire_when_waiting(&scene, MANY);
    EXPECT(!mpm_condition_notify(scene.condition, 0) && !mpm_condition_notify(scene.condition, 2));
    EXPECT(!mpm_condition_release(scene.condition));
    await_woken(&scene, 2);
    EXPECT(!mpm_condition_acquire(scene.condition, 100) && !mpm_condition_notify(scene.condition, 1));
    EXPECT(number_in(scene.woken) == 2 && !mpm_condition_release(scene.condition));
    await_woken(&scene, 3);
    EXPECT(!mpm_condition_acquire(scene.condition, 100) && number_in(scene.woken) == 3);
    EXPECT(!mpm_condition_notify_all(scene.condition) && !mpm_condition_release(scene.condition));
    for (unsigned i = 0; i < MANY; i++)
        expect_end(processes[i], 0);
    EXPECT(number_in(scene.woken) == MANY);
    end_scene(&scene);
}

static void wait_releases_the_lock_wholly_and_takes_it_as_often_again(void)
{
    struct scene scene = make_scene();

    scene.argument = 3;
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, wait_once, &scene, sizeof scene);

        acquire_when_waiting(&scene, (int)node + 1);
        EXPECT(!mpm_condition_notify(scene.condition, 1) && !mpm_condition_release(scene.condition));
        expect_end(process, 0);
    }
    end_scene(&scene);
}

/* How many calls on objects of other nodes this process has made. */
static unsigned calls;
int __real_invoke_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s);
int __wrap_invoke_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s);
int __wrap_invoke_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    calls++;
    return __real_invoke_remote(handle, invocation, timeout_s);
}

/* One that waits, and one that takes the lock again and ends the wait. */
static int wait_by_two_calls(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    calls = 0;
    EXPECT(!mpm_condition_wait(scene->condition, 60));
    EXPECT(calls == (object_is_home(&scene->condition.handle) ? 0 : 2));
    EXPECT(!mpm_condition_release(scene->condition));
    return everywhere_end();
}

static void a_wait_from_another_node_is_two_calls(void)
{
    struct scene scene = make_scene();

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, wait_by_two_calls, &scene, sizeof scene);

        acquire_when_waiting(&scene, (int)node + 1);
        EXPECT(!mpm_condition_notify(scene.condition, 1) && !mpm_condition_release(scene.condition));
        expect_end(process, 0);
    }
    end_scene(&scene);
}

/* Who waits for a number. */

static int is_three(void *argument)
{
    const struct scene *scene = argument;

    return number_in(scene->woken) == 3;
}

static int wait_for_three(const void *args, size_t size)
{
    struct scene scene = *(const struct scene *)args;
    uint64_t start_ns = clock_now_ns();

    (void)size;
    EXPECT(!mpm_condition_acquire(scene.condition, 100));
    EXPECT(mpm_condition_wait_for(scene.condition, is_three, &scene, 0.03) == MPM_ETIMEDOUT);
    EXPECT(took(start_ns, 0.03));
    EXPECT(mpm_condition_wait_for(scene.condition, is_three, &scene, 0) == MPM_ETIMEDOUT);
    add_one(scene.waiting);
    EXPECT(!mpm_condition_wait_for(scene.condition, is_three, &scene, 60) && is_three(&scene));
    EXPECT(!mpm_condition_wait_for(scene.condition, is_three, &scene, 0));
    EXPECT(!mpm_condition_release(scene.condition));
    return everywhere_end();
}

static void wait_for_goes_on_when_the_predicate_is_so(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = make_scene();
        mpm_process process = start_on(node, wait_for_three, &scene, sizeof scene);

        acquire_when_waiting(&scene, 1);
        for (int i = 0; i < 3; i++) {
            add_one(scene.woken);
            EXPECT(!mpm_condition_notify_all(scene.condition) && !mpm_condition_release(scene.condition));
            EXPECT(!mpm_condition_acquire(scene.condition, 100));
        }
        EXPECT(!mpm_condition_release(scene.condition));
        expect_end(process, 0);
        end_scene(&scene);
    }
}

/* Deaths. The waiter on `dead` is older than that on `heir`. */

static void kill_waiter(unsigned dead, unsigned heir, bool is_notified)
{
    struct scene scene = make_scene();
    mpm_process processes[2];

    processes[0] = start_on(dead, wait_once, &scene, sizeof scene);
    acquire_when_waiting(&scene, 1);
    EXPECT(!mpm_condition_release(scene.condition));
    processes[1] = start_on(heir, wait_once, &scene, sizeof scene);
    acquire_when_waiting(&scene, 2);
    /* As long as main has the lock, the one that is notified cannot go on. */
    if (is_notified)
        EXPECT(!mpm_condition_notify(scene.condition, 1));
    EXPECT(!mpm_process_kill(processes[0]));
    expect_end(processes[0], -SIGKILL);
    if (!is_notified)
        EXPECT(!mpm_condition_notify(scene.condition, 1));
    EXPECT(!mpm_condition_release(scene.condition));
    expect_end(processes[1], 0);
    EXPECT(number_in(scene.woken) == 1);
    end_scene(&scene);
}

static void a_dead_waiter_takes_no_wake_up_with_it(void)
{
    for (unsigned dead = 0; dead < mpm_node_count(); dead++) {
        for (unsigned heir = 0; heir < mpm_node_count(); heir++)
            kill_waiter(dead, heir, true);
    }
}

static void a_dead_waiter_blocks_no_notifier(void)
{
    for (unsigned dead = 0; dead < mpm_node_count(); dead++) {
        for (unsigned heir = 0; heir < mpm_node_count(); heir++)
            kill_waiter(dead, heir, false);
    }
}

static int die_with_lock(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    EXPECT(!mpm_condition_notify_all(scene->condition));
    return raise(SIGKILL);
}

static int wait_for_dead_owner(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    EXPECT(mpm_condition_wait(scene->condition, 60) == MPM_EOWNERDIED);
    EXPECT(!mpm_condition_release(scene->condition));
    return everywhere_end();
}

static void wait_tells_that_the_notifier_died_with_the_lock(void)
{
    for (unsigned dead = 0; dead < mpm_node_count(); dead++) {
        for (unsigned heir = 0; heir < mpm_node_count(); heir++) {
            struct scene scene = make_scene();
            mpm_process process = start_on(heir, wait_for_dead_owner, &scene, sizeof scene);

            acquire_when_waiting(&scene, 1);
            EXPECT(!mpm_condition_release(scene.condition));
            expect_end(start_on(dead, die_with_lock, &scene, sizeof scene), -SIGKILL);
            expect_end(process, 0);
            end_scene(&scene);
        }
    }
}

/* Two conditions over one lock: a place for one number, put and got by processes of all nodes. */

struct place {
    mpm_lock lock;
    mpm_condition is_full, is_empty;
    mpm_value number, sum;
    int argument;
};

static int is_zero(void *argument)
{
    const struct place *place = argument;

    return number_in(place->number) == 0;
}

static int is_not_zero(void *argument)
{
    return !is_zero(argument);
}

static int put_numbers(const void *args, size_t size)
{
    struct place place = *(const struct place *)args;

    (void)size;
    for (int i = 1; i <= 30; i++) {
        EXPECT(!mpm_lock_acquire(place.lock, 100));
        EXPECT(!mpm_condition_wait_for(place.is_empty, is_zero, &place, 100));
        EXPECT(!mpm_value_set(place.number, &i) && !mpm_condition_notify(place.is_full, 1));
        EXPECT(!mpm_lock_release(place.lock));
    }
    return everywhere_end();
}

static int get_numbers(const void *args, size_t size)
{
    struct place place = *(const struct place *)args;
    int number, none = 0;

    (void)size;
    for (int i = 1; i <= 30; i++) {
        EXPECT(!mpm_condition_acquire(place.is_full, 100));
        EXPECT(!mpm_condition_wait_for(place.is_full, is_not_zero, &place, 100));
        EXPECT(!mpm_value_exchange(place.number, &none, &number) && !mpm_value_add(place.sum, &number));
        EXPECT(!mpm_condition_notify(place.is_empty, 1) && !mpm_condition_release(place.is_full));
    }
    return everywhere_end();
}

static void several_conditions_may_share_a_lock(void)
{
    struct place place;
    mpm_process processes[4];
    unsigned count = mpm_node_count();

    EXPECT(!mpm_lock_create(&place.lock) && !mpm_condition_create_with_lock(place.lock, &place.is_full) &&
           !mpm_condition_create_with_lock(place.lock, &place.is_empty) &&
           !mpm_value_create(MPM_I32, NULL, &place.number) && !mpm_value_create(MPM_I32, NULL, &place.sum));
    for (unsigned i = 0; i < 4; i++)
        processes[i] = start_on(i % count, i / 2 ? get_numbers : put_numbers, &place, sizeof place);
    for (unsigned i = 0; i < 4; i++)
        expect_end(processes[i], 0);
    EXPECT(number_in(place.sum) == 2 * 30 * 31 / 2 && number_in(place.number) == 0);
    EXPECT(!mpm_condition_destroy(place.is_full) && !mpm_condition_destroy(place.is_empty));
    EXPECT(!mpm_lock_acquire(place.lock, 0) && !mpm_lock_destroy(place.lock));
    EXPECT(!mpm_value_destroy(place.number) && !mpm_value_destroy(place.sum));
    everywhere_assert();
}

/* A condition is made at its lock's home, wherever its maker is. */
static int make_over_lock(const void *args, size_t size)
{
    const mpm_rlock *lock = args;
    mpm_condition condition;

    (void)size;
    EXPECT(!mpm_condition_create_with_rlock(*lock, &condition));
    EXPECT(condition.handle.home == lock->handle.home);
    EXPECT(!mpm_rlock_acquire(*lock, 100));
    EXPECT(mpm_condition_wait(condition, 0.01) == MPM_ETIMEDOUT);
    EXPECT(!mpm_condition_notify_all(condition) && !mpm_rlock_release(*lock));
    EXPECT(!mpm_condition_destroy(condition) && mpm_condition_destroy(condition) == MPM_ESTALE);
    EXPECT(!mpm_rlock_acquire(*lock, 100) && mpm_condition_wait(condition, 1) == MPM_ESTALE);
    EXPECT(!mpm_rlock_release(*lock));
    return everywhere_end();
}

/* Its time is up again and again, until it is notified. */
static int wait_again_and_again(const void *args, size_t size)
{
    const struct scene *scene = args;
    int status;

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    while ((status = mpm_condition_wait(scene->condition, 0.02)) == MPM_ETIMEDOUT)
        ;
    EXPECT(!status && !mpm_condition_release(scene->condition));
    return everywhere_end();
}

/* Who has the lock sees whose time is up: it waits for the lock. */
static void who_is_notified_before_it_has_the_lock_is_not_late(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = make_scene();
        mpm_process process = start_on(node, wait_again_and_again, &scene, sizeof scene);
        uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

        acquire_when_waiting(&scene, 1);
        while (!count_waiters(&scene.condition.lock) && clock_now_ns() < end_ns)
            sched_yield();
        EXPECT(!mpm_condition_notify(scene.condition, 1) && !mpm_condition_release(scene.condition));
        expect_end(process, 0);
        end_scene(&scene);
    }
}

/* Over a lock that stays, which it has twice. */
static int wait_until_it_is_destroyed(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_condition_acquire(scene->condition, 100) && !mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    EXPECT(mpm_condition_wait(scene->condition, 60) == MPM_ESTALE);
    EXPECT(!mpm_condition_release(scene->condition));
    EXPECT(mpm_condition_release(scene->condition) == MPM_EINVAL);
    return everywhere_end();
}

static void who_waits_when_it_is_destroyed_is_told_and_has_the_lock(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = {.argument = 0};
        mpm_process process;
        mpm_rlock lock;

        EXPECT(!mpm_rlock_create(&lock) && !mpm_condition_create_with_rlock(lock, &scene.condition) &&
               !mpm_value_create(MPM_I32, NULL, &scene.waiting));
        process = start_on(node, wait_until_it_is_destroyed, &scene, sizeof scene);
        acquire_when_waiting(&scene, 1);
        EXPECT(!mpm_condition_destroy(scene.condition) && !mpm_rlock_release(lock));
        expect_end(process, 0);
        EXPECT(!mpm_rlock_acquire(lock, 0) && !mpm_rlock_destroy(lock) && !mpm_value_destroy(scene.waiting));
    }
    everywhere_assert();
}

static void a_condition_lives_where_its_lock_does(void)
{
    mpm_rlock lock;
    mpm_condition condition;

    EXPECT(!mpm_rlock_create(&lock));
    run_on_each_node(make_over_lock, &lock, sizeof lock);
    EXPECT(!mpm_rlock_destroy(lock));
    EXPECT(mpm_condition_create_with_rlock(lock, &condition) == MPM_ESTALE);
    EXPECT(mpm_condition_create(NULL) == MPM_EINVAL);
    EXPECT(mpm_condition_create_with_lock((mpm_lock){{0}}, &condition) == MPM_EINVAL);
    everywhere_assert();
}

/* More than stand in a cell and in its first table. */
static void *wait_in_thread(void *argument)
{
    const struct scene *scene = argument;

    EXPECT(!mpm_condition_acquire(scene->condition, 100));
    add_one(scene->waiting);
    EXPECT(!mpm_condition_wait(scene->condition, 60));
    add_one(scene->woken);
    EXPECT(!mpm_condition_release(scene->condition));
    return NULL;
}

static int wait_in_threads(const void *args, size_t size)
{
    struct scene scene = *(const struct scene *)args;
    pthread_t threads[40];

    (void)size;
    for (unsigned i = 0; i < 40; i++)
        EXPECT(!pthread_create(&threads[i], NULL, wait_in_thread, &scene));
    for (unsigned i = 0; i < 40; i++)
        EXPECT(!pthread_join(threads[i], NULL));
    return everywhere_end();
}

static void threads_wait_each_for_itself(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = make_scene();
        mpm_process process = start_on(node, wait_in_threads, &scene, sizeof scene);

        acquire_when_waiting(&scene, 40);
        EXPECT(!mpm_condition_notify(scene.condition, 15) && !mpm_condition_release(scene.condition));
        await_woken(&scene, 15);
        EXPECT(!mpm_condition_acquire(scene.condition, 100) && !mpm_condition_notify_all(scene.condition));
        EXPECT(!mpm_condition_release(scene.condition));
        expect_end(process, 0);
        end_scene(&scene);
    }
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"wait_and_notify_without_the_lock_are_errors", wait_and_notify_without_the_lock_are_errors},
        {"wait_times_out_and_never_early", wait_times_out_and_never_early},
        {"notify_wakes_as_many_as_it_says", notify_wakes_as_many_as_it_says},
        {"wait_releases_the_lock_wholly_and_takes_it_as_often_again",
         wait_releases_the_lock_wholly_and_takes_it_as_often_again},
        {"a_wait_from_another_node_is_two_calls", a_wait_from_another_node_is_two_calls},
        {"wait_for_goes_on_when_the_predicate_is_so", wait_for_goes_on_when_the_predicate_is_so},
        {"a_dead_waiter_takes_no_wake_up_with_it", a_dead_waiter_takes_no_wake_up_with_it},
        {"a_dead_waiter_blocks_no_notifier", a_dead_waiter_blocks_no_notifier},
        {"wait_tells_that_the_notifier_died_with_the_lock", wait_tells_that_the_notifier_died_with_the_lock},
        {"several_conditions_may_share_a_lock", several_conditions_may_share_a_lock},
        {"who_is_notified_before_it_has_the_lock_is_not_late",
         who_is_notified_before_it_has_the_lock_is_not_late},
        {"who_waits_when_it_is_destroyed_is_told_and_has_the_lock",
         who_waits_when_it_is_destroyed_is_told_and_has_the_lock},
        {"a_condition_lives_where_its_lock_does", a_condition_lives_where_its_lock_does},
        {"threads_wait_each_for_itself", threads_wait_each_for_itself},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("condition", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

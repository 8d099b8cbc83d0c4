/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, rlocks and semaphores, from processes on all nodes: each test makes them at main's node, and has
 * bodies run there and elsewhere. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "object/object.h"
#include "support/everywhere.h"
#include "support/suite.h"
#include "sync/wait_queue.h"

#define WAITERS 40 /* more than stand in a cell, and in the first table */
#define ADDS    AMOUNT(200, 20)
#define PASSES  AMOUNT(100, 10)

/* What bodies are told: one of each, and a number at main's node. */
struct things {
    mpm_lock lock;
    mpm_rlock rlock;
    mpm_semaphore semaphore;
    mpm_value number;
    mpm_event ready;
    int argument;
};

static struct things make_things(unsigned permits)
{
    struct things things = {.argument = 0};

    EXPECT(!mpm_lock_create(&things.lock) && !mpm_rlock_create(&things.rlock) &&
           !mpm_semaphore_create(permits, &things.semaphore) &&
           !mpm_value_create(MPM_I32, NULL, &things.number) && !mpm_event_create(&things.ready));
    return things;
}

static void end_things(const struct things *things)
{
    EXPECT(!mpm_lock_destroy(things->lock) && !mpm_rlock_destroy(things->rlock) &&
           !mpm_semaphore_destroy(things->semaphore) && !mpm_value_destroy(things->number) &&
           !mpm_event_destroy(things->ready));
    everywhere_assert();
}

static int number_of(const struct things *things)
{
    int number = -1;

    EXPECT(!mpm_value_get(things->number, &number));
    return number;
}

static void add(const struct things *things, int number)
{
    EXPECT(!mpm_value_add(things->number, &number));
}

/* Locks. */

static int release_lock(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(mpm_lock_acquire(things->lock, 0) == MPM_ETIMEDOUT);
    EXPECT(!mpm_lock_release(things->lock));
    return everywhere_end();
}

static void any_process_may_release_a_lock(void)
{
    struct things things = make_things(0);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        EXPECT(!mpm_lock_acquire(things.lock, 0));
        expect_end(start_on(node, release_lock, &things, sizeof things), 0);
    }
    EXPECT(!mpm_lock_acquire(things.lock, 0));
    end_things(&things);
}

static int release_free_lock(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(mpm_lock_release(things->lock) == MPM_EINVAL);
    EXPECT(!mpm_lock_acquire(things->lock, 0) && !mpm_lock_release(things->lock));
    EXPECT(mpm_lock_release(things->lock) == MPM_EINVAL);
    EXPECT(mpm_rlock_release(things->rlock) == MPM_EINVAL);
    return everywhere_end();
}

static void releasing_a_free_lock_is_an_error(void)
{
    struct things things = make_things(0);

    run_on_each_node(release_free_lock, &things, sizeof things);
    end_things(&things);
}

static int acquire_in_vain(const void *args, size_t size)
{
    const struct things *things = args;
    uint64_t start_ns;

    (void)size;
    for (int i = 0; i < AMOUNT(2, 1); i++) {
        start_ns = clock_now_ns();
        EXPECT(mpm_lock_acquire(things->lock, 0.06) == MPM_ETIMEDOUT && took(start_ns, 0.06));
        start_ns = clock_now_ns();
        EXPECT(mpm_rlock_acquire(things->rlock, 0.06) == MPM_ETIMEDOUT && took(start_ns, 0.06));
        start_ns = clock_now_ns();
        EXPECT(mpm_semaphore_acquire(things->semaphore, 0.06) == MPM_ETIMEDOUT && took(start_ns, 0.06));
    }
    EXPECT(mpm_lock_acquire(things->lock, 0) == MPM_ETIMEDOUT);
    EXPECT(mpm_lock_acquire(things->lock, -1) == MPM_ETIMEDOUT);
    EXPECT(mpm_semaphore_acquire(things->semaphore, 0) == MPM_ETIMEDOUT);
    return everywhere_end();
}

static void acquire_times_out_and_never_early(void)
{
    struct things things = make_things(0);

    EXPECT(!mpm_lock_acquire(things.lock, 0) && !mpm_rlock_acquire(things.rlock, 0));
    run_on_each_node(acquire_in_vain, &things, sizeof things);
    EXPECT(!mpm_lock_release(things.lock) && !mpm_rlock_release(things.rlock));
    end_things(&things);
}

/* Deaths. */

static int die_with_locks(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(!mpm_lock_acquire(things->lock, 100) && !mpm_rlock_acquire(things->rlock, 100) &&
           !mpm_rlock_acquire(things->rlock, 0));
    if (!things->argument)
        raise(SIGKILL);
    EXPECT(!mpm_event_set(things->ready));
    EXPECT(!mpm_semaphore_acquire(things->semaphore, 60)); /* which has no permit: it is killed there */
    return 1;
}

static int inherit_locks(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(mpm_lock_acquire(things->lock, 100) == MPM_EOWNERDIED);
    EXPECT(mpm_rlock_acquire(things->rlock, 100) == MPM_EOWNERDIED);
    EXPECT(!mpm_rlock_acquire(things->rlock, 0) && !mpm_rlock_release(things->rlock));
    EXPECT(!mpm_lock_release(things->lock) && !mpm_rlock_release(things->rlock));
    EXPECT(!mpm_lock_acquire(things->lock, 0) && !mpm_lock_release(things->lock));
    EXPECT(!mpm_rlock_acquire(things->rlock, 0) && !mpm_rlock_release(things->rlock));
    return everywhere_end();
}

static void the_next_acquirer_is_told_that_the_holder_died(void)
{
    struct things things = make_things(0);

    for (unsigned holder = 0; holder < mpm_node_count(); holder++) {
        for (unsigned heir = 0; heir < mpm_node_count(); heir++) {
            expect_end(start_on(holder, die_with_locks, &things, sizeof things), -SIGKILL);
            expect_end(start_on(heir, inherit_locks, &things, sizeof things), 0);
        }
    }
    end_things(&things);
}

static void who_waits_gets_the_lock_of_the_dead(void)
{
    struct things things = make_things(0);

    things.argument = 1;
    for (unsigned holder = 0; holder < mpm_node_count(); holder++) {
        for (unsigned heir = 0; heir < mpm_node_count(); heir++) {
            mpm_process dead = start_on(holder, die_with_locks, &things, sizeof things), waiting;

            EXPECT(!mpm_event_wait(things.ready, 100) && !mpm_event_clear(things.ready));
            waiting = start_on(heir, inherit_locks, &things, sizeof things);
            await_sleepers(&things.lock.handle);
            EXPECT(!mpm_process_kill(dead));
            expect_end(waiting, 0);
            expect_end(dead, -SIGKILL);
        }
    }
    end_things(&things);
}

/* Rlocks. */

static void *use_rlock_of_another_thread(void *argument)
{
    const struct things *things = argument;

    EXPECT(mpm_rlock_acquire(things->rlock, 0) == MPM_ETIMEDOUT);
    EXPECT(mpm_rlock_release(things->rlock) == MPM_EINVAL);
    return NULL;
}

static int fail_with_rlock(const void *args, size_t size)
{
    struct things things = *(const struct things *)args;

    (void)size;
    use_rlock_of_another_thread(&things);
    return everywhere_end();
}

static int count_with_rlock(const void *args, size_t size)
{
    struct things things = *(const struct things *)args;
    pthread_t thread;

    (void)size;
    for (int i = 0; i < 3; i++)
        EXPECT(!mpm_rlock_acquire(things.rlock, 0));
    for (int i = 0; i < 3; i++) {
        EXPECT(!pthread_create(&thread, NULL, use_rlock_of_another_thread, &things));
        EXPECT(!pthread_join(thread, NULL));
        for (unsigned node = 0; node < mpm_node_count(); node++)
            expect_end(start_on(node, fail_with_rlock, &things, sizeof things), 0);
        EXPECT(!mpm_rlock_release(things.rlock));
    }
    EXPECT(mpm_rlock_release(things.rlock) == MPM_EINVAL);
    return everywhere_end();
}

static void an_rlock_is_its_owners_only_and_counts(void)
{
    struct things things = make_things(0);

    run_on_each_node(count_with_rlock, &things, sizeof things);
    EXPECT(!count_with_rlock(&things, sizeof things));
    end_things(&things);
}

/* Semaphores. */

struct semaphores {
    mpm_semaphore plain, bounded;
};

static unsigned permits_of(mpm_semaphore semaphore)
{
    unsigned value = 77;

    EXPECT(!mpm_semaphore_value(semaphore, &value));
    return value;
}

static int exceed(const void *args, size_t size)
{
    const struct semaphores *semaphores = args;

    (void)size;
    EXPECT(permits_of(semaphores->plain) == 2 && permits_of(semaphores->bounded) == 2);
    EXPECT(mpm_semaphore_release(semaphores->bounded) == MPM_EINVAL);
    EXPECT(!mpm_semaphore_release(semaphores->plain) && permits_of(semaphores->plain) == 3);
    for (int i = 0; i < 3; i++)
        EXPECT(!mpm_semaphore_acquire(semaphores->plain, 0));
    EXPECT(!mpm_semaphore_acquire(semaphores->bounded, 0) &&
           !mpm_semaphore_acquire(semaphores->bounded, 100));
    EXPECT(permits_of(semaphores->bounded) == 0);
    EXPECT(mpm_semaphore_acquire(semaphores->bounded, 0) == MPM_ETIMEDOUT);
    EXPECT(mpm_semaphore_acquire(semaphores->plain, 0.01) == MPM_ETIMEDOUT);
    for (int i = 0; i < 2; i++)
        EXPECT(!mpm_semaphore_release(semaphores->plain) && !mpm_semaphore_release(semaphores->bounded));
    return everywhere_end();
}

/* What the quick way can count is a number of 29 bits. */
static void a_semaphore_may_have_as_many_permits_as_an_int_can_count(void)
{
    unsigned most_quick = (1u << 29) - 1;
    mpm_semaphore many, most;

    EXPECT(!mpm_semaphore_create(most_quick - 1, &many) && !mpm_bounded_semaphore_create(INT_MAX, &most));
    for (unsigned i = 0; i < 4; i++)
        EXPECT(!mpm_semaphore_release(many) && permits_of(many) == most_quick + i);
    for (unsigned i = 0; i < 6; i++)
        EXPECT(!mpm_semaphore_acquire(many, 0));
    EXPECT(permits_of(many) == most_quick - 3);
    EXPECT(mpm_semaphore_release(most) == MPM_EINVAL && !mpm_semaphore_acquire(most, 0));
    EXPECT(permits_of(most) == INT_MAX - 1 && !mpm_semaphore_release(most) && permits_of(most) == INT_MAX);
    EXPECT(!mpm_semaphore_destroy(many) && !mpm_semaphore_destroy(most));
    CU_ASSERT_EQUAL(everywhere_end(), 0);
}

static void a_semaphore_may_exceed_its_start_value_and_a_bounded_one_may_not(void)
{
    struct semaphores semaphores;

    EXPECT(!mpm_semaphore_create(2, &semaphores.plain));
    EXPECT(!mpm_bounded_semaphore_create(2, &semaphores.bounded));
    run_on_each_node(exceed, &semaphores, sizeof semaphores);
    EXPECT(!mpm_semaphore_destroy(semaphores.plain) && !mpm_semaphore_destroy(semaphores.bounded));
    everywhere_assert();
}

static int die_with_permit(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(!mpm_semaphore_acquire(things->semaphore, 100));
    return raise(SIGKILL);
}

static void permits_of_the_dead_are_not_given_back(void)
{
    struct things things = make_things(9);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        expect_end(start_on(node, die_with_permit, &things, sizeof things), -SIGKILL);
        EXPECT(permits_of(things.semaphore) == 8 - node);
    }
    end_things(&things);
}

/* Many at once. */

static int add_under_lock(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    for (int i = 0; i < ADDS; i++) {
        int number = 0;

        EXPECT(!mpm_lock_acquire(things->lock, 100));
        EXPECT(!mpm_value_get(things->number, &number));
        number++;
        EXPECT(!mpm_value_set(things->number, &number));
        EXPECT(!mpm_lock_release(things->lock));
    }
    return everywhere_end();
}

static int pass_few_at_a_time(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    for (int i = 0; i < PASSES; i++) {
        int number, one = 1;

        EXPECT(!mpm_semaphore_acquire(things->semaphore, 100));
        EXPECT(!mpm_value_fetch_add(things->number, &one, &number) && number >= 0 && number < 2);
        add(things, -1);
        EXPECT(!mpm_semaphore_release(things->semaphore));
    }
    return everywhere_end();
}

static void start_many(mpm_target *body, const struct things *things, unsigned count)
{
    mpm_process processes[16];

    for (unsigned i = 0; i < count; i++)
        processes[i] = start_on(i % mpm_node_count(), body, things, sizeof *things);
    for (unsigned i = 0; i < count; i++)
        expect_end(processes[i], 0);
}

static void a_lock_excludes_processes_of_all_nodes(void)
{
    struct things things = make_things(2);

    start_many(add_under_lock, &things, 6);
    EXPECT(number_of(&things) == 6 * ADDS);
    end_things(&things);
    things = make_things(2);
    start_many(pass_few_at_a_time, &things, 6);
    EXPECT(number_of(&things) == 0 && permits_of(things.semaphore) == 2);
    end_things(&things);
}

static void *pass_once(void *argument)
{
    const struct things *things = argument;

    EXPECT(!mpm_lock_acquire(things->lock, 100));
    add(things, 1);
    EXPECT(!mpm_lock_release(things->lock));
    EXPECT(!mpm_semaphore_acquire(things->semaphore, 100));
    return NULL;
}

static int pass_in_threads(const void *args, size_t size)
{
    struct things things = *(const struct things *)args;
    pthread_t threads[WAITERS];

    (void)size;
    for (int i = 0; i < WAITERS; i++)
        EXPECT(!pthread_create(&threads[i], NULL, pass_once, &things));
    for (int i = 0; i < WAITERS; i++)
        EXPECT(!pthread_join(threads[i], NULL));
    return everywhere_end();
}

static void await_line(const mpm_handle *handle, uint32_t length)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    while (count_waiters(handle) < length && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(count_waiters(handle) == length);
}

static void many_may_wait(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct things things = make_things(0);
        mpm_process process;

        EXPECT(!mpm_lock_acquire(things.lock, 0));
        process = start_on(node, pass_in_threads, &things, sizeof things);
        await_line(&things.lock.handle, WAITERS);
        EXPECT(number_of(&things) == 0 && !mpm_lock_release(things.lock));
        await_line(&things.semaphore.handle, WAITERS);
        EXPECT(number_of(&things) == WAITERS);
        for (int i = 0; i < WAITERS; i++)
            EXPECT(!mpm_semaphore_release(things.semaphore));
        expect_end(process, 0);
        end_things(&things);
    }
}

/* Fairness. */

static int have_a_turn(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    if (things->argument)
        EXPECT(!mpm_semaphore_acquire(things->semaphore, 100));
    else
        EXPECT(!mpm_lock_acquire(things->lock, 100));
    add(things, 1);
    if (things->argument)
        EXPECT(!mpm_semaphore_release(things->semaphore));
    else
        EXPECT(!mpm_lock_release(things->lock));
    return everywhere_end();
}

/* Takes it again and again, and counts until somebody else has had it. */
static unsigned keep_taking(const struct things *things)
{
    unsigned taken = 0;

    while (!number_of(things) && taken < 100000) {
        taken++;
        if (things->argument)
            EXPECT(!mpm_semaphore_release(things->semaphore) &&
                   !mpm_semaphore_acquire(things->semaphore, 100));
        else
            EXPECT(!mpm_lock_release(things->lock) && !mpm_lock_acquire(things->lock, 100));
    }
    return taken;
}

static void a_remote_waiter_is_served_although_local_ones_keep_coming(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (int is_semaphore = 0; is_semaphore < 2; is_semaphore++) {
            struct things things = make_things(1);
            const mpm_handle *handle = is_semaphore ? &things.semaphore.handle : &things.lock.handle;
            mpm_process process;

            things.argument = is_semaphore;
            EXPECT(!mpm_lock_acquire(things.lock, 0) && !mpm_semaphore_acquire(things.semaphore, 0));
            process = start_on(node, have_a_turn, &things, sizeof things);
            await_line(handle, 1);
            EXPECT(keep_taking(&things) <= WAIT_QUEUE_BYPASSES + 1);
            expect_end(process, 0);
            EXPECT(!mpm_lock_release(things.lock));
            end_things(&things);
        }
    }
}

static void a_dead_waiter_holds_nobody_up(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct things things = make_things(1);
        mpm_process process;

        EXPECT(!mpm_lock_acquire(things.lock, 0));
        process = start_on(node, have_a_turn, &things, sizeof things);
        await_line(&things.lock.handle, 1);
        EXPECT(!mpm_process_kill(process));
        expect_end(process, -SIGKILL);
        for (unsigned i = 0; i < 3 * WAIT_QUEUE_BYPASSES; i++)
            EXPECT(!mpm_lock_release(things.lock) && !mpm_lock_acquire(things.lock, 100));
        EXPECT(count_waiters(&things.lock.handle) == 0 && number_of(&things) == 0);
        end_things(&things);
    }
}

/* The others keep coming while the one whose turn it is gives up. */
static void who_gives_up_its_turn_holds_nobody_up(void)
{
    struct things things = make_things(0);

    EXPECT(!mpm_lock_acquire(things.lock, 0) && !mpm_rlock_acquire(things.rlock, 0));
    for (int i = 0; i < AMOUNT(3, 1); i++) {
        run_on_each_node(acquire_in_vain, &things, sizeof things);
        EXPECT(count_waiters(&things.lock.handle) == 0 && count_waiters(&things.semaphore.handle) == 0);
    }
    end_things(&things);
}

/* Ends. */

static int wait_for_the_end(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    if (things->argument)
        EXPECT(mpm_semaphore_acquire(things->semaphore, 100) == MPM_ESTALE);
    else
        EXPECT(mpm_lock_acquire(things->lock, 100) == MPM_ESTALE);
    EXPECT(things->argument || mpm_lock_release(things->lock) == MPM_ESTALE);
    return everywhere_end();
}

static void destroying_wakes_who_waits(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct things things = make_things(0);
        mpm_process process;

        EXPECT(!mpm_lock_acquire(things.lock, 0));
        process = start_on(node, wait_for_the_end, &things, sizeof things);
        await_sleepers(&things.lock.handle);
        EXPECT(!mpm_lock_destroy(things.lock) && mpm_lock_destroy(things.lock) == MPM_ESTALE);
        expect_end(process, 0);
        things.argument = 1;
        process = start_on(node, wait_for_the_end, &things, sizeof things);
        await_sleepers(&things.semaphore.handle);
        EXPECT(!mpm_semaphore_destroy(things.semaphore));
        expect_end(process, 0);
        EXPECT(!mpm_rlock_destroy(things.rlock) && !mpm_value_destroy(things.number) &&
               !mpm_event_destroy(things.ready));
        everywhere_assert();
    }
}

static void nonsense_is_refused(void)
{
    struct things things = make_things(1);
    mpm_lock none = {0}, other_kind = {things.semaphore.handle};
    mpm_semaphore semaphore;

    EXPECT(mpm_lock_acquire(none, 0) == MPM_EINVAL && mpm_lock_destroy(none) == MPM_EINVAL);
    EXPECT(mpm_lock_acquire(other_kind, 0) == MPM_EINVAL && mpm_lock_release(other_kind) == MPM_EINVAL);
    EXPECT(mpm_lock_create(NULL) == MPM_EINVAL && mpm_rlock_create(NULL) == MPM_EINVAL &&
           mpm_semaphore_create(1, NULL) == MPM_EINVAL);
    EXPECT(mpm_semaphore_create(1u << 31, &semaphore) == MPM_EINVAL);
    EXPECT(mpm_semaphore_value(things.semaphore, NULL) == MPM_EINVAL);
    end_things(&things);
}

/* Deaths in it. */

#define USERS  4
#define DEATHS AMOUNT(200, 30)

/* Takes and releases it until it is killed. Nobody else is in it, unless the last one has died there. */
static int use_until_killed(const void *args, size_t size)
{
    const struct things *things = args;
    int inside = 0;

    (void)size;
    for (unsigned i = 0;; i++) {
        int status = things->argument ? mpm_rlock_acquire(things->rlock, i % 7 ? MPM_FOREVER : 0)
                                      : mpm_lock_acquire(things->lock, i % 7 ? MPM_FOREVER : 0);

        if (status == MPM_ETIMEDOUT)
            continue;
        EXPECT(!status || status == MPM_EOWNERDIED);
        EXPECT(!mpm_value_get(things->number, &inside) && (!inside || status == MPM_EOWNERDIED));
        EXPECT(!mpm_value_set(things->number, &(int){1}) && !mpm_value_set(things->number, &(int){0}));
        EXPECT(!(things->argument ? mpm_rlock_release(things->rlock) : mpm_lock_release(things->lock)));
        if (everywhere_end())
            return 1;
    }
}

static void a_lock_is_whole_after_many_deaths(void)
{
    struct things things = make_things(0);
    mpm_process users[USERS];
    int exitcode = 0, status;

    for (things.argument = 0; things.argument < 2; things.argument++) {
        for (unsigned i = 0; i < USERS; i++)
            users[i] = start_on(i % mpm_node_count(), use_until_killed, &things, sizeof things);
        for (unsigned i = 0; i < DEATHS; i++) {
            mpm_process *user = &users[i * 7 % USERS];

            EXPECT(!mpm_process_kill(*user) && !mpm_process_join(*user, 100));
            EXPECT(!mpm_process_exitcode(*user, &exitcode) && exitcode == -SIGKILL);
            EXPECT(!mpm_process_close(*user));
            *user = start_on(i % mpm_node_count(), use_until_killed, &things, sizeof things);
        }
        for (unsigned i = 0; i < USERS; i++)
            EXPECT(!mpm_process_kill(users[i]) && !mpm_process_join(users[i], 100) &&
                   !mpm_process_close(users[i]));
        status = things.argument ? mpm_rlock_acquire(things.rlock, 100) : mpm_lock_acquire(things.lock, 100);
        EXPECT(!status || status == MPM_EOWNERDIED);
        EXPECT(!(things.argument ? mpm_rlock_release(things.rlock) : mpm_lock_release(things.lock)));
        EXPECT(!mpm_value_set(things.number, &(int){0}));
    }
    end_things(&things);
}

/* Who has a lock. */

static int hold_both_and_wait(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(!mpm_lock_acquire(things->lock, 0));
    for (int i = 0; i < 3; i++)
        EXPECT(!mpm_rlock_acquire(things->rlock, 0));
    EXPECT(!mpm_event_set(things->ready));
    EXPECT(mpm_semaphore_acquire(things->semaphore, MPM_FOREVER) != MPM_OK);
    return everywhere_end();
}

static int wait_for_the_lock(const void *args, size_t size)
{
    (void)size;
    EXPECT(mpm_lock_acquire(((const struct things *)args)->lock, MPM_FOREVER) == MPM_EOWNERDIED);
    return everywhere_end();
}

static bool is_process(const mpm_process_info *info, mpm_process process)
{
    int pid = 0;

    return info->kind == MPM_KIND_PROCESS && info->node == mpm_process_node(process) &&
           !mpm_process_pid(process, &pid) && info->pid == pid && !strcmp(info->name, "Tom") &&
           !memcmp(&info->process, &process, sizeof process);
}

/* The same is seen from every node. */
struct seen {
    struct things things;
    mpm_process holder;
};

static int see_holder(const void *args, size_t size)
{
    const struct seen *seen = args;
    mpm_lock_state state, counting;

    (void)size;
    EXPECT(!mpm_lock_inspect(seen->things.lock, &state) && !mpm_rlock_inspect(seen->things.rlock, &counting));
    EXPECT(state.is_held && counting.is_held && state.depth == 1 && counting.depth == 3);
    EXPECT(state.waiting == 1 && !counting.waiting && !state.has_died && !counting.has_died);
    EXPECT(is_process(&state.holder, seen->holder) && is_process(&counting.holder, seen->holder));
    return everywhere_end();
}

/* The waiter got the lock from the dead, and died with it; it was closed. A death on another node is told to one object
 * after the other: the waiter may have ended before the rlock knows. */
static void see_the_dead(const struct things *things, mpm_process waiter)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);
    mpm_lock_state state, counting;

    do
        EXPECT(!mpm_lock_inspect(things->lock, &state) && !mpm_rlock_inspect(things->rlock, &counting));
    while (!counting.has_died && clock_now_ns() < end_ns);
    EXPECT(state.has_died && !state.waiting && !state.holder.pid && !state.holder.name[0]);
    EXPECT(!memcmp(&state.holder.process, &waiter, sizeof waiter));
    EXPECT(counting.has_died && counting.holder.pid && !strcmp(counting.holder.name, "Tom"));
}

static void a_locks_holder_is_told(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.name = "Tom", .place = MPM_ON_NODE(node)};
        struct seen seen = {.things = make_things(0)};
        mpm_process waiter;

        EXPECT(
            !mpm_process_start(hold_both_and_wait, &seen.things, sizeof seen.things, &options, &seen.holder));
        EXPECT(!mpm_event_wait(seen.things.ready, 100));
        waiter = start_on(mpm_node_count() - 1 - node, wait_for_the_lock, &seen.things, sizeof seen.things);
        while (!count_waiters(&seen.things.lock.handle))
            sched_yield();
        run_on_each_node(see_holder, &seen, sizeof seen);
        EXPECT(!mpm_process_kill(seen.holder) && !mpm_process_join(seen.holder, 100));
        expect_end(waiter, 0);
        see_the_dead(&seen.things, waiter);
        EXPECT(!mpm_process_close(seen.holder));
        end_things(&seen.things);
    }
}

static int see_main(const void *args, size_t size)
{
    const struct things *things = args;
    mpm_lock_state state;

    (void)size;
    EXPECT(!mpm_lock_inspect(things->lock, &state));
    EXPECT(state.is_held && !state.has_died && state.holder.kind == MPM_KIND_MAIN && !state.holder.node);
    EXPECT(state.holder.pid == things->argument && !strcmp(state.holder.name, "main"));
    return everywhere_end();
}

static int take_and_end(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    return mpm_lock_acquire(*(const mpm_lock *)item, 0);
}

static void a_free_lock_and_main_and_a_worker_are_told_apart(void)
{
    struct things things = make_things(0);
    mpm_lock_state state = {.is_held = true};
    mpm_pool *pool = NULL;

    EXPECT(!mpm_lock_inspect(things.lock, &state) && !state.is_held && !state.depth && !state.holder.pid);
    EXPECT(mpm_lock_inspect(things.lock, NULL) == MPM_EINVAL);
    EXPECT(mpm_lock_inspect((mpm_lock){things.rlock.handle}, &state) == MPM_EINVAL);
    EXPECT(!mpm_lock_acquire(things.lock, 0));
    things.argument = (int)getpid();
    run_on_each_node(see_main, &things, sizeof things);
    EXPECT(!mpm_lock_release(things.lock) && !mpm_pool_open(NULL, &pool));
    EXPECT(!mpm_pool_map(pool, take_and_end, &things.lock, 1, sizeof things.lock, 0, NULL, NULL));
    EXPECT(!mpm_lock_inspect(things.lock, &state) && state.is_held && !state.has_died);
    EXPECT(state.holder.kind == MPM_KIND_WORKER && state.holder.pid && !strcmp(state.holder.name, "worker"));
    EXPECT(!mpm_pool_close(pool));
    EXPECT(!mpm_lock_inspect(things.lock, &state) && state.is_held && state.has_died);
    end_things(&things);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"any_process_may_release_a_lock", any_process_may_release_a_lock},
        {"releasing_a_free_lock_is_an_error", releasing_a_free_lock_is_an_error},
        {"acquire_times_out_and_never_early", acquire_times_out_and_never_early},
        {"the_next_acquirer_is_told_that_the_holder_died", the_next_acquirer_is_told_that_the_holder_died},
        {"who_waits_gets_the_lock_of_the_dead", who_waits_gets_the_lock_of_the_dead},
        {"an_rlock_is_its_owners_only_and_counts", an_rlock_is_its_owners_only_and_counts},
        {"a_semaphore_may_have_as_many_permits_as_an_int_can_count",
         a_semaphore_may_have_as_many_permits_as_an_int_can_count},
        {"a_semaphore_may_exceed_its_start_value_and_a_bounded_one_may_not",
         a_semaphore_may_exceed_its_start_value_and_a_bounded_one_may_not},
        {"permits_of_the_dead_are_not_given_back", permits_of_the_dead_are_not_given_back},
        {"a_lock_excludes_processes_of_all_nodes", a_lock_excludes_processes_of_all_nodes},
        {"many_may_wait", many_may_wait},
        {"a_remote_waiter_is_served_although_local_ones_keep_coming",
         a_remote_waiter_is_served_although_local_ones_keep_coming},
        {"a_dead_waiter_holds_nobody_up", a_dead_waiter_holds_nobody_up},
        {"who_gives_up_its_turn_holds_nobody_up", who_gives_up_its_turn_holds_nobody_up},
        {"destroying_wakes_who_waits", destroying_wakes_who_waits},
        {"a_lock_is_whole_after_many_deaths", a_lock_is_whole_after_many_deaths},
        {"a_locks_holder_is_told", a_locks_holder_is_told},
        {"a_free_lock_and_main_and_a_worker_are_told_apart",
         a_free_lock_and_main_and_a_worker_are_told_apart},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("lock", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

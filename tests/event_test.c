/* SPDX-License-Identifier: BSD-3-Clause */
/* Events and barriers, from processes on all nodes. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "base/clock.h"
#include "object/object.h"
#include "support/everywhere.h"
#include "support/predicate.h"
#include "support/suite.h"

/* Events. */

static mpm_event make_event(void)
{
    mpm_event event = {0};

    EXPECT(!mpm_event_create(&event));
    return event;
}

static int use_event(const void *args, size_t size)
{
    const mpm_event *event = args;
    uint64_t start_ns = clock_now_ns();

    (void)size;
    EXPECT(event_is_set(*event) == 0);
    EXPECT(mpm_event_wait(*event, 0) == MPM_ETIMEDOUT && mpm_event_wait(*event, -1) == MPM_ETIMEDOUT);
    EXPECT(mpm_event_wait(*event, 0.06) == MPM_ETIMEDOUT && took(start_ns, 0.06));
    EXPECT(!mpm_event_set(*event) && !mpm_event_set(*event) && event_is_set(*event) == 1);
    EXPECT(!mpm_event_wait(*event, 0) && !mpm_event_wait(*event, MPM_FOREVER));
    EXPECT(!mpm_event_clear(*event) && !mpm_event_clear(*event) && event_is_set(*event) == 0);
    EXPECT(mpm_event_wait(*event, 0) == MPM_ETIMEDOUT);
    return everywhere_end();
}

static void an_event_is_set_cleared_and_waited_for(void)
{
    mpm_event event = make_event();

    run_on_each_node(use_event, &event, sizeof event);
    EXPECT(!use_event(&event, sizeof event) && !mpm_event_destroy(event));
    everywhere_assert();
}

static int await_event(const void *args, size_t size)
{
    const mpm_event *event = args;

    (void)size;
    EXPECT(!mpm_event_wait(*event, 60));
    return everywhere_end();
}

static void a_wait_goes_on_even_if_the_event_is_cleared_at_once(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_event event = make_event();
        mpm_process process = start_on(node, await_event, &event, sizeof event);

        await_sleepers(&event.handle);
        EXPECT(!mpm_event_set(event) && !mpm_event_clear(event));
        expect_end(process, 0);
        EXPECT(!mpm_event_destroy(event));
    }
    everywhere_assert();
}

static void set_wakes_all_who_wait(void)
{
    mpm_event event = make_event();
    mpm_process processes[6];

    for (unsigned i = 0; i < 6; i++)
        processes[i] = start_on(i % mpm_node_count(), await_event, &event, sizeof event);
    await_sleepers(&event.handle);
    EXPECT(!mpm_event_set(event));
    for (unsigned i = 0; i < 6; i++)
        expect_end(processes[i], 0);
    EXPECT(!mpm_event_destroy(event));
    everywhere_assert();
}

static int await_end(const void *args, size_t size)
{
    const mpm_event *event = args;

    (void)size;
    EXPECT(mpm_event_wait(*event, 60) == MPM_ESTALE && mpm_event_set(*event) == MPM_ESTALE);
    EXPECT(event_is_set(*event) == MPM_ESTALE && mpm_event_clear(*event) == MPM_ESTALE);
    return everywhere_end();
}

static void a_destroyed_event_is_stale(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_event event = make_event();
        mpm_process process = start_on(node, await_end, &event, sizeof event);

        await_sleepers(&event.handle);
        EXPECT(!mpm_event_destroy(event) && mpm_event_destroy(event) == MPM_ESTALE);
        expect_end(process, 0);
    }
    EXPECT(mpm_event_create(NULL) == MPM_EINVAL && mpm_event_set((mpm_event){{0}}) == MPM_EINVAL);
    everywhere_assert();
}

/* Barriers. */

#define PARTIES 5u
#define ROUNDS  20

/* A barrier, and what its parties have done, at main's node. */
struct scene {
    mpm_barrier barrier;
    mpm_value arrived, acted, zeros, indexes;
    int argument;
};

/* What the action gets. */
struct acting {
    mpm_value acted, arrived;
    int parties, result;
};

static int number_in(mpm_value value)
{
    int number = -1;

    EXPECT(!mpm_value_get(value, &number));
    return number;
}

static void add(mpm_value value, int number)
{
    EXPECT(!mpm_value_add(value, &number));
}

/* All have arrived when it runs, and nobody has gone on. */
static int act(const void *args, size_t size)
{
    const struct acting *acting = args;

    EXPECT(size == sizeof *acting);
    add(acting->acted, 1);
    if (acting->parties)
        EXPECT(number_in(acting->arrived) == number_in(acting->acted) * acting->parties);
    if (acting->result == -1)
        raise(SIGKILL);
    return acting->result;
}

static struct scene make_scene(unsigned parties, bool has_action, int result)
{
    struct scene scene = {.argument = 0};
    struct acting acting = {.parties = result ? 0 : (int)parties, .result = result};
    mpm_barrier_options options = {.action = has_action ? act : NULL, .args = &acting, .size = sizeof acting};

    EXPECT(!mpm_value_create(MPM_I32, NULL, &scene.arrived) &&
           !mpm_value_create(MPM_I32, NULL, &scene.acted) && !mpm_value_create(MPM_I32, NULL, &scene.zeros) &&
           !mpm_value_create(MPM_I32, NULL, &scene.indexes));
    acting.acted = scene.acted;
    acting.arrived = scene.arrived;
    EXPECT(!mpm_barrier_create(parties, &options, &scene.barrier));
    return scene;
}

static void end_scene(const struct scene *scene)
{
    EXPECT(!mpm_barrier_destroy(scene->barrier) && !mpm_value_destroy(scene->arrived) &&
           !mpm_value_destroy(scene->acted) && !mpm_value_destroy(scene->zeros) &&
           !mpm_value_destroy(scene->indexes));
    EXPECT(mpm_barrier_wait(scene->barrier, 0, NULL) == MPM_ESTALE);
    everywhere_assert();
}

static int meet(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned index = 77;

        add(scene->arrived, 1);
        EXPECT(!mpm_barrier_wait(scene->barrier, 60, &index) && index < PARTIES);
        EXPECT(number_in(scene->arrived) >= (i + 1) * (int)PARTIES);
        add(scene->zeros, index == 0);
        add(scene->indexes, (int)index);
    }
    return everywhere_end();
}

static void let_them_meet(bool has_action)
{
    struct scene scene = make_scene(PARTIES, has_action, 0);
    mpm_process processes[PARTIES];
    unsigned parties = 0;

    for (unsigned i = 0; i < PARTIES; i++)
        processes[i] = start_on(i % mpm_node_count(), meet, &scene, sizeof scene);
    for (unsigned i = 0; i < PARTIES; i++)
        expect_end(processes[i], 0);
    EXPECT(number_in(scene.zeros) == ROUNDS);
    EXPECT(number_in(scene.indexes) == ROUNDS * (int)(PARTIES * (PARTIES - 1) / 2));
    EXPECT(number_in(scene.acted) == (has_action ? ROUNDS : 0));
    EXPECT(!mpm_barrier_parties(scene.barrier, &parties) && parties == PARTIES);
    EXPECT(barrier_is_broken(scene.barrier) == 0);
    end_scene(&scene);
}

static void the_index_of_a_barriers_wait_is_0_for_exactly_one(void)
{
    let_them_meet(false);
}

static void a_barriers_action_runs_once(void)
{
    let_them_meet(true);
}

static unsigned waiting_at(const struct scene *scene)
{
    unsigned count = 77;

    EXPECT(!mpm_barrier_waiting(scene->barrier, &count));
    return count;
}

static void await_waiting(const struct scene *scene, unsigned count)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    while (waiting_at(scene) != count && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(waiting_at(scene) == count);
}

static int find_it_broken(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(mpm_barrier_wait(scene->barrier, 60, NULL) == MPM_EBROKEN);
    return everywhere_end();
}

static int come_too_early(const void *args, size_t size)
{
    const struct scene *scene = args;
    uint64_t start_ns = clock_now_ns();

    (void)size;
    EXPECT(mpm_barrier_wait(scene->barrier, scene->argument ? 0.06 : 0, NULL) == MPM_ETIMEDOUT);
    EXPECT(took(start_ns, scene->argument ? 0.06 : 0));
    EXPECT(barrier_is_broken(scene->barrier) == 1);
    EXPECT(mpm_barrier_wait(scene->barrier, 60, NULL) == MPM_EBROKEN);
    return everywhere_end();
}

static int go_through(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_barrier_wait(scene->barrier, 60, NULL));
    return everywhere_end();
}

/* A barrier for three that was reset is as good as new. */
static void expect_as_new(const struct scene *scene)
{
    mpm_process processes[2];

    EXPECT(barrier_is_broken(scene->barrier) == 0 && waiting_at(scene) == 0);
    for (unsigned i = 0; i < 2; i++)
        processes[i] = start_on(i % mpm_node_count(), go_through, scene, sizeof *scene);
    EXPECT(!mpm_barrier_wait(scene->barrier, 60, NULL));
    for (unsigned i = 0; i < 2; i++)
        expect_end(processes[i], 0);
}

static void a_time_out_breaks_a_barrier_for_all_until_reset(void)
{
    struct scene scene = make_scene(3, false, 0);

    for (unsigned early = 0; early < mpm_node_count(); early++) {
        for (unsigned other = 0; other < mpm_node_count(); other++) {
            mpm_process process = start_on(other, find_it_broken, &scene, sizeof scene);

            await_waiting(&scene, 1);
            scene.argument = (int)other % 2;
            expect_end(start_on(early, come_too_early, &scene, sizeof scene), 0);
            expect_end(process, 0);
            EXPECT(mpm_barrier_wait(scene.barrier, 0, NULL) == MPM_EBROKEN);
            EXPECT(!mpm_barrier_reset(scene.barrier));
            expect_as_new(&scene);
        }
    }
    end_scene(&scene);
}

static int abort_it(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_barrier_abort(scene->barrier));
    return everywhere_end();
}

static int reset_it(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_barrier_reset(scene->barrier) && barrier_is_broken(scene->barrier) == 0);
    return everywhere_end();
}

static void abort_breaks_a_barrier_until_reset(void)
{
    struct scene scene = make_scene(3, false, 0);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, find_it_broken, &scene, sizeof scene);

        await_waiting(&scene, 1);
        expect_end(start_on(mpm_node_count() - 1 - node, abort_it, &scene, sizeof scene), 0);
        expect_end(process, 0);
        EXPECT(barrier_is_broken(scene.barrier) == 1);
        run_on_each_node(find_it_broken, &scene, sizeof scene);
        expect_end(start_on(node, reset_it, &scene, sizeof scene), 0);
        expect_as_new(&scene);
    }
    end_scene(&scene);
}

static void who_waits_when_it_is_reset_is_told(void)
{
    struct scene scene = make_scene(3, false, 0);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, find_it_broken, &scene, sizeof scene);

        await_waiting(&scene, 1);
        EXPECT(!mpm_barrier_reset(scene.barrier));
        expect_end(process, 0);
        expect_as_new(&scene);
    }
    end_scene(&scene);
}

static void a_dead_party_breaks_a_barrier(void)
{
    struct scene scene = make_scene(3, false, 0);

    for (unsigned dead = 0; dead < mpm_node_count(); dead++) {
        for (unsigned other = 0; other < mpm_node_count(); other++) {
            mpm_process dying = start_on(dead, go_through, &scene, sizeof scene), process;

            await_waiting(&scene, 1);
            process = start_on(other, find_it_broken, &scene, sizeof scene);
            await_waiting(&scene, 2);
            EXPECT(!mpm_process_kill(dying));
            expect_end(dying, -SIGKILL);
            expect_end(process, 0);
            EXPECT(barrier_is_broken(scene.barrier) == 1 && !mpm_barrier_reset(scene.barrier));
            expect_as_new(&scene);
        }
    }
    end_scene(&scene);
}

static void an_action_that_fails_or_dies_breaks_a_barrier(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (int result = -1; result < 2; result += 2) {
            struct scene scene = make_scene(2, true, result);
            mpm_process process = start_on(node, find_it_broken, &scene, sizeof scene);
            unsigned other = mpm_node_count() - 1 - node;

            await_waiting(&scene, 1);
            expect_end(start_on(other, find_it_broken, &scene, sizeof scene), result < 0 ? -SIGKILL : 0);
            expect_end(process, 0);
            EXPECT(number_in(scene.acted) == 1 && barrier_is_broken(scene.barrier) == 1);
            end_scene(&scene);
        }
    }
}

/* A barrier with an action that goes on until somebody whose time is up waits for its end, too. */
struct lengthy {
    mpm_barrier barrier;
    mpm_event acts;
};

static struct lengthy lengthy; /* in main, where the action runs */

static int act_until_another_waits(const void *args, size_t size)
{
    uint64_t end_ns = clock_now_ns() + UINT64_C(100000000000);

    (void)args;
    (void)size;
    EXPECT(!mpm_event_set(lengthy.acts));
    while (count_sleepers(&lengthy.barrier.handle) < 2 && !barrier_is_broken(lengthy.barrier) &&
           clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(clock_now_ns() < end_ns);
    return 0;
}

static int come_while_it_acts(const void *args, size_t size)
{
    const struct lengthy *there = args;

    (void)size;
    EXPECT(!mpm_event_wait(there->acts, 60));
    EXPECT(mpm_barrier_wait(there->barrier, 0, NULL) == MPM_ETIMEDOUT);
    return everywhere_end();
}

static void an_action_that_takes_its_time_breaks_no_barrier(void)
{
    mpm_barrier_options options = {.action = act_until_another_waits};

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = {.argument = 0};
        mpm_process party, late;

        EXPECT(!mpm_event_create(&lengthy.acts) && !mpm_barrier_create(2, &options, &lengthy.barrier));
        scene.barrier = lengthy.barrier;
        party = start_on(mpm_node_count() - 1 - node, go_through, &scene, sizeof scene);
        late = start_on(node, come_while_it_acts, &lengthy, sizeof lengthy);
        await_waiting(&scene, 1);
        EXPECT(!mpm_barrier_wait(lengthy.barrier, 60, NULL));
        expect_end(party, 0);
        expect_end(late, 0);
        EXPECT(!mpm_barrier_destroy(lengthy.barrier) && !mpm_event_destroy(lengthy.acts));
    }
    everywhere_assert();
}

static void *meet_in_thread(void *argument)
{
    const struct scene *scene = argument;

    for (int i = 0; i < 5; i++) {
        unsigned index;

        EXPECT(!mpm_barrier_wait(scene->barrier, 60, &index));
        add(scene->zeros, index == 0);
    }
    return NULL;
}

static int meet_in_threads(const void *args, size_t size)
{
    struct scene scene = *(const struct scene *)args;
    pthread_t threads[40];

    (void)size;
    for (unsigned i = 0; i < 40; i++)
        EXPECT(!pthread_create(&threads[i], NULL, meet_in_thread, &scene));
    for (unsigned i = 0; i < 40; i++)
        EXPECT(!pthread_join(threads[i], NULL));
    return everywhere_end();
}

static void many_threads_are_parties_each(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct scene scene = make_scene(40, false, 0);

        expect_end(start_on(node, meet_in_threads, &scene, sizeof scene), 0);
        EXPECT(number_in(scene.zeros) == 5);
        end_scene(&scene);
    }
}

/* As after 2^32 - 2 objects in its cell. */
static void no_handle_ever_names_a_later_object(void)
{
    struct object *object;
    mpm_event last, next;

    CU_ASSERT_EQUAL_FATAL(mpm_event_create(&last), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(object_find(&last.handle, OBJECT_EVENT, &object), MPM_OK);
    object->generation = UINT32_MAX - 1;
    CU_ASSERT_EQUAL(mpm_event_destroy(last), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_event_create(&last), MPM_OK);
    CU_ASSERT_EQUAL(last.handle.place, object->place);
    CU_ASSERT_EQUAL(last.handle.generation, UINT32_MAX);
    CU_ASSERT_EQUAL(mpm_event_destroy(last), MPM_OK);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_event_create(&next), MPM_OK);
        CU_ASSERT_NOT_EQUAL(next.handle.place, object->place);
        CU_ASSERT_EQUAL(mpm_event_set(last), MPM_ESTALE);
        CU_ASSERT_EQUAL(mpm_event_destroy(next), MPM_OK);
    }
}

static void nonsense_is_refused(void)
{
    mpm_barrier barrier = {{0}};
    mpm_barrier_options options = {.action = act, .size = 5};

    EXPECT(mpm_barrier_create(0, NULL, &barrier) == MPM_EINVAL);
    EXPECT(mpm_barrier_create(MPM_BARRIER_MAX_PARTIES + 1, NULL, &barrier) == MPM_EINVAL);
    EXPECT(mpm_barrier_create(1, NULL, NULL) == MPM_EINVAL);
    EXPECT(mpm_barrier_create(1, &options, &barrier) == MPM_EINVAL);
    options = (mpm_barrier_options){.action = (mpm_target *)(uintptr_t)&barrier};
    EXPECT(mpm_barrier_create(1, &options, &barrier) == MPM_EINVAL);
    EXPECT(mpm_barrier_wait(barrier, 0, NULL) == MPM_EINVAL && mpm_barrier_reset(barrier) == MPM_EINVAL);
    EXPECT(mpm_barrier_parties(barrier, NULL) == MPM_EINVAL);
    EXPECT(mpm_barrier_waiting(barrier, NULL) == MPM_EINVAL);
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"an_event_is_set_cleared_and_waited_for", an_event_is_set_cleared_and_waited_for},
        {"a_wait_goes_on_even_if_the_event_is_cleared_at_once",
         a_wait_goes_on_even_if_the_event_is_cleared_at_once},
        {"set_wakes_all_who_wait", set_wakes_all_who_wait},
        {"a_destroyed_event_is_stale", a_destroyed_event_is_stale},
        {"the_index_of_a_barriers_wait_is_0_for_exactly_one",
         the_index_of_a_barriers_wait_is_0_for_exactly_one},
        {"a_barriers_action_runs_once", a_barriers_action_runs_once},
        {"a_time_out_breaks_a_barrier_for_all_until_reset", a_time_out_breaks_a_barrier_for_all_until_reset},
        {"abort_breaks_a_barrier_until_reset", abort_breaks_a_barrier_until_reset},
        {"who_waits_when_it_is_reset_is_told", who_waits_when_it_is_reset_is_told},
        {"a_dead_party_breaks_a_barrier", a_dead_party_breaks_a_barrier},
        {"an_action_that_fails_or_dies_breaks_a_barrier", an_action_that_fails_or_dies_breaks_a_barrier},
        {"an_action_that_takes_its_time_breaks_no_barrier", an_action_that_takes_its_time_breaks_no_barrier},
        {"many_threads_are_parties_each", many_threads_are_parties_each},
        {"no_handle_ever_names_a_later_object", no_handle_ever_names_a_later_object},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("event", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

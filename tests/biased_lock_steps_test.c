/* SPDX-License-Identifier: BSD-3-Clause */
/* The favoured thread is held up at each step of biased_lock_enter(), and another one comes meanwhile. These are
 * interleavings that threads which run freely never meet: the fence of whoever comes takes longer than all the steps.
 * biased_lock_enter() is inline, so it has its delay points here. */
#define MPMAP_KILL_POINTS 1

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/asymmetric_fence.h"
#include "pool/driver/biased_lock.h"
#include "suite.h"

enum step { BEFORE_INSIDE, BEFORE_LOOK, STEPS };

struct scene {
    pthread_mutex_t mutex;
    struct biased_lock lock;
    pthread_t other;
    _Atomic bool other_is_inside, other_may_leave;
};

static struct scene scene;
static enum step held_up_at, passed;
static _Thread_local bool is_held_up;

static void *come(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&scene.mutex);
    biased_lock_exclude(&scene.lock);
    atomic_store(&scene.other_is_inside, true);
    while (!atomic_load(&scene.other_may_leave))
        sched_yield();
    pthread_mutex_unlock(&scene.mutex);
    return NULL;
}

/* Returns when the other one is inside, or has to wait. */
static void let_other_come(void)
{
    CU_ASSERT_EQUAL_FATAL(pthread_create(&scene.other, NULL, come, NULL), 0);
    if (held_up_at == BEFORE_INSIDE) {
        while (!atomic_load(&scene.other_is_inside))
            sched_yield();
    } else {
        while (atomic_load(&scene.lock.favoured))
            sched_yield();
    }
}

/* Each delay point of a thread that is to be held up. */
void kill_point_passed(void)
{
    if (is_held_up && passed++ == held_up_at)
        let_other_come();
}

static bool become_favoured(void)
{
    bool is_cheap = asymmetric_fence_prepare();

    for (unsigned i = 0; is_cheap && i < 1u << 20 && !atomic_load(&scene.lock.favoured); i++) {
        pthread_mutex_lock(&scene.mutex);
        CU_ASSERT_FALSE(biased_lock_taken(&scene.lock));
        pthread_mutex_unlock(&scene.mutex);
    }
    CU_ASSERT_EQUAL((bool)atomic_load(&scene.lock.favoured), is_cheap);
    return is_cheap;
}

static void enter_held_up(enum step step)
{
    struct bias *bias = atomic_load(&scene.lock.favoured);

    held_up_at = step;
    passed = BEFORE_INSIDE;
    is_held_up = true;
    CU_ASSERT_PTR_NULL(biased_lock_enter(&scene.lock));
    is_held_up = false;
    CU_ASSERT_EQUAL(passed, STEPS);
    CU_ASSERT_FALSE(atomic_exchange(&bias->is_inside, false)); /* or the other one would wait for ever */
    atomic_store(&scene.other_may_leave, true);
    pthread_join(scene.other, NULL);
    CU_ASSERT(atomic_load(&scene.other_is_inside));
}

static void who_is_held_up_finds_that_another_one_has_come(void)
{
    for (enum step step = BEFORE_INSIDE; step < STEPS; step++) {
        scene = (struct scene){.mutex = PTHREAD_MUTEX_INITIALIZER};
        if (become_favoured())
            enter_held_up(step);
    }
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"who_is_held_up_finds_that_another_one_has_come", who_is_held_up_finds_that_another_one_has_come},
    };

    return suite_run("biased_lock_steps", tests, sizeof tests / sizeof *tests);
}

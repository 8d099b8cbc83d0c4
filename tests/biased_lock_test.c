/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock that favours a thread, and the asymmetric fences that it stands on. Threads run freely, and what each of
 * them has seen is compared afterwards: on two CPUs a fence that is missing shows in most runs, on one never.
 *
 * What they meet by luck only is in biased_lock_steps_test.c. What neither can see is told at the head of biased_lock.h.
 */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/asymmetric_fence.h"
#include "pool/driver/biased_lock.h"
#include "suite.h"

enum {
    LOOKS = 200000,
    CHANGES = 5000,
    INTRUSIONS = 1000,
    MOST_TAKES = 1 << 18,
    APART = 32,
    FAR = 1 << 26,
    FAR_STORES = 4,
    CHANCES = 20000
};

/* What is written after this stays in the store buffer of the processor, and loads pass it, until some stores have got
 * their lines from afar: without that, a fence that is missing would show by luck only. */
static void write_far_away(uint32_t number)
{
    static _Atomic unsigned char far[FAR];

    for (uint32_t i = 0; i < FAR_STORES; i++)
        atomic_store_explicit(&far[(number * FAR_STORES + i) * UINT32_C(0x9e3779b1) % FAR], 1,
                              memory_order_relaxed);
}

/* Two words, which a thread each counts up. The writer of `often` passes the light fence, that of `seldom` the heavy
 * one. */
struct crossing {
    _Atomic uint32_t often, before_seldom[APART];
    _Atomic uint32_t seldom, before_is_over[APART];
    _Atomic bool is_over;
    uint32_t last;             /* of `often` */
    uint32_t first[LOOKS + 1]; /* `often`, when its writer saw so much in `seldom`; 0: never */
    uint32_t seen[LOOKS + 1];  /* `often`, as the other one saw it past its store of that into `seldom` */
};

static void *write_often(void *argument)
{
    struct crossing *crossing = argument;
    uint32_t number = 0, known = 0;

    while (!atomic_load_explicit(&crossing->is_over, memory_order_relaxed)) {
        uint32_t seldom;

        write_far_away(number);
        atomic_store_explicit(&crossing->often, ++number, memory_order_relaxed);
        asymmetric_fence_light();
        seldom = atomic_load_explicit(&crossing->seldom, memory_order_relaxed);
        while (known < seldom)
            crossing->first[++known] = number;
    }
    crossing->last = number;
    return NULL;
}

/* Until the other one has gone on often enough in between. */
static uint32_t write_seldom(struct crossing *crossing, uint32_t prepare_at)
{
    uint32_t number, changes = 0;

    for (number = 1; number < LOOKS && changes < CHANGES; number++) {
        if (number == prepare_at)
            asymmetric_fence_prepare();
        write_far_away(~number);
        atomic_store_explicit(&crossing->seldom, number, memory_order_relaxed);
        asymmetric_fence_heavy();
        crossing->seen[number] = atomic_load_explicit(&crossing->often, memory_order_relaxed);
        changes += crossing->seen[number] != crossing->seen[number - 1];
    }
    return number;
}

/* Each had not seen the other's store before its own load. */
static bool have_missed(const struct crossing *crossing, uint32_t number)
{
    uint32_t unseen = crossing->seen[number] + 1;

    return unseen <= crossing->last && (!crossing->first[number] || crossing->first[number] > unseen);
}

/* How often neither has seen the other. `prepare_at`: light fences are to be cheap from then on. */
static unsigned cross(uint32_t prepare_at)
{
    struct crossing *crossing = calloc(1, sizeof *crossing);
    unsigned missed = 0;
    uint32_t end;
    pthread_t thread;

    CU_ASSERT_FATAL(crossing && !pthread_create(&thread, NULL, write_often, crossing));
    end = write_seldom(crossing, prepare_at);
    atomic_store(&crossing->is_over, true);
    pthread_join(thread, NULL);
    for (uint32_t number = 1; number < end; number++)
        missed += have_missed(crossing, number);
    free(crossing);
    return missed;
}

/* While nobody has asked for cheap ones yet, too. */
static void one_of_two_threads_sees_the_other_whatever_light_fences_cost(void)
{
    CU_ASSERT_FALSE(asymmetric_fence_is_cheap());
    CU_ASSERT_EQUAL(cross(0), 0);
    CU_ASSERT_EQUAL(cross(CHANGES / 2), 0);
    CU_ASSERT_EQUAL(asymmetric_fence_prepare(), asymmetric_fence_is_cheap());
    CU_ASSERT_EQUAL(cross(0), 0);
}

/* What is inside the lock: who is there together with another loses a count. */
struct guarded {
    pthread_mutex_t mutex;
    struct biased_lock lock;
    unsigned long count;
    _Atomic unsigned long taken;
    _Atomic bool is_over, has_left, has_excluded;
};

static struct guarded *make_guarded(void)
{
    struct guarded *guarded = calloc(1, sizeof *guarded);

    CU_ASSERT_FATAL(guarded && !pthread_mutex_init(&guarded->mutex, NULL));
    return guarded;
}

static void free_guarded(struct guarded *guarded)
{
    pthread_mutex_destroy(&guarded->mutex);
    free(guarded);
}

static void count_inside(struct guarded *guarded)
{
    unsigned long count = guarded->count;

    for (volatile int i = 0; i < 10; i++)
        ;
    guarded->count = count + 1;
    write_far_away((uint32_t)count);
}

static void take_by_mutex(struct guarded *guarded)
{
    bool is_to_be_favoured;

    pthread_mutex_lock(&guarded->mutex);
    biased_lock_exclude(&guarded->lock);
    is_to_be_favoured = biased_lock_taken(&guarded->lock);
    count_inside(guarded);
    pthread_mutex_unlock(&guarded->mutex);
    if (is_to_be_favoured)
        asymmetric_fence_prepare();
}

/* As mpm_stream_next() does; whether without the mutex. */
static bool take(struct guarded *guarded)
{
    struct bias *bias = biased_lock_enter(&guarded->lock);

    if (!bias) {
        take_by_mutex(guarded);
        return false;
    }
    count_inside(guarded);
    biased_lock_leave(bias);
    return true;
}

static void *take_once(void *guarded)
{
    CU_ASSERT_FALSE(take(guarded));
    return NULL;
}

/* In a thread that is never favoured. */
static void intrude(struct guarded *guarded)
{
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, take_once, guarded), 0);
    pthread_join(thread, NULL);
}

/* How often it is taken by the mutex before the caller is favoured. */
static unsigned count_row(struct guarded *guarded)
{
    unsigned count = 0;

    while (count < MOST_TAKES && !take(guarded))
        count++;
    return count;
}

/* The first test: nobody has asked for cheap fences yet, and here nobody does. */
static void cheap_fences_are_asked_for_once_and_nobody_is_favoured_without(void)
{
    struct guarded *guarded = make_guarded();
    unsigned asked = 0;

    CU_ASSERT_FALSE_FATAL(asymmetric_fence_is_cheap());
    for (int i = 0; i < 10000; i++) {
        CU_ASSERT_PTR_NULL_FATAL(biased_lock_enter(&guarded->lock));
        pthread_mutex_lock(&guarded->mutex);
        asked += biased_lock_taken(&guarded->lock);
        pthread_mutex_unlock(&guarded->mutex);
    }
    CU_ASSERT_EQUAL(asked, 1);
    free_guarded(guarded);
}

static bool is_cheap(void)
{
    return asymmetric_fence_prepare();
}

static void a_thread_is_favoured_after_many_times_in_a_row(void)
{
    struct guarded *guarded = make_guarded();
    unsigned row = count_row(guarded);

    CU_ASSERT(row > 1 && (row < MOST_TAKES) == is_cheap());
    for (int i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(take(guarded), is_cheap());
        if (i % 100 == 0)
            take_by_mutex(guarded); /* and stays so */
    }
    free_guarded(guarded);
}

static void another_one_in_between_begins_the_row_again(void)
{
    struct guarded *guarded = make_guarded(), *alone = make_guarded();
    unsigned row = count_row(alone);

    for (int k = 0; k < 3; k++) {
        for (unsigned i = 0; i + 1 < row; i++)
            (void)take(guarded);
        intrude(guarded);
    }
    CU_ASSERT_EQUAL(count_row(guarded), row);
    free_guarded(guarded);
    free_guarded(alone);
}

static void who_has_to_wait_is_not_favoured(void)
{
    struct guarded *guarded = make_guarded();

    for (int i = 0; i < 10000; i++) {
        CU_ASSERT_FALSE_FATAL(take(guarded));
        biased_lock_waited(&guarded->lock);
    }
    free_guarded(guarded);
}

static void each_time_that_it_was_wrong_doubles_the_row_until_nobody_is_favoured(void)
{
    struct guarded *guarded = make_guarded();
    unsigned row = count_row(guarded);

    for (unsigned i = 1; is_cheap() && i < BIASED_LOCK_THREADS; i++) {
        intrude(guarded);
        CU_ASSERT_EQUAL(count_row(guarded), row << i);
    }
    intrude(guarded);
    CU_ASSERT_EQUAL(count_row(guarded), MOST_TAKES);
    free_guarded(guarded);
}

static bool is_favouring(struct guarded *guarded)
{
    return atomic_load_explicit(&guarded->lock.favoured, memory_order_relaxed);
}

/* The bias by which the caller is favoured in the end. */
static void *become_favoured(void *argument)
{
    struct guarded *guarded = argument;

    (void)count_row(guarded);
    return atomic_load(&guarded->lock.favoured);
}

/* A thread that was stopped for long, and then writes that it is inside, and is not, must not say so of another. */
static void each_thread_keeps_a_bias_of_its_own(void)
{
    struct guarded *guarded = make_guarded();
    const void *own = become_favoured(guarded);
    void *others = NULL;
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, become_favoured, guarded), 0);
    pthread_join(thread, &others);
    if (is_cheap()) {
        CU_ASSERT(own && others && own != others);
        CU_ASSERT_PTR_EQUAL(become_favoured(guarded), own);
    }
    free_guarded(guarded);
}

static void *exclude(void *argument)
{
    struct guarded *guarded = argument;

    pthread_mutex_lock(&guarded->mutex);
    biased_lock_exclude(&guarded->lock);
    CU_ASSERT(atomic_load(&guarded->has_left));
    atomic_store(&guarded->has_excluded, true);
    pthread_mutex_unlock(&guarded->mutex);
    return NULL;
}

/* The favoured one stays inside until the other one would have come, if it did not wait. */
static void who_excludes_waits_until_the_favoured_one_has_left(void)
{
    struct guarded *guarded = make_guarded();
    struct bias *bias = is_cheap() && become_favoured(guarded) ? biased_lock_enter(&guarded->lock) : NULL;
    pthread_t thread;

    CU_ASSERT_EQUAL((bool)bias, is_cheap());
    atomic_store(&guarded->has_left, !bias);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, exclude, guarded), 0);
    while (is_favouring(guarded))
        sched_yield();
    for (int i = 0; i < CHANCES && !atomic_load(&guarded->has_excluded); i++)
        sched_yield();
    atomic_store(&guarded->has_left, true);
    if (bias)
        biased_lock_leave(bias);
    pthread_join(thread, NULL);
    free_guarded(guarded);
}

static void *take_until_over(void *argument)
{
    struct guarded *guarded = argument;

    while (!atomic_load_explicit(&guarded->is_over, memory_order_relaxed)) {
        (void)take(guarded);
        atomic_fetch_add_explicit(&guarded->taken, 1, memory_order_relaxed);
    }
    return NULL;
}

/* One that is favoured again soon, and another one that comes each time. */
static void nobody_is_inside_together_with_another(void)
{
    struct guarded *guarded = make_guarded();
    unsigned intrusions = is_cheap() ? INTRUSIONS : 0, without_mutex = 0;
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, take_until_over, guarded), 0);
    for (unsigned i = 0; i < intrusions; i++) {
        while (!is_favouring(guarded))
            sched_yield();
        write_far_away(~i);
        without_mutex += take(guarded);
        pthread_mutex_lock(&guarded->mutex);
        guarded->lock.given_up = 0;
        pthread_mutex_unlock(&guarded->mutex);
    }
    atomic_store(&guarded->is_over, true);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(without_mutex, 0);
    CU_ASSERT_EQUAL(guarded->count, atomic_load(&guarded->taken) + intrusions);
    free_guarded(guarded);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"cheap_fences_are_asked_for_once_and_nobody_is_favoured_without",
         cheap_fences_are_asked_for_once_and_nobody_is_favoured_without},
        {"one_of_two_threads_sees_the_other_whatever_light_fences_cost",
         one_of_two_threads_sees_the_other_whatever_light_fences_cost},
        {"a_thread_is_favoured_after_many_times_in_a_row", a_thread_is_favoured_after_many_times_in_a_row},
        {"another_one_in_between_begins_the_row_again", another_one_in_between_begins_the_row_again},
        {"who_has_to_wait_is_not_favoured", who_has_to_wait_is_not_favoured},
        {"each_time_that_it_was_wrong_doubles_the_row_until_nobody_is_favoured",
         each_time_that_it_was_wrong_doubles_the_row_until_nobody_is_favoured},
        {"each_thread_keeps_a_bias_of_its_own", each_thread_keeps_a_bias_of_its_own},
        {"who_excludes_waits_until_the_favoured_one_has_left",
         who_excludes_waits_until_the_favoured_one_has_left},
        {"nobody_is_inside_together_with_another", nobody_is_inside_together_with_another},
    };

    return suite_run("biased_lock", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The robust mutex: one at a time, and what a killed holder has left half done is always told, once. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "shm/robust_mutex.h"
#include "suite.h"

#define THREADS    4
#define PASSES     50000
#define MIN_TOLD   20
#define MAX_KILLS  20000
#define MOST_STEPS 500

#define THREAD_TOKENS 64

/* What the mutex guards: `left` and `right` are equal outside of it. */
struct guarded {
    struct thread_token_table *lives;
    struct robust_mutex mutex;
    volatile unsigned long left, right;
    _Atomic unsigned steps, told, may_go;
};

static struct guarded *guarded_create(void)
{
    struct guarded *guarded = child_memory(sizeof *guarded);

    guarded->lives = child_memory(thread_token_table_size(THREAD_TOKENS));
    thread_token_table_create(guarded->lives, THREAD_TOKENS);
    thread_token_table_use(guarded->lives, NULL);
    robust_mutex_create(&guarded->mutex);
    return guarded;
}

static void drop(struct guarded *guarded)
{
    child_memory_free(guarded->lives, thread_token_table_size(THREAD_TOKENS));
    child_memory_free(guarded, sizeof *guarded);
}

static bool lock_once(struct guarded *guarded)
{
    bool told = robust_mutex_lock(&guarded->mutex);

    if (told)
        robust_mutex_repaired(&guarded->mutex);
    robust_mutex_unlock(&guarded->mutex);
    return told;
}

static bool die_inside(void *argument)
{
    struct guarded *guarded = argument;

    robust_mutex_lock(&guarded->mutex);
    raise(SIGKILL);
    return false;
}

static void a_death_inside_is_told_once(void)
{
    struct guarded *guarded = guarded_create();

    CU_ASSERT_FALSE(lock_once(guarded));
    CU_ASSERT(child_was_killed(child_wait(child_start(die_inside, guarded))));
    CU_ASSERT(lock_once(guarded));
    CU_ASSERT_FALSE(lock_once(guarded));
    CU_ASSERT_FALSE(lock_once(guarded));
    drop(guarded);
}

static void a_death_during_the_repair_is_told_again(void)
{
    struct guarded *guarded = guarded_create();

    for (int i = 0; i < 3; i++)
        CU_ASSERT(child_was_killed(child_wait(child_start(die_inside, guarded))));
    CU_ASSERT(lock_once(guarded));
    CU_ASSERT_FALSE(lock_once(guarded));
    drop(guarded);
}

static bool tell_and_hold(void *argument)
{
    struct guarded *guarded = argument;

    robust_mutex_lock(&guarded->mutex);
    atomic_store(&guarded->steps, 1);
    pause();
    return false;
}

static bool is_told(void *argument)
{
    struct guarded *guarded = argument;

    atomic_fetch_add(&guarded->steps, 1);
    if (lock_once(guarded))
        atomic_fetch_add(&guarded->told, 1);
    return true;
}

static void of_those_who_queue_one_is_told(void)
{
    struct guarded *guarded = guarded_create();
    pid_t holder = child_start(tell_and_hold, guarded), next[3];

    CU_ASSERT(child_reached(&guarded->steps, 1));
    for (int i = 0; i < 3; i++)
        next[i] = child_start(is_told, guarded);
    CU_ASSERT(child_reached(&guarded->steps, 4));
    child_kill(holder);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(child_wait(next[i]), 0);
    CU_ASSERT_EQUAL(atomic_load(&guarded->told), 1);
    drop(guarded);
}

static bool hold_until_told(void *argument)
{
    struct guarded *guarded = argument;

    robust_mutex_lock(&guarded->mutex);
    guarded->left++;
    atomic_store(&guarded->steps, 1);
    while (!atomic_load(&guarded->may_go))
        sched_yield();
    guarded->right++;
    robust_mutex_unlock(&guarded->mutex);
    return true;
}

static bool find_it_whole(void *argument)
{
    struct guarded *guarded = argument;
    bool told, whole;

    atomic_fetch_add(&guarded->steps, 1);
    told = robust_mutex_lock(&guarded->mutex);
    whole = guarded->left == 1 && guarded->right == 1;
    robust_mutex_unlock(&guarded->mutex);
    return whole && !told;
}

static void nobody_takes_it_from_a_stopped_holder(void)
{
    struct guarded *guarded = guarded_create();
    pid_t holder = child_start(hold_until_told, guarded), next;
    int wait_status;

    CU_ASSERT(child_reached(&guarded->steps, 1));
    kill(holder, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(holder, &wait_status, WUNTRACED), holder);
    next = child_start(find_it_whole, guarded);
    CU_ASSERT(child_reached(&guarded->steps, 2));
    atomic_store(&guarded->may_go, 1);
    kill(holder, SIGCONT);
    CU_ASSERT_EQUAL(child_wait(holder), 0);
    CU_ASSERT_EQUAL(child_wait(next), 0);
    drop(guarded);
}

static void *end_inside(void *argument)
{
    struct guarded *guarded = argument;

    robust_mutex_lock(&guarded->mutex);
    return NULL;
}

static bool is_told_of_a_thread(void *argument)
{
    struct guarded *guarded = argument;
    pthread_t thread;

    return !pthread_create(&thread, NULL, end_inside, guarded) && !pthread_join(thread, NULL) &&
           lock_once(guarded) && !lock_once(guarded);
}

static void the_end_of_one_thread_of_a_forked_process_is_told(void)
{
    struct guarded *guarded = guarded_create();

    CU_ASSERT(child_succeeds(is_told_of_a_thread, guarded));
    drop(guarded);
}

static bool step_for_ever(void *argument)
{
    struct guarded *guarded = argument;

    while (guarded->left < ULONG_MAX) {
        robust_mutex_lock(&guarded->mutex);
        guarded->left++;
        atomic_fetch_add(&guarded->steps, 1);
        guarded->right++;
        robust_mutex_unlock(&guarded->mutex);
    }
    return false;
}

/* Kills a child at a random place of its loop. Whether it died inside and that was told. */
static bool kill_and_repair(struct guarded *guarded)
{
    pid_t child;
    bool told;

    atomic_store(&guarded->steps, 0);
    child = child_start(step_for_ever, guarded);
    CU_ASSERT(child_reached(&guarded->steps, 1 + (unsigned)random() % MOST_STEPS));
    child_kill(child);
    told = robust_mutex_lock(&guarded->mutex);
    if (told)
        robust_mutex_repaired(&guarded->mutex);
    else if (guarded->left != guarded->right)
        CU_FAIL("something was left half done, and nobody was told");
    guarded->right = guarded->left;
    robust_mutex_unlock(&guarded->mutex);
    return told;
}

static void what_was_left_half_done_is_always_told(void)
{
    struct guarded *guarded = guarded_create();
    unsigned told = 0;

    srandom(1);
    for (int kills = 0; kills < MAX_KILLS && told < MIN_TOLD; kills++)
        told += kill_and_repair(guarded);
    CU_ASSERT_EQUAL(told, MIN_TOLD);
    CU_ASSERT_FALSE(lock_once(guarded));
    drop(guarded);
}

static void *pass_often(void *argument)
{
    struct guarded *guarded = argument;

    for (int i = 0; i < PASSES; i++) {
        robust_mutex_lock(&guarded->mutex);
        guarded->left++;
        robust_mutex_unlock(&guarded->mutex);
    }
    return NULL;
}

static void one_is_inside_at_a_time(void)
{
    struct guarded *guarded = guarded_create();
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, pass_often, guarded), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(guarded->left, (unsigned long)THREADS * PASSES);
    drop(guarded);
}

/* As in ranks of one node, which map the arena where each likes. */
static bool die_inside_at_another_address(void *argument)
{
    struct guarded *other = mremap(argument, 0, sizeof *other, MREMAP_MAYMOVE);

    return other != MAP_FAILED && other != argument && die_inside(other);
}

static void it_may_stand_at_different_addresses(void)
{
    struct guarded *guarded = guarded_create();

    CU_ASSERT(child_was_killed(child_wait(child_start(die_inside_at_another_address, guarded))));
    CU_ASSERT(lock_once(guarded));
    CU_ASSERT_FALSE(lock_once(guarded));
    drop(guarded);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"one_is_inside_at_a_time", one_is_inside_at_a_time},
        {"a_death_inside_is_told_once", a_death_inside_is_told_once},
        {"a_death_during_the_repair_is_told_again", a_death_during_the_repair_is_told_again},
        {"of_those_who_queue_one_is_told", of_those_who_queue_one_is_told},
        {"nobody_takes_it_from_a_stopped_holder", nobody_takes_it_from_a_stopped_holder},
        {"the_end_of_one_thread_of_a_forked_process_is_told",
         the_end_of_one_thread_of_a_forked_process_is_told},
        {"what_was_left_half_done_is_always_told", what_was_left_half_done_is_always_told},
        {"it_may_stand_at_different_addresses", it_may_stand_at_different_addresses},
    };

    return suite_run("robust_mutex", tests, sizeof tests / sizeof *tests);
}

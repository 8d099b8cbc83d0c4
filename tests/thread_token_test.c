/* SPDX-License-Identifier: BSD-3-Clause */
/* Lives: over when the thread has ended, however it did, and not before; never the same twice. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "child.h"
#include "shm/index_set.h"
#include "shm/thread_token.h"
#include "shm/thread_token_inside.h"
#include "shm/eventcount.h"
#include "suite.h"

#define PLACES 8
#define REUSES 100
/* A table that grows: */
#define FEW          4u
#define CROWD        40u
#define SEGMENTS     5u
#define SEGMENT_SIZE 8192u

/* What children tell of themselves. */
struct shared {
    _Atomic uint64_t thread_token[2];
    _Atomic unsigned steps;
    struct eventcount may_go;
    struct thread_token_table *table;
    _Atomic uint64_t crowd[CROWD];
    _Atomic unsigned segments; /* that the table has taken */
    _Alignas(64) char segment[SEGMENTS][SEGMENT_SIZE];
};

static struct shared *shared_create(unsigned places)
{
    struct shared *shared = child_memory(sizeof *shared);

    shared->table = child_memory(thread_token_table_size(places));
    thread_token_table_create(shared->table, places);
    thread_token_table_use(shared->table, NULL);
    return shared;
}

static void drop(struct shared *shared, unsigned places)
{
    child_memory_free(shared->table, thread_token_table_size(places));
    child_memory_free(shared, sizeof *shared);
}

static bool tell(void *argument)
{
    struct shared *shared = argument;

    atomic_store(&shared->thread_token[0], thread_token_own());
    return thread_token_own() == atomic_load(&shared->thread_token[0]) &&
           !thread_token_is_over(thread_token_own());
}

static bool tell_and_stay(void *argument)
{
    struct shared *shared = argument;

    tell(shared);
    atomic_store(&shared->steps, 1);
    eventcount_wait(&shared->may_go, 0, 0, CLOCK_FOREVER);
    return true;
}

static void it_is_over_when_the_process_has_exited(void)
{
    struct shared *shared = shared_create(PLACES);

    CU_ASSERT(child_succeeds(tell, shared));
    CU_ASSERT(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    drop(shared, PLACES);
}

/* Nobody has reaped it: the kernel itself says so. */
static void it_is_over_when_the_process_was_killed_and_is_a_zombie(void)
{
    struct shared *shared = shared_create(PLACES);
    pid_t child = child_start(tell_and_stay, shared);
    siginfo_t what;

    CU_ASSERT(child_reached(&shared->steps, 1));
    CU_ASSERT_FALSE(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    kill(child, SIGKILL);
    CU_ASSERT_EQUAL(waitid(P_PID, (id_t)child, &what, WEXITED | WNOWAIT), 0);
    CU_ASSERT(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    child_wait(child);
    CU_ASSERT(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    drop(shared, PLACES);
}

static void it_is_not_over_while_the_process_is_stopped(void)
{
    struct shared *shared = shared_create(PLACES);
    pid_t child = child_start(tell_and_stay, shared);
    int wait_status;

    CU_ASSERT(child_reached(&shared->steps, 1));
    kill(child, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(child, &wait_status, WUNTRACED), child);
    CU_ASSERT(WIFSTOPPED(wait_status));
    CU_ASSERT_FALSE(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    kill(child, SIGCONT);
    eventcount_notify(&shared->may_go);
    CU_ASSERT_EQUAL(child_wait(child), 0);
    CU_ASSERT(thread_token_is_over(atomic_load(&shared->thread_token[0])));
    drop(shared, PLACES);
}

static void *tell_as_thread(void *argument)
{
    struct shared *shared = argument;

    atomic_store(&shared->thread_token[1], thread_token_own());
    return NULL;
}

/* The kernel marks what a thread held before pthread_join comes back. */
static bool outlive_a_thread(void *argument)
{
    struct shared *shared = argument;
    pthread_t thread;

    return tell(shared) && !pthread_create(&thread, NULL, tell_as_thread, shared) &&
           !pthread_join(thread, NULL) &&
           atomic_load(&shared->thread_token[0]) != atomic_load(&shared->thread_token[1]) &&
           thread_token_is_over(atomic_load(&shared->thread_token[1])) &&
           !thread_token_is_over(atomic_load(&shared->thread_token[0]));
}

static void each_thread_of_a_forked_process_has_its_own(void)
{
    struct shared *shared = shared_create(PLACES);

    CU_ASSERT(child_succeeds(outlive_a_thread, shared));
    drop(shared, PLACES);
}

static bool fork_and_outlive(void *argument)
{
    struct shared *shared = argument;
    uint64_t own = thread_token_own();

    return child_succeeds(tell, shared) && atomic_load(&shared->thread_token[0]) != own &&
           thread_token_is_over(atomic_load(&shared->thread_token[0])) && !thread_token_is_over(own) &&
           thread_token_own() == own;
}

static void a_child_does_not_inherit_its_parents(void)
{
    struct shared *shared = shared_create(PLACES);

    CU_ASSERT(child_succeeds(fork_and_outlive, shared));
    drop(shared, PLACES);
}

/* There are fewer places than lives here, so places are taken again. */
static void no_two_are_the_same(void)
{
    struct shared *shared = shared_create(PLACES);
    uint64_t lives[REUSES];

    for (unsigned i = 0; i < REUSES; i++) {
        CU_ASSERT(child_succeeds(tell, shared));
        lives[i] = atomic_load(&shared->thread_token[0]);
        CU_ASSERT_EQUAL(lives[i] & THREAD_TOKEN_UNUSED_BITS, 0);
        CU_ASSERT_NOT_EQUAL(lives[i], 0);
        for (unsigned k = 0; k < i; k++)
            CU_ASSERT_NOT_EQUAL(lives[i], lives[k]);
    }
    for (unsigned i = 0; i < REUSES; i++)
        CU_ASSERT(thread_token_is_over(lives[i]));
    drop(shared, PLACES);
}

static void a_lasting_process_has_one_that_is_never_over(void)
{
    struct shared *shared = shared_create(PLACES);
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, tell_as_thread, shared), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&shared->thread_token[1]), thread_token_own());
    CU_ASSERT_FALSE(thread_token_is_over(thread_token_own()));
    drop(shared, PLACES);
}

static bool tell_second(void *argument)
{
    struct shared *shared = argument;

    atomic_store(&shared->thread_token[1], thread_token_own());
    return true;
}

/* A table for one: the log, which says that the second one waits, goes nowhere. */
static void who_finds_no_place_gets_one_when_somebody_has_ended(void)
{
    struct shared *shared = shared_create(1);
    pid_t first = child_start(tell_and_stay, shared), second;

    CU_ASSERT(child_reached(&shared->steps, 1));
    log_open(MPM_LOG_OFF, "thread_token_test");
    second = child_start(tell_second, shared);
    eventcount_notify(&shared->may_go);
    CU_ASSERT_EQUAL(child_wait(first), 0);
    CU_ASSERT_EQUAL(child_wait(second), 0);
    CU_ASSERT_NOT_EQUAL(atomic_load(&shared->thread_token[0]), atomic_load(&shared->thread_token[1]));
    drop(shared, 1);
}

static bool is_refused(void *argument)
{
    (void)argument;
    return thread_token_ensure() == MPM_ENOMEM && !own_thread_token && strstr(mpm_error(), "1 threads") &&
           strstr(mpm_error(), "MPMAP_ARENA");
}

static void who_can_be_told_that_there_is_no_place_does_not_wait_for_ever(void)
{
    struct shared *shared = shared_create(1);
    pid_t first = child_start(tell_and_stay, shared);

    CU_ASSERT(child_reached(&shared->steps, 1));
    CU_ASSERT(child_succeeds(is_refused, shared));
    eventcount_notify(&shared->may_go);
    CU_ASSERT_EQUAL(child_wait(first), 0);
    CU_ASSERT(child_succeeds(tell, shared));
    drop(shared, 1);
}

/* One more crowd member, which tells that it is there. */
static bool join_crowd(void *argument)
{
    struct shared *shared = argument;
    unsigned number;

    thread_token_own();
    number = atomic_fetch_add(&shared->steps, 1);
    if (number < CROWD)
        atomic_store(&shared->crowd[number], thread_token_own());
    eventcount_wait(&shared->may_go, 0, 0, CLOCK_FOREVER);
    return true;
}

static struct shared *growing;

static bool grow(struct thread_token_table *table)
{
    size_t size = thread_token_next_segment_size(table);

    if (!size || atomic_load(&growing->segments) == SEGMENTS)
        return false;
    thread_token_add_segment(table, growing->segment[atomic_fetch_add(&growing->segments, 1)]);
    return true;
}

/* They come one after the other, and all stay: none has to wait, whoever found the last places. */
static void the_table_grows_with_need(void)
{
    struct shared *shared = growing = shared_create(FEW);
    pid_t crowd[CROWD];

    thread_token_table_use(shared->table, grow);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = child_start(join_crowd, shared);
        CU_ASSERT_FATAL(child_reached(&shared->steps, i + 1));
    }
    CU_ASSERT(thread_token_room() >= CROWD);
    CU_ASSERT_FALSE(thread_token_make_room(THREAD_TOKEN_MOST_PLACES));
    for (unsigned i = 0; i < CROWD; i++) {
        CU_ASSERT_FALSE(thread_token_is_over(atomic_load(&shared->crowd[i])));
        for (unsigned k = 0; k < i; k++)
            CU_ASSERT_NOT_EQUAL(atomic_load(&shared->crowd[i]), atomic_load(&shared->crowd[k]));
    }
    eventcount_notify(&shared->may_go);
    for (unsigned i = 0; i < CROWD; i++)
        CU_ASSERT_EQUAL(child_wait(crowd[i]), 0);
    for (unsigned i = 0; i < CROWD; i++)
        CU_ASSERT(thread_token_is_over(atomic_load(&shared->crowd[i])));
    drop(shared, FEW);
}

/* A thread token of the place's last generation is the last one there, however often it is asked for. */
static void a_place_whose_generations_are_used_up_is_not_taken_again(void)
{
    enum { TWO = 2 };
    struct shared *shared = shared_create(TWO);
    uint64_t last, other;

    atomic_store(&shared->table->place[0].generation, THREAD_TOKEN_LAST_GENERATION - 1);
    CU_ASSERT(child_succeeds(tell, shared));
    last = atomic_load(&shared->thread_token[0]);
    CU_ASSERT_EQUAL(last >> 32, THREAD_TOKEN_LAST_GENERATION);
    for (unsigned i = 0; i < REUSES; i++)
        CU_ASSERT(thread_token_is_over(last));
    for (unsigned i = 0; i < TWO; i++) {
        CU_ASSERT(child_succeeds(tell, shared));
        other = atomic_load(&shared->thread_token[0]);
        CU_ASSERT_NOT_EQUAL((uint32_t)other, (uint32_t)last);
    }
    CU_ASSERT(thread_token_is_over(last));
    drop(shared, TWO);
}

/* Numbers that are taken one by one. */

#define TAKERS 2

struct numbers {
    struct index_set set;
    _Atomic unsigned taken[INDEX_SET_SIZE];
};

static void a_set_gives_each_number_once(void)
{
    static const uint32_t some[] = {0, 63, 64, 4095, 4096, INDEX_SET_SIZE - 1};
    struct numbers *numbers = child_memory(sizeof *numbers);
    uint32_t number;

    CU_ASSERT_FALSE(index_set_take(&numbers->set, &number));
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
        index_set_add(&numbers->set, some[i]);
        index_set_add(&numbers->set, some[i]);
    }
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
        CU_ASSERT(index_set_take(&numbers->set, &number));
        CU_ASSERT_EQUAL(number, some[i]);
    }
    CU_ASSERT_FALSE(index_set_take(&numbers->set, &number));
    index_set_add(&numbers->set, 64);
    index_set_note_empty(&numbers->set, 1); /* by one who has looked before that */
    CU_ASSERT(index_set_take(&numbers->set, &number));
    child_memory_free(numbers, sizeof *numbers);
}

/* Takes what it finds until all numbers have been taken, and gives every second one back once. */
static bool take_numbers(void *argument)
{
    struct numbers *numbers = argument;
    uint32_t number, left = 0;

    for (unsigned i = 0; i < INDEX_SET_SIZE && index_set_take(&numbers->set, &number); i++) {
        if (atomic_fetch_add(&numbers->taken[number], 1) == 0 && number % 2)
            index_set_add(&numbers->set, number);
        left = number;
    }
    return left < INDEX_SET_SIZE;
}

/* Whatever one of them adds while another one finds its word empty is not lost. */
static void several_who_take_and_add_lose_no_number(void)
{
    struct numbers *numbers = child_memory(sizeof *numbers);
    pid_t takers[TAKERS];
    unsigned wrong = 0;

    for (uint32_t first = 0; first < INDEX_SET_SIZE; first += 64)
        index_set_add_64(&numbers->set, first);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = child_start(take_numbers, numbers);
    for (unsigned i = 0; i < TAKERS; i++)
        CU_ASSERT_EQUAL(child_wait(takers[i]), 0);
    CU_ASSERT(take_numbers(numbers));
    for (uint32_t i = 0; i < INDEX_SET_SIZE; i++)
        wrong += atomic_load(&numbers->taken[i]) != 1 + i % 2;
    CU_ASSERT_EQUAL(wrong, 0);
    child_memory_free(numbers, sizeof *numbers);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"it_is_over_when_the_process_has_exited", it_is_over_when_the_process_has_exited},
        {"it_is_over_when_the_process_was_killed_and_is_a_zombie",
         it_is_over_when_the_process_was_killed_and_is_a_zombie},
        {"it_is_not_over_while_the_process_is_stopped", it_is_not_over_while_the_process_is_stopped},
        {"each_thread_of_a_forked_process_has_its_own", each_thread_of_a_forked_process_has_its_own},
        {"a_child_does_not_inherit_its_parents", a_child_does_not_inherit_its_parents},
        {"no_two_are_the_same", no_two_are_the_same},
        {"a_lasting_process_has_one_that_is_never_over", a_lasting_process_has_one_that_is_never_over},
        {"who_finds_no_place_gets_one_when_somebody_has_ended",
         who_finds_no_place_gets_one_when_somebody_has_ended},
        {"who_can_be_told_that_there_is_no_place_does_not_wait_for_ever",
         who_can_be_told_that_there_is_no_place_does_not_wait_for_ever},
        {"the_table_grows_with_need", the_table_grows_with_need},
        {"a_place_whose_generations_are_used_up_is_not_taken_again",
         a_place_whose_generations_are_used_up_is_not_taken_again},
        {"a_set_gives_each_number_once", a_set_gives_each_number_once},
        {"several_who_take_and_add_lose_no_number", several_who_take_and_add_lose_no_number},
    };

    return suite_run("thread_token", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The eventcount: no ring is lost between processes or threads, no time-out comes early, and a waiter that was
 * killed does no harm. A wait that must end has a deadline far away, which the tests count as a lost ring. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "base/clock.h"
#include "child.h"
#include "shm/eventcount.h"
#include "suite.h"

#define FAR_NS     UINT64_C(100000000000)
#define ROUNDS     100000u
#define LISTENERS  4
#define BROADCASTS 20000u

/* Two players: whose turn it is, and the word that each sleeps on. */
struct table {
    _Atomic unsigned turn; /* rises by one a stroke; even ones are player 0's to make */
    struct eventcount word[2];
    uint64_t spin_ns;
};

/* Waits until `*value` is at least `least`; false if a ring was lost. */
static bool wait_until(struct eventcount *word, const _Atomic unsigned *value, unsigned least,
                       uint64_t spin_ns)
{
    uint64_t deadline_ns = clock_now_ns() + FAR_NS;

    for (;;) {
        uint32_t seen = eventcount_prepare(word);

        if (atomic_load(value) >= least)
            return true;
        if (!eventcount_wait(word, seen, spin_ns, deadline_ns))
            return false;
    }
}

static bool play(struct table *table, unsigned player)
{
    for (unsigned stroke = player; stroke < 2 * ROUNDS; stroke += 2) {
        if (!wait_until(&table->word[player], &table->turn, stroke, table->spin_ns))
            return false;
        atomic_store(&table->turn, stroke + 1);
        eventcount_notify(&table->word[!player]);
    }
    return true;
}

static bool play_second(void *table)
{
    return play(table, 1);
}

static void *play_second_in_thread(void *table)
{
    return play(table, 1) ? table : NULL;
}

static void play_between_processes(uint64_t spin_ns)
{
    struct table *table = child_memory(sizeof *table);
    pid_t second;

    table->spin_ns = spin_ns;
    second = child_start(play_second, table);
    CU_ASSERT(play(table, 0));
    CU_ASSERT_EQUAL(child_wait(second), 0);
    CU_ASSERT_EQUAL(atomic_load(&table->turn), 2 * ROUNDS);
    CU_ASSERT_EQUAL(atomic_load(&table->word[0].sleepers) + atomic_load(&table->word[1].sleepers), 0);
    child_memory_free(table, sizeof *table);
}

static void no_ring_is_lost_between_processes(void)
{
    play_between_processes(0);
}

static void no_ring_is_lost_where_spinning_turns_into_sleep(void)
{
    play_between_processes(2000);
}

static void no_ring_is_lost_between_threads(void)
{
    struct table table = {.turn = 0};
    pthread_t second;
    void *played;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&second, NULL, play_second_in_thread, &table), 0);
    CU_ASSERT(play(&table, 0));
    pthread_join(second, &played);
    CU_ASSERT_PTR_NOT_NULL(played);
    CU_ASSERT_EQUAL(atomic_load(&table.turn), 2 * ROUNDS);
}

/* One who rings, and all who listen on the same word. Each round ends when all have heard. */
struct hall {
    struct eventcount said_word, heard_word;
    _Atomic unsigned said, heard;
};

static void *listen(void *argument)
{
    struct hall *hall = argument;

    for (unsigned round = 1; round <= BROADCASTS; round++) {
        if (!wait_until(&hall->said_word, &hall->said, round, 0))
            return NULL;
        atomic_fetch_add(&hall->heard, 1);
        eventcount_notify(&hall->heard_word);
    }
    return hall;
}

static void a_ring_wakes_all_who_sleep(void)
{
    struct hall hall = {.said = 0};
    pthread_t listeners[LISTENERS];
    void *heard;

    for (int i = 0; i < LISTENERS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&listeners[i], NULL, listen, &hall), 0);
    for (unsigned round = 1; round <= BROADCASTS; round++) {
        atomic_store(&hall.said, round);
        eventcount_notify(&hall.said_word);
        if (!wait_until(&hall.heard_word, &hall.heard, round * LISTENERS, 0))
            break;
    }
    for (int i = 0; i < LISTENERS; i++) {
        pthread_join(listeners[i], &heard);
        CU_ASSERT_PTR_NOT_NULL(heard);
    }
    CU_ASSERT_EQUAL(atomic_load(&hall.heard), BROADCASTS * LISTENERS);
}

static bool sleep_until_rung(void *word)
{
    return eventcount_wait(word, eventcount_prepare(word), 0, clock_now_ns() + FAR_NS);
}

static void a_sleeper_is_woken_by_a_ring(void)
{
    struct eventcount *word = child_memory(sizeof *word);
    pid_t sleeper = child_start(sleep_until_rung, word);

    CU_ASSERT(child_reached(&word->sleepers, 1));
    eventcount_notify(word);
    CU_ASSERT_EQUAL(child_wait(sleeper), 0);
    CU_ASSERT_EQUAL(atomic_load(&word->sleepers), 0);
    child_memory_free(word, sizeof *word);
}

static void a_killed_sleeper_does_no_harm(void)
{
    struct eventcount *word = child_memory(sizeof *word);
    pid_t dead = child_start(sleep_until_rung, word), sleeper;

    CU_ASSERT(child_reached(&word->sleepers, 1));
    child_kill(dead);
    eventcount_notify(word);
    CU_ASSERT_FALSE(eventcount_wait(word, eventcount_prepare(word), 0, clock_now_ns() + 1000000));
    sleeper = child_start(sleep_until_rung, word);
    CU_ASSERT(child_reached(&word->sleepers, 2));
    eventcount_notify(word);
    CU_ASSERT_EQUAL(child_wait(sleeper), 0);
    child_memory_free(word, sizeof *word);
}

static void a_change_before_the_wait_ends_it_at_once(void)
{
    struct eventcount word = {.value = 7};
    uint32_t seen = eventcount_prepare(&word);

    eventcount_notify(&word);
    CU_ASSERT(eventcount_wait(&word, seen, 0, 0));
    CU_ASSERT(eventcount_wait(&word, seen, 1000, 0));
    CU_ASSERT_FALSE(eventcount_wait(&word, eventcount_prepare(&word), 0, 0));
}

static void no_timeout_comes_early(void)
{
    static const uint64_t patience_ns[] = {0, 1, 1000, 100000, 3000000, 20000000};
    struct eventcount word = {.value = UINT32_MAX};

    for (size_t i = 0; i < sizeof patience_ns / sizeof *patience_ns; i++) {
        for (uint64_t spin_ns = 0; spin_ns <= 50000; spin_ns += 50000) {
            uint64_t deadline_ns = clock_now_ns() + patience_ns[i];

            CU_ASSERT_FALSE(eventcount_wait(&word, eventcount_prepare(&word), spin_ns, deadline_ns));
            CU_ASSERT(clock_now_ns() >= deadline_ns);
            CU_ASSERT(clock_now_ns() < deadline_ns + FAR_NS);
        }
    }
    CU_ASSERT_EQUAL(atomic_load(&word.sleepers), 0);
}

static struct eventcount *rung_by_handler;
static _Atomic unsigned signals;

static void count_signal(int number)
{
    (void)number;
    if (atomic_fetch_add(&signals, 1) == 50 && rung_by_handler)
        eventcount_notify_from_handler(rung_by_handler);
}

/* Has count_signal() called every millisecond from here on, or no more. */
static void rain_signals(bool on)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval every_ms = {.it_interval.tv_usec = on ? 1000 : 0, .it_value.tv_usec = on ? 1000 : 0};

    atomic_store(&signals, 0);
    if (on)
        sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every_ms, NULL);
}

static void signals_do_not_end_a_wait(void)
{
    struct eventcount word = {.value = 0};
    uint64_t deadline_ns;

    rain_signals(true);
    do {
        deadline_ns = clock_now_ns() + 30000000;
        CU_ASSERT_FALSE(eventcount_wait(&word, eventcount_prepare(&word), 0, deadline_ns));
        CU_ASSERT(clock_now_ns() >= deadline_ns);
    } while (!atomic_load(&signals));
    rain_signals(false);
}

static void a_signal_handler_can_end_the_wait_that_it_interrupts(void)
{
    struct eventcount word = {.value = 0};

    rung_by_handler = &word;
    rain_signals(true);
    CU_ASSERT(eventcount_wait(&word, eventcount_prepare(&word), 0, clock_now_ns() + FAR_NS));
    rain_signals(false);
    rung_by_handler = NULL;
    CU_ASSERT_EQUAL(eventcount_prepare(&word), 1);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"a_change_before_the_wait_ends_it_at_once", a_change_before_the_wait_ends_it_at_once},
        {"a_sleeper_is_woken_by_a_ring", a_sleeper_is_woken_by_a_ring},
        {"a_killed_sleeper_does_no_harm", a_killed_sleeper_does_no_harm},
        {"a_ring_wakes_all_who_sleep", a_ring_wakes_all_who_sleep},
        {"no_ring_is_lost_between_processes", no_ring_is_lost_between_processes},
        {"no_ring_is_lost_where_spinning_turns_into_sleep", no_ring_is_lost_where_spinning_turns_into_sleep},
        {"no_ring_is_lost_between_threads", no_ring_is_lost_between_threads},
        {"no_timeout_comes_early", no_timeout_comes_early},
        {"signals_do_not_end_a_wait", signals_do_not_end_a_wait},
        {"a_signal_handler_can_end_the_wait_that_it_interrupts",
         a_signal_handler_can_end_the_wait_that_it_interrupts},
    };

    return suite_run("eventcount", tests, sizeof tests / sizeof *tests);
}

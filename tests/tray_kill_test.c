/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of a tray when a putter is killed at any point: it holds what it held before, or one record
 * more, whole and in order; the next putter goes on, and so does the taker. Records are numbered, and their
 * numbers say what is in them. Also what is true of a tray that nobody dies at. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "child.h"
#include "shm/kill_point.h"
#include "shm/thread_token.h"
#include "shm/tray.h"
#include "suite.h"

#define MAX_THREAD_TOKENS 64u
#define PUTTERS           4u
#define EACH              100000u

unsigned long kill_point_count, kill_point_target;

static size_t size_of(uint64_t number)
{
    static const size_t sizes[] = {0, 8, 1, 24, 8, 5000, 7, TRAY_RECORD_LIMIT - sizeof(uint64_t)};

    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static bool put(struct tray *tray, uint64_t number)
{
    static char bytes[TRAY_RECORD_LIMIT];
    bool is_put;

    memset(bytes, (int)(number % 251), size_of(number));
    tray_lock(tray);
    is_put = tray_put(tray, &number, sizeof number, bytes, size_of(number));
    tray_unlock(tray);
    return is_put;
}

static bool is_record(const struct tray_record *record, uint64_t number)
{
    uint64_t found;

    if (record->size != sizeof number + size_of(number) || (uintptr_t)record->bytes % 8)
        return false;
    memcpy(&found, record->bytes, sizeof found);
    for (size_t i = 0; i < size_of(number); i++) {
        if (record->bytes[sizeof number + i] != (char)(number % 251))
            return false;
    }
    return found == number;
}

/* Takes all that is there: records from `next` on. The number behind the last one, or UINT64_MAX if one is
 * wrong. */
static uint64_t take_all(struct tray *tray, uint64_t next)
{
    uint64_t at = atomic_load(&tray->taken), posted = tray_posted(tray), cost = 0;

    while (at < posted) {
        struct tray_record record = tray_look(tray, &at);

        if (!is_record(&record, next++))
            return UINT64_MAX;
        cost += record.cost;
    }
    if (at != posted || cost != posted - atomic_load(&tray->taken))
        return UINT64_MAX;
    atomic_store(&tray->taken, posted);
    tray_give_room(tray, cost);
    return next;
}

static struct tray *make_tray(void)
{
    struct tray *tray = child_memory(sizeof *tray);

    tray_create(tray);
    return tray;
}

static void records_are_taken_in_order(void)
{
    struct tray *tray = make_tray();
    uint64_t put_so_far = 0, taken = 0;

    for (int round = 0; round < 200 && taken == put_so_far; round++) {
        while (put(tray, put_so_far))
            put_so_far++;
        taken = take_all(tray, taken);
    }
    CU_ASSERT_EQUAL(taken, put_so_far);
    CU_ASSERT(tray_posted(tray) > 100 * TRAY_SIZE);
    child_memory_free(tray, sizeof *tray);
}

static void room_is_waited_for(void)
{
    struct tray *tray = make_tray();
    uint64_t number = 0;

    CU_ASSERT(tray_wait_for_room(tray, clock_now_ns()));
    while (put(tray, number))
        number++;
    CU_ASSERT_FALSE(tray_wait_for_room(tray, clock_now_ns() + 1000000));
    CU_ASSERT_EQUAL(take_all(tray, 0), number);
    CU_ASSERT(tray_wait_for_room(tray, clock_now_ns()));
    child_memory_free(tray, sizeof *tray);
}

struct death {
    struct tray *tray;
    uint64_t number;
    unsigned long target;
};

static bool die_at_target(void *argument)
{
    const struct death *death = argument;

    kill_point_count = 0;
    kill_point_target = death->target;
    return put(death->tray, death->number);
}

/* With so many records put and taken before: at some of these the record goes over the end. */
static unsigned long search(uint64_t before)
{
    struct death death = {.number = before};
    bool was_killed = true, is_right = true;

    while (was_killed && is_right) {
        uint64_t next;
        int wait_status;

        death.tray = make_tray();
        death.target++;
        kill_point_target = 0;
        for (uint64_t number = 0; number < before; number++)
            is_right = is_right && put(death.tray, number) && take_all(death.tray, number) == number + 1;
        wait_status = child_wait(child_start(die_at_target, &death));
        was_killed = child_was_killed(wait_status);
        next = take_all(death.tray, before);
        is_right = is_right && (was_killed || wait_status == 0) &&
                   (next == before + 1 || (was_killed && next == before));
        for (uint64_t i = 0; is_right && i < 30; i++)
            is_right = put(death.tray, next + i) && take_all(death.tray, next + i) == next + i + 1;
        child_memory_free(death.tray, sizeof *death.tray);
    }
    CU_ASSERT(is_right);
    return death.target - 1;
}

static void a_putter_may_die_anywhere(void)
{
    unsigned long points = 0;

    for (uint64_t before = 0; before < 250; before++) {
        unsigned long found = search(before);

        CU_ASSERT(found >= 4);
        points += found;
    }
    printf("%lu points searched … ", points);
}

/* Several at once, and a taker. */

struct putter {
    pthread_t thread;
    struct tray *tray;
    uint64_t number;
};

static void *put_many(void *argument)
{
    const struct putter *putter = argument;

    for (uint64_t i = 0; i < EACH;) {
        uint64_t record[2] = {putter->number, i};
        bool is_put;

        tray_lock(putter->tray);
        is_put = tray_put(putter->tray, record, sizeof record, NULL, 0);
        tray_unlock(putter->tray);
        if (is_put)
            i++;
        else
            tray_wait_for_room(putter->tray, CLOCK_FOREVER);
    }
    return NULL;
}

static void each_putter_keeps_its_order(void)
{
    struct tray *tray = make_tray();
    struct putter putters[PUTTERS];
    uint64_t next[PUTTERS] = {0}, at = 0;
    unsigned wrong = 0;

    kill_point_target = 0;
    for (unsigned i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){.tray = tray, .number = i};
        CU_ASSERT_FATAL(!pthread_create(&putters[i].thread, NULL, put_many, &putters[i]));
    }
    for (unsigned got = 0; got < PUTTERS * EACH;) {
        struct tray_record record;
        uint64_t found[2];

        if (at == tray_posted(tray))
            continue;
        record = tray_look(tray, &at);
        memcpy(found, record.bytes, sizeof found);
        wrong += record.size != sizeof found || found[0] >= PUTTERS || found[1] != next[found[0]]++;
        got++;
        atomic_store(&tray->taken, at);
        tray_give_room(tray, record.cost);
    }
    for (unsigned i = 0; i < PUTTERS; i++)
        pthread_join(putters[i].thread, NULL);
    CU_ASSERT_EQUAL(wrong, 0);
    child_memory_free(tray, sizeof *tray);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"records_are_taken_in_order", records_are_taken_in_order},
        {"room_is_waited_for", room_is_waited_for},
        {"a_putter_may_die_anywhere", a_putter_may_die_anywhere},
        {"each_putter_keeps_its_order", each_putter_keeps_its_order},
    };
    struct thread_token_table *lives = child_memory(thread_token_table_size(MAX_THREAD_TOKENS));

    thread_token_table_create(lives, MAX_THREAD_TOKENS);
    thread_token_table_use(lives, NULL);
    return suite_run("tray_kill", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of a send buffer when a putter is killed at any point: it holds what it held before, or one record
 * more, whole and in order; the next putter goes on, and so does the taker. Records are numbered, and their
 * numbers say what is in them. Also what is true of a send buffer that nobody dies at. */
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
#include "shm/send_buffer.h"
#include "suite.h"

#define MAX_THREAD_TOKENS 64u
#define PUTTERS           4u
#define EACH              100000u

unsigned long kill_point_count, kill_point_target;

static size_t size_of(uint64_t number)
{
    static const size_t sizes[] = {0, 8, 1, 24, 8, 5000, 7, SEND_BUFFER_RECORD_LIMIT - sizeof(uint64_t)};

    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static bool put(struct send_buffer *send_buffer, uint64_t number)
{
    static char bytes[SEND_BUFFER_RECORD_LIMIT];
    bool is_put;

    memset(bytes, (int)(number % 251), size_of(number));
    send_buffer_lock(send_buffer);
    is_put = send_buffer_put(send_buffer, &number, sizeof number, bytes, size_of(number));
    send_buffer_unlock(send_buffer);
    return is_put;
}

static bool is_record(const struct send_buffer_record *record, uint64_t number)
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
static uint64_t take_all(struct send_buffer *send_buffer, uint64_t next)
{
    uint64_t at = atomic_load(&send_buffer->taken), posted = send_buffer_posted(send_buffer), cost = 0;

    while (at < posted) {
        struct send_buffer_record record = send_buffer_look(send_buffer, &at);

        if (!is_record(&record, next++))
            return UINT64_MAX;
        cost += record.cost;
    }
    if (at != posted || cost != posted - atomic_load(&send_buffer->taken))
        return UINT64_MAX;
    atomic_store(&send_buffer->taken, posted);
    send_buffer_give_room(send_buffer, cost);
    return next;
}

static struct send_buffer *make_send_buffer(void)
{
    struct send_buffer *send_buffer = child_memory(sizeof *send_buffer);

    send_buffer_create(send_buffer);
    return send_buffer;
}

static void records_are_taken_in_order(void)
{
    struct send_buffer *send_buffer = make_send_buffer();
    uint64_t put_so_far = 0, taken = 0;

    for (int round = 0; round < 200 && taken == put_so_far; round++) {
        while (put(send_buffer, put_so_far))
            put_so_far++;
        taken = take_all(send_buffer, taken);
    }
    CU_ASSERT_EQUAL(taken, put_so_far);
    CU_ASSERT(send_buffer_posted(send_buffer) > 100 * SEND_BUFFER_SIZE);
    child_memory_free(send_buffer, sizeof *send_buffer);
}

static void arena_budget_is_waited_for(void)
{
    struct send_buffer *send_buffer = make_send_buffer();
    uint64_t number = 0;

    CU_ASSERT(send_buffer_wait_for_room(send_buffer, clock_now_ns()));
    while (put(send_buffer, number))
        number++;
    CU_ASSERT_FALSE(send_buffer_wait_for_room(send_buffer, clock_now_ns() + 1000000));
    CU_ASSERT_EQUAL(take_all(send_buffer, 0), number);
    CU_ASSERT(send_buffer_wait_for_room(send_buffer, clock_now_ns()));
    child_memory_free(send_buffer, sizeof *send_buffer);
}

struct death {
    struct send_buffer *send_buffer;
    uint64_t number;
    unsigned long target;
};

static bool die_at_target(void *argument)
{
    const struct death *death = argument;

    kill_point_count = 0;
    kill_point_target = death->target;
    return put(death->send_buffer, death->number);
}

/* With so many records put and taken before: at some of these the record goes over the end. */
static unsigned long search(uint64_t before)
{
    struct death death = {.number = before};
    bool was_killed = true, is_right = true;

    while (was_killed && is_right) {
        uint64_t next;
        int wait_status;

        death.send_buffer = make_send_buffer();
        death.target++;
        kill_point_target = 0;
        for (uint64_t number = 0; number < before; number++)
            is_right = is_right && put(death.send_buffer, number) &&
                       take_all(death.send_buffer, number) == number + 1;
        wait_status = child_wait(child_start(die_at_target, &death));
        was_killed = child_was_killed(wait_status);
        next = take_all(death.send_buffer, before);
        is_right = is_right && (was_killed || wait_status == 0) &&
                   (next == before + 1 || (was_killed && next == before));
        for (uint64_t i = 0; is_right && i < 30; i++)
            is_right = put(death.send_buffer, next + i) &&
                       take_all(death.send_buffer, next + i) == next + i + 1;
        child_memory_free(death.send_buffer, sizeof *death.send_buffer);
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
    struct send_buffer *send_buffer;
    uint64_t number;
};

static void *put_many(void *argument)
{
    const struct putter *putter = argument;

    for (uint64_t i = 0; i < EACH;) {
        uint64_t record[2] = {putter->number, i};
        bool is_put;

        send_buffer_lock(putter->send_buffer);
        is_put = send_buffer_put(putter->send_buffer, record, sizeof record, NULL, 0);
        send_buffer_unlock(putter->send_buffer);
        if (is_put)
            i++;
        else
            send_buffer_wait_for_room(putter->send_buffer, CLOCK_FOREVER);
    }
    return NULL;
}

static void each_putter_keeps_its_order(void)
{
    struct send_buffer *send_buffer = make_send_buffer();
    struct putter putters[PUTTERS];
    uint64_t next[PUTTERS] = {0}, at = 0;
    unsigned wrong = 0;

    kill_point_target = 0;
    for (unsigned i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){.send_buffer = send_buffer, .number = i};
        CU_ASSERT_FATAL(!pthread_create(&putters[i].thread, NULL, put_many, &putters[i]));
    }
    for (unsigned got = 0; got < PUTTERS * EACH;) {
        struct send_buffer_record record;
        uint64_t found[2];

        if (at == send_buffer_posted(send_buffer))
            continue;
        record = send_buffer_look(send_buffer, &at);
        memcpy(found, record.bytes, sizeof found);
        wrong += record.size != sizeof found || found[0] >= PUTTERS || found[1] != next[found[0]]++;
        got++;
        atomic_store(&send_buffer->taken, at);
        send_buffer_give_room(send_buffer, record.cost);
    }
    for (unsigned i = 0; i < PUTTERS; i++)
        pthread_join(putters[i].thread, NULL);
    CU_ASSERT_EQUAL(wrong, 0);
    child_memory_free(send_buffer, sizeof *send_buffer);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"records_are_taken_in_order", records_are_taken_in_order},
        {"arena_budget_is_waited_for", arena_budget_is_waited_for},
        {"a_putter_may_die_anywhere", a_putter_may_die_anywhere},
        {"each_putter_keeps_its_order", each_putter_keeps_its_order},
    };
    struct thread_token_table *lives = child_memory(thread_token_table_size(MAX_THREAD_TOKENS));

    thread_token_table_create(lives, MAX_THREAD_TOKENS);
    thread_token_table_use(lives, NULL);
    return suite_run("send_buffer_kill", tests, sizeof tests / sizeof *tests);
}

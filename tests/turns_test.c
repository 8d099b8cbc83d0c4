/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns at a queue: a getter and a putter of another node are served although processes of the queue's node keep
 * coming: after a bounded number of those, which is counted in messages. Main lets one message through at a
 * time, so that all wait for it together. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include <mpmap.h>

#include "core/object.h"
#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 30.0
#define LOCALS     2u
#define ROUNDS     20u
#define BYPASSES   64u
#define MOST_WAITS (BYPASSES + LOCALS + 2) /* messages that others may have before one that waits */
#define FAR_MARK   UINT64_MAX

struct things {
    mpm_queue queue, served;
};

/* Gets until the queue is closed. */
static int keep_getting(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    while (!mpm_queue_get(things->queue, &(uint64_t){0}, sizeof(uint64_t), NULL, MPM_FOREVER))
        ;
    return everywhere_end();
}

static int get_one(const void *args, size_t size)
{
    const struct things *things = args;
    uint64_t number = 0;

    (void)size;
    EXPECT(!mpm_queue_get(things->queue, &number, sizeof number, NULL, PATIENCE_S));
    EXPECT(!mpm_queue_put(things->served, &number, sizeof number, 0));
    return everywhere_end();
}

static int keep_putting(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    while (!mpm_queue_put(things->queue, &(uint64_t){0}, sizeof(uint64_t), MPM_FOREVER))
        ;
    return everywhere_end();
}

static int put_one(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    EXPECT(!mpm_queue_put(things->queue, &(uint64_t){FAR_MARK}, sizeof(uint64_t), PATIENCE_S));
    return everywhere_end();
}

/* Until a call of another node waits for the queue. */
static void await_call(mpm_queue queue)
{
    struct object *object = NULL;

    EXPECT(!object_find(&queue.handle, OBJECT_QUEUE, &object));
    while (object && !atomic_load(&object->remote_waiting))
        sched_yield();
}

static void start_all(mpm_target *target, const struct things *things, mpm_process locals[LOCALS])
{
    for (unsigned i = 0; i < LOCALS; i++)
        locals[i] = start_on(0, target, things, sizeof *things);
}

static void end_all(const struct things *things, const mpm_process locals[LOCALS])
{
    EXPECT(!mpm_queue_close(things->queue));
    for (unsigned i = 0; i < LOCALS; i++)
        expect_end(locals[i], 0);
    EXPECT(!mpm_queue_destroy(things->queue) && !mpm_queue_destroy(things->served));
}

/* Puts numbered messages, each when the one before was got, until the far one has got one: its number. */
static uint64_t put_until_served(const struct things *things)
{
    uint64_t served = 0, number = 0;

    while (mpm_queue_get(things->served, &served, sizeof served, NULL, 0) && number < 100 * MOST_WAITS) {
        number++;
        EXPECT(!mpm_queue_put(things->queue, &number, sizeof number, PATIENCE_S));
        while (!mpm_queue_empty(things->queue))
            sched_yield();
    }
    return served ? served : number;
}

static void a_getter_of_another_node_is_served(void)
{
    struct things things = {.queue = {{0}}};
    mpm_process locals[LOCALS];

    EXPECT(!mpm_queue_create(NULL, &things.queue) && !mpm_queue_create(NULL, &things.served));
    start_all(keep_getting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process far = start_on(1, get_one, &things, sizeof things);

        await_call(things.queue);
        EXPECT(put_until_served(&things) <= MOST_WAITS);
        expect_end(far, 0);
    }
    end_all(&things, locals);
    everywhere_assert();
}

/* One that gives up, or dies, keeps nobody waiting. */
static void nobody_stands_back_for_one_that_has_gone(void)
{
    struct things things = {.queue = {{0}}};
    mpm_process locals[LOCALS];

    EXPECT(!mpm_queue_create(NULL, &things.queue) && !mpm_queue_create(NULL, &things.served));
    start_all(keep_getting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process far = start_on(1, get_one, &things, sizeof things);

        await_call(things.queue);
        EXPECT(!mpm_process_kill(far) && !mpm_process_join(far, PATIENCE_S) && !mpm_process_close(far));
        for (uint64_t number = 1; number < 3 * MOST_WAITS; number++) {
            EXPECT(!mpm_queue_put(things.queue, &number, sizeof number, 0));
            while (!mpm_queue_empty(things.queue))
                sched_yield();
        }
    }
    end_all(&things, locals);
    everywhere_assert();
}

static void a_putter_of_another_node_is_served(void)
{
    struct things things = {.queue = {{0}}};
    mpm_process locals[LOCALS];

    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = 1}, &things.queue) &&
           !mpm_queue_create(NULL, &things.served));
    start_all(keep_putting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process far = start_on(1, put_one, &things, sizeof things);
        uint64_t message = 0, count = 0;

        await_call(things.queue);
        while (message != FAR_MARK && count < 100 * MOST_WAITS) {
            EXPECT(!mpm_queue_get(things.queue, &message, sizeof message, NULL, PATIENCE_S));
            count++;
        }
        EXPECT(count <= MOST_WAITS + 1); /* one was in the queue before */
        expect_end(far, 0);
    }
    end_all(&things, locals);
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_getter_of_another_node_is_served", a_getter_of_another_node_is_served},
        {"a_putter_of_another_node_is_served", a_putter_of_another_node_is_served},
        {"nobody_stands_back_for_one_that_has_gone", nobody_stands_back_for_one_that_has_gone},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("turns", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Posted operations: puts and adds of processes of other nodes, of which nothing is lost, whatever happens to
 * the process, and which are in order with everything else that the two nodes have to do with each other.
 * Objects are main's, and so at node 0; without other nodes all of it happens there. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/predicate.h"
#include "support/suite.h"

#define PATIENCE_S    60.0
#define MAX_PRODUCERS 8u
#define LONGEST       20000u

/* What a process is told, and what it tells main of its end by a queue. */
struct order {
    mpm_handle handle; /* what it works on */
    mpm_queue report;
    uint32_t producer, count;
};

struct report {
    uint32_t producer;
    int32_t status;    /* that ended it */
    uint64_t accepted; /* messages */
};

struct message {
    uint32_t producer, number;
};

static void check(int status)
{
    if (status)
        CU_ASSERT_FALSE(mpm_report_error());
}

static mpm_queue create(void)
{
    mpm_queue queue = {0};

    check(mpm_queue_create(NULL, &queue));
    return queue;
}

/* The `number`th process runs at one of the other nodes. */
static unsigned node_of(uint32_t number)
{
    return mpm_node_count() > 1 ? 1 + number % (mpm_node_count() - 1) : 0;
}

static mpm_process start(mpm_target *target, const struct order *order)
{
    mpm_process process = {0};

    check(mpm_process_start(target, order, sizeof *order,
                            &(mpm_process_options){.place = MPM_ON_NODE(node_of(order->producer))},
                            &process));
    return process;
}

/* How it ended. */
static int end_of(mpm_process process)
{
    int code = 99;

    check(mpm_process_join(process, PATIENCE_S));
    check(mpm_process_exitcode(process, &code));
    check(mpm_process_close(process));
    return code;
}

static size_t size_of(mpm_queue queue)
{
    size_t size = SIZE_MAX;

    check(mpm_queue_size(queue, &size));
    return size;
}

/* Order. */

/* Nothing, small ones, which are posted, and large ones, which are not. */
static size_t size_of_message(uint32_t number)
{
    static const size_t sizes[] = {0, 8, 8, 8, 100, 0, 8192, 8, 9000, 1, 20000, 8};

    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static void fill(char *message, uint32_t number)
{
    memset(message, (int)(number % 251) + 1, size_of_message(number));
}

/* Also looks for what it has put itself. */
static int put_all_sizes(const void *args, size_t size)
{
    const struct order *order = args;
    mpm_queue queue = {order->handle};
    static char message[LONGEST];
    size_t there;

    (void)size;
    for (uint32_t number = 0; number < order->count; number++) {
        fill(message, number);
        if (mpm_queue_put(queue, message, size_of_message(number), MPM_FOREVER))
            return 1;
        if (number % 100 == 99 && (mpm_queue_size(queue, &there) || there != number + 1))
            return 2;
    }
    return 0;
}

static void messages_of_all_sizes_keep_their_order(void)
{
    struct order order = {.handle = create().handle, .count = AMOUNT(1200, 200)};
    mpm_queue queue = {order.handle};
    static char message[LONGEST], got[LONGEST];
    unsigned wrong = 0;
    size_t size;

    CU_ASSERT_EQUAL(end_of(start(put_all_sizes, &order)), 0);
    CU_ASSERT_EQUAL(size_of(queue), order.count);
    for (uint32_t number = 0; number < order.count; number++) {
        size = SIZE_MAX;
        fill(message, number);
        wrong += mpm_queue_get(queue, 0, got, sizeof got, &size) || size != size_of_message(number) ||
                 memcmp(message, got, size);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    check(mpm_queue_destroy(queue));
}

static int put_numbers(const void *args, size_t size)
{
    const struct order *order = args;
    struct message message = {.producer = order->producer};
    struct message batch[5];
    mpm_queue queue = {order->handle};

    (void)size;
    while (message.number < order->count) {
        if (message.number % 7 || order->count - message.number < 5) {
            if (mpm_queue_put(queue, &message, sizeof message, MPM_FOREVER))
                return 1;
            message.number++;
            continue;
        }
        for (int i = 0; i < 5; i++, message.number++)
            batch[i] = message;
        if (mpm_queue_put_many(queue, batch, sizeof *batch, 5, MPM_FOREVER, NULL))
            return 1;
    }
    return 0;
}

/* Takes what is next for the producer of a message; false if it is another one. */
static bool is_next(uint32_t *next, const struct message *message)
{
    return message->producer < MAX_PRODUCERS && message->number == next[message->producer]++;
}

static void each_producer_keeps_its_order(void)
{
    struct order order = {.handle = create().handle, .count = AMOUNT(30000, 300)};
    mpm_process producers[MAX_PRODUCERS];
    uint32_t next[MAX_PRODUCERS] = {0};
    mpm_queue queue = {order.handle};
    struct message message;
    unsigned wrong = 0;

    for (order.producer = 0; order.producer < MAX_PRODUCERS; order.producer++)
        producers[order.producer] = start(put_numbers, &order);
    for (uint32_t i = 0; i < MAX_PRODUCERS * order.count && !wrong; i++)
        wrong += mpm_queue_get(queue, PATIENCE_S, &message, sizeof message, NULL) || !is_next(next, &message);
    CU_ASSERT_EQUAL(wrong, 0);
    for (uint32_t i = 0; i < MAX_PRODUCERS; i++)
        CU_ASSERT_EQUAL(end_of(producers[i]), 0);
    CU_ASSERT_EQUAL(size_of(queue), 0);
    check(mpm_queue_destroy(queue));
}

/* More queues than a node keeps delegations for. */
static int put_into_many(const void *args, size_t size)
{
    const mpm_queue *queues = args;
    size_t count = size / sizeof *queues;

    for (int number = 0; number < 3; number++) {
        for (size_t i = 0; i < count; i++) {
            if (mpm_queue_put(queues[i], &number, sizeof number, MPM_FOREVER))
                return 1;
        }
    }
    return 0;
}

static void queues_without_number_keep_their_order(void)
{
    enum { QUEUES = AMOUNT(1500, 100) };
    static mpm_queue queues[QUEUES];
    mpm_process process;
    unsigned wrong = 0;
    int number;

    for (int i = 0; i < QUEUES; i++)
        queues[i] = create();
    check(mpm_process_start(put_into_many, queues, sizeof queues,
                            &(mpm_process_options){.place = MPM_ON_NODE(node_of(0))}, &process));
    CU_ASSERT_EQUAL(end_of(process), 0);
    for (int i = 0; i < QUEUES; i++) {
        for (int expected = 0; expected < 3; expected++)
            wrong += mpm_queue_get(queues[i], 0, &number, sizeof number, NULL) || number != expected;
        check(mpm_queue_destroy(queues[i]));
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Under delays main is so slow that who puts without an end must let it catch up. */
static void let_catch_up(mpm_queue queue, const struct message *message)
{
    size_t there = 0;

    if (AMOUNT(false, true) && message->number % 64 == 63)
        while (!mpm_queue_size(queue, &there) && there > 500)
            sched_yield();
}

/* Waits while the arena is full: who puts without an end may be faster than main, which gets. */
static int put_when_there_is_memory(mpm_queue queue, const struct message *message)
{
    int status;

    let_catch_up(queue, message);
    while ((status = mpm_queue_put(queue, message, sizeof *message, MPM_FOREVER)) == MPM_ENOMEM)
        sched_yield();
    return status;
}

/* Deaths. */

static int put_and_die(const void *args, size_t size)
{
    const struct order *order = args;
    struct message message = {.producer = order->producer};

    (void)size;
    for (; message.number < order->count; message.number++) {
        if (mpm_queue_put((mpm_queue){order->handle}, &message, sizeof message, MPM_FOREVER))
            return 1;
    }
    kill(getpid(), SIGKILL);
    return 1;
}

/* join of the process is enough to see it: nothing waits here. */
static void what_was_accepted_outlives_its_putter(void)
{
    enum { DEATHS = AMOUNT(1000, 12) };
    struct order order = {.handle = create().handle};
    mpm_queue queue = {order.handle};
    struct message message;
    unsigned wrong = 0;

    for (order.producer = 0; order.producer < DEATHS; order.producer++) {
        order.count = order.producer % 3 + 1;
        wrong += end_of(start(put_and_die, &order)) != -SIGKILL;
        for (uint32_t number = 0; number < order.count; number++)
            wrong += mpm_queue_get(queue, 0, &message, sizeof message, NULL) ||
                     message.producer != order.producer || message.number != number;
        wrong += size_of(queue) != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    check(mpm_queue_destroy(queue));
}

/* Put by put, until main kills it: what it has said to be accepted is there. */
static int put_and_say(const void *args, size_t size)
{
    const struct order *order = args;
    struct message message = {.producer = order->producer};
    uint64_t one = 1;

    (void)size;
    for (;; message.number++) {
        if (put_when_there_is_memory(order->report, &message) ||
            mpm_value_add((mpm_value){order->handle}, &one))
            return 1;
    }
}

/* A value of the same home comes behind the message that it counts. */
static void a_producer_that_is_killed_loses_its_own_message_at_most(void)
{
    enum { DEATHS = AMOUNT(30, 5) };

    for (uint32_t death = 0; death < DEATHS; death++) {
        struct order order = {.report = create(), .producer = death};
        mpm_value counter = {0};
        mpm_process process;
        struct message message;
        uint64_t counted = 0, got = 0;

        check(mpm_value_create(MPM_U64, NULL, &counter));
        order.handle = counter.handle;
        process = start(put_and_say, &order);
        while (counted < 10 * death)
            check(mpm_value_get(counter, &counted));
        check(mpm_process_kill(process));
        CU_ASSERT_EQUAL(end_of(process), -SIGKILL);
        check(mpm_value_get(counter, &counted));
        while (!mpm_queue_get(order.report, 0, &message, sizeof message, NULL) && message.number == got)
            got++;
        CU_ASSERT(got == counted || got == counted + 1);
        check(mpm_queue_destroy(order.report));
        check(mpm_value_destroy(counter));
    }
}

/* Ends of queues. */

static int put_until_the_end(const void *args, size_t size)
{
    const struct order *order = args;
    struct message message = {.producer = order->producer};
    struct report report = {.producer = order->producer};

    (void)size;
    while (!(report.status = put_when_there_is_memory((mpm_queue){order->handle}, &message)))
        message.number++;
    report.accepted = message.number;
    return mpm_queue_put(order->report, &report, sizeof report, MPM_FOREVER) ? 1 : 0;
}

static int close_it(const void *args, size_t size)
{
    const struct order *order = args;

    (void)size;
    return mpm_queue_close((mpm_queue){order->handle}) ? 1 : 0;
}

static int destroy_it(const void *args, size_t size)
{
    const struct order *order = args;

    (void)size;
    return mpm_queue_destroy((mpm_queue){order->handle}) ? 1 : 0;
}

/* Starts producers, and waits until some messages of each are there. */
static void begin_scene(struct order *order, mpm_process *producers, uint32_t count, uint32_t *next)
{
    struct message message;
    uint32_t begun = 0;

    *order = (struct order){.handle = create().handle, .report = create()};
    for (order->producer = 0; order->producer < count; order->producer++)
        producers[order->producer] = start(put_until_the_end, order);
    while (begun < count &&
           !mpm_queue_get((mpm_queue){order->handle}, PATIENCE_S, &message, sizeof message, NULL)) {
        CU_ASSERT_FATAL(is_next(next, &message));
        begun += message.number == 50;
    }
    CU_ASSERT_EQUAL(begun, count);
}

static void end_scene(const struct order *order, const mpm_process *producers, uint32_t count, int status,
                      uint64_t *accepted)
{
    struct report report;

    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(end_of(producers[i]), 0);
    for (uint32_t i = 0; i < count; i++) {
        check(mpm_queue_get(order->report, 0, &report, sizeof report, NULL));
        CU_ASSERT_EQUAL(report.status, status);
        accepted[report.producer] = report.accepted;
    }
    check(mpm_queue_destroy(order->report));
}

/* By main at home, and by a process of another node. */
static void a_closed_queue_has_all_that_it_accepted(void)
{
    enum { ROUNDS = AMOUNT(20, 2), PRODUCERS = 3 };

    for (int round = 0; round < ROUNDS; round++) {
        mpm_process producers[PRODUCERS];
        uint32_t next[MAX_PRODUCERS] = {0};
        uint64_t accepted[PRODUCERS];
        struct message message;
        struct order order;
        mpm_queue queue;
        unsigned wrong = 0;

        begin_scene(&order, producers, PRODUCERS, next);
        queue.handle = order.handle;
        if (round % 2) {
            CU_ASSERT_EQUAL(end_of(start(close_it, &order)), 0);
        } else {
            check(mpm_queue_close(queue));
        }
        while (!mpm_queue_get(queue, 0, &message, sizeof message, NULL))
            wrong += !is_next(next, &message);
        CU_ASSERT_EQUAL(mpm_queue_get(queue, 0, &message, sizeof message, NULL), MPM_ECLOSED);
        end_scene(&order, producers, PRODUCERS, MPM_ECLOSED, accepted);
        CU_ASSERT_EQUAL(size_of(queue), 0);
        for (int i = 0; i < PRODUCERS; i++)
            wrong += next[i] != accepted[i];
        CU_ASSERT_EQUAL(wrong, 0);
        check(mpm_queue_destroy(queue));
    }
}

static void a_destroyed_queue_gets_nothing_more(void)
{
    enum { ROUNDS = AMOUNT(20, 2), PRODUCERS = 3 };

    for (int round = 0; round < ROUNDS; round++) {
        mpm_process producers[PRODUCERS];
        uint32_t next[MAX_PRODUCERS] = {0};
        uint64_t accepted[PRODUCERS];
        struct order order;
        mpm_queue other;

        begin_scene(&order, producers, PRODUCERS, next);
        if (round % 2) {
            CU_ASSERT_EQUAL(end_of(start(destroy_it, &order)), 0);
        } else {
            check(mpm_queue_destroy((mpm_queue){order.handle}));
        }
        other = create(); /* perhaps in the same place */
        end_scene(&order, producers, PRODUCERS, MPM_ESTALE, accepted);
        for (int i = 0; i < PRODUCERS; i++)
            CU_ASSERT(accepted[i] >= next[i]);
        CU_ASSERT_EQUAL(size_of(other), 0);
        check(mpm_queue_destroy(other));
    }
}

/* Several want the end at once: it is one of them who has done it. */
static int destroy_and_say(const void *args, size_t size)
{
    const struct order *order = args;
    struct report report = {.producer = order->producer};
    uint64_t message = 0;

    (void)size;
    for (int i = 0; i < 2 && !report.status; i++)
        report.status = mpm_queue_put((mpm_queue){order->handle}, &message, sizeof message, 0);
    report.status = mpm_queue_destroy((mpm_queue){order->handle});
    return mpm_queue_put(order->report, &report, sizeof report, MPM_FOREVER) ? 1 : 0;
}

static void one_of_many_destroys(void)
{
    enum { ROUNDS = AMOUNT(20, 3), PROCESSES = 4 };

    for (int round = 0; round < ROUNDS; round++) {
        struct order order = {.handle = create().handle, .report = create()};
        mpm_process processes[PROCESSES];
        struct report report;
        unsigned ended = 0, stale = 0;

        for (order.producer = 0; order.producer < PROCESSES; order.producer++)
            processes[order.producer] = start(destroy_and_say, &order);
        for (int i = 0; i < PROCESSES; i++) {
            CU_ASSERT_EQUAL(end_of(processes[i]), 0);
            check(mpm_queue_get(order.report, PATIENCE_S, &report, sizeof report, NULL));
            ended += report.status == MPM_OK;
            stale += report.status == MPM_ESTALE;
        }
        CU_ASSERT(ended == 1 && stale == PROCESSES - 1);
        check(mpm_queue_destroy(order.report));
    }
}

/* Memory. */

#define FULL_COUNT AMOUNT(3000u, 500u) /* messages: less than may be under way */

static void *blocks[100000];
static size_t block_count;

/* Takes all memory of the caller's node; false if there is more than it can take. */
static bool fill_arena(void)
{
    for (size_t size = (size_t)8 << 20; size >= 64; size /= 2) {
        while (block_count < sizeof blocks / sizeof *blocks && !mpm_alloc(size, &blocks[block_count]))
            block_count++;
    }
    return block_count < sizeof blocks / sizeof *blocks;
}

static void empty_arena(void)
{
    while (block_count)
        mpm_free(blocks[--block_count]);
}

static int wait_for_value(mpm_value value, uint64_t wanted)
{
    uint64_t number = 0;
    int status = 0;

    while (!status && number != wanted)
        status = mpm_value_get(value, &number);
    return status;
}

/* Two messages, and when main says so the others. What is told by the exit code is the status of the last, or
 * of a large one, which cannot be posted. */
static int put_into_full(const void *args, size_t size)
{
    const struct order *order = args;
    mpm_queue queue = {order->handle};
    static char large[LONGEST];
    int status = 0;

    (void)size;
    for (uint32_t number = 0; number < order->count && !status; number++) {
        if (number == 2)
            status = wait_for_value((mpm_value){order->report.handle}, 1);
        if (!status)
            status = mpm_queue_put(queue, &number, sizeof number, MPM_FOREVER);
    }
    if (!status)
        status = mpm_queue_put(queue, large, sizeof large, MPM_FOREVER);
    return -status;
}

/* What happens to a queue to which messages were put that main's node has no memory for. */
struct overfull {
    mpm_queue queue;
    mpm_value turn; /* whose it is: 1 of the putter, 2 of the next one */
    mpm_process next;
};

/* Fills the queue, and then gives their turn to a process that has been started before. */
static struct overfull overfill(mpm_target *next)
{
    struct overfull scene = {.queue = create()};
    struct order order = {.handle = scene.queue.handle, .count = FULL_COUNT};
    mpm_process process;
    uint64_t turn = 1;

    check(mpm_value_create(MPM_U64, NULL, &scene.turn));
    order.report.handle = scene.turn.handle;
    process = start(put_into_full, &order);
    if (next)
        scene.next = start(next, &order);
    while (size_of(scene.queue) < 2)
        ;
    CU_ASSERT_FATAL(fill_arena());
    check(mpm_value_set(scene.turn, &turn));
    CU_ASSERT_EQUAL(end_of(process), -MPM_ENOMEM);
    CU_ASSERT(size_of(scene.queue) < FULL_COUNT);
    turn++;
    check(mpm_value_set(scene.turn, &turn));
    return scene;
}

/* All that was accepted: all, from another node. */
static void expect_all(mpm_queue queue, double timeout_s)
{
    uint32_t number, got = 0;

    while (got < FULL_COUNT && !mpm_queue_get(queue, timeout_s, &number, sizeof number, NULL) &&
           number == got)
        got++;
    CU_ASSERT(got == FULL_COUNT || (mpm_node_count() == 1 && got >= 2));
    CU_ASSERT_EQUAL(size_of(queue), 0);
}

static void what_finds_no_memory_waits(void)
{
    struct overfull scene = overfill(NULL);

    empty_arena();
    expect_all(scene.queue, mpm_node_count() > 1 ? PATIENCE_S : 0);
    check(mpm_queue_destroy(scene.queue));
    check(mpm_value_destroy(scene.turn));
}

static int close_in_turn(const void *args, size_t size)
{
    const struct order *order = args;

    return wait_for_value((mpm_value){order->report.handle}, 2) ? 1 : close_it(args, size);
}

/* Returns when the close waits at main's node, and the delegation of its node has come back there: it came before what
 * that node has said since. */
static void await_close(const struct overfull *scene)
{
    await_sleepers(&scene->queue.handle);
    everywhere_assert();
    CU_ASSERT_EQUAL(process_is_alive(scene->next), 1);
}

static void a_close_waits_for_what_finds_no_memory(void)
{
    struct overfull scene = overfill(close_in_turn);

    if (mpm_node_count() > 1)
        await_close(&scene);
    empty_arena();
    CU_ASSERT_EQUAL(end_of(scene.next), 0);
    expect_all(scene.queue, 0);
    check(mpm_queue_destroy(scene.queue));
    check(mpm_value_destroy(scene.turn));
}

static void a_destroy_waits_for_no_memory(void)
{
    struct overfull scene = overfill(NULL);

    check(mpm_queue_destroy(scene.queue));
    empty_arena();
    check(mpm_value_destroy(scene.turn));
}

/* Gets do not wait for memory, and what the process puts comes behind what waits for it. */
static int get_and_put(const void *args, size_t size)
{
    const struct order *order = args;
    mpm_queue queue = {order->handle};
    uint32_t number;
    size_t count;

    (void)size;
    if (wait_for_value((mpm_value){order->report.handle}, 2) || mpm_queue_size(queue, &count))
        return 1;
    for (uint32_t expected = 0; expected < count; expected++) {
        if (mpm_queue_get(queue, PATIENCE_S, &number, sizeof number, NULL) || number != expected)
            return 2;
        if (mpm_queue_put(queue, &number, sizeof number, MPM_FOREVER) && mpm_node_count() > 1)
            return 3;
    }
    return 0;
}

static void a_getter_goes_on_while_memory_is_full(void)
{
    struct overfull scene = overfill(get_and_put);
    uint32_t first = 0, number = 0, got = 1;

    CU_ASSERT_EQUAL(end_of(scene.next), 0);
    empty_arena();
    if (mpm_node_count() > 1) {
        check(mpm_queue_get(scene.queue, PATIENCE_S, &first, sizeof first, NULL));
        for (; got < FULL_COUNT && !mpm_queue_get(scene.queue, PATIENCE_S, &number, sizeof number, NULL);
             got++)
            CU_ASSERT_EQUAL(number, (first + got) % FULL_COUNT);
        CU_ASSERT(got == FULL_COUNT && first > 0);
    }
    check(mpm_queue_destroy(scene.queue));
    check(mpm_value_destroy(scene.turn));
}

/* What gives something away. */
struct givers {
    mpm_queue queue;
    mpm_connection sends, receives;
    mpm_bytes bytes;
};

static bool is_filled(const char *message, uint32_t number)
{
    static char expected[LONGEST];

    memset(expected, (int)number, sizeof expected);
    return !memcmp(message, expected, sizeof expected);
}

static int get_one(const struct givers *givers, char *message)
{
    return mpm_queue_get(givers->queue, 0, message, LONGEST, NULL);
}

static int receive_one(const struct givers *givers, char *message)
{
    return mpm_connection_recv(givers->receives, 0, message, LONGEST, NULL);
}

static int exchange_one(const struct givers *givers, char *message)
{
    static char next[LONGEST];

    memset(next, 2, sizeof next);
    return mpm_bytes_exchange(givers->bytes, next, sizeof next, message);
}

/* In a process whose node has no memory, until it says so. */
static int take_without_memory(const void *args, size_t size)
{
    static int (*const takes[])(const struct givers *givers, char *message) = {get_one, receive_one,
                                                                               exchange_one};
    static char message[LONGEST];
    int status;

    (void)size;
    for (int i = 0; i < 3; i++) {
        if (!fill_arena())
            return i + 21;
        if ((status = takes[i](args, message)) == MPM_ENOMEM) {
            empty_arena();
            status = takes[i](args, message);
        }
        empty_arena();
        if (status || !is_filled(message, 1))
            return i + 1;
        if (takes[i](args, message) || !is_filled(message, 2))
            return i + 11;
    }
    return 0;
}

static void who_has_no_memory_for_it_takes_nothing(void)
{
    struct givers givers = {.queue = create()};
    static char message[LONGEST];
    mpm_process process = {0};

    check(mpm_pipe_create(MPM_ONEWAY, &givers.receives, &givers.sends));
    for (int number = 1; number <= 2; number++) {
        memset(message, number, sizeof message);
        if (number == 1)
            check(mpm_bytes_create(sizeof message, message, &givers.bytes));
        check(mpm_queue_put(givers.queue, message, sizeof message, 0));
        check(mpm_connection_send(givers.sends, message, sizeof message, 0));
    }
    check(mpm_process_start(take_without_memory, &givers, sizeof givers,
                            &(mpm_process_options){.place = MPM_ON_NODE(node_of(0))}, &process));
    CU_ASSERT_EQUAL(end_of(process), 0);
    check(mpm_queue_destroy(givers.queue));
    check(mpm_connection_close(givers.sends));
    check(mpm_connection_close(givers.receives));
    check(mpm_bytes_destroy(givers.bytes));
}

/* Numbers. */

#define LENGTH 100u
#define ADDS   AMOUNT(5000u, 200u)

struct numbers {
    mpm_value sum, half, least, most;
    mpm_array array;
    uint32_t number; /* of the process */
};

static int add_all(const void *args, size_t size)
{
    const struct numbers *numbers = args;
    int64_t one = 1, own = 0, high = numbers->number, low = -high;
    double half = 0.5;

    (void)size;
    for (unsigned i = 0; i < ADDS; i++) {
        if (mpm_value_add(numbers->sum, &one) || mpm_value_add(numbers->half, &half) ||
            mpm_value_min(numbers->least, &low) || mpm_value_max(numbers->most, &high) ||
            mpm_array_add(numbers->array, numbers->number, &one))
            return 1;
        if (i % AMOUNT(1000, 100) == 0 &&
            (mpm_array_get(numbers->array, numbers->number, &own) || own != i + 1))
            return 2;
    }
    return mpm_array_add(numbers->array, LENGTH, &one) == MPM_EINVAL ? 0 : 3;
}

static void numbers_are_what_was_added(void)
{
    struct numbers numbers = {.number = 0};
    mpm_process processes[MAX_PRODUCERS];
    int64_t sum = 0, least = 0, most = 0, own;
    double half = 0;

    if (mpm_value_create(MPM_I64, NULL, &numbers.sum) || mpm_value_create(MPM_F64, NULL, &numbers.half) ||
        mpm_value_create(MPM_I64, NULL, &numbers.least) || mpm_value_create(MPM_I64, NULL, &numbers.most) ||
        mpm_array_create(MPM_I64, LENGTH, NULL, &numbers.array))
        CU_ASSERT_FALSE_FATAL(mpm_report_error());
    for (numbers.number = 0; numbers.number < MAX_PRODUCERS; numbers.number++)
        check(mpm_process_start(add_all, &numbers, sizeof numbers,
                                &(mpm_process_options){.place = MPM_ON_NODE(node_of(numbers.number))},
                                &processes[numbers.number]));
    for (uint32_t i = 0; i < MAX_PRODUCERS; i++) {
        CU_ASSERT_EQUAL(end_of(processes[i]), 0);
        check(mpm_array_get(numbers.array, i, &own));
        CU_ASSERT_EQUAL(own, ADDS);
    }
    if (mpm_value_get(numbers.sum, &sum) || mpm_value_get(numbers.half, &half) ||
        mpm_value_get(numbers.least, &least) || mpm_value_get(numbers.most, &most))
        CU_ASSERT_FALSE(mpm_report_error());
    CU_ASSERT(sum == MAX_PRODUCERS * ADDS && half == 0.5 * MAX_PRODUCERS * ADDS);
    CU_ASSERT(least == 1 - (int)MAX_PRODUCERS && most == MAX_PRODUCERS - 1);
    if (mpm_value_destroy(numbers.sum) || mpm_value_destroy(numbers.half) ||
        mpm_value_destroy(numbers.least) || mpm_value_destroy(numbers.most) ||
        mpm_array_destroy(numbers.array))
        CU_ASSERT_FALSE(mpm_report_error());
}

static int add_until_stale(const void *args, size_t size)
{
    const struct order *order = args;
    uint64_t one = 1;
    int status;

    (void)size;
    do
        status = order->count ? mpm_array_add((mpm_array){order->handle}, 0, &one)
                              : mpm_value_add((mpm_value){order->handle}, &one);
    while (!status);
    return status == MPM_ESTALE ? 0 : 1;
}

static void destroyed_numbers_are_stale(void)
{
    enum { ROUNDS = AMOUNT(20, 3) };

    for (int round = 0; round < ROUNDS; round++) {
        struct order order = {.count = 0};
        mpm_process processes[2];
        uint64_t number = 0;
        mpm_value value = {0};
        mpm_array array = {0};

        check(mpm_value_create(MPM_U64, NULL, &value));
        check(mpm_array_create(MPM_U64, 1, NULL, &array));
        order.handle = value.handle;
        processes[0] = start(add_until_stale, &order);
        order = (struct order){.handle = array.handle, .count = 1, .producer = 1};
        processes[1] = start(add_until_stale, &order);
        while (number < 100)
            check(mpm_value_get(value, &number));
        check(mpm_value_destroy(value));
        check(mpm_array_destroy(array));
        CU_ASSERT_EQUAL(end_of(processes[0]), 0);
        CU_ASSERT_EQUAL(end_of(processes[1]), 0);
    }
}

/* Nonsense. */

/* The first use of each object brings a delegation for it. */
static int take_one_kind_for_another(const void *args, size_t size)
{
    const mpm_handle *handles = args;
    mpm_handle value = handles[0], array = handles[1], queue = handles[2];
    uint64_t one = 1;

    (void)size;
    if (mpm_value_add((mpm_value){value}, &one) || mpm_array_add((mpm_array){array}, 0, &one) ||
        mpm_queue_put((mpm_queue){queue}, &one, sizeof one, MPM_FOREVER))
        return 1;
    if (mpm_queue_put((mpm_queue){value}, &one, sizeof one, MPM_FOREVER) != MPM_EINVAL ||
        mpm_queue_put((mpm_queue){array}, &one, sizeof one, MPM_FOREVER) != MPM_EINVAL)
        return 2;
    if (mpm_value_add((mpm_value){array}, &one) != MPM_EINVAL ||
        mpm_value_add((mpm_value){queue}, &one) != MPM_EINVAL ||
        mpm_array_add((mpm_array){value}, 0, &one) != MPM_EINVAL ||
        mpm_array_add((mpm_array){queue}, 0, &one) != MPM_EINVAL)
        return 3;
    return 0;
}

static void a_handle_of_another_kind_is_refused(void)
{
    mpm_queue queue = create();
    mpm_process process = {0};
    mpm_value value = {0};
    mpm_array array = {0};
    mpm_handle handles[3];

    check(mpm_value_create(MPM_U64, NULL, &value));
    check(mpm_array_create(MPM_U64, 1, NULL, &array));
    handles[0] = value.handle;
    handles[1] = array.handle;
    handles[2] = queue.handle;
    check(mpm_process_start(take_one_kind_for_another, handles, sizeof handles,
                            &(mpm_process_options){.place = MPM_ON_NODE(node_of(0))}, &process));
    CU_ASSERT_EQUAL(end_of(process), 0);
    CU_ASSERT_EQUAL(size_of(queue), 1);
    check(mpm_value_destroy(value));
    check(mpm_array_destroy(array));
    check(mpm_queue_destroy(queue));
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"messages_of_all_sizes_keep_their_order", messages_of_all_sizes_keep_their_order},
        {"each_producer_keeps_its_order", each_producer_keeps_its_order},
        {"queues_without_number_keep_their_order", queues_without_number_keep_their_order},
        {"what_was_accepted_outlives_its_putter", what_was_accepted_outlives_its_putter},
        {"a_producer_that_is_killed_loses_its_own_message_at_most",
         a_producer_that_is_killed_loses_its_own_message_at_most},
        {"a_closed_queue_has_all_that_it_accepted", a_closed_queue_has_all_that_it_accepted},
        {"a_destroyed_queue_gets_nothing_more", a_destroyed_queue_gets_nothing_more},
        {"one_of_many_destroys", one_of_many_destroys},
        {"what_finds_no_memory_waits", what_finds_no_memory_waits},
        {"a_close_waits_for_what_finds_no_memory", a_close_waits_for_what_finds_no_memory},
        {"a_destroy_waits_for_no_memory", a_destroy_waits_for_no_memory},
        {"a_getter_goes_on_while_memory_is_full", a_getter_goes_on_while_memory_is_full},
        {"who_has_no_memory_for_it_takes_nothing", who_has_no_memory_for_it_takes_nothing},
        {"numbers_are_what_was_added", numbers_are_what_was_added},
        {"destroyed_numbers_are_stale", destroyed_numbers_are_stale},
        {"a_handle_of_another_kind_is_refused", a_handle_of_another_kind_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("post", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

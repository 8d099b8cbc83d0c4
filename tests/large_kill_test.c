/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of long messages, at home and to and from another node, when their process is killed: at any kill point
 * of the call (support_kill/kill_run.h), and from outside, while the message leaves or arrives. A message is whole or is
 * not there, others go on, and no block of an arena is lost, on either node. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "kill_run.h"
#include "suite.h"

#define SIZE       ((size_t)1 << 20) /* longer than what goes in a frame, and more than one piece */
#define WORDS      (SIZE / sizeof(uint64_t))
#define PATIENCE_S 100.0
#define DEATHS     20u /* from outside, of each kind */
#define BETWEEN    3u  /* messages that have gone before the death, at least */
#define DELAY_NS   100000u

static uint64_t words[WORDS];

/* Each message is known by its number, and each word of it by that and by its place. */
static void fill(uint64_t number)
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = number * WORDS + i;
}

static bool is_whole(uint64_t number, size_t size)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (words[i] != number * WORDS + i)
            return false;
    }
    return size == SIZE;
}

/* Queues. */

static void make_queue(struct kill_scene *scene)
{
    mpm_queue queue = {0};

    CU_ASSERT(!mpm_queue_create(NULL, &queue));
    scene->handle[0] = queue.handle;
}

static bool put(mpm_queue queue, uint64_t number)
{
    fill(number);
    return !mpm_queue_put(queue, words, SIZE, MPM_FOREVER);
}

/* Whether the next message is there, whole, and has the number. */
static bool get_next(mpm_queue queue, uint64_t number)
{
    size_t size = 0;

    return !mpm_queue_get(queue, 0, words, SIZE, &size) && is_whole(number, size);
}

static bool put_one(const struct kill_scene *scene)
{
    return put((mpm_queue){scene->handle[0]}, 0);
}

/* Nothing waits here: the end of the process comes behind its calls. */
static bool is_put_or_not(const struct kill_scene *scene, bool was_killed)
{
    mpm_queue queue = {scene->handle[0]};
    size_t messages = 2;

    if (mpm_queue_size(queue, &messages) || messages > 1 || (!was_killed && messages != 1))
        return false;
    return (!messages || get_next(queue, 0)) && put(queue, 5) && get_next(queue, 5) &&
           !mpm_queue_destroy(queue);
}

static void make_full_queue(struct kill_scene *scene)
{
    make_queue(scene);
    CU_ASSERT(put_one(scene) && put((mpm_queue){scene->handle[0]}, 1));
}

static bool get_one(const struct kill_scene *scene)
{
    return get_next((mpm_queue){scene->handle[0]}, 0);
}

static bool is_got_or_not(const struct kill_scene *scene, bool was_killed)
{
    mpm_queue queue = {scene->handle[0]};
    size_t messages = 0;

    if (mpm_queue_size(queue, &messages) || messages < 1 || messages > 2 || (!was_killed && messages != 1))
        return false;
    return (messages == 1 || get_next(queue, 0)) && get_next(queue, 1) && !mpm_queue_destroy(queue);
}

/* The same in place. */

static bool put_one_in_place(const struct kill_scene *scene)
{
    mpm_message message;

    if (mpm_message_create(SIZE, &message))
        return false;
    fill(0);
    memcpy(message.bytes, words, SIZE);
    return !mpm_queue_put_message((mpm_queue){scene->handle[0]}, &message, MPM_FOREVER);
}

static bool get_one_in_place(const struct kill_scene *scene)
{
    mpm_message message;
    bool is_right;

    if (mpm_queue_get_message((mpm_queue){scene->handle[0]}, 0, &message))
        return false;
    memcpy(words, message.bytes, SIZE);
    is_right = is_whole(0, message.size);
    mpm_message_destroy(&message);
    return is_right;
}

static void make_closed_queue(struct kill_scene *scene)
{
    make_queue(scene);
    CU_ASSERT(!mpm_queue_close((mpm_queue){scene->handle[0]}));
}

/* It is the putter's still, whole. */
static bool fail_to_put_one_in_place(const struct kill_scene *scene)
{
    mpm_message message;
    bool is_right;

    if (mpm_message_create(SIZE, &message))
        return false;
    fill(3);
    memcpy(message.bytes, words, SIZE);
    is_right = mpm_queue_put_message((mpm_queue){scene->handle[0]}, &message, MPM_FOREVER) == MPM_ECLOSED &&
               message.bytes && !memcmp(message.bytes, words, SIZE);
    mpm_message_destroy(&message);
    return is_right;
}

static bool is_not_put(const struct kill_scene *scene, bool unused)
{
    mpm_queue queue = {scene->handle[0]};
    size_t messages = 1;

    (void)unused;
    return !mpm_queue_size(queue, &messages) && !messages && !mpm_queue_destroy(queue);
}

/* Pipes, of which main has the first end. */

static void make_pipe(struct kill_scene *scene)
{
    mpm_connection ends[2] = {{{0}}};

    CU_ASSERT(!mpm_pipe_create(MPM_DUPLEX, &ends[0], &ends[1]));
    scene->handle[0] = ends[0].handle;
    scene->handle[1] = ends[1].handle;
}

static bool send(mpm_connection end, uint64_t number)
{
    fill(number);
    return !mpm_connection_send(end, words, SIZE, MPM_FOREVER);
}

static bool send_one(const struct kill_scene *scene)
{
    return send((mpm_connection){scene->handle[1]}, 0);
}

static bool end_pipe(const struct kill_scene *scene)
{
    return !mpm_connection_close((mpm_connection){scene->handle[0]}) &&
           !mpm_connection_close((mpm_connection){scene->handle[1]});
}

static bool is_sent_or_not(const struct kill_scene *scene, bool was_killed)
{
    mpm_connection end = {scene->handle[0]};
    size_t size = 0;
    int status = mpm_connection_recv(end, 0, words, SIZE, &size);

    if (status == MPM_ETIMEDOUT || status == MPM_EEOF)
        return was_killed && end_pipe(scene);
    return !status && is_whole(0, size) && end_pipe(scene);
}

static void make_full_pipe(struct kill_scene *scene)
{
    make_pipe(scene);
    CU_ASSERT(send((mpm_connection){scene->handle[0]}, 0));
}

static bool receive_one(const struct kill_scene *scene)
{
    size_t size = 0;

    return !mpm_connection_recv((mpm_connection){scene->handle[1]}, MPM_FOREVER, words, SIZE, &size) &&
           is_whole(0, size);
}

/* Whether the message has gone with the dead one or is there still, it is whole: main receives it at the other end. */
static bool is_received_or_not(const struct kill_scene *scene, bool was_killed)
{
    size_t size = 0;
    int status = mpm_connection_recv((mpm_connection){scene->handle[1]}, 0, words, SIZE, &size);

    if (status == MPM_ETIMEDOUT || status == MPM_EEOF)
        return end_pipe(scene);
    return was_killed && !status && is_whole(0, size) && end_pipe(scene);
}

const struct kill_operation kill_operations[] = {
    {"a long put", make_queue, put_one, is_put_or_not},
    {"a long get", make_full_queue, get_one, is_got_or_not},
    {"a long put in place", make_queue, put_one_in_place, is_put_or_not},
    {"a long get in place", make_full_queue, get_one_in_place, is_got_or_not},
    {"a long put in place that fails", make_closed_queue, fail_to_put_one_in_place, is_not_put},
    {"a long send", make_pipe, send_one, is_sent_or_not},
    {"a long receive", make_full_pipe, receive_one, is_received_or_not},
};
#define OPERATIONS (sizeof kill_operations / sizeof *kill_operations)

/* Blocks in use on the other node, as a process there sees it. */
static int tell_blocks(const void *args, size_t size)
{
    const mpm_queue *queue = args;
    uint64_t blocks = kill_blocks_in_use();

    (void)size;
    return mpm_put(*queue, &blocks) ? 1 : 0;
}

static mpm_process start(mpm_target *target, const mpm_queue *queue)
{
    mpm_process process = {{0}};

    CU_ASSERT(!mpm_process_start(target, queue, sizeof *queue,
                                 &(mpm_process_options){.place = MPM_ON_NODE(mpm_node_count() - 1)},
                                 &process));
    return process;
}

static void end(mpm_process process)
{
    CU_ASSERT(!mpm_process_join(process, PATIENCE_S) && !mpm_process_close(process));
}

static uint64_t blocks_there(void)
{
    mpm_queue queue = {{0}};
    uint64_t blocks = 0;
    mpm_process process;

    CU_ASSERT(!mpm_queue_create(NULL, &queue));
    process = start(tell_blocks, &queue);
    CU_ASSERT(!mpm_queue_get_exact(queue, sizeof blocks, PATIENCE_S, &blocks));
    end(process);
    CU_ASSERT(!mpm_queue_destroy(queue));
    return blocks;
}

/* What was on its way to a dead process has arrived, and is freed, a moment later. */
static void no_block_is_lost(uint64_t before_here, uint64_t before_there)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);

    CU_ASSERT(kill_no_block_is_lost(before_here));
    while (blocks_there() > before_there && clock_now_ns() < end_ns)
        sched_yield();
    CU_ASSERT(blocks_there() <= before_there);
}

/* What is made when it is first needed is not lost. */
static void warm_up(void)
{
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct kill_scene scene = {.number = {0}};

        kill_operations[i].prepare(&scene);
        CU_ASSERT(kill_operations[i].run(&scene) && kill_operations[i].is_right(&scene, false));
    }
    (void)blocks_there();
}

/* Of all operations, in processes of one node. */
static unsigned long search_on(unsigned node)
{
    unsigned long points = 0;

    for (size_t i = 0; i < OPERATIONS; i++) {
        unsigned long found = kill_search(i, node);

        CU_ASSERT(found >= 4);
        points += found;
    }
    return points;
}

static void every_point_may_be_the_last(void)
{
    unsigned last = mpm_node_count() - 1;
    unsigned long points;
    uint64_t here, there;

    warm_up();
    (void)search_on(last);
    (void)search_on(0);
    here = kill_blocks_in_use();
    there = blocks_there();
    points = search_on(last) + search_on(0);
    no_block_is_lost(here, there);
    printf("%lu points searched in %zu operations … ", points, OPERATIONS);
}

/* From outside. */

static int put_for_ever(const void *args, size_t size)
{
    const mpm_queue *queue = args;

    (void)size;
    for (uint64_t number = 0; put(*queue, number); number++)
        ;
    return 1;
}

static int get_for_ever(const void *args, size_t size)
{
    const mpm_queue *queue = args;
    size_t unused;

    (void)size;
    while (!mpm_queue_get(*queue, MPM_FOREVER, words, SIZE, &unused))
        ;
    return 1;
}

/* Some part of a message's way. */
static void wait_a_part(unsigned part)
{
    uint64_t until_ns = clock_now_ns() + part * DELAY_NS;

    while (clock_now_ns() < until_ns)
        sched_yield();
}

static void kill_process(mpm_process process)
{
    int code = 0;

    CU_ASSERT(!mpm_process_kill(process) && !mpm_process_join(process, PATIENCE_S));
    CU_ASSERT(!mpm_process_exitcode(process, &code) && code == -SIGKILL);
    CU_ASSERT(!mpm_process_close(process));
}

/* One that puts all the while, and is never killed: its messages take the memory that the dead ones have left. */
static struct {
    mpm_queue queue;
    mpm_process process;
    uint64_t number;
} bystander;

static void begin_bystander(void)
{
    CU_ASSERT(!mpm_queue_create(&(mpm_queue_options){.maxsize = 1}, &bystander.queue));
    bystander.process = start(put_for_ever, &bystander.queue);
}

static void get_of_bystander(void)
{
    size_t size = 0;

    CU_ASSERT(!mpm_queue_get(bystander.queue, PATIENCE_S, words, SIZE, &size));
    CU_ASSERT(is_whole(bystander.number++, size));
}

static void end_bystander(void)
{
    CU_ASSERT(!mpm_queue_close(bystander.queue) && !mpm_process_join(bystander.process, PATIENCE_S));
    CU_ASSERT(!mpm_process_close(bystander.process) && !mpm_queue_destroy(bystander.queue));
}

/* Messages come from a bounded queue, so that main is not run over. */
static void kill_who_puts(unsigned part)
{
    mpm_queue queue = {{0}};
    uint64_t number = 0;
    mpm_process process;

    CU_ASSERT(!mpm_queue_create(&(mpm_queue_options){.maxsize = 2}, &queue));
    process = start(put_for_ever, &queue);
    for (; number < BETWEEN; number++) {
        size_t size = 0;

        CU_ASSERT(!mpm_queue_get(queue, PATIENCE_S, words, SIZE, &size) && is_whole(number, size));
    }
    wait_a_part(part);
    get_of_bystander();
    kill_process(process);
    while (get_next(queue, number))
        number++;
    CU_ASSERT_EQUAL(mpm_queue_get(queue, 0, words, SIZE, NULL), MPM_EEMPTY);
    CU_ASSERT(put(queue, 7) && get_next(queue, 7) && !mpm_queue_destroy(queue));
}

static void await_got(mpm_queue queue, size_t left)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    size_t messages = left + 1;

    while (messages > left && clock_now_ns() < end_ns && !mpm_queue_size(queue, &messages))
        sched_yield();
    CU_ASSERT(messages <= left);
}

/* What it has not got is there, whole, without a gap. */
static void kill_who_gets(unsigned part)
{
    mpm_queue queue = {{0}};
    mpm_process process;
    size_t left = 0;

    CU_ASSERT(!mpm_queue_create(NULL, &queue));
    for (uint64_t number = 0; number < 2 * BETWEEN; number++)
        CU_ASSERT(put(queue, number));
    process = start(get_for_ever, &queue);
    await_got(queue, BETWEEN);
    wait_a_part(part);
    get_of_bystander();
    kill_process(process);
    CU_ASSERT(!mpm_queue_size(queue, &left));
    for (uint64_t number = 2 * BETWEEN - left; number < 2 * BETWEEN; number++)
        CU_ASSERT(get_next(queue, number));
    CU_ASSERT(put(queue, 7) && get_next(queue, 7) && !mpm_queue_destroy(queue));
}

static void one_killed_while_messages_leave_or_arrive_leaves_whole_ones(void)
{
    uint64_t here = kill_blocks_in_use(), there = blocks_there();

    begin_bystander();
    for (unsigned part = 0; part < DEATHS; part++) {
        kill_who_puts(part);
        kill_who_gets(part);
    }
    end_bystander();
    no_block_is_lost(here, there);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
        {"one_killed_while_messages_leave_or_arrive_leaves_whole_ones",
         one_killed_while_messages_leave_or_arrive_leaves_whole_ones},
    };
    int failed;

    setenv("MPMAP_ARENA", "128M", 0);
    if (mpm_init(&argc, &argv, NULL) || !kill_warm_up())
        return mpm_report_error();
    failed = suite_run("large_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes, at home and from other nodes: what a pipe promises to one process stands in a function that
 * processes on all nodes run; what becomes of an end whose holders die is tried with processes on all nodes,
 * too. */
#include <CUnit/CUnit.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/context.h"
#include "object/object.h"
#include "shm/arena.h"
#include "support/everywhere.h"
#include "support/predicate.h"
#include "support/suite.h"

#define PATIENCE_S 100.0 /* a machine may be busy: most of what is waited for takes seconds */
#define HELD       1024u /* messages that a direction holds */
#define LONG_SIZE  ((size_t)AMOUNT(9, 5) << 20) /* goes between nodes in several pieces */
#define CROWD      AMOUNT(20u, 4u)
#define MESSAGES   AMOUNT(3000u, 1200u)

static bool is_late_enough(uint64_t start_ns, double timeout_s)
{
    double took_s = (double)(clock_now_ns() - start_ns) * 1e-9;

    return took_s >= timeout_s && took_s < timeout_s + 60;
}

static size_t blocks_in_use(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used_blocks;
}

/* What processes are started with. */
struct args {
    mpm_connection end;
    mpm_connection report; /* an end to which it says how far it is */
    unsigned count;
};

static mpm_process start(unsigned node, mpm_target *target, const struct args *args)
{
    mpm_process process = {{0}};

    EXPECT(!mpm_process_start(target, args, sizeof *args, &(mpm_process_options){.place = MPM_ON_NODE(node)},
                              &process));
    return process;
}

static bool ends_well(mpm_process process)
{
    int code = 99;

    EXPECT(!mpm_process_join(process, PATIENCE_S));
    EXPECT(!mpm_process_exitcode(process, &code));
    EXPECT(!mpm_process_close(process));
    return code == 0;
}

static void kill_process(mpm_process process)
{
    EXPECT(!mpm_process_kill(process));
    EXPECT(!mpm_process_join(process, PATIENCE_S));
    EXPECT(!mpm_process_close(process));
}

static void send_number(mpm_connection end, unsigned number)
{
    EXPECT(!mpm_connection_send(end, &number, sizeof number, PATIENCE_S));
}

static bool receives_number(mpm_connection end, unsigned number)
{
    unsigned got = ~number;
    size_t size = 0;

    EXPECT(!mpm_connection_recv(end, PATIENCE_S, &got, sizeof got, &size));
    return size == sizeof got && got == number;
}

/* What a pipe promises to one process, wherever it is. Both ends are empty before and after. */

static void messages_of_all_sizes_keep_their_bounds(mpm_connection from, mpm_connection to)
{
    static const size_t sizes[] = {0,       1,     7, 8, 9,         1000,  0,        70000,
                                   3000000, 20000, 0, 5, LONG_SIZE, 65000, LONG_SIZE};
    size_t count = sizeof sizes / sizeof *sizes, size;
    char *message = malloc(LONG_SIZE), *got = malloc(LONG_SIZE);

    for (size_t i = 0; i < count; i++) {
        memset(message, (int)i + 1, LONG_SIZE);
        EXPECT(!mpm_connection_send(from, message, sizes[i], 0));
    }
    for (size_t i = 0; i < count; i++) {
        memset(message, (int)i + 1, LONG_SIZE);
        size = SIZE_MAX;
        EXPECT(!mpm_connection_recv(to, 0, got, LONG_SIZE, &size));
        EXPECT(size == sizes[i] && !memcmp(message, got, sizes[i]));
    }
    EXPECT(connection_poll(to, 0) == 0);
    free(message);
    free(got);
}

static void a_buffer_too_small_keeps_the_message(mpm_connection from, mpm_connection to)
{
    char message[100] = "here", got[100] = "", *large = calloc(1, LONG_SIZE);
    size_t size = 0;

    EXPECT(!mpm_connection_send(from, message, sizeof message, 0));
    EXPECT(mpm_connection_recv(to, 0, got, 99, &size) == MPM_ETOOSMALL && size == 100 && !*got);
    EXPECT(mpm_connection_recv(to, 0, NULL, 0, NULL) == MPM_ETOOSMALL);
    EXPECT(!mpm_connection_recv(to, 0, got, sizeof got, &size) && size == 100 && !strcmp(got, "here"));
    EXPECT(!mpm_connection_send(from, large, LONG_SIZE, 0));
    EXPECT(mpm_connection_recv(to, 0, large, LONG_SIZE - 1, &size) == MPM_ETOOSMALL && size == LONG_SIZE);
    EXPECT(!mpm_connection_recv(to, 0, large, LONG_SIZE, NULL));
    free(large);
}

static void a_message_of_another_size_stays(mpm_connection from, mpm_connection to)
{
    char *large = calloc(1, LONG_SIZE), *there = calloc(1, LONG_SIZE);
    double sent = 0.5, got = 0;
    int less = 1;

    large[LONG_SIZE - 1] = 1;
    EXPECT(!mpm_send(from, &sent) && !mpm_connection_send(from, large, LONG_SIZE, 0) &&
           !mpm_connection_send(from, NULL, 0, 0));
    EXPECT(mpm_recv(to, &less) == MPM_ETYPE && less == 1 && strstr(mpm_error(), "8 bytes, not 4"));
    EXPECT(mpm_connection_recv_exact(to, LONG_SIZE, 0, there) == MPM_ETYPE);
    EXPECT(!mpm_recv(to, &got) && got == 0.5);
    EXPECT(mpm_connection_recv_exact(to, LONG_SIZE - 1, 0, there) == MPM_ETYPE);
    EXPECT(mpm_connection_recv_exact(to, 0, 0, NULL) == MPM_ETYPE);
    EXPECT(!mpm_connection_recv_exact(to, LONG_SIZE, 0, there) && there[LONG_SIZE - 1] == 1);
    EXPECT(mpm_recv(to, &less) == MPM_ETYPE && !mpm_connection_recv_exact(to, 0, 0, NULL));
    EXPECT(mpm_connection_recv_exact(to, sizeof less, 0, &less) == MPM_ETIMEDOUT && less == 1);
    free(large);
    free(there);
}

static void an_empty_pipe_is_waited_for_as_long_as_told(mpm_connection to)
{
    uint64_t start_ns = clock_now_ns();
    char message[8];

    EXPECT(mpm_connection_recv(to, 0, message, sizeof message, NULL) == MPM_ETIMEDOUT);
    EXPECT(mpm_connection_recv(to, -1, message, sizeof message, NULL) == MPM_ETIMEDOUT);
    EXPECT(connection_poll(to, 0) == 0);
    EXPECT(is_late_enough(start_ns, 0));
    start_ns = clock_now_ns();
    EXPECT(mpm_connection_recv(to, 0.05, message, sizeof message, NULL) == MPM_ETIMEDOUT);
    EXPECT(is_late_enough(start_ns, 0.05));
    start_ns = clock_now_ns();
    EXPECT(connection_poll(to, 0.05) == 0);
    EXPECT(is_late_enough(start_ns, 0.05));
}

static void a_full_pipe_is_waited_for_as_long_as_told(mpm_connection from, mpm_connection to)
{
    char *large = calloc(1, LONG_SIZE);
    uint64_t start_ns;

    for (unsigned i = 0; i < HELD; i++)
        send_number(from, i);
    EXPECT(mpm_connection_send(from, "x", 1, 0) == MPM_ETIMEDOUT);
    EXPECT(mpm_connection_send(from, large, LONG_SIZE, 0) == MPM_ETIMEDOUT);
    start_ns = clock_now_ns();
    EXPECT(mpm_connection_send(from, "x", 1, 0.05) == MPM_ETIMEDOUT);
    EXPECT(is_late_enough(start_ns, 0.05));
    for (unsigned i = 0; i < HELD; i++)
        EXPECT(receives_number(to, i));
    EXPECT(connection_poll(to, 0) == 0);
    free(large);
}

static void a_poll_tells_of_a_message(mpm_connection from, mpm_connection to)
{
    send_number(from, 3);
    EXPECT(connection_poll(to, 0) == 1 && connection_poll(to, PATIENCE_S) == 1);
    EXPECT(receives_number(to, 3));
}

static void use_both_ends(mpm_connection a, mpm_connection b)
{
    messages_of_all_sizes_keep_their_bounds(a, b);
    a_buffer_too_small_keeps_the_message(a, b);
    a_message_of_another_size_stays(a, b);
    an_empty_pipe_is_waited_for_as_long_as_told(b);
    a_poll_tells_of_a_message(a, b);
}

static void close_tells_the_other_end(mpm_connection a, mpm_connection b, int sent_to_the_closed)
{
    send_number(a, 1);
    send_number(a, 2);
    EXPECT(!mpm_connection_close(a) && !mpm_connection_close(a));
    EXPECT(mpm_connection_send(a, "x", 1, 0) == MPM_ECLOSED);
    EXPECT(mpm_connection_recv(a, 0, NULL, 0, NULL) == MPM_ECLOSED);
    EXPECT(mpm_connection_send(b, "x", 1, PATIENCE_S) == sent_to_the_closed);
    EXPECT(receives_number(b, 1) && receives_number(b, 2));
    EXPECT(connection_poll(b, PATIENCE_S) == 1);
    EXPECT(mpm_connection_recv(b, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
    EXPECT(!mpm_connection_close(b));
    EXPECT(mpm_connection_recv(b, PATIENCE_S, NULL, 0, NULL) == MPM_ESTALE);
    EXPECT(mpm_connection_close(a) == MPM_ESTALE);
}

/* The ends of a duplex pipe of main's, and of a oneway one. */
struct both {
    mpm_connection a, b, receives, sends;
};

static int use_pipes_of_main(const void *args, size_t size)
{
    const struct both *both = args;
    unsigned number;

    EXPECT(size == sizeof *both);
    use_both_ends(both->a, both->b);
    use_both_ends(both->b, both->a);
    if (AMOUNT(true, false))
        a_full_pipe_is_waited_for_as_long_as_told(both->b, both->a);
    close_tells_the_other_end(both->b, both->a, MPM_EPIPE);
    use_both_ends(both->sends, both->receives);
    a_full_pipe_is_waited_for_as_long_as_told(both->sends, both->receives);
    EXPECT(mpm_connection_send(both->receives, "x", 1, 0) == MPM_EINVAL);
    EXPECT(mpm_connection_recv(both->sends, 0, &number, sizeof number, NULL) == MPM_EINVAL);
    EXPECT(connection_poll(both->sends, 0) == MPM_EINVAL);
    close_tells_the_other_end(both->sends, both->receives, MPM_EINVAL);
    return everywhere_end();
}

static struct both make_both(void)
{
    struct both both = {0};

    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &both.a, &both.b) &&
           !mpm_pipe_create(MPM_ONEWAY, &both.receives, &both.sends));
    return both;
}

static void a_pipe_keeps_its_promises_everywhere(void)
{
    struct both both = make_both();
    size_t used;

    CU_ASSERT_EQUAL(use_pipes_of_main(&both, sizeof both), 0);
    used = blocks_in_use();
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = {{0}};

        both = make_both();
        EXPECT(!mpm_process_start(use_pipes_of_main, &both, sizeof both,
                                  &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
        EXPECT(ends_well(process));
    }
    CU_ASSERT(blocks_in_use() <= used + 2); /* process records */
    everywhere_assert();
}

/* Two processes. */

static int echo(const void *args, size_t size)
{
    const struct args *mine = args;
    char message[64];
    size_t got;
    int status;

    (void)size;
    while (!(status = mpm_connection_recv(mine->end, PATIENCE_S, message, sizeof message, &got)))
        EXPECT(!mpm_connection_send(mine->end, message, got, PATIENCE_S));
    EXPECT(status == MPM_EEOF);
    return everywhere_end();
}

static void a_duplex_pipe_carries_questions_and_answers(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {0};
        mpm_connection own;
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &args.end));
        process = start(node, echo, &args);
        for (unsigned i = 0; i < AMOUNT(100, 20); i++) {
            send_number(own, i);
            EXPECT(receives_number(own, i));
        }
        EXPECT(!mpm_connection_close(own));
        EXPECT(ends_well(process));
        EXPECT(!mpm_connection_close(args.end));
    }
    everywhere_assert();
}

static int send_many(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    for (unsigned i = 0; i < mine->count; i++)
        send_number(mine->end, i);
    return everywhere_end();
}

/* More than the pipe holds; and the sender has ended before the last of them is received. Main, which may not receive
 * at that end, does not hold it for having tried. */
static void a_fast_sender_waits_and_its_end_is_told(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {.count = MESSAGES};
        mpm_connection own;
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_ONEWAY, &own, &args.end));
        EXPECT(mpm_connection_recv(args.end, 0, NULL, 0, NULL) == MPM_EINVAL);
        EXPECT(connection_poll(args.end, 0) == MPM_EINVAL);
        process = start(node, send_many, &args);
        for (unsigned i = 0; i < MESSAGES; i++)
            EXPECT(receives_number(own, i));
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        EXPECT(ends_well(process));
        EXPECT(!mpm_connection_close(args.end) && !mpm_connection_close(own));
    }
    everywhere_assert();
}

static int send_one_and_wait(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    send_number(mine->end, 1);
    EXPECT(receives_number(mine->end, 2));
    return everywhere_end();
}

/* How often those who sleep at an end of a pipe of this node were rung for. */
static uint32_t rings(mpm_connection end)
{
    return atomic_load(
        &object_record(&end.handle)->wait[end.handle.place >> OBJECT_PLACE_BITS != 1].word.value);
}

static void what_is_received_wakes_no_receiver_at_the_other_end(void)
{
    struct args args = {.count = 0};
    mpm_connection own;
    mpm_process process;
    uint32_t seen;
    bool is_ready;

    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &args.end, &own));
    EXPECT(!mpm_connection_poll(own, 0, &is_ready)); /* its first use tells all of a holder */
    process = start(0, send_one_and_wait, &args);
    await_sleepers(&args.end.handle);
    seen = rings(args.end);
    EXPECT(receives_number(own, 1));
    EXPECT(rings(args.end) == seen);
    send_number(own, 2);
    EXPECT(ends_well(process));
    EXPECT(!mpm_connection_close(args.end) && !mpm_connection_close(own));
    everywhere_assert();
}

/* Holders. */

/* Says that it is there, and sleeps without ever using its end. */
static int hold(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    send_number(mine->report, 1);
    while (pause())
        ;
    return 0;
}

static void an_end_is_gone_when_all_that_held_it_are_dead(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {0};
        mpm_connection own, reports;
        mpm_process holders[CROWD];

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &args.end) &&
               !mpm_pipe_create(MPM_ONEWAY, &reports, &args.report));
        EXPECT(mpm_connection_recv(own, 0, NULL, 0, NULL) == MPM_ETIMEDOUT); /* nobody has held it yet */
        for (unsigned i = 0; i < CROWD; i++)
            holders[i] = start((node + i % 2) % mpm_node_count(), hold, &args);
        for (unsigned i = 0; i < CROWD; i++)
            EXPECT(receives_number(reports, 1));
        send_number(own, 1);
        for (unsigned i = 0; i < CROWD; i++) {
            EXPECT(mpm_connection_recv(own, 0, NULL, 0, NULL) == MPM_ETIMEDOUT);
            kill_process(holders[i]);
        }
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        EXPECT(mpm_connection_send(own, "x", 1, PATIENCE_S) == MPM_EPIPE);
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(args.end));
        EXPECT(!mpm_connection_close(reports) && !mpm_connection_close(args.report));
    }
    everywhere_assert();
}

static int send_one_when_told(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    EXPECT(receives_number(mine->end, 1));
    send_number(mine->end, 3);
    return everywhere_end();
}

/* Two nodes are enough. */
static unsigned first_to_last(void)
{
    return mpm_node_count() > 1 ? mpm_node_count() - 1 : 1;
}

/* As a parent closes its copy of its child's end. */
static int let_go_of_the_childs_end(const void *args, size_t size)
{
    const struct args *mine = args;
    struct args childs = {0};
    mpm_connection own;

    (void)size;
    for (unsigned node = 0; node < mpm_node_count(); node += first_to_last()) {
        mpm_process child;

        own = mine->report;
        childs.end = mine->end;
        if (mine->count) /* at this node, else at main's */
            EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &childs.end));
        send_number(childs.end, 2);
        child = start(node, send_one_when_told, &childs);
        EXPECT(!mpm_connection_release(childs.end) && !mpm_connection_release(childs.end));
        EXPECT(receives_number(own, 2));
        EXPECT(mpm_connection_recv(own, 0, NULL, 0, NULL) == MPM_ETIMEDOUT);
        send_number(own, 1);
        EXPECT(receives_number(own, 3));
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        EXPECT(ends_well(child));
        if (mine->count)
            EXPECT(!mpm_connection_close(own) && !mpm_connection_close(childs.end));
    }
    return everywhere_end();
}

static void who_has_let_go_of_an_end_does_not_keep_it(void)
{
    EXPECT(!let_go_of_the_childs_end(&(struct args){.count = 1}, 0));
    for (unsigned node = 0; node < mpm_node_count(); node += first_to_last()) {
        struct args args = {.count = 1};

        EXPECT(ends_well(start(node, let_go_of_the_childs_end, &args)));
        args.count = 0;
        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &args.report, &args.end));
        EXPECT(ends_well(start(node, let_go_of_the_childs_end, &args)));
        EXPECT(!mpm_connection_close(args.report) && !mpm_connection_close(args.end));
    }
    everywhere_assert();
}

/* Its starter may note after that that it was started with the end. */
static int let_go_at_once(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    EXPECT(!mpm_connection_release(mine->end));
    EXPECT(receives_number(mine->report, 1));
    send_number(mine->end, 2);
    EXPECT(receives_number(mine->report, 2));
    EXPECT(!mpm_connection_release(mine->end));
    EXPECT(receives_number(mine->report, 3));
    return everywhere_end();
}

static void an_end_that_was_let_go_is_gone_until_it_is_used_again(void)
{
    for (unsigned i = 0; i < AMOUNT(4, 2) * mpm_node_count(); i++) {
        struct args args = {0};
        mpm_connection own, orders;
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &args.end) &&
               !mpm_pipe_create(MPM_DUPLEX, &orders, &args.report));
        process = start(i % mpm_node_count(), let_go_at_once, &args);
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        send_number(orders, 1);
        while (mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF)
            sched_yield();
        EXPECT(receives_number(own, 2));
        EXPECT(mpm_connection_recv(own, 0, NULL, 0, NULL) == MPM_ETIMEDOUT);
        send_number(orders, 2);
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        send_number(orders, 3);
        EXPECT(ends_well(process));
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(args.end));
        EXPECT(mpm_connection_release(own) == MPM_ESTALE);
        EXPECT(!mpm_connection_close(orders) && !mpm_connection_close(args.report));
    }
    everywhere_assert();
}

static int wait_in_vain(const void *args, size_t size)
{
    const struct args *mine = args;

    (void)size;
    send_number(mine->report, 1);
    EXPECT(mpm_connection_recv(mine->end, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
    return everywhere_end();
}

static int send_until_the_end(const void *args, size_t size)
{
    const struct args *mine = args;
    int status;

    (void)size;
    send_number(mine->report, 1);
    while (!(status = mpm_connection_send(mine->end, "x", 1, PATIENCE_S)))
        ;
    EXPECT(status == MPM_EPIPE);
    return everywhere_end();
}

/* A process that waits, on any node, for one on any other node. */
static void a_death_wakes(mpm_target *waiter)
{
    for (unsigned node = 0; node < mpm_node_count() * mpm_node_count(); node++) {
        struct args holder = {0}, waiting = {0};
        mpm_connection reports;
        mpm_process held, process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &waiting.end, &holder.end));
        EXPECT(!mpm_pipe_create(MPM_ONEWAY, &reports, &waiting.report));
        holder.report = waiting.report;
        held = start(node / mpm_node_count(), hold, &holder);
        EXPECT(receives_number(reports, 1));
        process = start(node % mpm_node_count(), waiter, &waiting);
        EXPECT(receives_number(reports, 1));
        kill_process(held);
        EXPECT(ends_well(process));
        EXPECT(!mpm_connection_close(waiting.end) && !mpm_connection_close(holder.end));
        EXPECT(!mpm_connection_close(reports) && !mpm_connection_close(waiting.report));
    }
    everywhere_assert();
}

static void the_last_holders_death_wakes_a_receiver(void)
{
    a_death_wakes(wait_in_vain);
}

static void the_last_holders_death_wakes_a_sender(void)
{
    a_death_wakes(send_until_the_end);
}

static int die_at_once(const void *args, size_t size)
{
    (void)args;
    (void)size;
    kill(getpid(), SIGKILL);
    return 0;
}

static void a_process_that_dies_before_it_uses_its_end_held_it(void)
{
    for (unsigned i = 0; i < AMOUNT(10, 3) * mpm_node_count(); i++) {
        struct args args = {0};
        mpm_connection own;
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &args.end, &own));
        process = start(i % mpm_node_count(), die_at_once, &args);
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        EXPECT(!mpm_process_join(process, PATIENCE_S) && !mpm_process_close(process));
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(args.end));
    }
    everywhere_assert();
}

/* Closing. */

static void close_wakes_who_waits(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {0};
        mpm_connection own, reports;
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &args.end) &&
               !mpm_pipe_create(MPM_ONEWAY, &reports, &args.report));
        process = start(node, wait_in_vain, &args);
        EXPECT(receives_number(reports, 1));
        EXPECT(!mpm_connection_close(own));
        EXPECT(ends_well(process));
        EXPECT(!mpm_connection_close(args.end));
        EXPECT(!mpm_connection_close(reports) && !mpm_connection_close(args.report));
    }
    everywhere_assert();
}

static int make_pipe(const void *args, size_t size)
{
    const struct args *mine = args;
    mpm_connection ends[2];

    (void)size;
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &ends[0], &ends[1]));
    EXPECT(!mpm_connection_send(mine->end, ends, sizeof ends, PATIENCE_S));
    return everywhere_end();
}

/* Connections may be sent through connections. */
static void main_uses_pipes_of_other_nodes(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {0};
        mpm_connection own, ends[2];
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_ONEWAY, &own, &args.end));
        process = start(node, make_pipe, &args);
        EXPECT(!mpm_connection_recv(own, PATIENCE_S, ends, sizeof ends, NULL));
        EXPECT(ends_well(process));
        use_both_ends(ends[0], ends[1]);
        use_both_ends(ends[1], ends[0]);
        if (AMOUNT(true, false))
            a_full_pipe_is_waited_for_as_long_as_told(ends[0], ends[1]);
        close_tells_the_other_end(ends[0], ends[1], MPM_EPIPE);
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(args.end));
    }
    everywhere_assert();
}

/* An end that its process does not hold: it stands where nobody looks for one. */
struct hidden {
    char before[4], end[sizeof(mpm_connection)];
};

static int start_one_that_dies(const void *args, size_t size)
{
    const struct hidden *hidden = args;
    struct args holder = {.count = 0};
    mpm_process process;

    (void)size;
    memcpy(&holder.end, hidden->end, sizeof holder.end);
    process = start(mpm_node_id(), die_at_once, &holder);
    EXPECT(!mpm_process_join(process, PATIENCE_S) && !mpm_process_close(process));
    return everywhere_end();
}

/* Neither its starter nor the process itself need be at the node of the pipe. */
static void a_process_that_any_process_has_started_holds_its_end(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct hidden hidden = {{0}, {0}};
        mpm_connection own, end;
        mpm_process process = {{0}};

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &end, &own));
        memcpy(hidden.end, &end, sizeof end);
        EXPECT(!mpm_process_start(start_one_that_dies, &hidden, sizeof hidden,
                                  &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
        EXPECT(ends_well(process));
        EXPECT(mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL) == MPM_EEOF);
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(end));
    }
    everywhere_assert();
}

/* To a pipe that has ended. */
static int send_long_in_vain(const void *args, size_t size)
{
    const struct args *mine = args;
    char *large = calloc(1, LONG_SIZE);

    (void)size;
    for (unsigned i = 0; i < mine->count; i++)
        EXPECT(mpm_connection_send(mine->end, large, LONG_SIZE, 0) == MPM_ESTALE);
    free(large);
    return everywhere_end();
}

/* That this process has by malloc. */
static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void a_long_message_that_cannot_be_sent_leaves_nothing(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct args args = {.count = 4};
        size_t before = memory_in_use();
        mpm_connection other;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &args.end, &other));
        EXPECT(!mpm_connection_close(args.end) && !mpm_connection_close(other));
        EXPECT(ends_well(start(node, send_long_in_vain, &args)));
        CU_ASSERT(memory_in_use() < before + args.count * LONG_SIZE / 2);
    }
    everywhere_assert();
}

static void nonsense_is_refused(void)
{
    mpm_connection none = {{0}}, a, b, other;
    char message[8];

    EXPECT(mpm_pipe_create((enum mpm_pipe_direction)7, &a, &b) == MPM_EINVAL);
    EXPECT(mpm_pipe_create(MPM_DUPLEX, NULL, &b) == MPM_EINVAL &&
           mpm_pipe_create(MPM_DUPLEX, &a, NULL) == MPM_EINVAL);
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &a, &b));
    EXPECT(mpm_connection_send(none, "x", 1, 0) == MPM_EINVAL && mpm_connection_close(none) == MPM_EINVAL);
    EXPECT(connection_poll(none, 0) == MPM_EINVAL);
    EXPECT(mpm_connection_recv(none, 0, message, sizeof message, NULL) == MPM_EINVAL);
    other = a;
    other.handle.kind++;
    EXPECT(mpm_connection_send(other, "x", 1, 0) == MPM_EINVAL);
    other = a;
    other.handle.place |= UINT64_C(0xff) << 56;
    EXPECT(mpm_connection_send(other, "x", 1, 0) == MPM_EINVAL);
    other = a;
    other.handle.generation += 1000;
    EXPECT(mpm_connection_send(other, "x", 1, 0) == MPM_ESTALE);
    EXPECT(mpm_connection_send(a, NULL, 1, 0) == MPM_EINVAL);
    EXPECT(mpm_connection_recv(a, 0, NULL, 1, NULL) == MPM_EINVAL);
    EXPECT(mpm_connection_send(a, "x", (size_t)1 << 40, 0) == MPM_ENOMEM);
    EXPECT(connection_poll(b, 0) == 0);
    EXPECT(!mpm_connection_close(a) && !mpm_connection_close(b));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_pipe_keeps_its_promises_everywhere", a_pipe_keeps_its_promises_everywhere},
        {"main_uses_pipes_of_other_nodes", main_uses_pipes_of_other_nodes},
        {"a_duplex_pipe_carries_questions_and_answers", a_duplex_pipe_carries_questions_and_answers},
        {"a_fast_sender_waits_and_its_end_is_told", a_fast_sender_waits_and_its_end_is_told},
        {"what_is_received_wakes_no_receiver_at_the_other_end",
         what_is_received_wakes_no_receiver_at_the_other_end},
        {"an_end_is_gone_when_all_that_held_it_are_dead", an_end_is_gone_when_all_that_held_it_are_dead},
        {"who_has_let_go_of_an_end_does_not_keep_it", who_has_let_go_of_an_end_does_not_keep_it},
        {"an_end_that_was_let_go_is_gone_until_it_is_used_again",
         an_end_that_was_let_go_is_gone_until_it_is_used_again},
        {"the_last_holders_death_wakes_a_receiver", the_last_holders_death_wakes_a_receiver},
        {"the_last_holders_death_wakes_a_sender", the_last_holders_death_wakes_a_sender},
        {"a_process_that_dies_before_it_uses_its_end_held_it",
         a_process_that_dies_before_it_uses_its_end_held_it},
        {"a_process_that_any_process_has_started_holds_its_end",
         a_process_that_any_process_has_started_holds_its_end},
        {"close_wakes_who_waits", close_wakes_who_waits},
        {"a_long_message_that_cannot_be_sent_leaves_nothing",
         a_long_message_that_cannot_be_sent_leaves_nothing},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("pipe", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}

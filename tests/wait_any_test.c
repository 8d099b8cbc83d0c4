/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for several things at once, at home and over virtual nodes. A process that is to live until the
 * test says otherwise waits for a message of its own queue, its gate. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/context.h"
#include "support/predicate.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define MOST       64u /* handles that a test waits for */
#define ROUNDS     AMOUNT(30, 6)

static int wait_at_gate(const void *args, size_t size)
{
    const mpm_queue *gate = args;

    (void)size;
    return mpm_queue_get(*gate, MPM_FOREVER, NULL, 0, NULL) ? 1 : 0;
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

/* Processes that wait at gates of their own, on the nodes in turn. */
struct crowd {
    size_t count;
    mpm_queue gates[MOST];
    mpm_handle handles[MOST];
};

static mpm_process start_on(unsigned node, mpm_target *target, const void *args, size_t size)
{
    mpm_process process = {{0}};

    if (mpm_process_start(target, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process))
        mpm_report_error();
    CU_ASSERT_FATAL(process.handle.kind != 0);
    return process;
}

static void gather(struct crowd *crowd, size_t count)
{
    crowd->count = count;
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &crowd->gates[i]), MPM_OK);
        crowd->handles[i] = start_on((unsigned)i % mpm_node_count(), wait_at_gate, &crowd->gates[i],
                                     sizeof crowd->gates[i])
                                .handle;
    }
}

static void open_gate(const struct crowd *crowd, size_t which)
{
    CU_ASSERT_EQUAL(mpm_queue_put(crowd->gates[which], NULL, 0, 0), MPM_OK);
}

/* Opens it, and waits until its process has ended. */
static void end_one(const struct crowd *crowd, size_t which)
{
    open_gate(crowd, which);
    CU_ASSERT_EQUAL(mpm_process_join((mpm_process){crowd->handles[which]}, PATIENCE_S), MPM_OK);
}

/* Ends those that still run, and forgets all. */
static void disperse(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        mpm_process process = {crowd->handles[i]};

        end_one(crowd, i);
        CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
        CU_ASSERT_EQUAL(mpm_queue_destroy(crowd->gates[i]), MPM_OK);
    }
}

/* Whether a wait tells of exactly these. */
static bool tells(const struct crowd *crowd, double timeout_s, const size_t *wanted, size_t wanted_count)
{
    size_t ready[MOST], count = 0;
    int status = mpm_wait_any(crowd->handles, crowd->count, timeout_s, ready, &count);

    if (status)
        mpm_report_error();
    return !status && count == wanted_count && !memcmp(ready, wanted, count * sizeof *ready);
}

static int status_of_wait(const mpm_handle *handles, size_t count, double timeout_s)
{
    size_t ready[MOST], ready_count = 77;
    int status = mpm_wait_any(handles, count, timeout_s, ready, &ready_count);

    CU_ASSERT((status == MPM_OK) == (ready_count != 77));
    return status;
}

/* Tests. */

static void all_that_have_ended_are_told_in_rising_order(void)
{
    struct crowd crowd;
    size_t ended[] = {1, 3, 4, 6};

    gather(&crowd, 8);
    CU_ASSERT_EQUAL(status_of_wait(crowd.handles, 8, 0), MPM_ETIMEDOUT);
    end_one(&crowd, 4);
    CU_ASSERT(tells(&crowd, 0, &ended[2], 1));
    CU_ASSERT(tells(&crowd, MPM_FOREVER, &ended[2], 1));
    end_one(&crowd, 1);
    end_one(&crowd, 6);
    end_one(&crowd, 3);
    CU_ASSERT(tells(&crowd, 0, ended, 4));
    CU_ASSERT(tells(&crowd, MPM_FOREVER, ended, 4));
    CU_ASSERT(tells(&crowd, 0.5, ended, 4));
    disperse(&crowd);
}

/* Opens one gate after the other, as soon as the last process was seen to end. */
struct opener {
    size_t count;
    mpm_queue next, gates[8];
};

static int open_in_turn(const void *args, size_t size)
{
    const struct opener *opener = args;

    (void)size;
    for (size_t i = 0; i < opener->count; i++) {
        if (mpm_queue_get(opener->next, MPM_FOREVER, NULL, 0, NULL) ||
            mpm_queue_put(opener->gates[i], NULL, 0, 0))
            return 1;
    }
    return 0;
}

static void check_turns(unsigned opener_node)
{
    struct opener opener = {.count = 8};
    mpm_process process;
    struct crowd crowd;

    gather(&crowd, 8);
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &opener.next), MPM_OK);
    memcpy(opener.gates, crowd.gates, sizeof opener.gates);
    process = start_on(opener_node, open_in_turn, &opener, sizeof opener);
    for (size_t i = 0; i < 8; i++) {
        struct crowd rest = {.count = 8 - i};

        memcpy(rest.handles, crowd.handles + i, rest.count * sizeof *rest.handles);
        CU_ASSERT_EQUAL(mpm_queue_put(opener.next, NULL, 0, 0), MPM_OK);
        CU_ASSERT(tells(&rest, PATIENCE_S, &(size_t){0}, 1));
    }
    CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_queue_destroy(opener.next), MPM_OK);
    disperse(&crowd);
}

static void it_wakes_as_soon_as_one_ends_on_any_node(void)
{
    for (unsigned i = 0; i < 4; i++)
        check_turns(i % mpm_node_count());
}

static void a_wait_is_never_early(void)
{
    static const double timeouts_s[] = {-1, 0, 0.01, 0.15};
    struct crowd crowd;

    gather(&crowd, mpm_node_count() + 1);
    for (size_t i = 0; i < sizeof timeouts_s / sizeof *timeouts_s; i++) {
        double began_s = clock_now_s(), least_s = timeouts_s[i] > 0 ? timeouts_s[i] : 0;

        CU_ASSERT_EQUAL(status_of_wait(crowd.handles, crowd.count, timeouts_s[i]), MPM_ETIMEDOUT);
        CU_ASSERT(clock_now_s() - began_s >= least_s);
        CU_ASSERT(clock_now_s() - began_s < least_s + 60);
    }
    CU_ASSERT(strstr(mpm_error(), "was ready after 0.15 s") != NULL);
    disperse(&crowd);
}

/* What waits for all the handles that it is given, one after the other. */
static int wait_for_each(const void *args, size_t size)
{
    size_t count = size / sizeof(mpm_handle), ready[MOST], found;
    mpm_handle left[MOST];

    memcpy(left, args, size);
    while (count) {
        if (mpm_wait_any(left, count, PATIENCE_S, ready, &found) || !found || found > count)
            return 1;
        while (found) /* from the last one on, so that places stay */
            left[ready[--found]] = left[--count];
    }
    return 0;
}

static void any_process_may_wait_and_many_for_the_same(void)
{
    mpm_process waiters[8];
    struct crowd crowd;

    gather(&crowd, MOST);
    for (unsigned i = 0; i < 8; i++)
        waiters[i] = start_on(i % mpm_node_count(), wait_for_each, crowd.handles, sizeof crowd.handles);
    for (size_t i = MOST; i-- > 0;)
        open_gate(&crowd, i);
    for (unsigned i = 0; i < 8; i++) {
        int code = -1;

        CU_ASSERT_EQUAL(mpm_process_join(waiters[i], 2 * PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_exitcode(waiters[i], &code), MPM_OK);
        CU_ASSERT_EQUAL(code, 0);
        CU_ASSERT_EQUAL(mpm_process_close(waiters[i]), MPM_OK);
    }
    disperse(&crowd);
}

/* At home all are known at once; of another node the first answer wakes who waits. */
static void the_same_one_may_be_there_twice(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, do_nothing, NULL, 0);
        struct crowd crowd = {.count = 3, .handles = {process.handle, process.handle, process.handle}};

        if (node != mpm_node_id())
            CU_ASSERT_EQUAL(status_of_wait(crowd.handles, crowd.count, PATIENCE_S), MPM_OK);
        CU_ASSERT(tells(&crowd, PATIENCE_S, (size_t[]){0, 1, 2}, 3));
        CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    }
}

/* The calls of a wait that is over are given up, and their room is used again. */
static void waits_that_are_late_leave_nothing(void)
{
    struct arena_usage before, after;
    struct crowd crowd;

    gather(&crowd, mpm_node_count() + 1);
    CU_ASSERT_EQUAL(status_of_wait(crowd.handles, crowd.count, 0.001), MPM_ETIMEDOUT);
    arena_usage(context_arena(), &before);
    for (unsigned i = 0; i < 20 * ROUNDS; i++)
        CU_ASSERT_EQUAL(status_of_wait(crowd.handles, crowd.count, 0.0001), MPM_ETIMEDOUT);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(before.used_blocks, after.used_blocks);
    disperse(&crowd);
}

static int wait_for_ever(const void *args, size_t size)
{
    return status_of_wait(args, size / sizeof(mpm_handle), MPM_FOREVER) ? 1 : 0;
}

static void waiters_may_be_killed(void)
{
    struct crowd crowd;

    gather(&crowd, mpm_node_count());
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process waiter = start_on(i % mpm_node_count(), wait_for_ever, crowd.handles,
                                      crowd.count * sizeof *crowd.handles);
        int code = 0;

        for (unsigned looks = 0; looks < i; looks++)
            CU_ASSERT_EQUAL(process_is_alive(waiter), 1);
        CU_ASSERT_EQUAL(mpm_process_kill(waiter), MPM_OK);
        CU_ASSERT_EQUAL(status_of_wait(&waiter.handle, 1, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_exitcode(waiter, &code), MPM_OK);
        CU_ASSERT_EQUAL(code, -9);
        CU_ASSERT_EQUAL(mpm_process_close(waiter), MPM_OK);
    }
    open_gate(&crowd, crowd.count - 1);
    CU_ASSERT(tells(&crowd, PATIENCE_S, &(size_t){crowd.count - 1}, 1));
    disperse(&crowd);
}

static void what_is_gone_is_stale(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process gone = start_on(node, do_nothing, NULL, 0), other = start_on(node, do_nothing, NULL, 0);
        mpm_handle handles[] = {other.handle, gone.handle};

        CU_ASSERT_EQUAL(mpm_process_join(gone, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_close(gone), MPM_OK);
        CU_ASSERT_EQUAL(status_of_wait(handles, 2, 0), MPM_ESTALE);
        CU_ASSERT_EQUAL(status_of_wait(handles, 2, MPM_FOREVER), MPM_ESTALE);
        CU_ASSERT_EQUAL(status_of_wait(handles, 1, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_close(other), MPM_OK);
    }
}

static void nonsense_is_refused(void)
{
    mpm_process process = start_on(0, do_nothing, NULL, 0);
    mpm_handle handles[] = {process.handle, {0}};
    size_t ready[2], count;

    CU_ASSERT_EQUAL(mpm_wait_any(handles, 0, 0, ready, &count), MPM_EINVAL);
    CU_ASSERT(strstr(mpm_error(), "count is 0") != NULL);
    CU_ASSERT_EQUAL(mpm_wait_any(NULL, 1, 0, ready, &count), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_wait_any(handles, 1, 0, NULL, &count), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_wait_any(handles, 1, 0, ready, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(status_of_wait(handles, 2, 0), MPM_EINVAL);
    CU_ASSERT(strstr(mpm_error(), "handles[1]") != NULL);
    handles[1] = process.handle;
    handles[1].home = (uint16_t)mpm_node_count();
    CU_ASSERT_EQUAL(status_of_wait(handles, 2, 0), MPM_EINVAL);
    handles[1] = (mpm_handle){.kind = UINT16_MAX, .generation = 1};
    CU_ASSERT_EQUAL(status_of_wait(handles, 2, 0), MPM_EINVAL);
    CU_ASSERT_EQUAL(status_of_wait(handles, 1, PATIENCE_S), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"all_that_have_ended_are_told_in_rising_order", all_that_have_ended_are_told_in_rising_order},
        {"it_wakes_as_soon_as_one_ends_on_any_node", it_wakes_as_soon_as_one_ends_on_any_node},
        {"a_wait_is_never_early", a_wait_is_never_early},
        {"any_process_may_wait_and_many_for_the_same", any_process_may_wait_and_many_for_the_same},
        {"the_same_one_may_be_there_twice", the_same_one_may_be_there_twice},
        {"waits_that_are_late_leave_nothing", waits_that_are_late_leave_nothing},
        {"waiters_may_be_killed", waiters_may_be_killed},
        {"what_is_gone_is_stale", what_is_gone_is_stale},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("wait_any", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}

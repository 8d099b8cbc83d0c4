/* SPDX-License-Identifier: BSD-3-Clause */
/* The old way: waiting for an object at home. It writes only what stays with the cell: the object may be another one by
 * the time that somebody looks. */
#include "object/operation.h"

#include "mpmap/status.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"

#define SPIN_NS          5000u
#define MAX_PAUSES       64u
#define MAX_FIRST_PAUSES 32u /* less than a microsecond */

/* How long to pause before the first look: what the last ones taught. Whoever finds more than it needs at its
 * first look waits for somebody who is at work: then it comes less often, so that the other one keeps its
 * cache lines, and there is more to be done at once. If there is no more than one of what it waits for, or if
 * that took longer, every moment counts. */
static unsigned first_pauses(const struct operation *operation, const struct object *object)
{
    unsigned pauses = operation->amount
                          ? atomic_load_explicit(&object->wait[operation->wait].pauses, memory_order_relaxed)
                          : 1;

    return pauses ? pauses : 1;
}

/* It is stored only if it changes, because whoever works on the object reads that line. */
static void learn(const struct operation *operation, struct object *object, unsigned first,
                  bool at_first_look)
{
    unsigned pauses = first;

    if (!operation->amount)
        return;
    if (at_first_look && operation->amount(object) > 1)
        pauses = first < MAX_FIRST_PAUSES ? first * 2 : first;
    else if (first > 1)
        pauses = first / 2;
    if (pauses != first)
        atomic_store_explicit(&object->wait[operation->wait].pauses, pauses, memory_order_relaxed);
}

/* The longer it takes, the less often it looks. */
static bool spin(const struct operation *operation, struct object *object, const void *argument)
{
    uint64_t until_ns = clock_now_ns() + SPIN_NS;
    unsigned first = first_pauses(operation, object), pauses = first;

    do {
        for (unsigned i = 0; i < pauses; i++)
            wait_pause();
        if (operation->is_ready(object, argument)) {
            learn(operation, object, first, pauses == first);
            return true;
        }
        if (pauses < MAX_PAUSES)
            pauses *= 2;
    } while (clock_now_ns() < until_ns);
    learn(operation, object, first, false);
    return false;
}

/* After the last look: asleep until a change, RUNTIME_CHECK_NS have passed, or the deadline has come. */
static void sleep_until_ready(const struct operation *operation, struct object *object,
                              const mpm_handle *handle, const void *argument, uint32_t seen,
                              uint64_t deadline_ns)
{
    struct object_wait *wait = &object->wait[operation->wait];
    uint64_t check_ns = clock_now_ns() + RUNTIME_CHECK_NS;

    DELAY_POINT();
    atomic_store(&wait->wanted, 1);
    atomic_thread_fence(memory_order_seq_cst);
    DELAY_POINT();
    if (object_is(object, handle) && !operation->is_ready(object, argument))
        (operation->is_interruptible ? wait_change_or_interrupt : wait_change)(
            &wait->word, seen, 0, deadline_ns < check_ns ? deadline_ns : check_ns);
}

/* Who sleeps has read the word before its last try: is_ready() need not know of deaths, because a reaper
 * moves the word on after it has said that somebody is dead. */
static int try_until(const struct operation *operation, struct object *object, const mpm_handle *handle,
                     void *argument, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    bool is_late = timeout_s <= 0;
    int status;

    while (!is_late) {
        bool is_ready = spin(operation, object, argument);
        uint32_t seen = wait_look(&object->wait[operation->wait].word);

        DELAY_POINT();
        if ((status = operation->try(object, handle, argument)) != CALL_MUST_WAIT)
            return status;
        if (!is_ready)
            sleep_until_ready(operation, object, handle, argument, seen, deadline_ns);
        if (operation->is_interruptible && interrupt_is_pending())
            return interrupt_take(object_kind_name(operation->kind));
        if ((is_late = clock_now_ns() >= deadline_ns) &&
            (status = operation->try(object, handle, argument)) != CALL_MUST_WAIT)
            return status;
        if ((status = runtime_check_whole()))
            return status;
    }
    return error_set(operation->late_status, "%s", operation->late_sentence);
}

int operation_wait(const struct operation *operation, struct object *object, const mpm_handle *handle,
                   void *argument, double timeout_s)
{
    int status;

    runtime_enter();
    status = try_until(operation, object, handle, argument, timeout_s);
    runtime_leave();
    return status;
}

int operation_wait_in_turn(const struct operation *operation, struct object *object, const mpm_handle *handle,
                           void *argument, enum turn *turn, double timeout_s)
{
    int status = operation->late_status;

    if (timeout_s > 0)
        status = operation_wait(operation, object, handle, argument, timeout_s);
    if (status != operation->late_status)
        return status;
    *turn = TURN_PASSES;
    status = operation->try(object, handle, argument);
    return status == CALL_MUST_WAIT ? operation_wait(operation, object, handle, argument, 0) : status;
}

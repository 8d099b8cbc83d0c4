/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for an object at home. It writes only what stays with the object record: the object may be another one by
 * the time that somebody looks. */
#include "mpmap/status.h"

#include <assert.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_role.h"
#include "node/context.h"
#include "object/call.h"
#include "object/method.h"
#include "object/spin.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"

#define MAX_RESTS 8u /* before the first look: less than a microsecond */

/* How long to rest before the first look: what the last ones taught. Whoever finds more than it needs at its
 * first look waits for somebody who is at work: then it comes less often, so that the other one keeps its
 * cache lines, and there is more to be done at once. If there is no more than one of what it waits for, or if
 * that took longer, every moment counts. */
static unsigned first_rests(const struct method *method, struct spin_hint hint)
{
    return method->amount && hint.rests ? hint.rests : 1;
}

static void learn_rests(const struct method *method, struct object *object, bool at_first_look,
                        struct spin_hint *hint)
{
    unsigned first = first_rests(method, *hint);

    if (!method->amount)
        return;
    if (at_first_look && method->amount(object) > 1)
        hint->rests = (uint8_t)(first < MAX_RESTS ? first * 2 : first);
    else if (first > 1)
        hint->rests = (uint8_t)(first / 2);
}

/* Who waits for one of many things that others make, one after the other, gains more than a wake-up if it finds them:
 * it looks on for a moment, unless it has just woken somebody. */
static uint64_t time_to_look_ns(const struct method *method, struct spin_hint hint)
{
    bool has_woken = object_has_woken();
    uint64_t time_ns = spin_time_ns(hint, has_woken);

    return method->amount && !has_woken && !time_ns ? SPIN_SHORT_NS : time_ns;
}

/* Looks on for a time. */
static bool spin(struct object *object, struct object_wait *wait, const struct invocation *invocation)
{
    const struct method *method = invocation->method;
    struct spin_hint hint = spin_hint_of(wait);
    unsigned looks = 0;
    uint64_t start_ns = clock_now_ns(), now_ns = start_ns, time_ns = time_to_look_ns(method, hint);
    bool is_found = false;

    while (!is_found && now_ns - start_ns < time_ns) {
        for (unsigned rests = looks ? 1 : first_rests(method, hint); rests > 0; rests--)
            now_ns = spin_rest(now_ns);
        is_found = method->is_ready(object, invocation);
        looks++;
    }
    learn_rests(method, object, is_found && looks == 1, &hint);
    spin_learn(wait, hint, is_found, now_ns - start_ns);
    return is_found;
}

static void sleep_on(struct eventcount *word, uint32_t seen, uint64_t until_ns, const struct method *method)
{
    (method_is_interruptible(method) ? wait_change_or_interrupt : eventcount_wait)(word, seen, 0, until_ns);
}

/* An interruption stays pending until it is taken. */
static bool is_interrupted_now(const struct method *method)
{
    return method_is_interruptible(method) && interrupt_is_pending();
}

/* After the last look: asleep until a change, CONTEXT_CHECK_NS have passed, or the deadline has come. */
static void sleep_until_ready(struct object *object, struct object_wait *wait, const mpm_handle *handle,
                              const struct invocation *invocation, uint32_t seen, uint64_t deadline_ns)
{
    uint64_t check_ns = clock_now_ns() + CONTEXT_CHECK_NS;

    DELAY_POINT();
    atomic_store(&wait->wanted, 1);
    /* Pairs with the fence between each change and its object_wake(): object_fence_after_unlock(), fairness_tell(),
     * fairness_note_waiting(), or the atomic operation that is the change. Without, neither sees the other, and this
     * sleeps, though it could go on, until CONTEXT_CHECK_NS have passed. */
    atomic_thread_fence(memory_order_seq_cst);
    DELAY_POINT();
    if (object_is(object, handle) && !invocation->method->is_ready(object, invocation))
        sleep_on(&wait->word, seen, deadline_ns < check_ns ? deadline_ns : check_ns, invocation->method);
}

static struct object_wait *wait_of(struct object *object, const struct invocation *invocation)
{
    const struct method *method = invocation->method;

    return &object->wait[method->wait_of ? method->wait_of(invocation) : method->wait];
}

/* CALL_MUST_WAIT when the time is up, or it is interrupted. Who sleeps has read the word before its last try:
 * is_ready() need not know of deaths, because a reaper moves the word on after it has said that somebody is dead. */
static int wait_at_object(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                          uint64_t deadline_ns, bool *is_interrupted)
{
    struct object_wait *wait = wait_of(object, invocation);
    bool is_ready = spin(object, wait, invocation);
    int status;

    for (;; is_ready = false) {
        uint32_t seen = eventcount_prepare(&wait->word);

        DELAY_POINT();
        if ((status = invocation->method->try(object, handle, invocation)) != CALL_MUST_WAIT)
            return status;
        if (!is_ready)
            sleep_until_ready(object, wait, handle, invocation, seen, deadline_ns);
        if ((*is_interrupted = is_interrupted_now(invocation->method)))
            return CALL_MUST_WAIT;
        if (clock_now_ns() >= deadline_ns)
            return invocation->method->try(object, handle, invocation);
        if ((status = context_check_whole()))
            return status;
    }
}

/* The same for what stands in no object record. */
static int wait_at_word(const mpm_handle *handle, struct invocation *invocation, uint64_t deadline_ns,
                        bool *is_interrupted)
{
    struct eventcount *word = invocation->method->sleeps_on(handle);
    uint64_t now_ns;
    int status;

    for (;;) {
        uint32_t seen = eventcount_prepare(word);

        DELAY_POINT();
        if ((status = invocation->method->try(NULL, handle, invocation)) != CALL_MUST_WAIT ||
            (now_ns = clock_now_ns()) >= deadline_ns || (status = context_check_whole()))
            return status;
        sleep_on(word, seen,
                 deadline_ns - now_ns < CONTEXT_CHECK_NS ? deadline_ns : now_ns + CONTEXT_CHECK_NS,
                 invocation->method);
        if ((*is_interrupted = is_interrupted_now(invocation->method)))
            return CALL_MUST_WAIT;
    }
}

static int wait_in_time(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                        double timeout_s, bool *is_interrupted)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status;

    context_enter();
    status = object ? wait_at_object(object, handle, invocation, deadline_ns, is_interrupted)
                    : wait_at_word(handle, invocation, deadline_ns, is_interrupted);
    context_leave();
    return status;
}

/* Who may wait no longer, or never could, stands back for nobody. Who is interrupted gives up as if its time was up. */
int invoke_wait(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                double timeout_s)
{
    const struct method *method = invocation->method;
    bool is_interrupted = false;
    int status = CALL_MUST_WAIT;

    assert(!thread_is(THREAD_COURIER));
    if (method->by_courier)
        return call_run(handle, invocation, timeout_s);
    if (timeout_s > 0)
        status = wait_in_time(object, handle, invocation, timeout_s, &is_interrupted);
    if (status == CALL_MUST_WAIT && method->side && !is_interrupted) {
        invocation->turn = FAIRNESS_PASSES;
        status = method->try(object, handle, invocation);
    }
    if (status != CALL_MUST_WAIT)
        return status;
    invocation->timeout_s = timeout_s;
    status = method_say_late(object, handle, invocation);
    return is_interrupted && status == method->late_status ? interrupt_take(object_kind_name(method->kind))
                                                           : status;
}

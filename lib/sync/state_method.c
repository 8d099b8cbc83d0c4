/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods that are steps; see the header. Nothing stands here that is shared: states are in state.c.
 *
 * A method that may wait leaves its caller among the state's waiters. When its time is up, the caller leaves; for a
 * caller of another node the home does that, which knows it first. If it dies before, its waiter is a dead thread
 * reference's, which every kind passes over.
 *
 * What is undone for a caller of another node that has taken its call back (object/call.h):
 *   acquire of a lock       it is released, once; who got it from a dead owner leaves it to a dead owner
 *   acquire of a semaphore  the permit is given back
 *   wait at a barrier       the barrier breaks, as it does for each whose time is up, and was met or not
 *   wait for an event       nothing: it has only looked
 * and each of them leaves the waiters. A wait for a condition is not taken back: without the lock, which is at the same
 * node, its caller could not go on. */
#include "sync/state_method.h"

#include <string.h>

#include "mpmap/status.h"

#include "base/error.h"
#include "node/context.h"
#include "shm/interrupt.h"

/* The number of a reply to who is late, while it still has to wait for `leave`: it is to invoke that, and waits as
 * long as it takes. */
#define IS_TO_LEAVE UINT64_MAX

static const struct state_verb *verb_of(const struct invocation *invocation)
{
    return invocation->method->own;
}

int state_try(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    return state_apply(object, handle, verb_of(invocation)->step, invocation->in, invocation->out,
                       &invocation->seen);
}

int state_try_destroy(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    (void)invocation;
    return state_destroy(object, handle, NULL);
}

/* What is true stays true until somebody commits; a death is noticed by the try before the sleep. */
bool state_is_ready(const struct object *object, const struct invocation *invocation)
{
    uint64_t commit = state_commit(object);

    return commit != invocation->seen && (!verb_of(invocation)->needs_permit || (commit & STATE_HAS_VALUE));
}

int state_late(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct state_verb *leave = verb_of(invocation)->leave ? verb_of(invocation)->leave->own : NULL;
    const struct state_request *request = invocation->in;
    struct state_reply *reply = invocation->out;
    int status;

    if (!leave || (!request->may_wait && !verb_of(invocation)->always_waits))
        return error_set(invocation->method->late_status, "%s", invocation->method->late_sentence);
    status = state_apply(object, handle, leave->step, invocation->in, reply, NULL);
    if (status != CALL_MUST_WAIT)
        return status;
    reply->number = IS_TO_LEAVE;
    return MPM_OK;
}

int state_undo(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    struct state_request request = *(struct state_request *)invocation->in;
    struct state_reply reply = {0};
    struct object *object;

    if (object_find(handle, invocation->method->kind, &object))
        return MPM_OK;
    request.number = was_given;
    if (was_given)
        memcpy(&reply, invocation->out, STATE_REPLY_SIZE);
    (void)!state_apply(object, handle, verb_of(invocation)->undo, &request, &reply, NULL);
    return MPM_OK;
}

/* After a wait that was given up, but has to wait for that: whatever interrupted it is pending still. */
static int leave(const mpm_handle *handle, const struct method *method, const struct state_request *request,
                 struct state_reply *reply)
{
    int status = state_invoke(handle, method, request, MPM_FOREVER, reply);

    return status == MPM_ETIMEDOUT && interrupt_is_pending() ? interrupt_take(object_kind_name(method->kind))
                                                             : status;
}

/* Where the step cannot be done at once: `object` was tried already, unless it is NULL. */
static __attribute__((noinline)) int invoke_slowly(struct object *object, const mpm_handle *handle,
                                                   const struct method *method, struct state_request *request,
                                                   struct state_reply *reply, uint64_t seen, double timeout_s)
{
    struct invocation invocation = {.method = method, .in = request, .out = reply, .seen = seen};
    const struct state_verb *verb = method->own;
    int status = object ? invoke_wait(object, handle, &invocation, timeout_s)
                        : invoke(handle, &invocation, timeout_s);

    if (!status && reply->number == IS_TO_LEAVE && verb && verb->leave)
        return leave(handle, verb->leave, request, reply);
    return status;
}

/* At home nearly every step is done at once. The request is filled in where it stays: it is never copied there. */
int state_invoke(const mpm_handle *handle, const struct method *method, const struct state_request *request,
                 double timeout_s, struct state_reply *reply)
{
    const struct state_verb *verb = method->own;
    struct object *object = verb && verb->step ? object_find_recent(handle, method->kind) : NULL;
    int status = CALL_MUST_WAIT;
    struct state_reply told = {0};
    struct state_request asked;
    uint64_t seen = 0;

    if (error_check_timeout(timeout_s))
        return MPM_EINVAL;
    if (!object && !context_topology()->node_count)
        return context_no_run(NULL);
    asked.number = request ? request->number : 0;
    asked.lock = request ? request->lock : (mpm_handle){0};
    asked.caller = thread_ref_own();
    asked.may_wait = timeout_s > 0;
    asked.reserved = 0;
    if (object)
        status = state_apply(object, handle, verb->step, &asked, &told, &seen);
    if (status == CALL_MUST_WAIT)
        status = invoke_slowly(object, handle, method, &asked, &told, seen, timeout_s);
    if (reply && !status)
        *reply = told;
    return status;
}

int state_invoke_plain(const mpm_handle *handle, const struct method *method)
{
    return state_invoke(handle, method, NULL, 0, NULL);
}

int state_invoke_number(const mpm_handle *handle, const struct method *method, uint64_t *number)
{
    struct state_reply reply = {0};
    int status = state_invoke(handle, method, NULL, 0, &reply);

    if (!status)
        *number = reply.number;
    return status;
}

int state_check_make(const char *call, const void *place)
{
    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    if (!place)
        return error_set(MPM_EINVAL, "%s: the pointer for the result is NULL", call);
    return MPM_OK;
}

int state_make(enum object_kind kind, const struct state *initial, mpm_handle *handle)
{
    struct object *object;
    int status;

    if ((status = object_reserve(&object)))
        return status;
    state_create(object, initial);
    *handle = object_commit(object, kind);
    return MPM_OK;
}

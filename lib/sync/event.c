/* SPDX-License-Identifier: BSD-3-Clause */
/* Events. Of a state they use `value`: 1 if the event is set; and `turn`: how often it was set. Changed as
 * state.c says. Who waits remembers how often it was set when the wait began: it goes on when that is
 * another number, even if the event was cleared at once. A wait from another node asks for that number
 * first. */
#include "mpmap/sync.h"

#include "base/error.h"
#include "object/call.h"
#include "sync/kinds.h"
#include "sync/state_method.h"

enum { EVENT_SET, EVENT_CLEAR, EVENT_LOOK, EVENT_LOOK_IN_TIME, EVENT_WAIT, EVENT_DESTROY };

#define WAS_SET(state) ((uint64_t)(state)->turn + 1) /* as a request's number, where 0 is none yet */

static int set(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    if (draft->state->value)
        return MPM_OK;
    draft->state->value = 1;
    draft->state->turn++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static int clear(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    draft->is_changed = draft->state->value;
    draft->state->value = 0;
    return MPM_OK;
}

/* The reply: how often it was set << 1, and whether it is. */
static int look(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    reply->number = WAS_SET(draft->state) << 1 | draft->state->value;
    return MPM_OK;
}

static int wait_until_set(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    if (draft->state->value || (request->number && request->number != WAS_SET(draft->state)))
        return MPM_OK;
    request->number = WAS_SET(draft->state);
    return CALL_MUST_WAIT;
}

/* For mpm_wait_any. */
static int look_for_wait_any(const mpm_handle *handle)
{
    struct state_request request = {.number = 0};
    struct state_reply reply = {0};
    struct object *object;
    int status;

    if ((status = object_find(handle, OBJECT_EVENT, &object)) ||
        (status = state_apply(object, handle, look, &request, &reply, NULL)))
        return status;
    return reply.number & 1 ? MPM_OK : CALL_MUST_WAIT;
}

static const struct method methods[] = {
    {OBJECT_EVENT, EVENT_SET, "set", STATE_METHOD(.step = set)},
    {OBJECT_EVENT, EVENT_CLEAR, "clear", STATE_METHOD(.step = clear)},
    {OBJECT_EVENT, EVENT_LOOK, "look", STATE_METHOD(.step = look)},
    {OBJECT_EVENT, EVENT_LOOK_IN_TIME, "look in time", STATE_METHOD(.step = look), .is_timed = true,
     .late_status = MPM_ETIMEDOUT},
    {OBJECT_EVENT, EVENT_WAIT, "wait", STATE_METHOD(.step = wait_until_set), .is_timed = true,
     .late_status = MPM_ETIMEDOUT, .late_sentence = "the event was not set within the timeout"},
    {OBJECT_EVENT, EVENT_DESTROY, "destroy", .try = state_try_destroy},
};
const struct kind event_kind = {OBJECT_EVENT, methods, sizeof methods / sizeof *methods,
                                .looks = look_for_wait_any, .marks = state_mark_dead};

/* The interface. */

int mpm_event_create(mpm_event *event)
{
    int status = state_check_make("mpm_event_create", event);

    return status ? status : state_make(OBJECT_EVENT, &(struct state){0}, &event->handle);
}

int mpm_event_destroy(mpm_event event)
{
    return state_invoke_plain(&event.handle, &methods[EVENT_DESTROY]);
}

int mpm_event_set(mpm_event event)
{
    return state_invoke_plain(&event.handle, &methods[EVENT_SET]);
}

int mpm_event_clear(mpm_event event)
{
    return state_invoke_plain(&event.handle, &methods[EVENT_CLEAR]);
}

int mpm_event_is_set(mpm_event event, bool *is_set)
{
    uint64_t reply;
    int status;

    if (!is_set)
        return error_set(MPM_EINVAL, "mpm_event_is_set: the pointer for the answer is NULL");
    if (!(status = state_invoke_number(&event.handle, &methods[EVENT_LOOK], &reply)))
        *is_set = reply & 1;
    return status;
}

int mpm_event_wait(mpm_event event, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    struct state_request request = {.number = 0};
    struct state_reply reply = {0};
    int status;

    if (!object_is_home(&event.handle)) {
        if ((status = state_invoke(&event.handle, &methods[EVENT_LOOK_IN_TIME], NULL, timeout_s, &reply)) ||
            (reply.number & 1))
            return status;
        request.number = reply.number >> 1;
        timeout_s = call_time_left_s(timeout_s, deadline_ns);
    }
    return state_invoke(&event.handle, &methods[EVENT_WAIT], &request, timeout_s, NULL);
}

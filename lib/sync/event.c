/* SPDX-License-Identifier: BSD-3-Clause */
/* Events. Of a state they use `value`: 1 if the event is set; and `turn`: how often it was set. Changed as
 * state.c says. Who waits remembers how often it was set when the wait began: it goes on when that is
 * another number, even if the event was cleared at once. A wait from another node asks for that number
 * first. */
#include "mpmap/sync.h"

#include "base/error.h"
#include "object/call.h"
#include "object/wait_any.h"
#include "sync/ask.h"
#include "sync/layer.h"

#define WAS_SET(state) ((uint64_t)(state)->turn + 1) /* as a request's number, where 0 is none yet */

static int set(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    if (draft->state->value)
        return MPM_OK;
    draft->state->value = 1;
    draft->state->turn++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static int clear(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    draft->is_changed = draft->state->value;
    draft->state->value = 0;
    return MPM_OK;
}

/* The answer: how often it was set << 1, and whether it is. */
static int look(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)request;
    answer->number = WAS_SET(draft->state) << 1 | draft->state->value;
    return MPM_OK;
}

static int wait_until_set(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)answer;
    if (draft->state->value || (request->number && request->number != WAS_SET(draft->state)))
        return MPM_OK;
    request->number = WAS_SET(draft->state);
    return CALL_MUST_WAIT;
}

static const struct ask setting = {.verb = ASK_EVENT_SET, .kind = OBJECT_EVENT, .step = set};
static const struct ask clearing = {.verb = ASK_EVENT_CLEAR, .kind = OBJECT_EVENT, .step = clear};
static const struct ask looking = {.verb = ASK_EVENT_LOOK, .kind = OBJECT_EVENT, .step = look};
static const struct ask looking_in_time = {
    .verb = ASK_EVENT_LOOK, .kind = OBJECT_EVENT, .step = look, .is_timed = true};
static const struct ask waiting = {.verb = ASK_EVENT_WAIT,
                                   .kind = OBJECT_EVENT,
                                   .step = wait_until_set,
                                   .is_timed = true,
                                   .late_sentence = "the event was not set for as long as the call may wait"};
static const struct ask destroying = {
    .verb = ASK_EVENT_DESTROY, .kind = OBJECT_EVENT, .try = ask_try_destroy};

/* For mpm_wait_any. */
static int look_for_wait_any(const mpm_handle *handle)
{
    struct request request = {.number = 0};
    struct answer answer = {0};
    struct object *object;
    int status;

    if ((status = object_find(handle, OBJECT_EVENT, &object)) ||
        (status = state_apply(object, handle, look, &request, &answer, NULL)))
        return status;
    return answer.number & 1 ? MPM_OK : CALL_MUST_WAIT;
}

void event_announce(void)
{
    static const struct ask *const asks[] = {&setting, &clearing, &looking, &waiting, &destroying};

    ask_register(asks, sizeof asks / sizeof *asks);
}

void event_begin(void)
{
    wait_any_register(OBJECT_EVENT, look_for_wait_any);
}

/* The interface. */

int mpm_event_create(mpm_event *event)
{
    int status = ask_check_create("mpm_event_create", event);

    return status ? status : ask_create(OBJECT_EVENT, &(struct state){0}, &event->handle);
}

int mpm_event_destroy(mpm_event event)
{
    return ask_plain(&event.handle, &destroying);
}

int mpm_event_set(mpm_event event)
{
    return ask_plain(&event.handle, &setting);
}

int mpm_event_clear(mpm_event event)
{
    return ask_plain(&event.handle, &clearing);
}

int mpm_event_is_set(mpm_event event, bool *is_set)
{
    uint64_t answer;
    int status;

    if (!is_set)
        return error_set(MPM_EINVAL, "mpm_event_is_set: the place for the reply is NULL");
    if (!(status = ask_number(&event.handle, &looking, &answer)))
        *is_set = answer & 1;
    return status;
}

int mpm_event_wait(mpm_event event, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    struct request request = {.number = 0};
    struct answer answer = {0};
    int status;

    if (!object_is_home(&event.handle)) {
        if ((status = ask(&event.handle, &looking_in_time, NULL, timeout_s, &answer)) || (answer.number & 1))
            return status;
        request.number = answer.number >> 1;
        timeout_s = call_time_left_s(timeout_s, deadline_ns);
    }
    return ask(&event.handle, &waiting, &request, timeout_s, NULL);
}

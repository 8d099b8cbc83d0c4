/* SPDX-License-Identifier: BSD-3-Clause */
/* Semaphores. A permit that nobody waits for is taken and given back in the quick way (quick.h), which all steps here
 * know nothing of. Of a state they use `value`: free permits; `limit`: the most that there may be; and the line of
 * those who wait. Changed as state.c says. Nobody owns a permit: those of the dead are gone. */
#include <limits.h>
#include <math.h>

#include "mpmap/sync.h"

#include "base/error.h"
#include "sync/kinds.h"
#include "sync/quick.h"
#include "sync/wait_queue.h"
#include "sync/state_method.h"

enum { SEMAPHORE_ACQUIRE, SEMAPHORE_LEAVE, SEMAPHORE_RELEASE, SEMAPHORE_LOOK, SEMAPHORE_DESTROY };

static int acquire(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    if (!draft->state->value || !wait_queue_may_take(draft))
        return wait_queue_wait(draft, request);
    draft->state->value--;
    wait_queue_took(draft);
    return MPM_OK;
}

static int release(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    uint32_t most = draft->state->limit;

    (void)request;
    (void)reply;
    if (draft->state->value == most)
        return error_set(MPM_EINVAL,
                         "released too often: the semaphore already has %u permits, the most it can have",
                         most);
    draft->state->value++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static int look(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    reply->number = draft->state->value;
    return MPM_OK;
}

static const char late_sentence[] = "the semaphore had no permit within the timeout";

static int leave(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    wait_queue_leave(draft);
    return error_set(MPM_ETIMEDOUT, "%s", late_sentence);
}

static int give_up_acquire(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    wait_queue_leave(draft);
    if (!request->number || draft->state->value == draft->state->limit)
        return MPM_OK;
    draft->state->value++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static const struct method methods[] = {
    {OBJECT_SEMAPHORE, SEMAPHORE_ACQUIRE, "acquire",
     STATE_METHOD(.step = acquire, .needs_permit = true, .leave = &methods[SEMAPHORE_LEAVE],
                  .undo = give_up_acquire),
     .is_timed = true, .late_status = MPM_ETIMEDOUT, .late_sentence = late_sentence, .undo = state_undo,
     .gives = true},
    {OBJECT_SEMAPHORE, SEMAPHORE_LEAVE, "leave", STATE_METHOD(.step = leave)},
    {OBJECT_SEMAPHORE, SEMAPHORE_RELEASE, "release", STATE_METHOD(.step = release)},
    {OBJECT_SEMAPHORE, SEMAPHORE_LOOK, "look", STATE_METHOD(.step = look)},
    {OBJECT_SEMAPHORE, SEMAPHORE_DESTROY, "destroy", .try = state_try_destroy},
};
const struct kind semaphore_kind = {OBJECT_SEMAPHORE, methods, sizeof methods / sizeof *methods,
                                    .marks = state_mark_dead};

/* The interface. */

static int create(const char *call, unsigned value, unsigned most, mpm_semaphore *semaphore)
{
    int status;

    if ((status = state_check_make(call, semaphore)))
        return status;
    if (value > INT_MAX)
        return error_set(MPM_EINVAL, "%s: %u permits are too many: at most %d are allowed", call, value,
                         INT_MAX);
    return state_make(OBJECT_SEMAPHORE,
                      &(struct state){.value = value, .limit = most, .flags = STATE_MAY_BE_QUICK},
                      &semaphore->handle);
}

int mpm_semaphore_create(unsigned value, mpm_semaphore *semaphore)
{
    return create("mpm_semaphore_create", value, INT_MAX, semaphore);
}

int mpm_bounded_semaphore_create(unsigned value, mpm_semaphore *semaphore)
{
    return create("mpm_bounded_semaphore_create", value, value, semaphore);
}

int mpm_semaphore_destroy(mpm_semaphore semaphore)
{
    return state_invoke_plain(&semaphore.handle, &methods[SEMAPHORE_DESTROY]);
}

static __attribute__((noinline)) int acquire_slowly(mpm_semaphore semaphore, double timeout_s)
{
    if (timeout_s > 0 && quick_acquire_permit_soon(&semaphore.handle))
        return MPM_OK;
    return state_invoke(&semaphore.handle, &methods[SEMAPHORE_ACQUIRE], NULL, timeout_s, NULL);
}

int mpm_semaphore_acquire(mpm_semaphore semaphore, double timeout_s)
{
    return !isnan(timeout_s) && quick_acquire_permit(&semaphore.handle)
               ? MPM_OK
               : acquire_slowly(semaphore, timeout_s);
}

static __attribute__((noinline)) int release_slowly(mpm_semaphore semaphore)
{
    return state_invoke_plain(&semaphore.handle, &methods[SEMAPHORE_RELEASE]);
}

int mpm_semaphore_release(mpm_semaphore semaphore)
{
    return quick_release_permit(&semaphore.handle) ? MPM_OK : release_slowly(semaphore);
}

int mpm_semaphore_value(mpm_semaphore semaphore, unsigned *value)
{
    uint64_t number;
    int status;

    if (!value)
        return error_set(MPM_EINVAL, "mpm_semaphore_value: the pointer for the value is NULL");
    if (!(status = state_invoke_number(&semaphore.handle, &methods[SEMAPHORE_LOOK], &number)))
        *value = (unsigned)number;
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Semaphores. Of a state they use `value`: free permits; `limit`: the most that there may be, if it is
 * bounded; and the line of those who wait. Changed as state.c says. Nobody owns a permit: those of the dead
 * are gone. */
#include <limits.h>

#include "mpmap/sync.h"

#include "base/error.h"
#include "sync/ask.h"
#include "sync/layer.h"
#include "sync/line.h"

#define BOUNDED 1u

static int acquire(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)answer;
    if (!draft->state->value || !line_may_take(draft))
        return line_wait(draft, request);
    draft->state->value--;
    line_took(draft);
    return MPM_OK;
}

static uint32_t most_permits(const struct state *state)
{
    return state->flags & BOUNDED ? state->limit : INT_MAX;
}

static int release(struct draft *draft, struct request *request, struct answer *answer)
{
    uint32_t most = most_permits(draft->state);

    (void)request;
    (void)answer;
    if (draft->state->value == most)
        return error_set(MPM_EINVAL,
                         "released once too often: the semaphore has %u permits, and may have no more", most);
    draft->state->value++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static int look(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)request;
    answer->number = draft->state->value;
    return MPM_OK;
}

static const char late_sentence[] = "the semaphore had no permit for as long as the call may wait";

static int leave(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)request;
    (void)answer;
    line_leave(draft);
    return error_set(MPM_ETIMEDOUT, "%s", late_sentence);
}

static int give_up_acquire(struct draft *draft, struct request *request, struct answer *answer)
{
    (void)answer;
    line_leave(draft);
    if (!request->number || draft->state->value == most_permits(draft->state))
        return MPM_OK;
    draft->state->value++;
    draft->is_changed = draft->tells = true;
    return MPM_OK;
}

static const struct ask leaving = {.verb = ASK_SEMAPHORE_LEAVE, .kind = OBJECT_SEMAPHORE, .step = leave};
static const struct ask acquiring = {.verb = ASK_SEMAPHORE_ACQUIRE,
                                     .kind = OBJECT_SEMAPHORE,
                                     .step = acquire,
                                     .needs_permit = true,
                                     .is_timed = true,
                                     .leave = &leaving,
                                     .undo = give_up_acquire,
                                     .late_sentence = late_sentence};
static const struct ask releasing = {
    .verb = ASK_SEMAPHORE_RELEASE, .kind = OBJECT_SEMAPHORE, .step = release};
static const struct ask looking = {.verb = ASK_SEMAPHORE_LOOK, .kind = OBJECT_SEMAPHORE, .step = look};
static const struct ask destroying = {
    .verb = ASK_SEMAPHORE_DESTROY, .kind = OBJECT_SEMAPHORE, .try = ask_try_destroy};

void semaphore_announce(void)
{
    static const struct ask *const asks[] = {&leaving, &acquiring, &releasing, &looking, &destroying};

    ask_register(asks, sizeof asks / sizeof *asks);
}

/* The interface. */

static int create(const char *call, unsigned value, uint32_t flags, mpm_semaphore *semaphore)
{
    int status;

    if ((status = ask_check_create(call, semaphore)))
        return status;
    if (value > INT_MAX)
        return error_set(MPM_EINVAL, "%s: %u permits are too many: at most %d", call, value, INT_MAX);
    return ask_create(OBJECT_SEMAPHORE, &(struct state){.value = value, .limit = value, .flags = flags},
                      &semaphore->handle);
}

int mpm_semaphore_create(unsigned value, mpm_semaphore *semaphore)
{
    return create("mpm_semaphore_create", value, 0, semaphore);
}

int mpm_bounded_semaphore_create(unsigned value, mpm_semaphore *semaphore)
{
    return create("mpm_bounded_semaphore_create", value, BOUNDED, semaphore);
}

int mpm_semaphore_destroy(mpm_semaphore semaphore)
{
    return ask_plain(&semaphore.handle, &destroying);
}

int mpm_semaphore_acquire(mpm_semaphore semaphore, double timeout_s)
{
    return ask(&semaphore.handle, &acquiring, NULL, timeout_s, NULL);
}

int mpm_semaphore_release(mpm_semaphore semaphore)
{
    return ask_plain(&semaphore.handle, &releasing);
}

int mpm_semaphore_value(mpm_semaphore semaphore, unsigned *value)
{
    uint64_t number;
    int status;

    if (!value)
        return error_set(MPM_EINVAL, "mpm_semaphore_value: the place for the value is NULL");
    if (!(status = ask_number(&semaphore.handle, &looking, &number)))
        *value = (unsigned)number;
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of locks, semaphores, conditions, events and barriers, whose state is changed by steps (state.h): at home a
 * process runs the step itself, for callers of other nodes the home's courier does, with the caller's thread reference.
 * What goes is a struct state_request, what comes a struct state_reply. For sync/ only. */
#ifndef SYNC_STATE_METHOD_H
#define SYNC_STATE_METHOD_H

#include "object/method.h"
#include "sync/state.h"

/* What a method of such a kind has: `own` of its struct method. */
struct state_verb {
    state_step *step;
    bool needs_permit; /* no try makes sense as long as `value` is 0 */
    bool always_waits; /* for a moment at least, even with a timeout of 0 */
    /* What is done when the time is up, if it has waited; it may wait, and what it gives counts. */
    const struct method *leave;
    /* Its caller, of another node, has taken it back: the request's number is 1 if it was given what it asked for, as
     * the reply says, and 0 if it was not, or was never tried. */
    state_step *undo;
};

method_try state_try, state_try_destroy, state_late;
bool state_is_ready(const struct object *object, const struct invocation *invocation);
int state_undo(const mpm_handle *handle, struct invocation *invocation, bool was_given);

/* What the struct method of a step has, but for its kind, verb and name. */
#define STATE_METHOD(...)                                                                    \
    .in_size = sizeof(struct state_request), .out_size = STATE_REPLY_SIZE, .try = state_try, \
    .is_ready = state_is_ready, .late = state_late, .own = &(const struct state_verb)        \
    {                                                                                        \
        __VA_ARGS__                                                                          \
    }
/* The same for one that takes more than one step. */
#define STATE_METHOD_THAT(try_it, ...)                                                      \
    .in_size = sizeof(struct state_request), .out_size = STATE_REPLY_SIZE, .try = (try_it), \
    .is_ready = state_is_ready, .own = &(const struct state_verb)                           \
    {                                                                                       \
        __VA_ARGS__                                                                         \
    }
#define STATE_METHOD_BY(try_it) STATE_METHOD_THAT(try_it, .step = NULL)

/* Invokes it with the calling thread's thread reference. `request` and `reply` may be NULL. The method's statuses;
 * MPM_ETIMEDOUT, MPM_EINVAL for what is no handle, MPM_ESTALE, MPM_ENOMEM, MPM_ESTATE without a run, MPM_ENODELOST. */
int state_invoke(const mpm_handle *handle, const struct method *method, const struct state_request *request,
                 double timeout_s, struct state_reply *reply);
/* What asks for nothing but the method. */
int state_invoke_plain(const mpm_handle *handle, const struct method *method);
/* Asks for the number, and gives it. */
int state_invoke_number(const mpm_handle *handle, const struct method *method, uint64_t *number);

/* MPM_ESTATE unless there is a run, MPM_EINVAL if the place for the result is NULL: what all creators
 * check. */
int state_check_make(const char *call, const void *place);
/* Makes an object of this node. MPM_ENOMEM. */
int state_make(enum object_kind kind, const struct state *initial, mpm_handle *handle);

#endif

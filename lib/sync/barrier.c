/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers. Of a state they use `value`: how many parties meet; `flags`: whether it is broken; `argument`:
 * a block with the action, constant; and the waiters: `what` says what became of one, `value` is its index.
 *
 * Who comes is put among the waiters, as ARRIVED. The last of a round, whose index is 0, marks all of the
 * round RELEASED, its own included; if there is an action, it is ACTING first, and marks them when the
 * action is over. Each takes its own waiter out when it has seen what became of it. What breaks the barrier
 * marks all of the round BROKEN. Each of these is one change as state.c says, so a round is released or
 * broken as a whole. Whoever looks at the waiters drops dead ones first, and breaks the barrier if one was
 * ARRIVED or ACTING: one that was killed before it came is not among them, and one that was RELEASED before
 * is not missed. That is looked at again after each death, because the reaper wakes all who wait. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/sync.h"

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "node/function.h"
#include "shm/kill_point.h"
#include "sync/kinds.h"
#include "sync/state_method.h"

enum {
    BARRIER_WAIT,
    BARRIER_LEAVE,
    BARRIER_ACTION,
    BARRIER_DONE,
    BARRIER_ABORT,
    BARRIER_RESET,
    BARRIER_LOOK,
    BARRIER_DESTROY
};

#define BROKEN_FLAG 1u
#define FIRST_ROOM  ((size_t)1 << 12)     /* for an action, at first */
#define ACTS        UINT64_C(0x100000000) /* in a reply: the caller is to run the action */

enum arrival { ARRIVED, ACTING, RELEASED, BROKEN };

/* In the arena, and as the bytes of a reply. */
struct action {
    struct function function;
    uint64_t size;
    _Alignas(16) char args[];
};

static bool is_of_round(const struct waiter *waiter)
{
    return waiter->what == ARRIVED || waiter->what == ACTING;
}

static uint32_t round_size(const struct draft *draft)
{
    uint32_t size = 0;

    for (uint32_t i = 0; i < draft->state->count; i++)
        size += is_of_round(&draft->waiters[i]);
    return size;
}

static void end_round(struct draft *draft, enum arrival what)
{
    for (uint32_t i = 0; i < draft->state->count; i++) {
        if (is_of_round(&draft->waiters[i]))
            draft->waiters[i].what = what;
    }
    draft->is_changed = draft->tells = true;
}

static void break_barrier(struct draft *draft)
{
    draft->state->flags |= BROKEN_FLAG;
    end_round(draft, BROKEN);
}

static int say_broken(void)
{
    return error_set(MPM_EBROKEN, "the barrier is broken: a party timed out or died, the action failed, or "
                                  "it was aborted or reset");
}

static void drop_dead(struct draft *draft)
{
    bool breaks = false;

    for (uint32_t i = draft->state->count; i-- > 0;) {
        if (!thread_ref_is_dead(&draft->waiters[i].thread_ref))
            continue;
        breaks |= is_of_round(&draft->waiters[i]);
        state_remove(draft, &draft->waiters[i]);
    }
    if (breaks)
        break_barrier(draft);
}

/* Takes a waiter out whose round is over. */
static int finish(struct draft *draft, struct waiter *waiter, struct state_reply *reply)
{
    int status = waiter->what == BROKEN ? say_broken() : MPM_OK;

    reply->number = waiter->value;
    state_remove(draft, waiter);
    return status;
}

/* Steps. */

static int arrive(struct draft *draft, struct state_reply *reply)
{
    uint32_t before = round_size(draft), parties = draft->state->value;
    struct waiter *waiter;

    if (draft->state->flags & BROKEN_FLAG)
        return say_broken();
    if (before == parties) /* the round before this one still acts */
        return CALL_MUST_WAIT;
    if (!(waiter = state_add(draft, ARRIVED, parties - 1 - before)))
        return STATE_NEEDS_ROOM;
    if (before + 1 < parties)
        return CALL_MUST_WAIT;
    if (draft->state->argument) {
        waiter->what = ACTING;
        reply->number = ACTS;
        return MPM_OK;
    }
    end_round(draft, RELEASED);
    return finish(draft, waiter, reply);
}

static int wait_for_others(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct waiter *waiter;

    (void)request;
    drop_dead(draft);
    if (!(waiter = state_find(draft)))
        return arrive(draft, reply);
    return is_of_round(waiter) ? CALL_MUST_WAIT : finish(draft, waiter, reply);
}

static const char late_sentence[] =
    "not all parties arrived at the barrier within the timeout: it is broken now";

static bool round_acts(const struct draft *draft)
{
    for (uint32_t i = 0; i < draft->state->count; i++) {
        if (draft->waiters[i].what == ACTING)
            return true;
    }
    return false;
}

/* The caller's time is up. That breaks no round whose parties have all come: it waits until the action is over. */
static int leave(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct waiter *waiter;

    (void)request;
    drop_dead(draft);
    if ((waiter = state_find(draft)) && !is_of_round(waiter))
        return finish(draft, waiter, reply);
    if (round_acts(draft))
        return CALL_MUST_WAIT;
    if (waiter)
        state_remove(draft, waiter);
    break_barrier(draft);
    return error_set(MPM_ETIMEDOUT, "%s", late_sentence);
}

/* The caller has gone: whatever the round came to, it was not there when it should have gone on. */
static int give_up_wait(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct waiter *waiter;

    (void)request;
    (void)reply;
    drop_dead(draft);
    if ((waiter = state_find(draft)))
        state_remove(draft, waiter);
    break_barrier(draft);
    return MPM_OK;
}

/* The caller's action is over: the request's number says whether it has failed. */
static int done(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct waiter *waiter;

    drop_dead(draft);
    if (!(waiter = state_find(draft)))
        return say_broken();
    if (request->number && is_of_round(waiter))
        break_barrier(draft);
    else if (is_of_round(waiter))
        end_round(draft, RELEASED);
    return finish(draft, waiter, reply);
}

static int give_action(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    const struct action *action;
    size_t size;

    (void)request;
    if (!draft->state->argument)
        return error_set(MPM_EINVAL, "the barrier has no action");
    action = arena_at(context_arena(), draft->state->argument);
    size = sizeof *action + action->size;
    if (!(reply->bytes = malloc(size)))
        return error_set(MPM_ENOMEM, "no memory for an action with args of %llu bytes",
                         (unsigned long long)action->size);
    memcpy(reply->bytes, action, size);
    reply->size = size;
    return MPM_OK;
}

static int abort_round(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    drop_dead(draft);
    break_barrier(draft);
    return MPM_OK;
}

static int reset(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    drop_dead(draft);
    end_round(draft, BROKEN);
    draft->state->flags &= ~BROKEN_FLAG;
    return MPM_OK;
}

/* The reply: parties << 32, how many wait << 1, and whether it is broken. */
static int look(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    drop_dead(draft);
    reply->number = (uint64_t)draft->state->value << 32 | (uint64_t)round_size(draft) << 1 |
                    (draft->state->flags & BROKEN_FLAG);
    return MPM_OK;
}

/* Gives the bytes of the action. */
static int try_action(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_reply reply = {0};
    int status = state_apply(object, handle, give_action, invocation->in, &reply, NULL);

    if (!status)
        status = invocation_add(invocation, reply.bytes, reply.size);
    free(reply.bytes);
    return status;
}

static const struct method methods[] = {
    {OBJECT_BARRIER, BARRIER_WAIT, "wait",
     STATE_METHOD(.step = wait_for_others, .always_waits = true, .leave = &methods[BARRIER_LEAVE],
                  .undo = give_up_wait),
     .is_timed = true, .late_status = MPM_ETIMEDOUT, .late_sentence = late_sentence, .undo = state_undo,
     .gives = true},
    {OBJECT_BARRIER, BARRIER_LEAVE, "leave", STATE_METHOD(.step = leave)},
    {OBJECT_BARRIER, BARRIER_ACTION, "action", .in_size = sizeof(struct state_request), .has_more = true,
     .try = try_action},
    {OBJECT_BARRIER, BARRIER_DONE, "done", STATE_METHOD(.step = done)},
    {OBJECT_BARRIER, BARRIER_ABORT, "abort", STATE_METHOD(.step = abort_round)},
    {OBJECT_BARRIER, BARRIER_RESET, "reset", STATE_METHOD(.step = reset)},
    {OBJECT_BARRIER, BARRIER_LOOK, "look", STATE_METHOD(.step = look)},
    {OBJECT_BARRIER, BARRIER_DESTROY, "destroy", .try = state_try_destroy},
};
const struct kind barrier_kind = {OBJECT_BARRIER, methods, sizeof methods / sizeof *methods,
                                  .marks = state_mark_dead};

/* The interface. */

/* A block of the caller's own with what the options say. */
static int make_action(const mpm_barrier_options *options, uint64_t *block)
{
    struct function function;
    struct action *action;
    int status;

    if (options->size > MPM_ACTION_MAX_SIZE)
        return error_set(MPM_EINVAL, "mpm_barrier_create: args of %zu bytes: at most %d are allowed",
                         options->size, MPM_ACTION_MAX_SIZE);
    if (options->size && !options->args)
        return error_set(MPM_EINVAL, "mpm_barrier_create: args is NULL, but its size is %zu bytes",
                         options->size);
    if ((status = function_name((function_pointer *)options->action, &function)) ||
        (status = arena_alloc(context_arena(), sizeof *action + options->size, process_own_number(), block)))
        return status;
    action = arena_at(context_arena(), *block);
    action->function = function;
    action->size = options->size;
    if (options->size)
        memcpy(action->args, options->args, options->size);
    return MPM_OK;
}

int mpm_barrier_create(unsigned parties, const mpm_barrier_options *options, mpm_barrier *barrier)
{
    struct state initial = {.value = parties};
    int status;

    if ((status = state_check_make("mpm_barrier_create", barrier)))
        return status;
    if (!parties || parties > MPM_BARRIER_MAX_PARTIES)
        return error_set(MPM_EINVAL, "mpm_barrier_create: %u parties: it must be 1 to %d", parties,
                         MPM_BARRIER_MAX_PARTIES);
    if (options && options->action && (status = make_action(options, &initial.argument)))
        return status;
    if ((status = state_make(OBJECT_BARRIER, &initial, &barrier->handle)))
        arena_free(context_arena(), initial.argument);
    return status;
}

int mpm_barrier_destroy(mpm_barrier barrier)
{
    return state_invoke_plain(&barrier.handle, &methods[BARRIER_DESTROY]);
}

/* The action, in memory of the caller's: a short one is had at once. */
static int find_action(const mpm_barrier *barrier, struct action **action)
{
    struct state_request request = {.caller = thread_ref_own()};
    struct invocation invocation = {.method = &methods[BARRIER_ACTION], .in = &request};
    int status;

    *action = NULL;
    for (size_t room = FIRST_ROOM;; room = invocation.size) {
        struct action *grown = realloc(*action, room);

        if (!grown)
            return error_set(MPM_ENOMEM, "no memory for an action of %zu bytes", room);
        *action = invocation.more = grown;
        invocation.room = room;
        invocation.size = 0;
        if ((status = invoke(&barrier->handle, &invocation, 0)) || invocation.size <= room)
            return status;
    }
}

/* What the action returns, or why it could not be run. */
static int run_action(const mpm_barrier *barrier)
{
    struct action *action;
    function_pointer *function;
    int status = find_action(barrier, &action);

    if (!status && !(status = function_find(&action->function, &function))) {
        status = ((mpm_target *)function)(action->size ? action->args : NULL, action->size);
        context_back_from_program(status);
    }
    free(action);
    return status;
}

static int act(const mpm_barrier *barrier, struct state_reply *reply)
{
    struct state_request request = {.number = run_action(barrier) != 0};

    KILL_POINT();
    return state_invoke(&barrier->handle, &methods[BARRIER_DONE], &request, 0, reply);
}

int mpm_barrier_wait(mpm_barrier barrier, double timeout_s, unsigned *index)
{
    struct state_reply reply = {0};
    int status = state_invoke(&barrier.handle, &methods[BARRIER_WAIT], NULL, timeout_s, &reply);

    if (!status && reply.number == ACTS)
        status = act(&barrier, &reply);
    if (!status && index)
        *index = (unsigned)reply.number;
    return status;
}

int mpm_barrier_abort(mpm_barrier barrier)
{
    return state_invoke_plain(&barrier.handle, &methods[BARRIER_ABORT]);
}

int mpm_barrier_reset(mpm_barrier barrier)
{
    return state_invoke_plain(&barrier.handle, &methods[BARRIER_RESET]);
}

int mpm_barrier_parties(mpm_barrier barrier, unsigned *parties)
{
    uint64_t reply;
    int status;

    if (!parties)
        return error_set(MPM_EINVAL, "mpm_barrier_parties: the pointer for the number is NULL");
    if (!(status = state_invoke_number(&barrier.handle, &methods[BARRIER_LOOK], &reply)))
        *parties = (unsigned)(reply >> 32);
    return status;
}

int mpm_barrier_waiting(mpm_barrier barrier, unsigned *count)
{
    uint64_t reply;
    int status;

    if (!count)
        return error_set(MPM_EINVAL, "mpm_barrier_waiting: the pointer for the number is NULL");
    if (!(status = state_invoke_number(&barrier.handle, &methods[BARRIER_LOOK], &reply)))
        *count = (unsigned)((reply & UINT32_MAX) >> 1);
    return status;
}

int mpm_barrier_is_broken(mpm_barrier barrier, bool *is_broken)
{
    uint64_t reply;
    int status;

    if (!is_broken)
        return error_set(MPM_EINVAL, "mpm_barrier_is_broken: the pointer for the answer is NULL");
    if (!(status = state_invoke_number(&barrier.handle, &methods[BARRIER_LOOK], &reply)))
        *is_broken = reply & 1;
    return status;
}

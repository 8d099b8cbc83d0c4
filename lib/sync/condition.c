/* SPDX-License-Identifier: BSD-3-Clause */
/* Conditions. Of a state they use `lock`: the lock that they stand over, an object of the same node; and
 * the waiters: `what` says whether one was notified, `value` how often it had the lock.
 *
 * A wait goes through two objects, each changed as state.c says, in this order:
 *   1. the caller is put among the waiters. A notifier needs the lock, so nobody notifies it yet;
 *   2. it gives up the lock;
 *   3. it waits until it is marked as notified, or its time is up;
 *   4. it takes the lock again;
 *   5. it takes itself out, and learns whether it was notified.
 * 4 and 5 are one call, as 1 to 3 are: a waiter of another node makes two, and returns one and a half round trips after
 * it was notified.
 * If it is killed before 1, it has the lock, dead. After 1: the same, and its waiter is a dead thread reference's.
 * After 2, 3 or 4 its waiter is a dead thread reference's, notified or not. After 5 it has the lock, dead.
 * Whoever looks at the waiters drops dead ones first, and marks for each dead one that was notified the
 * oldest live one that was not: so no notification is lost until its waiter has the lock, and no dead waiter
 * is notified. That is looked at again after each death, because the reaper wakes all who wait.
 * A waiter that was notified after its time was up, before 5, has been notified. */
#include <stdlib.h>

#include "mpmap/sync.h"
#include "mpmap/wait.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"
#include "sync/kinds.h"
#include "sync/lock.h"

enum { CONDITION_WAIT, CONDITION_NOTIFY, CONDITION_DESTROY };

#define OWNS_LOCK 1u

enum waiting { WAITING, NOTIFIED };

static void notify_oldest(struct draft *draft, uint64_t count)
{
    for (uint32_t i = 0; count && i < draft->state->count; i++) {
        if (draft->waiters[i].what != WAITING)
            continue;
        draft->waiters[i].what = NOTIFIED;
        draft->is_changed = draft->tells = true;
        count--;
    }
}

static void drop_dead(struct draft *draft)
{
    uint64_t inherited = 0;

    for (uint32_t i = draft->state->count; i-- > 0;) {
        if (!thread_ref_is_dead(&draft->waiters[i].thread_ref))
            continue;
        inherited += draft->waiters[i].what == NOTIFIED;
        state_remove(draft, &draft->waiters[i]);
    }
    notify_oldest(draft, inherited);
}

/* Steps on the condition. */

static int add(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    drop_dead(draft);
    return state_add(draft, WAITING, (uint32_t)request->number) ? MPM_OK : STATE_NEEDS_ROOM;
}

/* The reply is 1 if the caller is not among the waiters. */
static int look(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    const struct waiter *waiter;

    (void)request;
    drop_dead(draft);
    waiter = state_find(draft);
    reply->number = !waiter;
    return waiter && waiter->what == WAITING ? CALL_MUST_WAIT : MPM_OK;
}

/* The reply: how often the caller had the lock << 1, and whether it was notified. */
static int leave(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct waiter *waiter;

    (void)request;
    drop_dead(draft);
    if ((waiter = state_find(draft))) {
        reply->number = (uint64_t)waiter->value << 1 | (waiter->what == NOTIFIED);
        state_remove(draft, waiter);
    }
    return MPM_OK;
}

static int notify(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    drop_dead(draft);
    notify_oldest(draft, request->number);
    return MPM_OK;
}

/* Tries, which go through both objects. */

static int apply_to_lock(const mpm_handle *lock, state_step *step, const struct state_request *request,
                         uint64_t *number)
{
    struct state_request of_lock = *request;
    struct state_reply reply = {0};
    struct object *object;
    int status;

    if ((status = object_find(lock, OBJECT_LOCK, &object)))
        return status;
    status = state_apply(object, lock, step, &of_lock, &reply, NULL);
    if (number)
        *number = reply.number;
    return status;
}

/* The lock of a condition that is there: it is constant. */
static int find_lock(struct object *object, const mpm_handle *handle, mpm_handle *lock)
{
    *lock = *state_lock(object);
    return object_is(object, handle) ? MPM_OK : object_stale(handle);
}

/* Of one that is not among the waiters yet: 1 and 2 of the above. */
static int begin(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_request *request = invocation->in;
    mpm_handle lock;
    int status;

    if ((status = find_lock(object, handle, &lock)) ||
        (status = apply_to_lock(&lock, lock_look, request, &request->number)) ||
        (status = state_apply(object, handle, add, request, invocation->out, &invocation->seen)))
        return status;
    KILL_POINT();
    if ((status = apply_to_lock(&lock, lock_give_up, request, NULL)))
        return status;
    return CALL_MUST_WAIT;
}

static int try_wait(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_reply *reply = invocation->out;
    int status = state_apply(object, handle, look, invocation->in, reply, &invocation->seen);

    return !status && reply->number ? begin(object, handle, invocation) : status;
}

static int try_notify(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    mpm_handle lock;
    int status;

    if ((status = find_lock(object, handle, &lock)) ||
        (status = apply_to_lock(&lock, lock_look, invocation->in, NULL)))
        return status;
    return state_apply(object, handle, notify, invocation->in, invocation->out, NULL);
}

/* A condition by its place and generation, in one number. */

static uint64_t name_of(const mpm_handle *condition)
{
    return condition->place << 32 | condition->generation;
}

static mpm_handle handle_of(uint64_t name, uint16_t home)
{
    return (mpm_handle){
        .kind = OBJECT_CONDITION, .home = home, .generation = (uint32_t)name, .place = name >> 32};
}

/* At the node of the lock. */
int condition_try_make(struct object *lock, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_reply *reply = invocation->out;
    mpm_handle made;
    int status;

    (void)lock;
    if ((status = state_make(OBJECT_CONDITION, &(struct state){.lock = *handle}, &made)))
        return status;
    reply->number = name_of(&made);
    return MPM_OK;
}

/* 4 and 5 of the above, in that order. Whom it has the lock from, if that one has died, goes with the reply: if the
 * condition is gone meanwhile, the death counts more. */
int condition_try_end_wait(struct object *lock, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_request *request = invocation->in;
    struct state_reply *reply = invocation->out;
    mpm_handle condition = handle_of(request->number, handle->home);
    struct object *object;
    int status = state_apply(lock, handle, lock_regain, request, reply, &invocation->seen);

    if (status && status != MPM_EOWNERDIED)
        return status;
    KILL_POINT();
    if (!(status = object_find(&condition, OBJECT_CONDITION, &object)))
        status = state_apply(object, &condition, leave, request, reply, NULL);
    return reply->died.number ? MPM_OK : status;
}

static int try_destroy(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct object *lock;
    struct state last;
    int status;

    (void)invocation;
    if ((status = state_destroy(object, handle, &last)) || !(last.flags & OWNS_LOCK))
        return status;
    KILL_POINT();
    return object_find(&last.lock, OBJECT_LOCK, &lock) ? MPM_OK : state_destroy(lock, &last.lock, NULL);
}

static const struct method methods[] = {
    {OBJECT_CONDITION, CONDITION_WAIT, "wait", STATE_METHOD_BY(try_wait), .is_interruptible = true,
     .late_status = MPM_ETIMEDOUT, .late_sentence = "the condition was not notified within the timeout"},
    {OBJECT_CONDITION, CONDITION_NOTIFY, "notify", STATE_METHOD_BY(try_notify)},
    {OBJECT_CONDITION, CONDITION_DESTROY, "destroy", .try = try_destroy},
};
const struct kind condition_kind = {OBJECT_CONDITION, methods, sizeof methods / sizeof *methods,
                                    .marks = state_mark_dead};

/* The interface. */

static int create_over(const char *call, const mpm_handle *lock, mpm_condition *condition)
{
    struct state_reply reply = {0};
    int status;

    if ((status = state_check_make(call, condition)))
        return status;
    if (lock->kind != OBJECT_LOCK)
        return error_set(MPM_EINVAL, "%s: this is not a handle of a lock", call);
    if ((status = state_invoke(lock, lock_make_condition(), NULL, 0, &reply)))
        return status;
    condition->handle = handle_of(reply.number, lock->home);
    condition->lock = *lock;
    return MPM_OK;
}

int mpm_condition_create(mpm_condition *condition)
{
    struct state initial = {.flags = OWNS_LOCK};
    int status;

    if ((status = state_check_make("mpm_condition_create", condition)) ||
        (status = lock_create_own(&initial.lock)))
        return status;
    if ((status = state_make(OBJECT_CONDITION, &initial, &condition->handle))) {
        lock_destroy_of_condition(&initial.lock);
        return status;
    }
    condition->lock = initial.lock;
    return MPM_OK;
}

int mpm_condition_create_with_lock(mpm_lock lock, mpm_condition *condition)
{
    mpm_handle plain;
    int status = lock_of_lock(lock, &plain);

    return status ? status : create_over("mpm_condition_create_with_lock", &plain, condition);
}

int mpm_condition_create_with_rlock(mpm_rlock lock, mpm_condition *condition)
{
    mpm_handle plain;
    int status = lock_of_rlock(lock, &plain);

    return status ? status : create_over("mpm_condition_create_with_rlock", &plain, condition);
}

int mpm_condition_destroy(mpm_condition condition)
{
    return state_invoke_plain(&condition.handle, &methods[CONDITION_DESTROY]);
}

int mpm_condition_acquire(mpm_condition condition, double timeout_s)
{
    return lock_acquire_of_condition(&condition.lock, timeout_s);
}

int mpm_condition_release(mpm_condition condition)
{
    return lock_release_of_condition(&condition.lock);
}

/* 4 and 5 of the above, after a wait that gave `status`. What goes wrong here counts more. */
static int end_wait(mpm_condition condition, int status)
{
    struct state_request request = {.number = name_of(&condition.handle)};
    struct state_reply reply = {0};
    int ended = state_invoke(&condition.lock, lock_end_wait(), &request, MPM_FOREVER, &reply);

    if (!ended && reply.number >> 1 > 1)
        ended = lock_deepen(&condition.lock, reply.number >> 1);
    if (reply.died.number)
        return error_set(MPM_EOWNERDIED,
                         "the holder of the condition's lock has died: the caller holds it now");
    if (ended || ((status == MPM_ETIMEDOUT || status == MPM_EINTERRUPTED) && reply.number & 1))
        return ended;
    if (status == MPM_EINTERRUPTED)
        return interrupt_take(object_kind_name(OBJECT_CONDITION));
    return status == MPM_ETIMEDOUT ? error_set(status, "%s", methods[CONDITION_WAIT].late_sentence) : status;
}

/* If it is refused or there is no memory to wait, the caller still has the lock. */
int mpm_condition_wait(mpm_condition condition, double timeout_s)
{
    int status = state_invoke(&condition.handle, &methods[CONDITION_WAIT], NULL, timeout_s, NULL);

    int ended;

    if (status == MPM_EINVAL || status == MPM_ENOMEM || status == MPM_ESTATE)
        return status;
    ended = end_wait(condition, status);
    if (status == MPM_EINTERRUPTED && ended != status)
        mpm_interrupt_waits(); /* it was notified all the same: the next wait is to be interrupted */
    return ended;
}

static int notify_some(mpm_condition condition, uint64_t count)
{
    struct state_request request = {.number = count};

    return state_invoke(&condition.handle, &methods[CONDITION_NOTIFY], &request, 0, NULL);
}

static bool is_so(mpm_predicate *predicate, void *argument)
{
    bool so = predicate(argument);

    context_back_from_program(EXIT_SUCCESS);
    return so;
}

/* The predicate counts more than the clock: it is asked once more when the time is up. */
int mpm_condition_wait_for(mpm_condition condition, mpm_predicate *predicate, void *argument,
                           double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s), now_ns;
    int status = error_check_timeout(timeout_s);

    if (status)
        return status;
    if (!predicate)
        return error_set(MPM_EINVAL, "mpm_condition_wait_for: the predicate is NULL");
    /* Wakes nobody, but fails as a wait would: for a wrong handle, or without the lock. */
    if ((status = notify_some(condition, 0)))
        return status;
    while (!is_so(predicate, argument)) {
        double left_s = MPM_FOREVER;

        if (deadline_ns != CLOCK_FOREVER) {
            if ((now_ns = clock_now_ns()) >= deadline_ns)
                return error_set(MPM_ETIMEDOUT, "the predicate did not become true within %g s", timeout_s);
            left_s = (double)(deadline_ns - now_ns) * 1e-9;
        }
        if ((status = mpm_condition_wait(condition, left_s)) && status != MPM_ETIMEDOUT)
            return status;
    }
    return MPM_OK;
}

int mpm_condition_notify(mpm_condition condition, unsigned count)
{
    return notify_some(condition, count);
}

int mpm_condition_notify_all(mpm_condition condition)
{
    return notify_some(condition, UINT64_MAX);
}

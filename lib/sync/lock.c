/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, and locks that count (rlocks). A lock that nobody waits for is taken and released in the quick way (quick.h),
 * which all steps here know nothing of. Of a state they use `value`: 1 if the lock is free; `owner`: who
 * has it; `depth`: how often; the line of those who wait; and `lock`: the object that it belongs to, which
 * whoever takes or releases such a lock has to name (sync/own_lock.c). They are changed as state.c says, so whoever
 * is killed in acquire has the lock, dead, or does not; `owner` stays a dead thread reference until the next one takes
 * the lock from it. A dead one in line is passed over. */
#include "sync/lock.h"

#include <assert.h>
#include <math.h>

#include "mpmap/sync.h"

#include "base/error.h"
#include "process/process_info.h"
#include "shm/kill_point.h"
#include "sync/kinds.h"
#include "sync/quick.h"
#include "sync/wait_queue.h"

enum {
    LOCK_ACQUIRE,
    LOCK_LEAVE,
    LOCK_END_WAIT,
    LOCK_RELEASE,
    LOCK_DEEPEN,
    LOCK_INSPECT,
    LOCK_MAKE_CONDITION,
    LOCK_DESTROY
};

#define COUNTS 1u /* flag of a lock that its owner may take again */

static bool is_callers(const struct draft *draft)
{
    return !draft->state->value && thread_ref_is_same_thread(&draft->state->owner, draft->caller);
}

static int say_died(const struct thread_ref *owner)
{
    char words[PROCESS_WORDS_SIZE];

    return error_set(MPM_EOWNERDIED,
                     "%s died holding the lock: the caller holds it now, and must check what it protects",
                     process_in_words(owner, words));
}

static int say_not_callers(const struct draft *draft)
{
    const struct thread_ref *owner = &draft->state->owner;
    char words[PROCESS_WORDS_SIZE];

    return error_set(MPM_EINVAL, "the calling thread does not hold the lock: %s does",
                     thread_ref_is_same_process(owner, draft->caller) ? "another thread of the process"
                                                                      : process_in_words(owner, words));
}

/* Whether it is the lock that is meant, and not another's in the same object record. */
static int check_parent(const struct draft *draft, const struct state_request *request)
{
    if (object_is_same(&draft->state->lock, &request->lock))
        return MPM_OK;
    return error_set(MPM_ESTALE, "the lock was destroyed");
}

static int take(struct draft *draft, struct state_reply *reply)
{
    struct thread_ref before = draft->state->owner;
    bool has_died = !draft->state->value;

    draft->state->value = 0;
    draft->state->owner = *draft->caller;
    draft->state->depth = 1;
    wait_queue_took(draft);
    if (has_died && reply)
        reply->died = before;
    return has_died ? say_died(&before) : MPM_OK;
}

static int acquire(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    struct state *state = draft->state;
    int status;

    if ((status = check_parent(draft, request)))
        return status;
    if ((state->flags & COUNTS) && is_callers(draft)) {
        if (state->depth == UINT32_MAX)
            return error_set(MPM_EINVAL, "the lock was acquired %u times, the most it can count", UINT32_MAX);
        state->depth++;
        draft->is_changed = true;
        return MPM_OK;
    }
    if ((state->value || thread_ref_is_dead(&state->owner)) && wait_queue_may_take(draft))
        return take(draft, reply);
    return wait_queue_wait(draft, request);
}

int lock_regain(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    return is_callers(draft) ? MPM_OK : acquire(draft, request, reply);
}

static void set_free(struct draft *draft)
{
    draft->state->value = 1;
    draft->state->depth = 0;
    draft->state->owner = (struct thread_ref){0};
    draft->is_changed = draft->tells = true;
}

static int release(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    int status;

    (void)reply;
    if ((status = check_parent(draft, request)))
        return status;
    if (draft->state->value)
        return error_set(MPM_EINVAL, "the lock is free: there is nothing to release");
    if ((draft->state->flags & COUNTS) && !is_callers(draft))
        return say_not_callers(draft);
    draft->is_changed = true;
    if (!--draft->state->depth)
        set_free(draft);
    return MPM_OK;
}

int lock_look(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    if (!is_callers(draft))
        return error_set(MPM_EINVAL, "the calling thread does not hold the condition's lock");
    reply->number = draft->state->depth;
    return MPM_OK;
}

int lock_give_up(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    if (is_callers(draft))
        set_free(draft);
    return MPM_OK;
}

static int deepen(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    if (!is_callers(draft))
        return error_set(MPM_EINVAL, "the calling thread does not hold the lock");
    draft->state->depth = (uint32_t)request->number;
    draft->is_changed = true;
    return MPM_OK;
}

/* The reply: how many wait << 32, and how often the owner has it; and the owner. */
static int inspect(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    uint64_t waiting = 0;

    (void)request;
    for (uint32_t i = 0; i < draft->state->count; i++)
        waiting += !thread_ref_is_dead(&draft->waiters[i].thread_ref);
    reply->number = waiting << 32 | draft->state->depth;
    reply->died = draft->state->owner;
    reply->died.is_dead = thread_ref_is_dead(&draft->state->owner);
    return MPM_OK;
}

static const char late_sentence[] = "the lock was held for the whole timeout";

static int leave(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)request;
    (void)reply;
    wait_queue_leave(draft);
    return error_set(MPM_ETIMEDOUT, "%s", late_sentence);
}

/* Who took it from a dead owner leaves it to that one: the next one is to know of the death. */
static int give_up_acquire(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    wait_queue_leave(draft);
    if (!request->number || !is_callers(draft))
        return MPM_OK;
    if (!--draft->state->depth) {
        set_free(draft);
        draft->state->owner = reply->died;
        draft->state->value = !reply->died.number;
    }
    draft->is_changed = true;
    return MPM_OK;
}

static const struct method methods[] = {
    {OBJECT_LOCK, LOCK_ACQUIRE, "acquire",
     STATE_METHOD(.step = acquire, .needs_permit = true, .leave = &methods[LOCK_LEAVE],
                  .undo = give_up_acquire),
     .is_timed = true, .late_status = MPM_ETIMEDOUT, .late_sentence = late_sentence, .undo = state_undo,
     .gives = true},
    {OBJECT_LOCK, LOCK_LEAVE, "leave", STATE_METHOD(.step = leave)},
    {OBJECT_LOCK, LOCK_END_WAIT, "end wait", STATE_METHOD_THAT(condition_try_end_wait, .needs_permit = true),
     .late_status = MPM_ETIMEDOUT, .late_sentence = late_sentence},
    {OBJECT_LOCK, LOCK_RELEASE, "release", STATE_METHOD(.step = release)},
    {OBJECT_LOCK, LOCK_DEEPEN, "deepen", STATE_METHOD(.step = deepen)},
    {OBJECT_LOCK, LOCK_INSPECT, "inspect", STATE_METHOD(.step = inspect)},
    {OBJECT_LOCK, LOCK_MAKE_CONDITION, "make condition", STATE_METHOD_BY(condition_try_make)},
    {OBJECT_LOCK, LOCK_DESTROY, "destroy", .try = state_try_destroy},
};
const struct kind lock_kind = {OBJECT_LOCK, methods, sizeof methods / sizeof *methods,
                               .marks = state_mark_dead};

/* For conditions. */

const struct method *lock_end_wait(void)
{
    return &methods[LOCK_END_WAIT];
}

int lock_deepen(const mpm_handle *lock, uint64_t depth)
{
    struct state_request request = {.number = depth};

    return state_invoke(lock, &methods[LOCK_DEEPEN], &request, 0, NULL);
}

const struct method *lock_make_condition(void)
{
    return &methods[LOCK_MAKE_CONDITION];
}

int lock_create_own(mpm_handle *lock)
{
    return state_make(OBJECT_LOCK, &(struct state){.value = 1, .flags = COUNTS | STATE_MAY_BE_QUICK}, lock);
}

/* Both ways, of locks of either kind. */

static __attribute__((noinline)) int acquire_slowly(mpm_handle lock, double timeout_s)
{
    if (timeout_s > 0 && quick_acquire_soon(&lock))
        return MPM_OK;
    return state_invoke(&lock, &methods[LOCK_ACQUIRE], NULL, timeout_s, NULL);
}

/* For objects with locks of their own. */

int lock_create_own_of(const mpm_handle *parent, mpm_handle *place)
{
    struct object *object;
    int status;

    if ((status = object_reserve(&object)))
        return status;
    state_create(object, &(struct state){.value = 1, .flags = COUNTS, .lock = *parent});
    *place = object_next_handle(object, OBJECT_LOCK);
    KILL_POINT();
    object_commit(object, OBJECT_LOCK);
    KILL_POINT();
    return MPM_OK;
}

void lock_end_own(const mpm_handle *lock)
{
    struct object *object;

    if (!object_find(lock, OBJECT_LOCK, &object))
        (void)!state_destroy(object, lock, NULL);
}

static int name_parent(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    (void)reply;
    return check_parent(draft, request);
}

bool lock_is_own_of(const mpm_handle *lock, const mpm_handle *parent)
{
    struct state_request request = {.lock = *parent};
    struct object *object;

    return lock->kind && !object_find(lock, OBJECT_LOCK, &object) &&
           !state_apply(object, lock, name_parent, &request, NULL, NULL);
}

int lock_acquire_own(const mpm_handle *lock, const mpm_handle *parent, double timeout_s)
{
    struct state_request request = {.lock = *parent};

    return state_invoke(lock, &methods[LOCK_ACQUIRE], &request, timeout_s, NULL);
}

int lock_release_own(const mpm_handle *lock, const mpm_handle *parent)
{
    struct state_request request = {.lock = *parent};

    return state_invoke(lock, &methods[LOCK_RELEASE], &request, 0, NULL);
}

/* The interface. */

int mpm_lock_create(mpm_lock *lock)
{
    int status = state_check_make("mpm_lock_create", lock);

    return status ? status
                  : state_make(OBJECT_LOCK, &(struct state){.value = 1, .flags = STATE_MAY_BE_QUICK},
                               &lock->handle);
}

/* Handles of rlocks bear a mark that the library's own do not, so that neither kind is taken for the other. */
#define RLOCK_MARK (UINT64_C(1) << OBJECT_PLACE_BITS)

static int check_lock(const mpm_lock *lock)
{
    if (lock->handle.kind == OBJECT_LOCK && (lock->handle.place & RLOCK_MARK))
        return error_set(MPM_EINVAL, "this is the handle of an rlock, not of a lock");
    return MPM_OK;
}

/* Takes the mark away. */
static int check_rlock(mpm_rlock *lock)
{
    if (lock->handle.kind == OBJECT_LOCK && !(lock->handle.place & RLOCK_MARK))
        return error_set(MPM_EINVAL, "this is the handle of a lock, not of an rlock");
    lock->handle.place &= ~RLOCK_MARK;
    return MPM_OK;
}

int lock_of_rlock(mpm_rlock rlock, mpm_handle *lock)
{
    int status = check_rlock(&rlock);

    *lock = rlock.handle;
    return status;
}

int lock_of_lock(mpm_lock plain, mpm_handle *lock)
{
    *lock = plain.handle;
    return check_lock(&plain);
}

int lock_acquire_of_condition(const mpm_handle *lock, double timeout_s)
{
    return !isnan(timeout_s) && quick_acquire(lock) ? MPM_OK : acquire_slowly(*lock, timeout_s);
}

int lock_release_of_condition(const mpm_handle *lock)
{
    return quick_release(lock) ? MPM_OK : state_invoke_plain(lock, &methods[LOCK_RELEASE]);
}

void lock_destroy_of_condition(const mpm_handle *lock)
{
    (void)!state_invoke_plain(lock, &methods[LOCK_DESTROY]);
}

int mpm_lock_destroy(mpm_lock lock)
{
    int status = check_lock(&lock);

    return status ? status : state_invoke_plain(&lock.handle, &methods[LOCK_DESTROY]);
}

static __attribute__((noinline)) int acquire_lock_slowly(mpm_lock lock, double timeout_s)
{
    int status = check_lock(&lock);

    return status ? status : acquire_slowly(lock.handle, timeout_s);
}

static __attribute__((noinline)) int release_lock_slowly(mpm_lock lock)
{
    int status = check_lock(&lock);

    return status ? status : state_invoke_plain(&lock.handle, &methods[LOCK_RELEASE]);
}

/* An rlock's handle is found nowhere in the quick way: of its place there is no object record. */
int mpm_lock_acquire(mpm_lock lock, double timeout_s)
{
    return !isnan(timeout_s) && quick_acquire(&lock.handle) ? MPM_OK : acquire_lock_slowly(lock, timeout_s);
}

int mpm_lock_release(mpm_lock lock)
{
    return quick_release(&lock.handle) ? MPM_OK : release_lock_slowly(lock);
}

static int inspect_any(const mpm_handle *lock, mpm_lock_state *state)
{
    struct state_reply reply = {0};
    int status;

    if (!state)
        return error_set(MPM_EINVAL, "the pointer for the state of a lock is NULL");
    if ((status = state_invoke(lock, &methods[LOCK_INSPECT], NULL, 0, &reply)))
        return status;
    *state = (mpm_lock_state){.is_held = (uint32_t)reply.number,
                              .depth = (unsigned)(uint32_t)reply.number,
                              .waiting = (unsigned)(reply.number >> 32)};
    if (!state->is_held)
        return MPM_OK;
    state->has_died = reply.died.is_dead;
    process_describe(&reply.died, &state->holder);
    return MPM_OK;
}

int mpm_lock_inspect(mpm_lock lock, mpm_lock_state *state)
{
    int status = check_lock(&lock);

    return status ? status : inspect_any(&lock.handle, state);
}

int mpm_rlock_inspect(mpm_rlock lock, mpm_lock_state *state)
{
    int status = check_rlock(&lock);

    return status ? status : inspect_any(&lock.handle, state);
}

int mpm_rlock_create(mpm_rlock *lock)
{
    mpm_rlock made;
    int status = state_check_make("mpm_rlock_create", lock);

    if (status || (status = lock_create_own(&made.handle)))
        return status;
    made.handle.place |= RLOCK_MARK;
    *lock = made;
    return MPM_OK;
}

int mpm_rlock_destroy(mpm_rlock lock)
{
    int status = check_rlock(&lock);

    return status ? status : state_invoke_plain(&lock.handle, &methods[LOCK_DESTROY]);
}

static __attribute__((noinline)) int acquire_rlock_slowly(mpm_rlock lock, double timeout_s)
{
    int status = check_rlock(&lock);

    return status ? status : acquire_slowly(lock.handle, timeout_s);
}

static __attribute__((noinline)) int release_rlock_slowly(mpm_rlock lock)
{
    int status = check_rlock(&lock);

    return status ? status : state_invoke_plain(&lock.handle, &methods[LOCK_RELEASE]);
}

/* The handle without its mark; or with one, if it is a lock's, which is found nowhere then. */
static mpm_handle unmarked(mpm_rlock lock)
{
    lock.handle.place ^= RLOCK_MARK;
    return lock.handle;
}

/* In the quick way an rlock is held once: whoever takes it again goes the other one. */
int mpm_rlock_acquire(mpm_rlock lock, double timeout_s)
{
    mpm_handle plain = unmarked(lock);

    return !isnan(timeout_s) && quick_acquire(&plain) ? MPM_OK : acquire_rlock_slowly(lock, timeout_s);
}

int mpm_rlock_release(mpm_rlock lock)
{
    mpm_handle plain = unmarked(lock);

    return quick_release(&plain) ? MPM_OK : release_rlock_slowly(lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Events. An event is one word, `quick` of its object record, and nothing else:
 *
 *   bits 0, 1   EVENT, which no word of a lock or a semaphore has (quick.h)
 *   bit 2       whether it is set
 *   bits 3-31   how often it was set
 *   bits 32-63  the object's generation
 *
 * Who writes what: anybody sets or clears it by one compare-and-swap, which fails if the object is another one by now,
 * as no two words of an object record that are an event's have the same generation. Who has set it looks for those who
 * wait, and tells them, afterwards: the compare-and-swap is the full fence that this takes. Whoever dies before it has
 * changed nothing; behind it, it owes no more than the ring, which comes from its reaper. So nothing is repaired. A set
 * that finds the event set stores the same word again: what its caller has written before is seen by whoever clears the
 * event after that, and then looks.
 *
 * Who waits remembers how often it was set when the wait began: it goes on when that is another number, even if the
 * event was cleared at once. A wait from another node asks for that number first.
 *
 * An event has a state (state.c), too, which says nothing: by it the event ends, as locks do. */
#include <math.h>

#include "mpmap/sync.h"

#include "base/clock.h"
#include "base/error.h"
#include "object/call.h"
#include "object/spin.h"
#include "sync/kinds.h"
#include "sync/quick.h"
#include "sync/state_method.h"

enum { EVENT_SET, EVENT_CLEAR, EVENT_LOOK, EVENT_LOOK_IN_TIME, EVENT_WAIT, EVENT_DESTROY };

#define EVENT       (QUICK_OPEN | QUICK_HELD)
#define IS_SET      UINT64_C(4)
#define ONCE        UINT64_C(8)
#define WAIT_CHANGE 0u /* as for all kinds with a state */

static bool is_event(uint64_t word, const mpm_handle *handle)
{
    return (word & EVENT) == EVENT && word >> 32 == handle->generation;
}

/* The word stays as it is when the event ends. */
static bool is_there(const struct object *object, uint64_t word, const mpm_handle *handle)
{
    return is_event(word, handle) && object_is(object, handle);
}

/* How often it was set, as a request's number, where 0 is none yet. */
static uint64_t was_set(uint64_t word)
{
    return (uint32_t)word / ONCE + 1;
}

static uint64_t set_once_more(uint64_t word)
{
    return word >> 32 << 32 | (uint32_t)(word + ONCE) | IS_SET;
}

static uint64_t word_of(const struct object *object)
{
    /* Pairs with change(). */
    return atomic_load_explicit(&object->quick, memory_order_acquire);
}

static int change(struct object *object, const mpm_handle *handle, bool sets)
{
    uint64_t word = word_of(object), next;

    do {
        if (!is_there(object, word, handle))
            return object_stale(handle);
        next = !sets ? word & ~IS_SET : word & IS_SET ? word : set_once_more(word);
        KILL_POINT();
        /* Sequentially consistent: pairs with the fences in sleep_until_ready(), invoke.c, for `wanted`, and in
         * object_note_waiting() for `remote_waiting`: without, who waits is not woken. */
    } while (!atomic_compare_exchange_weak(&object->quick, &word, next));
    KILL_POINT();
    if (sets && next != word) {
        object_tell(object, WAIT_CHANGE);
        KILL_POINT();
    }
    return MPM_OK;
}

static int try_set(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    (void)invocation;
    return change(object, handle, true);
}

static int try_clear(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    (void)invocation;
    return change(object, handle, false);
}

/* The reply: how often it was set << 1, and whether it is. */
static int try_look(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_reply *reply = invocation->out;
    uint64_t word = word_of(object);

    reply->number = was_set(word) << 1 | !!(word & IS_SET);
    return is_there(object, word, handle) ? MPM_OK : object_stale(handle);
}

static int try_wait(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct state_request *request = invocation->in;
    uint64_t word = word_of(object);

    if (!is_there(object, word, handle))
        return object_stale(handle);
    if ((word & IS_SET) || (request->number && request->number != was_set(word)))
        return MPM_OK;
    request->number = was_set(word);
    invocation->seen = word;
    return CALL_MUST_WAIT;
}

static bool is_ready(const struct object *object, const struct invocation *invocation)
{
    return word_of(object) != invocation->seen;
}

/* For mpm_wait_any. */
static int look_for_wait_any(const mpm_handle *handle)
{
    struct object *object;
    uint64_t word;
    int status;

    if ((status = object_find(handle, OBJECT_EVENT, &object)))
        return status;
    word = word_of(object);
    if (!is_there(object, word, handle))
        return object_stale(handle);
    return word & IS_SET ? MPM_OK : CALL_MUST_WAIT;
}

#define SIZES .in_size = sizeof(struct state_request), .out_size = STATE_REPLY_SIZE

static const struct method methods[] = {
    {OBJECT_EVENT, EVENT_SET, "set", SIZES, .try = try_set},
    {OBJECT_EVENT, EVENT_CLEAR, "clear", SIZES, .try = try_clear},
    {OBJECT_EVENT, EVENT_LOOK, "look", SIZES, .try = try_look},
    {OBJECT_EVENT, EVENT_LOOK_IN_TIME, "look in time", SIZES, .try = try_look, .is_timed = true,
     .late_status = MPM_ETIMEDOUT},
    {OBJECT_EVENT, EVENT_WAIT, "wait", SIZES, .try = try_wait, .is_ready = is_ready, .is_timed = true,
     .late_status = MPM_ETIMEDOUT, .late_sentence = "the event was not set within the timeout"},
    {OBJECT_EVENT, EVENT_DESTROY, "destroy", .try = state_try_destroy},
};
const struct kind event_kind = {OBJECT_EVENT, methods, sizeof methods / sizeof *methods,
                                .looks = look_for_wait_any};

/* At home, and found lately: nearly always. */

static inline bool change_at_once(const mpm_handle *event, bool sets)
{
    struct object *object = object_find_recent(event, OBJECT_EVENT);

    return object && !change(object, event, sets);
}

/* The word of an event, or 0, which is none. */
static inline uint64_t look_at_once(const mpm_handle *event)
{
    struct object *object = object_find_recent(event, OBJECT_EVENT);
    uint64_t word = object ? word_of(object) : 0;

    return is_event(word, event) ? word : 0;
}

/* Whether the event, whose word it was, is set soon. It looks no longer than waits there have been worth, and only what
 * is found is learned here: who finds nothing goes on to wait, and learns that there. */
static bool is_set_soon(const mpm_handle *event, uint64_t word)
{
    struct object *object = object_find_recent(event, OBJECT_EVENT);
    uint64_t start_ns = clock_now_ns(), took_ns = 0, time_ns;
    struct spin_hint hint;

    if (!object)
        return false;
    hint = spin_hint_of(&object->wait[WAIT_CHANGE]);
    time_ns = spin_time_ns(hint, object_has_woken());
    while (word_of(object) == word) {
        if (took_ns >= time_ns)
            return false;
        took_ns = spin_rest(start_ns + took_ns) - start_ns;
    }
    spin_learn(&object->wait[WAIT_CHANGE], hint, true, took_ns);
    return look_at_once(event) != 0;
}

/* The interface. */

int mpm_event_create(mpm_event *event)
{
    int status = state_check_make("mpm_event_create", event);
    struct object *object;

    if (status || (status = object_reserve(&object)))
        return status;
    state_create(object, &(struct state){0});
    /* Nobody sees it before the commit. */
    atomic_store_explicit(&object->quick,
                          (uint64_t)object_next_handle(object, OBJECT_EVENT).generation << 32 | EVENT,
                          memory_order_relaxed);
    KILL_POINT();
    event->handle = object_commit(object, OBJECT_EVENT);
    return MPM_OK;
}

int mpm_event_destroy(mpm_event event)
{
    return state_invoke_plain(&event.handle, &methods[EVENT_DESTROY]);
}

static __attribute__((noinline)) int invoke_plain(mpm_event event, unsigned verb)
{
    return state_invoke_plain(&event.handle, &methods[verb]);
}

int mpm_event_set(mpm_event event)
{
    return change_at_once(&event.handle, true) ? MPM_OK : invoke_plain(event, EVENT_SET);
}

int mpm_event_clear(mpm_event event)
{
    return change_at_once(&event.handle, false) ? MPM_OK : invoke_plain(event, EVENT_CLEAR);
}

int mpm_event_is_set(mpm_event event, bool *is_set)
{
    uint64_t word = look_at_once(&event.handle), reply = !!(word & IS_SET);
    int status = MPM_OK;

    if (!is_set)
        return error_set(MPM_EINVAL, "mpm_event_is_set: the pointer for the answer is NULL");
    if (!word)
        status = state_invoke_number(&event.handle, &methods[EVENT_LOOK], &reply);
    if (!status)
        *is_set = reply & 1;
    return status;
}

/* `word`: as it was found at the first look, or 0. */
static __attribute__((noinline)) int wait_slowly(mpm_event event, uint64_t word, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    struct state_request request = {.number = word ? was_set(word) : 0};
    struct state_reply reply = {0};
    int status;

    if (word && timeout_s > 0 && is_set_soon(&event.handle, word))
        return MPM_OK;
    if (!object_is_home(&event.handle)) {
        if ((status = state_invoke(&event.handle, &methods[EVENT_LOOK_IN_TIME], NULL, timeout_s, &reply)) ||
            (reply.number & 1))
            return status;
        request.number = reply.number >> 1;
        timeout_s = call_time_left_s(timeout_s, deadline_ns);
    }
    return state_invoke(&event.handle, &methods[EVENT_WAIT], &request, timeout_s, NULL);
}

int mpm_event_wait(mpm_event event, double timeout_s)
{
    uint64_t word = look_at_once(&event.handle);

    return word & IS_SET && !isnan(timeout_s) ? MPM_OK : wait_slowly(event, word, timeout_s);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues: a ring of messages (shm/ring.h) in an object, and calls on it from other nodes.
 *
 * Who writes what: getters write the ring's getting side under the object's `mutex`, putters its putting side
 * under `second_mutex`; who needs both takes them in this order. `closed` is written under the putters' lock,
 * so that no put is committed after it; getters look at it before they look for a message. `done` is written
 * under the getters' lock, and is at most what was got, which is at most what was put. Each operation is
 * committed by the ring, by one store, or by the store of `closed` or `done`. After the death of a holder of
 * a lock the ring is swept before anything else: see sync/channel.h. A ring of a wait word that the dead one
 * owed comes from its reaper, and so does one of the node's bell. Only what stays with the cell may be
 * written without a lock: the object may be another one by then.
 *
 * What a getter of another node takes back (object/call.h) is given back to the ring: it is first again. `done` may be
 * more than what was got then, until it is got once more. A putter of another node that takes its message back has put
 * nothing if the home had not come to it; else the message stays, since somebody may have it already.
 *
 * Getters and putters of other nodes have turns (object/turn.h), one side each. What was done past them is counted
 * behind the commit; who stands back has done nothing, and rings the bell so that the courier comes at once. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/queue.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "object/object.h"
#include "object/operation.h"
#include "object/post.h"
#include "object/wait_any.h"
#include "shm/kill_point.h"
#include "shm/ring.h"
#include "shm/ring_inside.h"
#include "sync/channel.h"
#include "sync/layer.h"

#define BATCH_SIZE  ((size_t)1 << 20) /* bytes of messages that one call to another node carries */
#define FIRST_ROOM  ((size_t)1 << 16) /* bytes that a get from another node has room for at first */
#define FRAME_LIMIT ((size_t)1 << 30) /* the longest message that goes to another node */

enum { WAIT_MESSAGE, WAIT_ROOM, WAIT_DONE }; /* the first two are the sides, too */

struct queue {
    struct channel channel;
    _Atomic uint32_t closed;
    struct ring ring;
    _Alignas(64) _Atomic uint64_t done;
};
_Static_assert(sizeof(struct queue) <= OBJECT_BODY_SIZE, "a queue fits into a cell");

static inline struct queue *queue_of(struct object *object)
{
    return (struct queue *)object->body;
}

/* Under both locks. */
static void sweep(struct object *object)
{
    ring_sweep(&queue_of(object)->ring, runtime_arena());
}

static inline int lock_side(struct object *object, const mpm_handle *handle, struct robust_mutex *mutex)
{
    return channel_lock(object, handle, mutex, sweep);
}

/* One try of each operation, in a process at home or in the home's courier. */

struct put {
    const void *messages;
    size_t size, count;
    size_t done;
    enum turn turn;
};

struct get {
    void *messages;
    size_t size;  /* of each message; of `get` the room for one */
    size_t count; /* 0: any size, one message */
    size_t done;
    size_t first_size; /* bytes of the first message */
    enum turn turn;
};

static int say_closed(void)
{
    return error_set(MPM_ECLOSED, "the queue is closed");
}

/* Under the putters' lock, which it releases. `has_turns`: calls of other nodes wait for room. */
static inline __attribute__((always_inline)) int put_and_unlock(struct object *object, struct put *put,
                                                                bool has_turns)
{
    struct queue *queue = queue_of(object);
    bool turn_ends = false;
    size_t done = 0;
    int status;

    if (atomic_load_explicit(&queue->closed, memory_order_relaxed))
        status = say_closed();
    else if (has_turns && turn_stands_back(object, WAIT_ROOM, put->turn))
        status = CALL_MUST_WAIT;
    else
        status = ring_put(&queue->ring, runtime_arena(), (const char *)put->messages + put->done * put->size,
                          put->size, put->count - put->done, &done);
    if (has_turns && done)
        turn_ends = turn_took(object, WAIT_ROOM, put->turn, done);
    robust_mutex_unlock(&object->second_mutex);
    if (done) {
        put->done += done;
        operation_fence_after_unlock();
        operation_tell(object, WAIT_MESSAGE);
    }
    if (has_turns)
        turn_tell(object, WAIT_ROOM, turn_ends, status == CALL_MUST_WAIT);
    return status ? status : put->done == put->count ? MPM_OK : CALL_MUST_WAIT;
}

static __attribute__((noinline)) int put_in_turn(struct object *object, struct put *put)
{
    return put_and_unlock(object, put, true);
}

static int try_put(struct object *object, const mpm_handle *handle, void *argument)
{
    int status;

    if ((status = lock_side(object, handle, &object->second_mutex)))
        return status;
    if (turn_is_needed(object, WAIT_ROOM))
        return put_in_turn(object, argument);
    return put_and_unlock(object, argument, false);
}

static int say_too_small(const struct get *get)
{
    if (get->count)
        return error_set(MPM_ETOOSMALL, "the first message has %zu bytes, not %zu: get it alone",
                         get->first_size, get->size);
    return error_set(MPM_ETOOSMALL, "the first message has %zu bytes, and there is room for %zu",
                     get->first_size, get->size);
}

static enum ring_result take(struct queue *queue, struct get *get)
{
    if (get->count)
        return ring_get_many(&queue->ring, runtime_arena(), get->messages, get->size, get->count, &get->done,
                             &get->first_size);
    return ring_get(&queue->ring, runtime_arena(), get->messages, get->size, &get->first_size);
}

/* Under the getters' lock, which it releases. `has_turns`: calls of other nodes wait for a message. */
static inline __attribute__((always_inline)) int get_and_unlock(struct object *object, struct get *get,
                                                                bool has_turns)
{
    struct queue *queue = queue_of(object);
    bool is_closed, is_bounded, turn_ends = false;
    enum ring_result result;

    is_closed = atomic_load_explicit(&queue->closed, memory_order_acquire);
    is_bounded = queue->ring.maxsize;
    result = take(queue, get);
    if (has_turns && result == RING_DONE)
        turn_ends = turn_took(object, WAIT_MESSAGE, get->turn, get->count ? get->done : 1);
    robust_mutex_unlock(&object->mutex);
    if (has_turns)
        turn_tell(object, WAIT_MESSAGE, turn_ends, false);
    if (result == RING_EMPTY)
        return is_closed ? say_closed() : CALL_MUST_WAIT;
    if (result == RING_TOO_SMALL)
        return say_too_small(get);
    if (is_bounded) {
        operation_fence_after_unlock();
        operation_tell(object, WAIT_ROOM);
    }
    return MPM_OK;
}

/* Under the getters' lock, which it releases: what there is is left to a call of another node. */
static int leave_message(struct object *object)
{
    const struct queue *queue = queue_of(object);
    bool is_closed = atomic_load_explicit(&queue->closed, memory_order_acquire);
    bool is_empty = ring_is_empty(&queue->ring);

    robust_mutex_unlock(&object->mutex);
    turn_tell(object, WAIT_MESSAGE, false, !is_empty);
    return is_empty && is_closed ? say_closed() : CALL_MUST_WAIT;
}

static __attribute__((noinline)) int get_in_turn(struct object *object, struct get *get)
{
    if (turn_stands_back(object, WAIT_MESSAGE, get->turn))
        return leave_message(object);
    return get_and_unlock(object, get, true);
}

static int try_get(struct object *object, const mpm_handle *handle, void *argument)
{
    int status;

    if ((status = lock_side(object, handle, &object->mutex)))
        return status;
    if (turn_is_needed(object, WAIT_MESSAGE))
        return get_in_turn(object, argument);
    return get_and_unlock(object, argument, false);
}

/* `done` first: it is never more than what was put, so they were equal when it was read if they are now. */
static bool is_all_done(const struct queue *queue)
{
    uint64_t done = atomic_load_explicit(&queue->done, memory_order_acquire);

    return done == ring_put_count(&queue->ring);
}

static int try_join(struct object *object, const mpm_handle *handle, void *unused)
{
    bool is_done = is_all_done(queue_of(object));

    (void)unused;
    if (!object_is(object, handle))
        return object_stale(handle);
    return is_done ? MPM_OK : CALL_MUST_WAIT;
}

static int try_task_done(struct object *object, const mpm_handle *handle, void *unused)
{
    struct queue *queue = queue_of(object);
    uint64_t done, got;
    int status;

    (void)unused;
    if ((status = lock_side(object, handle, &object->mutex)))
        return status;
    done = atomic_load_explicit(&queue->done, memory_order_relaxed);
    if (done < (got = ring_got_count(&queue->ring)))
        atomic_store_explicit(&queue->done, done + 1, memory_order_release);
    else
        status = error_set(MPM_EINVAL, "task_done once too often: %llu messages were got, and all are done",
                           (unsigned long long)got);
    robust_mutex_unlock(&object->mutex);
    if (!status) {
        operation_fence_after_unlock();
        operation_tell(object, WAIT_DONE);
    }
    return status;
}

/* Closing and destroying must wait while nodes have credits for it: see object/post.h. */
static int try_close(struct object *object, const mpm_handle *handle, void *unused)
{
    int status;

    (void)unused;
    if ((status = lock_side(object, handle, &object->second_mutex)))
        return status;
    if (post_is_lent(object)) {
        robust_mutex_unlock(&object->second_mutex);
        return CALL_MUST_WAIT;
    }
    atomic_store_explicit(&queue_of(object)->closed, 1, memory_order_release);
    robust_mutex_unlock(&object->second_mutex);
    operation_fence_after_unlock();
    operation_tell(object, WAIT_MESSAGE);
    operation_tell(object, WAIT_ROOM);
    return MPM_OK;
}

static int try_destroy(struct object *object, const mpm_handle *handle, void *unused)
{
    int status;

    (void)unused;
    if ((status = channel_lock_both(object, handle, sweep)))
        return status;
    if (post_is_lent(object)) {
        channel_unlock_both(object);
        return CALL_MUST_WAIT;
    }
    object_set_unclean(object);
    object_end(object);
    KILL_POINT();
    ring_free(&queue_of(object)->ring, runtime_arena());
    object_set_clean(object);
    channel_unlock_both(object);
    for (unsigned i = 0; i < OBJECT_WAITS; i++)
        wait_ring(&object->wait[i].word);
    return MPM_OK;
}

struct look {
    uint64_t size, maxsize;
};

static int try_look(struct object *object, const mpm_handle *handle, void *argument)
{
    const struct ring *ring = &queue_of(object)->ring;
    struct look *look = argument;

    look->size = ring_size(ring);
    look->maxsize = ring->maxsize;
    return object_is(object, handle) ? MPM_OK : object_stale(handle);
}

/* The operations that may wait, at home. */

static bool may_get(const struct object *object, const void *unused)
{
    const struct queue *queue = (const struct queue *)object->body;

    (void)unused;
    if (!ring_is_empty(&queue->ring))
        return !turn_is_far(object, WAIT_MESSAGE);
    return atomic_load_explicit(&queue->closed, memory_order_relaxed);
}

static bool may_put(const struct object *object, const void *unused)
{
    const struct queue *queue = (const struct queue *)object->body;

    (void)unused;
    return (!ring_is_full(&queue->ring) && !turn_is_far(object, WAIT_ROOM)) ||
           atomic_load_explicit(&queue->closed, memory_order_relaxed);
}

static bool may_join(const struct object *object, const void *unused)
{
    (void)unused;
    return is_all_done((const struct queue *)object->body);
}

static uint64_t messages(const struct object *object)
{
    return ring_size(&((const struct queue *)object->body)->ring);
}

static uint64_t room(const struct object *object)
{
    return ((const struct queue *)object->body)->ring.maxsize - messages(object);
}

static const struct operation putting = {OBJECT_QUEUE, try_put,
                                         may_put,      WAIT_ROOM,
                                         MPM_EFULL,    "the queue was full for as long as the call may wait",
                                         room,         true};
static const struct operation getting = {OBJECT_QUEUE, try_get,
                                         may_get,      WAIT_MESSAGE,
                                         MPM_EEMPTY,   "the queue was empty for as long as the call may wait",
                                         messages,     true};
static const struct operation joining = {
    OBJECT_QUEUE, try_join,      may_join,
    WAIT_DONE,    MPM_ETIMEDOUT, "messages of the queue were not done for as long as the call may wait",
    NULL,         true};

static inline int find(const mpm_handle *handle, struct object **object)
{
    return operation_find(&getting, handle, object);
}

/* Calls from other nodes: what goes to and fro. */

struct put_call { /* then the messages */
    uint64_t size, count;
    uint64_t wants_credit; /* 1: the next ones would be posted if they could be */
};

struct get_call {
    uint64_t size, count; /* as of struct get */
};

struct get_reply {  /* then the messages */
    int64_t status; /* MPM_OK or MPM_ETOOSMALL, which tells first_size */
    uint64_t done, first_size;
};

static int nonsense(void)
{
    return error_set(MPM_EPROTOCOL, "a call on a queue has a length that makes no sense");
}

/* For a queue without a bound: what is posted is accepted. */
static void grant(struct object *object, const mpm_handle *handle)
{
    struct queue *queue = queue_of(object);

    if (lock_side(object, handle, &object->second_mutex))
        return;
    if (!queue->ring.maxsize && !atomic_load_explicit(&queue->closed, memory_order_relaxed))
        post_grant(object, handle, 1);
    robust_mutex_unlock(&object->second_mutex);
}

static int say_behind(const mpm_handle *handle)
{
    return error_set(MPM_ENOMEM, "node %u has no memory yet for messages that were put into the queue before",
                     handle->home);
}

/* What is put is said, so that the caller can go on behind it: some messages are a success. */
static int on_put(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct put_call call;
    struct object *object;
    struct put put;
    int status;

    if (in_size < sizeof call)
        return nonsense();
    memcpy(&call, in, sizeof call);
    in_size -= sizeof call;
    if (!call.count || call.size > in_size || in_size / call.count != call.size || in_size % call.count)
        return nonsense();
    put = (struct put){.messages = (const char *)in + sizeof call,
                       .size = call.size,
                       .count = call.count,
                       .turn = call_turn()};
    if ((status = find(handle, &object)))
        return status;
    if (post_is_behind(handle))
        return say_behind(handle);
    status = try_put(object, handle, &put);
    if (!status && call.wants_credit)
        grant(object, handle);
    return put.done ? call_reply_add(reply, &put.done, sizeof put.done) : status;
}

/* What nodes have posted by their credits. */
static int carry_out_put(const mpm_handle *handle, const void *bytes, size_t size, size_t count, size_t *done)
{
    struct put put = {.messages = bytes, .size = size, .count = count, .turn = TURN_PASSES};
    struct object *object;
    int status;

    if ((status = find(handle, &object)))
        return status;
    status = try_put(object, handle, &put);
    *done = put.done;
    return status == MPM_ENOMEM ? CALL_MUST_WAIT : status;
}

static int get_into(struct object *object, const mpm_handle *handle, const struct get_call *call,
                    struct call_reply *reply)
{
    size_t room = call->size * (call->count ? call->count : 1);
    struct get_reply *head = malloc(sizeof *head + room);
    struct get get = {.messages = head + 1, .size = call->size, .count = call->count, .turn = call_turn()};
    int status;

    if (!head)
        return error_set(MPM_ENOMEM, "no memory for messages of %zu bytes", room);
    status = try_get(object, handle, &get);
    reply->gives = !status;
    *head = (struct get_reply){.status = status, .done = get.done, .first_size = get.first_size};
    reply->bytes = head;
    reply->size = sizeof *head;
    if (!status)
        reply->size += call->count ? get.done * get.size : get.first_size;
    return status == MPM_ETOOSMALL ? MPM_OK : status;
}

/* Whether a get that stands back for nobody would not have to wait: for mpm_wait_any, too. */
static int look(const mpm_handle *handle)
{
    const struct queue *queue;
    struct object *object;
    int status;

    if ((status = find(handle, &object)))
        return status;
    queue = queue_of(object);
    if (!ring_is_empty(&queue->ring) || atomic_load_explicit(&queue->closed, memory_order_relaxed))
        return MPM_OK;
    return object_is(object, handle) ? CALL_MUST_WAIT : object_stale(handle);
}

static int on_get(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct get_call call;
    struct object *object;
    int status;

    if (in_size != sizeof call)
        return nonsense();
    memcpy(&call, in, sizeof call);
    if (call.size > FRAME_LIMIT || (call.count && call.size > FRAME_LIMIT / call.count))
        return nonsense();
    if ((status = look(handle)) || (status = find(handle, &object)))
        return status;
    return get_into(object, handle, &call, reply);
}

/* The last one first, so that they are in their order again. What `head` says goes down with each. */
static int give_back(struct object *object, struct get_reply *head, const struct get_call *call)
{
    size_t size = call->count ? call->size : head->first_size;
    const char *messages = (const char *)(head + 1);
    int status = MPM_OK;

    if (!call->count)
        head->done = 1;
    while (head->done && !(status = ring_give_back(&queue_of(object)->ring, runtime_arena(),
                                                   messages + (head->done - 1) * size, size)))
        head->done--;
    return status ? CALL_MUST_WAIT : MPM_OK;
}

static int undo_get(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *given)
{
    struct get_call call;
    struct object *object;
    int status;

    if (!given || in_size != sizeof call || find(handle, &object) ||
        lock_side(object, handle, &object->mutex))
        return MPM_OK; /* there is nothing, or no queue, to give it back to */
    memcpy(&call, in, sizeof call);
    status = give_back(object, given->bytes, &call);
    robust_mutex_unlock(&object->mutex);
    operation_fence_after_unlock();
    operation_tell(object, WAIT_MESSAGE);
    return status;
}

static int on_look(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct object *object;
    struct look look;
    int status;

    (void)in;
    if (in_size)
        return nonsense();
    if ((status = find(handle, &object)) || (status = try_look(object, handle, &look)))
        return status;
    return call_reply_add(reply, &look, sizeof look);
}

/* Verbs that are nothing but an object and a status. */
static int on_plain(const mpm_handle *handle, size_t in_size,
                    int (*try)(struct object *object, const mpm_handle *handle, void *unused))
{
    struct object *object;
    int status;

    if (in_size)
        return nonsense();
    return (status = find(handle, &object)) ? status : try(object, handle, NULL);
}

/* The same for the end of a queue, which must wait while the queue is lent. */
static int on_end(const mpm_handle *handle, size_t in_size,
                  int (*try)(struct object *object, const mpm_handle *handle, void *unused))
{
    struct object *object;
    int status = on_plain(handle, in_size, try);

    if (status != CALL_MUST_WAIT || (status = find(handle, &object)))
        return status;
    return post_recall(object, handle);
}

static int on_close(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)reply;
    return on_end(handle, in_size, try_close);
}

static int on_task_done(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)reply;
    return on_plain(handle, in_size, try_task_done);
}

static int on_join(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)reply;
    if (post_is_behind(handle))
        return CALL_MUST_WAIT;
    return on_plain(handle, in_size, try_join);
}

static int on_destroy(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)reply;
    post_forget(handle);
    return on_end(handle, in_size, try_destroy);
}

static unsigned getting_side(const void *in, size_t in_size)
{
    (void)in;
    (void)in_size;
    return WAIT_MESSAGE;
}

static unsigned putting_side(const void *in, size_t in_size)
{
    (void)in;
    (void)in_size;
    return WAIT_ROOM;
}

void queue_announce(void)
{
    call_register(VERB_QUEUE_PUT, on_put, putting.late_status, putting.late_sentence);
    call_register(VERB_QUEUE_GET, on_get, getting.late_status, getting.late_sentence);
    call_register_ends(VERB_QUEUE_GET, &(struct call_ends){.undo = undo_get});
    call_register_turns(VERB_QUEUE_PUT, putting_side);
    call_register_turns(VERB_QUEUE_GET, getting_side);
    call_register(VERB_QUEUE_JOIN, on_join, joining.late_status, joining.late_sentence);
    call_register(VERB_QUEUE_LOOK, on_look, MPM_OK, "");
    call_register(VERB_QUEUE_CLOSE, on_close, MPM_OK, "");
    call_register(VERB_QUEUE_TASK_DONE, on_task_done, MPM_OK, "");
    call_register(VERB_QUEUE_DESTROY, on_destroy, MPM_OK, "");
    post_register(POST_QUEUE_PUT, carry_out_put);
}

void queue_begin(void)
{
    wait_any_register(OBJECT_QUEUE, look);
}

/* The caller's part of calls to other nodes. */

/* What a caller gets whose node has not answered: the sentence says so. */
static int late(int status, int late_status)
{
    return status == CALL_NO_ANSWER ? late_status : status;
}

/* One call with what fits into one: `put->done` goes on. */
static int put_batch(const mpm_handle *handle, struct put *put, double timeout_s)
{
    size_t batch = put->size ? BATCH_SIZE / put->size : BATCH_SIZE, size;
    uint64_t done = 0;
    struct put_call *call;
    int status;

    if (!batch)
        batch = 1;
    if (batch > put->count - put->done)
        batch = put->count - put->done;
    size = batch * put->size;
    if (!(call = malloc(sizeof *call + size)))
        return error_set(MPM_ENOMEM, "no memory for messages of %zu bytes", size);
    *call = (struct put_call){.size = put->size, .count = batch, .wants_credit = size <= POST_LIMIT};
    if (size)
        memcpy(call + 1, (const char *)put->messages + put->done * put->size, size);
    status = call_timed(handle, VERB_QUEUE_PUT, call, sizeof *call + size, timeout_s, &done, sizeof done,
                        NULL);
    put->done += done;
    free(call);
    return late(status, putting.late_status);
}

static int put_far(const mpm_handle *handle, struct put *put, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status = MPM_OK;

    if (put->size > FRAME_LIMIT)
        return error_set(MPM_ENOMEM, "a message of %zu bytes is too long for another node: at most %zu",
                         put->size, FRAME_LIMIT);
    if (put->size <= POST_LIMIT && put->count <= POST_LIMIT && put->size * put->count <= POST_LIMIT &&
        post_operation(handle, POST_QUEUE_PUT, 0, put->messages, put->size, put->count)) {
        put->done = put->count;
        return MPM_OK;
    }
    while (!status && put->done < put->count)
        status = put_batch(handle, put, call_time_left_s(timeout_s, deadline_ns));
    return status;
}

/* One call. MPM_ETOOSMALL with `first_size` if the message is longer than get->size. */
static int get_batch(const mpm_handle *handle, struct get *get, double timeout_s)
{
    struct get_call call = {.size = get->size, .count = get->count};
    size_t room = sizeof(struct get_reply) + get->size * (get->count ? get->count : 1), size = 0;
    struct get_reply *reply = malloc(room);
    int status;

    if (!reply)
        return error_set(MPM_ENOMEM, "no memory for messages of %zu bytes", room);
    status = call_timed(handle, VERB_QUEUE_GET, &call, sizeof call, timeout_s, reply, room, &size);
    if (!status) {
        get->done = reply->done;
        get->first_size = reply->first_size;
        status = (int)reply->status;
        if (!status && size > sizeof *reply)
            memcpy(get->messages, reply + 1, size - sizeof *reply);
    }
    free(reply);
    return late(status, getting.late_status);
}

/* Asks with little room first: most messages are short, and the room is sent to and fro as memory. */
static int get_far(const mpm_handle *handle, struct get *get, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    struct get part = *get;
    int status;

    part.size = get->size < FIRST_ROOM ? get->size : FIRST_ROOM;
    while ((status = get_batch(handle, &part, call_time_left_s(timeout_s, deadline_ns))) == MPM_ETOOSMALL &&
           part.first_size <= get->size) {
        if (part.first_size > FRAME_LIMIT)
            return error_set(MPM_ENOMEM, "a message of %zu bytes is too long for another node: at most %zu",
                             part.first_size, FRAME_LIMIT);
        part.size = part.first_size;
    }
    get->first_size = part.first_size;
    return status == MPM_ETOOSMALL ? say_too_small(get) : status;
}

/* Only the first call waits; the rest is what is there. */
static int get_many_far(const mpm_handle *handle, struct get *get, double timeout_s)
{
    size_t most = get->size ? BATCH_SIZE / get->size : BATCH_SIZE, done = 0;
    struct get part;
    int status;

    if (get->size > FRAME_LIMIT)
        return error_set(MPM_EINVAL, "messages of %zu bytes are too long for another node: at most %zu",
                         get->size, FRAME_LIMIT);
    if (!most)
        most = 1;
    do {
        part = (struct get){.messages = (char *)get->messages + done * get->size,
                            .size = get->size,
                            .count = most < get->count - done ? most : get->count - done};
        if ((status = get_batch(handle, &part, done ? 0 : timeout_s)))
            break;
        done += part.done;
    } while (part.done == part.count && done < get->count);
    get->done = done;
    get->first_size = part.first_size;
    if (done)
        return MPM_OK;
    return status == MPM_ETOOSMALL ? say_too_small(get) : status;
}

/* A try that needs no waiting, wherever the queue is; at home by a call, too, if its end must wait. */
static int plain(const mpm_handle *handle, enum call_verb verb,
                 int (*try)(struct object *object, const mpm_handle *handle, void *unused))
{
    struct object *object;
    int status = CALL_MUST_WAIT;

    if (object_is_home(handle) && !(status = find(handle, &object)))
        status = try(object, handle, NULL);
    if (status == CALL_MUST_WAIT)
        status = call_remote(handle, verb, NULL, 0, MPM_FOREVER, NULL, 0, NULL);
    return status;
}

static int look_at(const mpm_handle *handle, struct look *look)
{
    struct object *object;
    int status;

    if (!object_is_home(handle))
        return call_remote(handle, VERB_QUEUE_LOOK, NULL, 0, 0, look, sizeof *look, NULL);
    return (status = find(handle, &object)) ? status : try_look(object, handle, look);
}

/* At home, and nothing in the way: nearly every message. Else false, and nothing has been done. */

static inline bool put_at_once(const mpm_handle *handle, const void *message, size_t size)
{
    struct object *object = object_find_recent(handle, OBJECT_QUEUE);
    struct queue *queue;
    bool is_done;

    if (!object || !channel_lock_at_once(object, handle, &object->second_mutex))
        return false;
    queue = queue_of(object);
    is_done = !turn_is_needed(object, WAIT_ROOM) &&
              !atomic_load_explicit(&queue->closed, memory_order_relaxed) &&
              ring_put_at_once(&queue->ring, runtime_arena(), message, size);
    robust_mutex_unlock(&object->second_mutex);
    if (is_done) {
        operation_fence_after_unlock();
        operation_tell(object, WAIT_MESSAGE);
    }
    return is_done;
}

static inline bool get_at_once(const mpm_handle *handle, void *message, size_t room, size_t *size)
{
    struct object *object = object_find_recent(handle, OBJECT_QUEUE);
    struct queue *queue;
    bool is_done, is_bounded;

    if (!object || !channel_lock_at_once(object, handle, &object->mutex))
        return false;
    queue = queue_of(object);
    is_bounded = queue->ring.maxsize;
    is_done = !turn_is_needed(object, WAIT_MESSAGE) &&
              ring_get_at_once(&queue->ring, runtime_arena(), message, room, size);
    robust_mutex_unlock(&object->mutex);
    if (is_done && is_bounded) {
        operation_fence_after_unlock();
        operation_tell(object, WAIT_ROOM);
    }
    return is_done;
}

/* The interface. */

int mpm_queue_create(const mpm_queue_options *options, mpm_queue *queue)
{
    struct object *object;
    int status;

    if (runtime_role() == ROLE_NONE)
        return runtime_no_run("mpm_queue_create");
    if (!queue)
        return error_set(MPM_EINVAL, "mpm_queue_create: the place for the queue is NULL");
    if ((status = object_reserve(&object)))
        return status;
    ring_create(&queue_of(object)->ring, object_owner(object, 0), options ? options->maxsize : 0);
    queue->handle = object_commit(object, OBJECT_QUEUE);
    return MPM_OK;
}

int mpm_queue_destroy(mpm_queue queue)
{
    return plain(&queue.handle, VERB_QUEUE_DESTROY, try_destroy);
}

int mpm_queue_put(mpm_queue queue, const void *message, size_t size, double timeout_s)
{
    if ((message || !size) && put_at_once(&queue.handle, message, size))
        return MPM_OK;
    return mpm_queue_put_many(queue, message, size, 1, timeout_s, NULL);
}

int mpm_queue_put_many(mpm_queue queue, const void *messages, size_t size, size_t count, double timeout_s,
                       size_t *put)
{
    struct put what = {.messages = messages, .size = size, .count = count, .turn = TURN_STANDS_BACK};
    struct look look;
    int status;

    if (put)
        *put = 0;
    if (size && count && (!messages || count > SIZE_MAX / size))
        return error_set(MPM_EINVAL, "%zu messages of %zu bytes cannot stand at %p", count, size, messages);
    if (!count)
        status = look_at(&queue.handle, &look);
    else if (object_is_home(&queue.handle))
        status = operation_run_in_turn(&putting, &queue.handle, &what, &what.turn, timeout_s);
    else
        status = put_far(&queue.handle, &what, timeout_s);
    if (put)
        *put = what.done;
    return status;
}

int mpm_queue_get(mpm_queue queue, double timeout_s, void *message, size_t room, size_t *size)
{
    struct get get = {.messages = message, .size = room, .turn = TURN_STANDS_BACK};
    int status;

    if (room && !message)
        return error_set(MPM_EINVAL, "mpm_queue_get: the room of %zu bytes is at NULL", room);
    if (get_at_once(&queue.handle, message, room, size ? size : &get.first_size))
        return MPM_OK;
    if (object_is_home(&queue.handle))
        status = operation_run_in_turn(&getting, &queue.handle, &get, &get.turn, timeout_s);
    else
        status = get_far(&queue.handle, &get, timeout_s);
    if (size && (!status || status == MPM_ETOOSMALL))
        *size = get.first_size;
    return status;
}

int mpm_queue_get_many(mpm_queue queue, size_t size, size_t count, double timeout_s, void *messages,
                       size_t *got)
{
    struct get get = {.messages = messages, .size = size, .count = count, .turn = TURN_STANDS_BACK};
    struct look look;
    int status;

    if (size && count && (!messages || count > SIZE_MAX / size))
        return error_set(MPM_EINVAL, "%zu messages of %zu bytes cannot stand at %p", count, size, messages);
    if (!count)
        status = look_at(&queue.handle, &look);
    else if (object_is_home(&queue.handle))
        status = operation_run_in_turn(&getting, &queue.handle, &get, &get.turn, timeout_s);
    else
        status = get_many_far(&queue.handle, &get, timeout_s);
    if (got && !status)
        *got = get.done;
    return status;
}

int mpm_queue_size(mpm_queue queue, size_t *messages)
{
    struct look look;
    int status;

    if (!messages)
        return error_set(MPM_EINVAL, "mpm_queue_size: the place for the size is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *messages = look.size;
    return status;
}

int mpm_queue_is_empty(mpm_queue queue, bool *is_empty)
{
    struct look look;
    int status;

    if (!is_empty)
        return error_set(MPM_EINVAL, "mpm_queue_is_empty: the place for the reply is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *is_empty = !look.size;
    return status;
}

int mpm_queue_is_full(mpm_queue queue, bool *is_full)
{
    struct look look;
    int status;

    if (!is_full)
        return error_set(MPM_EINVAL, "mpm_queue_is_full: the place for the reply is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *is_full = look.maxsize && look.size >= look.maxsize;
    return status;
}

int mpm_queue_close(mpm_queue queue)
{
    return plain(&queue.handle, VERB_QUEUE_CLOSE, try_close);
}

int mpm_queue_task_done(mpm_queue queue)
{
    return plain(&queue.handle, VERB_QUEUE_TASK_DONE, try_task_done);
}

int mpm_queue_join(mpm_queue queue, double timeout_s)
{
    if (object_is_home(&queue.handle))
        return operation_run(&joining, &queue.handle, NULL, timeout_s);
    return late(call_timed(&queue.handle, VERB_QUEUE_JOIN, NULL, 0, timeout_s, NULL, 0, NULL),
                joining.late_status);
}

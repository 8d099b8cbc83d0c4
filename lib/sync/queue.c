/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues: a ring of messages (shm/ring.h) in an object, and calls on it from other nodes.
 *
 * Who writes what: getters write the ring's getting side under the object's `mutex`, putters its putting side
 * under `second_mutex`; who needs both takes them in this order. `closed` is written under the putters' lock,
 * so that no put is committed after it; getters look at it before they look for a message. `done` is written
 * under the getters' lock, and is at most what was got, which is at most what was put. Each operation is
 * committed by the ring, by one store, or by the store of `closed` or `done`. After the death of a holder of
 * a lock the ring is swept before anything else: see sync/channel.h. A ring of an eventcount that the dead one
 * owed comes from its reaper, and so does one of the node's doorbell. Only what stays with the object record may be
 * written without a lock: the object may be another one by then.
 *
 * What a getter of another node takes back (object/call.h) is given back to the ring: it is first again. `done` may be
 * more than what was got then, until it is got once more. A putter of another node that takes its message back has put
 * nothing if the home had not come to it; else the message stays, since somebody may have it already.
 *
 * Getters and putters of other nodes have turns (object/fairness.h), one side each. What was done past them is counted
 * behind the commit; who stands back has done nothing, and rings the doorbell so that the courier comes at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/queue.h"

#include "base/clock.h"
#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "object/call.h"
#include "object/object.h"
#include "object/post.h"
#include "shm/kill_point.h"
#include "shm/ring.h"
#include "shm/ring_inside.h"
#include "sync/channel.h"
#include "sync/kinds.h"
#include "sync/message.h"

#define BATCH_SIZE ((size_t)1 << 20) /* bytes of messages that one call to another node carries */
#define SHORT_ROOM ((size_t)256) /* of a message that is got in place, before it is known how long it is */

enum { WAIT_MESSAGE, WAIT_ROOM, WAIT_DONE }; /* the first two are the sides, too */

struct queue {
    struct channel channel;
    _Atomic uint32_t closed;
    struct ring ring;
    _Alignas(64) _Atomic uint64_t done;
};
_Static_assert(sizeof(struct queue) <= OBJECT_BODY_SIZE, "a queue fits into an object record");

static inline struct queue *queue_of(struct object *object)
{
    return (struct queue *)object->body;
}

/* Under both locks. */
static void sweep(struct object *object)
{
    ring_sweep(&queue_of(object)->ring, context_arena());
}

static inline int lock_side(struct object *object, const mpm_handle *handle, struct robust_mutex *mutex)
{
    return channel_lock(object, handle, mutex, sweep);
}

/* What goes and comes: behind a put go the messages, behind what comes of a get they are. */

struct put_in {
    uint64_t size, count;
    uint64_t wants_delegation; /* 1: the next ones would be posted if they could be */
};

struct get_in {
    uint64_t size;  /* of each message; of `get` the room for one */
    uint64_t count; /* 0: any size, one message */
};

struct get_out {
    uint64_t done;
    uint64_t first_size; /* bytes of the first message, also with MPM_ETOOSMALL */
};

struct look_out {
    uint64_t size, maxsize;
};

enum {
    QUEUE_PUT,
    QUEUE_GET,
    QUEUE_JOIN,
    QUEUE_LOOK,
    QUEUE_CLOSE,
    QUEUE_TASK_DONE,
    QUEUE_DESTROY,
};

/* One try of each, in a process at home or in the home's courier. A put that was done in part goes on from there. */

static int say_closed(void)
{
    return error_set(MPM_ECLOSED, "the queue is closed");
}

/* Under the putters' lock, which it releases. `has_turns`: calls of other nodes wait for room. */
static inline __attribute__((always_inline)) int put_and_unlock(struct object *object,
                                                                struct invocation *invocation, bool has_turns)
{
    const struct put_in *put = invocation->in;
    uint64_t *all_done = invocation->out;
    struct queue *queue = queue_of(object);
    bool turn_ends = false;
    size_t done = 0;
    int status;

    if (atomic_load_explicit(&queue->closed, memory_order_relaxed))
        status = say_closed();
    else if (has_turns && fairness_stands_back(object, WAIT_ROOM, invocation->turn))
        status = CALL_MUST_WAIT;
    else if (invocation->block)
        status = ring_put_block(&queue->ring, context_arena(), invocation->block, &done);
    else
        status = ring_put(&queue->ring, context_arena(),
                          &(struct ring_messages){(const char *)invocation->tail + *all_done * put->size,
                                                  put->size, put->count - *all_done},
                          &done);
    if (has_turns && done)
        turn_ends = fairness_took(object, WAIT_ROOM, invocation->turn, done);
    robust_mutex_unlock(&object->second_mutex);
    if (done) {
        *all_done += done;
        object_fence_after_unlock();
        object_tell(object, WAIT_MESSAGE);
    }
    if (has_turns)
        fairness_tell(object, WAIT_ROOM, turn_ends, status == CALL_MUST_WAIT);
    return status ? status : *all_done == put->count ? MPM_OK : CALL_MUST_WAIT;
}

static __attribute__((noinline)) int put_in_turn(struct object *object, struct invocation *put)
{
    return put_and_unlock(object, put, true);
}

static int try_put(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    int status;

    if ((status = lock_side(object, handle, &object->second_mutex)))
        return status;
    if (fairness_is_needed(object, WAIT_ROOM))
        return put_in_turn(object, invocation);
    return put_and_unlock(object, invocation, false);
}

static int say_too_small(const struct get_in *get, const struct get_out *got)
{
    if (get->count)
        return error_set(MPM_ETOOSMALL, "the first message has %zu bytes, not %zu: get it with mpm_queue_get",
                         (size_t)got->first_size, (size_t)get->size);
    return error_set(MPM_ETOOSMALL, "the first message has %zu bytes, but the buffer has %zu",
                     (size_t)got->first_size, (size_t)get->size);
}

/* Of a long message for another node, or of one that is got in place, the block is taken. */
static bool take_block(struct queue *queue, const struct get_in *get, struct invocation *invocation)
{
    struct ring_block block;

    if (!(invocation->is_served || invocation->in_place) || get->count > 1 ||
        ring_get_block(&queue->ring, context_arena(), get->count ? get->size : 0,
                       invocation->in_place ? SIZE_MAX : get->size, process_own_number(),
                       &block) != RING_DONE)
        return false;
    if (invocation->is_served)
        invocation_give_block(invocation, &block);
    else
        invocation->more_block = block;
    *(struct get_out *)invocation->out = (struct get_out){get->count, block.size};
    return true;
}

static enum ring_result take(struct queue *queue, const struct get_in *get, struct invocation *invocation)
{
    struct ring_batch batch = {get->size, get->count, 0, 0};
    struct get_out *got = invocation->out;
    enum ring_result result;

    if (take_block(queue, get, invocation))
        return RING_DONE;
    if (get->count)
        result = ring_get_many(&queue->ring, context_arena(), invocation->more, &batch);
    else
        result = ring_get(&queue->ring, context_arena(), invocation->more, get->size, &batch.first_size);
    *got = (struct get_out){batch.got, batch.first_size};
    if (result == RING_DONE)
        invocation->size = get->count ? batch.got * get->size : batch.first_size;
    return result;
}

/* Under the getters' lock, which it releases. `has_turns`: calls of other nodes wait for a message. */
static inline __attribute__((always_inline)) int get_and_unlock(struct object *object,
                                                                struct invocation *invocation, bool has_turns)
{
    const struct get_in *get = invocation->in;
    struct get_out *got = invocation->out;
    struct queue *queue = queue_of(object);
    bool is_closed, is_bounded, turn_ends = false;
    enum ring_result result;

    /* Pairs with the store of try_close(): what was put before it is seen. */
    is_closed = atomic_load_explicit(&queue->closed, memory_order_acquire);
    is_bounded = queue->ring.maxsize;
    result = take(queue, get, invocation);
    if (has_turns && result == RING_DONE)
        turn_ends = fairness_took(object, WAIT_MESSAGE, invocation->turn, get->count ? got->done : 1);
    robust_mutex_unlock(&object->mutex);
    if (has_turns)
        fairness_tell(object, WAIT_MESSAGE, turn_ends, false);
    if (result == RING_EMPTY)
        return is_closed ? say_closed() : CALL_MUST_WAIT;
    if (result == RING_TOO_SMALL)
        return say_too_small(get, got);
    if (is_bounded) {
        object_fence_after_unlock();
        object_tell(object, WAIT_ROOM);
    }
    return MPM_OK;
}

/* Under the getters' lock, which it releases: what there is is left to a call of another node. */
static int leave_message(struct object *object)
{
    const struct queue *queue = queue_of(object);
    /* Pairs with the store of try_close(): what was put before it is seen. */
    bool is_closed = atomic_load_explicit(&queue->closed, memory_order_acquire);
    bool is_empty = ring_is_empty(&queue->ring);

    robust_mutex_unlock(&object->mutex);
    fairness_tell(object, WAIT_MESSAGE, false, !is_empty);
    return is_empty && is_closed ? say_closed() : CALL_MUST_WAIT;
}

static __attribute__((noinline)) int get_in_turn(struct object *object, struct invocation *get)
{
    if (fairness_stands_back(object, WAIT_MESSAGE, get->turn))
        return leave_message(object);
    return get_and_unlock(object, get, true);
}

static int try_get(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    int status;

    if ((status = lock_side(object, handle, &object->mutex)))
        return status;
    if (fairness_is_needed(object, WAIT_MESSAGE))
        return get_in_turn(object, invocation);
    return get_and_unlock(object, invocation, false);
}

/* How many messages are not done. `done` first: it is never more than what was put, so they were equal when it was read
 * if they are now. */
static uint64_t left_to_do(const struct queue *queue)
{
    /* Pairs with the store of try_task_done(). */
    uint64_t done = atomic_load_explicit(&queue->done, memory_order_acquire);

    return ring_put_count(&queue->ring) - done;
}

static int try_join(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    bool is_done = !left_to_do(queue_of(object));

    (void)unused;
    if (!object_is(object, handle))
        return object_stale(handle);
    return is_done ? MPM_OK : CALL_MUST_WAIT;
}

static int try_task_done(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    struct queue *queue = queue_of(object);
    uint64_t done, got;
    int status;

    (void)unused;
    if ((status = lock_side(object, handle, &object->mutex)))
        return status;
    done = atomic_load_explicit(&queue->done, memory_order_relaxed);
    if (done < (got = ring_got_count(&queue->ring)))
        /* Pairs with left_to_do(). */
        atomic_store_explicit(&queue->done, done + 1, memory_order_release);
    else
        status = error_set(
            MPM_EINVAL, "mpm_queue_task_done called too often: %llu messages were received, and all are done",
            (unsigned long long)got);
    robust_mutex_unlock(&object->mutex);
    if (!status) {
        object_fence_after_unlock();
        object_tell(object, WAIT_DONE);
    }
    return status;
}

/* Closing and destroying must wait while nodes have delegations for it: see object/post.h. */
static int try_close(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    int status;

    (void)unused;
    if ((status = lock_side(object, handle, &object->second_mutex)))
        return status;
    if (post_is_delegated(object)) {
        robust_mutex_unlock(&object->second_mutex);
        return CALL_MUST_WAIT;
    }
    /* Pairs with the loads of the getters. */
    atomic_store_explicit(&queue_of(object)->closed, 1, memory_order_release);
    robust_mutex_unlock(&object->second_mutex);
    object_fence_after_unlock();
    object_tell(object, WAIT_MESSAGE);
    object_tell(object, WAIT_ROOM);
    return MPM_OK;
}

static int try_destroy(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    int status;

    (void)unused;
    if ((status = channel_lock_both(object, handle, sweep)))
        return status;
    if (post_is_delegated(object)) {
        channel_unlock_both(object);
        return CALL_MUST_WAIT;
    }
    object_set_unclean(object);
    object_end(object);
    KILL_POINT();
    ring_free(&queue_of(object)->ring, context_arena());
    object_set_clean(object);
    channel_unlock_both(object);
    for (unsigned i = 0; i < OBJECT_WAITS; i++)
        eventcount_notify(&object->wait[i].word);
    return MPM_OK;
}

static int try_look(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct ring *ring = &queue_of(object)->ring;
    struct look_out *look = invocation->out;

    look->size = ring_size(ring);
    look->maxsize = ring->maxsize;
    return object_is(object, handle) ? MPM_OK : object_stale(handle);
}

/* What those that may wait look for, at home. */

static bool may_get(const struct object *object, const struct invocation *unused)
{
    const struct queue *queue = (const struct queue *)object->body;

    (void)unused;
    if (!ring_is_empty(&queue->ring))
        return !fairness_is_remote(object, WAIT_MESSAGE);
    return atomic_load_explicit(&queue->closed, memory_order_relaxed);
}

static bool may_put(const struct object *object, const struct invocation *unused)
{
    const struct queue *queue = (const struct queue *)object->body;

    (void)unused;
    return (!ring_is_full(&queue->ring) && !fairness_is_remote(object, WAIT_ROOM)) ||
           atomic_load_explicit(&queue->closed, memory_order_relaxed);
}

static bool may_join(const struct object *object, const struct invocation *unused)
{
    (void)unused;
    return !left_to_do((const struct queue *)object->body);
}

static uint64_t messages(const struct object *object)
{
    return ring_size(&((const struct queue *)object->body)->ring);
}

static uint64_t room(const struct object *object)
{
    return ((const struct queue *)object->body)->ring.maxsize - messages(object);
}

static inline int find(const mpm_handle *handle, struct object **object)
{
    if ((*object = object_find_recent(handle, OBJECT_QUEUE)))
        return MPM_OK;
    return object_find(handle, OBJECT_QUEUE, object);
}

/* What the courier does in place of a try, for callers of other nodes. */

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
    return error_set(MPM_ENOMEM, "node %u has no memory yet for messages put into the queue earlier",
                     handle->home);
}

/* What is put is said, so that the caller can go on behind it: some messages are a success. */
static int serve_put(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct put_in *put = invocation->in;
    const uint64_t *done = invocation->out;
    int status;

    if (post_is_behind(handle))
        return say_behind(handle);
    status = try_put(object, handle, invocation);
    if (!status && put->wants_delegation)
        grant(object, handle);
    return *done ? MPM_OK : status;
}

/* What nodes have posted by their delegations. */
static int carry_out_put(const mpm_handle *handle, const void *bytes, size_t size, size_t count, size_t *done)
{
    struct put_in put = {.size = size, .count = count};
    uint64_t put_so_far = 0;
    struct invocation invocation = {.in = &put, .tail = bytes, .out = &put_so_far, .turn = FAIRNESS_PASSES};
    struct object *object;
    int status;

    if ((status = find(handle, &object)))
        return status;
    status = try_put(object, handle, &invocation);
    *done = put_so_far;
    return status == MPM_ENOMEM ? CALL_MUST_WAIT : status;
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

/* There is no room made for a message before there is one, and none for a long one, which comes in its block. */
static int serve_get(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct get_in *get = invocation->in;
    size_t room = get->size;
    int status;

    if (get->count > 1)
        room *= get->count;
    else if (ring_is_long(room))
        room = RING_SHORT;
    if ((status = look(handle)) || (status = invocation_make_room(invocation, room)))
        return status;
    return try_get(object, handle, invocation);
}

/* The last one first, so that they are in their order again. What `got` says goes down with each. */
static int give_back(struct object *object, const struct get_in *get, struct get_out *got,
                     const char *messages)
{
    size_t size = get->count ? get->size : got->first_size;
    int status = MPM_OK;

    if (!get->count)
        got->done = 1;
    while (got->done && !(status = ring_give_back(&queue_of(object)->ring, context_arena(),
                                                  messages + (got->done - 1) * size, size)))
        got->done--;
    return status ? CALL_MUST_WAIT : MPM_OK;
}

static int undo_get(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    struct object *object;
    int status = MPM_OK;

    if (!was_given || find(handle, &object) || lock_side(object, handle, &object->mutex))
        return MPM_OK; /* there is nothing, or no queue, to give it back to */
    if (invocation->block)
        ring_give_back_block(&queue_of(object)->ring, context_arena(), invocation->block);
    else
        status = give_back(object, invocation->in, invocation->out, invocation->more);
    robust_mutex_unlock(&object->mutex);
    object_fence_after_unlock();
    object_tell(object, WAIT_MESSAGE);
    return status;
}

static int serve_join(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    return post_is_behind(handle) ? CALL_MUST_WAIT : try_join(object, handle, invocation);
}

/* What a delegation has not brought yet is not counted, and some may have been done since the last look. */
static int late_join(struct object *object, const mpm_handle *unused, struct invocation *unused_too)
{
    uint64_t left = left_to_do(queue_of(object)), size = ring_size(&queue_of(object)->ring);

    (void)unused;
    (void)unused_too;
    if (!left)
        return error_set(MPM_ETIMEDOUT, "not all messages of the queue were done within the timeout");
    return error_set(
        MPM_ETIMEDOUT,
        "not all messages of the queue were done within the timeout: %llu left, %llu of them not got yet",
        (unsigned long long)left, (unsigned long long)(size < left ? size : left));
}

/* The end of a queue must wait while the queue is delegated. */

static int serve_close(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    int status = try_close(object, handle, invocation);

    return status == CALL_MUST_WAIT ? post_recall(object, handle) : status;
}

static int serve_destroy(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    int status;

    post_forget(handle);
    status = try_destroy(object, handle, invocation);
    return status == CALL_MUST_WAIT ? post_recall(object, handle) : status;
}

static unsigned getting_side(const struct invocation *unused)
{
    (void)unused;
    return WAIT_MESSAGE;
}

static unsigned putting_side(const struct invocation *unused)
{
    (void)unused;
    return WAIT_ROOM;
}

static bool put_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct put_in *put = invocation->in;

    (void)handle;
    return put->count && put->size <= invocation->tail_size &&
           invocation->tail_size / put->count == put->size && invocation->tail_size % put->count == 0;
}

static bool takes_block(const void *in, size_t tail_size)
{
    const struct put_in *put = in;

    return put->count == 1 && put->size == tail_size;
}

static bool get_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct get_in *get = invocation->in;

    (void)handle;
    return get->size <= CALL_WHOLE && (!get->count || get->size <= CALL_WHOLE / get->count);
}

static const struct method methods[] = {
    [QUEUE_PUT] = {OBJECT_QUEUE, QUEUE_PUT, "put", .in_size = sizeof(struct put_in), .tail_unit = 1,
                   .out_size = sizeof(uint64_t), .makes_sense = put_makes_sense, .try = try_put,
                   .serve = serve_put, .takes_block = takes_block, .wait = WAIT_ROOM, .is_ready = may_put,
                   .amount = room, .side = putting_side, .is_timed = true, .late_status = MPM_EFULL,
                   .late_sentence = "the queue was full for the whole timeout"},
    [QUEUE_GET] = {OBJECT_QUEUE, QUEUE_GET, "get", .in_size = sizeof(struct get_in),
                   .out_size = sizeof(struct get_out), .has_more = true, .makes_sense = get_makes_sense,
                   .try = try_get, .serve = serve_get, .wait = WAIT_MESSAGE, .is_ready = may_get,
                   .amount = messages, .side = getting_side, .is_timed = true, .late_status = MPM_EEMPTY,
                   .late_sentence = "the queue was empty for the whole timeout", .undo = undo_get,
                   .gives = true},
    [QUEUE_JOIN] = {OBJECT_QUEUE, QUEUE_JOIN, "join", .try = try_join, .serve = serve_join, .wait = WAIT_DONE,
                    .is_ready = may_join, .is_timed = true, .late_status = MPM_ETIMEDOUT, .late = late_join},
    [QUEUE_LOOK] = {OBJECT_QUEUE, QUEUE_LOOK, "look", .out_size = sizeof(struct look_out), .try = try_look},
    [QUEUE_CLOSE] = {OBJECT_QUEUE, QUEUE_CLOSE, "close", .try = try_close, .serve = serve_close,
                     .by_courier = true},
    [QUEUE_TASK_DONE] = {OBJECT_QUEUE, QUEUE_TASK_DONE, "task_done", .try = try_task_done},
    [QUEUE_DESTROY] = {OBJECT_QUEUE, QUEUE_DESTROY, "destroy", .try = try_destroy, .serve = serve_destroy,
                       .by_courier = true},
};
const struct kind queue_kind = {.kind = OBJECT_QUEUE,
                                .methods = methods,
                                .count = sizeof methods / sizeof *methods,
                                .looks = look,
                                .carries_out = carry_out_put};

/* The caller's part of calls to other nodes. */

/* One call with what fits into one: `*done` goes on. */
static int put_batch(const mpm_handle *handle, const struct put_in *put, const void *messages, uint64_t *done,
                     double timeout_s)
{
    size_t batch = put->size ? BATCH_SIZE / put->size : BATCH_SIZE;
    struct put_in part = {.size = put->size};
    uint64_t part_done = 0;
    struct invocation invocation = {.method = &methods[QUEUE_PUT],
                                    .in = &part,
                                    .tail = (const char *)messages + *done * put->size,
                                    .out = &part_done};
    int status;

    if (!batch)
        batch = 1;
    part.count = batch < put->count - *done ? batch : put->count - *done;
    invocation.tail_size = part.count * put->size;
    part.wants_delegation = invocation.tail_size <= POST_LIMIT;
    status = invoke_remote(handle, &invocation, timeout_s);
    *done += part_done;
    return status;
}

static int check_crosses(size_t size)
{
    if (size <= CALL_WHOLE)
        return MPM_OK;
    return error_set(MPM_ENOMEM, "a message of %zu bytes is too large for another node: at most %zu", size,
                     CALL_WHOLE);
}

static int put_remote(const mpm_handle *handle, const struct put_in *put, const void *messages,
                      uint64_t *done, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status = MPM_OK;

    if ((status = check_crosses(put->size)))
        return status;
    if (put->size <= POST_LIMIT && put->count <= POST_LIMIT && put->size * put->count <= POST_LIMIT &&
        post_operation(handle, OBJECT_QUEUE, 0, messages, put->size, put->count)) {
        *done = put->count;
        return MPM_OK;
    }
    while (!status && *done < put->count)
        status = put_batch(handle, put, messages, done, call_time_left_s(timeout_s, deadline_ns));
    return status;
}

static int get_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    struct get_out *got = invocation->out;
    struct get_in *get = invocation->in;
    size_t room = get->size;
    int status;

    get->size = call_expect(invocation, room);
    status = invoke_remote(handle, invocation, timeout_s);
    get->size = room;
    if (status == MPM_ETOOSMALL && got->first_size > CALL_WHOLE && got->first_size <= room)
        return check_crosses(got->first_size);
    return status == MPM_ETOOSMALL ? say_too_small(get, got) : status;
}

/* Only the first call waits; the rest is what is there. */
static int get_many_remote(const mpm_handle *handle, struct invocation *whole, double timeout_s)
{
    const struct get_in *get = whole->in;
    struct get_out *got = whole->out;
    size_t most = get->size ? BATCH_SIZE / get->size : BATCH_SIZE, done = 0;
    struct get_in part = {.size = get->size};
    struct invocation invocation = {.method = whole->method, .in = &part, .out = got};
    int status;

    if (get->size > CALL_WHOLE)
        return error_set(MPM_EINVAL, "messages of %zu bytes are too large for another node: at most %zu",
                         (size_t)get->size, CALL_WHOLE);
    if (!most)
        most = 1;
    do {
        part.count = most < get->count - done ? most : get->count - done;
        invocation.more = (char *)whole->more + done * get->size;
        invocation.room = part.count * get->size;
        if ((status = invoke_remote(handle, &invocation, done ? 0 : timeout_s)))
            break;
        done += got->done;
    } while (got->done == part.count && done < get->count);
    got->done = done;
    return done ? MPM_OK : status;
}

/* What has neither bytes nor a time limit. */
static int plain(const mpm_handle *handle, unsigned verb)
{
    struct invocation invocation = {.method = &methods[verb]};

    return invoke(handle, &invocation, MPM_FOREVER);
}

static int look_at(const mpm_handle *handle, struct look_out *look)
{
    struct invocation invocation = {.method = &methods[QUEUE_LOOK], .out = look};

    return invoke(handle, &invocation, 0);
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
    is_done = !fairness_is_needed(object, WAIT_ROOM) &&
              !atomic_load_explicit(&queue->closed, memory_order_relaxed) &&
              ring_put_at_once(&queue->ring, context_arena(), message, size);
    robust_mutex_unlock(&object->second_mutex);
    if (is_done) {
        object_fence_after_unlock();
        object_tell(object, WAIT_MESSAGE);
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
    is_done = !fairness_is_needed(object, WAIT_MESSAGE) &&
              ring_get_at_once(&queue->ring, context_arena(), message, room, size);
    robust_mutex_unlock(&object->mutex);
    if (is_done && is_bounded) {
        object_fence_after_unlock();
        object_tell(object, WAIT_ROOM);
    }
    return is_done;
}

/* The interface. */

int mpm_queue_create(const mpm_queue_options *options, mpm_queue *queue)
{
    struct object *object;
    int status;

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_queue_create");
    if (!queue)
        return error_set(MPM_EINVAL, "mpm_queue_create: the pointer for the queue is NULL");
    if ((status = object_reserve(&object)))
        return status;
    ring_create(&queue_of(object)->ring, object_owner(object, 0), options ? options->maxsize : 0);
    queue->handle = object_commit(object, OBJECT_QUEUE);
    return MPM_OK;
}

int mpm_queue_destroy(mpm_queue queue)
{
    return plain(&queue.handle, QUEUE_DESTROY);
}

int mpm_queue_put(mpm_queue queue, const void *message, size_t size, double timeout_s)
{
    if ((message || !size) && !isnan(timeout_s) && put_at_once(&queue.handle, message, size))
        return MPM_OK;
    if (size && !message)
        return error_set(MPM_EINVAL, "mpm_queue_put: the message is NULL, but its size is %zu bytes", size);
    return mpm_queue_put_many(queue, message, size, 1, timeout_s, NULL);
}

int mpm_queue_put_many(mpm_queue queue, const void *messages, size_t size, size_t count, double timeout_s,
                       size_t *put)
{
    struct put_in in = {.size = size, .count = count};
    uint64_t done = 0;
    struct invocation invocation = {.method = &methods[QUEUE_PUT],
                                    .in = &in,
                                    .tail = messages,
                                    .out = &done,
                                    .turn = FAIRNESS_STANDS_BACK};
    struct look_out look;
    int status;

    if (put)
        *put = 0;
    if ((status = error_check_timeout(timeout_s)) ||
        (status = error_check_memory("mpm_queue_put_many", "messages", messages, count, size)))
        return status;
    if (!count)
        status = look_at(&queue.handle, &look);
    else if (object_is_home(&queue.handle))
        status = invoke_local(&queue.handle, &invocation, timeout_s);
    else
        status = put_remote(&queue.handle, &in, messages, &done, timeout_s);
    if (put)
        *put = done;
    return status;
}

/* Apart, so that a message that is there costs nothing of this. */
static __attribute__((noinline)) int get_slowly(const mpm_handle *queue, double timeout_s, void *message,
                                                size_t room, size_t *size)
{
    struct get_in in = {.size = room};
    struct get_out out = {0};
    struct invocation invocation = {
        .method = &methods[QUEUE_GET], .in = &in, .out = &out, .more = message, .turn = FAIRNESS_STANDS_BACK};
    int status;

    if (object_is_home(queue))
        status = invoke_local(queue, &invocation, timeout_s);
    else
        status = get_remote(queue, &invocation, timeout_s);
    if (size && (!status || status == MPM_ETOOSMALL))
        *size = out.first_size;
    return status;
}

int mpm_queue_get(mpm_queue queue, double timeout_s, void *message, size_t room, size_t *size)
{
    size_t unused;

    if (room && !message)
        return error_set(MPM_EINVAL, "mpm_queue_get: the buffer is NULL, but its size is %zu bytes", room);
    if (!isnan(timeout_s) && get_at_once(&queue.handle, message, room, size ? size : &unused))
        return MPM_OK;
    return get_slowly(&queue.handle, timeout_s, message, room, size);
}

/* A long message comes in its block; a short one is copied into one that is there before. */
static int get_in_place(const mpm_handle *queue, double timeout_s, struct ring_block *got)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    struct get_out out = {.first_size = SHORT_ROOM};
    int status;

    do {
        struct get_in in = {.size = out.first_size};
        struct invocation invocation = {.method = &methods[QUEUE_GET],
                                        .in = &in,
                                        .out = &out,
                                        .in_place = true,
                                        .turn = FAIRNESS_STANDS_BACK};

        if ((status = message_make_block(in.size, got)))
            return status;
        invocation.more = arena_at(context_arena(), got->at);
        status = invoke_local(queue, &invocation, call_time_left_s(timeout_s, deadline_ns));
        got->size = out.first_size;
        if (status || invocation.more_block.block)
            arena_free(context_arena(), got->block);
        if (invocation.more_block.block)
            *got = invocation.more_block;
    } while (status == MPM_ETOOSMALL);
    return status;
}

/* Memory for a message of unknown size was there before it came: a short one needs less. */
static void trim(struct ring_block *block)
{
    struct ring_block trimmed;

    if (ring_is_long(block->size) || message_make_block(block->size, &trimmed))
        return;
    if (block->size)
        memcpy(arena_at(context_arena(), trimmed.at), arena_at(context_arena(), block->at), block->size);
    arena_free(context_arena(), block->block);
    *block = trimmed;
}

static int get_in_place_remote(const mpm_handle *queue, double timeout_s, struct ring_block *got)
{
    struct get_in in = {.size = SIZE_MAX};
    struct get_out out = {0};
    struct invocation invocation = {.method = &methods[QUEUE_GET],
                                    .in = &in,
                                    .out = &out,
                                    .in_place = true,
                                    .turn = FAIRNESS_STANDS_BACK};
    int status = get_remote(queue, &invocation, timeout_s);

    *got = invocation.more_block;
    if (!status)
        trim(got);
    return status;
}

int mpm_queue_get_message(mpm_queue queue, double timeout_s, mpm_message *message)
{
    struct ring_block got;
    int status = message_check_place("mpm_queue_get_message", message);

    if (status)
        return status;
    status = (object_is_home(&queue.handle) ? get_in_place : get_in_place_remote)(&queue.handle, timeout_s,
                                                                                  &got);
    if (!status)
        *message = message_of(&got);
    return status;
}

static int put_in_place(const mpm_handle *queue, struct ring_block *block, double timeout_s)
{
    struct put_in in = {.size = block->size, .count = 1};
    uint64_t done = 0;
    struct invocation invocation = {.method = &methods[QUEUE_PUT],
                                    .in = &in,
                                    .tail = arena_at(context_arena(), block->at),
                                    .tail_size = block->size,
                                    .out = &done,
                                    .block = block,
                                    .turn = FAIRNESS_STANDS_BACK};
    int status;

    if (object_is_home(queue))
        return invoke_local(queue, &invocation, timeout_s);
    if ((status = check_crosses(block->size)))
        return status;
    return invoke_remote(queue, &invocation, timeout_s);
}

int mpm_queue_put_message(mpm_queue queue, mpm_message *message, double timeout_s)
{
    struct ring_block block;
    int status;

    if ((status = error_check_timeout(timeout_s)) ||
        (status = message_find_block("mpm_queue_put_message", message, &block)))
        return status;
    if (ring_is_long(block.size))
        status = put_in_place(&queue.handle, &block, timeout_s);
    else if (!(status = mpm_queue_put(queue, message->bytes, message->size, timeout_s)))
        arena_free(context_arena(), block.block);
    if (!status || !block.block)
        *message = (mpm_message){0};
    return status;
}

int mpm_queue_get_many(mpm_queue queue, size_t size, size_t count, double timeout_s, void *messages,
                       size_t *got)
{
    struct get_in in = {.size = size, .count = count};
    struct get_out out = {0};
    struct invocation invocation = {.method = &methods[QUEUE_GET],
                                    .in = &in,
                                    .out = &out,
                                    .more = messages,
                                    .turn = FAIRNESS_STANDS_BACK};
    struct look_out look;
    int status;

    if ((status = error_check_timeout(timeout_s)) ||
        (status = error_check_memory("mpm_queue_get_many", "messages", messages, count, size)))
        return status;
    if (!count)
        status = look_at(&queue.handle, &look);
    else if (object_is_home(&queue.handle))
        status = invoke_local(&queue.handle, &invocation, timeout_s);
    else
        status = get_many_remote(&queue.handle, &invocation, timeout_s);
    if (got && !status)
        *got = out.done;
    return status;
}

int mpm_queue_get_exact(mpm_queue queue, size_t size, double timeout_s, void *message)
{
    char why[MESSAGE_TEXT_SIZE];
    int status = mpm_queue_get_many(queue, size, 1, timeout_s, message, NULL);

    if (status != MPM_ETOOSMALL)
        return status;
    snprintf(why, sizeof why, "%s", mpm_error());
    return error_set(MPM_ETYPE, "%s", why);
}

int mpm_queue_size(mpm_queue queue, size_t *messages)
{
    struct look_out look;
    int status;

    if (!messages)
        return error_set(MPM_EINVAL, "mpm_queue_size: the pointer for the size is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *messages = look.size;
    return status;
}

int mpm_queue_is_empty(mpm_queue queue, bool *is_empty)
{
    struct look_out look;
    int status;

    if (!is_empty)
        return error_set(MPM_EINVAL, "mpm_queue_is_empty: the pointer for the answer is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *is_empty = !look.size;
    return status;
}

int mpm_queue_is_full(mpm_queue queue, bool *is_full)
{
    struct look_out look;
    int status;

    if (!is_full)
        return error_set(MPM_EINVAL, "mpm_queue_is_full: the pointer for the answer is NULL");
    if (!(status = look_at(&queue.handle, &look)))
        *is_full = look.maxsize && look.size >= look.maxsize;
    return status;
}

int mpm_queue_close(mpm_queue queue)
{
    return plain(&queue.handle, QUEUE_CLOSE);
}

int mpm_queue_task_done(mpm_queue queue)
{
    return plain(&queue.handle, QUEUE_TASK_DONE);
}

int mpm_queue_join(mpm_queue queue, double timeout_s)
{
    struct invocation invocation = {.method = &methods[QUEUE_JOIN]};

    return invoke(&queue.handle, &invocation, timeout_s);
}

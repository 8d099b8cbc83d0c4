/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes: two rings of messages (shm/ring.h) in one object, one for each direction, and for each end who
 * holds it (sync/holders.h).
 *
 * Who writes what: whoever receives writes the getting side of the other end's ring under the object's
 * `mutex`; whoever sends writes the putting side of its own end's ring under `second_mutex` (sync/channel.h).
 * Both ends share the two locks. `closed` and the lists of holders are written under both, and read under
 * either. Each operation is committed by one store: the ring's, a list's, that of `closed`, or that of the
 * object record's identity, when the second end is closed. The blocks of the lists have the owner number of the first
 * ring, so the sweep passes them on before that ring is swept.
 *
 * The other end is gone when it is closed, or had holders and all of them are dead or have let it go. A receiver that
 * finds its ring empty looks at that first and at the ring again then, so that what was sent before the end is
 * received. Who waits reads the word that it is to sleep on before it looks; a death after that wakes it,
 * because the reaper, or the courier that is told, moves the word on (object/thread_ref.h). A waiter at an end
 * sleeps on the wait of that end's number, which whoever sends at the other end rings, and whoever receives there
 * from a ring that was full: else a receiver that sleeps would be woken by what it has sent being received.
 *
 * Processes of other nodes that use an end which processes of the home use, too, have turns (object/fairness.h). What
 * was done past them is counted behind the commit; who stands back has done nothing. */
#include "sync/pipe.h"

#include "mpmap/pipe.h"

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/kill_point.h"
#include "shm/ring.h"
#include "sync/channel.h"
#include "sync/holders.h"
#include "sync/kinds.h"
#include "sync/transfer.h"

#define MESSAGES  1024u /* that a direction holds */
#define RECEIVING 0u    /* the end of a oneway pipe that receives */

struct pipe {
    struct channel channel;
    uint32_t is_oneway; /* constant */
    _Atomic uint32_t closed[PIPE_ENDS];
    uint64_t holders[PIPE_ENDS]; /* struct holders */
    struct ring ring[PIPE_ENDS]; /* what each end sends */
};
_Static_assert(sizeof(struct pipe) <= OBJECT_BODY_SIZE, "a pipe fits into an object record");
_Static_assert(2 * PIPE_ENDS <= OBJECT_SIDES, "an object record counts the turns of each side of a pipe");

static struct pipe *pipe_of(struct object *object)
{
    return (struct pipe *)(void *)object->body;
}

static const struct pipe *pipe_in(const struct object *object)
{
    return (const struct pipe *)(const void *)object->body;
}

/* Under both locks. */
static void sweep(struct object *object)
{
    struct pipe *pipe = pipe_of(object);

    for (unsigned end = 0; end < PIPE_ENDS; end++) {
        if (pipe->holders[end])
            arena_pass(context_arena(), pipe->holders[end], pipe->ring[0].owner ^ 1);
        KILL_POINT();
    }
    for (unsigned end = 0; end < PIPE_ENDS; end++)
        ring_sweep(&pipe->ring[end], context_arena());
}

/* Tells the other end of what was done at an end. */
static void tell_other(struct object *object, unsigned end)
{
    object_fence_after_unlock();
    object_tell(object, !end);
}

/* Tells who sends at an end that a message of its ring was got, which are `got` with it, if somebody may wait for that:
 * the ring was full. Who waits has set `wanted`, with a fence behind, and found the ring full then, with `got` - 1
 * messages got: this fence is behind that one, and shows what it had put. If it is not, that look has found room. */
static void tell_of_room(struct object *object, unsigned end, uint64_t got)
{
    object_fence_after_unlock();
    if (ring_put_count(&pipe_of(object)->ring[end]) - (got - 1) >= MESSAGES)
        object_tell(object, end);
}

/* Tells both ends that holders have changed: those, too, who are between their last try and their sleep. */
static void tell_all(struct object *object)
{
    for (unsigned end = 0; end < PIPE_ENDS; end++)
        eventcount_notify(&object->wait[end].word);
    /* Pairs with the fence in object_note_waiting(): without, a call from another node waits on for a holder that is
     * gone. Who waits here is woken by the words above, whatever `wanted` says. */
    atomic_thread_fence(memory_order_seq_cst);
    object_changed(object);
}

/* Holding. */

/* What the process has let go of it holds again by a use only, not by the args that it was started with. */
static int note_holder(struct pipe *pipe, const struct pipe_use *use, bool is_used)
{
    struct thread_ref_death death = {use->thread_ref.node, use->thread_ref.number,
                                     use->thread_ref.generation};
    struct arena *arena = context_arena();
    uint64_t *list = &pipe->holders[use->end];
    int status;

    if (!(is_used ? holders_have : holders_had)(arena, *list, &use->thread_ref) &&
        (status = holders_add(arena, list, pipe->ring[0].owner, &use->thread_ref)))
        return status;
    if (use->thread_ref.is_dead)
        holders_mark(arena, *list, &death);
    return MPM_OK;
}

static int hold(struct object *object, const mpm_handle *handle, const struct pipe_use *use, bool is_used)
{
    int status;

    if ((status = channel_lock_both(object, handle, sweep)))
        return status;
    status = note_holder(pipe_of(object), use, is_used);
    channel_unlock_both(object);
    tell_all(object); /* it may have died before it was noted, and its reaper has rung for nothing */
    return status;
}

/* Notes the thread reference of the use at its end: as dead, if that says so; not if it has let go of it. */
static int try_hold(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    return hold(object, handle, invocation->in, false);
}

static int try_release(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    int status;

    if ((status = channel_lock_both(object, handle, sweep)))
        return status;
    holders_let_go(context_arena(), pipe_of(object)->holders[use->end], &use->thread_ref);
    KILL_POINT();
    channel_unlock_both(object);
    tell_all(object);
    return MPM_OK;
}

/* Whether an end is open, and of the right direction. Under one of the locks. */
static int check_use(const struct pipe *pipe, const struct pipe_use *use, bool receives)
{
    if (atomic_load_explicit(&pipe->closed[use->end], memory_order_relaxed))
        return error_set(MPM_ECLOSED, "this end of the pipe is closed");
    if (!pipe->is_oneway || receives == (use->end == RECEIVING))
        return MPM_OK;
    return error_set(MPM_EINVAL, receives ? "this end of a oneway pipe sends: it cannot receive"
                                          : "this end of a oneway pipe receives: it cannot send");
}

/* Locks the side of a use of an end, which may be so used, and is held then. */
static int lock_end(struct object *object, const mpm_handle *handle, const struct pipe_use *use,
                    bool receives)
{
    struct robust_mutex *mutex = receives ? &object->mutex : &object->second_mutex;

    for (;;) {
        struct pipe *pipe = pipe_of(object);
        int status;

        if ((status = channel_lock(object, handle, mutex, sweep)))
            return status;
        if (!(status = check_use(pipe, use, receives)) &&
            holders_have(context_arena(), pipe->holders[use->end], &use->thread_ref))
            return MPM_OK;
        robust_mutex_unlock(mutex);
        if (status || (status = hold(object, handle, use, true)))
            return status;
    }
}

/* Under one of the locks. */
static bool is_gone(const struct pipe *pipe, unsigned end)
{
    return atomic_load_explicit(&pipe->closed[end], memory_order_relaxed) ||
           holders_are_gone(context_arena(), pipe->holders[end]);
}

/* One try of each operation. */

static int put(struct pipe *pipe, unsigned end, const struct invocation *invocation, bool stands_back)
{
    size_t done = 0;
    int status;

    if (is_gone(pipe, !end))
        return error_set(MPM_EPIPE, "the other end of the pipe is closed or gone");
    if (stands_back)
        return CALL_MUST_WAIT;
    if (invocation->block)
        status = ring_put_block(&pipe->ring[end], context_arena(), invocation->block, &done);
    else
        status = ring_put(&pipe->ring[end], context_arena(),
                          &(struct ring_messages){invocation->tail, invocation->tail_size, 1}, &done);
    if (status)
        return status;
    return done ? MPM_OK : CALL_MUST_WAIT;
}

int pipe_try_send(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    unsigned side = pipe_side(use->end, true);
    bool has_turns, stands_back, turn_ends;
    int status;

    if ((status = lock_end(object, handle, use, false)))
        return status;
    has_turns = fairness_is_needed(object, side);
    stands_back = has_turns && fairness_stands_back(object, side, invocation->turn);
    status = put(pipe_of(object), use->end, invocation, stands_back);
    turn_ends = has_turns && !status && fairness_took(object, side, invocation->turn, 1);
    robust_mutex_unlock(&object->second_mutex);
    if (!status)
        tell_other(object, use->end);
    if (has_turns)
        fairness_tell(object, use->end, turn_ends, stands_back);
    return status;
}

int pipe_too_small(size_t size, size_t room)
{
    return error_set(MPM_ETOOSMALL, "the next message has %zu bytes, but the buffer has %zu", size, room);
}

/* Whether there is a message: 0, MPM_EEOF or CALL_MUST_WAIT. */
static int look_for_message(const struct pipe *pipe, const struct pipe_use *use)
{
    const struct ring *ring = &pipe->ring[!use->end];

    if (!ring_is_empty(ring))
        return MPM_OK;
    if (!is_gone(pipe, !use->end))
        return CALL_MUST_WAIT;
    if (!ring_is_empty(ring))
        return MPM_OK;
    return error_set(MPM_EEOF, "the other end of the pipe is closed or gone, and all messages were received");
}

static int take_exactly(struct ring *ring, struct pipe_buffer *buffer)
{
    struct ring_batch batch = {buffer->room, 1, 0, 0};
    enum ring_result result = ring_get_many(ring, context_arena(), buffer->bytes, &batch);

    buffer->size = batch.first_size;
    if (result == RING_TOO_SMALL)
        return error_set(MPM_ETYPE, "the next message has %zu bytes, not %zu", buffer->size, buffer->room);
    return MPM_OK;
}

/* Of a long message for another node the block is taken. */
static bool take_block(struct ring *ring, bool is_exact, struct pipe_buffer *buffer)
{
    if (!buffer->takes_block ||
        ring_get_block(ring, context_arena(), is_exact ? buffer->room : 0, buffer->room, process_own_number(),
                       &buffer->block) != RING_DONE) {
        buffer->block.block = 0;
        return false;
    }
    buffer->size = buffer->block.size;
    return true;
}

static int take(struct pipe *pipe, const struct pipe_receive_in *receive, bool stands_back,
                struct pipe_buffer *buffer)
{
    struct ring *ring = &pipe->ring[!receive->use.end];
    int status;

    if ((status = look_for_message(pipe, &receive->use)))
        return status;
    if (stands_back)
        return CALL_MUST_WAIT;
    if (take_block(ring, receive->is_exact, buffer))
        return MPM_OK;
    if (receive->is_exact)
        return take_exactly(ring, buffer);
    if (ring_get(ring, context_arena(), buffer->bytes, buffer->room, &buffer->size) == RING_TOO_SMALL)
        return pipe_too_small(buffer->size, buffer->room);
    return MPM_OK;
}

int pipe_receive_into(struct object *object, const mpm_handle *handle, const struct pipe_receive_in *receive,
                      enum turn turn, struct pipe_buffer *buffer)
{
    const struct pipe_use *use = &receive->use;
    unsigned side = pipe_side(use->end, false);
    bool has_turns, stands_back, turn_ends;
    uint64_t got;
    int status;

    if ((status = lock_end(object, handle, use, true)))
        return status;
    has_turns = fairness_is_needed(object, side);
    stands_back = has_turns && fairness_stands_back(object, side, turn);
    status = take(pipe_of(object), receive, stands_back, buffer);
    turn_ends = has_turns && !status && fairness_took(object, side, turn, 1);
    got = ring_got_count(&pipe_of(object)->ring[!use->end]);
    robust_mutex_unlock(&object->mutex);
    if (!status)
        tell_of_room(object, !use->end, got);
    if (has_turns)
        fairness_tell(object, use->end, turn_ends, stands_back);
    return status;
}

int pipe_try_receive(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_receive_in *receive = invocation->in;
    struct pipe_receive_out *received = invocation->out;
    struct pipe_buffer buffer = {.bytes = invocation->more, .room = receive->room};
    int status = pipe_receive_into(object, handle, receive, invocation->turn, &buffer);

    received->size = buffer.size;
    return status;
}

int pipe_give_back(struct object *object, const mpm_handle *handle, unsigned end, const void *message,
                   size_t size, struct ring_block *block)
{
    struct ring *ring;
    int status;

    if ((status = channel_lock(object, handle, &object->mutex, sweep)))
        return status;
    ring = &pipe_of(object)->ring[!end];
    if (block)
        ring_give_back_block(ring, context_arena(), block);
    else
        status = ring_give_back(ring, context_arena(), message, size);
    robust_mutex_unlock(&object->mutex);
    if (!status)
        tell_other(object, !end);
    return status;
}

int pipe_try_poll(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    int status;

    if ((status = lock_end(object, handle, use, true)))
        return status;
    status = look_for_message(pipe_of(object), use);
    robust_mutex_unlock(&object->mutex);
    return status == MPM_EEOF ? MPM_OK : status;
}

/* Closing. */

/* Under both locks, which keep whoever takes the object record from it until all is free. */
static void end_pipe(struct object *object)
{
    struct pipe *pipe = pipe_of(object);

    object_set_unclean(object);
    KILL_POINT();
    object_end(object);
    KILL_POINT();
    for (unsigned end = 0; end < PIPE_ENDS; end++) {
        ring_free(&pipe->ring[end], context_arena());
        arena_free(context_arena(), pipe->holders[end]);
        KILL_POINT();
    }
    object_set_clean(object);
}

static int try_close(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    struct pipe *pipe = pipe_of(object);
    bool is_last;
    int status;

    if ((status = channel_lock_both(object, handle, sweep)))
        return status;
    if ((is_last = atomic_load(&pipe->closed[!use->end])))
        end_pipe(object);
    else
        atomic_store(&pipe->closed[use->end], 1);
    KILL_POINT();
    channel_unlock_both(object);
    object_fence_after_unlock();
    for (unsigned end = 0; end < PIPE_ENDS; end++) {
        object_tell(object, end);
        if (is_last)
            eventcount_notify(&object->wait[end].word);
    }
    return MPM_OK;
}

/* What those that may wait look for. */

static bool has_news(const struct pipe *pipe, const struct pipe_use *use)
{
    return atomic_load_explicit(&pipe->closed[!use->end], memory_order_relaxed) ||
           atomic_load_explicit(&pipe->closed[use->end], memory_order_relaxed);
}

static bool may_send(const struct object *object, const struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    const struct pipe *pipe = pipe_in(object);

    if (!ring_is_full(&pipe->ring[use->end]))
        return !fairness_is_remote(object, pipe_side(use->end, true));
    return has_news(pipe, use);
}

static bool may_receive(const struct object *object, const struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    const struct pipe *pipe = pipe_in(object);

    if (!ring_is_empty(&pipe->ring[!use->end]))
        return !fairness_is_remote(object, pipe_side(use->end, false));
    return has_news(pipe, use);
}

/* Nobody is stood back for: what is polled stays. */
static bool may_poll(const struct object *object, const struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;
    const struct pipe *pipe = pipe_in(object);

    return !ring_is_empty(&pipe->ring[!use->end]) || has_news(pipe, use);
}

/* Handles, and processes of other nodes. */

/* The pipe's handle as object/object.h knows it, and the end: 1 + the end is the highest byte of a connection's
 * `place`. MPM_EINVAL. */
static int split(const mpm_handle *connection, mpm_handle *handle, struct pipe_use *use)
{
    uint64_t end = connection->place >> OBJECT_PLACE_BITS;

    if (connection->kind != OBJECT_PIPE || end < 1 || end > PIPE_ENDS)
        return object_is_not(connection, OBJECT_PIPE);
    *handle = *connection;
    handle->place = object_place(connection);
    *use = (struct pipe_use){.end = (uint32_t)end - 1};
    return MPM_OK;
}

static int split_for_own(const mpm_handle *connection, mpm_handle *handle, struct pipe_use *use)
{
    int status = split(connection, handle, use);

    if (!status)
        use->thread_ref = thread_ref_own();
    return status;
}

/* What is nothing but a use. */
static int use_pipe(const mpm_handle *handle, unsigned verb, struct pipe_use *use, double timeout_s)
{
    struct invocation invocation = {.method = &pipe_methods[verb], .in = use};

    return invoke(handle, &invocation, timeout_s);
}

/* A process was started with a connection: what fails here is no connection, or is told at its first use. */
static void hold_from_args(const mpm_handle *connection, const struct thread_ref *process)
{
    struct pipe_use use;
    mpm_handle handle;

    if (split(connection, &handle, &use))
        return;
    use.thread_ref = *process;
    (void)use_pipe(&handle, PIPE_HOLD, &use, 0);
}

static void mark_dead(struct object *object, const struct thread_ref_death *death)
{
    uint64_t identity = atomic_load(&object->identity);
    mpm_handle handle = {.place = object->place};

    memcpy(&handle, &identity, sizeof identity);
    transfer_end_of_dead(death);
    if (channel_lock_both(object, &handle, sweep))
        return;
    for (unsigned end = 0; end < PIPE_ENDS; end++)
        holders_mark(context_arena(), pipe_of(object)->holders[end], death);
    channel_unlock_both(object);
    tell_all(object);
}

/* For mpm_wait_any: as a poll, but nobody holds the end by it, because the courier looks for others. */
static int look(const mpm_handle *connection)
{
    struct object *object;
    struct pipe_use use;
    mpm_handle handle;
    int status;

    if ((status = split(connection, &handle, &use)) ||
        (status = object_find(&handle, OBJECT_PIPE, &object)) ||
        (status = channel_lock(object, &handle, &object->mutex, sweep)))
        return status;
    if (!(status = check_use(pipe_of(object), &use, true)))
        status = look_for_message(pipe_of(object), &use);
    robust_mutex_unlock(&object->mutex);
    return status == MPM_EEOF ? MPM_OK : status;
}

/* Methods. */

static bool has_end(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;

    (void)handle;
    return use->end < PIPE_ENDS;
}

static bool send_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct pipe_send_in *send = invocation->in;

    return has_end(handle, invocation) && (!send->transfer || !invocation->tail_size);
}

/* The tail is the message. */
static bool takes_block(const void *in, size_t tail_size)
{
    (void)in;
    (void)tail_size;
    return true;
}

static unsigned wait_of(const struct invocation *invocation)
{
    const struct pipe_use *use = invocation->in;

    return use->end;
}

static unsigned sending_side(const struct invocation *invocation)
{
    return pipe_side(wait_of(invocation), true);
}

static unsigned receiving_side(const struct invocation *invocation)
{
    return pipe_side(wait_of(invocation), false);
}

/* A message that is gathered or fetched is the caller's, even if the pipe has ended since. */
static int find_nothing(const mpm_handle *handle, enum object_kind kind, struct object **object)
{
    (void)handle;
    (void)kind;
    *object = NULL;
    return MPM_OK;
}

#define NO_MESSAGE "no message came within the timeout"

const struct method pipe_methods[PIPE_METHODS] = {
    [PIPE_SEND] = {OBJECT_PIPE, PIPE_SEND, "send", .in_size = sizeof(struct pipe_send_in), .tail_unit = 1,
                   .makes_sense = send_makes_sense, .try = pipe_try_send, .serve = pipe_serve_send,
                   .takes_block = takes_block, .wait_of = wait_of, .is_ready = may_send, .side = sending_side,
                   .is_timed = true, .late_status = MPM_ETIMEDOUT, .late = pipe_late_send,
                   .undo = pipe_undo_send},
    [PIPE_RECEIVE] = {OBJECT_PIPE, PIPE_RECEIVE, "receive", .in_size = sizeof(struct pipe_receive_in),
                      .out_size = sizeof(struct pipe_receive_out), .has_more = true, .makes_sense = has_end,
                      .try = pipe_try_receive, .serve = pipe_serve_receive, .wait_of = wait_of,
                      .is_ready = may_receive, .side = receiving_side, .is_timed = true,
                      .late_status = MPM_ETIMEDOUT, .late_sentence = NO_MESSAGE, .undo = pipe_undo_receive,
                      .gives = true},
    [PIPE_POLL] = {OBJECT_PIPE, PIPE_POLL, "poll", .in_size = sizeof(struct pipe_use), .makes_sense = has_end,
                   .try = pipe_try_poll, .wait_of = wait_of, .is_ready = may_poll, .is_timed = true,
                   .late_status = MPM_ETIMEDOUT, .late_sentence = NO_MESSAGE},
    [PIPE_CLOSE] = {OBJECT_PIPE, PIPE_CLOSE, "close", .in_size = sizeof(struct pipe_use),
                    .makes_sense = has_end, .try = try_close},
    [PIPE_HOLD] = {OBJECT_PIPE, PIPE_HOLD, "hold", .in_size = sizeof(struct pipe_use), .makes_sense = has_end,
                   .try = try_hold},
    [PIPE_RELEASE] = {OBJECT_PIPE, PIPE_RELEASE, "release", .in_size = sizeof(struct pipe_use),
                      .makes_sense = has_end, .try = try_release},
    [PIPE_GATHER] = {OBJECT_PIPE, PIPE_GATHER, "gather", .in_size = sizeof(struct pipe_gather_in),
                     .out_size = sizeof(uint64_t), .makes_sense = has_end, .try = pipe_serve_gather,
                     .is_timed = true, .late_status = MPM_ETIMEDOUT, .undo = pipe_undo_gather, .gives = true},
    [PIPE_PIECE] = {OBJECT_PIPE, PIPE_PIECE, "piece", .in_size = sizeof(struct pipe_transfer_in),
                    .tail_unit = 1, .makes_sense = has_end, .find = find_nothing, .try = pipe_serve_piece,
                    .is_timed = true, .late_status = MPM_ETIMEDOUT, .undo = pipe_undo_piece, .gives = true},
    [PIPE_FETCH] = {OBJECT_PIPE, PIPE_FETCH, "fetch", .in_size = sizeof(struct pipe_transfer_in),
                    .has_more = true, .makes_sense = has_end, .find = find_nothing, .try = pipe_serve_fetch,
                    .is_timed = true, .late_status = MPM_ETIMEDOUT, .undo = pipe_undo_fetch, .gives = true,
                    .arrived = pipe_fetch_arrived},
    [PIPE_DROP] = {OBJECT_PIPE, PIPE_DROP, "drop", .in_size = sizeof(struct pipe_transfer_in),
                   .makes_sense = has_end, .find = find_nothing, .try = pipe_serve_drop},
};
const struct kind pipe_kind = {.kind = OBJECT_PIPE,
                               .methods = pipe_methods,
                               .count = PIPE_METHODS,
                               .looks = look,
                               .marks = mark_dead,
                               .takes = hold_from_args};

/* The interface. */

static mpm_connection connection_of(mpm_handle handle, unsigned end)
{
    handle.place |= (uint64_t)(end + 1) << OBJECT_PLACE_BITS;
    return (mpm_connection){handle};
}

int mpm_pipe_create(enum mpm_pipe_direction direction, mpm_connection *a, mpm_connection *b)
{
    struct object *object;
    mpm_handle handle;
    int status;

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_pipe_create");
    if (direction != MPM_DUPLEX && direction != MPM_ONEWAY)
        return error_set(MPM_EINVAL,
                         "mpm_pipe_create: the direction is %d: it must be MPM_DUPLEX or MPM_ONEWAY",
                         (int)direction);
    if (!a || !b)
        return error_set(MPM_EINVAL, "mpm_pipe_create: the pointer for %s end is NULL",
                         a ? "the second" : "the first");
    if ((status = object_reserve(&object)))
        return status;
    pipe_of(object)->is_oneway = direction == MPM_ONEWAY;
    for (unsigned end = 0; end < PIPE_ENDS; end++)
        ring_create(&pipe_of(object)->ring[end], object_owner(object, 2 * end), MESSAGES);
    KILL_POINT();
    handle = object_commit(object, OBJECT_PIPE);
    *a = connection_of(handle, 0);
    *b = connection_of(handle, 1);
    return MPM_OK;
}

int mpm_connection_send(mpm_connection connection, const void *message, size_t size, double timeout_s)
{
    struct pipe_send_in send = {.transfer = 0};
    struct invocation invocation = {.method = &pipe_methods[PIPE_SEND],
                                    .in = &send,
                                    .tail = message,
                                    .tail_size = size,
                                    .turn = FAIRNESS_STANDS_BACK};
    mpm_handle handle;
    int status;

    if (size && !message)
        return error_set(MPM_EINVAL, "mpm_connection_send: the message is NULL, but its size is %zu bytes",
                         size);
    if ((status = split_for_own(&connection.handle, &handle, &send.use)))
        return status;
    if (object_is_home(&handle))
        return invoke_local(&handle, &invocation, timeout_s);
    return pipe_send_remote(&handle, &invocation, timeout_s);
}

/* `received` tells the size of the message, also with MPM_ETOOSMALL. */
static int receive(mpm_connection connection, struct pipe_receive_in *receive, double timeout_s,
                   void *message, struct pipe_receive_out *received)
{
    struct invocation invocation = {.method = &pipe_methods[PIPE_RECEIVE],
                                    .in = receive,
                                    .out = received,
                                    .more = message,
                                    .turn = FAIRNESS_STANDS_BACK};
    mpm_handle handle;
    int status;

    if (receive->room && !message)
        return error_set(MPM_EINVAL, "mpm_connection_recv: the buffer is NULL, but its size is %zu bytes",
                         (size_t)receive->room);
    if ((status = split_for_own(&connection.handle, &handle, &receive->use)))
        return status;
    if (object_is_home(&handle))
        return invoke_local(&handle, &invocation, timeout_s);
    return pipe_receive_remote(&handle, &invocation, timeout_s);
}

int mpm_connection_recv(mpm_connection connection, double timeout_s, void *message, size_t room, size_t *size)
{
    struct pipe_receive_in wanted = {.room = room};
    struct pipe_receive_out received = {0};
    int status = receive(connection, &wanted, timeout_s, message, &received);

    if (size && (!status || status == MPM_ETOOSMALL))
        *size = received.size;
    return status;
}

int mpm_connection_recv_exact(mpm_connection connection, size_t size, double timeout_s, void *message)
{
    struct pipe_receive_in wanted = {.room = size, .is_exact = 1};
    struct pipe_receive_out received = {0};

    return receive(connection, &wanted, timeout_s, message, &received);
}

int mpm_connection_poll(mpm_connection connection, double timeout_s, bool *is_ready)
{
    struct pipe_use use;
    mpm_handle handle;
    int status;

    if (!is_ready)
        return error_set(MPM_EINVAL, "mpm_connection_poll: the pointer for the answer is NULL");
    if ((status = split_for_own(&connection.handle, &handle, &use)))
        return status;
    status = use_pipe(&handle, PIPE_POLL, &use, timeout_s);
    if (status && status != MPM_ETIMEDOUT)
        return status;
    *is_ready = !status;
    return MPM_OK;
}

int mpm_connection_close(mpm_connection connection)
{
    struct pipe_use use;
    mpm_handle handle;
    int status;

    if ((status = split(&connection.handle, &handle, &use)))
        return status;
    return use_pipe(&handle, PIPE_CLOSE, &use, 0);
}

int mpm_connection_release(mpm_connection connection)
{
    struct pipe_use use;
    mpm_handle handle;
    int status;

    if ((status = split_for_own(&connection.handle, &handle, &use)))
        return status;
    return use_pipe(&handle, PIPE_RELEASE, &use, 0);
}

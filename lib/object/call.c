/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls on objects of other nodes. Who writes what in a request:
 *
 * `state` says whose the request is; its upper part is the number of the calling process.
 *
 *            caller            caller             courier            caller
 *   FREE ---------> FILLING ---------> POSTED ---------------> DONE --------> FREE
 *                                        |
 *                                        |--- reaper, caller ---> ABANDONED ---.  courier
 *                                        |                                     |---------> FREE
 *                                        '--- caller, late -----> WITHDRAWN ---'
 *
 *   FREE       anybody's
 *   FILLING    its caller's, taken by compare-and-swap: it writes the call; if it dies, its reaper sets it
 *              free
 *   POSTED     the courier's, which sends the call, and later writes the reply
 *   DONE       its caller's again, which reads the reply and sets it free; if it dies, its reaper does
 *   ABANDONED  the courier's, whose caller has died, or does not want the reply any more: the courier cancels the
 *              call, and sets the request free. What the home has done is done
 *   WITHDRAWN  the same, of a caller whose time is up, or that a signal handler has interrupted: what the home has
 *              done, it undoes
 * POSTED is left by compare-and-swap only. So either the caller has the reply, or the home is told to take back what
 * it gives, and never both.
 * The reaper: FILLING and DONE to FREE, POSTED to ABANDONED. It does not touch WITHDRAWN: what was taken back is taken
 * back, whether its caller lives or not. What does
 * not fit into the request stands in a block that the request names; it is allocated by its writer, named, then
 * given, and freed by whoever sets the request free, and takes it back as its own before, so the reaper does requests
 * first and then what the dead process still owned.
 *
 * Of a message that is put in place the call's block is the message's own: the request names it, and it is given then,
 * as any other. If the put has failed, the caller finds it there, and takes it back as it would to free it. It may be
 * on its way out still (struct leaving): then the courier keeps the reply back until it has left. Of a message that is
 * got in place the caller takes the block of the reply in the same way, and keeps it. If it dies in between, the request
 * or the dead process has the block, and the reaper frees it.
 *
 * The set of requests with news for the courier is an index set; who has put a request there rings the doorbell. A
 * caller that dies between POSTED, ABANDONED or WITHDRAWN and the set is seen by its reaper, which abandons the request
 * and puts it there. So a request may be put there once too often, and be the next call's by then: the courier keeps
 * in `sent` which call it has sent.
 *
 * Whatever a thread has taken back goes to the home before what it asks for afterwards, so that the home has undone
 * the one when it comes to the other: see call_send_news(). */
#include "object/call.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_role.h"
#include "forkserver/forkserver.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "object/call_given.h"
#include "object/object.h"
#include "shm/index_set.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"
#include "shm/ring.h"

#define SEGMENT_REQUESTS 64u
#define MAX_SEGMENTS     (INDEX_SET_SIZE / SEGMENT_REQUESTS)
#define INLINE_SIZE      ((size_t)256)
#define REPLY_SPIN_NS    5000u
#define SOON_NS          (COURIER_SLEEP_NS + COURIER_SLEEP_NS / 5) /* longer than a courier sleeps */

enum request_state {
    REQUEST_FREE,
    REQUEST_FILLING,
    REQUEST_POSTED,
    REQUEST_ABANDONED,
    REQUEST_WITHDRAWN,
    REQUEST_DONE
};

struct request {
    _Atomic uint32_t state;   /* enum request_state, and the caller's process number << 8 */
    uint32_t serial;          /* of the call: the caller's */
    uint32_t sent;            /* the serial of the last call that was sent from here: the courier's */
    uint32_t method;          /* method_code() */
    uint32_t rings;           /* 1: the reply rings the node's doorbell, too: the caller's */
    uint32_t is_timed;        /* 1: the caller may take it back: the caller's */
    _Atomic uint64_t arrives; /* bytes of a reply that was announced, and comes in pieces: the courier's */
    struct eventcount done;
    mpm_handle handle;
    double timeout_s;
    uint64_t size;  /* of the call's bytes, then of the reply's */
    uint64_t block; /* where they stand if they do not fit; 0 if they do */
    uint64_t room;  /* how many may stand there, or here */
    uint64_t lead;  /* how far behind the beginning of a block they stand: the caller's, as the next one */
    uint32_t keeps; /* 1: the block is the caller's message, which it has again if the call fails */
    int32_t status;
    char text[MESSAGE_TEXT_SIZE];
    _Alignas(8) char bytes[INLINE_SIZE];
};

struct call_table {
    struct index_set news; /* requests that the courier is to look at */
    _Atomic uint64_t segment[MAX_SEGMENTS];
};

static struct call_table *table_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_CALLS);
}

int call_table_create(struct arena *arena)
{
    return arena_make_root(arena, ARENA_ROOT_CALLS, sizeof(struct call_table));
}

static struct request *request_at(struct arena *arena, uint32_t number)
{
    uint64_t segment = atomic_load(&table_of(arena)->segment[number / SEGMENT_REQUESTS]);

    return (struct request *)arena_at(arena, segment) + number % SEGMENT_REQUESTS;
}

static int make_segment(struct arena *arena, uint32_t number)
{
    struct call_table *table = table_of(arena);
    uint64_t none = 0, offset;
    int status;

    if (atomic_load(&table->segment[number]))
        return MPM_OK;
    if ((status = arena_alloc(arena, SEGMENT_REQUESTS * sizeof(struct request), process_own_number(),
                              &offset)))
        return status;
    memset(arena_at(arena, offset), 0, SEGMENT_REQUESTS * sizeof(struct request));
    if (atomic_compare_exchange_strong(&table->segment[number], &none, offset))
        arena_give(arena, offset);
    else
        arena_free(arena, offset);
    return MPM_OK;
}

static int reserve_request(struct arena *arena, uint32_t *reserved)
{
    for (uint32_t i = 0; i < INDEX_SET_SIZE; i++) {
        uint32_t free_state = REQUEST_FREE;
        struct request *request;
        int status;

        if (i % SEGMENT_REQUESTS == 0 && (status = make_segment(arena, i / SEGMENT_REQUESTS)))
            return status;
        request = request_at(arena, i);
        if (atomic_load_explicit(&request->state, memory_order_relaxed) != REQUEST_FREE ||
            !atomic_compare_exchange_strong(&request->state, &free_state,
                                            REQUEST_FILLING | process_own_number() << 8))
            continue;
        request->block = request->lead = request->keeps = 0;
        request->room = INLINE_SIZE;
        *reserved = i;
        return MPM_OK;
    }
    return error_set(MPM_ENOMEM, "a node can have at most %u calls under way", INDEX_SET_SIZE);
}

static enum request_state state_of(uint32_t word)
{
    return (enum request_state)(word & 0xff);
}

static char *request_bytes(struct arena *arena, struct request *request)
{
    return request->block ? (char *)arena_at(arena, request->block) + request->lead : request->bytes;
}

/* Room for bytes of a call or a reply in a request that is one's own. The old ones are lost; a caller has none yet, as an
 * old block would be lost, too, if it died here. */
static int request_make_room(struct arena *arena, struct request *request, size_t size)
{
    uint64_t old = request->block, offset;
    int status;

    if (size <= request->room)
        return MPM_OK;
    if ((status = arena_alloc(arena, request->lead + size, process_own_number(), &offset)))
        return status;
    KILL_POINT();
    request->block = offset;
    request->room = size;
    KILL_POINT();
    arena_give(arena, offset);
    KILL_POINT();
    arena_free(arena, old);
    return MPM_OK;
}

/* The block is the caller's own again before the request forgets it. */
static uint64_t request_take_block(struct arena *arena, struct request *request)
{
    uint64_t block = request->block;

    if (block)
        arena_pass(arena, block, process_own_number());
    KILL_POINT();
    request->block = 0;
    KILL_POINT();
    return block;
}

static void request_free(struct arena *arena, struct request *request)
{
    arena_free(arena, request_take_block(arena, request));
    atomic_store(&request->state, REQUEST_FREE);
}

/* The caller. */

uint64_t call_deadline_ns(double timeout_s)
{
    if (timeout_s >= 1e9)
        return CLOCK_FOREVER;
    return clock_now_ns() + (timeout_s > 0 ? (uint64_t)(timeout_s * 1e9) : 0);
}

mpm_handle call_node(unsigned node)
{
    return (mpm_handle){.kind = OBJECT_NODE, .home = (uint16_t)node, .generation = 1};
}

/* How many bytes go, and how many there is room for to come. */
static size_t request_size(const struct invocation *invocation)
{
    return invocation->method->in_size + invocation->tail_size + invocation->second_size;
}

static size_t reply_room(const struct invocation *invocation)
{
    return invocation->method->out_size + (invocation->reserve ? invocation->reserve : invocation->room);
}

static char *copy_part(char *to, const void *from, size_t size)
{
    if (size)
        memcpy(to, from, size);
    return to + size;
}

/* The message stands behind what goes before it, and is the request's from here on. */
static void give_message(struct arena *arena, struct request *request, const struct invocation *invocation)
{
    uint32_t in_size = invocation->method->in_size;

    assert(in_size <= RING_BLOCK_AT && invocation->method->out_size <= in_size);
    request->keeps = 1;
    request->lead = RING_BLOCK_AT - in_size;
    request->room = in_size + invocation->block->size;
    request->block = invocation->block->block;
    KILL_POINT();
    arena_give(arena, request->block);
    KILL_POINT();
    invocation->block->block = 0;
}

/* With room for the reply, too: what the home gives is gone there, and must not find that there is none. */
static int fill_request(struct arena *arena, struct request *request, const mpm_handle *handle,
                        const struct invocation *invocation, double timeout_s)
{
    size_t size = request_size(invocation), room = reply_room(invocation);
    char *bytes;
    int status;

    if (invocation->in_place) { /* what follows `out` in the reply is to stand as a message does */
        request->lead = RING_BLOCK_AT - invocation->method->out_size;
        room = room > INLINE_SIZE ? room : INLINE_SIZE + 1;
    }
    if (invocation->block)
        give_message(arena, request, invocation);
    if ((status = request_make_room(arena, request, size > room ? size : room)))
        return status;
    bytes = copy_part(request_bytes(arena, request), invocation->in, invocation->method->in_size);
    if (!invocation->block) {
        bytes = copy_part(bytes, invocation->tail, invocation->tail_size);
        copy_part(bytes, invocation->second, invocation->second_size);
    }
    request->size = size;
    request->handle = *handle;
    request->method = method_code(invocation->method);
    request->timeout_s = timeout_s;
    atomic_store_explicit(&request->arrives, 0, memory_order_relaxed); /* the courier's from POSTED on */
    request->serial++;
    return MPM_OK;
}

static int check_reply(const struct request *request, const struct method *method)
{
    if (request->status || request->size == method->out_size ||
        (method->has_more && request->size > method->out_size))
        return MPM_OK;
    return error_set(MPM_EPROTOCOL, "node %u answered \"%s\" of the %s with %zu bytes, not %u",
                     request->handle.home, method->name, object_kind_name(method->kind),
                     (size_t)request->size, method->out_size);
}

/* What comes with a failure is `out`, or nothing. */
static int read_reply(struct arena *arena, struct request *request, struct invocation *invocation)
{
    const char *bytes = request_bytes(arena, request);
    uint32_t out_size = invocation->method->out_size;
    int status = check_reply(request, invocation->method);

    if (status || request->size < out_size)
        return request->status ? error_set(request->status, "%s", request->text) : status;
    if (out_size)
        memcpy(invocation->out, bytes, out_size);
    invocation->size = request->size - out_size;
    if (invocation->size && invocation->room && !invocation->in_place)
        memcpy(invocation->more, bytes + out_size,
               invocation->size < invocation->room ? invocation->size : invocation->room);
    return request->status ? error_set(request->status, "%s", request->text) : MPM_OK;
}

/* Leaves a request that is POSTED to the courier; false if the reply was faster. */
static bool give_up_request(uint32_t number, enum request_state to)
{
    struct arena *arena = context_arena();
    uint32_t own = process_own_number() << 8, posted = REQUEST_POSTED | own;

    KILL_POINT();
    if (!atomic_compare_exchange_strong(&request_at(arena, number)->state, &posted, to | own))
        return false;
    KILL_POINT();
    index_set_add(&table_of(arena)->news, number);
    KILL_POINT();
    eventcount_notify(context_doorbell());
    return true;
}

/* How long a caller waits for a reply. */
struct patience {
    uint64_t give_up_ns;   /* later, once, if the reply is on its way then */
    bool is_interruptible; /* its signal handlers may have it do so */
};
#define CALL_INTERRUPTED 4 /* it was taken back for that; a status that does not leave this file */

/* The caller need not have known that it would be so long. */
static uint64_t when_to_give_up(struct request *request, const struct patience *patience)
{
    uint64_t arrives = atomic_load_explicit(&request->arrives, memory_order_relaxed);

    if (patience->give_up_ns == CLOCK_FOREVER)
        return CLOCK_FOREVER;
    return patience->give_up_ns + (uint64_t)((double)arrives * CALL_BYTE_S * 1e9);
}

static bool sleep_for_reply(struct request *request, uint32_t seen, const struct patience *patience)
{
    uint64_t until_ns = clock_now_ns() + CONTEXT_CHECK_NS, give_up_ns = when_to_give_up(request, patience);

    if (give_up_ns < until_ns)
        until_ns = give_up_ns;
    return (patience->is_interruptible ? wait_change_or_interrupt : eventcount_wait)(&request->done, seen,
                                                                                     REPLY_SPIN_NS, until_ns);
}

/* The run may lose a part while the call is under way: the request is the courier's to free then, as it is if nothing
 * has come in time. An interruption stays pending if the reply was faster. */
static int wait_for_reply(uint32_t number, const struct patience *patience)
{
    struct request *request = request_at(context_arena(), number);

    for (;;) {
        uint32_t seen = eventcount_prepare(&request->done);
        bool is_changed;
        int status;

        DELAY_POINT();
        if (state_of(atomic_load(&request->state)) == REQUEST_DONE)
            return MPM_OK;
        is_changed = sleep_for_reply(request, seen, patience);
        if (patience->is_interruptible && interrupt_is_pending() &&
            give_up_request(number, REQUEST_WITHDRAWN))
            return CALL_INTERRUPTED;
        if (is_changed)
            continue;
        if ((status = context_check_whole()) && give_up_request(number, REQUEST_ABANDONED))
            return status;
        if (clock_now_ns() >= when_to_give_up(request, patience) &&
            give_up_request(number, REQUEST_WITHDRAWN))
            return CALL_NO_REPLY;
    }
}

/* Leaves the call to the courier. */
static void post_request(struct arena *arena, struct request *request, uint32_t number)
{
    KILL_POINT();
    atomic_store(&request->state, REQUEST_POSTED | process_own_number() << 8);
    KILL_POINT();
    index_set_add(&table_of(arena)->news, number);
    KILL_POINT();
    eventcount_notify(context_doorbell());
}

enum calling { CALLING, CALLING_TIMED, CALLING_IN_PARTS };

static int begin(const mpm_handle *handle, const struct invocation *invocation, double timeout_s,
                 enum calling calling, struct call *call)
{
    struct arena *arena = context_arena();
    uint32_t number = 0;
    struct request *request;
    int status;

    if (!context_topology()->node_count)
        return context_no_run(NULL);
    if (handle->home >= context_topology()->node_count)
        return error_set(MPM_EINVAL, "this is not a handle: there is no node %u", handle->home);
    if (lost_node_is(handle->home))
        return lost_node_say(handle->home);
    if (request_size(invocation) > CALL_SIZE_LIMIT)
        return error_set(MPM_ENOMEM, "a call of %zu bytes is too large for another node: at most %zu",
                         request_size(invocation), CALL_SIZE_LIMIT);
    if ((status = reserve_request(arena, &number)))
        return status;
    KILL_POINT();
    request = request_at(arena, number);
    if ((status = fill_request(arena, request, handle, invocation, timeout_s))) {
        request_free(arena, request);
        return status;
    }
    request->rings = calling == CALLING_IN_PARTS;
    request->is_timed = calling == CALLING_TIMED;
    post_request(arena, request, number);
    call->request = number;
    return MPM_OK;
}

int call_begin(const mpm_handle *handle, const struct invocation *invocation, double timeout_s,
               struct call *call)
{
    return begin(handle, invocation, timeout_s, CALLING_IN_PARTS, call);
}

bool call_is_done(const struct call *call)
{
    return state_of(atomic_load(&request_at(context_arena(), call->request)->state)) == REQUEST_DONE;
}

/* What the caller keeps of a request that is DONE: the message that has come, or has not gone. */
static void keep_block(struct arena *arena, struct request *request, int status,
                       struct invocation *invocation)
{
    uint64_t block;

    if (invocation->in_place && !status) {
        assert(request->block && request->lead + invocation->method->out_size == RING_BLOCK_AT);
        block = request_take_block(arena, request);
        invocation->more_block = (struct ring_block){block, block + RING_BLOCK_AT, invocation->size};
    } else if (request->keeps && status) {
        invocation->block->block = request_take_block(arena, request);
    }
}

static int finish(const struct call *call, const struct patience *patience, struct invocation *invocation)
{
    struct arena *arena = context_arena();
    struct request *request = request_at(arena, call->request);
    int status;

    if ((status = wait_for_reply(call->request, patience)))
        return status;
    status = read_reply(arena, request, invocation);
    KILL_POINT();
    keep_block(arena, request, status, invocation);
    request_free(arena, request);
    return status;
}

void call_abandon(const struct call *call)
{
    if (!give_up_request(call->request, REQUEST_ABANDONED))
        request_free(context_arena(), request_at(context_arena(), call->request)); /* the reply was faster */
}

int call_finish(const struct call *call, uint64_t give_up_ns, struct invocation *invocation)
{
    return finish(call, &(struct patience){.give_up_ns = give_up_ns}, invocation);
}

static int say_interrupted(const mpm_handle *handle)
{
    char what[64];

    snprintf(what, sizeof what, "%s at node %u", object_kind_name((enum object_kind)handle->kind),
             handle->home);
    return interrupt_take(what);
}

/* How long a caller waits for a reply in all. */
static double patience_s(double timeout_s, size_t size)
{
    return (timeout_s > 0 ? timeout_s + CALL_REPLY_S : CALL_AT_ONCE_S) + (double)size * CALL_BYTE_S;
}

uint64_t call_give_up_ns(double timeout_s, size_t size)
{
    return call_deadline_ns(patience_s(timeout_s, size));
}

double call_time_left_s(double timeout_s, uint64_t deadline_ns)
{
    uint64_t now_ns = clock_now_ns();

    if (deadline_ns == CLOCK_FOREVER || !(timeout_s > 0))
        return timeout_s;
    return deadline_ns > now_ns ? (double)(deadline_ns - now_ns) * 1e-9 : 1e-9;
}

static int say_silent(const mpm_handle *handle, const struct invocation *invocation, double waited_s)
{
    return error_set(invocation->method->late_status,
                     "node %u, the home of the %s, has not answered within %.3g s", handle->home,
                     object_kind_name((enum object_kind)handle->kind), waited_s);
}

int call_run(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    const struct method *method = invocation->method;
    double waits_s = patience_s(timeout_s, request_size(invocation) + reply_room(invocation));
    const struct patience patience = {.give_up_ns = method->is_timed ? call_deadline_ns(waits_s)
                                                                     : CLOCK_FOREVER,
                                      .is_interruptible = method_is_interruptible(method) && timeout_s > 0};
    struct call call;
    int status;

    assert(!thread_is(THREAD_COURIER));
    context_enter();
    if (!(status = begin(handle, invocation, timeout_s, method->is_timed ? CALLING_TIMED : CALLING, &call)))
        status = finish(&call, &patience, invocation);
    if (status == CALL_NO_REPLY)
        status = say_silent(handle, invocation, waits_s);
    else if (status == CALL_INTERRUPTED)
        status = say_interrupted(handle);
    context_leave();
    return status;
}

int invoke_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    enum object_kind kind = invocation->method->kind;
    int status;

    if (context_topology()->node_count && handle->kind != kind)
        return object_is_not(handle, kind);
    if ((status = error_check_timeout(timeout_s)) || (status = thread_token_ensure()))
        return status;
    return call_run(handle, invocation, timeout_s);
}

/* In the fork server. */

void call_owner_died(struct arena *arena, uint32_t process)
{
    struct call_table *table = table_of(arena);

    assert(thread_is(THREAD_FORKSERVER));
    for (uint32_t i = 0; i < MAX_SEGMENTS && atomic_load(&table->segment[i]); i++) {
        arena_give(arena, atomic_load(&table->segment[i])); /* if it died before it could */
        for (uint32_t j = i * SEGMENT_REQUESTS; j < (i + 1) * SEGMENT_REQUESTS; j++) {
            struct request *request = request_at(arena, j);
            uint32_t state = atomic_load(&request->state);

            if (state >> 8 != process)
                continue;
            if (state_of(state) == REQUEST_ABANDONED || state_of(state) == REQUEST_WITHDRAWN ||
                (state_of(state) == REQUEST_POSTED &&
                 atomic_compare_exchange_strong(&request->state, &state, REQUEST_ABANDONED | process << 8)))
                index_set_add(&table->news, j);
            else if (state_of(state) == REQUEST_FILLING || state_of(state) == REQUEST_DONE)
                request_free(arena, request);
        }
    }
    eventcount_notify(context_doorbell());
}

/* The courier at the caller's node. */

/* The bytes of a large call leave out of its request's block (net/courier.h). Until they have left, the block is not
 * freed: if the request is done with before, it goes on without the block, and what is left of the call is this. */
struct leaving {
    struct leaving *next;
    uint32_t request;
    uint64_t block;
    bool is_alone; /* the request does not know the block any more */
    /* The reply to the call, which waits until the block has left; or none. */
    bool is_answered;
    struct message_reply reply;
    size_t size; /* of what comes behind it */
    char bytes[METHOD_OUT_LIMIT];
};
static struct leaving *leaving_first;

static bool give_reply(const struct message_reply *reply, const void *bytes, size_t size);

static void on_left(void *owner)
{
    struct leaving **at = &leaving_first, *leaving = owner;

    while (*at != leaving)
        at = &(*at)->next;
    *at = leaving->next;
    if (leaving->is_alone)
        arena_free(context_arena(), leaving->block);
    else if (leaving->is_answered)
        (void)give_reply(&leaving->reply, leaving->bytes, leaving->size);
    free(leaving);
}

/* Before the courier gives a request away, or writes into it. */
static void part_from_leaving(struct request *request, uint32_t number)
{
    for (struct leaving *leaving = leaving_first; leaving; leaving = leaving->next) {
        if (leaving->request != number || leaving->is_alone)
            continue;
        leaving->is_alone = true;
        request->block = 0;
        request->room = INLINE_SIZE;
    }
}

static struct leaving *note_leaving(const struct request *request, uint32_t number)
{
    struct leaving *leaving = malloc(sizeof *leaving);

    if (!leaving)
        return NULL;
    *leaving = (struct leaving){.next = leaving_first, .request = number, .block = request->block};
    return leaving_first = leaving;
}

/* What goes with a call. What makes no sense is refused at home. */
static int post_bytes(const struct request *request, uint32_t number, const struct message_call *message,
                      const char *bytes)
{
    const struct method *method = method_of(request->method);
    size_t in_size = method && method->in_size < request->size ? method->in_size : request->size;
    struct message_part parts[] = {{message, sizeof *message}, {bytes, in_size}};
    struct message_body body = {bytes + in_size, request->size - in_size, on_left, NULL};

    if (request->block && courier_would_lend(body.size) && (body.owner = note_leaving(request, number)))
        return courier_post_lent(request->handle.home, MESSAGE_CALL, parts, 2, &body);
    parts[1].size = request->size;
    return courier_post(request->handle.home, MESSAGE_CALL, parts, 2);
}

/* Of a call that is cancelled as much goes with it as the home needs to undo it. */
static void send_call(uint32_t number, uint32_t kind, bool is_timed)
{
    struct arena *arena = context_arena();
    struct request *request = request_at(arena, number);
    struct message_call message = {.request = number,
                                   .serial = request->serial,
                                   .method = request->method,
                                   .is_timed = is_timed,
                                   .timeout_s = request->timeout_s};
    size_t head = request->size < METHOD_GIVEN_LIMIT ? request->size : METHOD_GIVEN_LIMIT;
    const char *bytes = request_bytes(arena, request);
    struct message_part parts[] = {{&message, sizeof message}, {bytes, is_timed ? head : 0}};

    memcpy(message.handle, &request->handle, sizeof request->handle);
    courier_be_lively();
    if (kind == MESSAGE_CALL ? post_bytes(request, number, &message, bytes)
                             : courier_post(request->handle.home, kind, parts, 2))
        context_break(MPM_ENOMEM, mpm_error());
}

#define MOST_POSTED 64u

/* In the courier: requests with calls that are to be sent when all that was taken back before has been. */
static struct {
    uint32_t request[MOST_POSTED];
    unsigned count;
    bool is_all; /* whoever comes now is left for the next time */
} posted;

static void take_posted(uint32_t number)
{
    if (!posted.is_all && posted.count < MOST_POSTED) {
        posted.request[posted.count++] = number;
        return;
    }
    index_set_add(&table_of(context_arena())->news, number);
    eventcount_notify(context_doorbell());
}

/* Of a call that is cancelled before it was sent the home knows nothing, and that is fine. */
static void take_news(uint32_t number)
{
    struct request *request = request_at(context_arena(), number);
    enum request_state state = state_of(atomic_load(&request->state));

    if (state == REQUEST_POSTED && request->sent != request->serial) {
        take_posted(number);
    } else if (state == REQUEST_ABANDONED || state == REQUEST_WITHDRAWN) {
        send_call(number, MESSAGE_CANCEL, state == REQUEST_WITHDRAWN);
        part_from_leaving(request, number);
        request_free(context_arena(), request);
    }
}

/* false if there is no memory for it, which is the reply then. */
static bool fill_reply(struct request *request, const struct message_reply *reply, const void *bytes,
                       size_t size)
{
    struct arena *arena = context_arena();

    request->status = reply->status;
    memcpy(request->text, reply->text, sizeof request->text);
    request->text[sizeof request->text - 1] = 0;
    if (request_make_room(arena, request, size)) {
        request->status = MPM_ENOMEM;
        snprintf(request->text, sizeof request->text, "%s", mpm_error());
        request->size = 0;
        return false;
    }
    request->size = size;
    if (size)
        memcpy(request_bytes(arena, request), bytes, size);
    return true;
}

static void say_of_call(unsigned node, uint32_t kind, uint32_t request, uint32_t serial)
{
    struct message_call message = {.request = request, .serial = serial};

    if (courier_post_one(node, kind, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

static bool is_request(uint32_t number)
{
    return number < INDEX_SET_SIZE &&
           atomic_load(&table_of(context_arena())->segment[number / SEGMENT_REQUESTS]);
}

/* Whether its caller waits for it: else it has died, or goes on without. `state`: of the request then. */
static bool is_awaited(const struct message_reply *reply, uint32_t *state)
{
    struct request *request = request_at(context_arena(), reply->request);

    *state = atomic_load(&request->state);
    return request->serial == reply->serial && state_of(*state) == REQUEST_POSTED;
}

/* The reply is in its request: wakes the caller, unless it goes on without. */
static bool hand_over(struct request *request, uint32_t state)
{
    bool rings = request->rings;

    DELAY_POINT();
    if (!atomic_compare_exchange_strong(&request->state, &state, (state & ~0xffu) | REQUEST_DONE)) {
        request->size = 0; /* what the call was is not there any more: the home knows it */
        return false;
    }
    eventcount_notify(&request->done);
    if (rings)
        eventcount_notify(context_doorbell());
    return true;
}

/* Has the home undo what it has given. */
static void return_reply(const struct request *request, const struct message_reply *reply)
{
    struct message_call message = {
        .request = reply->request, .serial = reply->serial, .method = request->method, .is_timed = 1};

    memcpy(message.handle, &request->handle, sizeof request->handle);
    if (courier_post_one(request->handle.home, MESSAGE_CANCEL, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

/* false if its caller has died, or goes on without it. What there is no memory for goes back before the caller is told:
 * so the home has it again when it comes to what the caller asks for next. */
static bool give_reply(const struct message_reply *reply, const void *bytes, size_t size)
{
    struct request *request = request_at(context_arena(), reply->request);
    uint32_t state;
    bool is_filled;

    if (!is_awaited(reply, &state))
        return false;
    part_from_leaving(request, reply->request);
    if (!(is_filled = fill_reply(request, reply, bytes, size)))
        return_reply(request, reply);
    return hand_over(request, state) && is_filled;
}

/* A call that has failed, and whose caller is to have its message back, which is on its way out still: it is told when
 * that has left. */
static bool is_kept_back(const struct message_reply *reply, const void *bytes, size_t size)
{
    struct leaving *leaving = leaving_first;
    uint32_t state;

    if (!reply->status || !is_awaited(reply, &state) || !request_at(context_arena(), reply->request)->keeps ||
        size > sizeof leaving->bytes)
        return false;
    while (leaving && (leaving->request != reply->request || leaving->is_alone))
        leaving = leaving->next;
    if (!leaving)
        return false;
    leaving->is_answered = true;
    leaving->reply = *reply;
    leaving->size = size;
    copy_part(leaving->bytes, bytes, size);
    return true;
}

static bool on_reply(unsigned node, const void *payload, size_t size)
{
    const struct message_reply *reply = payload;

    if (size < sizeof *reply || !is_request(reply->request))
        return false;
    if (is_kept_back(reply, reply + 1, size - sizeof *reply))
        return true;
    if (give_reply(reply, reply + 1, size - sizeof *reply) && reply->asks)
        say_of_call(node, MESSAGE_ARRIVED, reply->request, reply->serial);
    return true;
}

/* A large reply is received into the block of its request, which has no block meanwhile: so nobody frees it, whatever
 * becomes of the call. If the home is lost meanwhile, the transport may write there still, and the block is nobody's
 * for good. */
struct arriving {
    uint64_t block;
    char *body;
};

static struct arriving *arriving; /* by node of the home: a wire brings one at a time */

static void *place_reply(unsigned node, const void *head, size_t head_size, size_t body_size)
{
    const struct message_reply *reply = head;
    struct arena *arena = context_arena();
    size_t out_size = head_size - sizeof *reply;
    struct request *request;
    uint32_t state;

    if ((!arriving && !(arriving = calloc(context_topology()->node_count, sizeof *arriving))) ||
        head_size < sizeof *reply || !is_request(reply->request) || !is_awaited(reply, &state))
        return NULL;
    request = request_at(arena, reply->request);
    part_from_leaving(request, reply->request);
    request->size = 0; /* as in hand_over() */
    if (request_make_room(arena, request, out_size + body_size) || !request->block)
        return NULL; /* it is looked at again when it has come */
    atomic_store_explicit(&request->arrives, body_size, memory_order_relaxed);
    arriving[node].block = request->block;
    arriving[node].body = memcpy(request_bytes(arena, request), reply + 1, out_size);
    arriving[node].body += out_size;
    request->block = 0;
    request->room = INLINE_SIZE;
    return arriving[node].body;
}

static bool take_reply(unsigned node, const void *head, size_t head_size, void *body, size_t body_size)
{
    const struct message_reply *reply = head;
    struct request *request = request_at(context_arena(), reply->request);
    uint32_t state;

    assert(body == arriving[node].body);
    if (!is_awaited(reply, &state)) {
        arena_free(context_arena(), arriving[node].block);
        return true;
    }
    request->block = arriving[node].block;
    request->room = request->size = head_size - sizeof *reply + body_size;
    request->status = reply->status;
    if (hand_over(request, state) && reply->asks)
        say_of_call(node, MESSAGE_ARRIVED, reply->request, reply->serial);
    return true;
}

static const struct courier_large large_reply = {.place = place_reply, .take = take_reply};

/* In place of a home that is lost. */
static void answer_for_lost(uint32_t number)
{
    struct request *request = request_at(context_arena(), number);
    struct message_reply reply = {.request = number, .serial = request->serial};

    request->sent = request->serial;
    reply.status = lost_node_say(request->handle.home);
    snprintf(reply.text, sizeof reply.text, "%s", mpm_error());
    (void)give_reply(&reply, NULL, 0);
}

static void send_posted(uint32_t number)
{
    struct request *request = request_at(context_arena(), number);

    if (state_of(atomic_load(&request->state)) != REQUEST_POSTED || request->sent == request->serial)
        return;
    if (lost_node_is(request->handle.home)) {
        answer_for_lost(number);
        return;
    }
    request->sent = request->serial;
    send_call(number, MESSAGE_CALL, request->is_timed);
}

/* Those that were sent: of the others the courier has yet to hear (send_posted). */
static void fail_sent_calls(unsigned node)
{
    struct arena *arena = context_arena();
    struct call_table *table = table_of(arena);

    for (uint32_t i = 0; i < MAX_SEGMENTS && atomic_load(&table->segment[i]); i++) {
        for (uint32_t j = i * SEGMENT_REQUESTS; j < (i + 1) * SEGMENT_REQUESTS; j++) {
            struct request *request = request_at(arena, j);

            if (state_of(atomic_load(&request->state)) == REQUEST_POSTED &&
                request->sent == request->serial && request->handle.home == node)
                answer_for_lost(j);
        }
    }
}

/* The courier at the object's home. */

/* A call as its method has it. */
struct served {
    struct invocation invocation;
    mpm_handle handle;
    _Alignas(16) char in[METHOD_IN_LIMIT];
    _Alignas(16) char out[METHOD_OUT_LIMIT];
};

/* What has come with a call: `in`, and the tail unless that stands in a block. */
struct cargo {
    const char *bytes;
    size_t size;
    struct ring_block block;
};

static int serve_begin(const struct message_call *call, struct cargo *cargo, struct served *served)
{
    struct invocation *invocation = &served->invocation;
    struct method_bytes come = {.bytes = cargo->bytes, .size = cargo->size};
    int status;

    if (cargo->block.block) {
        come.tail = arena_at(context_arena(), cargo->block.at);
        come.tail_size = cargo->block.size;
    }

    memcpy(&served->handle, call->handle, sizeof served->handle);
    *invocation = (struct invocation){.method = NULL};
    if ((status = method_decode(call->method, &served->handle, &come, invocation, served->in)))
        return status;
    invocation->block = cargo->block.block ? &cargo->block : NULL;
    invocation->out = memset(served->out, 0, sizeof served->out);
    invocation->timeout_s = call->timeout_s;
    invocation->is_served = true;
    return MPM_OK;
}

static int serve(struct served *served, bool is_late)
{
    struct invocation *invocation = &served->invocation;
    const struct method *method = invocation->method;
    struct object *object = NULL;
    int status;

    if ((status = method_find(method, &served->handle, &object)))
        return status;
    status = (method->serve ? method->serve : method->try)(object, &served->handle, invocation);
    if (status == CALL_MUST_WAIT && is_late)
        status = method_say_late(object, &served->handle, invocation);
    invocation->gives |= method->gives && (!status || status == MPM_EOWNERDIED);
    return status;
}

/* A call that waits. */
struct parked {
    struct parked *next;
    struct parked *ahead, *behind; /* at the same side of the object */
    unsigned node;
    unsigned side;    /* OBJECT_SIDES: none */
    bool is_in_doubt; /* not to be tried before its caller's courier has said that it is wanted still */
    struct message_call call;
    uint64_t deadline_ns;
    struct cargo cargo;
    _Alignas(8) char bytes[]; /* the cargo's */
};

static struct parked *parked_first, **parked_end = &parked_first;
static unsigned caller;                        /* whose call is being tried */
static uint64_t last_look_ns, doubts_until_ns; /* see notice_stall() */

unsigned call_caller(void)
{
    assert(thread_is(THREAD_COURIER));
    return caller;
}

/* With a failure comes `out`, if that is known. `shared`: what is to leave out of its memory, or NULL. */
static void send_reply(unsigned node, const struct message_call *call, int status,
                       const struct invocation *invocation, struct reply_bytes *shared)
{
    struct message_reply message = {.request = call->request,
                                    .serial = call->serial,
                                    .status = status,
                                    .asks = invocation->gives &&
                                            (invocation->asks || invocation->size > GIVEN_SMALL)};
    struct message_part parts[] = {{&message, sizeof message},
                                   {invocation->out, invocation->method ? invocation->method->out_size : 0},
                                   {invocation->more, status ? 0 : invocation->size}};
    struct message_body body = {invocation->more, invocation->size, reply_bytes_release, shared};

    if (status)
        snprintf(message.text, sizeof message.text, "%s", mpm_error());
    if (shared)
        shared->users++;
    if (shared ? courier_post_lent(node, MESSAGE_REPLY, parts, 2, &body)
               : courier_post(node, MESSAGE_REPLY, parts, 3))
        context_break(MPM_ENOMEM, mpm_error());
}

/* Sends the reply, and keeps what is to be undone if the caller takes its call back. */
static void answer(unsigned node, const struct message_call *call, int status, struct invocation *invocation)
{
    struct reply_bytes *shared = NULL;

    if (!status && courier_would_lend(invocation->size))
        shared = reply_bytes_share(invocation);
    send_reply(node, call, status, invocation, shared);
    given_note(node, call, invocation, shared);
    if (shared)
        reply_bytes_release(shared);
    else
        invocation_free_more(invocation);
}

/* One try of a call; false if it must wait on. What makes no sense is refused here. */
static bool try_call(unsigned node, const struct message_call *call, struct cargo *cargo, enum turn turn,
                     bool is_late)
{
    struct served served;
    int status;

    assert(thread_is(THREAD_COURIER));
    caller = node;
    if (!(status = serve_begin(call, cargo, &served))) {
        served.invocation.turn = turn;
        status = serve(&served, is_late);
    }
    if (status == CALL_MUST_WAIT)
        invocation_free_more(&served.invocation);
    else
        answer(node, call, status, &served.invocation);
    return status != CALL_MUST_WAIT;
}

/* Whoever changes what a parked call waits for is to ring the doorbell. */
static void note_waiting(const struct parked *parked, int change)
{
    mpm_handle handle;

    assert(thread_is(THREAD_COURIER));
    memcpy(&handle, parked->call.handle, sizeof handle);
    object_note_waiting(&handle, change);
    if (parked->side < OBJECT_SIDES)
        fairness_note_waiting(&handle, parked->side, change);
    for (size_t at = 0;
         method_of(parked->call.method)->awaits_tail && at + sizeof handle <= parked->cargo.size;
         at += sizeof handle) {
        memcpy(&handle, parked->bytes + at, sizeof handle);
        object_note_waiting(&handle, change);
    }
}

/* Of a call that is not refused. */
static unsigned side_of(const struct message_call *call, struct cargo *cargo)
{
    struct served served;

    if (!method_of(call->method) || !method_of(call->method)->side || serve_begin(call, cargo, &served))
        return OBJECT_SIDES;
    return served.invocation.method->side(&served.invocation);
}

/* The last one that waits at a side of a call's object, or NULL. */
static struct parked *last_at(const struct message_call *call, unsigned side)
{
    struct parked *last = NULL;

    for (struct parked *parked = parked_first; parked && side < OBJECT_SIDES; parked = parked->next) {
        if (parked->side == side && !memcmp(parked->call.handle, call->handle, sizeof call->handle))
            last = parked;
    }
    return last;
}

/* Takes over a block. */
static bool park(unsigned node, const struct message_call *call, const struct cargo *cargo)
{
    struct parked *parked = malloc(sizeof *parked + cargo->size);

    if (!parked)
        return false;
    *parked = (struct parked){
        .node = node, .call = *call, .deadline_ns = call_deadline_ns(call->timeout_s), .cargo = *cargo};
    parked->cargo.bytes = memcpy(parked->bytes, cargo->bytes, cargo->size);
    parked->side = side_of(call, &parked->cargo);
    if ((parked->ahead = last_at(call, parked->side)))
        parked->ahead->behind = parked;
    *parked_end = parked;
    parked_end = &parked->next;
    note_waiting(parked, 1);
    eventcount_notify(
        context_doorbell()); /* it may have become possible before anybody knew that somebody waits */
    return true;
}

/* What the last call from a request was given has arrived. */
static void forget_given(unsigned node, uint32_t request, uint32_t serial)
{
    struct given *given = given_arrived(node, request, serial);

    if (given && given->invocation.method->arrived)
        given->invocation.method->arrived(&given->invocation);
    given_free(given);
}

static bool on_arrived(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;

    if (size != sizeof *call || call->request >= INDEX_SET_SIZE)
        return false;
    forget_given(node, call->request, call->serial);
    return true;
}

static struct parked **find_parked(unsigned node, const struct message_call *call)
{
    for (struct parked **at = &parked_first; *at; at = &(*at)->next) {
        if ((*at)->node == node && (*at)->call.request == call->request && (*at)->call.serial == call->serial)
            return at;
    }
    return NULL;
}

/* The time. If this courier was not at work for so long that a caller may have given up, calls are in doubt for as long
 * again: what has gathered meanwhile does not come all at once. */
static uint64_t notice_stall(void)
{
    uint64_t now_ns = clock_now_ns();

    if (last_look_ns && now_ns - last_look_ns > (uint64_t)(CALL_REPLY_S * 1e9))
        doubts_until_ns = now_ns + (now_ns - last_look_ns);
    last_look_ns = now_ns;
    return now_ns;
}

/* The caller may have given up, and what was put for it could not be taken out again: so it is asked first. */
static bool park_in_doubt(unsigned node, const struct message_call *call, const struct cargo *cargo)
{
    if (!park(node, call, cargo))
        return false;
    (*find_parked(node, call))->is_in_doubt = true;
    say_of_call(node, MESSAGE_DOUBTED, call->request, call->serial);
    return true;
}

/* If it is not, the cancel is under way. At the caller's node. */
static bool on_doubted(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;
    const struct request *request;

    if (size != sizeof *call || !is_request(call->request))
        return false;
    request = request_at(context_arena(), call->request);
    if (state_of(atomic_load(&request->state)) == REQUEST_POSTED && request->sent == call->serial)
        say_of_call(node, MESSAGE_WANTED, call->request, call->serial);
    return true;
}

static bool on_wanted(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;
    struct parked **parked;

    if (size != sizeof *call)
        return false;
    if ((parked = find_parked(node, call)))
        (*parked)->is_in_doubt = false;
    return true;
}

static void free_block(struct cargo *cargo)
{
    arena_free(context_arena(), cargo->block.block);
    cargo->block.block = 0;
}

/* Takes over a block. */
static bool take_call(unsigned node, const struct message_call *call, struct cargo *cargo)
{
    bool is_late = call->timeout_s <= 0;
    enum turn turn;

    courier_be_lively();
    forget_given(node, call->request, 0);
    if (call->is_timed && method_of(call->method) && notice_stall() < doubts_until_ns)
        return park_in_doubt(node, call, cargo);
    turn = !is_late && last_at(call, side_of(call, cargo)) ? FAIRNESS_IS_BEHIND : FAIRNESS_PASSES;
    if (!try_call(node, call, cargo, turn, is_late))
        return park(node, call, cargo);
    free_block(cargo);
    return true;
}

static bool on_call(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;
    struct cargo cargo = {.bytes = (const char *)(call + 1), .size = size - sizeof *call};

    return size >= sizeof *call && call->request < INDEX_SET_SIZE && take_call(node, call, &cargo);
}

/* A long message is received into the block in which it is going to be put. */
static struct ring_block *coming; /* by node of the caller: a wire brings one at a time */

static void *place_call(unsigned node, const void *head, size_t head_size, size_t body_size)
{
    const struct message_call *call = head;
    const struct method *method = head_size < sizeof *call ? NULL : method_of(call->method);

    if ((!coming && !(coming = calloc(context_topology()->node_count, sizeof *coming))) || !method ||
        !method->takes_block || head_size != sizeof *call + method->in_size || !ring_is_long(body_size) ||
        !method->takes_block(call + 1, body_size) || call->request >= INDEX_SET_SIZE ||
        ring_block_make(context_arena(), body_size, process_own_number(), &coming[node]))
        return NULL;
    return arena_at(context_arena(), coming[node].at);
}

static bool take_large_call(unsigned node, const void *head, size_t head_size, void *body, size_t body_size)
{
    const struct message_call *call = head;
    struct cargo cargo = {
        .bytes = (const char *)(call + 1), .size = head_size - sizeof *call, .block = coming[node]};

    assert(body == arena_at(context_arena(), cargo.block.at) && body_size == cargo.block.size);
    (void)body;
    (void)body_size;
    return take_call(node, call, &cargo);
}

static const struct courier_large large_call = {.place = place_call, .take = take_large_call};

static void unpark(struct parked **at)
{
    struct parked *parked = *at;

    note_waiting(parked, -1);
    if (parked->ahead)
        parked->ahead->behind = parked->behind;
    if (parked->behind)
        parked->behind->ahead = parked->ahead;
    if (!(*at = parked->next))
        parked_end = at;
    free_block(&parked->cargo);
    free(parked);
}

/* What could not be undone yet, since there was no memory. */
static struct given *undoing;

static bool try_undo(struct given *given)
{
    mpm_handle handle;
    bool is_undone;

    assert(thread_is(THREAD_COURIER));
    memcpy(&handle, given->call.handle, sizeof handle);
    given_offer_block(given);
    is_undone = given->invocation.method->undo(&handle, &given->invocation, true) != CALL_MUST_WAIT;
    given_note_block(given);
    if (is_undone)
        given_free(given);
    return is_undone;
}

static void undo_given(struct given *given)
{
    if (try_undo(given))
        return;
    given->next = undoing;
    undoing = given;
}

static bool undo_rest(void)
{
    bool worked = false;

    for (struct given **at = &undoing, *given; (given = *at);) {
        struct given *next = given->next;

        if (try_undo(given)) {
            *at = next;
            worked = true;
        } else {
            at = &given->next;
        }
    }
    return worked;
}

/* A call that was given nothing is taken back. */
static void take_back(const struct message_call *call, struct cargo *cargo)
{
    struct served served;

    if (call->is_timed && !serve_begin(call, cargo, &served) && served.invocation.method->undo)
        served.invocation.method->undo(&served.handle, &served.invocation, false);
}

/* Its caller has died, or takes it back: see call_given.h. */
static bool on_cancel(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;
    struct cargo cargo = {.bytes = (const char *)(call + 1), .size = size - sizeof *call};
    struct given *given = NULL;
    struct parked **parked;

    if (size < sizeof *call || call->request >= INDEX_SET_SIZE)
        return false;
    if ((parked = find_parked(node, call))) {
        take_back(call, &(*parked)->cargo);
        unpark(parked);
    } else if (!given_take(node, call, &given)) {
        take_back(call, &cargo);
    } else if (given && call->is_timed) {
        undo_given(given);
    } else {
        given_free(given);
    }
    return true;
}

/* Whoever stands behind another one at its side does not get past it, unless its time is up. */
static bool try_again(struct parked *parked)
{
    bool is_late = clock_now_ns() >= parked->deadline_ns;

    return !parked->is_in_doubt && (!parked->ahead || is_late) &&
           try_call(parked->node, &parked->call, &parked->cargo,
                    parked->ahead ? FAIRNESS_PASSES : FAIRNESS_IS_OWN, is_late);
}

/* In order of arrival, so that calls on one object are served in it. A caller waits a moment only for the reply that
 * its time is up: this courier does not sleep over it. */
static bool try_parked(void)
{
    uint64_t soon_ns = clock_now_ns() + SOON_NS;
    bool worked = false;

    for (struct parked **at = &parked_first; *at;) {
        if ((*at)->deadline_ns < soon_ns)
            courier_be_lively();
        if (try_again(*at)) {
            unpark(at);
            worked = true;
        } else {
            at = &(*at)->next;
        }
    }
    return worked;
}

/* Calls are sent behind all that was taken back before they were posted: the second look finds whatever was put into
 * the set before anything that the first one has found. */
void call_send_news(void)
{
    assert(thread_is(THREAD_COURIER));
    posted.count = 0;
    posted.is_all = false;
    index_set_take_all(&table_of(context_arena())->news, take_news);
    if (!posted.count)
        return;
    posted.is_all = true;
    index_set_take_all(&table_of(context_arena())->news, take_news);
    for (unsigned i = 0; i < posted.count; i++)
        send_posted(posted.request[i]);
}

static bool call_work(void)
{
    bool worked;

    call_send_news();
    worked = try_parked();
    worked |= undo_rest();
    notice_stall();
    return worked;
}

/* What waits for a caller of a lost node waits for nobody, and what was given there is done, as with any dead
 * caller. */
void call_lose_node(unsigned node)
{
    assert(thread_is(THREAD_COURIER));
    fail_sent_calls(node);
    for (struct parked **at = &parked_first; *at;) {
        if ((*at)->node == node)
            unpark(at);
        else
            at = &(*at)->next;
    }
    given_forget_node(node);
}

/* What an earlier run had under way, whose objects are gone. */
static void forget_under_way(void)
{
    for (struct given *given = undoing, *next; given; given = next) {
        next = given->next;
        given_free(given);
    }
    undoing = NULL;
    given_forget_all();
    free(arriving);
    free(coming);
    arriving = NULL;
    coming = NULL;
    while (leaving_first) {
        struct leaving *next = leaving_first->next;

        free(leaving_first);
        leaving_first = next;
    }
    last_look_ns = doubts_until_ns = 0;
}

static void forget_parked(void)
{
    for (struct parked *parked = parked_first, *next; parked; parked = next) {
        next = parked->next;
        free(parked);
    }
    parked_first = NULL;
    parked_end = &parked_first;
}

void call_announce(void)
{
    forget_parked();
    forget_under_way();
    courier_handle(MESSAGE_CALL, on_call);
    courier_handle_large(MESSAGE_CALL, &large_call);
    courier_handle(MESSAGE_CANCEL, on_cancel);
    courier_handle(MESSAGE_REPLY, on_reply);
    courier_handle_large(MESSAGE_REPLY, &large_reply);
    courier_handle(MESSAGE_DOUBTED, on_doubted);
    courier_handle(MESSAGE_WANTED, on_wanted);
    courier_handle(MESSAGE_ARRIVED, on_arrived);
    courier_add_work(call_work);
}

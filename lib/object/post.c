/* SPDX-License-Identifier: BSD-3-Clause */
/* Posted operations.
 *
 * The poster looks up the delegation, and puts the operation into the send buffer, under the send buffer's mutex: the
 * commit of the send buffer is the moment from which on it will be done. A poster that is killed before has posted
 * nothing; one that is killed after it has posted, and its reaper tells the courier. Delegations of a node stand beside
 * the send buffer; the courier alone writes them, under the mutex. A delegation that is not found any more, because
 * others took its place, costs a call, which brings it back.
 *
 * Order. Before anything else is posted from one node to another, what lies in the send buffer between them goes out
 * (courier_before_post), and couriers deliver in order. So whatever the home learns from a node, by a call, a
 * reply, the end of a process or of a task, it has carried out by then what was posted there before. Between
 * three nodes there is no such order: a node may learn from a second one of something that has yet to come
 * from there to a third. What the home has no memory for waits there, in order for each object; a put by a
 * call is refused meanwhile, joins and closes wait behind it, and gets go on, since they free memory.
 *
 * Ends. The home gives a delegation under the lock under which the object is closed or destroyed, and notes the
 * node in `delegated` of the object record. Whoever closes or destroys the object, and finds it delegated, has the
 * home's courier do it by a call, which asks all these nodes for their delegations, and waits. Such a node's courier
 * takes its delegation away under the mutex, so that nothing is accepted any more, and then answers: behind what
 * was accepted. So what was accepted is carried out before the end, and nothing comes later. If whoever
 * wanted the end dies meanwhile, the object is not delegated again: puts and adds are calls from there on, and
 * nothing is lost.
 *
 * How much. A send buffer holds what is under way until the home has done it, so both nodes' memory is bounded.
 * While a message is under way, others gather: until it has arrived, or there are BATCH bytes, or something
 * else is posted to that node. So one alone goes at once, and many go together, without a timer. */
#include "object/post.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "net/courier.h"
#include "node/context.h"
#include "object/call.h"
#include "object/message.h"
#include "shm/index_set.h"
#include "shm/kill_point.h"
#include "shm/send_buffer.h"

#define BATCH   ((uint64_t)1 << 14)
#define ROOM_NS 100000000u /* how long a poster waits for room before it makes a call instead */
#define DELEGATION_SETS \
    128u /* a delegation stands in the set of its place, and takes the place of the oldest */
#define DELEGATION_WAYS 8u

struct delegation {
    mpm_handle handle; /* zero: none */
    uint64_t limit;    /* of indices */
};

struct delegation_set {
    uint64_t oldest; /* the next one to be replaced */
    struct delegation delegation[DELEGATION_WAYS];
};

/* For one other node, in the arena: made by the courier with the first delegation, and there until the end. */
struct peer {
    struct delegation_set set[DELEGATION_SETS];
    uint64_t arrived; /* bytes of the send buffer that are known to be at the home: the courier's */
    struct send_buffer send_buffer;
};

struct post_table {
    struct index_set noted;  /* nodes whose send buffers the courier is to look at */
    _Atomic uint64_t peer[]; /* by node; 0: no delegation from there yet */
};

/* How an operation begins in the send buffer; what it is about follows. */
struct posted {
    mpm_handle handle;
    uint32_t size, count;
    uint64_t reserved; /* see the message */
};
_Static_assert(sizeof(struct posted) + POST_LIMIT <= SEND_BUFFER_RECORD_LIMIT,
               "an operation fits into a send buffer");

static struct post_table *table_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_POSTS);
}

int post_table_create(struct arena *arena)
{
    return arena_make_root(arena, ARENA_ROOT_POSTS,
                           sizeof(struct post_table) + context_topology()->node_count * sizeof(uint64_t));
}

static struct peer *peer_of(struct arena *arena, unsigned node)
{
    /* Pairs with make_peer(). */
    uint64_t offset = atomic_load_explicit(&table_of(arena)->peer[node], memory_order_acquire);

    return offset ? arena_at(arena, offset) : NULL;
}

/* The poster. */

static struct delegation *find_delegation(struct peer *peer, const mpm_handle *handle)
{
    struct delegation_set *set = &peer->set[handle->place % DELEGATION_SETS];

    for (unsigned i = 0; i < DELEGATION_WAYS; i++) {
        if (object_is_same(&set->delegation[i].handle, handle))
            return &set->delegation[i];
    }
    return NULL;
}

static void note(unsigned node)
{
    index_set_add(&table_of(context_arena())->noted, node);
    eventcount_notify(context_doorbell());
}

/* Tells the courier, unless it knows. One that knows, and waits for more, wants to know of BATCH bytes. */
static void tell_courier(struct peer *peer, unsigned node, uint64_t before, uint64_t after)
{
    /* Between the commit of the record and the look at `noted`. Pairs with the exchange of `noted` in
     * send_send_buffer(): without, the record lies there until something else is posted to that node. */
    atomic_thread_fence(memory_order_seq_cst);
    DELAY_POINT();
    if (!atomic_load_explicit(&peer->send_buffer.noted, memory_order_relaxed)) {
        atomic_store(&peer->send_buffer.noted, 1);
        note(node);
    } else if (before / BATCH != after / BATCH) {
        note(node);
    }
}

enum posting { POSTED, NO_DELEGATION, NO_ROOM };

static enum posting try_post(struct peer *peer, const struct posted *head, uint64_t index, const void *bytes)
{
    uint64_t before, after;
    const struct delegation *delegation;
    bool is_put;

    send_buffer_lock(&peer->send_buffer);
    before = send_buffer_posted(&peer->send_buffer);
    delegation = find_delegation(peer, &head->handle);
    if (!delegation || index >= delegation->limit) {
        send_buffer_unlock(&peer->send_buffer);
        return NO_DELEGATION;
    }
    is_put = send_buffer_put(&peer->send_buffer, head, sizeof *head, bytes, (size_t)head->size * head->count);
    after = send_buffer_posted(&peer->send_buffer);
    send_buffer_unlock(&peer->send_buffer);
    if (!is_put)
        return NO_ROOM;
    tell_courier(peer, head->handle.home, before, after);
    return POSTED;
}

bool post_operation(const mpm_handle *handle, enum object_kind kind, uint64_t index, const void *bytes,
                    size_t size, size_t count)
{
    struct posted head = {.handle = *handle, .size = (uint32_t)size, .count = (uint32_t)count};
    uint64_t deadline_ns = 0;
    enum posting posting;
    struct peer *peer;

    if (handle->home >= context_topology()->node_count || !(peer = peer_of(context_arena(), handle->home)) ||
        size > POST_LIMIT || count > POST_LIMIT || size * count > POST_LIMIT || handle->kind != kind ||
        context_check_whole() || thread_token_ensure())
        return false;
    while ((posting = try_post(peer, &head, index, bytes)) == NO_ROOM) {
        if (!deadline_ns)
            deadline_ns = clock_now_ns() + ROOM_NS;
        if (!send_buffer_wait_for_room(&peer->send_buffer, deadline_ns))
            return false;
    }
    return posting == POSTED;
}

void post_owner_died(struct arena *arena)
{
    assert(thread_is(THREAD_FORKSERVER));
    for (unsigned node = 0; node < context_topology()->node_count; node++) {
        if (peer_of(arena, node))
            index_set_add(&table_of(arena)->noted, node);
    }
    eventcount_notify(context_doorbell());
}

_Static_assert(sizeof(struct message_posted_group) <= sizeof(struct posted) + sizeof(uint64_t),
               "a message is not larger than what it takes of the send buffer");

/* A message to the home. */

/* In the making. */
struct packing {
    char *bytes;
    size_t size;
    struct message_posted_group *last; /* its bytes are not padded yet */
};

static void end_group(struct packing *packing)
{
    size_t end = message_padded(packing->size);

    memset(packing->bytes + packing->size, 0, end - packing->size);
    packing->size = end;
}

static void pack(struct packing *packing, const struct send_buffer_record *record)
{
    struct message_posted_group *last = packing->last;
    struct posted head;
    size_t size = record->size - sizeof head;

    memcpy(&head, record->bytes, sizeof head);
    if (!last || !object_is_same(&last->handle, &head.handle) || last->size != head.size) {
        end_group(packing);
        last = packing->last = (struct message_posted_group *)(void *)(packing->bytes + packing->size);
        *last = (struct message_posted_group){.handle = head.handle, .size = head.size};
        packing->size += sizeof *last;
    }
    memcpy(packing->bytes + packing->size, record->bytes + sizeof head, size);
    packing->size += size;
    last->count += head.count;
    last->cost += record->cost;
}

/* Only who holds it takes from send buffers, and puts into the outbox what it took: threads of the leader. */
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;

static void send_until(struct peer *peer, unsigned node, uint64_t posted)
{
    uint64_t at = atomic_load(&peer->send_buffer.taken);
    struct message_posted message = {.bytes = posted - at};
    struct packing packing = {.bytes = malloc(posted - at)};

    if (!packing.bytes) {
        context_break(MPM_ENOMEM, "no memory for what was posted to another node");
        return;
    }
    while (at < posted) {
        struct send_buffer_record record = send_buffer_look(&peer->send_buffer, &at);

        pack(&packing, &record);
    }
    end_group(&packing);
    if (courier_post(node, MESSAGE_POSTED,
                     (struct message_part[]){{&message, sizeof message}, {packing.bytes, packing.size}}, 2))
        context_break(MPM_ENOMEM, mpm_error());
    free(packing.bytes);
    atomic_store(&peer->send_buffer.taken, posted);
}

/* Sends what is in the send buffer. If others are under way it waits for more of it, unless it must go at once.
 * `noted` stays 0 but if it waits: whoever posts from here on tells. */
static bool send_send_buffer(struct peer *peer, unsigned node, bool at_once)
{
    uint64_t taken, posted;
    bool sends;

    pthread_mutex_lock(&taking);
    DELAY_POINT();
    atomic_exchange(&peer->send_buffer.noted, 0); /* a full fence before the look: see tell_courier() */
    DELAY_POINT();
    taken = atomic_load(&peer->send_buffer.taken);
    posted = send_buffer_posted(&peer->send_buffer);
    sends = posted != taken && (at_once || peer->arrived == taken || posted - taken >= BATCH);
    if (sends)
        send_until(peer, node, posted);
    else if (posted != taken)
        atomic_store(&peer->send_buffer.noted, 1);
    pthread_mutex_unlock(&taking);
    return sends;
}

/* What is in the outbox already when `taken` says so. */
static void send_before(unsigned node, uint32_t kind)
{
    struct peer *peer = peer_of(context_arena(), node);

    if (peer && kind != MESSAGE_POSTED && kind != MESSAGE_POSTED_DONE &&
        send_buffer_posted(&peer->send_buffer) != atomic_load(&peer->send_buffer.taken))
        send_send_buffer(peer, node, true);
}

static bool noted_worked;

static void take_noted(uint32_t node)
{
    struct peer *peer = peer_of(context_arena(), node);

    if (!peer || !send_send_buffer(peer, node, false))
        return;
    noted_worked = true;
    courier_be_lively();
}

static bool on_posted_done(unsigned node, const void *payload, size_t size)
{
    const struct message_posted_done *message = payload;
    struct peer *peer = peer_of(context_arena(), node);

    if (size != sizeof *message || !peer)
        return false;
    pthread_mutex_lock(&taking);
    peer->arrived += message->arrived;
    pthread_mutex_unlock(&taking);
    send_buffer_give_room(&peer->send_buffer, message->done);
    send_send_buffer(peer, node, false);
    return true;
}

/* Delegations at the poster's node. */

static struct peer *make_peer(unsigned node)
{
    struct arena *arena = context_arena();
    struct peer *peer;
    uint64_t offset;

    if (arena_alloc(arena, sizeof *peer, ARENA_NO_OWNER, &offset))
        return NULL;
    peer = arena_at(arena, offset);
    memset(peer, 0, offsetof(struct peer, send_buffer));
    send_buffer_create(&peer->send_buffer);
    /* Pairs with peer_of(). */
    atomic_store_explicit(&table_of(arena)->peer[node], offset, memory_order_release);
    return peer;
}

/* Without memory for it the node goes on without delegations. */
static bool on_delegation(unsigned node, const void *payload, size_t size)
{
    const struct message_delegation *message = payload;
    struct peer *peer = peer_of(context_arena(), node);
    struct delegation delegation;
    struct delegation_set *set;

    if (size != sizeof *message)
        return false;
    if (!peer && !(peer = make_peer(node)))
        return true;
    delegation = (struct delegation){.handle = message->handle, .limit = message->limit};
    set = &peer->set[delegation.handle.place % DELEGATION_SETS];
    send_buffer_lock(&peer->send_buffer);
    if (!find_delegation(peer, &delegation.handle))
        set->delegation[set->oldest++ % DELEGATION_WAYS] = delegation;
    send_buffer_unlock(&peer->send_buffer);
    return true;
}

/* The reply goes behind what was accepted: send_before() sees to that. */
static bool on_recall(unsigned node, const void *payload, size_t size)
{
    struct peer *peer = peer_of(context_arena(), node);
    struct delegation *delegation;
    const struct message_delegation *message = payload;

    if (size != sizeof *message)
        return false;
    if (peer) {
        send_buffer_lock(&peer->send_buffer);
        if ((delegation = find_delegation(peer, &message->handle)))
            *delegation = (struct delegation){0};
        send_buffer_unlock(&peer->send_buffer);
    }
    courier_be_lively();
    if (courier_post_one(node, MESSAGE_DELEGATION_BACK, payload, size))
        context_break(MPM_ENOMEM, mpm_error());
    return true;
}

/* Who finds no delegation makes a call, which says that the node is lost. */
void post_lose_node(unsigned node)
{
    struct peer *peer = peer_of(context_arena(), node);

    assert(thread_is(THREAD_COURIER));
    if (peer) {
        send_buffer_lock(&peer->send_buffer);
        memset(peer->set, 0, sizeof peer->set);
        send_buffer_unlock(&peer->send_buffer);
    }
    post_lose_node_home(node);
}

/* The courier. */

static bool post_work(void)
{
    bool worked = post_try_waiting();

    noted_worked = false;
    index_set_take_all(&table_of(context_arena())->noted, take_noted);
    return worked || noted_worked;
}

void post_announce(void)
{
    post_announce_home();
    courier_handle(MESSAGE_POSTED_DONE, on_posted_done);
    courier_handle(MESSAGE_DELEGATION, on_delegation);
    courier_handle(MESSAGE_RECALL_DELEGATION, on_recall);
    courier_before_post(send_before);
    courier_add_work(post_work);
}

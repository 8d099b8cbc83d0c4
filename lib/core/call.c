/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls on objects of other nodes. Who writes what in a slot:
 *
 * `state` says whose the slot is; its upper part is the number of the calling process. It goes
 *   FREE       anybody's
 *   FILLING    its caller's, taken by compare-and-swap: it writes the call; if it dies, its reaper sets it
 *              free
 *   POSTED     the courier's, which sends the call, and later writes the reply
 *   ABANDONED  the courier's, whose caller has died, or does not want the reply any more: taken from POSTED
 *              by compare-and-swap; the courier cancels the call, and sets the slot free
 *   DONE       its caller's again, which reads the reply and sets it free; if it dies, its reaper does
 * The reaper: FILLING and DONE to FREE, POSTED to ABANDONED. What does
 * not fit into the slot stands in a block that the slot names; it is allocated by its writer, named, then
 * given, and freed by whoever sets the slot free, and takes it back as its own before, so the reaper does slots
 * first and then what the dead process still owned.
 *
 * The set of slots with news for the courier is an index set; who has put a slot there rings the bell. A
 * caller that dies between POSTED or ABANDONED and the set is seen by its reaper, which abandons the slot and
 * puts it there. So a slot may be put there once too often, and be the next call's by then: the courier keeps
 * in `sent` which call it has sent. */
#include "core/call.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/object.h"
#include "core/runtime.h"
#include "host/host.h"
#include "net/courier.h"
#include "shm/index_set.h"
#include "shm/kill_point.h"

#define SEGMENT_SLOTS 64u
#define MAX_SEGMENTS  (INDEX_SET_SIZE / SEGMENT_SLOTS)
#define INLINE_SIZE   256u
#define REPLY_SPIN_NS 5000u

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_POSTED, SLOT_ABANDONED, SLOT_DONE };

struct slot {
    _Atomic uint32_t state; /* enum slot_state, and the caller's process number << 8 */
    uint32_t serial;        /* of the call: the caller's */
    uint32_t sent;          /* the serial of the last call that was sent from here: the courier's */
    uint32_t verb;
    uint32_t rings; /* 1: the reply rings the node's bell, too: the caller's */
    struct wait_word done;
    mpm_handle handle;
    double timeout_s;
    uint64_t size;  /* of the call's bytes, then of the reply's */
    uint64_t block; /* where they stand if they do not fit; 0 if they do */
    uint64_t room;  /* how many may stand there, or here */
    int32_t status;
    char text[MESSAGE_TEXT_SIZE];
    _Alignas(8) char bytes[INLINE_SIZE];
};

struct call_table {
    struct index_set news; /* slots that the courier is to look at */
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

static struct slot *slot_at(struct arena *arena, uint32_t number)
{
    uint64_t segment = atomic_load(&table_of(arena)->segment[number / SEGMENT_SLOTS]);

    return (struct slot *)arena_at(arena, segment) + number % SEGMENT_SLOTS;
}

static int make_segment(struct arena *arena, uint32_t number)
{
    struct call_table *table = table_of(arena);
    uint64_t none = 0, offset;
    int status;

    if (atomic_load(&table->segment[number]))
        return MPM_OK;
    if ((status = arena_alloc(arena, SEGMENT_SLOTS * sizeof(struct slot), process_own_number(), &offset)))
        return status;
    memset(arena_at(arena, offset), 0, SEGMENT_SLOTS * sizeof(struct slot));
    if (atomic_compare_exchange_strong(&table->segment[number], &none, offset))
        arena_give(arena, offset);
    else
        arena_free(arena, offset);
    return MPM_OK;
}

static int reserve_slot(struct arena *arena, uint32_t *reserved)
{
    for (uint32_t i = 0; i < INDEX_SET_SIZE; i++) {
        uint32_t free_state = SLOT_FREE;
        struct slot *slot;
        int status;

        if (i % SEGMENT_SLOTS == 0 && (status = make_segment(arena, i / SEGMENT_SLOTS)))
            return status;
        slot = slot_at(arena, i);
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) != SLOT_FREE ||
            !atomic_compare_exchange_strong(&slot->state, &free_state,
                                            SLOT_FILLING | process_own_number() << 8))
            continue;
        slot->block = 0;
        slot->room = INLINE_SIZE;
        *reserved = i;
        return MPM_OK;
    }
    return error_set(MPM_ENOMEM, "a node cannot have more than %u calls under way", INDEX_SET_SIZE);
}

static enum slot_state state_of(uint32_t word)
{
    return (enum slot_state)(word & 0xff);
}

static void *slot_bytes(struct arena *arena, struct slot *slot)
{
    return slot->block ? arena_at(arena, slot->block) : slot->bytes;
}

/* Room for bytes of a call or a reply in a slot that is the caller's own. The old ones are lost. */
static int slot_make_room(struct arena *arena, struct slot *slot, size_t size)
{
    uint64_t old = slot->block, offset;
    int status;

    if (size <= slot->room)
        return MPM_OK;
    if ((status = arena_alloc(arena, size, process_own_number(), &offset)))
        return status;
    KILL_POINT();
    slot->block = offset;
    slot->room = size;
    KILL_POINT();
    arena_give(arena, offset);
    KILL_POINT();
    arena_free(arena, old);
    return MPM_OK;
}

/* The block is the caller's own again before the slot forgets it. */
static void slot_free(struct arena *arena, struct slot *slot)
{
    uint64_t block = slot->block;

    if (block)
        arena_pass(arena, block, process_own_number());
    KILL_POINT();
    slot->block = 0;
    KILL_POINT();
    arena_free(arena, block);
    atomic_store(&slot->state, SLOT_FREE);
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

/* With room for the reply, too: what the home gives is gone there, and must not find that there is none. */
static int fill_slot(struct arena *arena, struct slot *slot, const mpm_handle *handle, enum call_verb verb,
                     const void *in, size_t in_size, double timeout_s, size_t room)
{
    int status;

    if ((status = slot_make_room(arena, slot, in_size > room ? in_size : room)))
        return status;
    if (in_size)
        memcpy(slot_bytes(arena, slot), in, in_size);
    slot->size = in_size;
    slot->handle = *handle;
    slot->verb = verb;
    slot->timeout_s = timeout_s;
    slot->serial++;
    return MPM_OK;
}

static int read_reply(struct arena *arena, struct slot *slot, void *out, size_t room, size_t *out_size)
{
    int status = slot->status;

    if (status)
        error_set(status, "%s", slot->text);
    if (out_size)
        *out_size = slot->size;
    if (!status && slot->size && room)
        memcpy(out, slot_bytes(arena, slot), slot->size < room ? slot->size : room);
    return status;
}

/* The run may lose a part while the call is under way: the slot is the courier's to free then. */
static int wait_for_reply(struct slot *slot, uint32_t own)
{
    for (;;) {
        uint32_t seen = wait_look(&slot->done), posted = SLOT_POSTED | own;
        int status;

        DELAY_POINT();
        if (state_of(atomic_load(&slot->state)) == SLOT_DONE)
            return MPM_OK;
        if (wait_change(&slot->done, seen, REPLY_SPIN_NS, clock_now_ns() + RUNTIME_CHECK_NS))
            continue;
        if ((status = runtime_check_whole()) &&
            atomic_compare_exchange_strong(&slot->state, &posted, SLOT_ABANDONED | own))
            return status;
    }
}

/* Leaves the call to the courier. */
static void post_slot(struct arena *arena, struct slot *slot, uint32_t number)
{
    KILL_POINT();
    atomic_store(&slot->state, SLOT_POSTED | process_own_number() << 8);
    KILL_POINT();
    index_set_add(&table_of(arena)->news, number);
    KILL_POINT();
    wait_ring(runtime_bell());
}

static int begin(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
                 double timeout_s, size_t room, bool rings, struct call *call)
{
    struct arena *arena = runtime_arena();
    uint32_t number = 0;
    struct slot *slot;
    int status;

    if (handle->home >= runtime_topology()->node_count)
        return error_set(MPM_EINVAL, "this is no handle: there is no node %u", handle->home);
    if (in_size > CALL_SIZE_LIMIT)
        return error_set(MPM_ENOMEM, "a call with %zu bytes is too long for another node: at most %zu",
                         in_size, CALL_SIZE_LIMIT);
    if ((status = reserve_slot(arena, &number)))
        return status;
    KILL_POINT();
    slot = slot_at(arena, number);
    if ((status = fill_slot(arena, slot, handle, verb, in, in_size, timeout_s, room))) {
        slot_free(arena, slot);
        return status;
    }
    slot->rings = rings;
    post_slot(arena, slot, number);
    call->slot = number;
    return MPM_OK;
}

int call_begin(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
               double timeout_s, struct call *call)
{
    return begin(handle, verb, in, in_size, timeout_s, 0, true, call);
}

bool call_is_done(const struct call *call)
{
    return state_of(atomic_load(&slot_at(runtime_arena(), call->slot)->state)) == SLOT_DONE;
}

int call_finish(const struct call *call, void *out, size_t room, size_t *out_size)
{
    struct arena *arena = runtime_arena();
    struct slot *slot = slot_at(arena, call->slot);
    int status;

    if ((status = wait_for_reply(slot, process_own_number() << 8)))
        return status;
    status = read_reply(arena, slot, out, room, out_size);
    KILL_POINT();
    slot_free(arena, slot);
    return status;
}

void call_abandon(const struct call *call)
{
    struct arena *arena = runtime_arena();
    struct slot *slot = slot_at(arena, call->slot);
    uint32_t own = process_own_number() << 8, posted = SLOT_POSTED | own;

    KILL_POINT();
    if (!atomic_compare_exchange_strong(&slot->state, &posted, SLOT_ABANDONED | own)) {
        slot_free(arena, slot); /* the reply was faster */
        return;
    }
    KILL_POINT();
    index_set_add(&table_of(arena)->news, call->slot);
    KILL_POINT();
    wait_ring(runtime_bell());
}

int call_remote(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
                double timeout_s, void *out, size_t room, size_t *out_size)
{
    struct call call;
    int status;

    runtime_enter();
    if (!(status = begin(handle, verb, in, in_size, timeout_s, room, false, &call)))
        status = call_finish(&call, out, room, out_size);
    runtime_leave();
    return status;
}

/* In the host. */

void call_owner_died(struct arena *arena, uint32_t process)
{
    struct call_table *table = table_of(arena);

    for (uint32_t i = 0; i < MAX_SEGMENTS && atomic_load(&table->segment[i]); i++) {
        arena_give(arena, atomic_load(&table->segment[i])); /* if it died before it could */
        for (uint32_t j = i * SEGMENT_SLOTS; j < (i + 1) * SEGMENT_SLOTS; j++) {
            struct slot *slot = slot_at(arena, j);
            uint32_t state = atomic_load(&slot->state);

            if (state >> 8 != process)
                continue;
            if (state_of(state) == SLOT_ABANDONED ||
                (state_of(state) == SLOT_POSTED &&
                 atomic_compare_exchange_strong(&slot->state, &state, SLOT_ABANDONED | process << 8)))
                index_set_add(&table->news, j);
            else if (state_of(state) == SLOT_FILLING || state_of(state) == SLOT_DONE)
                slot_free(arena, slot);
        }
    }
    wait_ring(runtime_bell());
}

/* The courier at the caller's node. */

static void send_call(uint32_t number, enum message_kind kind)
{
    struct arena *arena = runtime_arena();
    struct slot *slot = slot_at(arena, number);
    struct message_call message = {
        .slot = number, .serial = slot->serial, .verb = slot->verb, .timeout_s = slot->timeout_s};
    struct message_part parts[] = {{&message, sizeof message},
                                   {slot_bytes(arena, slot), kind == MESSAGE_CALL ? slot->size : 0}};

    memcpy(message.handle, &slot->handle, sizeof slot->handle);
    courier_be_lively();
    if (courier_post(slot->handle.home, kind, parts, 2))
        runtime_break(MPM_ENOMEM, mpm_error());
}

static void take_news(uint32_t number)
{
    struct slot *slot = slot_at(runtime_arena(), number);

    switch (state_of(atomic_load(&slot->state))) {
    case SLOT_POSTED:
        if (slot->sent == slot->serial)
            break;
        slot->sent = slot->serial;
        send_call(number, MESSAGE_CALL);
        break;
    case SLOT_ABANDONED: /* perhaps before it was sent: the home knows nothing of it then, and that is fine */
        send_call(number, MESSAGE_CANCEL);
        slot_free(runtime_arena(), slot);
        break;
    default:
        break;
    }
}

static void fill_reply(struct slot *slot, const struct message_reply *reply, const void *bytes, size_t size)
{
    struct arena *arena = runtime_arena();

    slot->status = (int32_t)reply->status;
    memcpy(slot->text, reply->text, sizeof slot->text);
    slot->text[sizeof slot->text - 1] = 0;
    if (slot_make_room(arena, slot, size)) {
        slot->status = MPM_ENOMEM;
        snprintf(slot->text, sizeof slot->text, "%s", mpm_error());
        slot->size = 0;
        return;
    }
    slot->size = size;
    if (size)
        memcpy(slot_bytes(arena, slot), bytes, size);
}

static bool on_reply(unsigned node, const void *payload, size_t size)
{
    const struct message_reply *reply = payload;
    struct slot *slot;
    uint32_t state;
    bool rings;

    (void)node;
    if (size < sizeof *reply || reply->slot >= INDEX_SET_SIZE ||
        !atomic_load(&table_of(runtime_arena())->segment[reply->slot / SEGMENT_SLOTS]))
        return false;
    slot = slot_at(runtime_arena(), reply->slot);
    state = atomic_load(&slot->state);
    if (slot->serial != reply->serial || state_of(state) != SLOT_POSTED)
        return true; /* its caller has died */
    fill_reply(slot, reply, reply + 1, size - sizeof *reply);
    rings = slot->rings;
    DELAY_POINT();
    if (!atomic_compare_exchange_strong(&slot->state, &state, (state & ~0xffu) | SLOT_DONE))
        return true;
    wait_ring(&slot->done);
    if (rings)
        wait_ring(runtime_bell());
    return true;
}

/* The courier at the object's home. */

struct verb {
    call_try *try;
    int late_status;
    const char *late_sentence;
    call_side *side; /* NULL: there are no turns */
};

static struct verb verbs[CALL_VERBS];

/* A call that waits. */
struct parked {
    struct parked *next;
    struct parked *ahead, *behind; /* at the same side of the object */
    unsigned node;
    unsigned side; /* OBJECT_SIDES: none */
    struct message_call call;
    uint64_t deadline_ns;
    size_t size;
    _Alignas(8) char bytes[];
};

static struct parked *parked_first, **parked_end = &parked_first;
static unsigned caller; /* whose call is being tried */
static enum turn turn;  /* of that call */

unsigned call_caller(void)
{
    return caller;
}

enum turn call_turn(void)
{
    return turn;
}

void call_register(enum call_verb verb, call_try *try, int late_status, const char *late_sentence)
{
    verbs[verb] = (struct verb){try, late_status, late_sentence, NULL};
}

void call_register_turns(enum call_verb verb, call_side *side)
{
    verbs[verb].side = side;
}

int call_reply_add(struct call_reply *reply, const void *bytes, size_t size)
{
    void *grown = realloc(reply->bytes, reply->size + size + 1);

    if (!grown)
        return error_set(MPM_ENOMEM, "no memory for a reply of %zu bytes", reply->size + size);
    reply->bytes = grown;
    if (size)
        memcpy((char *)grown + reply->size, bytes, size);
    reply->size += size;
    return MPM_OK;
}

static void send_reply(unsigned node, const struct message_call *call, int status,
                       const struct call_reply *reply)
{
    struct message_reply message = {.slot = call->slot, .serial = call->serial, .status = status};
    struct message_part parts[] = {{&message, sizeof message}, {reply->bytes, status ? 0 : reply->size}};

    if (status)
        snprintf(message.text, sizeof message.text, "%s", mpm_error());
    if (courier_post(node, MESSAGE_REPLY, parts, 2))
        runtime_break(MPM_ENOMEM, mpm_error());
}

/* One try of a call; false if it must wait on. */
static bool try_call(unsigned node, const struct message_call *call, const void *in, size_t size,
                     bool is_late)
{
    const struct verb *verb = &verbs[call->verb];
    struct call_reply reply = {0};
    mpm_handle handle;
    int status;

    memcpy(&handle, call->handle, sizeof handle);
    caller = node;
    status = verb->try(&handle, in, size, &reply);
    if (status == CALL_MUST_WAIT && is_late)
        status = error_set(verb->late_status, "%s", verb->late_sentence);
    if (status != CALL_MUST_WAIT)
        send_reply(node, call, status, &reply);
    free(reply.bytes);
    return status != CALL_MUST_WAIT;
}

/* Whoever changes what a parked call waits for is to ring the bell. */
static void note_waiting(const struct parked *parked, int change)
{
    mpm_handle handle;

    memcpy(&handle, parked->call.handle, sizeof handle);
    object_note_waiting(&handle, change);
    if (parked->side < OBJECT_SIDES)
        turn_note_waiting(&handle, parked->side, change);
    for (size_t at = 0; parked->call.verb == VERB_WAIT_ANY && at + sizeof handle <= parked->size;
         at += sizeof handle) {
        memcpy(&handle, parked->bytes + at, sizeof handle);
        object_note_waiting(&handle, change);
    }
}

static unsigned side_of(const struct message_call *call, const void *in, size_t size)
{
    return verbs[call->verb].side ? verbs[call->verb].side(in, size) : OBJECT_SIDES;
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

static bool park(unsigned node, const struct message_call *call, const void *in, size_t size)
{
    struct parked *parked = malloc(sizeof *parked + size);

    if (!parked)
        return false;
    *parked = (struct parked){
        .node = node, .call = *call, .deadline_ns = call_deadline_ns(call->timeout_s), .size = size};
    memcpy(parked->bytes, in, size);
    parked->side = side_of(call, in, size);
    if ((parked->ahead = last_at(call, parked->side)))
        parked->ahead->behind = parked;
    *parked_end = parked;
    parked_end = &parked->next;
    note_waiting(parked, 1);
    wait_ring(runtime_bell()); /* it may have become possible before anybody knew that somebody waits */
    return true;
}

static bool on_call(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;
    bool is_late;

    if (size < sizeof *call || call->verb >= CALL_VERBS || !verbs[call->verb].try)
        return false;
    size -= sizeof *call;
    is_late = call->timeout_s <= 0;
    courier_be_lively();
    turn = !is_late && last_at(call, side_of(call, call + 1, size)) ? TURN_IS_BEHIND : TURN_PASSES;
    return try_call(node, call, call + 1, size, is_late) || park(node, call, call + 1, size);
}

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
    free(parked);
}

static bool on_cancel(unsigned node, const void *payload, size_t size)
{
    const struct message_call *call = payload;

    if (size != sizeof *call)
        return false;
    for (struct parked **at = &parked_first; *at; at = &(*at)->next) {
        if ((*at)->node == node && (*at)->call.slot == call->slot && (*at)->call.serial == call->serial) {
            unpark(at);
            break;
        }
    }
    return true;
}

/* Whoever stands behind another one at its side does not get past it, unless its time is up. */
static bool try_again(const struct parked *parked)
{
    bool is_late = clock_now_ns() >= parked->deadline_ns;

    turn = parked->ahead ? TURN_PASSES : TURN_IS_OWN;
    return (!parked->ahead || is_late) &&
           try_call(parked->node, &parked->call, parked->bytes, parked->size, is_late);
}

/* In order of arrival, so that calls on one object are served in it. */
static bool try_parked(void)
{
    bool worked = false;

    for (struct parked **at = &parked_first; *at;) {
        if (try_again(*at)) {
            unpark(at);
            worked = true;
        } else {
            at = &(*at)->next;
        }
    }
    return worked;
}

void call_send_news(void)
{
    index_set_take_all(&table_of(runtime_arena())->news, take_news);
}

static bool call_work(void)
{
    call_send_news();
    return try_parked();
}

/* Those of an earlier run, whose objects are gone. */
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
    courier_handle(MESSAGE_CALL, on_call);
    courier_handle(MESSAGE_CANCEL, on_cancel);
    courier_handle(MESSAGE_REPLY, on_reply);
    courier_add_work(call_work);
}

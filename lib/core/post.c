/* SPDX-License-Identifier: BSD-3-Clause */
/* Posted operations.
 *
 * The poster looks up the credit, and puts the operation into the tray, under the tray's mutex: the commit of
 * the tray is the moment from which on it will be done. A poster that is killed before has posted nothing; one
 * that is killed after it has posted, and its reaper tells the courier. Credits of a node stand beside the
 * tray; the courier alone writes them, under the mutex. A credit that is not found any more, because others
 * took its place, costs a call, which brings it back.
 *
 * Order. Before anything else is posted from one node to another, what lies in the tray between them goes out
 * (courier_before_post), and couriers deliver in order. So whatever the home learns from a node, by a call, a
 * reply, the end of a process or of a task, it has carried out by then what was posted there before. Between
 * three nodes there is no such order: a node may learn from a second one of something that has yet to come
 * from there to a third. What the home has no memory for waits there, in order for each object, and calls that
 * change the object or wait for it (but not gets, which may free memory) wait behind it.
 *
 * Ends. The home gives a credit under the lock under which the object is closed or destroyed, and notes the node
 * in `lent` of the cell. Whoever closes or destroys the object, and finds it lent, has the home's courier do
 * it by a call, which asks all these nodes for their credits, and waits. Such a node's courier takes its
 * credit away under the mutex, so that nothing is accepted any more, and then answers: behind what was
 * accepted. So what was accepted is carried out before the end, and nothing comes later. If whoever wanted the end
 * dies meanwhile, the object is not lent again: puts and adds are calls from there on, and nothing is lost.
 *
 * How much. A tray holds what is under way until the home has done it, so both nodes' memory is bounded. While
 * a message is under way, others gather: until it has arrived, or there are BATCH bytes, or something else is
 * posted to that node. So one alone goes at once, and many go together, without a timer. */
#include "core/post.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "core/call.h"
#include "core/runtime.h"
#include "net/courier.h"
#include "shm/index_set.h"
#include "shm/tray.h"

#define BATCH       ((uint64_t)1 << 14)
#define ROOM_NS     100000000u /* how long a poster waits for room before it makes a call instead */
#define CREDIT_SETS 128u /* a credit stands in the set of its place, and takes the place of the oldest */
#define CREDIT_WAYS 8u

struct credit {
    mpm_handle handle; /* zero: none */
    uint64_t limit;    /* of indices */
};

struct credit_set {
    uint64_t oldest; /* the next one to be replaced */
    struct credit credit[CREDIT_WAYS];
};

/* For one other node, in the arena: made by the courier with the first credit, and there until the end. */
struct box {
    struct credit_set set[CREDIT_SETS];
    uint64_t arrived; /* bytes of the tray that are known to be at the home: the courier's */
    struct tray tray;
};

struct post_table {
    struct index_set noted; /* nodes whose trays the courier is to look at */
    _Atomic uint64_t box[]; /* by node; 0: no credit from there yet */
};

/* How an operation begins in the tray; what it is about follows. */
struct posted {
    mpm_handle handle;
    uint32_t verb;
    uint32_t size, count;
    uint32_t reserved;
};
_Static_assert(sizeof(struct posted) + POST_LIMIT <= TRAY_RECORD_LIMIT, "an operation fits into a tray");

static struct post_table *table_of(struct arena *arena)
{
    return arena_at(arena, arena_root(arena, ARENA_ROOT_POSTS));
}

int post_table_create(struct arena *arena, unsigned node_count)
{
    size_t size = sizeof(struct post_table) + node_count * sizeof(uint64_t);
    uint64_t offset;
    int status;

    if ((status = arena_alloc(arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    memset(arena_at(arena, offset), 0, size);
    arena_set_root(arena, ARENA_ROOT_POSTS, offset);
    return MPM_OK;
}

static struct box *box_of(struct arena *arena, unsigned node)
{
    uint64_t offset = atomic_load_explicit(&table_of(arena)->box[node], memory_order_acquire);

    return offset ? arena_at(arena, offset) : NULL;
}

static bool is_same(const mpm_handle *one, const mpm_handle *other)
{
    return object_identity(one) == object_identity(other) && one->place == other->place;
}

/* The poster. */

static struct credit *find_credit(struct box *box, const mpm_handle *handle)
{
    struct credit_set *set = &box->set[handle->place % CREDIT_SETS];

    for (unsigned i = 0; i < CREDIT_WAYS; i++) {
        if (is_same(&set->credit[i].handle, handle))
            return &set->credit[i];
    }
    return NULL;
}

static void note(unsigned node)
{
    index_set_add(&table_of(runtime_arena())->noted, node);
    wait_ring(runtime_bell());
}

/* Tells the courier, unless it knows. One that knows, and waits for more, wants to know of BATCH bytes. */
static void tell_courier(struct box *box, unsigned node, uint64_t before, uint64_t after)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&box->tray.noted, memory_order_relaxed)) {
        atomic_store(&box->tray.noted, 1);
        note(node);
    } else if (before / BATCH != after / BATCH) {
        note(node);
    }
}

enum posting { POSTED, NO_CREDIT, NO_ROOM };

static enum posting try_post(struct box *box, const struct posted *head, uint64_t index, const void *bytes)
{
    uint64_t before, after;
    const struct credit *credit;
    bool is_put;

    tray_lock(&box->tray);
    before = tray_posted(&box->tray);
    credit = find_credit(box, &head->handle);
    if (!credit || index >= credit->limit) {
        tray_unlock(&box->tray);
        return NO_CREDIT;
    }
    is_put = tray_put(&box->tray, head, sizeof *head, bytes, (size_t)head->size * head->count);
    after = tray_posted(&box->tray);
    tray_unlock(&box->tray);
    if (!is_put)
        return NO_ROOM;
    tell_courier(box, head->handle.home, before, after);
    return POSTED;
}

bool post_operation(const mpm_handle *handle, enum post_verb verb, uint64_t index, const void *bytes,
                    size_t size, size_t count)
{
    struct posted head = {.handle = *handle, .verb = verb, .size = (uint32_t)size, .count = (uint32_t)count};
    uint64_t deadline_ns = 0;
    enum posting posting;
    struct box *box;

    if (handle->home >= runtime_topology()->node_count || !(box = box_of(runtime_arena(), handle->home)) ||
        size > POST_LIMIT || count > POST_LIMIT || size * count > POST_LIMIT || runtime_check_whole())
        return false;
    while ((posting = try_post(box, &head, index, bytes)) == NO_ROOM) {
        if (!deadline_ns)
            deadline_ns = clock_now_ns() + ROOM_NS;
        if (!tray_wait_for_room(&box->tray, deadline_ns))
            return false;
    }
    return posting == POSTED;
}

void post_owner_died(struct arena *arena)
{
    for (unsigned node = 0; node < runtime_topology()->node_count; node++) {
        if (box_of(arena, node))
            index_set_add(&table_of(arena)->noted, node);
    }
    wait_ring(runtime_bell());
}

/* What goes to the home: struct message_posted, then groups of like operations. */

struct posted_group { /* then size * count bytes, padded to 8 */
    mpm_handle handle;
    uint32_t verb;
    uint32_t size;
    uint64_t count;
    uint64_t cost; /* bytes of the tray */
};
_Static_assert(sizeof(struct posted_group) <= sizeof(struct posted) + sizeof(uint64_t),
               "a message is not larger than what it takes of the tray");

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* A message in the making. */
struct packing {
    char *bytes;
    size_t size;
    struct posted_group *last; /* its bytes are not padded yet */
};

static void end_group(struct packing *packing)
{
    size_t end = padded(packing->size);

    memset(packing->bytes + packing->size, 0, end - packing->size);
    packing->size = end;
}

static void pack(struct packing *packing, const struct tray_record *record)
{
    struct posted_group *last = packing->last;
    struct posted head;
    size_t size = record->size - sizeof head;

    memcpy(&head, record->bytes, sizeof head);
    if (!last || !is_same(&last->handle, &head.handle) || last->verb != head.verb ||
        last->size != head.size) {
        end_group(packing);
        last = packing->last = (struct posted_group *)(void *)(packing->bytes + packing->size);
        *last = (struct posted_group){.handle = head.handle, .verb = head.verb, .size = head.size};
        packing->size += sizeof *last;
    }
    memcpy(packing->bytes + packing->size, record->bytes + sizeof head, size);
    packing->size += size;
    last->count += head.count;
    last->cost += record->cost;
}

/* Only who holds it takes from trays, and puts into the outbox what it took: threads of the leader. */
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;

static void send_until(struct box *box, unsigned node, uint64_t posted)
{
    uint64_t at = atomic_load(&box->tray.taken);
    struct message_posted message = {.bytes = posted - at};
    struct packing packing = {.bytes = malloc(posted - at)};

    if (!packing.bytes) {
        runtime_break(MPM_ENOMEM, "no memory for what was posted to another node");
        return;
    }
    while (at < posted) {
        struct tray_record record = tray_look(&box->tray, &at);

        pack(&packing, &record);
    }
    end_group(&packing);
    if (courier_post(node, MESSAGE_POSTED,
                     (struct message_part[]){{&message, sizeof message}, {packing.bytes, packing.size}}, 2))
        runtime_break(MPM_ENOMEM, mpm_error());
    free(packing.bytes);
    atomic_store(&box->tray.taken, posted);
}

/* Sends what is in the tray. If others are under way it waits for more of it, unless it must go at once.
 * `noted` stays 0 but if it waits: whoever posts from here on tells. */
static bool send_tray(struct box *box, unsigned node, bool at_once)
{
    uint64_t taken, posted;
    bool sends;

    pthread_mutex_lock(&taking);
    atomic_exchange(&box->tray.noted, 0);
    taken = atomic_load(&box->tray.taken);
    posted = tray_posted(&box->tray);
    sends = posted != taken && (at_once || box->arrived == taken || posted - taken >= BATCH);
    if (sends)
        send_until(box, node, posted);
    else if (posted != taken)
        atomic_store(&box->tray.noted, 1);
    pthread_mutex_unlock(&taking);
    return sends;
}

/* What is in the outbox already when `taken` says so. */
static void send_before(unsigned node, enum message_kind kind)
{
    struct box *box = box_of(runtime_arena(), node);

    if (box && kind != MESSAGE_POSTED && kind != MESSAGE_POSTED_DONE &&
        tray_posted(&box->tray) != atomic_load(&box->tray.taken))
        send_tray(box, node, true);
}

static bool noted_worked;

static void take_noted(uint32_t node)
{
    struct box *box = box_of(runtime_arena(), node);

    if (!box || !send_tray(box, node, false))
        return;
    noted_worked = true;
    courier_be_lively();
}

static bool on_posted_done(unsigned node, const void *payload, size_t size)
{
    const struct message_posted_done *message = payload;
    struct box *box = box_of(runtime_arena(), node);

    if (size != sizeof *message || !box)
        return false;
    pthread_mutex_lock(&taking);
    box->arrived += message->arrived;
    pthread_mutex_unlock(&taking);
    tray_give_room(&box->tray, message->done);
    send_tray(box, node, false);
    return true;
}

/* Credits at the poster's node. */

static struct box *make_box(unsigned node)
{
    struct arena *arena = runtime_arena();
    struct box *box;
    uint64_t offset;

    if (arena_alloc(arena, sizeof *box, ARENA_NO_OWNER, &offset))
        return NULL;
    box = arena_at(arena, offset);
    memset(box, 0, offsetof(struct box, tray));
    tray_create(&box->tray);
    atomic_store_explicit(&table_of(arena)->box[node], offset, memory_order_release);
    return box;
}

/* Without memory for it the node goes on without credits. */
static bool on_credit(unsigned node, const void *payload, size_t size)
{
    const struct message_credit *message = payload;
    struct box *box = box_of(runtime_arena(), node);
    struct credit credit = {.limit = message->limit};
    struct credit_set *set;

    if (size != sizeof *message)
        return false;
    if (!box && !(box = make_box(node)))
        return true;
    memcpy(&credit.handle, message->handle, sizeof credit.handle);
    set = &box->set[credit.handle.place % CREDIT_SETS];
    tray_lock(&box->tray);
    if (!find_credit(box, &credit.handle))
        set->credit[set->oldest++ % CREDIT_WAYS] = credit;
    tray_unlock(&box->tray);
    return true;
}

/* The answer goes behind what was accepted: send_before() sees to that. */
static bool on_recall(unsigned node, const void *payload, size_t size)
{
    struct box *box = box_of(runtime_arena(), node);
    struct credit *credit;
    mpm_handle handle;

    if (size != sizeof(struct message_credit))
        return false;
    memcpy(&handle, payload, sizeof handle);
    if (box) {
        tray_lock(&box->tray);
        if ((credit = find_credit(box, &handle)))
            *credit = (struct credit){0};
        tray_unlock(&box->tray);
    }
    courier_be_lively();
    if (courier_post_one(node, MESSAGE_CREDIT_BACK, payload, size))
        runtime_break(MPM_ENOMEM, mpm_error());
    return true;
}

/* The home. All of it is its courier's. */

/* What waits for memory, or, with a verb that is none, a credit that came back behind that. */
struct waiting {
    struct waiting *next;
    unsigned node;
    struct posted_group group;
    _Alignas(8) char bytes[];
};

/* Credits that are on their way back. */
struct recall {
    struct recall *next;
    struct object *object;
    mpm_handle handle;
    unsigned missing; /* nodes */
};

static post_carry_out *verbs[POST_VERBS];
static struct waiting *waiting_first, **waiting_end = &waiting_first;
static struct recall *recalls;
static unsigned long lost; /* operations: there should be none */

void post_register(enum post_verb verb, post_carry_out *carry_out)
{
    verbs[verb] = carry_out;
}

static uint64_t bit_of(unsigned node)
{
    return UINT64_C(1) << node % 63;
}

void post_grant(struct object *object, const mpm_handle *handle, uint64_t limit)
{
    struct message_credit message = {.limit = limit};
    unsigned node = call_caller();

    if (node == runtime_topology()->node || atomic_load(&object->lent) & OBJECT_NOT_LENT_AGAIN)
        return;
    memcpy(message.handle, handle, sizeof message.handle);
    atomic_fetch_or(&object->lent, bit_of(node));
    if (courier_post_one(node, MESSAGE_CREDIT, &message, sizeof message))
        runtime_break(MPM_ENOMEM, mpm_error());
}

static struct recall **find_recall(const mpm_handle *handle)
{
    struct recall **at = &recalls;

    while (*at && !is_same(&(*at)->handle, handle))
        at = &(*at)->next;
    return at;
}

int post_recall(struct object *object, const mpm_handle *handle)
{
    uint64_t lent = atomic_fetch_or(&object->lent, OBJECT_NOT_LENT_AGAIN);
    struct message_credit message = {0};
    struct recall *recall;

    if (*find_recall(handle))
        return CALL_MUST_WAIT;
    if (!(recall = malloc(sizeof *recall)))
        return error_set(MPM_ENOMEM, "no memory to have credits given back");
    *recall = (struct recall){.next = recalls, .object = object, .handle = *handle};
    recalls = recall;
    memcpy(message.handle, handle, sizeof message.handle);
    for (unsigned node = 0; node < runtime_topology()->node_count; node++) {
        if (node == runtime_topology()->node || !(lent & bit_of(node)))
            continue;
        recall->missing++;
        if (courier_post_one(node, MESSAGE_RECALL_CREDIT, &message, sizeof message))
            runtime_break(MPM_ENOMEM, mpm_error());
    }
    return CALL_MUST_WAIT;
}

static void credit_is_back(const mpm_handle *handle)
{
    struct recall **at = find_recall(handle), *recall = *at;

    if (!recall || --recall->missing)
        return;
    atomic_store(&recall->object->lent, OBJECT_NOT_LENT_AGAIN);
    *at = recall->next;
    free(recall);
}

bool post_is_behind(const mpm_handle *handle)
{
    for (const struct waiting *waiting = waiting_first; waiting; waiting = waiting->next) {
        if (is_same(&waiting->group.handle, handle))
            return true;
    }
    return false;
}

static void tell_done(unsigned node, uint64_t arrived, uint64_t done)
{
    struct message_posted_done message = {.arrived = arrived, .done = done};

    if (courier_post_one(node, MESSAGE_POSTED_DONE, &message, sizeof message))
        runtime_break(MPM_ENOMEM, mpm_error());
}

/* One try; false if the rest, from `done` on, must wait. */
static bool carry_out(const struct posted_group *group, const char *bytes, size_t *done)
{
    int status;

    *done = 0;
    if (group->verb == POST_VERBS) {
        credit_is_back(&group->handle);
        return true;
    }
    status = verbs[group->verb](&group->handle, bytes, group->size, group->count, done);
    if (status && status != CALL_MUST_WAIT) {
        lost += group->count - *done;
        log_write(LOG_ERROR, "%llu posted operations cannot be done (%lu so far): %s",
                  (unsigned long long)(group->count - *done), lost, mpm_error());
    }
    return status != CALL_MUST_WAIT;
}

/* What is left of a group, `done` of it, waits. */
static void put_by(unsigned node, const struct posted_group *group, const char *bytes, size_t done)
{
    size_t size = (size_t)group->size * (group->count - done);
    struct waiting *waiting = malloc(sizeof *waiting + size);

    if (!waiting) {
        runtime_break(MPM_ENOMEM, "no memory for what was posted from another node");
        return;
    }
    *waiting = (struct waiting){.node = node, .group = *group};
    waiting->group.count -= done;
    if (size)
        memcpy(waiting->bytes, bytes + done * group->size, size);
    *waiting_end = waiting;
    waiting_end = &waiting->next;
}

/* true if it is done, false if it waits now. */
static bool carry_out_or_put_by(unsigned node, const struct posted_group *group, const char *bytes)
{
    size_t done = 0;

    if (!post_is_behind(&group->handle) && carry_out(group, bytes, &done))
        return true;
    put_by(node, group, bytes, done);
    return false;
}

/* Takes the next group of a message; its bytes, or NULL if it makes no sense. */
static const char *next_group(const char **at, size_t *left, struct posted_group *group)
{
    const char *bytes = *at + sizeof *group;
    size_t size;

    if (*left < sizeof *group)
        return NULL;
    memcpy(group, *at, sizeof *group);
    *left -= sizeof *group;
    if (group->verb >= POST_VERBS || !verbs[group->verb] || !group->count ||
        (group->size && group->count > *left / group->size))
        return NULL;
    size = padded(group->size * group->count);
    if (size > *left)
        return NULL;
    *left -= size;
    *at = bytes + size;
    return bytes;
}

static bool on_posted(unsigned node, const void *payload, size_t size)
{
    struct message_posted message;
    const char *at = (const char *)payload + sizeof message, *bytes;
    struct posted_group group;
    uint64_t done;

    if (size < sizeof message)
        return false;
    memcpy(&message, payload, sizeof message);
    done = message.bytes;
    for (size_t left = size - sizeof message; left;) {
        if (!(bytes = next_group(&at, &left, &group)) || group.cost > done)
            return false;
        if (!carry_out_or_put_by(node, &group, bytes))
            done -= group.cost;
    }
    courier_be_lively();
    tell_done(node, message.bytes, done);
    return true;
}

static bool on_credit_back(unsigned node, const void *payload, size_t size)
{
    struct posted_group group = {.verb = POST_VERBS};

    if (size != sizeof(struct message_credit))
        return false;
    memcpy(&group.handle, payload, sizeof group.handle);
    carry_out_or_put_by(node, &group, NULL);
    return true;
}

static void remove_waiting(struct waiting **at)
{
    struct waiting *waiting = *at;

    if (waiting->group.cost)
        tell_done(waiting->node, 0, waiting->group.cost);
    if (!(*at = waiting->next))
        waiting_end = at;
    free(waiting);
}

/* Credits that wait behind what waits for memory. */
static unsigned credits_behind(const mpm_handle *handle)
{
    unsigned count = 0;

    for (const struct waiting *waiting = waiting_first; waiting; waiting = waiting->next)
        count += waiting->group.verb == POST_VERBS && is_same(&waiting->group.handle, handle);
    return count;
}

void post_forget(const mpm_handle *handle)
{
    const struct recall *recall = *find_recall(handle);

    if (!recall || credits_behind(handle) < recall->missing)
        return;
    for (struct waiting **at = &waiting_first; *at;) {
        if (!is_same(&(*at)->group.handle, handle)) {
            at = &(*at)->next;
            continue;
        }
        if ((*at)->group.verb == POST_VERBS)
            credit_is_back(handle);
        remove_waiting(at);
    }
}

/* All of it waits for memory of one arena, so the first has its turn first. */
static bool try_waiting(void)
{
    bool worked = false;
    size_t done;

    while (waiting_first) {
        struct posted_group *group = &waiting_first->group;

        if (!carry_out(group, waiting_first->bytes, &done)) {
            memmove(waiting_first->bytes, waiting_first->bytes + done * group->size,
                    (size_t)group->size * (group->count - done));
            group->count -= done;
            courier_be_lively();
            break;
        }
        remove_waiting(&waiting_first);
        worked = true;
    }
    return worked;
}

static bool post_work(void)
{
    bool worked = try_waiting();

    noted_worked = false;
    index_set_take_all(&table_of(runtime_arena())->noted, take_noted);
    return worked || noted_worked;
}

void post_announce(void)
{
    courier_handle(MESSAGE_POSTED, on_posted);
    courier_handle(MESSAGE_POSTED_DONE, on_posted_done);
    courier_handle(MESSAGE_CREDIT, on_credit);
    courier_handle(MESSAGE_RECALL_CREDIT, on_recall);
    courier_handle(MESSAGE_CREDIT_BACK, on_credit_back);
    courier_before_post(send_before);
    courier_add_work(post_work);
}

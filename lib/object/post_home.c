/* SPDX-License-Identifier: BSD-3-Clause */
/* Posted operations at the home of their objects: carrying out, and delegations. See post.c for the whole. All of
 * this is the courier's own memory but for `delegated` of an object, which it writes, and others read. */
#include "object/post.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "object/call.h"
#include "object/method.h"
#include "object/message.h"

/* What waits for memory, or, if `is_delegation`, a delegation that came back behind that. */
struct waiting {
    struct waiting *next;
    unsigned node;
    struct message_posted_group group;
    _Alignas(8) char bytes[];
};

/* Delegations that are on their way back. */
struct recall {
    struct recall *next;
    struct object *object;
    mpm_handle handle;
    unsigned missing;  /* nodes */
    bool is_missing[]; /* by node */
};

static struct waiting *waiting_first, **waiting_end = &waiting_first;
static struct recall *recalls;
static unsigned long lost; /* operations: there should be none */

static uint64_t bit_of(unsigned node)
{
    return UINT64_C(1) << node % 63;
}

void post_grant(struct object *object, const mpm_handle *handle, uint64_t limit)
{
    struct message_delegation message = {.limit = limit};
    unsigned node = call_caller();

    assert(thread_is(THREAD_COURIER));
    if (node == context_topology()->node || atomic_load(&object->delegated) & OBJECT_NOT_DELEGATED_AGAIN)
        return;
    message.handle = *handle;
    atomic_fetch_or(&object->delegated, bit_of(node));
    if (courier_post_one(node, MESSAGE_DELEGATION, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

static struct recall **find_recall(const mpm_handle *handle)
{
    struct recall **at = &recalls;

    while (*at && !object_is_same(&(*at)->handle, handle))
        at = &(*at)->next;
    return at;
}

/* Once all are back. */
static void end_recall(struct recall **at)
{
    struct recall *recall = *at;

    if (recall->missing)
        return;
    atomic_store(&recall->object->delegated, OBJECT_NOT_DELEGATED_AGAIN);
    *at = recall->next;
    free(recall);
}

int post_recall(struct object *object, const mpm_handle *handle)
{
    uint64_t delegated = atomic_fetch_or(&object->delegated, OBJECT_NOT_DELEGATED_AGAIN);
    struct message_delegation message = {0};
    struct recall *recall;

    assert(thread_is(THREAD_COURIER));
    if (*find_recall(handle))
        return CALL_MUST_WAIT;
    if (!(recall = calloc(1, sizeof *recall + context_topology()->node_count * sizeof *recall->is_missing)))
        return error_set(MPM_ENOMEM, "no memory to recall delegations");
    recall->next = recalls;
    recall->object = object;
    recall->handle = *handle;
    recalls = recall;
    message.handle = *handle;
    for (unsigned node = 0; node < context_topology()->node_count; node++) {
        if (node == context_topology()->node || lost_node_is(node) || !(delegated & bit_of(node)))
            continue;
        recall->missing++;
        recall->is_missing[node] = true;
        if (courier_post_one(node, MESSAGE_RECALL_DELEGATION, &message, sizeof message))
            context_break(MPM_ENOMEM, mpm_error());
    }
    end_recall(find_recall(handle));
    return CALL_MUST_WAIT;
}

static void delegation_is_back(const mpm_handle *handle, unsigned node)
{
    struct recall **at = find_recall(handle), *recall = *at;

    if (!recall || !recall->is_missing[node])
        return;
    recall->is_missing[node] = false;
    recall->missing--;
    end_recall(at);
}

void post_lose_node_home(unsigned node)
{
    for (struct recall *recall = recalls, *next; recall; recall = next) {
        next = recall->next;
        delegation_is_back(&recall->handle, node);
    }
    eventcount_notify(context_doorbell());
}

bool post_is_behind(const mpm_handle *handle)
{
    assert(thread_is(THREAD_COURIER));
    for (const struct waiting *waiting = waiting_first; waiting; waiting = waiting->next) {
        if (object_is_same(&waiting->group.handle, handle))
            return true;
    }
    return false;
}

static void tell_done(unsigned node, uint64_t arrived, uint64_t done)
{
    struct message_posted_done message = {.arrived = arrived, .done = done};

    if (courier_post_one(node, MESSAGE_POSTED_DONE, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

/* One try; false if the rest, from `done` on, must wait. */
static bool carry_out(unsigned node, const struct message_posted_group *group, const char *bytes,
                      size_t *done)
{
    int status;

    *done = 0;
    if (group->is_delegation) {
        delegation_is_back(&group->handle, node);
        return true;
    }
    status = kind_of(group->handle.kind)->carries_out(&group->handle, bytes, group->size, group->count, done);
    if (status && status != CALL_MUST_WAIT) {
        lost += group->count - *done;
        log_write(MPM_LOG_ERROR, "%llu posted operations failed (%lu so far): %s",
                  (unsigned long long)(group->count - *done), lost, mpm_error());
    }
    return status != CALL_MUST_WAIT;
}

/* What is left of a group, `done` of it, waits. */
static void put_by(unsigned node, const struct message_posted_group *group, const char *bytes, size_t done)
{
    size_t size = (size_t)group->size * (group->count - done);
    struct waiting *waiting = malloc(sizeof *waiting + size);

    if (!waiting) {
        context_break(MPM_ENOMEM, "no memory for what was posted from another node");
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
static bool carry_out_or_put_by(unsigned node, const struct message_posted_group *group, const char *bytes)
{
    size_t done = 0;

    if (!post_is_behind(&group->handle) && carry_out(node, group, bytes, &done))
        return true;
    put_by(node, group, bytes, done);
    return false;
}

/* Takes the next group of a message; its bytes, or NULL if it makes no sense. */
static const char *next_group(const char **at, size_t *left, struct message_posted_group *group)
{
    const char *bytes = *at + sizeof *group;
    size_t size;

    if (*left < sizeof *group)
        return NULL;
    memcpy(group, *at, sizeof *group);
    *left -= sizeof *group;
    if (group->is_delegation || !kind_of(group->handle.kind) || !kind_of(group->handle.kind)->carries_out ||
        !group->count || (group->size && group->count > *left / group->size))
        return NULL;
    size = message_padded(group->size * group->count);
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
    struct message_posted_group group;
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

static bool on_delegation_back(unsigned node, const void *payload, size_t size)
{
    const struct message_delegation *message = payload;
    struct message_posted_group group = {.is_delegation = 1};

    if (size != sizeof *message)
        return false;
    group.handle = message->handle;
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

/* Delegations that wait behind what waits for memory. */
static unsigned delegations_behind(const mpm_handle *handle)
{
    unsigned count = 0;

    for (const struct waiting *waiting = waiting_first; waiting; waiting = waiting->next)
        count += waiting->group.is_delegation && object_is_same(&waiting->group.handle, handle);
    return count;
}

void post_forget(const mpm_handle *handle)
{
    const struct recall *recall = *find_recall(handle);

    assert(thread_is(THREAD_COURIER));
    if (!recall || delegations_behind(handle) < recall->missing)
        return;
    for (struct waiting **at = &waiting_first; *at;) {
        if (!object_is_same(&(*at)->group.handle, handle)) {
            at = &(*at)->next;
            continue;
        }
        if ((*at)->group.is_delegation)
            delegation_is_back(handle, (*at)->node);
        remove_waiting(at);
    }
}

/* All of it waits for memory of one arena, so the first has its turn first. */
bool post_try_waiting(void)
{
    bool worked = false;
    size_t done;

    assert(thread_is(THREAD_COURIER));
    while (waiting_first) {
        struct message_posted_group *group = &waiting_first->group;

        if (!carry_out(waiting_first->node, group, waiting_first->bytes, &done)) {
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

/* What an earlier run has left. */
static void forget_all(void)
{
    for (struct waiting *waiting = waiting_first, *next; waiting; waiting = next) {
        next = waiting->next;
        free(waiting);
    }
    waiting_first = NULL;
    waiting_end = &waiting_first;
    for (struct recall *recall = recalls, *next; recall; recall = next) {
        next = recall->next;
        free(recall);
    }
    recalls = NULL;
    lost = 0;
}

void post_announce_home(void)
{
    forget_all();
    courier_handle(MESSAGE_POSTED, on_posted);
    courier_handle(MESSAGE_DELEGATION_BACK, on_delegation_back);
}

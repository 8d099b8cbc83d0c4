/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls on objects of other nodes. The caller leaves its call in a slot of its own node's arena; its courier
 * takes it to the home of the object, whose courier carries it out with the very functions that processes
 * there use, and brings the reply back into the slot. A call that must wait is tried again whenever the
 * home's bell rings, until its time is up; see object_changed(). For core/ and the layers above it. */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "core/turn.h"
#include "net/message.h"
#include "shm/arena.h"

/* A try that cannot be done now, but perhaps later. Not a status that leaves the library. */
#define CALL_MUST_WAIT 1

/* Bytes that go with a call at most. */
#define CALL_SIZE_LIMIT (MESSAGE_LIMIT - sizeof(struct message_call))

/* What a call gives back. */
struct call_reply {
    void *bytes;
    size_t size;
};
/* Adds bytes to a reply. MPM_ENOMEM. */
int call_reply_add(struct call_reply *reply, const void *bytes, size_t size);

/* One try, in the home's courier; it must not block but for short locks. 0 or a status with its sentence, or
 * CALL_MUST_WAIT. */
typedef int call_try(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply);

/* Who does a verb, and the status that a caller gets whose time is up. Before couriers start. */
void call_register(enum call_verb verb, call_try *try, int late_status, const char *late_sentence);

/* Has calls of a verb take turns with the home's own processes: `side` says at which side of its object a call
 * is, or OBJECT_SIDES of one that makes no sense. Those of one side wait in a row. Before couriers start. */
typedef unsigned call_side(const void *in, size_t in_size);
void call_register_turns(enum call_verb verb, call_side *side);

/* The node whose call is being tried, and whether it has its turn: in a try. */
unsigned call_caller(void);
enum turn call_turn(void);

/* Calls, and waits for the reply: timeout_s is how long the home may take to be able to do it. At most `room`
 * bytes of the reply are copied to `out`; `out_size` (or NULL) gets its whole size. The verb's statuses;
 * MPM_ENODELOST; MPM_ENOMEM: the home knows nothing of the call if this node's arena has no room for what goes,
 * or for `room` bytes that come. Any process but couriers. */
int call_remote(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
                double timeout_s, void *out, size_t room, size_t *out_size);

/* The same in parts, for who has several calls under way at once. call_begin posts the call; when it is done,
 * the bell of the caller's node is rung. Each call that was begun is either finished or abandoned. */
struct call {
    uint32_t slot;
};
int call_begin(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
               double timeout_s, struct call *call);
/* Whether its reply is there. */
bool call_is_done(const struct call *call);
/* Waits for the reply. */
int call_finish(const struct call *call, void *out, size_t room, size_t *out_size);
/* Nobody wants to know any more: the home may have done it, or never does. Does not wait. */
void call_abandon(const struct call *call);

/* The handle of a node itself, for verbs that make things there. */
mpm_handle call_node(unsigned node);

/* When a wait of timeout_s seconds from now ends, by clock.h: CLOCK_FOREVER for MPM_FOREVER. */
uint64_t call_deadline_ns(double timeout_s);

/* Makes the table of slots in a new arena. By the leader, once. MPM_ENOMEM. */
int call_table_create(struct arena *arena);
/* Has the courier do its part. Before it starts. */
void call_announce(void);
/* Gives up the calls of a dead process. In the host. */
void call_owner_died(struct arena *arena, uint32_t process);

/* In the courier: posts what processes of this node have asked for so far. */
void call_send_news(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls on objects of other nodes. The caller leaves its call in a request of its own node's arena; its courier
 * takes it to the home of the object, whose courier carries it out with the very functions that processes
 * there use, and brings the reply back into the request. A call that must wait is tried again whenever the
 * home's doorbell rings, until its time is up; see object_changed().
 *
 * Two clocks look after a call with a time limit. The home's says when the time is up, and answers that; in an
 * ordinary run that is what the caller gets. The caller's own runs a little longer, for the reply to come: if none
 * has come by then, because the node is stopped or its wire is slow, the caller takes the call back, and goes on. What
 * the home does of it after all, it undoes, before it looks at anything that the caller asks for later; see
 * call_given.h.
 *
 * A request (enum request_state in call.c, which says whose it is in each state), and who makes each step:
 *
 *   FREE ----> FILLING ----> POSTED ----> DONE ----> FREE
 *                              |
 *                              '----> ABANDONED, WITHDRAWN ----> FREE
 *
 *   FREE -> FILLING                reserve_request(): the caller
 *   FILLING -> POSTED              post_request(), the same
 *   FILLING -> FREE                begin(), where it has failed; call_owner_died()
 *   POSTED -> DONE                 on_reply(), in the courier
 *   POSTED -> ABANDONED            call_abandon(); wait_for_reply(), where the run is broken; call_owner_died()
 *   POSTED -> WITHDRAWN            wait_for_reply(): the time is up, or a signal handler has interrupted it
 *   DONE -> FREE                   finish(), call_abandon(): the caller; call_owner_died()
 *   ABANDONED, WITHDRAWN -> FREE   take_news(), in the courier
 *
 * For object/ and the layers above it. */
#ifndef OBJECT_CALL_H
#define OBJECT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "object/message.h"
#include "object/method.h"
#include "shm/arena.h"

/* The home has not answered in time, and the call was taken back. Not a status that leaves the library. */
#define CALL_NO_REPLY 3

/* How long the caller waits for a reply beyond its time limit: a home that has long been idle looks at its messages
 * every 100 ms only, and one whose processors are all busy has to wait for its turn, too. */
#define CALL_REPLY_S 0.5
/* The same of a limit of 0, which asks for what the home says at once: there is no other time to wait in, so it is
 * enough for a node whose processors are all busy. */
#define CALL_AT_ONCE_S 1.0
/* And for what has to cross a wire, to or fro. */
#define CALL_BYTE_S 250e-9

/* Bytes that go with a call at most. */
#define CALL_SIZE_LIMIT (MESSAGE_LIMIT - sizeof(struct message_call))

/* The longest message of a user that crosses in one call; and bytes that a caller has room for before one comes: most
 * are short, and a longer one finds its own memory then. */
#define CALL_WHOLE      ((size_t)1 << 30)
#define CALL_FIRST_ROOM ((size_t)1 << 16)
/* Before a call that brings one of at most `room` bytes: how many it may have to cross in one. */
static inline size_t call_expect(struct invocation *invocation, size_t room)
{
    invocation->room = room < CALL_WHOLE ? room : CALL_WHOLE;
    invocation->reserve = room < CALL_FIRST_ROOM ? room : CALL_FIRST_ROOM;
    return invocation->room;
}

/* The node whose call is being tried: in a try. */
unsigned call_caller(void);

/* Has the home do it, and waits for the reply: as long as it takes, where timeout_s is how long the home may take to be
 * able to do it; or, if the method `is_timed`, for timeout_s and a little longer: then it is late_status, with a
 * sentence that names the node, and the call is taken back. The method's statuses; MPM_EINTERRUPTED; MPM_ENODELOST;
 * MPM_ENOMEM: the home knows nothing of the call if this node's arena has no room for what goes, or for what there is
 * room for to come. Any process but couriers. */
int call_run(const mpm_handle *handle, struct invocation *invocation, double timeout_s);
/* Of an operation that takes several of them: what is left of timeout_s until `deadline_ns`. timeout_s itself if that
 * is not above 0, and above 0 if it was. */
double call_time_left_s(double timeout_s, uint64_t deadline_ns);
/* When a caller waits no longer for a reply with `size` bytes that go to and fro, by clock.h. */
uint64_t call_give_up_ns(double timeout_s, size_t size);

/* The same in parts, for who has several calls under way at once. call_begin posts the call; when it is done,
 * the doorbell of the caller's node is rung. Each call that was begun is either finished or abandoned. */
struct call {
    uint32_t request;
};
int call_begin(const mpm_handle *handle, const struct invocation *invocation, double timeout_s,
               struct call *call);
/* Whether its reply is there. */
bool call_is_done(const struct call *call);
/* Waits for the reply, until then: CALL_NO_REPLY, without a sentence. */
int call_finish(const struct call *call, uint64_t give_up_ns, struct invocation *invocation);
/* Nobody wants to know any more: the home may have done it, or never does. Does not wait. */
void call_abandon(const struct call *call);

/* The handle of a node itself, for methods that make things there. */
mpm_handle call_node(unsigned node);

/* When a wait of timeout_s seconds from now ends, by clock.h: CLOCK_FOREVER for MPM_FOREVER. */
uint64_t call_deadline_ns(double timeout_s);

/* Makes the table of requests in a new arena. By the leader, once. MPM_ENOMEM. */
int call_table_create(struct arena *arena);
/* Has the courier do its part. Before it starts. */
void call_announce(void);
/* Gives up the calls of a dead process. In the fork server. */
void call_owner_died(struct arena *arena, uint32_t process);

/* In the courier: a node is lost. Calls to it fail, those from it are given up, as those of dead callers. */
void call_lose_node(unsigned node);

/* In the courier: posts what processes of this node have asked for so far. */
void call_send_news(void);

#endif

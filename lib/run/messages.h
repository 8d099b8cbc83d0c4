/* SPDX-License-Identifier: BSD-3-Clause */
/* Which messages may overtake a large one that is still on its way to the same node, and which may not. Without large
 * ones all messages between two nodes are in order.
 *
 * A message belongs to a lane, and waits for large ones of certain lanes; all others it may pass, since nobody relies
 * on that order:
 *
 * - A CALL. Its caller is blocked until the reply, so whatever follows from its effect comes after that. It may die,
 *   or give up: then a CANCEL of it, and the news of the dead process (PROCESS_ENDED: its locks are free, its ends of
 *   pipes are closed), go behind it, so that the home knows of it. That somebody else has asked whether the process
 *   lives may be answered before: a long put of a process that is killed in it is done or not, and may be done after
 * its end was seen.
 * - A CANCEL that has to wait for that holds up calls itself: who has taken a call back asks for something else
 *   next, perhaps from the same slot, and the home is to have undone the one when it comes to the other. The questions
 *   about calls (DOUBTED, WANTED, ARRIVED) name the call, and may come at any time.
 * - A REPLY. It goes to one caller. What the home has posted before it (a delegation, puts and adds of its own
 *   processes) was sent before it. What comes later and passes it has nothing to do with that caller.
 * - Orders and news of pools. All of these are one lane: a lease needs its job, a job its pool, recalls and ends the
 *   lease, and main counts on results before the loss of a fork server. With calls they have no order but what a task
 *   relies on, which has the replies to its calls before it returns, so before its results are on their way.
 * - What is posted (POSTED) is never large: it is bounded by a send buffer. It passes all, so what a node has posted
 *   before anything else it says is there before that. The answer to a recall of delegations follows it in order.
 * - The END of the run comes behind everything.
 *
 * For run/. */
#ifndef RUN_MESSAGES_H
#define RUN_MESSAGES_H

#include "net/message.h"

message_rule_of messages_rule_of;

#endif

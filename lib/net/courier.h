/* SPDX-License-Identifier: BSD-3-Clause */
/* The courier: the one thread of a leader that makes every MPI call.
 *
 * Anyone of the leader's process posts messages; the courier packs what has gathered for a node into one
 * frame, sends it, and hands messages that come in to the handler of their kind. It sleeps on the node's
 * doorbell, which whoever has news for it rings. For node/ and the layers above it. */
#ifndef NET_COURIER_H
#define NET_COURIER_H

#include <stdbool.h>
#include <stddef.h>

#include "net/message.h"
#include "net/transport.h"
#include "shm/eventcount.h"

/* A message has come. Runs in the courier's thread; must not block. The payload is 8-aligned, and gone when
 * it returns. false: it makes no sense, and the run ends with an error. */
typedef bool courier_handler(unsigned node, const void *payload, size_t size);

/* A large message of a kind whose bodies need not be gathered: a sender has lent one (courier_post_lent). In the
 * courier's thread; neither must block. */
struct courier_large {
    /* It was announced: memory for its body, which is not touched until it has come, and for good if its node is lost
     * meanwhile. NULL: it is gathered behind its head, and comes as any other message. */
    void *(*place)(unsigned node, const void *head, size_t head_size, size_t body_size);
    /* Its body is there. false: it makes no sense, and the run ends with an error. */
    bool (*take)(unsigned node, const void *head, size_t head_size, void *body, size_t body_size);
};

/* How long it sleeps at most, in a long silence. */
#define COURIER_SLEEP_NS UINT64_C(100000000)

/* Something for the courier to do each time it wakes. In its thread; must not block. true if it did
 * something. */
typedef bool courier_work(void);

/* A piece of a message. */
struct message_part {
    const void *bytes;
    size_t size;
};

/* Forgets what an earlier run has said of messages and work. Before all of these. */
void courier_forget(void);
/* Before courier_start: who takes messages of a kind, and what else there is to do. */
void courier_handle(uint32_t kind, courier_handler *handler);
void courier_handle_large(uint32_t kind, const struct courier_large *large);
void courier_add_work(courier_work *work);

/* Before couriers start: what courier_post() calls first, in the thread that posts; it may post another message
 * to that node, which goes before. */
void courier_before_post(void (*before)(unsigned node, uint32_t kind));

/* Before courier_start: a node from which nothing has come for `limit_ns` is lost (see net/heartbeat.h); 0: none is.
 * `lost` is called once for each, in the courier's thread, with the node's number, or the own one if the others cannot
 * agree on the end of the run. It must not block. Nothing goes to a lost node any more. `expelled` is called, in the
 * same thread, if main says that it has dropped this node. */
void courier_watch(uint64_t limit_ns, void (*lost)(unsigned node), void (*expelled)(void));

/* In its thread: the run goes on without a node. Nothing goes there any more, nothing that comes from there is read,
 * and nobody waits for what is under way. If it speaks all the same, main's courier tells it that it is expelled.
 * Again: no change. */
void courier_drop(unsigned node);

/* Something waits for what will soon come, so naps are to be short for a while. By any thread; a post that follows wakes
 * the courier from its last long one. */
void courier_be_lively(void);

/* Makes it, and its thread, where there is more than one node. `doorbell` stands in the arena. It does nothing until
 * courier_begin(). MPM_ENOMEM, MPM_ESYSTEM. */
int courier_start(const struct transport *transport, const struct topology *topology,
                  struct eventcount *doorbell, message_rule_of *rule_of);

/* From here on the transport is its own, until courier_stop() has returned. The caller has given it up, and every
 * node has got a courier. */
void courier_begin(void);

/* Whether there is one. */
bool courier_runs(void);

/* Puts a message, the parts one behind the other, where the courier will find it: it is copied. Does not
 * block. MPM_ENOMEM. Any thread. */
int courier_post(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count);
/* The same for a message of one part. */
int courier_post_one(unsigned node, uint32_t kind, const void *bytes, size_t size);

/* In its thread: the same, but that a body of some length goes in pieces, and stays where it is until it has left; a
 * shorter one is copied, and given back at once. It is given back with MPM_ENOMEM, too, and never if its node is lost
 * while it is under way: the transport may still read it. */
bool courier_would_lend(size_t body_size);
int courier_post_lent(unsigned node, uint32_t kind, const struct message_part *head, size_t part_count,
                      const struct message_body *body);

/* Blocks until all that was posted has left, and the couriers of all nodes are as far, then ends it. What is posted
 * meanwhile is lost. If a node is lost by then, or meanwhile, it does not wait for the others. Not from the courier's
 * thread. */
void courier_stop(void);

/* Ends it without the others: what was posted may leave for a moment. Not from the courier's thread. */
void courier_abandon(void);

/* In place of courier_begin(), where not every node has got one. */
void courier_cancel(void);

/* Has it end the whole run at once, without the others: nobody else may speak MPI. Where there is one, and not from
 * its thread. */
_Noreturn void courier_abort(int exit_code);

#endif

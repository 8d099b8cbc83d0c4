/* SPDX-License-Identifier: BSD-3-Clause */
/* What ends a run before its time. A node that is silent for node_timeout is lost (net/heartbeat.h), and the run ends
 * without any more MPI, which might wait for that node for ever: main's calls fail, mpm_finalize tells the nodes that are
 * still there, and everybody ends its own processes and its launcher. A node that has lost main does so by itself.
 * `is_lost` says so to all ranks of a node. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "run/message.h"
#include "run/steps.h"
#include "run/trouble.h"

static bool break_is_posted; /* the courier's */

static bool on_node_failed(unsigned node, const void *payload, size_t size)
{
    struct message_node_failed trouble;

    (void)node;
    if (size != sizeof trouble)
        return false;
    memcpy(&trouble, payload, sizeof trouble);
    trouble.text[sizeof trouble.text - 1] = 0;
    if (trouble.status == MPM_ENODELOST)
        atomic_store(&context.area->is_lost, 1);
    context_break((int)trouble.status, trouble.text);
    return true;
}

static bool on_end(unsigned node, const void *payload, size_t size)
{
    const struct message_end *message = payload;

    if (node || size != sizeof *message)
        return false;
    if (message->is_lost)
        atomic_store(&context.area->is_lost, 1);
    run_end_processes();
    return true;
}

/* How long a node may be silent: 0 is without end. */
double trouble_node_timeout_s(void)
{
    double timeout_s = context.topology.ranks[0].card.node_timeout_s;

    return timeout_s >= 1e9 ? 0 : timeout_s;
}

static void describe_silence(unsigned node, char *text, size_t size)
{
    const struct node *nodes = context.topology.nodes;

    if (node == context.topology.node)
        snprintf(text, size, "the nodes have not agreed on the end of the run for %g s",
                 trouble_node_timeout_s());
    else if (node == 0 || context.is_main)
        snprintf(text, size, "node %s has not answered for %g s", nodes[node].name, trouble_node_timeout_s());
    else
        snprintf(text, size, "node %s has not answered node %s for %g s", nodes[node].name,
                 nodes[context.topology.node].name, trouble_node_timeout_s());
}

/* In the courier. Main's calls say it, and main is told by whoever it hears; where it is lost itself, the log says it, and
 * nobody else will end what runs here. */
static void on_node_lost(unsigned node)
{
    char sentence[MESSAGE_TEXT_SIZE];

    describe_silence(node, sentence, sizeof sentence);
    atomic_store(&context.area->is_lost, 1);
    context_break(MPM_ENODELOST, sentence);
    if (context.is_main || (node && node != context.topology.node))
        return;
    log_write(MPM_LOG_ERROR, "%s: the run ends on this node", sentence);
    run_end_processes();
}

/* In another leader's courier: tells main, once, that this node has lost a part. */
static bool post_break(void)
{
    struct message_node_failed trouble = {0};

    if (context.is_main || break_is_posted || !context_check_whole())
        return false;
    break_is_posted = true;
    trouble.status = context.area->broken_status;
    memcpy(trouble.text, context.area->broken_sentence, sizeof trouble.text);
    return !courier_post_one(0, MESSAGE_NODE_FAILED, &trouble, sizeof trouble);
}

void trouble_announce(void)
{
    break_is_posted = false;
    courier_handle(MESSAGE_NODE_FAILED, on_node_failed);
    courier_handle(MESSAGE_END, on_end);
    courier_watch((uint64_t)(trouble_node_timeout_s() * 1e9), on_node_lost);
    courier_add_work(post_break);
}

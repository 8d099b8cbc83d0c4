/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that fall silent, and what ends a run before its time. A node that is silent for node_timeout is lost
 * (net/heartbeat.h). From then on nobody enters a call of MPI that waits for others, which might be for ever: `is_lost`
 * says so to all ranks of a node, and each exits without MPI.
 *
 * Where the launcher ends all ranks with one, so does the run: main's calls fail, mpm_finalize tells the nodes that are
 * still there, and everybody ends its own processes and its launcher. A node that has lost main does so by itself.
 *
 * Where it lets the others live (context.outlives_nodes), the run goes on without the node, unless it is main's. Who is
 * lost is decided in one place: main's courier, by what it hears itself, and by what others tell it that they do not
 * hear. It drops the node, has its layers do what follows, and tells the others in the order of its decisions, and they
 * do the same. Of two nodes that do not hear each other the one that is accused first goes. A node that is dropped and
 * was only stopped, or cut off, is told as soon as it says anything, and ends itself; until then it hears nobody, and
 * nobody hears it, so all that it can do is what its workers are at. It leaves the launcher alone, which main brings
 * down at its end. */
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/log.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/lost_node.h"
#include "run/layers.h"
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
        c_snprintf(text, size, "the nodes have not agreed on the end of the run for %g s",
                   trouble_node_timeout_s());
    else if (node == 0 || context.is_main)
        c_snprintf(text, size, "node %s has not answered for %g s", nodes[node].name,
                   trouble_node_timeout_s());
    else
        c_snprintf(text, size, "node %s has not answered node %s for %g s", nodes[node].name,
                   nodes[context.topology.node].name, trouble_node_timeout_s());
}

/* The run goes on without a node. In the courier, as are the next. */

static void take_in_loss(const struct message_node_gone *gone)
{
    unsigned node = (unsigned)gone->node;

    courier_drop(node);
    atomic_store(&context.area->is_lost, 1);
    if (!context.is_main)
        atomic_store(&context.area->leaves_launcher, 1);
    lost_node_note(node, gone->text);
    layers_lose_node(node);
}

/* In main's. */
static void decide_loss(const struct message_node_gone *gone)
{
    if (lost_node_is((unsigned)gone->node))
        return;
    if (!atomic_load(&context.ending))
        log_write(MPM_LOG_ERROR, "%s: the run goes on without it", gone->text);
    take_in_loss(gone);
    for (unsigned node = 1; node < context.topology.node_count; node++) {
        if (!lost_node_is(node) && courier_post_one(node, MESSAGE_NODE_GONE, gone, sizeof *gone))
            context_break(MPM_ENOMEM, mpm_error());
    }
}

static bool read_gone(const void *payload, size_t size, struct message_node_gone *gone)
{
    if (size != sizeof *gone)
        return false;
    memcpy(gone, payload, sizeof *gone);
    gone->text[sizeof gone->text - 1] = 0;
    return gone->node && gone->node < context.topology.node_count;
}

static bool on_node_gone(unsigned node, const void *payload, size_t size)
{
    struct message_node_gone gone;

    if (node || !read_gone(payload, size, &gone) || gone.node == context.topology.node ||
        lost_node_is((unsigned)gone.node))
        return false;
    take_in_loss(&gone);
    return true;
}

static bool on_node_silent(unsigned node, const void *payload, size_t size)
{
    struct message_node_gone gone;

    (void)node;
    if (!context.is_main || !read_gone(payload, size, &gone))
        return false;
    decide_loss(&gone);
    return true;
}

/* The end of this node. Nobody else will end what runs here. */
static void end_node(const char *sentence)
{
    log_write(MPM_LOG_ERROR, "%s: the run ends on this node", sentence);
    context_break(MPM_ENODELOST, sentence);
    run_end_processes();
}

/* Main has gone on without this node. */
static void on_expelled(void)
{
    char sentence[MESSAGE_TEXT_SIZE];

    if (atomic_exchange(&context.area->is_lost, 1) && atomic_load(&context.area->broken))
        return;
    atomic_store(&context.area->leaves_launcher, 1);
    c_snprintf(sentence, sizeof sentence, "node %s was silent for %g s, and the run has gone on without it",
               context.topology.nodes[context.topology.node].name, trouble_node_timeout_s());
    end_node(sentence);
}

static void report_silence(unsigned node, const char *sentence)
{
    struct message_node_gone gone = {.node = node};

    snprintf(gone.text, sizeof gone.text, "%s", sentence);
    if (context.is_main)
        decide_loss(&gone);
    else if (courier_post_one(0, MESSAGE_NODE_SILENT, &gone, sizeof gone))
        context_break(MPM_ENOMEM, mpm_error());
}

/* Main's calls say it, and main is told by whoever it hears; where it is lost itself, the log says it. */
static void on_node_lost(unsigned node)
{
    char sentence[MESSAGE_TEXT_SIZE];

    describe_silence(node, sentence, sizeof sentence);
    if (context.outlives_nodes && node && node != context.topology.node) {
        report_silence(node, sentence);
        return;
    }
    atomic_store(&context.area->is_lost, 1);
    atomic_store(&context.area->leaves_launcher, 0);
    if (!context.is_main && (!node || node == context.topology.node)) {
        end_node(sentence);
        return;
    }
    context_break(MPM_ENODELOST, sentence);
}

/* Main is told before this node ends, so that it need not wait for its silence; but not by who is no leader. The death
 * of one of main's own node ends the run. */
void trouble_rank_died(unsigned rank)
{
    const struct topology *topology = &context.topology;
    char sentence[MESSAGE_TEXT_SIZE];

    snprintf(sentence, sizeof sentence, "rank %u on %s has died", rank, topology->nodes[topology->node].name);
    if (!topology->node) {
        atomic_store(&context.area->is_lost, 1);
        context_break(MPM_ENODELOST, sentence);
        if (!context.is_main)
            end_node(sentence);
        return;
    }
    if (courier_runs())
        report_silence(topology->node, sentence);
    atomic_store(&context.area->leaves_launcher, 1);
    atomic_store(&context.area->is_lost, 1);
    end_node(sentence);
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
    courier_handle(MESSAGE_NODE_SILENT, on_node_silent);
    courier_handle(MESSAGE_NODE_GONE, on_node_gone);
    courier_handle(MESSAGE_END, on_end);
    courier_watch((uint64_t)(trouble_node_timeout_s() * 1e9), on_node_lost, on_expelled);
    courier_add_work(post_break);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses. A rank that has lost its fork server stores that in the arena (forkserver.c); its leader tells main, once;
 * main keeps it in `losses`, which its courier writes and its threads read. */
#include "node/loss.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/message.h"

static _Atomic uint32_t *losses; /* by rank: 0, or 1 and its fork server's wait status above */
static bool *is_posted;          /* by rank in node: in the courier of another leader */

int loss_table_create(void)
{
    unsigned count = context_topology()->rank_count;

    if (!(losses = calloc(count, sizeof *losses)) || !(is_posted = calloc(count, sizeof *is_posted)))
        return error_set(MPM_ENOMEM, "no memory for a table of %u ranks", count);
    return MPM_OK;
}

void loss_table_free(void)
{
    free(losses);
    free(is_posted);
    losses = NULL;
    is_posted = NULL;
}

static bool on_forkserver_lost(unsigned node, const void *payload, size_t size)
{
    const struct message_forkserver_lost *message = payload;
    const struct topology *topology = context_topology();

    if (size != sizeof *message || message->rank >= topology->rank_count ||
        topology->ranks[message->rank].node != node)
        return false;
    atomic_store(&losses[message->rank], (uint32_t)message->wait_status << 1 | 1);
    eventcount_notify(context_doorbell());
    return true;
}

/* In another leader's courier: tells main, once, of each fork server of this node that is lost. */
static bool post_losses(void)
{
    const struct topology *topology = context_topology();
    bool has_posted = false;

    for (unsigned i = 0; i < topology->nodes[topology->node].ranks; i++) {
        struct message_forkserver_lost message = {.rank = topology_rank_of(topology, topology->node, i)};

        if (is_posted[i] || !forkserver_is_lost(context_arena(), i))
            continue;
        message.wait_status = forkserver_loss(context_arena(), i);
        is_posted[i] = has_posted = true;
        if (courier_post_one(0, MESSAGE_FORKSERVER_LOST, &message, sizeof message))
            context_break(MPM_ENOMEM, mpm_error());
    }
    return has_posted;
}

/* How the fork server of a rank has ended, as far as is known in main; false if it has not. */
static bool find_loss(unsigned rank, int *wait_status)
{
    const struct topology *topology = context_topology();
    const struct rank_info *info = &topology->ranks[rank];
    uint32_t loss = atomic_load(&losses[rank]);

    if (info->node != topology->node) {
        *wait_status = (int)(loss >> 1);
        return loss;
    }
    if (!forkserver_is_lost(context_arena(), info->rank_in_node))
        return false;
    *wait_status = forkserver_loss(context_arena(), info->rank_in_node);
    return true;
}

bool loss_is(unsigned rank)
{
    int wait_status;

    return find_loss(rank, &wait_status);
}

/* Puts a loss into words, which say what it costs. */
static char *describe_loss(unsigned rank, int wait_status, char *text, size_t size)
{
    const struct topology *topology = context_topology();
    const struct rank_info *info = &topology->ranks[rank];
    char how[120];

    snprintf(text, size, "the fork server process of rank %u on %s %s: %u %s lost", rank,
             topology->nodes[info->node].name, describe_wait_status(wait_status, how, sizeof how),
             info->slots, info->slots == 1 ? "slot is" : "slots are");
    return text;
}

int loss_check(void)
{
    char first[256];
    unsigned count = 0;

    assert(context_role() == ROLE_MAIN);
    for (unsigned rank = 0; rank < mpm_rank_count(); rank++) {
        int wait_status;

        if (find_loss(rank, &wait_status) && !count++)
            describe_loss(rank, wait_status, first, sizeof first);
    }
    if (count > 1)
        return error_set(MPM_EFORKSERVER, "%s, and those of %u more ranks", first, count - 1);
    return count ? error_set(MPM_EFORKSERVER, "%s", first) : MPM_OK;
}

void loss_say(void)
{
    const struct topology *topology = context_topology();
    int wait_status = forkserver_loss(context_arena(), topology->ranks[topology->rank].rank_in_node);
    char sentence[256];

    log_write(MPM_LOG_ERROR, "%s", describe_loss(topology->rank, wait_status, sentence, sizeof sentence));
}

void loss_announce(void)
{
    courier_handle(MESSAGE_FORKSERVER_LOST, on_forkserver_lost);
    if (context_topology()->rank)
        courier_add_work(post_losses);
}

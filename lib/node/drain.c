/* SPDX-License-Identifier: BSD-3-Clause */
/* A drain: a word in the area of each node, which goes from 0 to a cause once in a run. Whoever sets it rings the
 * node's doorbell; its courier, which that wakes, tells main, and main's courier all other nodes. The maps that drain
 * are not told: their drivers look at the word in each step. If who sets it dies before it has rung, couriers and
 * drivers see it when they next wake. */
#include "node/drain.h"

#include <errno.h>

#include "mpmap/runtime.h"

#include "net/courier.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/message.h"

static bool is_told; /* the courier's: other nodes know, or need not */

void drain_begin(enum drain_cause cause)
{
    struct node_area *area = context.area;
    uint32_t none = DRAIN_NONE;
    int saved_errno = errno;

    if (context.runs && area && atomic_compare_exchange_strong(&area->is_draining, &none, cause))
        eventcount_notify(&area->doorbell);
    errno = saved_errno;
}

void mpm_drain(void)
{
    drain_begin(DRAIN_ASKED);
}

enum drain_cause drain_cause(void)
{
    const struct node_area *area = context.area;

    return context.runs && area ? atomic_load_explicit(&area->is_draining, memory_order_relaxed) : DRAIN_NONE;
}

bool mpm_draining(void)
{
    return drain_cause() != DRAIN_NONE;
}

static bool on_drain(unsigned node, const void *payload, size_t size)
{
    const unsigned char *cause = payload;

    (void)node;
    if (size != sizeof *cause || *cause < DRAIN_ASKED || *cause > DRAIN_STOP)
        return false;
    is_told |= !context.is_main; /* main has told it */
    drain_begin(*cause);
    return true;
}

/* At the end of the run nobody needs to know any more. */
static bool tell(void)
{
    unsigned first = context.is_main ? 1 : 0, last = context.is_main ? context.topology.node_count : 1;

    const unsigned char cause = (unsigned char)drain_cause();

    if (is_told || !cause || atomic_load(&context.ending))
        return false;
    is_told = true;
    for (unsigned node = first; node < last; node++) {
        if (courier_post_one(node, MESSAGE_DRAIN, &cause, sizeof cause))
            context_break(MPM_ENOMEM, mpm_error());
    }
    return true;
}

void drain_announce(void)
{
    is_told = false;
    courier_handle(MESSAGE_DRAIN, on_drain);
    courier_add_work(tell);
}

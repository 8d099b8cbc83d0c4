/* SPDX-License-Identifier: BSD-3-Clause */
/* A drain: a word in the area of each node, which goes from 0 to 1 once in a run. Whoever sets it rings the node's
 * doorbell; its courier, which that wakes, tells main, and main's courier all other nodes. The maps that drain are not
 * told: their drivers look at the word in each step. If who sets it dies before it has rung, couriers and drivers see
 * it when they next wake. */
#include "node/drain.h"

#include <errno.h>

#include "mpmap/runtime.h"

#include "net/courier.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/message.h"

static bool is_told; /* the courier's: other nodes know, or need not */

/* Also in a signal handler. */
void mpm_drain(void)
{
    struct node_area *area = context.area;
    int saved_errno = errno;

    if (context.runs && area && !atomic_exchange(&area->is_draining, 1))
        eventcount_notify(&area->doorbell);
    errno = saved_errno;
}

bool mpm_draining(void)
{
    const struct node_area *area = context.area;

    return context.runs && area && atomic_load_explicit(&area->is_draining, memory_order_relaxed);
}

static bool on_drain(unsigned node, const void *payload, size_t size)
{
    (void)node;
    (void)payload;
    if (size)
        return false;
    is_told |= !context.is_main; /* main has told it */
    mpm_drain();
    return true;
}

/* At the end of the run nobody needs to know any more. */
static bool tell(void)
{
    unsigned first = context.is_main ? 1 : 0, last = context.is_main ? context.topology.node_count : 1;

    if (is_told || !mpm_draining() || atomic_load(&context.ending))
        return false;
    is_told = true;
    for (unsigned node = first; node < last; node++) {
        if (courier_post_one(node, MESSAGE_DRAIN, NULL, 0))
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

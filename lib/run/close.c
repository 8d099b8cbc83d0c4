/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of the transport, and of what a rank knows of the run. MPI may not end where a node was lost at that very
 * moment: so it is guarded. */
#include <stdlib.h>

#include "base/log.h"
#include "forkserver/forkserver.h"
#include "net/launcher_end.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/loss.h"
#include "run/steps.h"

static void close_transport(void)
{
    run_guard("MPI_Finalize has not returned", NULL);
    context.transport->close();
    run_unguard();
}

bool run_close(bool is_lost)
{
    bool goes_on = context.is_main || context.transport->goes_on();

    run_unwatch_ranks();
    context.runs = false;
    forkserver_leave();
    log_share(NULL);
    if (is_lost)
        launcher_end_after_rank();
    else
        close_transport();
    transport_give_up();
    topology_free(&context.topology);
    free(context.arena_sizes);
    context.arena_sizes = NULL;
    loss_table_free();
    if (goes_on)
        run_give_back_drain_signals(); /* else a late one would end a rank that has done its part */
    return goes_on;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of the transport, and of what a rank knows of the run. MPI may not end where a node was lost at that very
 * moment: so it has a guard. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "net/launcher_end.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/loss.h"
#include "run/steps.h"
#include "run/trouble.h"

#define GUARD_LOOKS 20u

static struct eventcount closed; /* MPI has ended: */
static _Atomic bool has_closed;

/* Ends the rank if MPI does not end, since a node was lost at that very moment. It counts the time in which it was
 * awake, as couriers do. */
static void *guard_main(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < GUARD_LOOKS; i++) {
        uint64_t slice_ns = (uint64_t)(trouble_node_timeout_s() * 1e9) / GUARD_LOOKS;
        uint32_t seen = eventcount_prepare(&closed);

        if (atomic_load(&has_closed) || eventcount_wait(&closed, seen, 0, clock_now_ns() + slice_ns))
            return NULL;
    }
    log_write(MPM_LOG_ERROR, "MPI_Finalize has not returned for %g s: a node is lost",
              trouble_node_timeout_s());
    launcher_end_after_rank();
    _exit(EXIT_FAILURE);
}

/* Without memory for a guard there is none. */
static void close_transport(void)
{
    bool is_guarded = context.topology.node_count > 1 && trouble_node_timeout_s() > 0;
    pthread_t guard;

    atomic_store(&has_closed, false);
    is_guarded = is_guarded && !run_start_thread(&guard, guard_main);
    context.transport->close();
    atomic_store(&has_closed, true);
    eventcount_notify(&closed);
    if (is_guarded)
        pthread_join(guard, NULL);
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

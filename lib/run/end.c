/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a run, which begins in main: it tells the leaders, whose couriers tell their fork servers; each rank
 * sleeps in waitpid for its fork server, wakes when it has ended, and closes the transport together with the others. */
#include <stdatomic.h>
#include <stdlib.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/loss.h"
#include "node/lost_node.h"
#include "run/layers.h"
#include "run/message.h"
#include "run/steps.h"

static bool ends_at_exit; /* for good, once it is true */

int run_undo_start(int status)
{
    courier_cancel();
    run_end_forkservers();
    if (!run_close(false))
        exit(EXIT_SUCCESS);
    run_release_arena();
    if (!context.is_main)
        error_leave_report();
    return status;
}

/* What was begun comes to its end. From here on nothing new is begun, so that this ends. */
static void wait_for_work(void)
{
    context_enter();
    layers_end();
    context_leave();
}

/* Tells the others, and waits for them unless a node is lost. */
static void end_together(void)
{
    struct message_end message = {.is_lost = atomic_load(&context.area->is_lost)};

    for (unsigned node = 1; node < context.topology.node_count; node++) {
        if (courier_post_one(node, MESSAGE_END, &message, sizeof message))
            courier_abort(EXIT_FAILURE);
    }
    if (message.is_lost)
        courier_abandon();
    run_end_courier();
}

/* Of a part that the run has gone on without, or that has ended it just now. */
static int find_loss(void)
{
    int status = lost_node_check();

    if (!status && atomic_load(&context.area->is_lost))
        status = context_check_whole();
    return status ? status : loss_check();
}

static int end_run(void)
{
    int trouble;

    if (!atomic_load(&context.exiting))
        wait_for_work();
    trouble = context_check_whole();
    if (!atomic_load(&context.exiting)) /* else it has sent them out, and waited for them long enough */
        context_send_others_out("mpm_finalize has ended the run");
    end_together();
    if (!trouble)
        trouble = find_loss();
    run_end_forkservers();
    transport_take();
    run_close(atomic_load(&context.area->is_lost));
    if (!atomic_load(&context.exiting))
        run_empty_arena();
    return trouble;
}

/* Of the program's exit, whatever run it is in then. Workers are killed, not waited for. */
static void finalize_at_exit(void)
{
    if (context_role() == ROLE_MAIN) {
        atomic_store(&context.exiting, true);
        atomic_store(&context.ending, true);
        context_send_others_out("the program has called exit()");
        context_stay_inside();
        (void)end_run();
    }
}

int run_end_at_exit(void)
{
    if (!ends_at_exit && atexit(finalize_at_exit))
        return error_set(MPM_ENOMEM, "no memory to register a function with atexit()");
    ends_at_exit = true;
    return MPM_OK;
}

/* A thread that the run waits for cannot wait for the end of the run. */
int mpm_finalize(void)
{
    const char *caller;

    if (context_is_nobody || context_role() == ROLE_NONE)
        return context_no_run("mpm_finalize");
    if (context_role() != ROLE_MAIN)
        return error_set(MPM_ESTATE,
                         "mpm_finalize: only main may end the run, not its processes and pools' workers");
    if ((caller = context_why_not_end()))
        return error_set(MPM_ESTATE, "mpm_finalize: %s cannot end the run, because the run waits for it",
                         caller);
    if (atomic_exchange(&context.ending, true))
        return error_set(MPM_ESTATE, "mpm_finalize: another thread is ending the run");
    return end_run();
}

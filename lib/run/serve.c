/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the ranks that are not main: each sleeps until the end of the run. In a run without a loss a rank that is
 * no leader goes to MPI's end when its leader's courier is through with its part: that one writes `is_closing` then. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/courier.h"
#include "net/launcher_end.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "run/steps.h"

#define LINGER_NS \
    UINT64_C(1000000000) /* how long other ranks stay after a loss: at their exit mpirun ends main */

void run_end_courier(void)
{
    struct eventcount *doorbell = &context.area->doorbell;

    if (context_own_rank()->rank_in_node == 0) {
        courier_stop();
        run_unguard();
        atomic_store(&context.area->is_closing, 1);
        eventcount_notify(doorbell);
    }
    while (!atomic_load(&context.area->is_closing) && !atomic_load(&context.area->is_lost)) {
        uint32_t seen = eventcount_prepare(doorbell);

        if (!atomic_load(&context.area->is_closing) && !atomic_load(&context.area->is_lost))
            eventcount_wait(doorbell, seen, 0, CLOCK_FOREVER);
    }
}

/* MPI is of no more use here, not even to a program that has started it. */
static _Noreturn void leave_without_mpi(void)
{
    struct eventcount nothing = {0};

    if (atomic_load(&context.area->leaves_launcher))
        _exit(EXIT_SUCCESS);
    launcher_end_after_rank();
    eventcount_wait(&nothing, eventcount_prepare(&nothing), 0, clock_now_ns() + LINGER_NS);
    _exit(EXIT_FAILURE);
}

int run_serve(void)
{
    run_sleep_with_forkserver();
    run_end_courier();
    if (atomic_load(&context.area->is_lost))
        leave_without_mpi();
    transport_take();
    if (!run_close(false))
        exit(EXIT_SUCCESS);
    run_release_arena();
    return error_set(MPM_SERVED, "this rank has served a run, which has ended: MPM_SERVED is not a failure, "
                                 "and the program continues");
}

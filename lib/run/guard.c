/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard of MPI: a thread of a rank that ends the rank when MPI does not come back from a call.
 *
 * At the start, ranks wait for each other. A connection that cannot be made then, since a link is down for a moment, is
 * for ever: Open MPI 4.1 tries again only when it is given something else for that rank. The start has more time than a
 * node that falls silent, as what MPI reads from slow disks counts there. Main gives up before the others, and alone
 * says so where it is stuck, too.
 *
 * After a loss MPI may wait for the lost rank for ever, or turn in a circle (net/mpi_transport.c says how Open MPI 4.1
 * came to that): then the courier says nothing more, and the others take its node for lost after the nodes' time limit.
 * In that very time this rank ends itself. Who is guarded counts what it does, and the guard looks at that count: a
 * courier never naps for long. The guard counts looks and not time, so a run that was stopped for a while is none the
 * worse.
 *
 * Its end needs no MPI. Nor may it wait for a lock that the thread in MPI holds, so there is an alarm in case it
 * does. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "forkserver/own_thread.h"
#include "net/launcher_end.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "run/steps.h"
#include "run/trouble.h"

#define LOOKS         5u /* in the time limit */
#define START_TIMES   8  /* so many times as a node may be silent ranks have to meet */
#define START_LEAST_S 30.0

static struct {
    bool runs;
    pthread_t thread;
    const char *what; /* is so for limit_s */
    double limit_s;
    unsigned looks;          /* that see no change before the rank ends */
    uint64_t (*count)(void); /* NULL: it counts nothing */
    struct eventcount ended; /* it has come back: */
    _Atomic bool has_ended;
} guard;

/* A rank that main goes on without leaves the launcher alone. */
static _Noreturn void end_rank(void)
{
    launcher_bound_end();
    log_write(MPM_LOG_ERROR, "%s for %g s: the run ends on this node", guard.what, guard.limit_s);
    if (context.outlives_nodes && !context.is_main)
        _exit(EXIT_SUCCESS);
    launcher_end_after_rank();
    _exit(EXIT_FAILURE);
}

/* false: it has come back. */
static bool sleep_until_look(void)
{
    uint64_t slice_ns = (uint64_t)(guard.limit_s * 1e9) / LOOKS;
    uint32_t seen = eventcount_prepare(&guard.ended);

    return !atomic_load(&guard.has_ended) &&
           !eventcount_wait(&guard.ended, seen, 0, clock_now_ns() + slice_ns);
}

static void *guard_main(void *unused)
{
    uint64_t before = 0, now;
    unsigned same = 0;

    (void)unused;
    while (sleep_until_look()) {
        now = guard.count ? guard.count() : 0;
        same = now == before ? same + 1 : 0;
        before = now;
        if (same == guard.looks)
            end_rank();
    }
    return NULL;
}

/* Without memory for a thread there is none. */
static void begin(const char *what, double limit_s, unsigned looks, uint64_t (*count)(void))
{
    guard.what = what;
    guard.limit_s = limit_s;
    guard.looks = looks;
    guard.count = count;
    atomic_store(&guard.has_ended, false);
    guard.runs = !own_thread_start(&guard.thread, guard_main, NULL);
}

void run_guard(const char *what, uint64_t (*count)(void))
{
    if (context.topology.node_count > 1 && trouble_node_timeout_s() > 0)
        begin(what, trouble_node_timeout_s(), LOOKS, count);
}

void run_guard_start(double node_timeout_s)
{
    double limit_s = START_TIMES * node_timeout_s;

    if (node_timeout_s < MPM_FOREVER)
        begin("the ranks have not all met (is a link between their nodes down?)",
              limit_s > START_LEAST_S ? limit_s : START_LEAST_S, context.is_main ? LOOKS : LOOKS + 1, NULL);
}

void run_unguard(void)
{
    if (!guard.runs)
        return;
    guard.runs = false;
    atomic_store(&guard.has_ended, true);
    eventcount_notify(&guard.ended);
    pthread_join(guard.thread, NULL);
}

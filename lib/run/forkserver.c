/* SPDX-License-Identifier: BSD-3-Clause */
/* The fork server of a rank, from its fork to its end. A fork server that dies before the end costs the slots of its
 * rank, no more: that rank ends what the fork server has left, and sleeps on (forkserver_stand_in). See node/loss.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "forkserver/forkserver.h"
#include "forkserver/own_thread.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/loss.h"
#include "run/layers.h"
#include "run/steps.h"

#define CANARY 0x63616e617279u

static struct {
    bool is_there, has_watcher;
    pthread_t watcher; /* main's, which sleeps for it */
} forkserver;

/* Proves that a forked child writes into the very same memory. */
static int try_canary(void)
{
    char why[160];
    pid_t child;

    atomic_store(&context.area->canary, 0);
    if ((child = fork()) == 0) {
        atomic_store(&context.area->canary, CANARY & UINT32_MAX);
        _exit(0);
    }
    if (child < 0)
        return error_set(MPM_ESYSTEM, "cannot fork a process: %s",
                         describe_fork_errno(errno, why, sizeof why));
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ; /* a program that ignores SIGCHLD gets ECHILD, when the child has ended */
    if (atomic_load(&context.area->canary) != (CANARY & UINT32_MAX))
        return error_set(MPM_ESYSTEM, "a forked process does not share the arena's memory with its rank");
    return MPM_OK;
}

static int fork_forkserver(void)
{
    int status = forkserver_start(context.arena, context_own_rank()->rank_in_node, &layers_of_forkserver);

    forkserver.is_there = !status;
    return status;
}

int run_start_forkserver(void)
{
    int status = context_own_rank()->rank_in_node ? MPM_OK : try_canary();

    if ((status = context.transport->agree(status)))
        return status;
    layers_begin();
    return context.transport->agree(fork_forkserver());
}

/* Sleeps until the end of the run: in waitpid for the rank's fork server, or, if that dies before, in its place. It is
 * said at once, by whoever sees it, since no call may fail for it. */
static void watch_forkserver(void)
{
    if (forkserver_wait(context.arena, context_own_rank()->rank_in_node))
        return;
    loss_say();
    eventcount_notify(&context.area->doorbell);
    forkserver_stand_in(context.arena);
}

static void *watcher_main(void *unused)
{
    (void)unused;
    watch_forkserver();
    return NULL;
}

int run_start_watcher(void)
{
    int status = own_thread_start(&forkserver.watcher, watcher_main, NULL);

    forkserver.has_watcher = !status;
    return status;
}

void run_sleep_with_forkserver(void)
{
    struct eventcount *doorbell = &context.area->doorbell;

    watch_forkserver();
    while (!forkserver_is_ending(context.arena)) {
        uint32_t seen = eventcount_prepare(doorbell);

        if (!forkserver_is_ending(context.arena))
            eventcount_wait(doorbell, seen, 0, CLOCK_FOREVER);
    }
    forkserver.is_there = false;
}

void run_end_processes(void)
{
    forkserver_end_all(context.arena);
    eventcount_notify(&context.area->doorbell);
}

void run_end_forkservers(void)
{
    if (!forkserver.is_there)
        return;
    run_end_processes();
    if (forkserver.has_watcher)
        pthread_join(forkserver.watcher, NULL);
    else
        watch_forkserver();
    forkserver.is_there = forkserver.has_watcher = false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals that begin a drain, in a program that wants it: in every rank, as launchers and batch systems send them to
 * all of them. The first one is a drain. A second one in main ends it as if there were no handler, and with it the run;
 * other ranks ignore it, for main has the word. Whoever sends a signal to a whole job has it in main twice only if it
 * is sent twice. */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "forkserver/forkserver.h"
#include "node/context_inside.h"
#include "node/drain.h"
#include "run/steps.h"

static bool is_taken[DRAIN_SIGNALS];
static volatile sig_atomic_t has_come;

static void on_signal(int number)
{
    if (!has_come) {
        has_come = 1;
        drain_begin(number == SIGUSR1 ? DRAIN_ASKED : DRAIN_STOP);
    } else if (context.is_main) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

void run_take_drain_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, now;

    has_come = 0;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < DRAIN_SIGNALS; i++) {
        is_taken[i] = !sigaction(drain_signals[i], NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
                      now.sa_handler == SIG_DFL && !sigaction(drain_signals[i], &action, NULL);
    }
}

void run_give_back_drain_signals(void)
{
    for (size_t i = 0; i < DRAIN_SIGNALS; i++) {
        if (is_taken[i])
            signal(drain_signals[i], SIG_DFL);
        is_taken[i] = false;
    }
}

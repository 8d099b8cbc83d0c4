/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of main that are in a call which uses the run for long: the end of the run waits for them, and exit() keeps
 * them from returning to the program. See context_inside.h for who writes what. */
#include <unistd.h>

#include "base/clock.h"
#include "node/context.h"
#include "node/context_inside.h"

#define EXIT_NS UINT64_C(2000000000) /* how long exit() waits for calls of other threads */

static _Thread_local unsigned inside_here;      /* this thread's part of `inside` */
static _Thread_local const char *thread_called; /* what it calls of the program; NULL: it is the program's */

/* The other threads of a program that exits are never heard of again. */
static void stay_if_exiting(void)
{
    while (atomic_load(&context.exiting) && !inside_here)
        pause();
}

void context_enter(void)
{
    atomic_fetch_add(&context.inside, 1);
    if (inside_here++ || !atomic_load(&context.exiting))
        return;
    inside_here--;
    atomic_fetch_sub(&context.inside, 1);
    stay_if_exiting();
}

void context_leave(void)
{
    inside_here--;
    atomic_fetch_sub(&context.inside, 1);
    eventcount_notify(&context.someone);
    stay_if_exiting();
}

void context_thread_calls(const char *what)
{
    thread_called = what;
}

const char *context_why_not_end(void)
{
    if (thread_called)
        return thread_called;
    return inside_here ? "a callback of an mpmap call" : NULL;
}

void context_stay_inside(void)
{
    atomic_fetch_add(&context.inside, 1);
    inside_here++;
}

void context_send_others_out(const char *sentence)
{
    uint64_t deadline_ns = clock_now_ns() + EXIT_NS;
    bool in_time = true;

    if (atomic_load(&context.inside) == inside_here)
        return;
    context_break(MPM_ESTATE, sentence);
    while (in_time) {
        uint32_t seen = eventcount_prepare(&context.someone);

        if (atomic_load(&context.inside) == inside_here)
            return;
        in_time = eventcount_wait(&context.someone, seen, 0, deadline_ns);
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process knows of its run, and the trouble that the run is in. See context_inside.h for who writes what. */
#include "node/context.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context_inside.h"

struct context context;

bool context_is_nobody;

static _Atomic pid_t own_pid; /* 0: it has not been asked for. The kernel takes some 50 ns to tell */

static pid_t find_own_pid(void)
{
    pid_t pid = atomic_load_explicit(&own_pid, memory_order_relaxed);

    if (!pid)
        atomic_store_explicit(&own_pid, pid = getpid(), memory_order_relaxed);
    return pid;
}

enum role context_role(void)
{
    if (!context.runs)
        return ROLE_NONE;
    if (find_own_pid() != context.pid)
        return ROLE_FORKED;
    return context.is_main ? ROLE_MAIN : ROLE_RANK;
}

const struct topology *context_topology(void)
{
    return &context.topology;
}

uint32_t context_number(void)
{
    return context.number;
}

uint32_t context_first_generation(void)
{
    return (context.number - 1) % 128 << 24;
}

struct arena *context_arena(void)
{
    return context.arena;
}

unsigned context_worker_timeout_s(void)
{
    return context.config.worker_timeout_s;
}

struct eventcount *context_doorbell(void)
{
    return &context.area->doorbell;
}

/* Children that the program forks itself, in any process of the context. */

int context_no_run(const char *call)
{
    const char *why = context_is_nobody
                          ? "the program itself forked this process, so it is not part of the run: "
                            "start it with mpm_process_start instead"
                          : "there is no run: call mpm_init first";

    return call ? error_set(MPM_ESTATE, "%s: %s", call, why) : error_set(MPM_ESTATE, "%s", why);
}

int context_check_somebody(const char *call)
{
    return context_is_nobody ? context_no_run(call) : MPM_OK;
}

/* What it has printed is to be seen; exit handlers are its parent's. */
_Noreturn void context_end_nobody(int code)
{
    fflush(NULL);
    _exit(code & 0xff);
}

/* As after mpm_finalize. Its parent's number is no other's, so whatever it held by that would never be free. */
static void become_nobody(void)
{
    atomic_store_explicit(&own_pid, 0, memory_order_relaxed);
    if (!context.runs || forkserver_forks())
        return;
    context_is_nobody = true;
    context.runs = false;
    context.topology.rank_count = context.topology.node_count =
        0; /* its arrays stay what they are: the parent's */
}

static __attribute__((constructor)) void at_fork(void)
{
    int failed = pthread_atfork(NULL, NULL, become_nobody);

    assert(!failed);
    (void)failed;
}

/* Trouble. */

void context_break(int status, const char *sentence)
{
    uint32_t whole = 0;

    if (!atomic_compare_exchange_strong(&context.area->broken, &whole, 1))
        return;
    context.area->broken_status = status;
    snprintf(context.area->broken_sentence, sizeof context.area->broken_sentence, "%s", sentence);
    atomic_store(&context.area->broken, 2);
    eventcount_notify(&context.area->doorbell);
}

int context_check_whole(void)
{
    if (context_is_nobody)
        return context_no_run(NULL);
    if (atomic_load(&context.area->broken) < 2)
        return MPM_OK;
    return error_set(context.area->broken_status, "%s", context.area->broken_sentence);
}

/* A process of the program's, and no pool's worker. */
static bool is_users_process(void)
{
    uint32_t number = process_own_number();
    const struct process_record *record = number ? process_find(context.arena, number - 1) : NULL;

    return record && record->flags & PROCESS_IS_USERS;
}

bool context_is_driver(void)
{
    enum role role = context_role();

    return role == ROLE_MAIN || (role == ROLE_FORKED && is_users_process());
}

int context_check_not_ending(const char *call)
{
    if (!atomic_load(&context.ending))
        return MPM_OK;
    return error_set(MPM_ESTATE, "%s: mpm_finalize has begun: nothing new can be started", call);
}

bool context_takes_work(void)
{
    return context.runs && !atomic_load(&context.ending) && atomic_load(&context.area->broken) < 2;
}

int context_check_driver(const char *call)
{
    int status;

    if (context_is_driver())
        return (status = context_check_not_ending(call)) ? status : context_check_whole();
    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    return error_set(MPM_ESTATE, "%s: only main and processes may call it, not a pool's worker", call);
}

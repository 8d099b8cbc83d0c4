/* SPDX-License-Identifier: BSD-3-Clause */
/* The run, as the layers above see it. For node/ and the layers above it. */
#ifndef NODE_CONTEXT_H
#define NODE_CONTEXT_H

#include <stdbool.h>

#include "net/topology.h"
#include "shm/arena.h"
#include "shm/eventcount.h"

/* What the calling process is in the run. */
enum role {
    ROLE_NONE, /* before mpm_init, or after mpm_finalize */
    ROLE_MAIN,
    ROLE_RANK,   /* another rank: its thread, or its courier's */
    ROLE_FORKED, /* a fork server, or what it has forked */
};

enum role context_role(void);
/* The number of the run among those that the calling process has been in, from 1: what a thread keeps of one must not
 * be used in another. */
uint32_t context_number(void);
/* What generations in the arena begin with, so that those of several runs do not meet for long. */
uint32_t context_first_generation(void);
/* The topology, the same in all processes. Valid in a run. */
const struct topology *context_topology(void);
/* The arena of the calling process's node. */
struct arena *context_arena(void);

/* The node's doorbell: rung when anything has changed that main's calls or the courier wait for. */
struct eventcount *context_doorbell(void);

/* How long a pool goes on on a node where it has no worker left, and none can be forked. */
unsigned context_worker_timeout_s(void);

/* Says that the calling process has no part in a run, and why: MPM_ESTATE. `call` may be NULL. */
int context_no_run(const char *call);

/* Whether the calling process was forked by the program itself, out of one of the run: it is nobody there. From the
 * fork on it has no role, and finds no object. Of a child of vfork() or of a bare clone(), nobody hears. */
extern bool context_is_nobody;
/* MPM_ESTATE then, naming the call. */
int context_check_somebody(const char *call);
_Noreturn void context_end_nobody(int code);
/* After each return from a function of the program: a child that was forked in there, and has come back too, ends here,
 * with that exit code. */
static inline void context_back_from_program(int code)
{
    if (__builtin_expect(context_is_nobody, 0))
        context_end_nobody(code);
}

/* Whether this process may have pools: main may, and processes; a pool's worker may not. */
bool context_is_driver(void);
/* MPM_ESTATE, naming the call, unless that is so, or once mpm_finalize() has begun; MPM_ENODELOST, for one, if the run
 * has lost a part that it needs. Between context_enter() and context_leave(): then the run is there until the
 * latter. */
int context_check_driver(const char *call);
/* MPM_ESTATE, naming the call, once mpm_finalize() has begun. */
int context_check_not_ending(const char *call);
/* Whether a process that has a pool may use it now: the same in a few loads. */
bool context_takes_work(void);
/* 0, or the trouble that the run is in. Any process. */
int context_check_whole(void);
/* How often whoever waits looks for that. In tests with kill points once in a while only: there a ring that is
 * missing is not to be mended by the next look. */
#ifdef MPMAP_KILL_POINTS
#define CONTEXT_CHECK_NS UINT64_C(100000000000)
#else
#define CONTEXT_CHECK_NS UINT64_C(1000000000)
#endif
/* Says that the run has lost a part: every call that needs the run fails from here on. The first one counts.
 */
void context_break(int status, const char *sentence);

/* Around a call of main that uses the run for long: exit() in another thread waits until it has left, which
 * it does soon, since context_check_whole() fails in it then. It does not return to the program in that case.
 */
void context_enter(void);
void context_leave(void);
/* The calling thread is the library's and calls functions of the program, `what` they are: "a callback". They cannot
 * end the run, which waits for them. */
void context_thread_calls(const char *what);

#endif

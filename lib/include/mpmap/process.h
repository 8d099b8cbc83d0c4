/* SPDX-License-Identifier: BSD-3-Clause */
/** @file process.h  Processes, on any node. */
#ifndef MPMAP_PROCESS_H
#define MPMAP_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** A process: a value that means the same everywhere. */
typedef struct mpm_process {
    mpm_handle handle;
} mpm_process;

/** What a process runs: a function as a task is (see mpm_task). `args` are `size` bytes that were copied when
 * it was started, aligned to 16 bytes; NULL if there are none.
 * @return the exit code; its low 8 bits count. The process ends then, whatever else its threads are at: who starts a
 * thread joins it. What the process itself has given to atexit() runs when the target returns, and by mpm_exit() and
 * exit(), and not when a signal ends it; what main has given to it does not. */
typedef int mpm_target(const void *args, size_t size);

/** Where a process is to run: option `place` of mpm_process_options. */
#define MPM_ON_NODE(number) ((number) + 1u)

/** Options of mpm_process_start; zero is the default. */
typedef struct mpm_process_options {
    const char *name; /**< at most 63 bytes; NULL: "Process-1", "Process-1:2" for a child's child */
    /** MPM_ON_NODE(n). 0: the nodes in turn, in proportion to their slots: the one for which processes of the
     * caller's node have asked least, its own first. On a node the rank with the fewest processes is taken.
     */
    unsigned place;
    int daemon; /**< not 0: it is killed when its parent ends, or main finalizes, instead of being waited for
                 */
} mpm_process_options;

/** Starts a process that runs target(args, size): a fresh one, forked from a host, so it has nothing of the
 * caller's memory but what it gets in args, the arena, and objects by their handles. Its working directory, environment
 * and limits are those that its rank had in mpm_init: a later chdir() or setenv() of main stays main's. Its stdin is
 * empty: that is main's. Any number may run at once; slots do not limit them. Blocks until it has been forked. Any
 * process may call it.
 *
 * What a process starts by other means (fork, system, popen, posix_spawn) ends with it: when it has ended, however it
 * did, whatever descends from it and still runs is killed, soon after, also what has detached itself (setsid, two
 * forks) or has another user, as far as the host may kill that. What it has started by mpm_process_start() does not
 * descend from it. What is to outlive it must be started by main, or by a service of the system.
 * @return MPM_EINVAL for a target that is no function, args of NULL with a size, a node that there is not, a
 * name that is too long; MPM_ENOMEM, also for args of 2 GiB and more for another node, and if as many
 * processes run on the node as its arena has room for; MPM_ESYSTEM if it cannot be forked; MPM_EHOSTLOST if the node has lost its hosts; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_process_start(mpm_target *target, const void *args, size_t size,
                                          const mpm_process_options *options, mpm_process *process);

/** Waits until it has ended: timeout_s seconds (see the time limits of sync.h), MPM_FOREVER, or not at all for 0 and
 * less. Any number of
 * times, by any process that has the handle.
 * @return MPM_ETIMEDOUT if it still runs; MPM_EINVAL if it is the caller itself; MPM_ESTALE after
 * mpm_process_close; MPM_EINTERRUPTED (see mpm_interrupt_waits in wait.h); MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_join(mpm_process process, double timeout_s);

/** Waits until it has ended, tells how, and closes it: mpm_process_join(), mpm_process_exitcode() and mpm_process_close()
 * in one call. If it fails, nothing is closed.
 * @param exitcode  out: as of mpm_process_exitcode(); or NULL
 * @return as mpm_process_join(). */
MPM_API MPM_CHECKED int mpm_process_reap(mpm_process process, double timeout_s, int *exitcode);

/* Each of the next: MPM_EINVAL for a handle that is none, or if the place for the result is NULL. */

/** How it ended: what the target returned or mpm_exit was given, & 0xff; minus the signal that killed it.
 * @return MPM_EBUSY while it runs; MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_exitcode(mpm_process process, int *exitcode);

/** Whether it runs.
 * @param is_alive  out: false if it has ended
 * @return MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_is_alive(mpm_process process, bool *is_alive);

/** Its process id on its node. MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_pid(mpm_process process, int *pid);
/** Its name: at most `size` bytes of it, terminated. MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_name(mpm_process process, char *name, size_t size);
/** The node that it runs on. Never fails. */
MPM_API unsigned mpm_process_node(mpm_process process);

/** Sends it SIGTERM, SIGKILL, SIGINT: exit handlers do not run for the first two, unless it handles SIGTERM.
 * A signal that main ignored when it called mpm_init() is ignored by processes, too, unless they have set it otherwise;
 * only SIGKILL always ends one. One that has ended is left alone. With it end its children that are daemons. Does not
 * wait. MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_terminate(mpm_process process);
MPM_API MPM_CHECKED int mpm_process_kill(mpm_process process);
MPM_API MPM_CHECKED int mpm_process_interrupt(mpm_process process);

/** Frees what is known of an ended process: its handles are stale from here on. MPM_EBUSY while it runs,
 * MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_process_close(mpm_process process);

/** Ends the calling process with this code, as a return from its target does: stdout and stderr are flushed.
 */
MPM_API __attribute__((noreturn)) void mpm_exit(int code);

/** What a process of a run is. */
enum mpm_process_kind {
    MPM_KIND_MAIN,
    MPM_KIND_PROCESS, /**< of mpm_process_start() */
    MPM_KIND_WORKER,  /**< of a pool */
};

/** Who a process is. */
typedef struct mpm_process_info {
    enum mpm_process_kind kind;
    unsigned node;       /**< that it runs on */
    int pid;             /**< there */
    char name[64];       /**< of a process its own; else "main" or "worker" */
    mpm_process process; /**< of a process; else zero, which is no process to any call */
} mpm_process_info;

/** Who the caller is, in main, processes and workers alike. Never blocks.
 * @return MPM_EINVAL if the place for the result is NULL; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_process_self(mpm_process_info *self);

/** The calling process; MPM_ESTATE in main, and in pools' workers. */
MPM_API MPM_CHECKED int mpm_current_process(mpm_process *process);
/** The process that has started it; MPM_ESTATE if that is main, or a pool's worker. */
MPM_API MPM_CHECKED int mpm_parent_process(mpm_process *process);

/** Those that the calling process has started, that were not closed, and that still run.
 * @param room   how many handles `processes` has room for
 * @param count  out: how many there are, also if they are more */
MPM_API MPM_CHECKED int mpm_active_children(mpm_process *processes, size_t room, size_t *count);

MPM_END

#endif

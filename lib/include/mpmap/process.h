/* SPDX-License-Identifier: BSD-3-Clause */
/** @file process.h  Processes, on any node.
 *
 * Statuses that all functions with a process may return: MPM_EINVAL if the handle is not a process's, or a place
 * for a result is NULL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST if a node
 * was lost, or, where the run goes on without it (mpm_survives_node_loss()), if it was the process's: that has ended,
 * and nobody knows how. */
#ifndef MPMAP_PROCESS_H
#define MPMAP_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** A process. */
typedef struct mpm_process {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_process;

/** What a process runs: a function of the program, of a library that it is linked with, or of a plugin, as a task
 * is (see mpm_task). The process ends when it returns, whatever its other threads are doing: join them first. Exit
 * handlers (atexit) that the process itself has set run when the target returns, and in mpm_exit() and exit(), but
 * not when a signal ends it; those that main has set do not run.
 * @param args  `size` bytes that were copied when the process was started, aligned to 16 bytes; NULL if there are
 *              none
 * @param size  how many
 * @return the exit code; its low 8 bits count. */
typedef int mpm_target(const void *args, size_t size);

/** Where a process is to run: the node `number`, for option `place` of mpm_process_options. */
#define MPM_ON_NODE(number) ((number) + 1u)

/** Options of mpm_process_start(); zero is the default. */
typedef struct mpm_process_options {
    const char *name; /**< at most 63 bytes; NULL: "Process-1", "Process-1:2" for a child's child */
    /** MPM_ON_NODE(n). 0: the nodes in turn, in proportion to their slots: the one that the caller's node has used
     * least so far, its own first. On a node, the rank with the fewest processes. */
    unsigned place;
    int daemon; /**< not 0: it is killed when its parent ends, or main finalizes, instead of being waited for */
} mpm_process_options;

/** Starts a process that runs target(args, size). It is forked by a small process of its own (`mpmap-forker`), so it
 * has nothing of the caller's memory but its args, the node's shared memory, and objects by their handles. Its
 * working directory, environment and limits are those that its rank had in mpm_init(): a later chdir() or setenv()
 * of main is main's alone. Its stdin is empty: that is main's. Any number may run at once; slots do not limit
 * them. Blocks until it was forked. Any process may call this.
 *
 * What a process starts by other means (fork, system, popen, posix_spawn) ends with it: when it has ended, however
 * it did, whatever descends from it and still runs is killed soon after, also what has detached itself (setsid,
 * two forks) or has another user, as far as the fork server may kill that. Processes that it has started by
 * mpm_process_start() do not descend from it. What is to outlive it must be started by main, or by a service of
 * the system.
 * @param target   the function to run
 * @param args     `size` bytes, which are copied; NULL if there are none
 * @param size     how many; at most 2 GiB for another node
 * @param options  or NULL: defaults
 * @param process  out: the process; mpm_process_close() frees what is known of it
 * @return 0; MPM_EINVAL for a target that is not a function of the program, args of NULL with a size, a node that
 *         does not exist, or a name that is too long; MPM_ENOMEM, also for args of 2 GiB and more for another
 *         node, and if as many processes run on the node as its shared memory has room for; MPM_ESYSTEM if it
 *         cannot be forked; MPM_EFORKSERVER if the node has lost its fork servers; MPM_ESTATE without a run;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_start(mpm_target *target, const void *args, size_t size,
                                          const mpm_process_options *options, mpm_process *process);

/** Waits until a process has ended (see the time limits in sync.h). May be called any number of times, by any
 * process that has the handle.
 * @param process    the process
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if it still runs; MPM_EINVAL, also for the caller itself; MPM_ESTALE after
 *         mpm_process_close(); MPM_EINTERRUPTED, see mpm_interrupt_waits(); MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_join(mpm_process process, double timeout_s);

/** Waits until a process has ended, tells how, and closes it: mpm_process_join(), mpm_process_exitcode() and
 * mpm_process_close() in one call. If it fails, nothing is closed.
 * @param process    the process
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param exitcode   out: as of mpm_process_exitcode(); or NULL
 * @return as mpm_process_join(). */
MPM_API MPM_CHECKED int mpm_process_reap(mpm_process process, double timeout_s, int *exitcode);

/** Tells how a process has ended. Does not wait for the end. Any process may call it.
 * @param process   the process
 * @param exitcode  out: what the target returned or mpm_exit() was given, & 0xff; or minus the number of the
 *                  signal that killed it
 * @return 0; MPM_EBUSY while it runs; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_exitcode(mpm_process process, int *exitcode);

/** Tells whether a process runs. Any process may call it.
 * @param process   the process
 * @param is_alive  out: true while it runs, false once it has ended
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_is_alive(mpm_process process, bool *is_alive);

/** Tells the process id of a process on its node. Any process may call it.
 * @param process  the process
 * @param pid      out: the process id
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_pid(mpm_process process, int *pid);

/** Tells the name of a process. Any process may call it.
 * @param process  the process
 * @param name     out: its name, always terminated
 * @param size     bytes that `name` has room for; a longer name is cut off
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_name(mpm_process process, char *name, size_t size);

/** Tells the node on which a process runs. Never fails, never blocks.
 * @param process  the process
 * @return the number of the node. */
MPM_API unsigned mpm_process_node(mpm_process process);

/** Sends SIGTERM to a process. It ends without exit handlers, unless it handles the signal. A signal that main
 * ignored when it called mpm_init() is ignored by processes, too, unless they have changed that; only SIGKILL
 * always ends a process. Does not wait for the end. A process that has ended is left alone. With it end its
 * children that are daemons. Any process may call it.
 * @param process  the process
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_terminate(mpm_process process);

/** Sends SIGKILL to a process, which ends at once, without exit handlers. Does not wait for the end. A process that
 * has ended is left alone. With it end its children that are daemons. Any process may call it.
 * @param process  the process
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_kill(mpm_process process);

/** Sends SIGINT to a process. It ends, unless it handles or ignores the signal: see mpm_process_terminate(). Does
 * not wait for the end. A process that has ended is left alone. With it end its children that are daemons. Any
 * process may call it.
 * @param process  the process
 * @return 0; MPM_EINVAL; MPM_ESTALE after mpm_process_close(); MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_interrupt(mpm_process process);

/** Frees what is known of a process that has ended: from then on its handles give MPM_ESTALE. From another node it
 * is one round trip. Any process may call it.
 * @param process  the process
 * @return 0; MPM_EBUSY while it runs; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_process_close(mpm_process process);

/** Ends the calling process, as a return from its target does: stdout and stderr are flushed, and exit handlers run.
 * @param code  its exit code; the low 8 bits count */
MPM_API __attribute__((noreturn)) void mpm_exit(int code);

/** The kinds of processes in a run. */
enum mpm_process_kind {
    MPM_KIND_MAIN,    /**< main */
    MPM_KIND_PROCESS, /**< of mpm_process_start() */
    MPM_KIND_WORKER,  /**< of a pool */
};

/** Who a process is. */
typedef struct mpm_process_info {
    enum mpm_process_kind kind; /**< what it is */
    unsigned node;              /**< the node on which it runs */
    int pid;                    /**< its process id there */
    char name[64];              /**< a process's own; otherwise "main" or "worker" */
    mpm_process process; /**< the handle of a process; otherwise zero, which no call takes for a process */
} mpm_process_info;

/** Tells who the caller is, in main, processes and workers alike. Never blocks.
 * @param self  out: who the calling process is
 * @return 0; MPM_EINVAL; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_process_self(mpm_process_info *self);

/** Tells the handle of the calling process. Never blocks.
 * @param process  out: the calling process
 * @return 0; MPM_EINVAL; MPM_ESTATE in main, in workers of pools, and without a run. */
MPM_API MPM_CHECKED int mpm_current_process(mpm_process *process);

/** Tells which process has started the calling one. Never blocks.
 * @param process  out: the one that has started it
 * @return 0; MPM_EINVAL; MPM_ESTATE if that is main or a worker of a pool, and where mpm_current_process() gives
 *         it. */
MPM_API MPM_CHECKED int mpm_parent_process(mpm_process *process);

/** Lists the processes that the calling process has started, that still run, and that were not closed.
 * @param processes  out: room for `room` handles
 * @param room       how many handles there is room for
 * @param count      out: how many there are, also if they are more than `room`
 * @return 0; MPM_EINVAL; MPM_ESTATE without a run; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_active_children(mpm_process *processes, size_t room, size_t *count);

MPM_END

#endif

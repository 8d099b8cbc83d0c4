/* SPDX-License-Identifier: BSD-3-Clause */
/** @file runtime.h  The run: starting it, ending it, what it consists of, and shared memory. */
#ifndef MPMAP_RUNTIME_H
#define MPMAP_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** Options of mpm_init(); zero is the default. Environment variables (see doc/options.md) take precedence over
 * these. */
typedef struct mpm_options {
    size_t arena_size;       /**< bytes that each node's processes share; 0: what memory allows */
    unsigned ranks_per_node; /**< cut machines into virtual nodes of so many ranks; 0: do not */
    /** The address of the MPI_Comm to run on, in a program that has started MPI itself; NULL: MPI_COMM_WORLD. Its
     * ranks call mpm_init(), all of them, and no others; its rank 0 is main. It is read in this call only, and
     * stays the program's. Runs on several communicators may go on at the same time; each uses all CPUs and memory
     * that its ranks have. */
    const void *communicator;
    /** A node that has been silent for so many seconds, from 1 on, is lost, and the run ends, or goes on without it
     * (mpm_survives_node_loss()); 0: 15 seconds; MPM_FOREVER: never. Main's value counts. */
    double node_timeout_s;
    /** A SIGTERM, SIGINT or SIGUSR1 in any rank, the first one, is an mpm_drain() instead of the end of the run, and
     * pool workers ignore these signals; a second one in main ends it at once, as without this option. Ranks other
     * than main ignore further ones. Signals that the program ignores or handles itself stay as they are. From the
     * end of mpm_init() until the end of the run. */
    bool drain_at_signals;
} mpm_options;

/** Starts a run. It returns at once in main (rank 0) only: every other rank serves inside this call until the run
 * ends. Without mpirun or srun the run is this process, and MPI is not started.
 *
 * Call it first in main(), from a thread that lives until mpm_finalize() (the kernel ends the worker processes
 * with it), before there are other threads: workers do not have these, so OpenMP that was used before hangs in
 * tasks; a line on stderr warns of it. Blocks until every rank is there.
 *
 * Whoever starts MPI ends it. Under a launcher this call starts MPI, and mpm_finalize() ends it: then the other
 * ranks exit inside this call, with status 0, and there is one run. A program that has started MPI itself, on all
 * ranks, with MPI_THREAD_SERIALIZED at least, ends it itself: then the other ranks return from this call when the
 * run ends, with MPM_SERVED. A run is a phase of such a program:
 *
 *     MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
 *     …                                                what all ranks do
 *     status = mpm_init(&argc, &argv, NULL);
 *     if (!status) {                                   rank 0: it has all nodes
 *         …                                            pools, processes, queues
 *         status = mpm_finalize();
 *     } else if (status == MPM_SERVED) {
 *         status = 0;                                  another rank: the run is over
 *     }
 *     if (status)
 *         MPI_Abort(MPI_COMM_WORLD, mpm_report_error());
 *     …                                                what all ranks do, and the next run
 *     MPI_Finalize();
 *
 * During a run its main may call MPI only if that has MPI_THREAD_MULTIPLE. There may be any number of runs, one
 * after the other: with MPI of the program, and without a launcher. Nothing of a run is left in the next: handles,
 * pools and memory of mpm_alloc() end with their run. While it is called, no thread of the program may be in a
 * call on an earlier run.
 *
 * If it fails, it does so on all ranks, and has undone all that it had done: it may be tried again, unless it had
 * started MPI. Where there are several ranks, the sentence names the one that failed, and its host.
 *
 * Of stdin, stdout and stderr, those that are closed are /dev/null from here on. Signals that the program ignores
 * at this moment, as under nohup, are ignored in all workers and processes, too, but for SIGCHLD, which is default
 * there; all others are default, whatever handlers the program has. Only workers of pools ignore SIGINT in any case:
 * what becomes of a Ctrl-C is for main to say.
 *
 * From here until the end of the run each rank has a child, `mpmap-forker`. So a loop that waits for whatever child
 * there is, such as `while (wait(NULL) > 0)`, does not end before: wait for those that the program has forked by their
 * process ids.
 *
 * A child that the program forks itself, in main, a process or a task, has no part in the run: every call gives it
 * MPM_ESTATE. It may use memory of mpm_alloc() and pointers into arrays, exec, and exit. Where it returns from a
 * task, a target, a callback or another function that mpmap has called, it ends, with what it returns as its exit
 * code, and without exit handlers. What vfork() or a bare clone() makes is not seen, and must do nothing but exec
 * or _exit.
 * @param argc     that of main(), or NULL, as argv
 * @param argv     that of main(), or NULL
 * @param options  or NULL: defaults
 * @return 0 in main; MPM_SERVED in another rank, when the run has ended; MPM_ESTATE if there is a run already, or
 *         MPI was finalized before; MPM_ENOMEM if the arena cannot be had; MPM_EINVAL for a bad option or environment
 *         variable, and if a launcher has started ranks that MPI does not find, in each of them; MPM_EBUILD if
 *         ranks run different programs; MPM_ENOENT if there is a launcher and no MPI, which is loaded by this
 *         call; MPM_EFORKSERVER if a fork server ends as it starts; MPM_EMPI, MPM_ESYSTEM. */
MPM_API MPM_CHECKED int mpm_init(int *argc, char ***argv, const mpm_options *options);

/** Ends the run: workers, fork servers and the service of the other ranks. Pools that are still open are closed first.
 * What was begun before comes to its end. A call that would begin something after that instant (a pool, a map, a
 * call, a stream, a process) gets MPM_ESTATE, in any thread or callback, and so does a call that still waits for
 * an object when all that has ended. MPI is ended if mpm_init() has started it. Blocks until all have ended. Main
 * only. An exit() without it ends the run, too, but waits for nothing that was begun: processes and workers are
 * killed. If a node is lost (its link is cut, its power fails: it has not answered for node_timeout_s) it waits for
 * none of the others, and MPI is not ended: the other ranks exit, with a status that is not 0, and once main has
 * exited, the launcher (mpirun) is brought down. So it is if the run has gone on without a node
 * (mpm_survives_node_loss()).
 * @return 0, fit to be returned from main(); MPM_ESTATE if there is no run, or another thread is ending it, or the
 *         caller is a callback, a generator, or a progress function, which the run waits for: nothing is done
 *         then; MPM_EFORKSERVER or MPM_ENODELOST if the run has lost a part (it is ended all the same). */
MPM_API int mpm_finalize(void);

/** Begins a drain of the whole run: the maps that allow it (mpm_map_options.drain, mpm_dataset_map.drain) begin no
 * item any more, let those end that run, and return MPM_EDRAINED; so do those that are called later. All else goes on
 * as before: it is for the program to end. Any process of the run may call it, also from a signal handler; it does
 * nothing without a run, or if a drain has begun. A drain lasts until the end of the run. Does not block, and keeps
 * errno. */
MPM_API void mpm_drain(void);

/** Whether a drain has begun: the program is to come to an end soon, so what takes long should save what it has, and
 * leave the rest. Any process or task may ask at any time: it costs a load. Other nodes than the one where the drain
 * began learn of it by a message, within some milliseconds. Cannot fail, and never blocks.
 * @return true from the beginning of a drain to the end of the run; false without a run. */
MPM_API bool mpm_draining(void);

/** What the library logs to stderr, beyond the errors that functions return: lines that begin with "mpmap: ". */
enum mpm_log_level {
    MPM_LOG_OFF,   /**< nothing */
    MPM_LOG_ERROR, /**< what no call could return as a status: the default */
    MPM_LOG_INFO,  /**< what the run consists of, processes and pools that begin and end, workers that die */
    MPM_LOG_DEBUG, /**< details, too */
};

/** Chooses what is logged. Before mpm_init(), where every rank comes by, it is for the whole run, unless MPMAP_LOG
 * says otherwise; later for all processes of the caller's node, and, from main, of all nodes. Does not block.
 * @param level  what is logged
 * @return 0; MPM_EINVAL if there is no such level; MPM_ENOMEM. */
MPM_API int mpm_log_to_stderr(enum mpm_log_level level);

/** One node of the run. */
typedef struct mpm_node {
    char name[64];     /**< host name, with "/K" behind it for the K-th virtual node of a machine */
    unsigned ranks;    /**< MPI processes */
    unsigned slots;    /**< workers that it has CPUs for */
    size_t arena_size; /**< bytes of its arena */
    /** What has decided the number of slots of its first rank: "affinity mask", "cgroup quota", "batch system" or
     * "MPMAP_SLOTS". */
    const char *slots_by;
    bool is_lost; /**< the run has gone on without it: see mpm_survives_node_loss() */
} mpm_node;

/** Whether the run goes on when a node is lost: one from which nothing has come for node_timeout_s, or one of whose
 * ranks has died. It does under mpirun --enable-recovery of Open MPI 4, unless node_timeout_s is MPM_FOREVER, and never
 * without main's node. Then maps and calls of main are done by the nodes that are left: what the lost one has not
 * given back is run again. Objects and processes of that node answer MPM_ENODELOST; it counts as dead wherever
 * it has held or waited for something. mpm_finalize() returns MPM_ENODELOST at the end. Elsewhere the loss of a node
 * ends the run. Any process of the run may call it; cannot fail, and never blocks.
 * @return true if it does; false if it does not, and without a run. */
MPM_API bool mpm_survives_node_loss(void);

/** Counts the nodes of the run. Any process may call it; never blocks.
 * @return how many, at least 1; 0 without a run. */
MPM_API unsigned mpm_node_count(void);

/** Tells the node of the calling process. Never blocks.
 * @return its number, from 0; 0 without a run. */
MPM_API unsigned mpm_node_id(void);

/** Counts the ranks (MPI processes) of the run. Any process may call it; never blocks.
 * @return how many; 0 without a run. */
MPM_API unsigned mpm_rank_count(void);

/** Counts the slots of all nodes together: room for one worker each. Any process may call it; never blocks.
 * @return how many; 0 without a run. */
MPM_API unsigned mpm_slot_count(void);

/** Counts the CPUs in the calling process's affinity mask. Needs no run; never blocks.
 * @return how many. */
MPM_API unsigned mpm_cpu_count(void);

/** Describes a node of the run. Any process may call it; never blocks.
 * @param node  its number, from 0
 * @param info  out: what it has
 * @return 0; MPM_EINVAL if there is no node of that number, or `info` is NULL. */
MPM_API MPM_CHECKED int mpm_node_info(unsigned node, mpm_node *info);

/** Tells the MPI library that the run uses. Any process may call it; never blocks.
 * @return the first line of its version text; "none" without a launcher. */
MPM_API const char *mpm_mpi_version(void);

/** Gives memory that all processes of the caller's node share, zeroed, aligned to 64 bytes. A map over it copies
 * nothing on that node. It has one address in all processes that one rank's fork server has forked, and may have
 * another one in those of another rank. Blocks for a lock at most. The caller frees it with mpm_free(); mpm_finalize()
 * frees the rest.
 * @param size    bytes, at least 1
 * @param memory  out: the memory
 * @return 0; MPM_ENOMEM if the node's shared memory is full; MPM_EINVAL for size 0, or if `memory` is NULL;
 *         MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_alloc(size_t size, void **memory);

/** Frees memory of mpm_alloc(), from any process of the node. Keeps errno.
 * @param memory  the memory; NULL is fine */
MPM_API void mpm_free(void *memory);

MPM_END

#endif

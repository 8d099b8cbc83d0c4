/* SPDX-License-Identifier: BSD-3-Clause */
/** @file pool.h  Pools of worker processes on all nodes, and maps over items in memory. */
#ifndef MPMAP_POOL_H
#define MPMAP_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

MPM_BEGIN

/** One call of a task: it is the argument of mpm_fail(), mpm_call_index() and the like. Valid until the task
 * returns. */
typedef struct mpm_call mpm_call;

/** A task: a function of the program, of a library that it is linked with, or of a plugin that it has
 * opened with dlopen; static ones too. It runs in worker processes: globals are each worker's own. What a task has
 * started itself (fork, system) may continue when it returns, and is killed when its worker ends: by a crash, a time
 * limit, cancel, or terminate, or with its pool. See mpm_process_start().
 * @param call    the call, for mpm_fail(), mpm_call_index() and the like
 * @param item    this item: `item_size` bytes, read only; NULL if the item size is 0
 * @param result  room for `result_size` bytes, aligned as an array of results of that size is (the array
 *                itself to 64 bytes); what is there beforehand is undefined; NULL if the size is 0
 * @return 0, or anything else if the item failed: see mpm_fail(). */
typedef int mpm_task(mpm_call *call, const void *item, void *result);

/** Says why the item fails, in any number of lines: the output of a command, say, or a traceback. The text arrives
 * whole if it has at most 64 KiB, else it is cut, and ends with "…"; never within a character of UTF-8. A map keeps 16
 * MiB of texts that are longer than 191 bytes, and on a node at most a sixteenth of its arena, and of 1 GiB divided by
 * the number of nodes; from then on, or where the arena is full, they are cut to 191 bytes, and end with "… [cut: …]",
 * which says why. Does not block.
 * @param call    the call that the task was given
 * @param format  as of printf(), with its arguments
 * @return 1, so that a task can `return mpm_fail(call, "x is %g", x);`. */
MPM_API int mpm_fail(mpm_call *call, const char *format, ...) MPM_FORMAT(2, 3);

/** Tells the index of the item in its map.
 * @param call  the call that the task was given
 * @return the index, from 0. */
MPM_API size_t mpm_call_index(const mpm_call *call);

/** Tells how many rows of a data set the call has, for a task that takes several at once: mpm_dataset_map.task_rows.
 * Items, and results, stand one behind the other then, and mpm_call_index() is that of the first.
 * @param call  the call that the task was given
 * @return how many; 1 for every other task. */
MPM_API size_t mpm_call_rows(const mpm_call *call);

/** Tells the size of the item; of several rows that of each.
 * @param call  the call that the task was given
 * @return bytes. */
MPM_API size_t mpm_call_item_size(const mpm_call *call);

/** Tells the size of the result.
 * @param call  the call that the task was given
 * @return bytes. */
MPM_API size_t mpm_call_result_size(const mpm_call *call);

/** Tells where the context is that mpm_map_options gave.
 * @param call  the call that the task was given
 * @return the node's own copy of its bytes, read only; NULL without one. */
MPM_API const void *mpm_call_context(const mpm_call *call);

/** Tells what the initializer has made for the worker that runs the call.
 * @param call  the call that the task was given
 * @return what the initializer has set; NULL without one. */
MPM_API void *mpm_call_state(const mpm_call *call);

/** Prepares a worker, before its first item: opens files, loads what all its items need.
 * @param call           for mpm_fail() and nothing else
 * @param argument       the node's own copy of mpm_pool_options.initializer_argument, read only; NULL if none
 * @param argument_size  its bytes
 * @param state          out: what mpm_call_state() will give to the items of this worker, and what the finalizer
 *                       gets; NULL if it is not set
 * @return 0, or anything else if the worker cannot work: see mpm_fail(). */
typedef int mpm_initializer(mpm_call *call, const void *argument, size_t argument_size, void **state);

/** Cleans up in a worker that ends in good order: because the pool is closed, or because it has done its
 * max_tasks_per_worker. A worker that is killed does not get there. If the worker dies in it, by a signal other than
 * SIGKILL or by an exit code, a line on stderr and mpm_pool_close() say so.
 * @param state  what the initializer has set; or NULL */
typedef void mpm_finalizer(void *state);

/** A pool of workers. The process that opens it is its *driver*: main, or a process (process.h). A pool belongs to
 * its driver, and ends with it: its workers are killed if the driver ends without mpm_pool_close().
 *
 * Workers that end are replaced. While that is not possible, because a limit of processes or of memory is reached,
 * the pool continues with those that are left, and tries again after pauses of at most a second. A node where it
 * has had no worker for MPMAP_WORKER_TIMEOUT seconds (30 if not set) is given up, and its items go to others;
 * without any node left the pool fails: MPM_EWORKER, with the cause. */
typedef struct mpm_pool mpm_pool;

/** Options of mpm_pool_open(); zero is the default. */
typedef struct mpm_pool_options {
    /** Workers in all, from the driver's node on; 0: one a slot. Main's pools use every node, a process's its own. */
    unsigned workers;
    /** How often an item is run whose worker dies in it; 0: 2. If the worker was killed by SIGKILL, likely because
     * the node was out of memory, the item is tried again alone: workers of all pools of the node first finish
     * their chunks, and begin nothing until it has ended; those of other pools wait 30 s at most. */
    unsigned max_attempts;
    /** Items after which a worker is replaced by a new one; 0: any number. */
    size_t max_tasks_per_worker;
    /** Seconds after which an item that still runs is killed, with its worker: never earlier, and at most an eighth
     * later or so, without the time for which a job is suspended. It is tried again: see max_attempts. 0: any time. */
    double item_timeout_s;
    /** Bytes that an item may need. Its worker is looked at about every 20 ms, and killed if it has more memory of
     * its own than that, beside what it had after its initializer; so for that long an item may have more. What
     * earlier items have left in the worker counts; shared memory and mapped files do not. The item is tried
     * again, as often as max_attempts says. 0: any. */
    uint64_t item_memory_bytes;
    mpm_initializer *initializer; /**< called once in each worker, also in those that come later; or NULL */
    const void *initializer_argument; /**< bytes for it, or NULL */
    size_t initializer_argument_size; /**< how many; they are copied once to every node */
    mpm_finalizer *finalizer;         /**< called once in each worker that ends in good order; or NULL */
    /** Seconds after which an initializer or a finalizer that still runs is killed, with its worker: never earlier,
     * and at most an eighth later or so. An initializer has failed then, and so has the pool; after a finalizer
     * the pool goes on, or closes. 0: as item_timeout_s; MPM_FOREVER: any time. */
    double setup_timeout_s;
} mpm_pool_options;

/** Opens a pool and starts its workers. More workers than slots are spread evenly over the nodes. Blocks until the
 * workers run, and all initializers have returned. Main and processes may call it, any thread.
 * @param options  or NULL: defaults
 * @param pool     out: the pool, which the caller ends with mpm_pool_close()
 * @return 0; MPM_ESTATE without a run, or in a worker of a pool; MPM_EINVAL for more than 65536 workers, or
 *         another option that is not valid; MPM_ESYSTEM where the memory of items cannot be limited; MPM_ENOMEM;
 *         MPM_EWORKER if an initializer fails, with what it said, or runs past its time, if workers die as they
 *         start, again and again, or if one cannot be forked; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_pool_open(const mpm_pool_options *options, mpm_pool **pool);

/** Why an item failed. */
enum mpm_cause {
    MPM_CAUSE_TASK,   /**< the task returned `code`, which is not 0 */
    MPM_CAUSE_EXIT,   /**< its worker ended with exit code `code` */
    MPM_CAUSE_SIGNAL, /**< its worker was killed by signal `code`; SIGKILL: likely out of memory */
    MPM_CAUSE_TIME,   /**< it ran past mpm_pool_options.item_timeout_s */
    MPM_CAUSE_MEMORY, /**< it needed more than mpm_pool_options.item_memory_bytes */
};

/** An item that failed. */
typedef struct mpm_failure {
    uint64_t index;       /**< of the item in its map */
    enum mpm_cause cause; /**< why */
    int code;             /**< see there; 0 for some of a map where very many fail */
    unsigned attempts;    /**< how often it was run */
    unsigned node;        /**< where it was run last */
    /** The cause in words: what mpm_fail() was told, or how its worker ended. It stands in the same block of memory as
     * the list that the failure is in, and is valid as long as that: who keeps the failure for longer copies it. */
    const char *text;
} mpm_failure;

/** How far a map is. */
typedef struct mpm_progress {
    uint64_t done;    /**< items finished, failed ones included */
    uint64_t total;   /**< items of the map */
    uint64_t failed;  /**< items failed */
    uint64_t earlier; /**< items finished by earlier runs, which this map continues; rates leave them out */
    double elapsed_s; /**< since the map began */
    /** Which share of the workers' time since then went into items, from 0 to 1, as far as their nodes have said: those
     * of other nodes say it with results. Items of other maps in the same pool count as well. */
    double busy;
    unsigned nodes; /**< on which workers are at it */
    int follows; /**< 1: the map follows its input, so that `total` is what is there by now; 0 in its last word;
                     * see mpm_dataset_map.follow */
    double
        lag_s;   /**< then: for how long the oldest row that is not done has been there, as far as is known */
    double rate; /**< then: rows a second, over the last few seconds */
} mpm_progress;

/** Whether, and how, a map ends before its time and keeps what is done, to be continued later. A map that drains begins
 * no item any more. Those that run have some time to end; then their workers are killed, and they are not done. It
 * drains when the run does: see mpm_drain(). Zero: it does not drain. */
typedef struct mpm_drain_options {
    /** Seconds that items have to end which run when a drain begins; MPM_FOREVER: any time; 0: the map does not
     * drain. */
    double grace_s;
    /** Seconds from its call on in which the map is to have ended, as before the end of a batch job; 0: any. It calls
     * mpm_drain() so early that what it begins by then is likely to end in time: by as much before the end as the
     * longest claim (of one item that takes long, or some that do not) has taken, and a quarter more; by grace_s, or
     * half of the time, as long as no claim has been measured, which those of a fixed `chunk` are not but in maps
     * over data sets. What
     * still runs at the end is killed. */
    double time_s;
} mpm_drain_options;

/** Options of mpm_pool_map(); zero is the default. */
typedef struct mpm_map_options {
    size_t chunk;        /**< items that a worker claims at once; 0: by measured time, about 100 µs each */
    const void *context; /**< bytes that every call can read: mpm_call_context() */
    size_t context_size; /**< how many, at most 1 GiB; they are copied once to every node */
    /** How long each item takes, in any unit, or NULL: those that take longest are begun first, so that none is
     * left over at the end when all others are done. Results are in item order all the same. It takes a copy of
     * the items. For mpm_pool_map() and mpm_pool_map_async() only; mpm_dataset_map has its own. It must stay until
     * the map has ended. */
    const double *costs;
    /** Called about ten times a second from the thread that maps, and once at the end; or NULL. It may call
     * anything but mpm_pool_close() and mpm_pool_terminate() of this pool, and mpm_finalize(), which would wait
     * for the map that waits for this function: they return MPM_ESTATE. */
    void (*progress)(const mpm_progress *now, void *argument);
    void *progress_argument; /**< handed to it */
    /** Out, or NULL: the items that failed, in rising order, with their texts, in one block of memory that the caller
     * frees with free(); NULL if none. It is set when the call returns 0, MPM_ETASK or MPM_EDRAINED, as is the next. */
    mpm_failure **failures;
    size_t *failure_count; /**< out, or NULL: how many */
    mpm_drain_options
        drain; /**< for mpm_pool_map(), its async form and mpm_pool_map_blobs(); mpm_dataset_map has its own */
    /** Out, or NULL: `count` bytes, which the caller has set to 0: 1 for each item that is done, so that its result
     * can be used, or that has failed. With MPM_EDRAINED they say what is left to do. Where items were killed at the
     * end of the grace, others of the same lease may count as not done, too, although they were run. For the calls
     * that `drain` is for. */
    unsigned char *done;
} mpm_map_options;

/** Runs a task over `count` items and puts the results in the order of the items, whatever the workers and nodes.
 * Maps and calls of a pool begin in the order in which they are submitted, on each node; a long map shares the
 * workers with later ones. Blocks until every item is done or has failed. The pool's driver only, any thread;
 * several at once are fine.
 * @param pool         the pool
 * @param task         the function to run
 * @param items        `count` items of `item_size` bytes each; NULL if item_size is 0
 * @param count        how many items
 * @param item_size    bytes of an item
 * @param result_size  bytes of a result
 * @param options      or NULL: defaults
 * @param results      out: room for `count` results of `result_size` bytes each; NULL if that is 0. Where an item
 *                     failed, its result is zero
 * @return 0; MPM_ETASK if items failed: mpm_error() names the first and says how many; the other items' results
 *         are good; MPM_EDRAINED if it was drained: mpm_map_options.done says which results are there, and the
 *         others are undefined. After MPM_EINVAL, MPM_ESTATE (also once the end of the pool or of the run has begun),
 *         MPM_ENOMEM, MPM_EWORKER, MPM_ECANCELED (mpm_pool_terminate()) and MPM_ENODELOST the results are
 *         undefined. */
MPM_API MPM_CHECKED int mpm_pool_map(mpm_pool *pool, mpm_task *task, const void *items, size_t count,
                                     size_t item_size, size_t result_size, const mpm_map_options *options,
                                     void *results);

/** mpm_pool_map() in its short form, with default options: the sizes of an item and of a result are those of the types
 * that the pointers point to.
 *
 *     double numbers[1000], roots[1000];
 *     status = mpm_map(pool, root, numbers, 1000, roots);
 *
 * @param pool     the pool
 * @param task     the function to run
 * @param items    `count` items: a pointer or an array of any type but void
 * @param count    how many items
 * @param results  out: room for `count` results: a pointer or an array of any type but void
 * @return as mpm_pool_map(). */
#define mpm_map(pool, task, items, count, results) \
    mpm_pool_map(pool, task, items, count, MPM_SIZE_AT(items), MPM_SIZE_AT(results), NULL, results)

/** Counts the pool's workers, on all nodes where it has not lost all of them. Never blocks.
 * @param pool  the pool, or NULL
 * @return how many; 0 for NULL, for a pool that has failed or has lost its last worker, once the end of the pool
 *         or of the run has begun, and in a worker. */
MPM_API unsigned mpm_pool_worker_count(const mpm_pool *pool);

/** Ends the workers and frees the pool. Whatever was begun in it before comes to its end. Every call that comes
 * after that instant gets MPM_ESTATE, whichever thread, callback, progress function or generator makes it; so does
 * a call with a pointer to a pool that is closed, unless hundreds of others have been closed since. Blocks until
 * the workers have ended in good order, and callbacks have returned, unless it is called from one. The pool's
 * driver only, any thread.
 * @param pool  the pool; NULL is fine
 * @return 0; MPM_ESTATE if it is closed, or another call is ending it, or the caller is a progress function of a
 *         map of this pool, which waits for the function: nothing is done then. MPM_ETIMEDOUT if finalizers have
 *         run past mpm_pool_options.setup_timeout_s at any time: their workers were killed; MPM_EWORKER if workers
 *         have died in their finalizers: the pool is closed all the same. */
MPM_API int mpm_pool_close(mpm_pool *pool);

/** Kills the workers and frees the pool, now. Whatever still runs in it ends with MPM_ECANCELED, and whatever comes
 * after gets MPM_ESTATE, as for mpm_pool_close(). Blocks until the workers have ended, and callbacks have
 * returned, unless it is called from one. If another call is closing it, what that one waits for is canceled, and
 * this one returns at once. The pool's driver only, any thread.
 * @param pool  the pool; NULL is fine
 * @return 0; MPM_ESTATE if it is closed, or the caller is a progress function of a map of this pool. */
MPM_API int mpm_pool_terminate(mpm_pool *pool);

/** What becomes of what was submitted to a pool that is shut down. */
enum mpm_shutdown {
    MPM_FINISH, /**< all of it comes to its end */
    /** Single calls that no worker has taken, and maps that have not begun, end with MPM_ECANCELED; what runs comes to
     * its end. It is about what runs in the background: what a thread waits for in mpm_pool_map() or mpm_pool_apply()
     * comes to its end. A stream with items that are dropped ends. */
    MPM_DROP,
};

/** Begins the end of a pool, and returns at once. From that instant on every call with it gets MPM_ESTATE, as for
 * mpm_pool_close(); only mpm_pool_join(), mpm_pool_close(), mpm_pool_terminate(), and another shutdown, which may be
 * the one that drops, are still possible. One of them must follow, or mpm_finalize(), which closes the pool: until
 * then its workers wait. The pool's driver only; any thread, callback, progress function or generator.
 * @param pool  the pool
 * @param how   what becomes of what was submitted
 * @return 0; MPM_ESTATE if it is closed, or another call is ending it; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_pool_shutdown(mpm_pool *pool, enum mpm_shutdown how);

/** Waits until all that was submitted to a pool that is shut down has ended, its callbacks have returned, unless it is
 * called from one, and its workers have ended in good order. Then it frees the pool. The pool's driver only, any
 * thread.
 * @param pool       the pool, after mpm_pool_shutdown()
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if the time is up: the pool is still there, and may be joined again, closed or terminated;
 *         MPM_ECANCELED if finalizers have run past mpm_pool_options.setup_timeout_s: their workers were killed;
 *         MPM_EWORKER if workers have died in their finalizers: the pool is closed all the same. MPM_ESTATE if it was
 *         not shut down, is closed, or another call is ending it, or the caller is a progress function of a map of
 *         this pool; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_pool_join(mpm_pool *pool, double timeout_s);

MPM_END

#endif

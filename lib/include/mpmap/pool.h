/* SPDX-License-Identifier: BSD-3-Clause */
/** @file pool.h  Pools of worker processes on all nodes, and maps over items in memory. */
#ifndef MPMAP_POOL_H
#define MPMAP_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

MPM_BEGIN

/** What a task knows of the call that it serves. Valid during that call only. */
typedef struct mpm_call mpm_call;

/** A task: a function of the program, of a library that it is linked with, or of a plugin that it has
 * opened with dlopen; static ones too. It runs in worker processes: globals are each worker's own.
 * @param item    this item: `item_size` bytes, read only; NULL if the item size is 0
 * @param result  room for `result_size` bytes, aligned as an array of results of that size is (the array
 *                itself to 64 bytes); what stands there beforehand is undefined; NULL if the size is 0
 * @return 0, or anything else if the item failed: see mpm_fail(). */
typedef int mpm_task(mpm_call *call, const void *item, void *result);

/** Says why the item fails, in at most 191 bytes.
 * @return 1, so that a task can `return mpm_fail(call, "x is %g", x);`. */
MPM_API int mpm_fail(mpm_call *call, const char *format, ...) MPM_FORMAT(2, 3);

/** The index of the item in its map, from 0. */
MPM_API size_t mpm_call_index(const mpm_call *call);
/** The size of the item in bytes. */
MPM_API size_t mpm_call_item_size(const mpm_call *call);
/** The size of the result in bytes. */
MPM_API size_t mpm_call_result_size(const mpm_call *call);
/** The context that mpm_map_options gave: the node's own copy of its bytes, read only; NULL if none. */
MPM_API const void *mpm_call_context(const mpm_call *call);

/** A pool of workers. */
typedef struct mpm_pool mpm_pool;

/** Options of mpm_pool_open; zero is the default. */
typedef struct mpm_pool_options {
    unsigned workers;      /**< in all, filled from main's node on; 0: one a slot of every node */
    unsigned max_attempts; /**< runs that an item gets whose worker dies in it; 0: 2 */
} mpm_pool_options;

/** Opens a pool and starts its workers. More workers than slots are spread evenly over the nodes.
 * Blocks until the workers run. Main only, any thread.
 * @param pool  out: the pool, which the caller ends with mpm_pool_close()
 * @return MPM_ESTATE without a run, or in a worker; MPM_EINVAL for more than 65536 workers;
 *         MPM_ENOMEM; MPM_EWORKER if workers die as they start; MPM_EHOSTLOST; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_pool_open(const mpm_pool_options *options, mpm_pool **pool);

/** Where a map stands. */
typedef struct mpm_progress {
    uint64_t done;    /**< items finished, failed ones included */
    uint64_t total;   /**< items of the map */
    uint64_t failed;  /**< items failed */
    double elapsed_s; /**< since the map began */
} mpm_progress;

/** Options of mpm_pool_map; zero is the default. */
typedef struct mpm_map_options {
    size_t chunk;        /**< items that a worker claims at once; 0: by measured time, about 100 µs each */
    const void *context; /**< bytes that every call can read: mpm_call_context() */
    size_t context_size; /**< how many; they are copied once to every node */
    /** Called about ten times a second from the thread that maps, and once at the end; or NULL. */
    void (*progress)(const mpm_progress *now, void *argument);
    void *progress_argument; /**< handed to it */
} mpm_map_options;

/** Runs a task over `count` items and puts the results in item order, whatever the workers and nodes.
 * Blocks until every item is done or failed. Main only, any thread; several at once are fine.
 * @param items    `count` items of `item_size` bytes each; NULL if item_size is 0
 * @param results  out: room for `count` results of `result_size` bytes each; NULL if that is 0. Where an
 *                 item failed, its result is zero
 * @return MPM_ETASK if items failed: mpm_error() names the first and says how many; the other items'
 *         results are good. MPM_EINVAL, MPM_ESTATE, MPM_ENOMEM, MPM_EWORKER, MPM_EHOSTLOST, MPM_ENODELOST:
 *         results are undefined then. */
MPM_API MPM_CHECKED int mpm_pool_map(mpm_pool *pool, mpm_task *task, const void *items, size_t count,
                                     size_t item_size, const mpm_map_options *options, void *results,
                                     size_t result_size);

/** The pool's workers, in all. */
MPM_API unsigned mpm_pool_worker_count(const mpm_pool *pool);

/** Ends the workers and frees the pool; NULL is fine. Blocks until they have ended. No map may be running.
 * Main only. */
MPM_API void mpm_pool_close(mpm_pool *pool);

MPM_END

#endif

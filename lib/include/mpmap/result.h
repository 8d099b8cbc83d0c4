/* SPDX-License-Identifier: BSD-3-Clause */
/** @file result.h  Maps and calls that nobody waits for yet: asynchronous results, and single calls. */
#ifndef MPMAP_RESULT_H
#define MPMAP_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** What will come of a map or a call. It may outlive its pool. The pool's driver only, any thread. */
typedef struct mpm_result mpm_result;

/** What is called when a result is ready, in a thread of the library that does nothing else: one after the other, in
 * the order in which results become ready. They may call anything but mpm_finalize(), also mpm_result_get(),
 * mpm_result_cancel(), mpm_result_destroy() and mpm_pool_terminate(). A result is ready before its callback is called, and is valid in
 * it even if another thread destroys it meanwhile. One that ends its thread, as pthread_exit() does, has ended: the next one
 * is called in another thread. */
typedef struct mpm_callbacks {
    void (*done)(mpm_result *result, void *argument);  /**< it was successful; or NULL */
    void (*error)(mpm_result *result, void *argument); /**< it was not: mpm_result_get() says why; or NULL */
    void *argument;                                    /**< handed to them */
} mpm_callbacks;

/** Begins a map as mpm_pool_map() does, and returns at once. Any number may run at once. They begin in the order in which
 * they were submitted, single calls, too: first in, first out on each node. So what waits for something that was
 * submitted before waits for what has begun, or has a worker; what waits for something that comes later may keep it out.
 * @param items      as for mpm_pool_map(); they must stay as they are until the result is ready
 * @param options    as for mpm_pool_map(), without progress and failures; the context is copied; NULL: defaults
 * @param results    room for `count` results, which must stay until the result is ready; NULL: the result has room
 *                   of its own, and mpm_result_get() tells where
 * @param callbacks  or NULL; copied
 * @param result     out: the caller ends it with mpm_result_destroy(); NULL if only callbacks are wanted
 * @return MPM_EINVAL, MPM_ESTATE, MPM_ENOMEM, MPM_ESYSTEM, MPM_ENODELOST: nothing was begun. */
MPM_API MPM_CHECKED int mpm_pool_map_async(mpm_pool *pool, mpm_task *task, const void *items, size_t count,
                                           size_t item_size, size_t result_size,
                                           const mpm_map_options *options, const mpm_callbacks *callbacks,
                                           void *results, mpm_result **result);

/** Runs a task once in a worker of the pool, with `item` and its index 0, and waits for it. A worker that has nothing to
 * do is found on any node; if all are busy, the call goes before the next items of maps that have begun on the driver's node, and behind
 * calls and maps that were submitted before and have not, or to the first worker of another node that runs out of work.
 * Statuses as mpm_pool_map(); `result` (or NULL, if its size is 0) is untouched then. The pool's driver only, any thread. */
MPM_API MPM_CHECKED int mpm_pool_apply(mpm_pool *pool, mpm_task *task, const void *item, size_t item_size,
                                       size_t result_size, void *result);

/** Has a task run once in a worker of the pool, and returns at once. The item is copied. Parameters as
 * mpm_pool_map_async(). */
MPM_API MPM_CHECKED int mpm_pool_apply_async(mpm_pool *pool, mpm_task *task, const void *item,
                                             size_t item_size, size_t result_size,
                                             const mpm_callbacks *callbacks, mpm_result **result);

/** Whether it is ready. Never blocks.
 * @param is_ready  out
 * @return MPM_EINVAL for NULL. */
MPM_API MPM_CHECKED int mpm_result_is_ready(const mpm_result *result, bool *is_ready);

/** Waits until it is ready, whatever has come of it.
 * @param timeout_s  seconds, or MPM_FOREVER; 0 does not wait
 * @return MPM_ETIMEDOUT if it is not; MPM_EINTERRUPTED (see mpm_interrupt_waits in wait.h). */
MPM_API MPM_CHECKED int mpm_result_wait(mpm_result *result, double timeout_s);

/** Waits until it is ready, and tells what has come of it; again and again the same.
 * @param results  out, also with MPM_ETASK: where the results stand, valid until mpm_result_destroy() if the room is
 *                 the result's own; NULL if they have no size; or NULL
 * @return the status of the map with its sentence; MPM_ECANCELED if it or its pool was ended before;
 *         MPM_ETIMEDOUT if it is not ready; MPM_EINTERRUPTED. */
MPM_API MPM_CHECKED int mpm_result_get(mpm_result *result, double timeout_s, const void **results);

/** Whether it has succeeded. Never blocks.
 * @param is_successful  out
 * @return MPM_EBUSY if it is not ready; MPM_EINVAL for NULL. */
MPM_API MPM_CHECKED int mpm_result_is_successful(const mpm_result *result, bool *is_successful);

/** The items that failed, in rising order.
 * @param failures  out: an array that is valid until mpm_result_destroy(); NULL if none
 * @param count     out: how many
 * @return MPM_EBUSY if it is not ready. Never blocks. */
MPM_API MPM_CHECKED int mpm_result_failures(const mpm_result *result, const mpm_failure **failures,
                                            size_t *count);

/** Ends it: what waits is dropped, workers that are in an item of it are killed (the pool has new ones), and it is
 * ready then with MPM_ECANCELED. Blocks until that is so, some milliseconds.
 * @return MPM_ESTATE if it was ready before: it stays as it is. */
MPM_API int mpm_result_cancel(mpm_result *result);

/** Frees it, after mpm_result_cancel() if it is not ready; NULL is fine. A callback's result that no place was given for is
 * freed after the callback: there this does nothing. */
MPM_API void mpm_result_destroy(mpm_result *result);

MPM_END

#endif

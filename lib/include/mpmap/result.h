/* SPDX-License-Identifier: BSD-3-Clause */
/** @file result.h  Maps and calls in the background, their results, and single calls. */
#ifndef MPMAP_RESULT_H
#define MPMAP_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"
#include "pool.h"

MPM_BEGIN

/** The result of a map or a call that may still be running. It may outlive its pool. The pool's driver only, any
 * thread. */
typedef struct mpm_result mpm_result;

/** Functions that are called when a result is ready, in a thread of the library that does nothing else: one after
 * the other, in the order in which results become ready. They may call anything but mpm_finalize(), also
 * mpm_result_get(), mpm_result_cancel(), mpm_result_destroy() and mpm_pool_terminate(). A result is ready before
 * its callback is called, and is valid in it even if another thread destroys it meanwhile. If a callback ends its
 * thread (pthread_exit), the next one is called in another thread. */
typedef struct mpm_callbacks {
    void (*done)(mpm_result *result, void *argument);  /**< it was successful; or NULL */
    void (*error)(mpm_result *result, void *argument); /**< it was not: mpm_result_get() says why; or NULL */
    void *argument;                                    /**< handed to them */
} mpm_callbacks;

/** Begins a map as mpm_pool_map() does, and returns at once. Any number may run at the same time. Maps and single
 * calls begin in the order in which they were submitted, on each node. So what waits for something that was
 * submitted before waits for something that has begun, or has a worker; what waits for something that comes later
 * may keep it from beginning. The pool's driver only, any thread.
 * @param pool         the pool
 * @param task         the function to run
 * @param items        `count` items of `item_size` bytes each; they must stay as they are until the result is
 *                     ready
 * @param count        how many items
 * @param item_size    bytes of an item
 * @param result_size  bytes of a result
 * @param options      as for mpm_pool_map(), without progress and failures; the context is copied; NULL: defaults
 * @param callbacks    what to call when the result is ready; copied; or NULL
 * @param results      room for `count` results, which must stay until the result is ready; NULL: the result has
 *                     memory of its own, and mpm_result_get() tells where
 * @param result       out: the caller ends it with mpm_result_destroy(); NULL if only callbacks are wanted
 * @return 0; MPM_EINVAL, MPM_ESTATE, MPM_ENOMEM, MPM_ESYSTEM, MPM_ENODELOST: nothing was begun. */
MPM_API MPM_CHECKED int mpm_pool_map_async(mpm_pool *pool, mpm_task *task, const void *items, size_t count,
                                           size_t item_size, size_t result_size,
                                           const mpm_map_options *options, const mpm_callbacks *callbacks,
                                           void *results, mpm_result **result);

/** Runs a task once in a worker of the pool, with index 0, and waits for it. An idle worker is found on any node.
 * If all are busy, the call goes before the next items of maps that have begun on the driver's node, and after
 * calls and maps that were submitted before and have not begun; or to the first worker of another node that runs
 * out of work. The pool's driver only, any thread.
 * @param pool         the pool
 * @param task         the function to run
 * @param item         `item_size` bytes; NULL if that is 0
 * @param item_size    bytes of the item
 * @param result_size  bytes of the result
 * @param result       out: the result; NULL if its size is 0; untouched if the call fails
 * @return as mpm_pool_map(). */
MPM_API MPM_CHECKED int mpm_pool_apply(mpm_pool *pool, mpm_task *task, const void *item, size_t item_size,
                                       size_t result_size, void *result);

/** mpm_pool_apply() in its short form: the sizes of the item and of the result are those of the types that the pointers
 * point to.
 * @param pool    the pool
 * @param task    the function to run
 * @param item    a pointer to the item, of any type but void and char
 * @param result  out: a pointer to room for the result, of any type but void and char
 * @return as mpm_pool_apply(). */
#define mpm_apply(pool, task, item, result) \
    mpm_pool_apply(pool, task, item, MPM_SIZE_OF_ONE(item), MPM_SIZE_OF_ONE(result), result)

/** Has a task run once in a worker of the pool, and returns at once. The pool's driver only, any thread.
 * @param pool         the pool
 * @param task         the function to run
 * @param item         `item_size` bytes, which are copied; NULL if that is 0
 * @param item_size    bytes of the item
 * @param result_size  bytes of the result
 * @param callbacks    what to call when the result is ready; copied; or NULL
 * @param result       out: the caller ends it with mpm_result_destroy(); NULL if only callbacks are wanted
 * @return as mpm_pool_map_async(). */
MPM_API MPM_CHECKED int mpm_pool_apply_async(mpm_pool *pool, mpm_task *task, const void *item,
                                             size_t item_size, size_t result_size,
                                             const mpm_callbacks *callbacks, mpm_result **result);

/** Tells whether a result is ready. Never blocks.
 * @param result    the result
 * @param is_ready  out: whether it is
 * @return 0; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_result_is_ready(const mpm_result *result, bool *is_ready);

/** Waits until a result is ready, whether it was successful or not.
 * @param result     the result
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if it is not ready in time; MPM_EINTERRUPTED, see mpm_interrupt_waits(); MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_result_wait(mpm_result *result, double timeout_s);

/** Waits until one of several results is ready, whether it was successful or not. To take results as they come, set
 * those that were taken to NULL:
 *
 *     for (size_t left = count, i; left; left--) {
 *         if (mpm_result_wait_any(results, count, MPM_FOREVER, &i))
 *             return mpm_report_error();
 *         use(results[i]);
 *         mpm_result_destroy(results[i]);
 *         results[i] = NULL;
 *     }
 *
 * @param results    `count` results; those that are NULL are passed over
 * @param count      how many
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param ready      out: the index of the first one that is ready
 * @return 0; MPM_ETIMEDOUT if none is ready in time; MPM_EINVAL, also if all are NULL; MPM_EINTERRUPTED, see
 *         mpm_interrupt_waits(); MPM_ESTATE in a child that the program has forked itself. */
MPM_API MPM_CHECKED int mpm_result_wait_any(mpm_result *const *results, size_t count, double timeout_s,
                                            size_t *ready);

/** Gives a handle of a result for mpm_wait_any(), which waits for results beside processes, queues and other objects.
 * Only the process that has the result can wait for it. The handle ends with the result. Does not block.
 * @param result  the result
 * @param handle  out: its handle, each time the same
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_result_handle(mpm_result *result, mpm_handle *handle);

/** Waits until a result is ready, and gives it. May be called again and again, and gives the same.
 * @param result     the result
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param results    out, also with MPM_ETASK and MPM_EDRAINED: where the results are, valid until mpm_result_destroy()
 *                   if that is the result's own memory; NULL if they have no size. Or NULL
 * @return what the map or call would have returned, with its sentence: 0, MPM_ETASK, …; MPM_ECANCELED if it or its
 *         pool was ended before; MPM_ETIMEDOUT if it is not ready in time; MPM_EINTERRUPTED, see
 *         mpm_interrupt_waits(); MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_result_get(mpm_result *result, double timeout_s, const void **results);

/** Tells whether a result that is ready has succeeded. Never blocks.
 * @param result         the result
 * @param is_successful  out: whether mpm_result_get() gives 0
 * @return 0; MPM_EBUSY if it is not ready; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_result_is_successful(const mpm_result *result, bool *is_successful);

/** Lists the items that failed, in rising order. Never blocks.
 * @param result    the result
 * @param failures  out: an array that is valid until mpm_result_destroy(), as are its texts; NULL if nothing failed
 * @param count     out: how many failed
 * @return 0; MPM_EBUSY if the result is not ready; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_result_failures(const mpm_result *result, const mpm_failure **failures,
                                            size_t *count);

/** Ends a map or a call before its time: what waits is dropped, workers that are running an item of it are killed
 * (the pool gets new ones), and the result is ready with MPM_ECANCELED. Blocks until that is so, some
 * milliseconds.
 * @param result  the result
 * @return 0; MPM_ESTATE if it was ready before: it stays as it is; MPM_EINVAL. */
MPM_API int mpm_result_cancel(mpm_result *result);

/** Frees a result, after mpm_result_cancel() if it is not ready. A result that no place was given for is freed
 * after its callback; in the callback this does nothing.
 * @param result  the result; NULL is fine */
MPM_API void mpm_result_destroy(mpm_result *result);

MPM_END

#endif

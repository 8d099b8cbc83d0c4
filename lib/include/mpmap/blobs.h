/* SPDX-License-Identifier: BSD-3-Clause */
/** @file blobs.h  Maps over items of any length each, with results of any length. */
#ifndef MPMAP_BLOBS_H
#define MPMAP_BLOBS_H

#include <stddef.h>

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** Bytes of any length: a text, a file, a picture. */
typedef struct mpm_blob {
    const void *bytes; /**< where they are; may be NULL if there are none */
    size_t size;       /**< how many; at most 1 GiB */
} mpm_blob;

/** Runs a task over items of any length, with results of any length. The task gets the bytes of its item, aligned
 * to 16, their number by mpm_call_item_size(), and NULL for the result, for which it gets memory by
 * mpm_call_blob(). Blocks until every item is done or has failed. The pool's driver only, any thread; several at
 * once are fine.
 * @param pool     the pool
 * @param task     the function to run
 * @param items    `count` items; at most some MiB of them are on their way at once, but at least one item
 * @param count    how many items
 * @param options  as for mpm_pool_map(); NULL: defaults
 * @param results  out, also with MPM_ETASK and MPM_EDRAINED: `count` results in the order of the items, which the
 *                 caller frees with mpm_blobs_free(). Where an item failed, or is not done, `bytes` is NULL. Each result is followed by a byte of 0,
 *                 so that a text is a string, and is aligned to 16. NULL: the results are not wanted
 * @return as mpm_pool_map(). */
MPM_API MPM_CHECKED int mpm_pool_map_blobs(mpm_pool *pool, mpm_task *task, const mpm_blob *items,
                                           size_t count, const mpm_map_options *options, mpm_blob **results);

/** Gives memory for the result of a task of mpm_pool_map_blobs(). Called again it makes that larger or smaller,
 * like realloc(); what has been written stays. A task that does not call it has a result of no bytes.
 * @param call  the call that the task was given
 * @param size  bytes of the result, at most 1 GiB
 * @return the memory, aligned to 16, valid until the next call of this function or the return of the task; NULL if
 *         there is none: the reason was given to mpm_fail() already, so that the task can just return 1. */
MPM_API void *mpm_call_blob(mpm_call *call, size_t size);

/** Frees the results of mpm_pool_map_blobs(), all of them with their bytes. Any thread.
 * @param results  the results; NULL is fine */
MPM_API void mpm_blobs_free(mpm_blob *results);

MPM_END

#endif

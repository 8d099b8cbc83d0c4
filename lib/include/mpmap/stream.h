/* SPDX-License-Identifier: BSD-3-Clause */
/** @file stream.h  Maps over items that are made while the map runs, without end if need be. */
#ifndef MPMAP_STREAM_H
#define MPMAP_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** Makes the next item of a stream. It is called in a thread of the stream's own, one call at a time. It may block,
 * and call anything but mpm_stream_close() of its own stream, and mpm_finalize().
 * @param argument  what mpm_pool_imap() was given
 * @param item      out: room for an item
 * @return 1 if there is an item; 0 at the end; a negative value of its own if it fails: then the stream ends with
 *         MPM_EGENERATOR, as it does if the generator ends its thread. */
typedef int mpm_generator(void *argument, void *item);

/** The order of results. */
enum mpm_order {
    MPM_ORDERED,   /**< that of the items */
    MPM_UNORDERED, /**< as they are ready; those of one chunk together */
};

/** Options of mpm_pool_imap; zero is the default. */
typedef struct mpm_stream_options {
    enum mpm_order order; /**< of the results */
    size_t buffer;        /**< items that the generator may be ahead of mpm_stream_next(); 0: 64 a worker */
    size_t chunk;         /**< items that go to a node at once; 0: by measured time, one at first */
    const void *context;  /**< bytes that every call can read: mpm_call_context(); copied */
    size_t context_size;  /**< how many, at most 1 GiB */
} mpm_stream_options;

/** Results of a map over what a generator makes. The pool's driver only; any thread, also several at once. */
typedef struct mpm_stream mpm_stream;

/** Begins a map over the items that a generator makes, and returns at once. mpm_call_index() counts the items from
 * 0. If the pool is closed, items that were made come to their end if the generator has ended; otherwise the
 * stream ends with MPM_ECANCELED. The pool's driver only, any thread.
 * @param pool         the pool
 * @param task         the function to run
 * @param generator    makes the items
 * @param argument     given to it
 * @param item_size    bytes of an item
 * @param result_size  bytes of a result
 * @param options      or NULL: defaults
 * @param stream       out: the caller ends it with mpm_stream_close()
 * @return 0; MPM_EINVAL; MPM_ESTATE; MPM_ENOMEM; MPM_ESYSTEM; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_pool_imap(mpm_pool *pool, mpm_task *task, mpm_generator *generator,
                                      void *argument, size_t item_size, size_t result_size,
                                      const mpm_stream_options *options, mpm_stream **stream);

/** Begins a map over the items of an array, as mpm_pool_imap() does over those that a generator makes: results come one
 * by one, while the map runs.
 * @param pool         the pool
 * @param task         the function to run
 * @param items        `count` items of `item_size` bytes each, which must stay as they are until the stream has given
 *                     its last result, or is closed; NULL if `item_size` is 0
 * @param count        how many items
 * @param item_size    bytes of an item
 * @param result_size  bytes of a result
 * @param options      or NULL: defaults
 * @param stream       out: the caller ends it with mpm_stream_close()
 * @return as mpm_pool_imap(). */
MPM_API MPM_CHECKED int mpm_pool_imap_array(mpm_pool *pool, mpm_task *task, const void *items, size_t count,
                                            size_t item_size, size_t result_size,
                                            const mpm_stream_options *options, mpm_stream **stream);

/** Gives the next result. Waits until there is one. Several threads may call it at once.
 * @param stream     the stream
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param result     out: `result_size` bytes; NULL if that is 0
 * @param index      out, also with MPM_ETASK: the index of its item; or NULL
 * @return 0; MPM_ETASK if its item has failed: mpm_error() says why, and the stream continues; MPM_ECLOSED at the
 *         end; MPM_ETIMEDOUT, MPM_EINTERRUPTED (see mpm_interrupt_waits()): nothing is lost; MPM_EGENERATOR if the
 *         generator has failed, after all results: mpm_error() has the value that it returned; MPM_ECANCELED if
 *         the pool was ended; MPM_EINVAL; any other status if the map cannot continue. All but MPM_ETASK,
 *         MPM_ETIMEDOUT and MPM_EINTERRUPTED are final: later calls return the same. */
MPM_API MPM_CHECKED int mpm_stream_next(mpm_stream *stream, double timeout_s, void *result, uint64_t *index);

/** Ends a stream and frees it, with all results that it has not given yet. Blocks until its generator has returned,
 * and for some milliseconds more. No other thread may use it any more.
 * @param stream  the stream; NULL is fine */
MPM_API void mpm_stream_close(mpm_stream *stream);

MPM_END

#endif

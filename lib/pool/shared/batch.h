/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps whose tasks take whole chunks of items, which they fetch and store themselves: for data/.
 *
 * A batch task runs in a worker. It gets items [first, first + count) of the map and calls
 * batch_begin_item() before it works on each, so that a crash is blamed on the right one, and
 * batch_fail_item() after one that failed. Only when it returns 0 are its items done: what it has stored
 * must be where it belongs by then. If its worker dies first, all of them are run again, but for an item
 * that has used up its attempts. For pool/ and data/. */
#ifndef POOL_SHARED_BATCH_H
#define POOL_SHARED_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#define MAX_CONTEXT_SIZE ((size_t)1 << 30) /* of any map: it goes to a node in one message */

/* 0, or a negative status that ends the whole map, with its text said by mpm_fail(). */
typedef int batch_task(mpm_call *call, uint64_t first, size_t count);

/* Publishes that what the worker does from here on, until it begins an item, is for item `index`: a death then is
 * blamed on that, but the time and the memory that it takes are not. */
void batch_make_ready(uint64_t index);
/* Publishes that the worker is in item `index` from here on, and clears what mpm_fail() has said;
 * mpm_call_index() is `index` then. `item_size` and `result_size` are what the accessors of the call tell. */
void batch_begin_item(mpm_call *call, uint64_t index, size_t item_size, size_t result_size);
/* Publishes that it is in items [index, index + count) from here on, which one call of the user's task takes, until
 * batch_end_block(): a death then is blamed on none of them. All of the batch are run again, in batches of one item. */
void batch_begin_block(mpm_call *call, uint64_t index, size_t count, size_t item_size, size_t result_size);
void batch_end_block(mpm_call *call);
/* Records that the item that was begun last has failed, with the text of mpm_fail() if there is one, else
 * with its `code`. */
void batch_fail_item(mpm_call *call, int code);
/* What mpm_fail() has said of the item that was begun last, but for the end of a very long text; "": nothing. */
const char *batch_text(const mpm_call *call);
/* Sets what mpm_call_context() tells from here on: for its items a batch task shows their own context, which
 * stands somewhere in the batch's, or NULL. Before it returns it shows the batch's again. */
void batch_show_context(mpm_call *call, const void *context);

struct batch_map {
    batch_task *task; /* a function of libmpmap */
    uint64_t count;
    /* What the items are called, in rising order, if they are some of those of a larger map: consecutive ones come
     * together. `costs` are in the same order. NULL: 0, 1, …, count - 1. Valid until the map has ended. */
    const uint64_t *indexes;
    /* Run once in a worker of each other node, as for one item 0, before any item is run on any node: a status ends the
     * map there. It begins no item. It has the first `check_context_size` bytes of the context. NULL: nothing is
     * run. */
    batch_task *check;
    size_t check_context_size;
    size_t chunk;       /* items a claim; 0: by measured time */
    size_t chunk_limit; /* the most items a claim; 0: no limit */
    const double
        *costs;     /* of each item: the most costly are begun first, and a batch may be one item; or NULL */
    double chunk_s; /* how long a chunk should take if chunk is 0; 0: the pool's usual */
    const void *context; /* mpm_call_context() of every call */
    size_t context_size;
    void (*progress)(const mpm_progress *now, void *argument);
    void *progress_argument;
    /* Called in the thread that maps for each item that has failed because its worker died, and for some or all of the
     * others: of very many, fewer. 0, or a status that ends the map, with its sentence. Or NULL. */
    int (*failed)(const mpm_failure *failure, void *argument);
    void *failed_argument;
    uint64_t max_failures; /* more end the map, with MPM_ECANCELED; 0: none do */
    mpm_drain_options drain;
};

/* MPM_EINVAL, naming the call, for what cannot be. */
int pool_check_drain(const char *call, const mpm_drain_options *drain);

/* Runs it. Blocks. The pool's driver only. It keeps no list of failures, so it takes a bounded part of memory. Statuses
 * as mpm_pool_map. */
int pool_map_batches(mpm_pool *pool, const struct batch_map *map);

#endif

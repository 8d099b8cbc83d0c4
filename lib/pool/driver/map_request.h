/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wanted of a map, and how it has ended. For pool/driver/. */
#ifndef POOL_DRIVER_MAP_REQUEST_H
#define POOL_DRIVER_MAP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#include "node/function.h"
#include "pool/shared/blob.h"
#include "pool/shared/job_spec.h"

#define MAP_ALL_NODES UINT32_MAX

/* What a caller wants, of items in memory or of batches. Pointers are valid until the map has ended. */
struct map_request {
    function_pointer *task;
    enum job_kind kind;
    bool is_apply;        /* it is one call: its failure is told as that */
    bool is_in_line;      /* it counts in its pool's `in_line`: see pool_stand_in_line() */
    unsigned node;        /* where it is to run, or MAP_ALL_NODES */
    bool stays;           /* there, while that has workers: it is no call that any node may have */
    uint64_t first_index; /* what mpm_call_index() tells of item 0; not for batches */
    uint64_t count, item_size, result_size;
    const char *items;
    char *results;
    /* Instead of results, of JOB_REDUCE: takes those of items [first, first + count), as they are done, in the thread
     * that maps. 0, or a status that ends the map. */
    int (*take)(void *argument, uint64_t first, uint64_t count, const char *results);
    void *take_argument;
    uint64_t total_items, leaf_items,
        part_items;                 /* of JOB_REDUCE: the caller's, in all, in an item, in a part */
    const mpm_blob *blobs;          /* the items of JOB_BLOBS, which have no items and results else */
    struct blob_list *blob_results; /* where its results go; NULL: nowhere */
    const double *costs;     /* of each item, for JOB_PLAIN and JOB_BATCH: the most costly first; or NULL */
    const uint64_t *indexes; /* for JOB_BATCH: what the items are called, in rising order; NULL: 0, 1, … */
    uint64_t chunk, chunk_limit;
    double chunk_s;
    const void *context;
    size_t context_size;
    void (*progress)(const mpm_progress *now, void *argument);
    void *progress_argument;
    /* Of batches: called for items that have failed, and no list of them is kept. 0, or a status that ends the map. */
    int (*failed)(const mpm_failure *failure, void *argument);
    void *failed_argument;
    uint64_t max_failures; /* more end the map; 0: none do */
    mpm_drain_options drain;
    unsigned char *done; /* a byte an item: set to 1 when it is done; or NULL */
};

#define MAP_SMALL_ITEMS 4096u
#define MAP_SMALL_BYTES ((uint64_t)64 << 10) /* of items and results, and of a context */

static inline bool map_request_is_small(const struct map_request *request)
{
    return request->kind == JOB_PLAIN && request->count && request->count <= MAP_SMALL_ITEMS &&
           request->count * (request->item_size + request->result_size) <= MAP_SMALL_BYTES &&
           request->context_size <= MAP_SMALL_BYTES;
}

/* How a map has ended. */
struct map_outcome {
    int status;
    char *sentence;        /* of the status; NULL if that is 0, or without memory for it. The caller's */
    mpm_failure *failures; /* in rising order; NULL if there are none. The caller's */
    size_t failure_count;
};

#endif

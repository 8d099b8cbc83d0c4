/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node has to know of a map: plain bytes, which stand in arenas and travel as they are. For pool/. */
#ifndef POOL_SHARED_JOB_SPEC_H
#define POOL_SHARED_JOB_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "node/function.h"

enum job_kind {
    JOB_PLAIN,   /* items and results of one size each */
    JOB_BATCH,   /* see batch.h */
    JOB_INDEXED, /* as JOB_PLAIN, in another order: each item has its index in the map in its last 8 bytes */
    JOB_INDEXED_BATCH, /* as JOB_BATCH, in another order: an item is its index in the map, of 8 bytes */
    JOB_REDUCE,        /* as JOB_BATCH: an item is a leaf of a reduction, its result a state: see reduce.h */
    JOB_BLOBS, /* items and results of any length: see blob.h. Its results in a lease are references to them */
};

struct job_spec {
    uint64_t id;             /* unique in the run, from 1 */
    uint64_t task_id;        /* unique in the run for `task`, so that it need not be compared */
    uint32_t kind;           /* enum job_kind */
    uint32_t chunk;          /* items a claim; 0: by measured time */
    uint64_t chunk_limit;    /* the most items a claim */
    double chunk_s;          /* how long a chunk should take if `chunk` is 0 */
    uint64_t first_index;    /* what mpm_call_index() tells of item 0 of a plain task */
    uint64_t item_size;      /* of a plain task; with its index if the job is in another order */
    uint64_t task_item_size; /* what the task has of it */
    uint64_t result_size;    /* of a plain task */
    uint64_t items_bytes; /* of all items, if the last one of JOB_REDUCE is shorter; 0: count by item_size */
    uint32_t parts;       /* of an item, each of which is blamed for itself; 1, but for JOB_REDUCE */
    uint32_t is_small;    /* few items: perhaps a step of many, whose messages somebody waits for */
    uint64_t part_items;  /* what the caller calls items in a part, and in an item; 1, but for JOB_REDUCE */
    uint64_t leaf_items;
    uint64_t text_room;    /* bytes that long texts of failed items may have on a node */
    uint64_t context_size; /* bytes behind the struct */
    struct function task;  /* an mpm_task, or for JOB_BATCH a batch_task: last, because it is long */
};

/* Items are in another order than in their map, so the place of one in its lease does not give its index. */
static inline bool job_is_indexed(const struct job_spec *spec)
{
    return spec->kind == JOB_INDEXED || spec->kind == JOB_INDEXED_BATCH;
}

static inline bool job_is_batch(const struct job_spec *spec)
{
    return spec->kind == JOB_BATCH || spec->kind == JOB_INDEXED_BATCH || spec->kind == JOB_REDUCE;
}

/* The bytes of items [first, first + count). */
static inline uint64_t job_bytes_of(const struct job_spec *spec, uint64_t first, uint64_t count)
{
    uint64_t begin = first * spec->item_size, end = begin + count * spec->item_size;

    return (spec->items_bytes && end > spec->items_bytes ? spec->items_bytes : end) - begin;
}

#endif

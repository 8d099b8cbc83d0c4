/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node has to know of a map: plain bytes, which stand in arenas and travel as they are. For pool/. */
#ifndef POOL_JOB_SPEC_H
#define POOL_JOB_SPEC_H

#include <stdint.h>

#include "node/function.h"

enum job_kind {
    JOB_PLAIN,   /* items and results of one size each */
    JOB_BATCH,   /* see batch.h */
    JOB_INDEXED, /* as JOB_PLAIN, in another order: each item has its index in the map in its last 8 bytes */
    JOB_BLOBS, /* items and results of any length: see blob.h. Its results in a lease are references to them */
};

struct job_spec {
    uint64_t id;             /* unique in the run, from 1 */
    struct function task;    /* an mpm_task, or for JOB_BATCH a batch_task */
    uint32_t kind;           /* enum job_kind */
    uint32_t chunk;          /* items a claim; 0: by measured time */
    uint64_t chunk_limit;    /* the most items a claim */
    double chunk_s;          /* how long a chunk should take if `chunk` is 0 */
    uint64_t first_index;    /* what mpm_call_index() tells of item 0 of a plain task */
    uint64_t item_size;      /* of a plain task, with its index for JOB_INDEXED */
    uint64_t task_item_size; /* what the task has of it */
    uint64_t result_size;    /* of a plain task */
    uint64_t context_size;   /* bytes behind the struct */
};

#endif

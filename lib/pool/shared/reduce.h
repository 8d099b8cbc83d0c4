/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions, for those who know where the items are: an item of a JOB_REDUCE is a leaf. Its batch task runs in a
 * worker. It gets leaves [first, first + count), and for each of them calls reduce_begin_leaf() and then reduce_items()
 * with all of its items, in their order, in as many pieces as it likes that begin at whole parts. board.h says what is
 * shared. For pool/ and data/. */
#ifndef POOL_SHARED_REDUCE_H
#define POOL_SHARED_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/reduce.h"

#include "node/function.h"
#include "pool/shared/batch.h"

/* What a worker must know, as plain bytes: the beginning of the job's context. Offsets count from the struct. */
struct reduce_job {
    struct function accumulate, init;
    bool is_block, has_init;
    uint64_t total_items, leaf_items, part_items;
    uint64_t item_size, state_size;
    uint64_t initial, context; /* offsets; 0: none */
    uint64_t source;           /* offset of what the batch task needs besides; 0: nothing */
};

/* What is to be reduced, and by whom. */
struct reduce_source {
    const char *call; /* the public function, for errors */
    batch_task *task;
    uint64_t count, item_size;
    const void *items;  /* NULL: the task gets them itself */
    const void *source; /* bytes for it */
    size_t source_size;
    double chunk_s; /* how long a claim should take; 0: the pool's usual */
};

/* The items of a leaf. */
static inline uint64_t reduce_leaf_count(const struct reduce_job *job, uint64_t leaf)
{
    uint64_t left = job->total_items - leaf * job->leaf_items;

    return left < job->leaf_items ? left : job->leaf_items;
}

/* In a worker. 0, or a status that ends the map, said by mpm_fail(). */
int reduce_find_functions(mpm_call *call, const struct reduce_job *job);
/* Makes the state of no items. */
void reduce_begin_leaf(mpm_call *call, const struct reduce_job *job, uint64_t leaf);
/* Publishes that what the worker does from here on, until it adds an item, is for item `first` of the leaf that was
 * begun: a death then is blamed on its part. Returns how many of `count` items from there on are to be added together:
 * those before a part that has cost too many workers. 0: it begins such a part, which is left out. */
uint64_t reduce_make_ready(const struct reduce_job *job, uint64_t first, uint64_t count);
/* Adds items of the leaf that was begun: the first of them has the index `first`. */
void reduce_items(mpm_call *call, const struct reduce_job *job, uint64_t first, const void *items,
                  uint64_t count);
/* Adds one item, of a size of its own; the reduction has no blocks. */
void reduce_item(mpm_call *call, uint64_t index, const void *item, size_t size);
/* The parts that items of the leaf are in have failed, for the reason that mpm_fail() was given. */
void reduce_fail_items(const struct reduce_job *job, uint64_t first, uint64_t count, int code);

/* The batch_task of items in memory. */
int reduce_run_in_memory(mpm_call *call, uint64_t first, size_t count);

/* The driver's, as is the next. MPM_EINVAL, naming the call, for what cannot be. */
int pool_reduce_check(const char *call, const mpm_reduction *reduction);
/* Runs all of it, and blocks. Statuses as mpm_pool_reduce(). */
int pool_reduce(mpm_pool *pool, const mpm_reduction *reduction, const struct reduce_source *source,
                void *state);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file stats.h  What a pool has done so far. */
#ifndef MPMAP_STATS_H
#define MPMAP_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** What one worker has done: a place in a pool, in which several processes may have been one after the other. Items
 * are counted some time after they are done. */
typedef struct mpm_worker_stats {
    unsigned node;   /**< where it is */
    uint64_t done;   /**< items and single calls that succeeded */
    uint64_t failed; /**< items that the task failed */
    double busy_s;   /**< seconds in which it worked for maps; single calls are too short to be timed */
} mpm_worker_stats;

/** What one node has done. */
typedef struct mpm_node_stats {
    unsigned workers; /**< workers of the pool there */
    uint64_t done;    /**< items and single calls that succeeded */
    uint64_t failed;  /**< that failed, also because their workers died or they ran past their time */
    uint64_t retried; /**< runs that were begun again because a worker had died in an item */
    uint64_t
        bytes_sent; /**< of items: copied into the node's arena, or sent there; not what is used in place */
    uint64_t bytes_received; /**< of results: copied from the node's arena, or sent from there */
    double busy_s;           /**< the sum over its workers */
} mpm_node_stats;

/** What a pool has done. */
typedef struct mpm_stats {
    double open_s;                   /**< seconds since it was opened */
    mpm_node_stats all;              /**< the sum over all nodes */
    unsigned node_count;             /**< how many are in `nodes` */
    unsigned worker_count;           /**< how many are in `workers` */
    const mpm_node_stats *nodes;     /**< by node */
    const mpm_worker_stats *workers; /**< main's node first */
} mpm_stats;

/** Tells what a pool has done since it was opened. Asks the nodes, and blocks until they have answered. The maps
 * that run do not pay for it. The pool's driver only, any thread.
 * @param pool   the pool
 * @param stats  out: in one piece of memory, which the caller frees with free()
 * @return 0; MPM_EINVAL; MPM_ESTATE; MPM_ENOMEM; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_pool_stats(mpm_pool *pool, mpm_stats **stats);

MPM_END

#endif

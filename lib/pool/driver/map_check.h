/* SPDX-License-Identifier: BSD-3-Clause */
/* What every node does before a batch map has its first item run anywhere. For pool/ only. */
#ifndef POOL_DRIVER_MAP_CHECK_H
#define POOL_DRIVER_MAP_CHECK_H

#include "pool/shared/batch.h"

/* Runs the check of the map in one worker of every other node of the pool, and waits for all of them: 0, or the status
 * and sentence of the first that failed. In a call that has entered the pool: blocks. Nothing on one node. */
int map_check_nodes(mpm_pool *pool, const struct batch_map *batches);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Single calls: where they run. For pool/ and run/layers.c. */
#ifndef POOL_DRIVER_APPLY_H
#define POOL_DRIVER_APPLY_H

#include "pool/driver/map.h"

/* In every rank, before it forks anything. */
void apply_begin(void);

/* Chooses the node for a call: the one with the fewest calls a worker, main's own before others; and counts it. */
unsigned apply_enter(struct mpm_pool *pool);
/* Counts it at a node that is given. */
void apply_enter_node(struct mpm_pool *pool, unsigned node);
/* The call is over. */
void apply_left(struct mpm_pool *pool, unsigned node);
/* It goes to another node. */
void apply_moved(struct mpm_pool *pool, unsigned from, unsigned to);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where single calls run. For pool/driver/. */
#ifndef POOL_DRIVER_NODE_CALLS_H
#define POOL_DRIVER_NODE_CALLS_H

struct mpm_pool;

/* Chooses the node for a call: the one with the fewest calls a worker, main's own before others; and counts it. */
unsigned node_calls_choose(struct mpm_pool *pool);
/* Counts it at a node that is given. */
void node_calls_add(struct mpm_pool *pool, unsigned node);
/* The call is over. */
void node_calls_remove(struct mpm_pool *pool, unsigned node);
/* It goes to another node. */
void node_calls_move(struct mpm_pool *pool, unsigned from, unsigned to);

#endif

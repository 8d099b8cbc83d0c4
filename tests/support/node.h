/* SPDX-License-Identifier: BSD-3-Clause */
/* What the calling process's node has: memory and workers. For tests/ only. */
#ifndef SUPPORT_NODE_H
#define SUPPORT_NODE_H

#include <stdbool.h>
#include <stddef.h>

/* Blocks in use in its arena. */
size_t node_blocks_in_use(void);
/* Bytes in these. */
size_t node_bytes_in_use(void);
/* Waits until there are fewer; false if that is not so within 100 s. */
bool node_bytes_fall_below(size_t bytes);
/* Its pools' workers, of whatever driver. */
unsigned node_workers(void);
/* Waits until it has no more than these, and the arena is in order; false if that is not so within 30 s. What a dead
 * process has left goes a little after its death. */
bool node_is_left_with(size_t blocks, unsigned workers);

#endif

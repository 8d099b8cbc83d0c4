/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree in which a reduction combines the states of its leaves: its shape depends on their number alone, so the
 * operations and their operands do not depend on the order in which leaves are done. One thread at a time. For
 * pool/driver/. */
#ifndef POOL_DRIVER_REDUCE_TREE_H
#define POOL_DRIVER_REDUCE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "mpmap/reduce.h"

struct reduce_tree;

/* NULL without memory. */
struct reduce_tree *reduce_tree_create(uint64_t leaf_count, const mpm_reduction *reduction);
/* Takes a copy of a leaf's state, each once, and combines what can be: of two neighbours at most one waits.
 * MPM_ENOMEM. */
int reduce_tree_put(struct reduce_tree *tree, uint64_t leaf, const void *state);
/* How far apart states stand that come together. */
size_t reduce_tree_stride(const struct reduce_tree *tree);
/* The state of all leaves; NULL unless all have been put. */
const void *reduce_tree_root(const struct reduce_tree *tree);
/* NULL is fine. */
void reduce_tree_destroy(struct reduce_tree *tree);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* In which order tiles are read. For data/map_run.c. */
#ifndef DATA_TILE_ORDER_H
#define DATA_TILE_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "data/input.h"

/* Tiles that are to be run: `count` of them, by their numbers in rising order, or all if that is NULL. */
struct tile_list {
    const uint64_t *left;
    uint64_t count;
    uint64_t most; /* tiles that a claim may have */
};

/* Costs by which tiles that share chunks of the file come together, and how many of them make a claim. `*costs` is NULL
 * where nothing is gained, and else the caller frees it. 0, or MPM_ENOMEM. */
int tile_order_make(const struct input *input, const struct tile_list *list, double **costs, size_t *claim);

#endif

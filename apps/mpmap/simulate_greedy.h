/* SPDX-License-Identifier: BSD-3-Clause */
/* The limit of a map whose costs nobody knows: each slot takes the next item the moment that it is free, at no cost.
 * For `mpmap bench simulate`. */
#ifndef MPMAP_SIMULATE_GREEDY_H
#define MPMAP_SIMULATE_GREEDY_H

#include <stdint.h>

#include "simulate_crew.h"

/* The slots of a node. */
struct simulate_greedy_node {
    double speed;
    double start_s, death_s; /* when it begins, and dies: INFINITY if it does not */
};

/* List scheduling in the order of items (Graham, Bounds on multiprocessing timing anomalies, 1969). An item whose node
 * dies is the next one that is taken, at that very moment, by whoever is free. Returns when the last one is done; not a
 * number if there is no memory. */
double simulate_greedy_s(const struct simulate_work *work, const struct simulate_greedy_node *nodes,
                         unsigned node_count, unsigned slots);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The limit of a map whose costs nobody knows: each slot takes the next item the moment that it is free, at no cost.
 * For `mpmap bench simulate`. */
#ifndef MPMAP_SIMULATE_GREEDY_H
#define MPMAP_SIMULATE_GREEDY_H

#include <stdint.h>

#include "simulate_crew.h"

/* List scheduling in the order of items (Graham, Bounds on multiprocessing timing anomalies, 1969). An item whose node
 * dies is the next one that is taken, `noticed_s` later, when main knows of it, by whoever is free. Returns when the
 * last one is done; not a number if there is no memory. */
double simulate_greedy_s(const struct simulate_work *work, const struct simulate_life *lives,
                         unsigned node_count, unsigned slots, double noticed_s);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A time that no schedule can beat, whatever it knows. For simulate_world. */
#ifndef MPMAP_SIMULATE_LIMIT_H
#define MPMAP_SIMULATE_LIMIT_H

#include "simulate_crew.h"

/* What was done. */
struct simulate_done {
    double cost_s;    /* of all items, on a slot of speed 1 */
    double longest_s; /* of the item that costs most */
};

/* Puts the lives in order, the fastest first. */
struct simulate_limit simulate_limit(const struct simulate_options *options, const struct simulate_done *done,
                                     struct simulate_life *lives);

#endif

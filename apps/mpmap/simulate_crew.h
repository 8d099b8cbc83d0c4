/* SPDX-License-Identifier: BSD-3-Clause */
/* The slots of one simulated node, claiming chunks of a lease one after the other. For simulate_world. */
#ifndef MPMAP_SIMULATE_CREW_H
#define MPMAP_SIMULATE_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "simulate_world.h"

/* What there is to do. */
struct simulate_work {
    enum simulate_costs costs;
    uint64_t items;
    double item_s;  /* mean, on a slot of speed 1 */
    uint64_t chunk; /* items that a slot claims at once */
    uint64_t seed;
    bool known; /* the most costly come first */
};

/* Of a node: the speed of its slots, when it begins, and when it dies (INFINITY: it does not). */
struct simulate_life {
    double speed, start_s, death_s;
};

struct simulate_crew {
    unsigned slots;
    double speed;     /* of each slot */
    double *free_s;   /* when each slot is free: a heap, the first one first */
    double *before_s; /* the same as it was before the last lease */
    double *spare_s;
};

/* How a lease goes. */
struct simulate_claims {
    uint64_t count;   /* items claimed */
    double claimed_s; /* when the last item was claimed */
    double done_s;    /* when the last of them was done */
    double cost_s;    /* of all of them, on a slot of speed 1 */
    double longest_s; /* of the chunk among them that takes longest, on a slot of speed 1 */
};

/* A lease: its items are claimed from start_s to stop_s. */
struct simulate_lease {
    uint64_t first, count;
    double start_s, stop_s; /* stop_s: INFINITY if nobody stops it */
};

/* Slots claim the items of a lease. */
struct simulate_claims simulate_crew_work(struct simulate_crew *crew, const struct simulate_work *work,
                                          const struct simulate_lease *lease);
/* The last lease again, with another stop_s. */
struct simulate_claims simulate_crew_stop(struct simulate_crew *crew, const struct simulate_work *work,
                                          const struct simulate_lease *lease);

/* The cost of an item, in seconds on a slot of speed 1. */
double simulate_item_cost(const struct simulate_work *work, uint64_t index);

/* A number in (0, 1] for an index, as good as random. */
double simulate_uniform(uint64_t seed, uint64_t index);

#endif

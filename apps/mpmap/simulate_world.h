/* SPDX-License-Identifier: BSD-3-Clause */
/* A simulated run of a map on many nodes, which drives the library's own lease table. For `mpmap bench
 * simulate`. */
#ifndef MPMAP_SIMULATE_WORLD_H
#define MPMAP_SIMULATE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the cost of an item depends on its index; all have the same mean, but for what HEAVY cuts off. */
enum simulate_costs {
    SIMULATE_CONSTANT,
    SIMULATE_RISING,  /* from a tenth of the mean to nearly twice of it */
    SIMULATE_FALLING, /* the other way round */
    SIMULATE_RANDOM,  /* exponential */
    SIMULATE_HEAVY,   /* Pareto with exponent 1.5, at most 1000 times the mean */
    SIMULATE_COSTS,
};

/* Their names, in that order. */
extern const char *const simulate_costs_names[SIMULATE_COSTS];

struct simulate_options {
    unsigned nodes;
    unsigned slots;           /* of each node */
    double latency_s;         /* of a message, one way */
    double bandwidth_bytes_s; /* of main's wire, each way */
    double message_s;         /* main's time for a message that it gets or sends */
    uint64_t items;
    size_t item_size;
    size_t result_size;
    enum simulate_costs costs;
    double item_s;       /* mean time of an item on a slot of a node of speed 1 */
    double speed_spread; /* speed of the fastest node / of the slowest: they are spread over that evenly on a
                          * logarithmic scale, with 1 in the middle */
    unsigned lost;       /* so many nodes die during the map */
    unsigned joining;    /* so many nodes join during the map, and not at its start */
    uint64_t seed;
    bool known;  /* main knows the costs: the most costly items come first */
    bool greedy; /* also find greedy_s, which takes some 0.2 us an item */
    bool silent; /* nodes only tell what is done, and not what is claimed to the end */
    bool check;  /* whether to look at the whole table after every event */
};

/* Times that no schedule can beat, whatever it knows: see simulate_limit.h. */
struct simulate_limit {
    double work_s;  /* all slots busy from the beginning on, without a message; or the longest item */
    double least_s; /* with what main, its wire, and items that are not divided add */
};

struct simulate_result {
    double makespan_s; /* until main knows that all is done */
    struct simulate_limit limit;
    double efficiency; /* limit.work_s / makespan_s */
    double
        greedy_s; /* if each slot took the next item the moment that it is free: see simulate_greedy.h; or 0 */
    double main_busy;     /* part of the makespan in which main works on messages */
    double wire_busy;     /* and in which its wire carries bytes, the busier way */
    double tail_s;        /* makespan less the mean time at which nodes were last done with a lease */
    uint64_t messages;    /* that main got or sent */
    double bytes;         /* in them */
    uint64_t leases;      /* granted */
    uint64_t recalls;     /* sent */
    double table_event_s; /* real time that the table took for an event, on average */
    const char *problem;  /* why the run came to no end, or NULL */
};

/* Runs the map. Returns 0, or -1 with result->problem set: no memory, or a fault of the lease table. */
int simulate_world(const struct simulate_options *options, struct simulate_result *result);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings: the environment variables that mpmap reads, each named here and in the table of doc/clusters.md.
 * For node/context_inside.h and run/start.c. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stddef.h>

#define CONFIG_LEAST_TIMEOUT_S 1.0 /* a courier sleeps for 100 ms, and machines are busy */

struct config {
    size_t arena_size;       /* MPMAP_ARENA: bytes, with K, M, G or T behind; 0: from memory */
    unsigned ranks_per_node; /* MPMAP_RANKS_PER_NODE: cut machines into virtual nodes; 0: do not */
    unsigned slots;          /* MPMAP_SLOTS: of the rank; 0: by its CPUs */
    unsigned
        worker_timeout_s; /* MPMAP_WORKER_TIMEOUT: how long a pool without workers waits for a fork; 0: as it is */
    int log_level;        /* MPMAP_LOG: off, error, info or debug, as enum log_level */
    double node_timeout_s; /* MPMAP_NODE_TIMEOUT: seconds, or off (MPM_FOREVER); 0: the default */
};

/* Writes what the environment sets over what stands in `config`.
 * MPM_EINVAL with the variable, its value and what would be right. */
int config_read(struct config *config);

#endif

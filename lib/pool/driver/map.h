/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as main drives it: by steps, none of which blocks, so that one thread can drive any number of them. For
 * pool/ only. */
#ifndef POOL_DRIVER_MAP_H
#define POOL_DRIVER_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "mpmap/pool.h"

#include "pool/driver/map_request.h"

struct map;

/* Begins it. A request for one node has been counted there by node_calls_choose(), and one that is in line by
 * pool_stand_in_line(): the map sees to that from now on, also if it cannot begin. MPM_ENOMEM: without memory to say
 * more by map_end(). */
int map_begin(struct mpm_pool *pool, const struct map_request *request, struct map **map);
/* Whether it stands in line: workers get to its first items before those of any map that comes from here on. */
bool map_is_in_line(const struct map *map);
/* Goes on as far as it can now. true when the map has ended. The node's doorbell rings when there may be more to do;
 * `worked` is set to true if something was done, so that there may be more at once. */
bool map_step(struct map *map, bool *worked);
/* Whether a worker has taken all that a map for one node has, and works on it for more than a moment. */
bool map_is_taken(const struct map *map);
/* When the next step is due at the latest, though the doorbell has not rung: by clock.h. */
uint64_t map_next_step_ns(struct map *map);
/* It is to end, with MPM_ECANCELED: steps go on until it has. */
void map_cancel(struct map *map);
/* The same for a single call, unless a worker has come to it. */
void map_drop(struct map *map);
/* Frees a map that has ended. */
void map_end(struct map *map, struct map_outcome *outcome);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps of few items on the driver's own node, which have no use for a lease table, and need no message. For
 * pool/driver/. */
#ifndef POOL_DRIVER_MAP_SHORT_H
#define POOL_DRIVER_MAP_SHORT_H

#include <stdbool.h>

#include "pool/driver/map_request.h"

struct map;

/* Whether that is all there is to it. */
bool map_is_short(const struct mpm_pool *pool, const struct map_request *request);
/* The whole map, as map_run(). false if there is no room for it now, or its node has lost its workers: it is to be done
 * as any other. */
bool map_run_short(struct mpm_pool *pool, const struct map_request *request, struct map_outcome *outcome);
/* What a map over nodes teaches, that has run to its end. */
void map_short_learn(const struct map *map);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A loop over items by the workers of one node, in simulated time: what a schedule makes of it when nothing
 * else disturbs. For `mpmap bench schedule`. */
#ifndef MPMAP_SIMULATE_LOOP_H
#define MPMAP_SIMULATE_LOOP_H

#include <stdint.h>

#include "schedule_chunks.h"

/* When the last worker is done, in seconds. An item takes its cost; claims happen one after the other and take
 * loop->claim_s each. `kind` SCHEDULE_COUNT is the library's own. */
double simulate_loop(enum schedule_kind kind, const struct schedule_loop *loop, const uint32_t *costs_ns);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The hosts that have something to be asked for, the one that may be asked first on top; and those whose time has come,
 * but for which no fetcher had room. */
#ifndef MPMAP_CRAWL_READY_H
#define MPMAP_CRAWL_READY_H

#include <stddef.h>
#include <stdint.h>

#include "frontier.h"

/* Zero is an empty one. */
struct ready {
    uint32_t *hosts; /* a heap by next_s */
    size_t count, room;
    uint32_t *stalled; /* in the order in which they came */
    size_t stalled_count, stalled_room;
};

/* Puts a host in, or in its right place if its next_s has changed. */
void ready_put(struct ready *ready, struct frontier *frontier, uint32_t host);
/* The host to be asked first; NO_PAGE if there is none. */
uint32_t ready_first(const struct ready *ready);
/* Takes the first one out. */
void ready_pop(struct ready *ready, struct frontier *frontier);
/* Notes a host for which no fetcher had room, and takes all of them out again, into the others. */
void ready_stall(struct ready *ready, struct frontier *frontier, uint32_t host);
void ready_unstall(struct ready *ready, struct frontier *frontier);
void ready_free(struct ready *ready);

#endif

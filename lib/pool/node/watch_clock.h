/* SPDX-License-Identifier: BSD-3-Clause */
/* The time that counts for the limits of items, initializers and finalizers, for the grace of a drain, and for pools
 * without workers. For pool/node/ and pool/driver/map_inside.h.
 *
 * Whoever watches workers looks at them again and again. What has passed between two looks counts, but no more than
 * WATCH_LATE_NS beyond the pause that was meant: a look that comes later than that was kept from coming by what has kept
 * the workers from running, too. A batch system suspends a job so, with SIGSTOP for all of its processes; without this
 * all items that it had begun would be killed when it goes on. */
#ifndef POOL_WATCH_CLOCK_H
#define POOL_WATCH_CLOCK_H

#include <stdint.h>

#define WATCH_LATE_NS 1000000000u

struct watch_clock {
    uint64_t counted_ns; /* never 0 once it was looked at */
    uint64_t looked_ns;  /* by clock.h: the last look; 0 before the first one */
};

/* A look at now_ns, the next of which is meant to come pause_ns after it: the time that counts until now. */
static inline uint64_t watch_clock_look(struct watch_clock *clock, uint64_t now_ns, uint64_t pause_ns)
{
    uint64_t passed_ns = clock->looked_ns ? now_ns - clock->looked_ns : 1, most_ns = pause_ns + WATCH_LATE_NS;

    clock->looked_ns = now_ns;
    return clock->counted_ns += passed_ns < most_ns ? passed_ns : most_ns;
}

#endif

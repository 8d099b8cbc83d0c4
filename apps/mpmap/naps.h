/* SPDX-License-Identifier: BSD-3-Clause */
/* How a rank of bare MPI waits that is not to keep its CPU busy: it looks on for a while, and then naps between two
 * looks, as long as the library's own ranks do. For wire_main.c and step_nodes.c. */
#ifndef MPMAP_NAPS_H
#define MPMAP_NAPS_H

#include <time.h>

#include "bench.h"

#define LOOK_S   20e-6
#define NAP_NS   50000
#define SLACK_NS 1000 /* the kernel's, lest a nap last longer */

/* Between two looks, of which the first was at `begun_s`. */
static inline void nap_if_late(double begun_s)
{
    if (bench_now_s() - begun_s > LOOK_S)
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Round trips to a worker that sleeps, beside two processes that sleep on a futex. For benches of single calls and of
 * short maps. */
#ifndef MPMAP_BENCH_SLEEPY_H
#define MPMAP_BENCH_SLEEPY_H

#include <mpmap.h>

#include "bench.h"

/* What is measured: a call that returns when the worker has done its part, which is next to nothing. */
struct bench_sleepy {
    int (*play)(mpm_pool *pool); /* 0 or a status */
    const char *names[2];        /* the worker sleeps on this CPU, on another one */
    bool is_rate;                /* a second; else seconds */
};

/* Of a pool with one worker of this node. 0 or a status. */
int bench_sleepy(mpm_pool *pool, const struct bench_sleepy *what, struct bench_figure figures[2]);

#endif

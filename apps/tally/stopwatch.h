/* SPDX-License-Identifier: BSD-3-Clause */
/* Seconds of a pass that consists of many calls of the library, for its progress. */
#ifndef TALLY_STOPWATCH_H
#define TALLY_STOPWATCH_H

#include <time.h>

static inline double seconds_since(const struct timespec *begun)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

#endif

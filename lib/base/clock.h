/* SPDX-License-Identifier: BSD-3-Clause */
/* Time as the library counts it: nanoseconds of CLOCK_MONOTONIC, read without a system call. For all of lib/.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_FOREVER UINT64_MAX /* a deadline that never comes */

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline double clock_now_s(void)
{
    return (double)clock_now_ns() * 1e-9;
}

#endif

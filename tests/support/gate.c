/* SPDX-License-Identifier: BSD-3-Clause */
#include "gate.h"

#include <time.h>

#define LOOKS 100000 /* a millisecond apart */

bool gate_reached(const _Atomic int *count, int least)
{
    for (int i = 0; i < LOOKS && atomic_load(count) < least; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return atomic_load(count) >= least;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Random delays at kill points (shm/kill_point.h), in place of deaths: whoever stands between two stores that
 * matter is held up there now and then, for a moment or for longer, so that others get in between. Linked to
 * the tests of objects, it makes `<name>_delays_test` of them. MPMAP_TEST_SEED chooses other instants. */
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "shm/kill_point.h"

#define MOST_POINTS 200u /* from one delay to the next */

unsigned long kill_point_count, kill_point_target = 1;

static uint64_t begin(void)
{
    const char *seed = getenv("MPMAP_TEST_SEED");
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (seed ? strtoull(seed, NULL, 10) : (uint64_t)now.tv_nsec) * 2 + 1 + (uint64_t)getpid() * 2;
}

static unsigned draw(unsigned below)
{
    static _Thread_local uint64_t chance;
    static _Thread_local pid_t drawer;

    if (drawer != getpid()) {
        drawer = getpid();
        chance = begin();
    }
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((chance >> 33) % below);
}

void kill_point_reached(void)
{
    unsigned kind = draw(16);

    if (kind == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)draw(300000)}, NULL);
    else if (kind < 8)
        sched_yield();
    else
        for (unsigned i = draw(2000); i > 0; i--)
            __asm__ volatile("" ::: "memory");
    kill_point_target = kill_point_count + 1 + draw(MOST_POINTS);
}

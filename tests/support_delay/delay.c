/* SPDX-License-Identifier: BSD-3-Clause */
/* Random delays at kill points (shm/kill_point.h), in place of deaths: whoever stands between two stores that
 * matter is held up there now and then, for a moment or for longer, so that others get in between. Linked to
 * the tests of objects, it makes `<name>_delays_test` of them. Each thread of each process draws how often it
 * is held up, so that quick ones meet slow ones. MPMAP_TEST_SEED chooses other instants. */
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "shm/kill_point.h"

#define PACES      8u    /* from one delay to the next: 2 points at most, or 4, 8, … */
#define LENGTHS    12u   /* of a sleep: a microsecond at most, or 2, 4, … */
#define MOST_SPINS 2000u /* a microsecond, about */

unsigned long kill_point_count, kill_point_target;

/* Of one thread. */
static _Thread_local struct {
    pid_t drawer; /* a child that was forked begins anew */
    uint64_t chance;
    unsigned most_points; /* from one delay to the next */
    unsigned points_left;
} own;

static unsigned draw(unsigned below)
{
    own.chance = own.chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((own.chance >> 33) % below);
}

static void begin(void)
{
    const char *seed = getenv("MPMAP_TEST_SEED");
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    own.drawer = gettid();
    own.chance = (seed ? strtoull(seed, NULL, 10) << 32 : (uint64_t)now.tv_nsec) + (uint64_t)own.drawer;
    draw(1);
    own.most_points = 2u << draw(PACES);
}

static void delay(void)
{
    unsigned kind = draw(16);

    if (kind == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)draw(1000u << draw(LENGTHS))}, NULL);
    else if (kind < 8)
        sched_yield();
    else
        for (unsigned i = draw(MOST_SPINS); i > 0; i--)
            __asm__ volatile("" ::: "memory");
}

void kill_point_passed(void)
{
    if (own.points_left) {
        own.points_left--;
        return;
    }
    if (own.drawer != gettid())
        begin();
    delay();
    own.points_left = draw(own.most_points);
}

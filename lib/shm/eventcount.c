/* SPDX-License-Identifier: BSD-3-Clause */
/* The eventcount; see its header for who writes what. */
#include "shm/eventcount.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/kill_point.h"

bool eventcount_spin(struct eventcount *word, uint32_t seen, uint64_t spin_ns)
{
    uint64_t until_ns = clock_now_ns() + spin_ns;

    do {
        for (int i = 0; i < 64; i++) {
            if (eventcount_prepare(word) != seen)
                return true;
            spin_pause();
        }
    } while (clock_now_ns() < until_ns);
    return false;
}

/* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, so an interrupted sleep goes on unchanged. */
static int futex_sleep(struct eventcount *word, uint32_t seen, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};

    if (syscall(SYS_futex, &word->value, FUTEX_WAIT_BITSET, seen,
                deadline_ns == CLOCK_FOREVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY))
        return errno;
    return 0;
}

bool eventcount_wait(struct eventcount *word, uint32_t seen, uint64_t spin_ns, uint64_t deadline_ns)
{
    bool changed;

    if (eventcount_prepare(word) != seen || (spin_ns && eventcount_spin(word, seen, spin_ns)))
        return true;
    DELAY_POINT();
    atomic_fetch_add(&word->sleepers, 1);
    DELAY_POINT();
    while (!(changed = atomic_load(&word->value) != seen)) {
        if (futex_sleep(word, seen, deadline_ns) == ETIMEDOUT) {
            changed = atomic_load(&word->value) != seen;
            break;
        }
    }
    atomic_fetch_sub(&word->sleepers, 1);
    return changed;
}

void eventcount_advance(struct eventcount *word)
{
    DELAY_POINT();
    atomic_fetch_add(&word->value, 1);
    DELAY_POINT();
}

void eventcount_wake(struct eventcount *word, uint32_t most)
{
    if (most && atomic_load(&word->sleepers))
        syscall(SYS_futex, &word->value, FUTEX_WAKE, most < INT_MAX ? (int)most : INT_MAX, NULL, NULL, 0);
}

/* How many were woken. */
static long ring(struct eventcount *word, int most)
{
    DELAY_POINT();
    atomic_fetch_add(&word->value, 1);
    DELAY_POINT();
    return atomic_load(&word->sleepers) ? syscall(SYS_futex, &word->value, FUTEX_WAKE, most, NULL, NULL, 0)
                                        : 0;
}

bool eventcount_notify(struct eventcount *word)
{
    return ring(word, INT_MAX) > 0;
}

bool eventcount_notify_one(struct eventcount *word)
{
    return ring(word, 1) > 0;
}

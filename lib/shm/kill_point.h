/* SPDX-License-Identifier: BSD-3-Clause */
/* Kill points: places between two stores that matter, where a test can kill the process, or hold it up. In an
 * ordinary build KILL_POINT() is nothing. With MPMAP_KILL_POINTS every pass through one is counted, and the one
 * whose number is kill_point_target kills the process by SIGKILL, so that a test can search all of them; or it
 * calls kill_point_reached(), where the test has that. Where it has kill_point_passed(), each pass calls that
 * instead.
 *
 * Delay points are the places between waiting and waking: a death there leaves what one before or behind it leaves,
 * and a delay may cost a wake-up. They call kill_point_passed() only. For shm/ and the layers above it. */
#ifndef SHM_KILL_POINT_H
#define SHM_KILL_POINT_H

#ifdef MPMAP_KILL_POINTS
#include <signal.h>
#include <unistd.h>

extern unsigned long kill_point_count, kill_point_target;

__attribute__((weak, visibility("default"))) void kill_point_reached(void);
__attribute__((weak, visibility("default"))) void kill_point_passed(void);

#define KILL_POINT()                                          \
    do {                                                      \
        if (kill_point_passed) {                              \
            kill_point_passed();                              \
        } else if (++kill_point_count != kill_point_target) { \
        } else if (kill_point_reached) {                      \
            kill_point_reached();                             \
        } else {                                              \
            kill(getpid(), SIGKILL);                          \
        }                                                     \
    } while (0)

#define DELAY_POINT()            \
    do {                         \
        if (kill_point_passed)   \
            kill_point_passed(); \
    } while (0)
#else
#define KILL_POINT()  ((void)0)
#define DELAY_POINT() ((void)0)
#endif

#endif

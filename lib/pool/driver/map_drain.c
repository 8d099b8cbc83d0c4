/* SPDX-License-Identifier: BSD-3-Clause */
/* The drain of a map that allows it: nothing is granted any more, nodes give back what they have not begun, and what
 * has begun has some time to end; what is left then is killed as the map closes, and is not done. It begins when that
 * of the run does (mpm_drain()), or when the time that the map has is nearly over: so early that what takes as long as
 * the longest claim until now ends in time. Items that are begun just before it are begun in that time, too. */
#include <math.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "pool/driver/map_inside.h"

#define MARGIN        1.25       /* a claim may take so many times what the longest one has taken */
#define LOOK_AGAIN_NS 100000000u /* where time is limited: claims may turn out to take longer */

static bool drains(const struct map *map)
{
    return map->request.drain.grace_s > 0;
}

/* A time so many seconds from the beginning of the map. */
static uint64_t time_of_map_ns(const struct map *map, double seconds)
{
    double time_s = map->start_s + fmax(seconds, 0);

    return time_s < 1e10 ? (uint64_t)(time_s * 1e9) : CLOCK_FOREVER;
}

/* When the map is to have ended. */
static uint64_t end_ns(const struct map *map)
{
    return map->request.drain.time_s > 0 ? time_of_map_ns(map, map->request.drain.time_s) : CLOCK_FOREVER;
}

/* When it must begin to drain for that. As long as no claim has ended there is only the grace to go by, but a map may
 * use half of its time at least to find out. */
static uint64_t due_ns(const struct map *map)
{
    uint64_t longest_ns = node_links_longest_claim_ns(map->links);
    const mpm_drain_options *drain = &map->request.drain;
    double needed_s = longest_ns ? (double)longest_ns * 1e-9 * MARGIN
                                 : fmin(drain->grace_s, drain->time_s / 2);

    return drain->time_s > 0 ? time_of_map_ns(map, drain->time_s - needed_s) : CLOCK_FOREVER;
}

/* What is left of the grace, by watch_clock.h: a job that was suspended goes on with as much as it had. */
static uint64_t grace_left_ns(const struct map *map)
{
    double limit_s = fmin(map->request.drain.grace_s, 1e10);
    uint64_t limit_ns = (uint64_t)(limit_s * 1e9), had_ns = map->drain_clock.counted_ns;

    if (map->drain_is_due)
        return CLOCK_FOREVER; /* it is the end that counts */
    return had_ns < limit_ns ? limit_ns - had_ns : 0;
}

int map_drain_look(struct map *map)
{
    bool is_due;
    int status;

    if (map->is_draining)
        watch_clock_look(&map->drain_clock, clock_now_ns(), LOOK_AGAIN_NS);
    if (!drains(map) || map->is_draining)
        return MPM_OK;
    is_due = clock_now_ns() >= due_ns(map);
    if (!is_due && !mpm_draining())
        return MPM_OK;
    if ((status = lease_drain(map->table, clock_now_s())))
        return status;
    map->is_draining = true;
    map->drain_is_due = is_due;
    watch_clock_look(&map->drain_clock, clock_now_ns(), LOOK_AGAIN_NS);
    map->next_progress_ns = 0;
    mpm_drain();
    return MPM_OK;
}

bool map_is_drained(const struct map *map)
{
    return map->is_draining && !lease_all_done(map->table) &&
           (lease_is_drained(map->table) || !grace_left_ns(map) || clock_now_ns() >= end_ns(map));
}

int map_say_drained(const struct map *map)
{
    if (job_is_batch(&map->spec))
        return error_set(MPM_EDRAINED, "the map was drained"); /* its rows are counted where they stand */
    return error_set(MPM_EDRAINED, "the map was drained: %llu of %llu items are done, %llu of them failed",
                     (unsigned long long)lease_items_done(map->table), (unsigned long long)map->request.count,
                     (unsigned long long)map->items_failed);
}

uint64_t map_drain_next_look_ns(const struct map *map)
{
    uint64_t next_ns, left_ns;

    if (!drains(map))
        return CLOCK_FOREVER;
    next_ns = map->is_draining ? end_ns(map) : due_ns(map);
    left_ns = map->is_draining ? grace_left_ns(map) : CLOCK_FOREVER;
    if (next_ns == CLOCK_FOREVER && left_ns == CLOCK_FOREVER)
        return CLOCK_FOREVER;
    left_ns = clock_now_ns() + (left_ns < LOOK_AGAIN_NS ? left_ns : LOOK_AGAIN_NS);
    return left_ns < next_ns ? left_ns : next_ns;
}

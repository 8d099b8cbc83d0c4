/* SPDX-License-Identifier: BSD-3-Clause */
/* How many items a worker claims at once: decisions only, as lease.h has those of leases. A worker measures what
 * its items take, and claims as many as fill a certain time; fewer while it knows little, and fewer near the
 * end, so that all workers come to it together; unless all that is left takes less than to share it.
 *
 * No clock and no memory shared: a worker and a simulator drive this very code. For pool/ and the simulator. */
#ifndef POOL_WORKER_CHUNK_H
#define POOL_WORKER_CHUNK_H

#include <stdint.h>

#define CHUNK_MOST      (UINT64_C(1) << 20) /* items */
#define CHUNK_AHEAD     2u                  /* as many chunks a worker should always be left to claim */
#define CHUNK_GROWTH    8u                  /* one has at most so many times the items of the last one */
#define CHUNK_REST_S    1e-6                /* what is left takes so long at most: it is not worth sharing */
#define CHUNK_REST_MORE 4u  /* then a chunk may have so many times the items of the last one */
#define CHUNK_SMOOTHING 0.5 /* what the last chunk weighs in the measured time */

/* What a worker knows. Zero at the start of a job. */
struct chunk_pace {
    double item_s; /* measured; 0 if not yet */
    uint64_t last; /* items in its last chunk of this lease; 0: none yet */
};

/* What a job wants. */
struct chunk_wish {
    double chunk_s;   /* how long a chunk should take */
    uint64_t limit;   /* items in one at most */
    unsigned workers; /* that share what is left */
};

/* How many of those that are left one worker should have at most. */
static inline uint64_t chunk_share(const struct chunk_pace *pace, const struct chunk_wish *wish,
                                   uint64_t left)
{
    uint64_t share = left / (CHUNK_AHEAD * wish->workers), rest = pace->last * CHUNK_REST_MORE;

    if (!pace->last || (double)left * pace->item_s > CHUNK_REST_S)
        return share;
    rest = rest < left ? rest : left;
    return rest > share ? rest : share;
}

/* The size of the next chunk, at least 1; `left`: items that nobody has claimed. */
static inline uint64_t chunk_next(const struct chunk_pace *pace, const struct chunk_wish *wish, uint64_t left)
{
    uint64_t most = chunk_share(pace, wish, left);
    double wanted = pace->item_s > 0 ? wish->chunk_s / pace->item_s : 1.0;

    if (most > wish->limit)
        most = wish->limit;
    if (most > CHUNK_MOST)
        most = CHUNK_MOST;
    if (pace->last && most > pace->last * CHUNK_GROWTH)
        most = pace->last * CHUNK_GROWTH;
    if (wanted < (double)most)
        most = (uint64_t)wanted;
    return most ? most : 1;
}

/* A chunk of so many items took so long. */
static inline void chunk_measured(struct chunk_pace *pace, uint64_t items, double seconds)
{
    double item_s = seconds / (double)items;

    pace->item_s = pace->item_s > 0 ? pace->item_s + CHUNK_SMOOTHING * (item_s - pace->item_s) : item_s;
    pace->last = items;
}

#endif

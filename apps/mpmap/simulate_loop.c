/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker that is free first claims next. The library's own schedule reads the clock once a chunk, which
 * the others but the adaptive ones don't: that takes as long as a claim, here. */
#include "simulate_loop.h"

#include <math.h>
#include <stdlib.h>

#include "pool/worker/chunk.h"

#define CHUNK_S 100e-6 /* how long a chunk should take, as in a map */

struct simulated_loop {
    const struct schedule_loop *loop;
    const uint32_t *costs_ns;
    struct schedule schedule;
    struct chunk_pace pace[SCHEDULE_MOST_WORKERS];
    double free_s[SCHEDULE_MOST_WORKERS];
    double counter_free_s;
    uint64_t next; /* of the library's own */
};

static unsigned first_free(const struct simulated_loop *simulated)
{
    unsigned first = 0;

    for (unsigned i = 1; i < simulated->loop->workers; i++)
        if (simulated->free_s[i] < simulated->free_s[first])
            first = i;
    return first;
}

static uint64_t claim_own(struct simulated_loop *simulated, unsigned worker, uint64_t *first)
{
    struct chunk_wish wish = {CHUNK_S, UINT64_MAX, simulated->loop->workers};
    uint64_t left = simulated->loop->count - simulated->next, size;

    if (left == 0)
        return 0;
    size = chunk_next(&simulated->pace[worker], &wish, left);
    *first = simulated->next;
    simulated->next += size < left ? size : left;
    return size < left ? size : left;
}

static void run_chunk(struct simulated_loop *simulated, enum schedule_kind kind, unsigned worker,
                      uint64_t first, uint64_t count)
{
    double start_s = fmax(simulated->free_s[worker], simulated->counter_free_s), seconds = 0, squares = 0;

    simulated->counter_free_s = start_s += simulated->loop->claim_s;
    for (uint64_t i = first; i < first + count; i++) {
        double item_s = simulated->costs_ns[i] * 1e-9;

        seconds += item_s;
        squares += item_s * item_s;
    }
    simulated->free_s[worker] = start_s + seconds;
    if (kind == SCHEDULE_COUNT) {
        simulated->free_s[worker] += simulated->loop->claim_s;
        chunk_measured(&simulated->pace[worker], count, seconds + 2.0 * simulated->loop->claim_s);
    } else {
        schedule_measured(&simulated->schedule, worker, count, seconds, squares);
    }
}

double simulate_loop(enum schedule_kind kind, const struct schedule_loop *loop, const uint32_t *costs_ns)
{
    struct simulated_loop *simulated = calloc(1, sizeof *simulated);
    double end_s = 0;

    if (!simulated)
        return INFINITY;
    simulated->loop = loop;
    simulated->costs_ns = costs_ns;
    if (kind != SCHEDULE_COUNT)
        schedule_begin(&simulated->schedule, kind, loop);
    for (;;) {
        unsigned worker = first_free(simulated);
        uint64_t first, count = kind == SCHEDULE_COUNT ? claim_own(simulated, worker, &first)
                                                       : schedule_claim(&simulated->schedule, worker, &first);

        if (!count)
            break;
        run_chunk(simulated, kind, worker, first, count);
        end_s = fmax(end_s, simulated->free_s[worker]);
    }
    free(simulated);
    return end_s;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Claims are worked out when a lease begins, not event by event: when each slot is free is a heap, and the
 * first slot takes the next chunk. Where all items cost the same, slots take turns, so that the heap is kept
 * sorted and whole rounds are one addition a slot: that is what makes worlds of 10^9 items quick. A slot that
 * had nothing to do before start_s counts as free from then on. */
#include "simulate_crew.h"

#include <math.h>
#include <string.h>

const char *const simulate_costs_names[SIMULATE_COSTS] = {"constant", "rising", "falling", "random", "heavy"};

double simulate_uniform(uint64_t seed, uint64_t index)
{
    uint64_t x = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xd1342543de82ef95);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return ((double)(x >> 11) + 1.0) * 0x1p-53;
}

/* In (0, 1]. All shapes fall with it, so in the order of their costs it rises evenly with the index. */
static double rank_of(const struct simulate_work *work, uint64_t index)
{
    bool is_random = work->costs == SIMULATE_RANDOM || work->costs == SIMULATE_HEAVY;
    double evenly = ((double)index + 0.5) / (double)work->items;

    if (work->known)
        return evenly;
    if (is_random)
        return simulate_uniform(work->seed, index);
    return work->costs == SIMULATE_RISING ? 1 - evenly : evenly;
}

double simulate_item_cost(const struct simulate_work *work, uint64_t index)
{
    switch (work->costs) {
    case SIMULATE_RISING:
    case SIMULATE_FALLING:
        return work->item_s * (1.9 - 1.8 * rank_of(work, index));
    case SIMULATE_RANDOM:
        return -work->item_s * log(rank_of(work, index));
    case SIMULATE_HEAVY:
        return work->item_s * fmin(1000.0, pow(rank_of(work, index), -2.0 / 3.0) / 3.0);
    case SIMULATE_CONSTANT:
    case SIMULATE_COSTS:
        break;
    }
    return work->item_s;
}

static double chunk_cost(const struct simulate_work *work, uint64_t first, uint64_t count)
{
    double cost = 0.0;
    for (uint64_t i = first; i < first + count; i++)
        cost += simulate_item_cost(work, i);
    return cost;
}

static void sift_first(double *heap, unsigned count, double value)
{
    unsigned at = 0;
    for (;;) {
        unsigned child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= value)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

static void note_claim(struct simulate_claims *claims, uint64_t count, double claim_s, double cost_s,
                       double speed)
{
    claims->count += count;
    claims->claimed_s = claim_s;
    claims->done_s = fmax(claims->done_s, claim_s + cost_s / speed);
    claims->cost_s += cost_s;
    claims->longest_s = fmax(claims->longest_s, cost_s);
}

static struct simulate_claims claim_singly(struct simulate_crew *crew, const struct simulate_work *work,
                                           const struct simulate_lease *lease)
{
    struct simulate_claims claims = {0};
    while (claims.count < lease->count) {
        double claim_s = fmax(crew->free_s[0], lease->start_s);
        uint64_t left = lease->count - claims.count, chunk = left < work->chunk ? left : work->chunk;
        if (claim_s > lease->stop_s)
            break;
        double cost_s = chunk_cost(work, lease->first + claims.count, chunk);
        note_claim(&claims, chunk, claim_s, cost_s, crew->speed);
        sift_first(crew->free_s, crew->slots, claim_s + cost_s / crew->speed);
    }
    return claims;
}

/* When claim number `claim` from now on happens, if each takes `chunk_s`. */
static double turn_s(const struct simulate_crew *crew, uint64_t claim, double start_s, double chunk_s)
{
    return fmax(crew->free_s[claim % crew->slots], start_s) + (double)(claim / crew->slots) * chunk_s;
}

/* How many of `most` claims happen until stop_s. */
static uint64_t turns_until(const struct simulate_crew *crew, uint64_t most, double start_s, double stop_s,
                            double chunk_s)
{
    uint64_t low = 0, high = most;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (turn_s(crew, middle, start_s, chunk_s) <= stop_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void take_turns(struct simulate_crew *crew, uint64_t turns, double start_s, double chunk_s)
{
    unsigned extra = (unsigned)(turns % crew->slots);
    double rounds_s = (double)(turns / crew->slots) * chunk_s;

    for (unsigned i = 0; i < crew->slots; i++) {
        double done_s = fmax(crew->free_s[i], start_s) + rounds_s;
        if (i < extra)
            crew->spare_s[crew->slots - extra + i] = done_s + chunk_s;
        else
            crew->spare_s[i - extra] = done_s;
    }
    memcpy(crew->free_s, crew->spare_s, crew->slots * sizeof *crew->free_s);
}

/* The first slot takes less than the others do, and so moves up less. */
static void take_short_turn(struct simulate_crew *crew, double until_s)
{
    unsigned at = 0;
    for (; at + 1 < crew->slots && crew->free_s[at + 1] < until_s; at++)
        crew->free_s[at] = crew->free_s[at + 1];
    crew->free_s[at] = until_s;
}

static struct simulate_claims claim_in_turns(struct simulate_crew *crew, const struct simulate_work *work,
                                             const struct simulate_lease *lease)
{
    struct simulate_claims claims = {0};
    double chunk_s = (double)work->chunk * work->item_s / crew->speed, start_s = lease->start_s;
    uint64_t most = lease->count / work->chunk, rest = lease->count % work->chunk;
    uint64_t turns = turns_until(crew, most, start_s, lease->stop_s, chunk_s);

    if (turns) {
        claims.count = turns * work->chunk;
        claims.claimed_s = turn_s(crew, turns - 1, start_s, chunk_s);
        claims.done_s = claims.claimed_s + chunk_s;
        claims.cost_s = (double)claims.count * work->item_s;
        claims.longest_s = (double)work->chunk * work->item_s;
    }
    take_turns(crew, turns, start_s, chunk_s);
    double last_s = fmax(crew->free_s[0], start_s), rest_s = (double)rest * work->item_s;
    if (rest && turns == most && last_s <= lease->stop_s) {
        note_claim(&claims, rest, last_s, rest_s, crew->speed);
        take_short_turn(crew, last_s + rest_s / crew->speed);
    }
    return claims;
}

static struct simulate_claims claim(struct simulate_crew *crew, const struct simulate_work *work,
                                    const struct simulate_lease *lease)
{
    return work->costs == SIMULATE_CONSTANT ? claim_in_turns(crew, work, lease)
                                            : claim_singly(crew, work, lease);
}

struct simulate_claims simulate_crew_work(struct simulate_crew *crew, const struct simulate_work *work,
                                          const struct simulate_lease *lease)
{
    memcpy(crew->before_s, crew->free_s, crew->slots * sizeof *crew->free_s);
    return claim(crew, work, lease);
}

struct simulate_claims simulate_crew_stop(struct simulate_crew *crew, const struct simulate_work *work,
                                          const struct simulate_lease *lease)
{
    memcpy(crew->free_s, crew->before_s, crew->slots * sizeof *crew->free_s);
    return claim(crew, work, lease);
}

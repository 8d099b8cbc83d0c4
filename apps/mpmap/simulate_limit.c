/* SPDX-License-Identifier: BSD-3-Clause */
/* Each bound leaves out what the others count, so the greatest of them is one, too.
 *
 * The slots.  Together they must have had time for all of the work, each from its node's first grant to its node's last
 *             message, or to its death. Main hears of nodes one after the other: node number n, from 0 on, begins after
 *             n + 1 messages that have come and as many that have gone, and, from the other end, is done n + 1 messages
 *             before the end. That costs least if the fastest nodes are the first and the last.
 * The items.  If all cost the same, a slot does a whole number of them in its time.
 * The longest item takes its time on the fastest node.
 * The wire carries all items, or all results.
 */
#include "simulate_limit.h"

#include <math.h>
#include <stdlib.h>

#define STEPS 60 /* of halving: more than a double has digits */

struct bound {
    const struct simulate_options *options;
    const struct simulate_done *done;
    const struct simulate_life *lives;
    bool has_messages; /* they take time */
    bool has_turns;    /* and main takes them one after the other */
    bool has_items;    /* they are not divided */
};

/* From when on a node may work, and how long before the end it must be done. `before`: nodes that main hears first. */
static double first_grant_s(const struct bound *bound, const struct simulate_life *life, unsigned before)
{
    const struct simulate_options *options = bound->options;

    if (!bound->has_messages)
        return life->start_s;
    return life->start_s + 2 * options->latency_s + 2 * options->message_s * (before + 1);
}

static double last_message_s(const struct bound *bound, unsigned before)
{
    const struct simulate_options *options = bound->options;

    return bound->has_messages ? options->latency_s + options->message_s * (before + 1) : 0;
}

/* The work that all nodes can have done until then. */
static double work_until(const struct bound *bound, double end_s)
{
    const struct simulate_options *options = bound->options;
    double item_s = options->item_s, sum_s = 0;
    unsigned first = 0, last = 0;

    for (unsigned i = 0; i < options->nodes; i++) {
        const struct simulate_life *life = &bound->lives[i];
        bool lives_on = isinf(life->death_s), is_there = life->start_s == 0;
        double to_s = fmin(end_s - last_message_s(bound, lives_on ? last : 0), life->death_s);
        double work_s = (to_s - first_grant_s(bound, life, is_there ? first : 0)) * life->speed;

        first += bound->has_turns && is_there;
        last += bound->has_turns && lives_on;
        if (work_s > 0)
            sum_s += options->slots * (bound->has_items ? floor(work_s / item_s + 1e-9) * item_s : work_s);
    }
    return sum_s;
}

/* When the slots can have had time for all of it. */
static double slots_s(const struct bound *bound)
{
    double low_s = 0, high_s = bound->options->item_s;

    while (work_until(bound, high_s) < bound->done->cost_s * (1 - 1e-12))
        high_s *= 2;
    for (int i = 0; i < STEPS; i++) {
        double middle_s = (low_s + high_s) / 2;

        if (work_until(bound, middle_s) < bound->done->cost_s * (1 - 1e-12))
            low_s = middle_s;
        else
            high_s = middle_s;
    }
    return high_s;
}

/* On the fastest node, which is the first. */
static double longest_s(const struct bound *bound)
{
    const struct simulate_life start = {.speed = 1};

    return first_grant_s(bound, &start, 0) + bound->done->longest_s / bound->lives->speed +
           last_message_s(bound, 0);
}

static double wire_s(const struct simulate_options *options)
{
    size_t most = options->item_size > options->result_size ? options->item_size : options->result_size;

    return (double)options->items * (double)most / options->bandwidth_bytes_s;
}

static int compare_speeds(const void *a, const void *b)
{
    const struct simulate_life *one = a, *other = b;

    return (one->speed < other->speed) - (one->speed > other->speed);
}

struct simulate_limit simulate_limit(const struct simulate_options *options, const struct simulate_done *done,
                                     struct simulate_life *lives)
{
    struct bound bound = {.options = options, .done = done, .lives = lives};
    struct simulate_limit limit;

    qsort(lives, options->nodes, sizeof *lives, compare_speeds);
    limit.work_s = fmax(slots_s(&bound), longest_s(&bound));
    bound.has_messages = true;
    limit.least_s = fmax(longest_s(&bound), wire_s(options));
    if (options->costs == SIMULATE_CONSTANT) {
        bound.has_items = true;
        limit.least_s = fmax(limit.least_s, slots_s(&bound));
        bound.has_items = false;
    }
    bound.has_turns = true;
    limit.least_s = fmax(limit.least_s, slots_s(&bound));
    return limit;
}

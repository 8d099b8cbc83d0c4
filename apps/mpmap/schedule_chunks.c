/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunk sizes as the papers give them. P: workers; R: items left.
 *
 *   FSC    Kruskal and Weiss 1985: (sqrt(2) N h / (sigma P sqrt(ln P)))^(2/3), h: time of a claim
 *   GSS    Polychronopoulos and Kuck 1987: R / P
 *   TSS    Tzen and Ni 1993: from N / 2P to 1, linearly
 *   FAC    Hummel, Schonberg and Flynn 1992: R / xP for P chunks, x by the variation sigma / mu
 *   AWF-*  Carino and Banicescu 2008: FAC2 times P times the worker's part of the speed of all
 *   AF     Banicescu and Liu 2000: by mu and sigma of each worker */
#include "schedule_chunks.h"

#include <math.h>
#include <string.h>

#define AF_FIRST_CHUNKS 50.0 /* of N / P items: one of so many is the first chunk, before anything is known */

const char *schedule_name(enum schedule_kind kind)
{
    static const char *const names[SCHEDULE_COUNT] = {"STATIC", "SS",   "FSC",   "mFSC",  "GSS", "TSS",
                                                      "FAC",    "FAC2", "AWF-B", "AWF-C", "AF"};
    return names[kind];
}

bool schedule_is_adaptive(enum schedule_kind kind)
{
    return kind == SCHEDULE_AWF_B || kind == SCHEDULE_AWF_C || kind == SCHEDULE_AF;
}

static double parts(double items, double part)
{
    return fmax(1.0, ceil(items / part));
}

static uint64_t fixed_size(const struct schedule_loop *loop)
{
    double count = (double)loop->count, workers = loop->workers, share = parts(count, workers);
    double spread = loop->spread_s * workers * sqrt(log(workers));

    if (!(spread > 0))
        return (uint64_t)share;
    return (uint64_t)fmin(share, parts(pow(sqrt(2.0) * count * loop->claim_s / spread, 2.0 / 3.0), 1.0));
}

/* As many chunks as batches of P chunks that are halves of what is left. */
static uint64_t modified_fixed_size(const struct schedule_loop *loop)
{
    double left = (double)loop->count, chunks = 0;

    for (; left > 0; chunks += loop->workers)
        left -= loop->workers * parts(left, 2.0 * loop->workers);
    return (uint64_t)parts((double)loop->count, fmax(chunks, 1.0));
}

void schedule_begin(struct schedule *schedule, enum schedule_kind kind, const struct schedule_loop *loop)
{
    memset(schedule, 0, sizeof *schedule);
    schedule->kind = kind;
    schedule->loop = *loop;
    for (unsigned i = 0; i < loop->workers; i++)
        schedule->weight[i] = 1.0;
    if (kind == SCHEDULE_FSC)
        schedule->fixed = fixed_size(loop);
    else if (kind == SCHEDULE_MFSC)
        schedule->fixed = modified_fixed_size(loop);
    else if (kind == SCHEDULE_SS)
        schedule->fixed = 1;
    else if (kind == SCHEDULE_STATIC)
        schedule->fixed = (uint64_t)parts((double)loop->count, loop->workers);
}

static double trapezoid(const struct schedule *schedule)
{
    double first = parts((double)schedule->loop.count, 2.0 * schedule->loop.workers), last = 1.0;
    double chunks = parts(2.0 * (double)schedule->loop.count, first + last);
    double step = chunks > 1 ? (first - last) / (chunks - 1) : 0.0;

    return fmax(last, round(first - step * schedule->claimed));
}

/* By what the items left are divided for a batch of factoring. */
static double factor(const struct schedule *schedule, double left)
{
    double b = schedule->loop.workers / (2.0 * sqrt(left)) * schedule->loop.spread_s / schedule->loop.mean_s;

    if (schedule->kind != SCHEDULE_FAC)
        return 2.0;
    if (schedule->batches == 0)
        return 1.0 + b * b + b * sqrt(b * b + 2.0);
    return 2.0 + b * b + b * sqrt(b * b + 4.0);
}

/* Each worker's part of the speed of all, times the number of workers; 1 as long as one has measured none. */
static void weigh(struct schedule *schedule)
{
    unsigned workers = schedule->loop.workers;
    double all = 0;

    for (unsigned i = 0; i < workers; i++) {
        if (!(schedule->speed[i].weighted_seconds > 0))
            return;
        all += schedule->speed[i].weighted_items / schedule->speed[i].weighted_seconds;
    }
    for (unsigned i = 0; i < workers; i++)
        schedule->weight[i] = workers * schedule->speed[i].weighted_items /
                              schedule->speed[i].weighted_seconds / all;
}

static double of_batch(struct schedule *schedule, double left)
{
    if (schedule->left_in_batch == 0) {
        schedule->batch = (uint64_t)parts(left, factor(schedule, left) * schedule->loop.workers);
        schedule->left_in_batch = schedule->loop.workers;
        schedule->batches++;
        if (schedule->kind == SCHEDULE_AWF_B)
            weigh(schedule);
    }
    schedule->left_in_batch--;
    return (double)schedule->batch;
}

static double adaptive(const struct schedule *schedule, unsigned worker, double left)
{
    double noise = 0, speed = 0, mean = 0;

    for (unsigned i = 0; i < schedule->loop.workers; i++) {
        const struct schedule_speed *measured = &schedule->speed[i];

        if (!(measured->seconds > 0))
            return parts((double)schedule->loop.count, AF_FIRST_CHUNKS * schedule->loop.workers);
        mean = measured->seconds / measured->items;
        noise += fmax(0.0, measured->squares / measured->items - mean * mean) / mean;
        speed += 1.0 / mean;
    }
    mean = schedule->speed[worker].seconds / schedule->speed[worker].items;
    return (noise + 2.0 * left / speed - sqrt(noise * noise + 4.0 * noise * left / speed)) / (2.0 * mean);
}

static double size_of_chunk(struct schedule *schedule, unsigned worker, double left)
{
    unsigned workers = schedule->loop.workers;

    switch (schedule->kind) {
    case SCHEDULE_GSS:
        return left / workers;
    case SCHEDULE_TSS:
        return trapezoid(schedule);
    case SCHEDULE_FAC:
    case SCHEDULE_FAC2:
        return of_batch(schedule, left);
    case SCHEDULE_AWF_B:
        return of_batch(schedule, left) * schedule->weight[worker];
    case SCHEDULE_AWF_C:
        weigh(schedule);
        return left / (2.0 * workers) * schedule->weight[worker];
    case SCHEDULE_AF:
        return adaptive(schedule, worker, left);
    default:
        return (double)schedule->fixed;
    }
}

uint64_t schedule_claim(struct schedule *schedule, unsigned worker, uint64_t *first)
{
    uint64_t left = schedule->loop.count - schedule->next;
    double size;

    if (left == 0)
        return 0;
    size = parts(size_of_chunk(schedule, worker, (double)left), 1.0);
    *first = schedule->next;
    if (size < (double)left)
        left = (uint64_t)size;
    schedule->next += left;
    schedule->claimed++;
    return left;
}

void schedule_measured(struct schedule *schedule, unsigned worker, uint64_t count, double seconds,
                       double squares)
{
    struct schedule_speed *speed = &schedule->speed[worker];
    double weight = ++speed->chunks;

    speed->items += (double)count;
    speed->seconds += seconds;
    speed->squares += squares;
    speed->weighted_items += weight * (double)count;
    speed->weighted_seconds += weight * seconds;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The classical loop schedules: how many items a worker claims next. For `mpmap bench schedule`, which compares
 * the library's own with them.
 *
 * They are those of the survey in DLS4LB by the names used there. Three of its fourteen are left out: weighted
 * factoring is FAC2 where all workers are equal, AWF learns between the time steps of a simulation, AWF-D and
 * AWF-E are AWF-B and AWF-C that count the time of a claim as well. */
#ifndef MPMAP_SCHEDULE_CHUNKS_H
#define MPMAP_SCHEDULE_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

enum schedule_kind {
    SCHEDULE_STATIC, /* one equal chunk a worker */
    SCHEDULE_SS,     /* self-scheduling: single items */
    SCHEDULE_FSC,    /* fixed-size chunks, by the known spread of costs and time of a claim */
    SCHEDULE_MFSC,   /* fixed-size chunks, as many as FAC2 has */
    SCHEDULE_GSS,    /* guided self-scheduling: what is left / workers */
    SCHEDULE_TSS,    /* trapezoid self-scheduling: from half a share down to one, in equal steps */
    SCHEDULE_FAC,    /* factoring, by the known mean and spread of costs */
    SCHEDULE_FAC2,   /* factoring: each batch is half of what is left */
    SCHEDULE_AWF_B,  /* factoring, weighted by the measured speed of each worker once a batch */
    SCHEDULE_AWF_C,  /* the same once a chunk */
    SCHEDULE_AF,     /* adaptive factoring, by the measured mean and spread of each worker */
    SCHEDULE_COUNT,
};

#define SCHEDULE_MOST_WORKERS 1024

/* The name of a schedule. */
const char *schedule_name(enum schedule_kind kind);
/* Whether it wants to know what was measured. */
bool schedule_is_adaptive(enum schedule_kind kind);

/* What is known of a loop beforehand. */
struct schedule_loop {
    uint64_t count;
    unsigned workers;
    double mean_s, spread_s; /* of an item's cost; the spread is the standard deviation */
    double claim_s;          /* time of a claim */
};

/* What a worker has measured. */
struct schedule_speed {
    double items, seconds, squares; /* sums over the items that it has done */
    double weighted_items, weighted_seconds;
    unsigned chunks;
};

/* A loop under way. Who calls sees to it that one does at a time. */
struct schedule {
    enum schedule_kind kind;
    struct schedule_loop loop;
    uint64_t next;             /* the first item that nobody has claimed */
    uint64_t fixed;            /* items in a chunk, where all are equal; else 0 */
    uint64_t batch;            /* items in a chunk of this batch, or their mean */
    unsigned left_in_batch;    /* chunks of it to be claimed yet */
    unsigned batches, claimed; /* so far, chunks */
    double weight[SCHEDULE_MOST_WORKERS];
    struct schedule_speed speed[SCHEDULE_MOST_WORKERS];
};

void schedule_begin(struct schedule *schedule, enum schedule_kind kind, const struct schedule_loop *loop);
/* Claims a chunk: returns how many items from *first on, 0 if none are left for the worker. */
uint64_t schedule_claim(struct schedule *schedule, unsigned worker, uint64_t *first);
/* Tells that the worker has done a chunk: the sum of its items' times, and of their squares. */
void schedule_measured(struct schedule *schedule, unsigned worker, uint64_t count, double seconds,
                       double squares);

#endif

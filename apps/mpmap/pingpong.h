/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that go to a partner and come back, one at a time, and how long one way takes. For bench_latency.c and
 * wire_main.c.
 *
 * One way is half of what is left of a round trip when the time is taken away for which the partner has held the
 * message. So no two clocks are compared, and the partner may be on another machine. Whoever is to be asleep when the
 * message comes is given time to fall asleep: the partner by the sender, who waits before it sends, and the sender by
 * the partner, who holds the message for as long. */
#ifndef MPMAP_PINGPONG_H
#define MPMAP_PINGPONG_H

#include <stdbool.h>
#include <stddef.h>

#include <mpmap.h>

#include "bench.h"

enum line_kind {
    LINE_WORD, /* the limit: a copy into shared memory, a word that says so, and a copy out of it; this node only */
    LINE_QUEUE,
    LINE_PIPE,
    LINE_IN_PLACE, /* a queue, too: the message comes and goes where it stands */
};

struct line {
    enum line_kind kind;
    bool sleeps;   /* who waits is asleep when the message comes, else it was just at work */
    unsigned node; /* of the partner */
    size_t size;   /* bytes of a message, at least sizeof(double) */
    /* Made by line_open(). */
    struct word_line *words;
    mpm_queue queues[2]; /* there and back */
    mpm_connection ends[2];
};

int line_open(struct line *line);
int line_close(struct line *line);
/* `count` messages, after some more that do not count. `one_way_us`: out, microseconds of each. */
int line_measure(const struct line *line, size_t count, double *one_way_us);

/* How long who is to be asleep is left alone. */
void line_be_still(void);

/* What most messages take, and all but one in a hundred, and all but one in a thousand. */
#define PERCENTILES 3
extern const char *const percentile_names[PERCENTILES];
/* Sorts the values. */
void percentiles(double *values, size_t count, double *of_them);
/* "4 KiB" */
char *size_name(size_t size, char *text, size_t room);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The crawl itself: main's loop. */
#ifndef MPMAP_CRAWL_CRAWL_H
#define MPMAP_CRAWL_CRAWL_H

#include <stdbool.h>
#include <stddef.h>

#include "crew.h"
#include "frontier.h"
#include "journal.h"
#include "ready.h"
#include "settings.h"
#include "since.h"

struct crawl {
    const struct settings *settings;
    struct frontier frontier;
    struct journal *journal;
    struct since *since; /* an earlier crawl, or NULL */
    struct crew crew;
    struct ready ready;
    double begin_s; /* by the monotonic clock: all other times count from there */
    size_t earlier; /* pages that were done before this run */
    size_t failed;  /* pages of this run */
    unsigned robots_in_flight;
    double drain_s; /* when the drain began; 0: it has not */
    mpm_line line;
};

/* Seconds since the crawl began. */
double crawl_now_s(const struct crawl *crawl);
/* Runs until all pages are done, or the drain is over. Returns 0, or an exit status after saying what is wrong. */
int crawl_run(struct crawl *crawl);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of a crawl: what is broken and who refers to it, redirects, sizes, and how fast each host was. */
#ifndef MPMAP_CRAWL_REPORT_H
#define MPMAP_CRAWL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontier.h"

#define REPORT_REFERRERS 10 /* that are listed of a broken page; the count is exact */

/* A page that is broken. */
struct broken {
    const struct page *page;
    struct facts facts;
    const char *referrers[REPORT_REFERRERS];
    size_t referrer_count; /* all of them */
};

/* What of a kind there is. */
struct type_count {
    char name[64];
    uint64_t pages, bytes;
};

struct report {
    const struct frontier *frontier;
    double seconds; /* of this run */
    size_t earlier; /* pages that were done before this run */
    size_t done, waiting, forbidden, noindex, sitemaps, unchanged;
    uint64_t bytes, rows;
    size_t by_class[6]; /* status / 100; 0: no answer */
    struct broken *broken;
    size_t broken_count;
    const struct page **redirects;
    size_t redirect_count;
    struct type_count types[32]; /* the last one is all others */
    size_t type_count;
    const struct page *largest[10];
    const struct page *slowest[10];
};

/* Whether the page counts as failed. */
bool report_is_broken(const struct facts *facts);
/* Writes all outputs of the crawl, and prints the report. Returns 0, or 1 after saying what is wrong. */
int report_write(const struct frontier *frontier, double seconds, size_t earlier);

/* For report.c: report.html. */
int report_write_html(const struct report *report);

#endif

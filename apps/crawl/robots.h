/* SPDX-License-Identifier: BSD-3-Clause */
/* robots.txt by RFC 9309: the group that names this crawler, else the one of *; the longest rule that matches, and
 * Allow where two are equally long. Beside it Crawl-delay and Sitemap, which are custom. */
#ifndef MPMAP_CRAWL_ROBOTS_H
#define MPMAP_CRAWL_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

#define ROBOTS_MOST (500u << 10) /* bytes of the file that are read; RFC 9309, section 2.5 */

struct robots_rule {
    char *pattern; /* normalised, with * and without the $ */
    size_t length;
    bool is_allow;
    bool is_whole; /* it ended with $ */
};

/* Zero allows everything. */
struct robots {
    struct robots_rule *rules;
    size_t count;
    bool forbids_all; /* the file could not be had */
    double delay_s;   /* between two requests; 0: it does not say */
    char **sitemaps;  /* as they stand in the file */
    size_t sitemap_count;
};

/* Reads the file for the crawler whose product token is `agent`, as in "mpmap-crawl/1.0". */
void robots_read(struct robots *robots, const char *text, size_t size, const char *agent);
/* Whether the normalised URL may be asked for. */
bool robots_allow(const struct robots *robots, const char *url);
void robots_free(struct robots *robots);

#endif

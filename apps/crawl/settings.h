/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command line asks for. */
#ifndef MPMAP_CRAWL_SETTINGS_H
#define MPMAP_CRAWL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "support/command.h"

struct settings {
    char **starts; /* URLs as they were given */
    size_t start_count;
    const char *folder; /* where everything is written */
    const char *since;  /* folder of an earlier crawl, or NULL */
    struct text_list hosts, includes, excludes, columns;
    const char *each; /* selector of rows, or NULL: a row is a page */
    const char *agent;
    const char *authorities; /* file of certificates, or NULL: the system's */
    double delay_s;
    double timeout_s;
    double parse_timeout_s;
    double grace_s;
    double backoff_s;
    size_t connections; /* to a host, all fetchers together */
    size_t fetchers, parsers;
    size_t depth;  /* links from a start URL at most */
    bool by_level; /* all of a depth before the next one, so that each page has its true depth */
    size_t most_pages, most_host_pages;
    size_t most_size, most_links;
    size_t memory;
    size_t attempts;
    bool pages_only, no_robots, no_sitemaps, no_warc;
    bool resume, quiet, json;
    mpm_line line;
};

#endif

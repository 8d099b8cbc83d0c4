/* SPDX-License-Identifier: BSD-3-Clause */
/* Two questions that need no network: what a link means, and what robots.txt allows. */
#ifndef MPMAP_CRAWL_PROBE_H
#define MPMAP_CRAWL_PROBE_H

#include "settings.h"

/* Prints the URL that each word would be asked as if it were a link of the page `base`; an empty line for what would
 * not be asked for. Returns the exit status. */
int probe_resolve(const char *base, const struct settings *settings);
/* Prints "allowed" or "forbidden" before each URL, by the rules of the file. */
int probe_robots(const char *file, const struct settings *settings);

#endif

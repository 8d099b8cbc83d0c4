/* SPDX-License-Identifier: BSD-3-Clause */
/* An earlier crawl of the same pages: what was answered then is asked for on the condition that it has changed. */
#ifndef MPMAP_CRAWL_SINCE_H
#define MPMAP_CRAWL_SINCE_H

#include "frontier.h"
#include "settings.h"

struct since;

/* Reads the crawl in `folder`. NULL after saying what is wrong. */
struct since *since_open(const char *folder, const struct settings *settings);
/* The facts of a page as it was then. Returns false if it was not there, or not good. */
bool since_facts(const struct since *since, uint64_t fingerprint, struct facts *facts);
/* Calls `found` for each link that the page had then. */
void since_links(const struct since *since, uint64_t fingerprint,
                 void (*found)(const struct page *page, void *argument), void *argument);
void since_close(struct since *since);

#endif

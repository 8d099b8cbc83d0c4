/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal of a crawl, in its output folder: what was found and what was done, in order. All other outputs follow
 * from it, and a crawl that was killed goes on from it. */
#ifndef MPMAP_CRAWL_JOURNAL_H
#define MPMAP_CRAWL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "frontier.h"

struct journal;

/* Opens the folder's journal, for this process alone, and reads it into the frontier. `request` says in lines what the
 * crawl is about: it must be what the journal's crawl was about. Without `resume` there must be none yet. NULL after
 * saying what is wrong. */
struct journal *journal_open(struct frontier *frontier, const char *request);
/* Only reads a journal: that of an earlier crawl. Returns 0, or 1 after saying what is wrong. */
int journal_read(const char *folder, struct frontier *frontier);
/* Notes URLs that the frontier has taken: pages `first` and those that follow. */
void journal_urls(struct journal *journal, const struct frontier *frontier, uint32_t first);
/* Notes that a page is done, and with it the URLs that the frontier has taken since: pages `first` and those that
 * follow. */
void journal_page(struct journal *journal, const struct frontier *frontier, uint32_t page, uint32_t first);
/* Writes what was noted. Returns 0, or 1 after saying what is wrong. */
int journal_flush(struct journal *journal);
void journal_close(struct journal *journal);

/* FOLDER/NAME; valid until the next call. */
const char *journal_path(const char *folder, const char *name);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetcher's pages on their way through its parsers. For fetcher.c. */
#ifndef MPMAP_CRAWL_PARSING_H
#define MPMAP_CRAWL_PARSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inbox.h"
#include "message.h"
#include "transfer.h"

struct parsing;

/* Opens the pool of parsers; `texts` are the selectors of rows and the columns, as a fetcher gets them. NULL after
 * saying what is wrong. */
struct parsing *parsing_open(const struct fetcher_start *start, struct inbox *inbox, const char *texts,
                             size_t size);
/* Takes a page that has come and is to be parsed. */
void parsing_add(struct parsing *parsing, struct transfer *transfer);
/* Hands pages to parsers if it is time. Those that have no text, because what was packed is damaged, or that cannot be
 * handed over come back, in a list; their facts say why. */
struct transfer *parsing_hand_over(struct parsing *parsing);
/* The page with that ticket, which is parsed; NULL if it was taken before. */
struct transfer *parsing_take(struct parsing *parsing, uint64_t ticket);
/* Whether it has pages. */
bool parsing_is_busy(const struct parsing *parsing);
void parsing_close(struct parsing *parsing);

#endif

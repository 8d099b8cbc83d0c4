/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of a crawl: a line of JSON for each page, and the rows that were extracted. */
#ifndef MPMAP_CRAWL_INDEX_H
#define MPMAP_CRAWL_INDEX_H

#include <stddef.h>
#include <stdio.h>

#include "extract.h"
#include "frontier.h"

/* Writes pages.jsonl. Returns 0, or 1 after saying what is wrong. */
int index_write_pages(const struct frontier *frontier);
/* Writes rows.jsonl and rows.csv, if anything is extracted. */
int index_write_rows(const struct frontier *frontier);
/* Writes crawl.h5: /pages/…, a data set for each field, and /rows/…, one for each column. */
int index_write_h5(const struct frontier *frontier);

/* Columns that are extracted: names and types. */
struct index_columns {
    char **names;
    enum column_type *types;
    size_t count;
};

void index_columns(const struct settings *settings, struct index_columns *columns);
void index_columns_free(struct index_columns *columns);

/* Calls `row` for each row of all pages: `cells` are NULL where there is none. */
void index_each_row(const struct frontier *frontier, size_t columns,
                    void (*row)(const struct page *page, const char *const *cells, void *argument),
                    void *argument);

/* The URL that a fingerprint stands for; "" if there is none. */
const char *index_url(const struct frontier *frontier, uint64_t fingerprint);
/* "2026-01-31T12:00:00Z"; "" for 0. */
void index_time(uint64_t time_ms, char text[32]);
const char *index_outcome(enum outcome outcome);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Extraction: a page's text becomes rows of cells, in a worker of a fetcher's pool, which a hostile page may crash,
 * hold up or fill without harm to others. */
#ifndef MPMAP_CRAWL_EXTRACT_H
#define MPMAP_CRAWL_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

#include "support/command.h"

/* Items of a list stand in one cell, with this between them. */
#define CELL_SEPARATOR '\x1f'

enum column_type { COLUMN_TEXT, COLUMN_F64, COLUMN_I64, COLUMN_BOOL, COLUMN_URL, COLUMN_COUNT, COLUMN_LIST };

/* Reads the name and the type of a column's specification, as --select has it; free() frees the name. Returns what is
 * behind them, or NULL, and what is wrong. */
const char *column_read(const char *specification, char **name, enum column_type *type, const char **error);
/* Whether --each and all --select can be read. Returns 0, or EXIT_USAGE after saying what is wrong. */
int extract_check(const char *each, const struct text_list *columns);

/* A page, an item of extract_task(). In the context of the map stand its URL and its Content-Type, as texts of
 * buffer.h, and behind them its text. */
struct extract_item {
    uint64_t ticket;
    mpm_queue inbox; /* where the rows go: see message.h */
    size_t begin, end;
};

/* Its argument: the selector of rows, and for each column its specification, as texts of buffer.h. */
mpm_initializer extract_initializer;
/* Puts the rows into the inbox: their number, and for each cell whether it is there, and its text. */
mpm_task extract_task;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Extraction: a page's text becomes rows of cells, in a worker of a fetcher's pool, which a hostile page may crash,
 * hold up or fill without harm to others. */
#ifndef MPMAP_CRAWL_EXTRACT_H
#define MPMAP_CRAWL_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

#include "buffer.h"
#include "support/command.h"

struct inbox;

/* Items of a list stand in one cell, with this between them. */
#define CELL_SEPARATOR '\x1f'

enum column_type { COLUMN_TEXT, COLUMN_F64, COLUMN_I64, COLUMN_BOOL, COLUMN_URL, COLUMN_COUNT, COLUMN_LIST };

/* Reads the name and the type of a column's specification, as --select has it; free() frees the name. Returns what is
 * behind them, or NULL, and what is wrong. */
const char *column_read(const char *specification, char **name, enum column_type *type, const char **error);
/* Whether --each and all --select can be read. Returns 0, or EXIT_USAGE after saying what is wrong. */
int extract_check(const char *each, const struct text_list *columns);

/* What the callback of a parser's call knows. */
struct parse_ticket {
    uint64_t number;
    struct inbox *inbox;
};

/* A call of extract_task(). */
struct extract_item {
    uint64_t ticket;
    mpm_queue inbox; /* where the rows go: see message.h */
    const char *url, *type;
    const char *text;
    size_t size;
};

void extract_write_item(struct buffer *buffer, const struct extract_item *item);

/* Its argument: the selector of rows, and for each column its specification, as texts of buffer.h. */
mpm_initializer extract_initializer;
/* Puts the rows into the inbox: their number, and for each cell whether it is there, and its text. */
mpm_task extract_task;

#endif

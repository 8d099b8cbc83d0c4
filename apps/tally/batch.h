/* SPDX-License-Identifier: BSD-3-Clause */
/* Up to BATCH rows, of which each column that is used is a list of texts. They go through one step after the
 * other, each a short loop over all rows: numbers, bad rows, conditions, keys, groups, and what is computed of
 * each group. */
#ifndef TALLY_BATCH_H
#define TALLY_BATCH_H

#include "number.h"
#include "plan.h"
#include "table.h"

#define BATCH       1024
#define MOST_BAD    16 /* bad rows of a block that are described */
#define SAMPLE_SIZE 48

enum bad_kind {
    BAD_NUMBER,
    BAD_EMPTY,
    BAD_FEW,
    BAD_MANY,
    BAD_QUOTE,
    BAD_BEHIND_QUOTE,
    BAD_ZERO,
    BAD_LONG,
    BAD_KINDS
};

struct bad_row {
    uint64_t line; /* from the block's first line, which is 0 */
    uint32_t kind;
    uint32_t detail; /* a used column, or how many columns there are */
    char sample[SAMPLE_SIZE];
};

/* What a block says beside its groups. */
struct block_head {
    uint64_t begin, end; /* of its rows; the end is where the next block's begin */
    uint64_t lines, rows;
    uint64_t bad[BAD_KINDS];
    uint64_t bad_count;
    struct bad_row bad_rows[MOST_BAD];
    uint64_t partitions[PARTITIONS + 1];
};

struct batch {
    const struct plan *plan;
    struct table *table;
    struct block_head *head;
    uint32_t count;
    const char **texts; /* of BATCH a column */
    uint32_t *lengths;
    uint64_t lines[BATCH];
    struct number *numbers;     /* of BATCH a column that has numbers */
    uint8_t *kinds;             /* an enum number_kind of each */
    bool is_decimal[MOST_USED]; /* all of the column are */
    struct number_form forms[MOST_USED];
    struct key keys[BATCH];
    uint32_t groups[BATCH];
    char *key_bytes; /* of keys of several columns */
    size_t key_room;
};

/* Returns false if there is no memory. */
bool batch_open(struct batch *batch, const struct plan *plan, struct table *table);
void batch_close(struct batch *batch);

static inline const char **batch_texts(struct batch *batch, uint32_t column)
{
    return batch->texts + (size_t)column * BATCH;
}

static inline uint32_t *batch_lengths(struct batch *batch, uint32_t column)
{
    return batch->lengths + (size_t)column * BATCH;
}

/* Counts a bad row, and describes it while there is room. */
void batch_bad(struct block_head *head, const struct bad_row *row, const char *text, size_t length);

/* Takes all its rows into the table; it is empty then. */
void batch_flush(struct batch *batch);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The pass over all blocks of all files: some rounds of blocks at a time are with the workers, and what comes back is
 * merged in the order of the blocks. */
#ifndef TALLY_PASSES_H
#define TALLY_PASSES_H

#include <mpmap.h>

#include "batch.h"
#include "input.h"
#include "journal.h"
#include "table.h"

#define MOST_LISTED 20 /* bad rows that are listed */

struct block {
    size_t file;
    uint64_t first, limit;
    bool is_first; /* of its file */
};

struct listed_row {
    size_t file;
    struct bad_row row; /* its line is that of the file, from 1 */
};

/* Rows and groups of all blocks that were merged. */
struct answer {
    struct table parts[PARTITIONS];
    uint64_t rows;
    uint64_t bad[BAD_KINDS];
    uint64_t bad_count;
    struct listed_row listed[MOST_LISTED];
    size_t listed_count;
};

struct pass_options {
    mpm_pool_options pool;
    uint64_t block_bytes; /* 0: by the size of the files */
    mpm_line line;
    struct journal *journal; /* of blocks that are done; or NULL */
};

void answer_open(struct answer *answer, const struct plan *plan);
void answer_close(struct answer *answer);

/* Cuts the files into blocks, by their sizes alone. The caller frees them with free(). */
struct block *blocks_cut(const struct input *input, uint64_t block_bytes, size_t *count);

/* 0, or the exit status after saying what is wrong; EXIT_DRAINED if it was drained. */
int pass_run(const struct input *input, const struct plan *plan, const struct pass_options *options,
             struct answer *answer);

/* The sentence about a bad row. */
void bad_row_describe(const struct input *input, const struct plan *plan, const struct listed_row *listed,
                      char *text, size_t size);
const char *bad_kind_text(enum bad_kind kind);

#endif

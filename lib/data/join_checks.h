/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of checks: what runs that have joined write about rows beside the part. For data/ only.
 *
 *     0 … places for checksums, as block_sum.h has them … a byte a row: 1 if it has failed … end
 *
 * Nothing of it is in the part, since that is cut off behind its marks when it becomes the output, and a run that was
 * stopped may still write then. A run that writes here has a file that nobody reads any more. Two runs may write the
 * same checksum or the same byte: they write the same, or a checksum of a block that begins in the same row and has
 * another length, and rows that are not proved then are run again. */
#ifndef DATA_JOIN_CHECKS_H
#define DATA_JOIN_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "data/block_sum.h"

#define CHECKS_NAME "checks" /* in the folder of claims */

/* Makes it in a folder. 0 or an errno. */
int checks_make(int folder, uint64_t rows);
/* Opens it, for reading and writing. MPM_EIO. */
int checks_open(const char *path, int *fd);

struct checks_files {
    int part;
    int checks;
    const char *values; /* the folder of values, to find what is proved; else NULL */
};

/* Writes results, their checksum, then their marks, all of good rows. False and errno. */
bool checks_write_good(const struct checks_files *files, const struct part_places *places, uint64_t first,
                       uint64_t count, const unsigned char *marks, const unsigned char *results);
/* Notes that rows have failed. False and errno. */
bool checks_fail_rows(int checks, const struct part_places *places, uint64_t first, uint64_t count);

/* What is known of the rows [first, end): a byte a row, an enum row_mark. A row is good, or has failed in an earlier
 * run that was alone, if it is in a block that is proved; else it has failed if that is noted. False and errno. */
bool checks_find(const struct checks_files *files, const struct part_places *places, uint64_t first,
                 uint64_t end, unsigned char *found);
/* Counts rows that are noted to have failed and are not marked in the part: 0 if there is no such file. False and
 * errno. */
bool checks_count_failed(const char *path, int part, const struct part_places *places, uint64_t *failed);

#endif

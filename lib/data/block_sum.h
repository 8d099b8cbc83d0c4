/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums of rows that were written together: results and marks of a block, field by field. A block that was written
 * is proved by it, whatever else was written around it, or on the way to the disk in whatever order.
 *
 * Nobody hands out places for them, since workers on several nodes write them at once. A small block has the place of
 * its first row. One of at least PART_GROUP_ROWS rows has the place of the group in which it begins, where no other
 * such block can begin: so a map of short rows writes few places, which are near each other. Where blocks overlap,
 * because rows were run again, one of them may take the place of another, whose rows are not proved any more then. For
 * data/ only. */
#ifndef DATA_BLOCK_SUM_H
#define DATA_BLOCK_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/part_record.h"
#include "data/result_place.h"

struct block_sum {
    uint64_t first;
    uint32_t rows;
    uint32_t sum;
};

#define BLOCK_MOST_ROWS UINT32_MAX

/* Where rows stand in a part, as plain bytes. */
struct part_places {
    uint64_t rows;
    uint64_t capacity; /* rows that there are places for */
    struct result_places results;
    uint64_t marks_at;
    uint64_t sums_at;
};

static inline struct part_places part_places_of(const struct part_record *record)
{
    return (struct part_places){record->rows, record->capacity, record->results, record->marks_at,
                                record->sums_at};
}

/* Of the rows [first, first + rows) in memory. */
struct block_sum block_sum_of(const struct part_places *places, uint64_t first, uint64_t rows,
                              const unsigned char *marks, const void *results);
/* Writes it to its place. False and errno. */
bool block_sum_write(int fd, const struct part_places *places, const struct block_sum *block);
typedef void block_proved(const struct block_sum *block, void *argument);
/* Calls `proved` for each block that the file has as it was written, values of variable length included. False and
 * errno if it cannot be read. */
bool block_sums_find(int fd, const struct part_places *places, const char *values, block_proved *proved,
                     void *argument);

struct block_search {
    int fd;   /* has results and marks */
    int sums; /* has checksums, from places.sums_at on */
    struct part_places places;
    uint64_t first, end; /* rows in which blocks begin */
    const char *values;  /* the folder of values, if there are results of variable length */
};

/* The same for some blocks only. */
bool block_sums_search(const struct block_search *search, block_proved *proved, void *argument);

#endif

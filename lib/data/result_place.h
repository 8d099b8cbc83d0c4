/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of rows in memory, one struct behind the other, and in a file, where each field of them is a column in one
 * piece. What stands between fields in memory is not in the file. For data/ only. */
#ifndef DATA_RESULT_PLACE_H
#define DATA_RESULT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULT_MOST_FIELDS 64

/* A field: plain bytes. */
struct result_place {
    uint64_t offset; /* in the struct */
    uint64_t size;
    uint64_t at;      /* of its first value in the file */
    uint64_t is_vlen; /* it is a struct value_ref (values.h) */
};

struct result_places {
    uint64_t count;
    uint64_t size; /* of the struct */
    struct result_place field[RESULT_MOST_FIELDS];
};

/* Copies bytes [from, from + size) of a column out of the structs at `rows`. */
void result_gather(const struct result_places *places, unsigned field, const void *rows, uint64_t from,
                   size_t size, void *bytes);
/* Writes the results of rows [first, first + count). False and errno. */
bool result_write(int fd, const struct result_places *places, uint64_t first, uint64_t count,
                  const void *rows);
/* Reads them: what is between fields is 0. False and errno. */
bool result_read(int fd, const struct result_places *places, uint64_t first, uint64_t count, void *rows);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a group: a record, of struct record, a struct moments for each column that needs it, and what
 * single measures have of their own, each at the place that the plan says.
 *
 * Decimals are added up as whole numbers of 128 bits: the result is exact, in whatever order they come. Other
 * numbers are kept apart, in a struct wide, and are added in the order of the file within a block, and block by
 * block; so they give the same bits as well, as blocks are cut by bytes alone. */
#ifndef TALLY_RECORD_H
#define TALLY_RECORD_H

#include <stdint.h>

#include "plan.h"

/* Aligned as records are. */
__extension__ typedef __int128 int128 __attribute__((aligned(8)));
__extension__ typedef unsigned __int128 uint128 __attribute__((aligned(8)));

/* A key of up to 16 bytes stands in the record, with zeros behind it; of a longer one its beginning. */
#define SHORT_KEY 16

struct record {
    uint64_t hash;
    uint64_t key[2];
    uint32_t key_length;
    uint32_t key_offset; /* of a long key, among the keys of its table, in units of 8 bytes */
    uint64_t rows;
};

struct wide {
    uint64_t count;
    double sum, compensation; /* of Neumaier: the sum is both together */
    double least, most;
    double mean, squares; /* of Welford: the sum of the squared distances from the mean */
};

/* Those parts that the plan has, in this order: sum, least and most, sum of squares. What is seldom written stands
 * elsewhere, at the end of the record, so that groups take few cache lines. */
struct moments {
    int128 parts[1];
};

struct moments_rest {
    uint64_t missing; /* rows without a value */
    uint64_t wide;    /* index + 1 of a struct wide; 0: none */
};

struct products {
    uint64_t count;
    int128 x, y, xx, yy, xy;
    uint64_t wide_count; /* pairs of which one is wide, by Welford's way */
    double mean_x, mean_y, squares_x, squares_y, product;
};

struct top {
    uint64_t count;
    double values[]; /* the largest first */
};

static inline uint32_t moments_size(uint32_t parts)
{
    return 16 * (uint32_t)(!!(parts & PART_SUM) + !!(parts & PART_EXTREMES) + !!(parts & PART_SQUARES));
}

static inline int128 *moments_sum(struct moments *moments)
{
    return moments->parts;
}

static inline int64_t *moments_extremes(struct moments *moments, uint32_t parts)
{
    return (int64_t *)(moments->parts + (parts & PART_SUM ? 1 : 0));
}

static inline int128 *moments_squares(struct moments *moments, uint32_t parts)
{
    return moments->parts + (parts & PART_SUM ? 1 : 0) + (parts & PART_EXTREMES ? 1 : 0);
}

static inline void *record_at(struct record *record, uint32_t offset)
{
    return (char *)record + offset;
}

static inline struct moments_rest *record_rest(struct record *record, const struct used_column *column)
{
    return record_at(record, column->rest_offset);
}

/* The state of no rows. */
void record_init(const struct plan *plan, struct record *record);
void wide_init(struct wide *wide);

void wide_add(struct wide *wide, double value);
void wide_merge(struct wide *wide, const struct wide *later);
void top_add(struct top *top, uint32_t most, double value);
void products_add(struct products *products, int64_t x, int64_t y);
void products_add_wide(struct products *products, double x, double y);

/* All but rows and the wide parts of the moments. `other` is read only, and has neither a head nor, if so, a rest. */
void record_merge(const struct plan *plan, struct record *record, struct record *other, bool has_rest);

/* Results. `unit` is ten to the power of the column's scale. */
double moments_total(struct moments *moments, const struct wide *wide, double unit);
/* The variance of a sample of `count` values, the wide ones included; NaN of less than two. */
double moments_variance(struct moments *moments, uint32_t parts, uint64_t count, const struct wide *wide,
                        double unit);
/* Pearson's coefficient; NaN where it has no value. */
double products_correlation(const struct products *products, double unit_x, double unit_y);

#endif

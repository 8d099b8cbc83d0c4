/* SPDX-License-Identifier: BSD-3-Clause */
/* What is to be computed, in one struct without pointers: it travels to every worker as the context of the map. */
#ifndef TALLY_PLAN_H
#define TALLY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_COLUMNS  65536 /* of a file */
#define MOST_USED     64    /* columns that are looked at */
#define MOST_BY       16
#define MOST_MEASURES 64
#define MOST_WHERE    16
#define MOST_TOP      256
#define MOST_MISSING  16 /* words for it */
#define MISSING_SIZE  32
#define NAME_SIZE     96
#define LITERAL_SIZE  256
#define MOST_SCALE    9 /* decimals that a column may have and be summed exactly */

enum column_type { TYPE_UNKNOWN, TYPE_TEXT, TYPE_NUMBER };

/* What a number column needs of its values. */
enum part { PART_SUM = 1, PART_EXTREMES = 2, PART_SQUARES = 4 };

/* A column that is looked at. Its numbers are decimals of `scale` digits behind the point, as whole numbers of at
 * most `limit`, which add up exactly in any order; what is no such decimal is a double. */
struct used_column {
    char name[NAME_SIZE];
    uint32_t index;  /* in the file, from 0 */
    uint32_t prefix; /* only so many characters of the column that is `whole`; 0: all */
    uint32_t whole;  /* of the used ones */
    uint32_t type;   /* an enum column_type */
    uint32_t scale;
    uint32_t parts;       /* of enum part */
    uint32_t offset;      /* of its struct moments in a record; 0: none */
    uint32_t rest_offset; /* of its struct moments_rest */
    uint32_t is_read;     /* its numbers are */
    int64_t limit;
};

enum measure_kind {
    MEASURE_COUNT, /* rows, or values of a column */
    MEASURE_SUM,
    MEASURE_MEAN,
    MEASURE_MIN,
    MEASURE_MAX,
    MEASURE_STDDEV,
    MEASURE_VARIANCE,
    MEASURE_QUANTILE,
    MEASURE_APPROX_QUANTILE,
    MEASURE_DISTINCT,
    MEASURE_APPROX_DISTINCT,
    MEASURE_TOP,
    MEASURE_CORRELATION,
};

struct measure {
    char title[NAME_SIZE * 2]; /* as it was asked for */
    uint32_t kind;             /* an enum measure_kind */
    uint32_t column, other;    /* of the used ones */
    uint32_t has_column;
    uint32_t top;    /* how many */
    uint32_t offset; /* of its own part of a record, if it has one */
    int32_t bag;     /* its bag of values; -1: none */
    double quantile;
};

enum comparison {
    COMPARE_EQUAL,
    COMPARE_UNEQUAL,
    COMPARE_LESS,
    COMPARE_AT_MOST,
    COMPARE_MORE,
    COMPARE_AT_LEAST
};

struct condition {
    uint32_t column;
    uint32_t comparison;
    double number; /* if the column has numbers */
    char text[LITERAL_SIZE];
};

/* How values of a bag are kept: each with how often it came, those near each other as one, each once, or the least
 * fingerprints only. */
enum bag_kind { BAG_EXACT, BAG_ROUNDED, BAG_SET, BAG_SKETCH };

struct bag_plan {
    uint32_t kind;
    uint32_t column;
};

struct plan {
    char separator, point; /* between fields; before decimals */
    char comment;          /* lines that begin so are skipped; 0: none are */
    bool fills_rows;       /* columns that a row lacks at its end are as if they were empty */
    bool stops_at_bad;     /* nobody looks at rows behind the first bad one */
    uint32_t column_count;
    uint32_t used_count, by_count, measure_count, condition_count, bag_count;
    uint32_t record_size, rest_offset; /* where what is seldom written begins */
    uint32_t by[MOST_BY];              /* of the used ones */
    struct used_column used[MOST_USED];
    struct measure measures[MOST_MEASURES];
    struct condition conditions[MOST_WHERE];
    struct bag_plan bags[MOST_MEASURES];
    uint32_t missing_count;
    char missing[MOST_MISSING][MISSING_SIZE]; /* fields that are as if they were empty */
};

/* Finds or adds the column; returns its index among the used ones, or -1 if there are too many of them. */
int plan_use(struct plan *plan, uint32_t index, const char *name);
/* The same of the first characters of a used one. */
int plan_use_prefix(struct plan *plan, uint32_t whole, uint32_t prefix, const char *name);

/* Decides where everything is in a record, once all types and measures are known. */
void plan_lay_out(struct plan *plan);

#endif

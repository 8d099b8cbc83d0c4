/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups in the order in which they are shown, and the value of each measure of a group. */
#ifndef TALLY_RESULT_H
#define TALLY_RESULT_H

#include "passes.h"

#define MOST_TEXT 512 /* bytes of a number as text */

enum value_kind { VALUE_MISSING, VALUE_COUNT, VALUE_DECIMAL, VALUE_DOUBLE, VALUE_LIST };

struct value {
    enum value_kind kind;
    uint64_t count;
    int128 decimal; /* exact, in units of its last decimal */
    uint32_t scale;
    double number;
    const double *list;
    uint64_t list_count;
};

struct result_row {
    uint64_t order; /* what the first key or the measure says, as bits that compare */
    uint32_t part, group;
};

struct result {
    const struct plan *plan;
    struct answer *answer;
    struct result_row *rows;
    size_t count;
    size_t shown; /* the first ones */
};

/* Orders the groups by their keys; by a measure, "sum(v1)", or "-sum(v1)" for the largest first, if `order` is
 * one; not at all if it is "none". 0, or the exit status after saying what is wrong. */
int result_make(struct answer *answer, const struct plan *plan, const char *order, size_t limit,
                struct result *result);
void result_free(struct result *result);

/* The text of a key column; returns its length. */
size_t result_key(const struct result *result, size_t row, uint32_t key, const char **text);
struct value result_value(const struct result *result, size_t row, uint32_t measure);

/* As a number. */
double value_number(const struct value *value);
/* With as many digits as it takes to read the same number again; "" if it is missing. */
size_t value_text(const struct value *value, char text[MOST_TEXT]);
size_t double_text(double number, char text[MOST_TEXT]);
/* For people: nine digits, and at most six of them behind the point. */
size_t double_short_text(double number, char text[MOST_TEXT]);

#endif

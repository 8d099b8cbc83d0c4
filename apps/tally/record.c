/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

#include <math.h>
#include <string.h>

/* A whole number of 256 bits with a sign, as differences of products of sums need it. */
struct large {
    uint64_t words[4]; /* the lowest first */
    bool is_negative;
};

static struct large large_product(int128 a, int128 b)
{
    struct large product = {.is_negative = (a < 0) != (b < 0)};
    uint128 x = a < 0 ? -(uint128)a : (uint128)a, y = b < 0 ? -(uint128)b : (uint128)b;
    const uint64_t left[2] = {(uint64_t)x, (uint64_t)(x >> 64)},
                   right[2] = {(uint64_t)y, (uint64_t)(y >> 64)};

    for (int i = 0; i < 2; i++) {
        uint64_t carry = 0;

        for (int k = 0; k < 2; k++) {
            uint128 part = (uint128)left[i] * right[k] + product.words[i + k] + carry;

            product.words[i + k] = (uint64_t)part;
            carry = (uint64_t)(part >> 64);
        }
        product.words[i + 2] += carry;
    }
    return product;
}

static bool large_is_less(const struct large *a, const struct large *b)
{
    for (int i = 3; i >= 0; i--) {
        if (a->words[i] != b->words[i])
            return a->words[i] < b->words[i];
    }
    return false;
}

/* a - b, as the long double that is nearest to it, or next to that. */
static long double large_difference(struct large a, struct large b)
{
    bool is_negative = a.is_negative;
    long double value = 0;
    uint64_t carry = 0;

    if (a.is_negative == b.is_negative && large_is_less(&a, &b)) {
        struct large other = a;

        a = b;
        b = other;
        is_negative = !is_negative;
    }
    for (int i = 0; i < 4; i++) {
        uint128 word = a.is_negative == b.is_negative ? (uint128)a.words[i] - b.words[i] - carry
                                                      : (uint128)a.words[i] + b.words[i] + carry;

        a.words[i] = (uint64_t)word;
        carry = (uint64_t)(word >> 64) & 1;
    }
    for (int i = 3; i >= 0; i--)
        value = value * 0x1p64L + (long double)a.words[i];
    return is_negative ? -value : value;
}

/* count * products - a * b */
static long double spread(uint64_t count, int128 products, int128 a, int128 b)
{
    return large_difference(large_product((int128)count, products), large_product(a, b));
}

void wide_init(struct wide *wide)
{
    *wide = (struct wide){.least = INFINITY, .most = -INFINITY};
}

void record_init(const struct plan *plan, struct record *record)
{
    memset(record + 1, 0, plan->record_size - sizeof *record);
    record->rows = 0;
    for (uint32_t i = 0; i < plan->used_count; i++) {
        const struct used_column *column = &plan->used[i];
        int64_t *extremes;

        if (!column->offset || !(column->parts & PART_EXTREMES))
            continue;
        extremes = moments_extremes(record_at(record, column->offset), column->parts);
        extremes[0] = INT64_MAX;
        extremes[1] = INT64_MIN;
    }
}

static void add_compensated(struct wide *wide, double value)
{
    double sum = wide->sum + value;

    wide->compensation += fabs(wide->sum) >= fabs(value) ? wide->sum - sum + value : value - sum + wide->sum;
    wide->sum = sum;
}

void wide_add(struct wide *wide, double value)
{
    double distance = value - wide->mean;

    wide->count++;
    add_compensated(wide, value);
    wide->least = value < wide->least ? value : wide->least;
    wide->most = value > wide->most ? value : wide->most;
    wide->mean += distance / (double)wide->count;
    wide->squares += distance * (value - wide->mean);
}

void wide_merge(struct wide *wide, const struct wide *later)
{
    double a = (double)wide->count, b = (double)later->count, distance = later->mean - wide->mean;

    if (!later->count)
        return;
    add_compensated(wide, later->sum);
    wide->compensation += later->compensation;
    wide->least = later->least < wide->least ? later->least : wide->least;
    wide->most = later->most > wide->most ? later->most : wide->most;
    wide->mean += distance * (b / (a + b));
    wide->squares += later->squares + distance * distance * (a * b / (a + b));
    wide->count += later->count;
}

void top_add(struct top *top, uint32_t most, double value)
{
    uint64_t at = top->count;

    if (at == most) {
        if (value <= top->values[at - 1])
            return;
        at--;
    } else {
        top->count++;
    }
    for (; at && top->values[at - 1] < value; at--)
        top->values[at] = top->values[at - 1];
    top->values[at] = value;
}

void products_add(struct products *products, int64_t x, int64_t y)
{
    products->count++;
    products->x += x;
    products->y += y;
    products->xx += (int128)x * x;
    products->yy += (int128)y * y;
    products->xy += (int128)x * y;
}

void products_add_wide(struct products *products, double x, double y)
{
    double dx = x - products->mean_x, dy = y - products->mean_y, count = (double)++products->wide_count;

    products->mean_x += dx / count;
    products->mean_y += dy / count;
    products->squares_x += dx * (x - products->mean_x);
    products->squares_y += dy * (y - products->mean_y);
    products->product += dx * (y - products->mean_y);
}

/* The wide part alone. */
static void merge_wide_products(struct products *products, const struct products *later)
{
    double a = (double)products->wide_count, b = (double)later->wide_count, part;
    double dx = later->mean_x - products->mean_x, dy = later->mean_y - products->mean_y;

    if (!later->wide_count)
        return;
    part = a * b / (a + b);
    products->mean_x += dx * (b / (a + b));
    products->mean_y += dy * (b / (a + b));
    products->squares_x += later->squares_x + dx * dx * part;
    products->squares_y += later->squares_y + dy * dy * part;
    products->product += later->product + dx * dy * part;
    products->wide_count += later->wide_count;
}

static void merge_products(struct products *products, const struct products *later)
{
    products->count += later->count;
    products->x += later->x;
    products->y += later->y;
    products->xx += later->xx;
    products->yy += later->yy;
    products->xy += later->xy;
    merge_wide_products(products, later);
}

static void merge_moments(struct moments *moments, struct moments *later, uint32_t parts)
{
    if (parts & PART_SUM)
        *moments_sum(moments) += *moments_sum(later);
    if (parts & PART_SQUARES)
        *moments_squares(moments, parts) += *moments_squares(later, parts);
    if (parts & PART_EXTREMES) {
        int64_t *extremes = moments_extremes(moments, parts), *others = moments_extremes(later, parts);

        extremes[0] = others[0] < extremes[0] ? others[0] : extremes[0];
        extremes[1] = others[1] > extremes[1] ? others[1] : extremes[1];
    }
}

void record_merge(const struct plan *plan, struct record *record, struct record *other, bool has_rest)
{
    for (uint32_t i = 0; i < plan->used_count; i++) {
        const struct used_column *column = &plan->used[i];

        if (column->offset) {
            merge_moments(record_at(record, column->offset), record_at(other, column->offset), column->parts);
            record_rest(record, column)->missing += has_rest ? record_rest(other, column)->missing : 0;
        }
    }
    for (uint32_t i = 0; i < plan->measure_count; i++) {
        const struct measure *measure = &plan->measures[i];

        if (measure->kind == MEASURE_CORRELATION) {
            merge_products(record_at(record, measure->offset), record_at(other, measure->offset));
        } else if (measure->kind == MEASURE_TOP) {
            const struct top *top = record_at(other, measure->offset);

            for (uint64_t k = 0; k < top->count; k++)
                top_add(record_at(record, measure->offset), measure->top, top->values[k]);
        }
    }
}

double moments_total(struct moments *moments, const struct wide *wide, double unit)
{
    long double total = (long double)*moments_sum(moments) / (long double)unit;

    if (wide)
        total += (long double)wide->sum + (long double)wide->compensation;
    return (double)total;
}

double moments_variance(struct moments *moments, uint32_t parts, uint64_t count, const struct wide *wide,
                        double unit)
{
    uint64_t decimals = count - (wide ? wide->count : 0);
    long double n = (long double)decimals, squares = 0, distance, m;
    int128 sum = *moments_sum(moments);

    if (count < 2)
        return (double)NAN;
    if (decimals)
        squares = spread(decimals, *moments_squares(moments, parts), sum, sum) / n / unit / unit;
    if (wide && wide->count) {
        m = (long double)wide->count;
        distance = decimals ? (long double)sum / n / unit - wide->mean : 0;
        squares += wide->squares + distance * distance * (n * m / (n + m));
    }
    return (double)(squares / (long double)(count - 1));
}

double products_correlation(const struct products *products, double unit_x, double unit_y)
{
    long double n = (long double)products->count, m = (long double)products->wide_count, xx = 0, yy = 0,
                xy = 0;

    if (products->count) {
        xx = spread(products->count, products->xx, products->x, products->x) / n / unit_x / unit_x;
        yy = spread(products->count, products->yy, products->y, products->y) / n / unit_y / unit_y;
        xy = spread(products->count, products->xy, products->x, products->y) / n / unit_x / unit_y;
    }
    if (products->wide_count) {
        long double dx = n > 0 ? (long double)products->x / n / unit_x - products->mean_x : 0;
        long double dy = n > 0 ? (long double)products->y / n / unit_y - products->mean_y : 0;
        long double part = n * m / (n + m);

        xx += products->squares_x + dx * dx * part;
        yy += products->squares_y + dy * dy * part;
        xy += products->product + dx * dy * part;
    }
    return xx > 0 && yy > 0 ? (double)(xy / sqrtl(xx) / sqrtl(yy)) : (double)NAN;
}

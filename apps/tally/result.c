/* SPDX-License-Identifier: BSD-3-Clause */
#include "result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "threads.h"

static const struct table *part_of(const struct result *result, const struct result_row *row)
{
    return &result->answer->parts[row->part];
}

static struct record *record_of(const struct result *result, const struct result_row *row)
{
    return table_record(part_of(result, row), row->group);
}

static size_t key_text(const struct result *result, const struct result_row *row, uint32_t key,
                       const char **text)
{
    const struct record *record = record_of(result, row);
    const char *at = table_key(part_of(result, row), record), *end = at + record->key_length, *stop;

    for (uint32_t i = 0; i < key; i++)
        at = (const char *)memchr(at, '\0', (size_t)(end - at)) + 1;
    stop = key + 1 < result->plan->by_count ? memchr(at, '\0', (size_t)(end - at)) : end;
    *text = at;
    return (size_t)(stop - at);
}

size_t result_key(const struct result *result, size_t row, uint32_t key, const char **text)
{
    return key_text(result, &result->rows[row], key, text);
}

static double unit_of(const struct used_column *column)
{
    double unit = 1;

    for (uint32_t i = 0; i < column->scale; i++)
        unit *= 10;
    return unit;
}

static struct value double_value(double number)
{
    return (struct value){.kind = isnan(number) ? VALUE_MISSING : VALUE_DOUBLE, .number = number};
}

static struct value decimal_value(int128 decimal, uint32_t scale)
{
    return (struct value){.kind = VALUE_DECIMAL, .decimal = decimal, .scale = scale};
}

/* The double, of the bits that compare as numbers do. */
static double ordered_double(uint64_t bits)
{
    double number;

    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static uint64_t ordered_bits(double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

struct bag_part {
    const struct bag_entry *entries;
    uint32_t count;
};

static struct bag_part bag_of(const struct result *result, const struct result_row *row, int32_t number)
{
    const struct bag *bag = &part_of(result, row)->bags[number];

    return (struct bag_part){bag->entries + bag->first[row->group],
                             bag->first[row->group + 1] - bag->first[row->group]};
}

/* The value at a place of all values in their order, from 0. */
static uint64_t value_at(struct bag_part bag, uint64_t place)
{
    for (uint32_t i = 0; i < bag.count; i++) {
        if (place < bag.entries[i].count)
            return bag.entries[i].value;
        place -= bag.entries[i].count;
    }
    return 0;
}

static double rounded_middle(uint64_t bits)
{
    return bits == UINT64_C(1) << 63 ? 0 : ordered_double(bits | UINT64_C(1) << 43);
}

/* Between two values in proportion, as numpy and DuckDB's quantile_cont do. */
static struct value quantile(struct bag_part bag, const struct measure *measure)
{
    uint64_t count = 0, below;
    double place, low, high;

    for (uint32_t i = 0; i < bag.count; i++)
        count += bag.entries[i].count;
    if (!count)
        return (struct value){.kind = VALUE_MISSING};
    place = measure->quantile * (double)(count - 1);
    below = (uint64_t)place;
    if (measure->kind == MEASURE_APPROX_QUANTILE)
        return double_value(rounded_middle(value_at(bag, (uint64_t)(place + 0.5))));
    low = ordered_double(value_at(bag, below));
    high = below + 1 < count ? ordered_double(value_at(bag, below + 1)) : low;
    return double_value(low + (high - low) * (place - (double)below));
}

/* Of the least fingerprints of a sketch that is full, the largest one says how dense they are. */
static struct value distinct(struct bag_part bag, bool is_sketch)
{
    uint64_t count = bag.count;

    if (is_sketch && count == SKETCH_SIZE)
        count = (uint64_t)llround((SKETCH_SIZE - 1) / ((double)bag.entries[count - 1].value * 0x1p-64));
    return (struct value){.kind = VALUE_COUNT, .count = count};
}

/* Values of a column that are not missing. */
static uint64_t count_of(const struct result *result, const struct result_row *row,
                         const struct used_column *column)
{
    struct record *record = record_of(result, row);

    return record->rows - record_rest(record, column)->missing;
}

static struct value extreme(const struct result *result, const struct result_row *row,
                            const struct measure *measure)
{
    const struct used_column *column = &result->plan->used[measure->column];
    struct moments *moments = record_at(record_of(result, row), column->offset);
    const struct wide *wide = table_wide_of(part_of(result, row),
                                            record_rest(record_of(result, row), column));
    uint64_t count = count_of(result, row, column);
    bool is_most = measure->kind == MEASURE_MAX;
    int64_t decimal = moments_extremes(moments, column->parts)[is_most];
    double number = number_double(decimal, column->scale);

    if (!count)
        return (struct value){.kind = VALUE_MISSING};
    if (wide && (wide->count == count || (is_most ? wide->most > number : wide->least < number)))
        return double_value(is_most ? wide->most : wide->least);
    return decimal_value(decimal, column->scale);
}

static struct value moments_value(const struct result *result, const struct result_row *row,
                                  const struct measure *measure)
{
    const struct used_column *column = &result->plan->used[measure->column];
    struct moments *moments = record_at(record_of(result, row), column->offset);
    const struct wide *wide = table_wide_of(part_of(result, row),
                                            record_rest(record_of(result, row), column));
    uint64_t count = count_of(result, row, column);
    double unit = unit_of(column), variance;

    switch (measure->kind) {
    case MEASURE_COUNT:
        return (struct value){.kind = VALUE_COUNT, .count = count};
    case MEASURE_SUM:
        if (!wide)
            return decimal_value(*moments_sum(moments), column->scale);
        return double_value(moments_total(moments, wide, unit));
    case MEASURE_MEAN:
        if (!count)
            return (struct value){.kind = VALUE_MISSING};
        if (!wide)
            return double_value(
                (double)((long double)*moments_sum(moments) / ((long double)unit * (long double)count)));
        return double_value(moments_total(moments, wide, unit) / (double)count);
    default:
        variance = moments_variance(moments, column->parts, count, wide, unit);
        return double_value(measure->kind == MEASURE_STDDEV ? sqrt(variance) : variance);
    }
}

static struct value row_value(const struct result *result, const struct result_row *row, uint32_t number)
{
    const struct measure *measure = &result->plan->measures[number];
    const struct used_column *used = result->plan->used;
    struct record *record = record_of(result, row);
    const struct top *top;

    switch (measure->kind) {
    case MEASURE_MIN:
    case MEASURE_MAX:
        return extreme(result, row, measure);
    case MEASURE_QUANTILE:
    case MEASURE_APPROX_QUANTILE:
        return quantile(bag_of(result, row, measure->bag), measure);
    case MEASURE_DISTINCT:
    case MEASURE_APPROX_DISTINCT:
        return distinct(bag_of(result, row, measure->bag), measure->kind == MEASURE_APPROX_DISTINCT);
    case MEASURE_TOP:
        top = record_at(record, measure->offset);
        return (struct value){.kind = VALUE_LIST, .list = top->values, .list_count = top->count};
    case MEASURE_CORRELATION:
        return double_value(products_correlation(record_at(record, measure->offset),
                                                 unit_of(&used[measure->column]),
                                                 unit_of(&used[measure->other])));
    case MEASURE_COUNT:
        if (!measure->has_column)
            return (struct value){.kind = VALUE_COUNT, .count = record->rows};
        return moments_value(result, row, measure);
    default:
        return moments_value(result, row, measure);
    }
}

struct value result_value(const struct result *result, size_t row, uint32_t measure)
{
    return row_value(result, &result->rows[row], measure);
}

double value_number(const struct value *value)
{
    double unit = 1;

    for (uint32_t i = 0; i < value->scale; i++)
        unit *= 10;
    switch (value->kind) {
    case VALUE_COUNT:
        return (double)value->count;
    case VALUE_DECIMAL:
        return (double)((long double)value->decimal / (long double)unit);
    case VALUE_DOUBLE:
        return value->number;
    case VALUE_LIST:
        return value->list_count ? value->list[0] : (double)NAN;
    default:
        return (double)NAN;
    }
}

size_t double_text(double number, char text[MOST_TEXT])
{
    int length = 0;

    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(text, MOST_TEXT, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return (size_t)length;
}

size_t double_short_text(double number, char text[MOST_TEXT])
{
    double size = fabs(number);
    int decimals = 6;
    size_t length;

    if (!(size > 1e-4 && size < 1e9))
        return double_text(number, text);
    for (double limit = 1e3; decimals && size >= limit; limit *= 10)
        decimals--;
    length = (size_t)snprintf(text, MOST_TEXT, "%.*f", decimals, number);
    while (strchr(text, '.') && text[length - 1] == '0')
        length--;
    length -= length && text[length - 1] == '.';
    text[length] = '\0';
    return length;
}

/* Without zeros at the end of the part behind the point. */
static size_t decimal_text(int128 decimal, uint32_t scale, char text[MOST_TEXT])
{
    uint128 left = decimal < 0 ? -(uint128)decimal : (uint128)decimal;
    char digits[64];
    size_t count = 0, length = 0;

    for (; scale && left % 10 == 0; scale--)
        left /= 10;
    for (; left || count <= scale; left /= 10)
        digits[count++] = (char)('0' + (int)(left % 10));
    if (decimal < 0)
        text[length++] = '-';
    while (count) {
        text[length++] = digits[--count];
        if (count == scale && count)
            text[length++] = '.';
    }
    text[length] = '\0';
    return length;
}

size_t value_text(const struct value *value, char text[MOST_TEXT])
{
    size_t length = 0;

    text[0] = '\0';
    switch (value->kind) {
    case VALUE_COUNT:
        return (size_t)snprintf(text, MOST_TEXT, "%llu", (unsigned long long)value->count);
    case VALUE_DECIMAL:
        return decimal_text(value->decimal, value->scale, text);
    case VALUE_DOUBLE:
        return double_text(value->number, text);
    case VALUE_LIST:
        for (uint64_t i = 0; i < value->list_count && length < MOST_TEXT - 40; i++) {
            if (i)
                text[length++] = ' ';
            length += double_text(value->list[i], text + length);
        }
        return length;
    default:
        return 0;
    }
}

static bool key_number(const char *text, size_t length, char point, double *number)
{
    const struct number_form form = {.scale = 0, .point = point, .limit = -1};
    char copy[64 + READ_BEYOND] = {0};
    struct number read;

    if (length > 63)
        return false;
    memcpy(copy, text, length);
    if (number_read_any(copy, (uint32_t)length, &form, &read) != NUMBER_WIDE)
        return false;
    *number = read.wide;
    return true;
}

/* Numbers come before all else. */
static uint64_t key_order(const struct result *result, const struct result_row *row)
{
    const struct plan *plan = result->plan;
    unsigned char head[8] = {0};
    uint64_t order = 0;
    const char *text;
    double number;
    size_t length;

    if (!plan->by_count)
        return 0;
    length = key_text(result, row, 0, &text);
    if (plan->used[plan->by[0]].type == TYPE_NUMBER)
        return key_number(text, length, plan->point, &number) ? ordered_bits(number) : UINT64_MAX;
    memcpy(head, text, length < sizeof head ? length : sizeof head);
    for (size_t i = 0; i < sizeof head; i++)
        order = order << 8 | head[i];
    return order;
}

static const struct result *sorted; /* by qsort(), which has no argument for it */

static int compare_texts(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_key(const struct result_row *a, const struct result_row *b, uint32_t key)
{
    const char *a_text, *b_text;
    size_t a_length = key_text(sorted, a, key, &a_text), b_length = key_text(sorted, b, key, &b_text);
    double a_number = INFINITY, b_number = INFINITY;

    if (sorted->plan->used[sorted->plan->by[key]].type == TYPE_NUMBER) {
        key_number(a_text, a_length, sorted->plan->point, &a_number);
        key_number(b_text, b_length, sorted->plan->point, &b_number);
        if (a_number < b_number || a_number > b_number)
            return a_number < b_number ? -1 : 1;
    }
    return compare_texts(a_text, a_length, b_text, b_length);
}

static int compare_rows(const void *a, const void *b)
{
    const struct result_row *left = a, *right = b;
    int order = (left->order > right->order) - (left->order < right->order);

    for (uint32_t key = 0; key < sorted->plan->by_count && !order; key++)
        order = compare_key(left, right, key);
    return order;
}

static int find_order(const struct plan *plan, const char *order, uint32_t *measure, bool *is_falling)
{
    const char *titles[MOST_MEASURES];

    *is_falling = order[0] == '-';
    for (*measure = 0; *measure < plan->measure_count; (*measure)++) {
        titles[*measure] = plan->measures[*measure].title;
        if (!strcmp(titles[*measure], order + *is_falling))
            return 0;
    }
    return unknown_word("", "measure of --order", order + *is_falling, titles, plan->measure_count);
}

static int order_rows(struct result *result, const char *order)
{
    uint32_t measure = 0;
    bool is_falling = false;
    int exit_status = order ? find_order(result->plan, order, &measure, &is_falling) : 0;

    for (size_t i = 0; i < result->count && !exit_status; i++) {
        struct result_row *row = &result->rows[i];
        struct value value;

        if (!order) {
            row->order = key_order(result, row);
            continue;
        }
        value = row_value(result, row, measure);
        row->order = ordered_bits(value_number(&value) + 0.0);
        row->order = value.kind == VALUE_MISSING ? UINT64_MAX : is_falling ? ~row->order : row->order;
    }
    sorted = result;
    if (!exit_status)
        qsort(result->rows, result->count, sizeof *result->rows, compare_rows);
    return exit_status;
}

/* The first groups, partition by partition. */
static void list_rows(struct result *result, size_t count)
{
    size_t listed = 0;

    result->rows = memory_resize(NULL, count * sizeof *result->rows);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        for (uint32_t group = 0; group < result->answer->parts[i].count && listed < count; group++)
            result->rows[listed++] = (struct result_row){0, i, group};
    }
}

/* Every so many partitions. */
struct sorting {
    struct answer *answer;
    const struct plan *plan;
    unsigned first, step;
};

static void *sort_partitions(void *argument)
{
    const struct sorting *sorting = argument;

    for (unsigned i = sorting->first; i < PARTITIONS; i += sorting->step) {
        for (uint32_t bag = 0; bag < sorting->plan->bag_count; bag++)
            table_sort_bag(&sorting->answer->parts[i], bag);
    }
    return NULL;
}

static void sort_bags(struct answer *answer, const struct plan *plan)
{
    struct sorting sortings[MOST_THREADS];
    size_t size = 0;
    unsigned wanted;

    for (int i = 0; i < PARTITIONS; i++) {
        for (uint32_t bag = 0; bag < plan->bag_count; bag++)
            size += answer->parts[i].bags[bag].count * sizeof(struct bag_entry);
    }
    wanted = threads_worth(size);
    for (unsigned i = 0; i < wanted; i++)
        sortings[i] = (struct sorting){answer, plan, i, wanted};
    threads_run(sort_partitions, sortings, sizeof *sortings, wanted);
}

int result_make(struct answer *answer, const struct plan *plan, const char *order, size_t limit,
                struct result *result)
{
    size_t count = 0;
    bool is_ordered = !order || strcmp(order, "none");
    int exit_status = 0;

    *result = (struct result){.plan = plan, .answer = answer};
    /* Without groups there is one line, also of no rows. */
    if (!plan->by_count) {
        struct key key = {0};
        size_t groups = 0;

        for (int i = 0; i < PARTITIONS; i++)
            groups += answer->parts[i].count;
        if (!groups)
            table_find_slowly(&answer->parts[0], &key);
    }
    for (int i = 0; i < PARTITIONS; i++)
        count += answer->parts[i].count;
    sort_bags(answer, plan);
    result->count = count;
    result->shown = limit && limit < count ? limit : count;
    /* Without an order nobody looks at more rows than are shown. */
    list_rows(result, is_ordered ? count : result->shown);
    if (is_ordered)
        exit_status = order_rows(result, order);
    return exit_status;
}

void result_free(struct result *result)
{
    free(result->rows);
}

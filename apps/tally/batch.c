/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

bool batch_open(struct batch *batch, const struct plan *plan, struct table *table)
{
    size_t cells = (size_t)(plan->used_count ? plan->used_count : 1) * BATCH;

    memset(batch, 0, sizeof *batch);
    batch->plan = plan;
    batch->table = table;
    batch->texts = malloc(cells * sizeof *batch->texts);
    batch->lengths = malloc(cells * sizeof *batch->lengths);
    batch->numbers = malloc(cells * sizeof *batch->numbers);
    batch->kinds = malloc(cells);
    for (uint32_t i = 0; i < plan->used_count; i++)
        number_form_set(&batch->forms[i], plan->point, plan->used[i].scale, plan->used[i].limit);
    return batch->texts && batch->lengths && batch->numbers && batch->kinds;
}

void batch_close(struct batch *batch)
{
    free(batch->texts);
    free(batch->lengths);
    free(batch->numbers);
    free(batch->kinds);
    free(batch->key_bytes);
}

void batch_bad(struct block_head *head, const struct bad_row *row, const char *text, size_t length)
{
    struct bad_row *place = &head->bad_rows[head->bad_count];

    head->bad[row->kind]++;
    if (head->bad_count == MOST_BAD)
        return;
    head->bad_count++;
    *place = *row;
    memset(place->sample, 0, sizeof place->sample);
    if (length >= SAMPLE_SIZE) {
        length = SAMPLE_SIZE - 1;
        while (length && (text[length] & 0xC0) == 0x80) /* within a character */
            length--;
    }
    memcpy(place->sample, text, length);
}

/* A column of a batch. */
struct cells {
    uint32_t count;
    const char **texts;
    const uint32_t *lengths;
    const struct number_form *form;
    struct number *numbers;
    uint8_t *kinds;
};

/* Those that are short; returns whether all are. */
ALWAYS_INLINE bool read_short(const struct cells cells, char point)
{
    bool is_short = true;

    for (uint32_t row = 0; row < cells.count; row++) {
        bool is = number_read_short(cells.texts[row], cells.lengths[row], cells.form, point,
                                    &cells.numbers[row].decimal);

        cells.kinds[row] = is ? NUMBER_DECIMAL : NUMBER_BAD;
        is_short &= is;
    }
    return is_short;
}

/* Returns whether one of them is bad. */
static bool read_numbers(struct batch *batch, uint32_t column)
{
    const struct cells cells = {.count = batch->count,
                                .texts = batch_texts(batch, column),
                                .lengths = batch_lengths(batch, column),
                                .form = &batch->forms[column],
                                .numbers = batch->numbers + (size_t)column * BATCH,
                                .kinds = batch->kinds + (size_t)column * BATCH};
    unsigned seen = 0;
    bool is_short = cells.form->point == '.' ? read_short(cells, '.') : read_short(cells, ',');

    for (uint32_t row = 0; row < cells.count && !is_short; row++) {
        if (cells.kinds[row] == NUMBER_BAD)
            cells.kinds[row] = (uint8_t)number_read_long(cells.texts[row], cells.lengths[row], cells.form,
                                                         &cells.numbers[row]);
        seen |= 1u << cells.kinds[row];
    }
    batch->is_decimal[column] = is_short || seen == 1u << NUMBER_DECIMAL;
    return seen & 1u << NUMBER_BAD;
}

static bool has_numbers(const struct plan *plan, uint32_t column)
{
    return plan->used[column].is_read;
}

/* Keeps the rows that are marked. */
static void keep_rows(struct batch *batch, const bool *is_kept)
{
    uint32_t left = 0;

    for (uint32_t row = 0; row < batch->count; row++) {
        if (!is_kept[row])
            continue;
        for (uint32_t column = 0; column < batch->plan->used_count && left != row; column++) {
            size_t to = (size_t)column * BATCH + left, from = (size_t)column * BATCH + row;

            batch->texts[to] = batch->texts[from];
            batch->lengths[to] = batch->lengths[from];
            batch->numbers[to] = batch->numbers[from];
            batch->kinds[to] = batch->kinds[from];
        }
        batch->lines[left] = batch->lines[row];
        left++;
    }
    batch->count = left;
}

static void drop_bad_rows(struct batch *batch)
{
    bool is_kept[BATCH];

    for (uint32_t row = 0; row < batch->count; row++) {
        is_kept[row] = true;
        for (uint32_t column = 0; column < batch->plan->used_count && is_kept[row]; column++) {
            size_t cell = (size_t)column * BATCH + row;
            const struct bad_row bad = {.line = batch->lines[row], .kind = BAD_NUMBER, .detail = column};

            if (!has_numbers(batch->plan, column) || batch->kinds[cell] != NUMBER_BAD)
                continue;
            is_kept[row] = false;
            batch_bad(batch->head, &bad, batch->texts[cell], batch->lengths[cell]);
        }
    }
    keep_rows(batch, is_kept);
}

static double cell_number(const struct batch *batch, uint32_t column, uint32_t row)
{
    size_t cell = (size_t)column * BATCH + row;

    return batch->kinds[cell] == NUMBER_WIDE
               ? batch->numbers[cell].wide
               : number_double(batch->numbers[cell].decimal, batch->plan->used[column].scale);
}

static bool compare(uint32_t comparison, int order)
{
    switch (comparison) {
    case COMPARE_EQUAL:
        return order == 0;
    case COMPARE_UNEQUAL:
        return order != 0;
    case COMPARE_LESS:
        return order < 0;
    case COMPARE_AT_MOST:
        return order <= 0;
    case COMPARE_MORE:
        return order > 0;
    default:
        return order >= 0;
    }
}

static int compare_text(const char *text, size_t length, const char *other)
{
    size_t other_length = strlen(other);
    int order = memcmp(text, other, length < other_length ? length : other_length);

    return order ? order : (length > other_length) - (length < other_length);
}

/* No comparison is true of a number that is missing. */
static bool is_so(struct batch *batch, const struct condition *condition, uint32_t row)
{
    size_t cell = (size_t)condition->column * BATCH + row;
    double number;

    if (!has_numbers(batch->plan, condition->column))
        return compare(condition->comparison,
                       compare_text(batch->texts[cell], batch->lengths[cell], condition->text));
    if (batch->kinds[cell] == NUMBER_MISSING)
        return false;
    number = cell_number(batch, condition->column, row);
    return compare(condition->comparison, (number > condition->number) - (number < condition->number));
}

static void drop_other_rows(struct batch *batch)
{
    bool is_kept[BATCH];

    for (uint32_t row = 0; row < batch->count; row++) {
        is_kept[row] = true;
        for (uint32_t i = 0; i < batch->plan->condition_count && is_kept[row]; i++)
            is_kept[row] = is_so(batch, &batch->plan->conditions[i], row);
    }
    keep_rows(batch, is_kept);
}

ALWAYS_INLINE uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

ALWAYS_INLINE uint64_t load(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* The first bytes of a word; behind the eight of a first word those of a second one, of which there are none
 * before. */
static const uint64_t all_masks[8 + 17] = {
    [9] = UINT64_C(0xFF),
    [10] = UINT64_C(0xFFFF),
    [11] = UINT64_C(0xFFFFFF),
    [12] = UINT64_C(0xFFFFFFFF),
    [13] = UINT64_C(0xFFFFFFFFFF),
    [14] = UINT64_C(0xFFFFFFFFFFFF),
    [15] = UINT64_C(0xFFFFFFFFFFFFFF),
    [16] = ~UINT64_C(0),
    [17] = ~UINT64_C(0),
    [18] = ~UINT64_C(0),
    [19] = ~UINT64_C(0),
    [20] = ~UINT64_C(0),
    [21] = ~UINT64_C(0),
    [22] = ~UINT64_C(0),
    [23] = ~UINT64_C(0),
    [24] = ~UINT64_C(0),
};
static const uint64_t *const masks = all_masks + 8;

__attribute__((noinline)) static uint64_t mix_long(uint64_t hash, const char *bytes, uint32_t length)
{
    for (uint32_t at = SHORT_KEY; at < length; at += 8)
        hash = mix(hash ^ (load(bytes + at) & masks[length - at < 8 ? length - at : 8]),
                   UINT64_C(0xA0761D6478BD642F));
    return hash;
}

ALWAYS_INLINE void set_key(struct key *key, const char *bytes, uint32_t length)
{
    const uint64_t *mask = masks + (length < SHORT_KEY ? length : SHORT_KEY);
    uint64_t low = load(bytes) & mask[0], high = load(bytes + 8) & mask[-8];
    uint64_t hash = mix(low ^ UINT64_C(0x9E3779B97F4A7C15), high ^ UINT64_C(0xD6E8FEB86659FD93) ^ length);

    if (length > SHORT_KEY)
        hash = mix_long(hash, bytes, length);
    key->hash = mix(hash, UINT64_C(0xE7037ED1A0B428DB));
    key->head[0] = low;
    key->head[1] = high;
    key->length = length;
    key->bytes = bytes;
}

/* Keys of several columns are their texts with bytes of 0 between them, which no text has. */
static void join_keys(struct batch *batch)
{
    const struct plan *plan = batch->plan;
    size_t size = READ_BEYOND;
    char *at;

    for (uint32_t i = 0; i < plan->by_count; i++) {
        const uint32_t *lengths = batch_lengths(batch, plan->by[i]);

        for (uint32_t row = 0; row < batch->count; row++)
            size += lengths[row] + 1;
    }
    if (size > batch->key_room) {
        batch->key_bytes = memory_resize(batch->key_bytes, 2 * size);
        batch->key_room = 2 * size;
    }
    at = batch->key_bytes;
    for (uint32_t row = 0; row < batch->count; row++) {
        char *begin = at;

        for (uint32_t i = 0; i < plan->by_count; i++) {
            uint32_t length = batch_lengths(batch, plan->by[i])[row];
            const char *text = batch_texts(batch, plan->by[i])[row];

            if (length <= 16)
                memcpy(at, text, 16);
            else
                memcpy(at, text, length);
            at += length;
            *at++ = '\0';
        }
        set_key(&batch->keys[row], begin, (uint32_t)(at - begin) - 1);
    }
}

/* Where there are many groups, they are not in the cache: what finds them is fetched for all rows at once, and
 * then they are. */
ALWAYS_INLINE void fetch_groups(const struct batch *batch)
{
    const struct table *table = batch->table;

    if ((uint64_t)table->count * batch->plan->record_size < 1 << 18)
        return;
    for (uint32_t row = 0; row < batch->count; row++)
        __builtin_prefetch(&table->slots[batch->keys[row].hash & table->mask]);
    for (uint32_t row = 0; row < batch->count; row++) {
        uint64_t slot = table->slots[batch->keys[row].hash & table->mask];
        const char *record = (const char *)table_record(table, slot ? (uint32_t)slot - 1 : 0);

        __builtin_prefetch(record);
        __builtin_prefetch(record + 64);
    }
}

static void find_groups(struct batch *batch)
{
    const struct plan *plan = batch->plan;
    struct table *table = batch->table;

    if (plan->by_count == 1) {
        const char **texts = batch_texts(batch, plan->by[0]);
        const uint32_t *lengths = batch_lengths(batch, plan->by[0]);

        for (uint32_t row = 0; row < batch->count; row++)
            set_key(&batch->keys[row], texts[row], lengths[row]);
    } else if (plan->by_count) {
        join_keys(batch);
    } else {
        set_key(&batch->keys[0], "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 0);
        batch->groups[0] = table_find(table, &batch->keys[0]);
        memset(batch->groups, 0, sizeof batch->groups);
        table_record(table, 0)->rows += batch->count;
        return;
    }
    fetch_groups(batch);
    for (uint32_t row = 0; row < batch->count; row++) {
        batch->groups[row] = table_find(table, &batch->keys[row]);
        table_record(table, batch->groups[row])->rows++;
    }
}

ALWAYS_INLINE void add_decimal(struct moments *moments, uint32_t parts, int64_t value)
{
    if (parts & PART_SUM)
        *moments_sum(moments) += value;
    if (parts & PART_EXTREMES) {
        int64_t *extremes = moments_extremes(moments, parts);

        extremes[0] = value < extremes[0] ? value : extremes[0];
        extremes[1] = value > extremes[1] ? value : extremes[1];
    }
    if (parts & PART_SQUARES)
        *moments_squares(moments, parts) += (int128)value * value;
}

/* `parts` is a constant where it is called, so that what is not needed costs nothing. */
ALWAYS_INLINE void add_column(struct batch *batch, uint32_t column, uint32_t parts)
{
    const struct number *numbers = batch->numbers + (size_t)column * BATCH;
    const uint8_t *kinds = batch->kinds + (size_t)column * BATCH;
    const struct used_column *used = &batch->plan->used[column];
    size_t size = batch->plan->record_size;
    char *records = batch->table->records + used->offset;
    const uint32_t *groups = batch->groups;

    if (batch->is_decimal[column]) {
        for (uint32_t row = 0; row < batch->count; row++)
            add_decimal((struct moments *)(void *)(records + groups[row] * size), parts,
                        numbers[row].decimal);
        return;
    }
    for (uint32_t row = 0; row < batch->count; row++) {
        struct moments_rest *rest = record_rest(table_record(batch->table, groups[row]), used);

        if (kinds[row] == NUMBER_DECIMAL)
            add_decimal((struct moments *)(void *)(records + groups[row] * size), parts,
                        numbers[row].decimal);
        else if (kinds[row] == NUMBER_WIDE)
            wide_add(table_wide(batch->table, rest), numbers[row].wide);
        else
            rest->missing++;
    }
}

static void add_moments(struct batch *batch, uint32_t column)
{
    switch (batch->plan->used[column].parts) {
    case 0:
        add_column(batch, column, 0);
        break;
    case PART_SUM:
        add_column(batch, column, PART_SUM);
        break;
    case PART_EXTREMES:
        add_column(batch, column, PART_EXTREMES);
        break;
    case PART_SUM | PART_EXTREMES:
        add_column(batch, column, PART_SUM | PART_EXTREMES);
        break;
    case PART_SUM | PART_SQUARES:
        add_column(batch, column, PART_SUM | PART_SQUARES);
        break;
    default:
        add_column(batch, column, PART_SUM | PART_EXTREMES | PART_SQUARES);
        break;
    }
}

/* Texts that are empty are missing. */
static void count_texts(struct batch *batch, uint32_t column)
{
    const uint32_t *lengths = batch_lengths(batch, column);
    const struct used_column *used = &batch->plan->used[column];

    for (uint32_t row = 0; row < batch->count; row++)
        record_rest(table_record(batch->table, batch->groups[row]), used)->missing += !lengths[row];
}

/* Bits that compare as the numbers do. */
ALWAYS_INLINE uint64_t ordered_bits(double number)
{
    uint64_t bits;

    number += 0.0; /* -0.0 is 0.0 */
    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static void put_numbers(struct batch *batch, uint32_t bag, uint32_t column)
{
    const uint8_t *kinds = batch->kinds + (size_t)column * BATCH;
    /* Eight bits of the fraction are kept: a step is 1/256 of the number at most. */
    uint64_t kept = batch->plan->bags[bag].kind == BAG_ROUNDED ? ~UINT64_C(0) << 44 : ~UINT64_C(0);

    for (uint32_t row = 0; row < batch->count; row++) {
        if (kinds[row] == NUMBER_MISSING)
            continue;
        table_put(
            batch->table, bag,
            (struct bag_entry){ordered_bits(cell_number(batch, column, row)) & kept, batch->groups[row], 1});
    }
}

/* Fingerprints of what is not missing. */
static void put_fingerprints(struct batch *batch, uint32_t bag, uint32_t column)
{
    const char **texts = batch_texts(batch, column);
    const uint32_t *lengths = batch_lengths(batch, column);
    struct key key;

    for (uint32_t row = 0; row < batch->count; row++) {
        if (!lengths[row])
            continue;
        set_key(&key, texts[row], lengths[row]);
        table_put(batch->table, bag, (struct bag_entry){key.hash, batch->groups[row], 1});
    }
}

static void add_products(struct batch *batch, const struct measure *measure)
{
    size_t x = (size_t)measure->column * BATCH, y = (size_t)measure->other * BATCH;

    for (uint32_t row = 0; row < batch->count; row++, x++, y++) {
        struct products *products = record_at(table_record(batch->table, batch->groups[row]),
                                              measure->offset);

        if (batch->kinds[x] == NUMBER_DECIMAL && batch->kinds[y] == NUMBER_DECIMAL)
            products_add(products, batch->numbers[x].decimal, batch->numbers[y].decimal);
        else if (batch->kinds[x] != NUMBER_MISSING && batch->kinds[y] != NUMBER_MISSING)
            products_add_wide(products, cell_number(batch, measure->column, row),
                              cell_number(batch, measure->other, row));
    }
}

static void add_top(struct batch *batch, const struct measure *measure)
{
    const uint8_t *kinds = batch->kinds + (size_t)measure->column * BATCH;

    for (uint32_t row = 0; row < batch->count; row++) {
        if (kinds[row] != NUMBER_MISSING)
            top_add(record_at(table_record(batch->table, batch->groups[row]), measure->offset), measure->top,
                    cell_number(batch, measure->column, row));
    }
}

static void add_measures(struct batch *batch)
{
    const struct plan *plan = batch->plan;

    for (uint32_t column = 0; column < plan->used_count; column++) {
        if (plan->used[column].offset && has_numbers(plan, column))
            add_moments(batch, column);
        else if (plan->used[column].offset)
            count_texts(batch, column);
    }
    for (uint32_t bag = 0; bag < plan->bag_count; bag++) {
        if (plan->bags[bag].kind >= BAG_SET)
            put_fingerprints(batch, bag, plan->bags[bag].column);
        else
            put_numbers(batch, bag, plan->bags[bag].column);
    }
    for (uint32_t i = 0; i < plan->measure_count; i++) {
        if (plan->measures[i].kind == MEASURE_CORRELATION)
            add_products(batch, &plan->measures[i]);
        else if (plan->measures[i].kind == MEASURE_TOP)
            add_top(batch, &plan->measures[i]);
    }
}

/* The bytes of the first characters of a text of UTF-8. */
static uint32_t first_characters(const char *text, uint32_t length, uint32_t count)
{
    uint32_t at = 0;

    for (uint32_t seen = 0; at < length; at++) {
        if ((text[at] & 0xC0) != 0x80 && seen++ == count)
            break;
    }
    return at;
}

/* Columns that are the beginning of others. */
static void cut_prefixes(struct batch *batch, uint32_t column)
{
    const struct used_column *used = &batch->plan->used[column];
    const char **texts = batch_texts(batch, used->whole);
    const uint32_t *lengths = batch_lengths(batch, used->whole);

    for (uint32_t row = 0; row < batch->count; row++) {
        batch_texts(batch, column)[row] = texts[row];
        batch_lengths(batch, column)[row] = first_characters(texts[row], lengths[row], used->prefix);
    }
}

static bool is_among(const struct plan *plan, const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < plan->missing_count; i++) {
        if (strlen(plan->missing[i]) == length && !memcmp(plan->missing[i], text, length))
            return true;
    }
    return false;
}

/* Words that stand for a value that is missing become empty fields. */
static void clear_missing(struct batch *batch, uint32_t column)
{
    const char **texts = batch_texts(batch, column);
    uint32_t *lengths = batch_lengths(batch, column);

    for (uint32_t row = 0; row < batch->count; row++) {
        if (is_among(batch->plan, texts[row], lengths[row]))
            lengths[row] = 0;
    }
}

static void prepare_texts(struct batch *batch)
{
    const struct plan *plan = batch->plan;

    for (uint32_t column = 0; column < plan->used_count && plan->missing_count; column++) {
        if (!plan->used[column].prefix)
            clear_missing(batch, column);
    }
    for (uint32_t column = 0; column < plan->used_count; column++) {
        if (plan->used[column].prefix)
            cut_prefixes(batch, column);
    }
}

void batch_flush(struct batch *batch)
{
    const struct plan *plan = batch->plan;
    bool is_bad = false;

    prepare_texts(batch);
    for (uint32_t column = 0; column < plan->used_count; column++)
        is_bad |= has_numbers(plan, column) && read_numbers(batch, column);
    if (is_bad)
        drop_bad_rows(batch);
    batch->head->rows += batch->count;
    if (plan->condition_count)
        drop_other_rows(batch);
    if (batch->count) {
        find_groups(batch);
        add_measures(batch);
    }
    batch->count = 0;
}

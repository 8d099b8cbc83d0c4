/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows that are chosen by their values. Each comparison is a pass over what it compares, block by block, by the calling
 * process alone: blocks in which no row is left are not read. Numbers are compared as long doubles, which hold all
 * integers of 64 bits; floats with the float of their own type that is nearest to the number, as numpy does it. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "data/input.h"
#include "mpmap/dataset.h"

#define NAME_SIZE   512
#define BLOCK_BYTES ((size_t)1 << 20)
#define ROW_ITSELF  "row"
#define RIGHT       "write it like 'flux > 3 and /quality == 0'"

enum operation { LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, EQUAL, NOT_EQUAL };

struct comparison {
    char name[NAME_SIZE];
    enum operation operation;
    long double number;
};

static int is_none(const char *where, const char *at)
{
    return error_set(MPM_EINVAL, "the condition \"%s\" cannot be read at \"%.20s\": " RIGHT, where, at);
}

static void skip_blanks(const char **at)
{
    while (isspace((unsigned char)**at))
        ++*at;
}

static bool read_name(const char **at, char name[NAME_SIZE])
{
    size_t length = strcspn(*at, " \t\n<>=!");

    if (length == 0 || length >= NAME_SIZE)
        return false;
    snprintf(name, NAME_SIZE, "%.*s", (int)length, *at);
    *at += length;
    return true;
}

/* The longer ones are looked for first. */
static bool read_operation(const char **at, enum operation *operation)
{
    static const struct {
        const char *text;
        enum operation operation;
    } operations[] = {{"<=", LESS_OR_EQUAL}, {">=", GREATER_OR_EQUAL},
                      {"==", EQUAL},         {"!=", NOT_EQUAL},
                      {"<", LESS},           {">", GREATER}};

    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (!strncmp(*at, operations[i].text, strlen(operations[i].text))) {
            *operation = operations[i].operation;
            *at += strlen(operations[i].text);
            return true;
        }
    }
    return false;
}

static bool read_number(const char **at, long double *number)
{
    char *end;

    *number = c_strtold(*at, &end);
    if (end == *at || (*end && !isspace((unsigned char)*end)))
        return false;
    *at = end;
    return true;
}

/* One comparison, and the "and" behind it. */
static int read_comparison(const char *where, const char **at, struct comparison *comparison)
{
    skip_blanks(at);
    if (!read_name(at, comparison->name))
        return is_none(where, *at);
    skip_blanks(at);
    if (!read_operation(at, &comparison->operation))
        return is_none(where, *at);
    skip_blanks(at);
    if (!read_number(at, &comparison->number))
        return is_none(where, *at);
    skip_blanks(at);
    if (!**at)
        return 0;
    if (strncmp(*at, "and", 3) || !isspace((unsigned char)(*at)[3]))
        return is_none(where, *at);
    *at += 3;
    return 0;
}

static long double number_at(mpm_type type, const void *at)
{
    switch (type) {
#define NUMBER_OF(name, c_type, text) \
    case MPM_##name:                  \
        return (long double)*(const c_type *)at;
        MPM_TYPE_LIST(NUMBER_OF)
#undef NUMBER_OF
    default:
        return 0;
    }
}

/* 0.1 is another number as a float. */
static void round_number(struct comparison *comparison, mpm_type type)
{
    if (type == MPM_F32)
        comparison->number = (float)comparison->number;
    else if (type == MPM_F64)
        comparison->number = (double)comparison->number;
}

static bool holds(const struct comparison *comparison, long double value)
{
    switch (comparison->operation) {
    case LESS:
        return value < comparison->number;
    case LESS_OR_EQUAL:
        return value <= comparison->number;
    case GREATER:
        return value > comparison->number;
    case GREATER_OR_EQUAL:
        return value >= comparison->number;
    case EQUAL:
        return value == comparison->number;
    default:
        return value != comparison->number;
    }
}

/* Rows that are left. */
struct selection {
    unsigned char *is_in;
    uint64_t rows;
};

static int compare_block(struct input *input, const struct comparison *comparison,
                         struct selection *selection, uint64_t first, size_t count, void *values)
{
    size_t size = mpm_type_size(input->row.type);
    int status;

    if (!memchr(selection->is_in + first, 1, count))
        return 0;
    if ((status = input_read(input, first, count, values)))
        return status;
    for (size_t i = 0; i < count; i++)
        selection->is_in[first + i] &= holds(comparison,
                                             number_at(input->row.type, (const char *)values + i * size));
    return 0;
}

static int check_input(const struct input *input, const struct comparison *comparison,
                       const struct selection *selection)
{
    char text[256];

    if (input->row.rank)
        return error_set(MPM_ETYPE, "%s:%s has rows of %s: only one number a row can be compared (%s)",
                         input->file_name, input->dataset_name,
                         mpm_shape_format(&input->row, text, sizeof text), comparison->name);
    if (input->rows != selection->rows)
        return error_set(MPM_EINVAL,
                         "%s:%s has %" PRIu64 " rows to compare, but there are %" PRIu64
                         " rows to choose from",
                         input->file_name, input->dataset_name, input->rows, selection->rows);
    return 0;
}

static int compare_all(struct input *input, const struct comparison *wanted, struct selection *selection)
{
    struct comparison rounded = *wanted, *comparison = &rounded;
    size_t most = BLOCK_BYTES / sizeof(uint64_t), count;
    int status = check_input(input, comparison, selection);
    void *values;

    if (status)
        return status;
    round_number(comparison, input->row.type);
    if (!(values = malloc(BLOCK_BYTES)))
        return error_set(MPM_ENOMEM, "no memory for values to compare");
    for (uint64_t first = 0; !status && first < selection->rows; first += count) {
        count = selection->rows - first < most ? (size_t)(selection->rows - first) : most;
        status = compare_block(input, comparison, selection, first, count, values);
    }
    free(values);
    return status;
}

/* What a name means: the row itself, another data set, or a field of the row. */
static int compare(const struct input_source *rows, const struct comparison *comparison,
                   struct selection *selection)
{
    struct input_source source = *rows;
    char name[2 * NAME_SIZE + 16];
    struct input input;
    int status;

    source.row = NULL;
    if (comparison->name[0] == '/')
        snprintf(name, sizeof name, "%s", comparison->name);
    else if (!strcmp(comparison->name, ROW_ITSELF))
        snprintf(name, sizeof name, "%.*s", NAME_SIZE, rows->dataset_name);
    else
        snprintf(name, sizeof name, "%.*s.%s", NAME_SIZE, rows->dataset_name, comparison->name);
    source.dataset_name = name;
    if ((status = input_open(&source, &input)))
        return status;
    status = compare_all(&input, comparison, selection);
    input_close(&input);
    return status;
}

static int compare_in_turn(const struct input_source *source, const char *where, struct selection *selection)
{
    struct comparison comparison;
    const char *at = where;
    int status;

    do {
        if ((status = read_comparison(where, &at, &comparison)))
            return status;
    } while (*at);
    at = where;
    do {
        if ((status = read_comparison(where, &at, &comparison)) ||
            (status = compare(source, &comparison, selection)))
            return status;
    } while (*at);
    return 0;
}

/* The numbers of the chosen rows in the file, or in all files. */
static int list_selected(const struct input *input, const struct selection *selection, uint64_t **indexes,
                         mpm_row_choice *choice)
{
    uint64_t count = 0, step, *list;

    for (uint64_t i = 0; i < selection->rows; i++)
        count += selection->is_in[i];
    if (count >= SIZE_MAX / sizeof *list || !(list = malloc(((size_t)count + 1) * sizeof *list)))
        return error_set(MPM_ENOMEM, "no memory for a list of %" PRIu64 " rows", count);
    *indexes = list;
    *choice = (mpm_row_choice){.indexes = list, .index_count = count, .mask_rows = input->file_rows};
    for (uint64_t i = 0; i < selection->rows; i++) {
        if (selection->is_in[i])
            input_find_run(input, i, 1, list++, &step);
    }
    return 0;
}

static int select_rows(const struct input_source *source, const struct input *input, const char *where,
                       uint64_t **indexes, mpm_row_choice *choice)
{
    struct selection selection = {.rows = input->rows};
    int status;

    if (!(selection.is_in = malloc((size_t)input->rows + 1)))
        return error_set(MPM_ENOMEM, "no memory for the choice of %" PRIu64 " rows", input->rows);
    memset(selection.is_in, 1, (size_t)input->rows);
    status = compare_in_turn(source, where, &selection);
    if (!status)
        status = list_selected(input, &selection, indexes, choice);
    free(selection.is_in);
    return status;
}

int mpm_dataset_read_where(const mpm_dataset_map *map, const char *where, uint64_t **indexes,
                           mpm_row_choice *choice)
{
    struct input_source source;
    struct input input;
    int status;

    if (!map || !where || !indexes || !choice || (!map->input_file && !map->input_file_count) ||
        !map->input_dataset)
        return error_set(MPM_EINVAL,
                         "choosing rows by their values needs a map with its input, a condition, and "
                         "pointers for the list and the choice: none of them may be NULL");
    if (map->tiling.rank || map->axis)
        return error_set(MPM_EINVAL,
                         "a condition chooses rows along the first axis: it does not go with tiles or "
                         "another axis");
    source = input_source_of(map);
    if ((status = input_open(&source, &input)))
        return status;
    status = select_rows(&source, &input, where, indexes, choice);
    input_close(&input);
    return status;
}

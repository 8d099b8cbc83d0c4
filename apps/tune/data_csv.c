/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads CSV: fields of a line, of which one is the label and the others are numbers. The first line is a header if any
 * of its features is no number, or if its label is a text and that of the next line is a number. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "lines.h"
#include "support/command.h"

#define MOST_FIELDS 1000000

struct csv {
    const struct data_wish *wish;
    struct data_builder *builder;
    size_t line;
    char **fields; /* in the line, with quotes taken off */
    size_t count, room;
    char **names; /* the fields of the first line */
    bool has_header;
    size_t columns;   /* of the first line */
    size_t label;     /* which of them is the label */
    double first;     /* number of the first column */
    uint64_t counted; /* rows, as long as it counts them from 0 or 1 */
};

static int wrong(const struct csv *csv, const char *what)
{
    return failure("%s:%zu: %s", csv->wish->path, csv->line, what);
}

static int add_field(struct csv *csv, char *field)
{
    if (csv->count == csv->room) {
        size_t room = csv->room ? csv->room * 2 : 64;
        char **fields = room > MOST_FIELDS * 2 ? NULL : realloc(csv->fields, room * sizeof *fields);

        if (!fields)
            return wrong(csv, "the line has more fields than there is memory for");
        csv->fields = fields;
        csv->room = room;
    }
    csv->fields[csv->count++] = field;
    return 0;
}

/* Takes the quotes off in place; a doubled one stands for one. Gives where the field ends, NULL if it never does. */
static char *unquote(char *field)
{
    char *from = field + 1, *to = field;

    for (; *from; from++) {
        if (*from == '"' && from[1] != '"') {
            *to = 0;
            return from + 1;
        }
        from += *from == '"';
        *to++ = *from;
    }
    return NULL;
}

static int cut_fields(struct csv *csv, char *line)
{
    char *at = line, *end;

    csv->count = 0;
    for (;;) {
        char *field = at;

        if (*at == '"') {
            if (!(end = unquote(at)))
                return wrong(csv, "a quote is not closed on its line");
        } else {
            end = at + strcspn(at, ",\r\n");
        }
        at = end;
        if (add_field(csv, field))
            return EXIT_FAILURE;
        if (*at != ',') {
            if (*at && *at != '\r' && *at != '\n')
                return wrong(csv, "there is text behind a closing quote");
            *end = 0;
            return 0;
        }
        *end = 0;
        at++;
    }
}

static bool is_number(const char *text, double *number)
{
    char *end;

    *number = strtod(text, &end);
    while (*end == ' ' || *end == '\t')
        end++;
    return end != text && !*end && isfinite(*number);
}

static int keep_names(struct csv *csv)
{
    if (!(csv->names = calloc(csv->columns, sizeof *csv->names)))
        return failure("out of memory");
    for (size_t i = 0; i < csv->columns; i++) {
        if (!(csv->names[i] = strdup(csv->fields[i])))
            return failure("out of memory");
    }
    return 0;
}

/* The next column of that name from `first` on; how many columns there are if there is none. */
static size_t find_name(const struct csv *csv, const char *name, size_t first)
{
    while (first < csv->columns && (!csv->has_header || strcmp(csv->names[first], name)))
        first++;
    return first;
}

/* "'age', 'x' and 'y'", or the first of them. */
static int unknown_label(const struct csv *csv)
{
    char list[400] = "";
    size_t length = 0, listed = 0;

    for (; listed < csv->columns && length < 300; listed++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s'%.60s'", listed ? ", " : "",
                                   csv->names[listed]);
    return usage_error("", "--label is '%s', but '%s' has no column of that name: it has %s%s",
                       csv->wish->label, csv->wish->path, list, listed < csv->columns ? ", …" : "");
}

static int find_label(struct csv *csv)
{
    const char *label = csv->wish->label;
    size_t other;
    char *end;

    csv->label = csv->columns - 1;
    if (!label)
        return 0;
    if ((csv->label = find_name(csv, label, 0)) < csv->columns) {
        if ((other = find_name(csv, label, csv->label + 1)) < csv->columns)
            return usage_error("", "--label is '%s', but two columns of '%s' are called so: say %zu or %zu",
                               label, csv->wish->path, csv->label + 1, other + 1);
        return 0;
    }
    csv->label = strtoull(label, &end, 10) - 1;
    if (*label >= '1' && *label <= '9' && !*end && csv->label < csv->columns)
        return 0;
    if (csv->has_header)
        return unknown_label(csv);
    return usage_error("", "--label is '%s', but '%s' has no header with names, and columns 1 to %zu", label,
                       csv->wish->path, csv->columns);
}

/* Which column the label is in must be known before it can be said whether the first line is a header. */
static bool is_header(const struct csv *csv)
{
    const char *label = csv->wish->label;
    size_t column = label ? strtoull(label, NULL, 10) : csv->columns;
    double number;

    for (size_t i = 0; i < csv->columns; i++) {
        if (i + 1 != column && !is_number(csv->fields[i], &number))
            return true;
    }
    return false;
}

/* "column 3", or "column 'age' (3)". */
static void describe_column(const struct csv *csv, size_t column, char *text, size_t size)
{
    if (csv->has_header && csv->names[column][0])
        snprintf(text, size, "column '%.60s' (%zu)", csv->names[column], column + 1);
    else
        snprintf(text, size, "column %zu", column + 1);
}

/* As programs write what is missing. */
static bool is_missing(const char *text)
{
    static const char *const words[] = {"", "?", "-", "NA", "N/A", "null", "NULL", "None"};
    double number = strtod(text, NULL);

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(text, words[i]))
            return true;
    }
    return !isfinite(number);
}

static int wrong_feature(const struct csv *csv, size_t column)
{
    const char *field = csv->fields[column];
    char name[96];

    describe_column(csv, column, name, sizeof name);
    return failure("%s:%zu: %s has '%.40s', but a feature must be a finite number: %s first", csv->wish->path,
                   csv->line, name, field,
                   is_missing(field) ? "leave such rows out, or fill in the column's mean,"
                                     : "make numbers of texts, or leave the column out,");
}

/* Whether labels are names is as it was in the first row. */
static int read_target(struct csv *csv, double *target)
{
    const char *label = csv->fields[csv->label];
    bool has_names = csv->builder->rows ? csv->builder->name_count : !is_number(label, target);
    char name[96];

    describe_column(csv, csv->label, name, sizeof name);
    if (!*label)
        return failure("%s:%zu: the label is empty, in %s: leave such rows out first", csv->wish->path,
                       csv->line, name);
    if (has_names)
        return builder_name(csv->builder, label, target);
    if (!is_number(label, target))
        return failure("%s:%zu: the label is '%.40s', in %s, but those before are numbers", csv->wish->path,
                       csv->line, label, name);
    return 0;
}

/* A first line "0,1,2,target", as pandas writes for columns without names, looks like a row of the label 'target' until
 * there is a second one. */
static void check_header(struct csv *csv)
{
    double number;

    if (csv->builder->rows == 1 && csv->builder->name_count && is_number(csv->fields[csv->label], &number)) {
        builder_free(csv->builder);
        *csv->builder = (struct data_builder){0};
        csv->has_header = true;
        csv->counted = 0;
    }
}

static void check_count(struct csv *csv, double number)
{
    uint64_t row = csv->builder->rows - 1;

    if (row == 0)
        csv->first = number;
    if (csv->counted == row && number == csv->first + (double)row && csv->first >= 0 && csv->first <= 1)
        csv->counted++;
}

/* What pandas writes unless it is told otherwise: rows that are in the order of their classes are then known by it. */
static void tell_count(const struct csv *csv)
{
    if (csv->label && csv->builder->rows >= 10 && csv->counted == csv->builder->rows)
        fprintf(stderr,
                "mpmap-tune: '%s': the first column counts the rows, which is hardly a feature: leave it out "
                "(pandas: "
                "to_csv(index=False))\n",
                csv->wish->path);
}

static int add_row(struct csv *csv)
{
    double number, target;
    int exit_status;

    check_header(csv);
    if (csv->count != csv->columns)
        return failure("%s:%zu: there are %zu fields, but the first line has %zu", csv->wish->path, csv->line,
                       csv->count, csv->columns);
    if ((exit_status = read_target(csv, &target)) || (exit_status = builder_row(csv->builder, target)))
        return exit_status;
    for (size_t i = 0, feature = 1; i < csv->columns; i++) {
        if (i == csv->label)
            continue;
        if (!is_number(csv->fields[i], &number))
            return wrong_feature(csv, i);
        if (!i)
            check_count(csv, number);
        if (builder_value(csv->builder, feature++, number))
            return EXIT_FAILURE;
    }
    return 0;
}

static int refuse_single(const struct csv *csv)
{
    const char *field = csv->fields[0], *other = field + strcspn(field, ";\t|");

    if (*other)
        return failure("%s:%zu: there is one column, '%.40s': fields must be separated by commas, not by %s",
                       csv->wish->path, csv->line, field,
                       *other == ';'   ? "';'"
                       : *other == '|' ? "'|'"
                                       : "tabs");
    return wrong(csv, "there is one column only: a label and a feature are two, with a comma between them");
}

static int take_first(struct csv *csv)
{
    int exit_status;

    csv->columns = csv->count;
    if (csv->columns < 2)
        return refuse_single(csv);
    csv->has_header = is_header(csv);
    if ((exit_status = keep_names(csv)) || (exit_status = find_label(csv)) || csv->has_header)
        return exit_status;
    return add_row(csv);
}

static int take_line(void *argument, char *line, size_t number)
{
    struct csv *csv = argument;
    int exit_status;

    csv->line = number;
    if (!line[strspn(line, " \t\r\n")])
        return 0;
    if ((exit_status = cut_fields(csv, line)))
        return exit_status;
    return csv->columns ? add_row(csv) : take_first(csv);
}

int data_read_csv(const struct data_wish *wish, struct data_builder *builder)
{
    struct csv csv = {.wish = wish, .builder = builder};
    int exit_status = lines_read(wish->path, take_line, &csv);

    if (!exit_status)
        tell_count(&csv);
    for (size_t i = 0; csv.names && i < csv.columns; i++)
        free(csv.names[i]);
    free(csv.names);
    free(csv.fields);
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads CSV: fields of a line, of which one is the label and the others are numbers. The first line is a header if any
 * of its features is no number. */
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
    size_t columns; /* of the first line */
    size_t label;   /* which of them is the label */
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

static int find_label(struct csv *csv, bool has_header)
{
    const char *label = csv->wish->label;
    char *end;

    csv->label = csv->columns - 1;
    if (!label)
        return 0;
    for (size_t i = 0; has_header && i < csv->columns; i++) {
        if (!strcmp(csv->fields[i], label)) {
            csv->label = i;
            return 0;
        }
    }
    csv->label = strtoull(label, &end, 10) - 1;
    if (*label >= '1' && *label <= '9' && !*end && csv->label < csv->columns)
        return 0;
    return usage_error("", "--label is '%s', but '%s' has %s, and columns 1 to %zu", label, csv->wish->path,
                       has_header ? "no column of that name" : "no header with names", csv->columns);
}

/* Which column the label is in must be known before it can be said whether the first line is a header. */
static bool is_header(const struct csv *csv)
{
    const char *label = csv->wish->label;
    double number;

    for (size_t i = 0; i < csv->columns; i++) {
        if (label && !strcmp(csv->fields[i], label) && !is_number(csv->fields[i], &number))
            return true;
        if (!is_number(csv->fields[i], &number) && (label || i + 1 < csv->columns))
            return !(label && strtoull(label, NULL, 10) == i + 1);
    }
    return false;
}

static int add_row(struct csv *csv)
{
    const char *label = csv->fields[csv->label];
    double number, target;
    char what[160];
    bool has_names;

    if (csv->count != csv->columns) {
        snprintf(what, sizeof what, "there are %zu fields, but the first line has %zu", csv->count,
                 csv->columns);
        return wrong(csv, what);
    }
    if (!*label)
        return wrong(csv, "the label is empty");
    /* Whether labels are names is as it was in the first row. */
    has_names = csv->builder->rows ? csv->builder->name_count : !is_number(label, &target);
    if (has_names ? builder_name(csv->builder, label, &target) : !is_number(label, &target))
        return has_names ? EXIT_FAILURE
                         : wrong(csv, "the label is no finite number, but those before are numbers");
    if (builder_row(csv->builder, target))
        return EXIT_FAILURE;
    for (size_t i = 0, feature = 1; i < csv->columns; i++) {
        if (i == csv->label)
            continue;
        if (!is_number(csv->fields[i], &number)) {
            snprintf(what, sizeof what, "column %zu has '%.40s', but a feature must be a finite number",
                     i + 1, csv->fields[i]);
            return wrong(csv, what);
        }
        if (builder_value(csv->builder, feature++, number))
            return EXIT_FAILURE;
    }
    return 0;
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
    if (!csv->columns) {
        bool has_header;

        csv->columns = csv->count;
        if (csv->columns < 2)
            return wrong(
                csv, "there is one column only: a label and a feature are two, with a comma between them");
        has_header = is_header(csv);
        if ((exit_status = find_label(csv, has_header)) || has_header)
            return exit_status;
    }
    return add_row(csv);
}

int data_read_csv(const struct data_wish *wish, struct data_builder *builder)
{
    struct csv csv = {.wish = wish, .builder = builder};
    int exit_status = lines_read(wish->path, take_line, &csv);

    free(csv.fields);
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the sparse text of libsvm and liblinear: "LABEL INDEX:VALUE …", a row a line. Numbers are read by strtod, as
 * svm-train does, so the very same bits come out. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "lines.h"
#include "support/command.h"

struct place {
    const char *path;
    size_t line;
};

static int wrong(const struct place *place, const char *what, const char *at)
{
    return failure("%s:%zu: '%.40s' is no %s; a row is LABEL INDEX:VALUE …, with rising indexes from 1",
                   place->path, place->line, at, what);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *skip_space(char *at)
{
    while (is_space(*at))
        at++;
    return at;
}

/* Cuts the word off that begins at `at`, for an error. */
static const char *word_at(char *at)
{
    at[strcspn(at, " \t\r\n")] = 0;
    return at;
}

static int read_values(struct data_builder *builder, char *at, const struct place *place)
{
    long last = 0;

    for (at = skip_space(at); *at && *at != '#'; at = skip_space(at)) {
        char *colon, *end;
        long index;
        double value;

        errno = 0;
        index = strtol(at, &colon, 10);
        if (colon == at || *colon != ':' || errno || index <= last || index >= INT_MAX)
            return wrong(place, last ? "feature with an index above the one before" : "feature", word_at(at));
        value = strtod(colon + 1, &end);
        if (end == colon + 1 || !isfinite(value) || (*end && !is_space(*end)))
            return wrong(place, "finite number behind a colon", word_at(at));
        if (builder_value(builder, (uint64_t)index, value))
            return EXIT_FAILURE;
        last = index;
        at = end;
    }
    return 0;
}

/* What a line is taken with. */
struct text {
    const char *path;
    struct data_builder *builder;
};

static int take_line(void *argument, char *line, size_t number)
{
    const struct text *text = argument;
    const struct place place = {.path = text->path, .line = number};
    char *at = skip_space(line), *end;
    double target;

    if (!*at || *at == '#')
        return 0;
    target = strtod(at, &end);
    if (number == 1 && strchr(at, ','))
        return failure("%s:1 has commas: --format csv reads CSV", place.path);
    if (end == at || !isfinite(target) || (*end && !is_space(*end)))
        return wrong(&place, "label", word_at(at));
    if (builder_row(text->builder, target))
        return EXIT_FAILURE;
    return read_values(text->builder, end, &place);
}

int data_read_svm(const struct data_wish *wish, struct data_builder *builder)
{
    struct text text = {.path = wish->path, .builder = builder};

    return lines_read(wish->path, take_line, &text);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the sparse text of libsvm and liblinear: "LABEL INDEX:VALUE …", a row a line. Numbers are read by strtod, as
 * svm-train does, so the very same bits come out. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
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

static int read_line(struct data_builder *builder, char *line, const struct place *place)
{
    char *at = skip_space(line), *end;
    double target;

    if (!*at || *at == '#')
        return 0;
    target = strtod(at, &end);
    if (end == at || !isfinite(target) || (*end && !is_space(*end)))
        return wrong(place, "label", word_at(at));
    if (builder_row(builder, target))
        return EXIT_FAILURE;
    return read_values(builder, end, place);
}

int data_read_svm(const struct data_wish *wish, struct data_builder *builder)
{
    struct place place = {.path = wish->path};
    FILE *file = fopen(wish->path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int exit_status = 0;

    if (!file)
        return failure("cannot open '%s': %s", wish->path, strerror(errno));
    while (!exit_status && (length = getline(&line, &room, file)) >= 0) {
        place.line++;
        if (memchr(line, 0, (size_t)length))
            exit_status = failure("%s:%zu: there is a NUL byte, so this is no text", wish->path, place.line);
        else
            exit_status = read_line(builder, line, &place);
    }
    if (!exit_status && ferror(file))
        exit_status = failure("cannot read '%s': %s", wish->path, strerror(errno));
    free(line);
    fclose(file);
    return exit_status;
}

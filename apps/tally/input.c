/* SPDX-License-Identifier: BSD-3-Clause */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "number.h"
#include "source.h"
#include "spool.h"
#include "split.h"
#include "support/suggest.h"
#include "table.h"

#define SAMPLE_BYTES MOST_RECORD
#define SAMPLE_ROWS  20000

static void add_file(struct input *input, const char *path, const char *place)
{
    input->files = memory_resize(input->files, (input->file_count + 1) * sizeof *input->files);
    input->files[input->file_count] = (struct input_file){.path = strdup(path), .place = strdup(place)};
    if (!input->files[input->file_count].path || !input->files[input->file_count].place)
        memory_resize(NULL, SIZE_MAX);
    input->file_count++;
}

static int add_stdin(struct input *input)
{
    char place[SPOOL_PLACE];

    if (input->spool)
        return usage_error("", "stdin is given twice");
    if ((input->spool = spool_stdin(place)) < 0)
        return EXIT_FAILURE;
    add_file(input, "stdin", place);
    return 0;
}

static int find_files(struct input *input, char **words, size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        struct file_list list = {NULL, 0};
        bool is_stdin = !strcmp(words[i], "-");
        int exit_status = is_stdin ? add_stdin(input) : files_expand(words[i], &list);

        if (exit_status)
            return exit_status;
        for (size_t k = 0; k < list.count; k++)
            add_file(input, list.names[k], list.names[k]);
        if (!list.count && !is_stdin)
            add_file(input, words[i], words[i]);
        files_free(&list);
    }
    return 0;
}

static void add_name(struct input *input, const char *name, size_t length)
{
    input->names = memory_resize(input->names, (input->column_count + 1) * sizeof *input->names);
    input->names[input->column_count++] = strndup(name, length);
}

/* The fields of a header, or of a first row where there is none. */
struct header {
    char **names;
    uint32_t count;
};

static void take_name(void *argument, uint32_t column, const struct field *field)
{
    struct header *header = argument;
    char *name = memory_resize(NULL, field->length + 1);
    size_t length = field->length;

    if (field->has_quotes)
        length = field_unquote(field, name);
    else
        memcpy(name, field->text, field->length);
    name[length] = '\0';
    header->names = memory_resize(header->names, (column + 1) * sizeof *header->names);
    header->names[column] = name;
    header->count = column + 1;
}

static void free_names(char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static bool is_missing(const struct input *input, const struct field *field)
{
    for (uint32_t i = 0; i < input->missing_count; i++) {
        if (strlen(input->missing[i]) == field->length &&
            !memcmp(input->missing[i], field->text, field->length))
            return true;
    }
    return false;
}

static void sample_value(const struct input *input, struct sample *sample, const struct field *field)
{
    const struct number_form any = {.scale = 0, .point = input->point, .limit = -1};
    char text[64] = {0};
    struct number number;
    uint64_t digits;
    uint32_t decimals;
    enum number_kind kind;
    bool is_signed;

    if (field->length > sizeof text - 32)
        kind = NUMBER_BAD;
    else
        memcpy(text, field->text, field->length),
            kind = number_read_any(text, (uint32_t)field->length, &any, &number);
    if (kind == NUMBER_MISSING || is_missing(input, field))
        return;
    sample->values++;
    if (kind == NUMBER_BAD) {
        if (!sample->text[0])
            snprintf(sample->text, sizeof sample->text, "%.*s", (int)field->length, field->text);
        return;
    }
    sample->numbers++;
    is_signed = text[0] == '-' || text[0] == '+';
    if (number_digits(text + is_signed, (uint32_t)field->length - is_signed, input->point, &digits,
                      &decimals) &&
        decimals > sample->scale)
        sample->scale = decimals < MOST_SCALE ? decimals : MOST_SCALE;
}

static void take_sample(void *argument, uint32_t column, const struct field *field)
{
    struct input *input = argument;

    if (column < input->column_count)
        sample_value(input, &input->samples[column], field);
}

static void sample_rows(struct input *input, const char *text, size_t size, bool is_at_end)
{
    struct row_reader reader = {.separator = input->separator, .take = take_sample, .argument = input};
    size_t taken;

    input->samples = calloc(input->column_count, sizeof *input->samples);
    if (!input->samples)
        memory_resize(NULL, SIZE_MAX);
    for (size_t at = 0, row = 0; at < size && row < SAMPLE_ROWS; at += taken, row++) {
        if (!(taken = comment_length(input->comment, text + at, size - at, is_at_end)))
            taken = row_read(&reader, text + at, size - at, is_at_end);
        if (!taken)
            break;
    }
}

static int compare_header(const struct input *input, const char *path, const struct header *header)
{
    if (header->count != input->column_count && input->has_header)
        return failure("'%s' has %u columns, but '%s' has %u", path, header->count, input->files[0].path,
                       input->column_count);
    for (uint32_t i = 0; input->has_header && i < header->count; i++) {
        if (strcmp(header->names[i], input->names[i]))
            return failure("column %u of '%s' is '%s', but of '%s' it is '%s'", i + 1, path, header->names[i],
                           input->files[0].path, input->names[i]);
    }
    return 0;
}

static int name_columns(struct input *input, const struct header *header, const char *names)
{
    char number[16];

    if (names) {
        for (const char *at = names, *end; at; at = *end ? end + 1 : NULL) {
            end = strchrnul(at, ',');
            add_name(input, at, (size_t)(end - at));
        }
        if (input->column_count < header->count ||
            (input->column_count > header->count && !input->fills_rows))
            return failure("--names has %u names, but '%s' has %u columns", input->column_count,
                           input->files[0].path, header->count);
        return 0;
    }
    for (uint32_t i = 0; i < header->count; i++) {
        snprintf(number, sizeof number, "%u", i + 1);
        if (input->has_header)
            add_name(input, header->names[i], strlen(header->names[i]));
        else
            add_name(input, number, strlen(number));
    }
    return 0;
}

static size_t mark_size(const char *text, size_t size)
{
    return size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

/* Bytes of the comments before the first row. */
static size_t skip_comments(const struct input *input, const char *text, size_t size, uint64_t *lines)
{
    size_t at = 0, taken;

    for (*lines = 0; (taken = comment_length(input->comment, text + at, size - at, size < SAMPLE_BYTES));
         ++*lines)
        at += taken;
    return at;
}

/* Of the first file the names are taken, those of the others must be the same. */
static int read_header(struct input *input, size_t number, const char *names, const char *text, size_t size)
{
    struct input_file *file = &input->files[number];
    struct header header = {NULL, 0};
    struct row_reader reader = {.separator = input->separator, .take = take_name, .argument = &header};
    uint64_t comments;
    size_t mark = mark_size(text, size),
           begin = mark + skip_comments(input, text + mark, size - mark, &comments);
    bool is_at_end = size < SAMPLE_BYTES;
    size_t taken = row_read(&reader, text + begin, size - begin, is_at_end);
    int exit_status;

    if (!taken || reader.bad >= 0 || header.count > MOST_COLUMNS) {
        free_names(header.names, header.count);
        return size
                   ? failure("'%s' does not begin with a row of at most %d columns", file->path, MOST_COLUMNS)
                   : failure("'%s' is empty: it has no %s", file->path,
                             input->has_header ? "header" : "rows");
    }
    file->first = begin + (input->has_header ? taken : 0);
    file->first_line = 1 + comments + (input->has_header ? reader.lines : 0);
    exit_status = number ? compare_header(input, file->path, &header) : name_columns(input, &header, names);
    if (!exit_status && !number)
        sample_rows(input, text + file->first, size - (size_t)file->first, is_at_end);
    free_names(header.names, header.count);
    return exit_status;
}

static int read_file(struct input *input, size_t number, const char *names, char *buffer)
{
    struct input_file *file = &input->files[number];
    char error[SOURCE_ERROR];
    struct source *source;
    struct stat status;
    ssize_t size;

    if (stat(file->place, &status))
        return failure("'%s' cannot be opened: there is no such file", file->path);
    if (!source_open(file->place, file->path, &source, error))
        return failure("%s", error);
    file->size = source_size(source);
    file->changed_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    file->is_plain = source_kind(source) == SOURCE_PLAIN;
    frames_find(source, &file->frames);
    size = source_read(source, buffer, SAMPLE_BYTES, error);
    source_close(source);
    if (size < 0)
        return failure("%s", error);
    if (!size && !input->has_header && number)
        return 0; /* it has no rows */
    return read_header(input, number, names, buffer, (size_t)size);
}

/* Whether a first row of one column would have several, were the separator another one. */
static void hint_separator(const struct input *input)
{
    static const struct {
        char separator;
        const char *option;
    } others[] = {{';', "';'"}, {'\t', "tab"}, {'|', "'|'"}, {',', "','"}, {' ', "' '"}};

    for (size_t i = 0; input->column_count == 1 && i < sizeof others / sizeof others[0]; i++) {
        const char *text = input->has_header ? input->names[0] : input->samples[0].text;

        if (others[i].separator != input->separator && strchr(text, others[i].separator)) {
            failure("'%s' has one column, '%s'; --separator %s makes more of it", input->files[0].path, text,
                    others[i].option);
            return;
        }
    }
}

/* Whether it is a number of a row, and not one of a series of names such as 0, 1, 2. */
static bool is_row(const struct input *input)
{
    const struct number_form form = {.scale = 0, .point = input->point, .limit = -1};
    bool is_series = true;

    for (uint32_t i = 0; i < input->column_count; i++) {
        char text[64 + READ_BEYOND] = {0};
        struct number number;

        snprintf(text, 64, "%s", input->names[i]);
        if (number_read_any(text, (uint32_t)strlen(text), &form, &number) != NUMBER_WIDE)
            return false;
        is_series &= number.wide == i || number.wide == i + 1;
    }
    return !is_series;
}

/* Whether the first line looks like a row. */
static void hint_header(const struct input *input)
{
    if (is_row(input))
        failure("'%s' has numbers in its header, such as '%s'; --no-header takes the first line as a row",
                input->files[0].path, input->names[0]);
}

int input_open(struct input *input, char **words, size_t word_count, const char *names)
{
    char *buffer;
    int exit_status = find_files(input, words, word_count);

    if (exit_status)
        return exit_status;
    buffer = memory_resize(NULL, SAMPLE_BYTES + READ_BEYOND);
    memset(buffer, 0, SAMPLE_BYTES + READ_BEYOND);
    for (size_t i = 0; i < input->file_count && !exit_status; i++)
        exit_status = read_file(input, i, names, buffer);
    free(buffer);
    if (!exit_status && input->file_count && input->samples)
        hint_separator(input);
    if (!exit_status && input->has_header)
        hint_header(input);
    return exit_status;
}

void input_close(struct input *input)
{
    for (size_t i = 0; i < input->file_count; i++) {
        free(input->files[i].path);
        free(input->files[i].place);
        frames_free(&input->files[i].frames);
    }
    free(input->files);
    free_names(input->names, input->column_count);
    free(input->samples);
    if (input->spool > 0)
        close(input->spool);
}

static int64_t find_name(const struct input *input, const char *name, uint32_t first)
{
    for (uint32_t i = first; i < input->column_count; i++) {
        if (!strcmp(input->names[i], name))
            return i;
    }
    return -1;
}

bool input_has(const struct input *input, const char *name)
{
    return find_name(input, name, 0) >= 0;
}

bool input_is_unique(const struct input *input, uint32_t column)
{
    return find_name(input, input->names[column], 0) == column &&
           find_name(input, input->names[column], column + 1) < 0;
}

int64_t input_column(const struct input *input, const char *name)
{
    int64_t found = find_name(input, name, 0), other;
    char *end;
    unsigned long number;

    if (found >= 0 && (other = find_name(input, name, (uint32_t)found + 1)) >= 0) {
        usage_error("", "two columns are called '%s': say #%lld or #%lld", name, (long long)found + 1,
                    (long long)other + 1);
        return -1;
    }
    if (found >= 0)
        return found;
    if (name[0] == '#') {
        number = strtoul(name + 1, &end, 10);
        if (!*end && number >= 1 && number <= input->column_count)
            return (int64_t)number - 1;
    }
    unknown_word("", "column", name, (const char *const *)input->names, input->column_count);
    return -1;
}

bool input_is_number(const struct input *input, uint32_t column)
{
    const struct sample *sample = &input->samples[column];

    return sample->values && sample->numbers >= sample->values - sample->numbers;
}

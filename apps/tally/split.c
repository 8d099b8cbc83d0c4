/* SPDX-License-Identifier: BSD-3-Clause */
#include "split.h"

#include <stdlib.h>
#include <string.h>

#define UNQUOTED_SIZE (2 * MOST_RECORD)

bool splitter_open(struct splitter *splitter, const struct plan *plan, struct batch *batch)
{
    memset(splitter, 0, sizeof *splitter);
    splitter->plan = plan;
    splitter->batch = batch;
    splitter->scan.positions = malloc((SEGMENT + 128) * sizeof(uint32_t));
    splitter->used_of = malloc(plan->column_count * sizeof *splitter->used_of);
    splitter->unquoted = malloc(UNQUOTED_SIZE + READ_BEYOND);
    if (!splitter->scan.positions || !splitter->used_of || !splitter->unquoted)
        return false;
    for (uint32_t i = 0; i < plan->column_count; i++)
        splitter->used_of[i] = -1;
    for (uint32_t i = 0; i < plan->used_count; i++) {
        if (!plan->used[i].prefix)
            splitter->used_of[plan->used[i].index] = (int16_t)i;
    }
    return true;
}

void splitter_close(struct splitter *splitter)
{
    free(splitter->scan.positions);
    free(splitter->used_of);
    free(splitter->unquoted);
}

static void flush(struct splitter *splitter)
{
    if (splitter->batch->count)
        batch_flush(splitter->batch);
    splitter->unquoted_size = 0;
}

/* A line end may be two characters. */
static inline size_t line_length(const char *text, size_t length)
{
    return length && text[length - 1] == '\r' ? length - 1 : length;
}

size_t comment_length(char comment, const char *text, size_t size, bool is_at_end)
{
    const char *end;

    if (!comment || !size || text[0] != comment)
        return 0;
    end = memchr(text, '\n', size);
    return end ? (size_t)(end - text) + 1 : is_at_end ? size : 0;
}

static bool has_comment(char comment, const char *text, size_t size)
{
    const char *at = text, *end = text + size;

    while (comment && (at = memchr(at, comment, (size_t)(end - at)))) {
        if (at == text || at[-1] == '\n')
            return true;
        at++;
    }
    return false;
}

/* Whether each line has as many fields as there are columns: then each so-manieth place is a line end, and no
 * other is. */
static bool is_regular(const struct splitter *splitter, const char *text)
{
    const struct scan *scan = &splitter->scan;
    size_t columns = splitter->plan->column_count;
    bool is = !scan->is_odd && scan->lines * columns == scan->count;

    for (size_t at = columns; is && at <= scan->count; at += columns)
        is = text[scan->positions[at - 1]] == '\n';
    return is;
}

/* The field of a column in rows from `first` on, of the places that were found. */
static void take_column(struct splitter *splitter, const char *text, size_t first, uint32_t used)
{
    struct batch *batch = splitter->batch;
    uint32_t columns = splitter->plan->column_count, index = splitter->plan->used[used].index;
    const uint32_t *place = splitter->scan.positions + first * columns + index;
    const char **texts = batch_texts(batch, used);
    uint32_t *lengths = batch_lengths(batch, used);

    for (uint32_t row = 0; row < batch->count; row++, place += columns) {
        uint32_t begin = place == splitter->scan.positions ? 0 : place[-1] + 1;

        texts[row] = text + begin;
        lengths[row] = place[0] - begin;
    }
    if (index + 1 == columns) {
        for (uint32_t row = 0; row < batch->count; row++)
            lengths[row] = (uint32_t)line_length(texts[row], lengths[row]);
    }
}

static void take_regular(struct splitter *splitter, const char *text, uint64_t line)
{
    struct batch *batch = splitter->batch;
    size_t rows = splitter->scan.lines;

    for (size_t first = 0; first < rows; first += BATCH) {
        size_t left = rows - first;

        batch->count = (uint32_t)(left < BATCH ? left : BATCH);
        for (uint32_t used = 0; used < splitter->plan->used_count; used++)
            take_column(splitter, text, first, used);
        for (uint32_t row = 0; row < batch->count; row++)
            batch->lines[row] = line + first + row;
        batch_flush(batch);
    }
}

size_t field_unquote(const struct field *field, char *to)
{
    size_t length = 0;

    for (size_t i = 0; i < field->length; i++) {
        to[length++] = field->text[i];
        if (field->text[i] == '"')
            i++;
    }
    return length;
}

/* Returns the bytes up to the quote that closes the field, whose text begins behind the quote that opened it;
 * `size` if there is none. */
static size_t find_closing(const char *text, size_t size, bool *has_quotes)
{
    const char *at = text, *end = text + size;

    while ((at = memchr(at, '"', (size_t)(end - at)))) {
        if (at + 1 == end || at[1] != '"')
            return (size_t)(at - text);
        *has_quotes = true;
        at += 2;
    }
    return size;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t lines = 0;

    for (const char *end = text + size; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        lines++;
    return lines;
}

static size_t plain_length(const char *text, size_t size, char separator)
{
    size_t length = 0;

    while (length < size && text[length] != separator && text[length] != '\n')
        length++;
    return length;
}

/* Reads a field; returns the bytes up to the separator or line end behind it, or SIZE_MAX if its quote never
 * closes in the text. */
static size_t read_field(struct row_reader *reader, const char *text, size_t size, struct field *field)
{
    size_t length, rest;
    uint64_t lines;

    *field = (struct field){text, 0, false};
    if (!size || text[0] != '"') {
        field->length = plain_length(text, size, reader->separator);
        return field->length;
    }
    field->text = text + 1;
    field->length = find_closing(text + 1, size - 1, &field->has_quotes);
    if (field->length == size - 1)
        return SIZE_MAX;
    lines = count_lines(field->text, field->length);
    reader->lines += lines;
    length = field->length + 2;
    rest = plain_length(text + length, size - length, reader->separator);
    /* A field of several lines that ends within a field is one of which the quote was forgotten. */
    if (line_length(text + length, rest))
        reader->bad = lines ? BAD_QUOTE : BAD_BEHIND_QUOTE;
    return length + rest;
}

/* What is wrong costs the line in which the row begins, and no other. */
static size_t read_bad(struct row_reader *reader, const char *text, size_t size, int kind)
{
    const char *end = memchr(text, '\n', size);

    reader->bad = kind;
    reader->lines = 1;
    return end ? (size_t)(end - text) + 1 : size;
}

static bool is_done(const char *text, size_t at, size_t size, bool is_at_end)
{
    return at < size ? text[at] == '\n' : is_at_end;
}

size_t row_read(struct row_reader *reader, const char *text, size_t size, bool is_at_end)
{
    size_t most = size < MOST_RECORD ? size : MOST_RECORD, at = 0;
    bool is_short = size < MOST_RECORD && !is_at_end;

    reader->columns = 0;
    reader->lines = 0;
    reader->bad = -1;
    for (;;) {
        struct field field;
        size_t length = read_field(reader, text + at, most - at, &field);

        if (length == SIZE_MAX)
            return is_short ? 0 : read_bad(reader, text, size, BAD_QUOTE);
        at += length;
        if (at >= most && !is_done(text, at, size, is_at_end))
            return is_short ? 0 : read_bad(reader, text, size, BAD_LONG);
        if (reader->bad >= 0)
            return read_bad(reader, text, size, reader->bad);
        if (is_done(text, at, size, is_at_end) && field.text + field.length == text + at)
            field.length = line_length(field.text, field.length);
        if (memchr(field.text, '\0', field.length))
            return read_bad(reader, text, size, BAD_ZERO);
        reader->take(reader->argument, reader->columns++, &field);
        if (is_done(text, at, size, is_at_end))
            break;
        at++;
    }
    reader->lines++;
    return at < size ? at + 1 : at;
}

static void take_field(void *argument, uint32_t column, const struct field *field)
{
    struct splitter *splitter = argument;
    struct batch *batch = splitter->batch;
    int used = column < splitter->plan->column_count ? splitter->used_of[column] : -1;
    size_t cell;

    if (used < 0)
        return;
    cell = (size_t)used * BATCH + batch->count;
    batch->texts[cell] = field->text;
    batch->lengths[cell] = (uint32_t)field->length;
    if (field->has_quotes) {
        char *to = splitter->unquoted + splitter->unquoted_size;

        batch->texts[cell] = to;
        batch->lengths[cell] = (uint32_t)field_unquote(field, to);
        splitter->unquoted_size += batch->lengths[cell];
    }
}

/* What is wrong with the row, or -1. An empty line is a row where there is one column only. */
static int judge_row(const struct row_reader *reader, const char *text, size_t length,
                     const struct plan *plan)
{
    uint32_t wanted = plan->column_count;

    if (reader->bad >= 0)
        return reader->bad;
    if (reader->columns == wanted)
        return -1;
    if (text[0] == '\n' || (text[0] == '\r' && length <= 2))
        return BAD_EMPTY;
    if (reader->columns > wanted)
        return BAD_MANY;
    return plan->fills_rows ? -1 : BAD_FEW;
}

/* Columns that the row lacks. */
static void fill_row(struct splitter *splitter, const char *text, uint32_t columns)
{
    struct batch *batch = splitter->batch;

    for (uint32_t used = 0; used < splitter->plan->used_count; used++) {
        if (splitter->plan->used[used].index < columns)
            continue;
        batch_texts(batch, used)[batch->count] = text;
        batch_lengths(batch, used)[batch->count] = 0;
    }
}

/* The rest of a comment is skipped as that of a long line is, if its end is not there. */
static size_t take_comment(struct splitter *splitter, const char *text, size_t size, bool is_at_end,
                           uint64_t *lines)
{
    size_t taken = comment_length(splitter->plan->comment, text, size, is_at_end);

    splitter->is_skipping = !taken;
    ++*lines;
    return taken ? taken : size;
}

static size_t take_row(struct splitter *splitter, const char *text, size_t size, bool is_at_end,
                       uint64_t *lines)
{
    struct row_reader reader = {
        .separator = splitter->plan->separator, .take = take_field, .argument = splitter};
    struct batch *batch = splitter->batch;
    size_t taken;
    int bad;

    if (splitter->plan->comment && text[0] == splitter->plan->comment)
        return take_comment(splitter, text, size, is_at_end, lines);
    if (batch->count == BATCH || splitter->unquoted_size > UNQUOTED_SIZE - MOST_RECORD)
        flush(splitter);
    taken = row_read(&reader, text, size, is_at_end);
    if (!taken)
        return 0;
    bad = judge_row(&reader, text, taken, splitter->plan);
    if (bad >= 0) {
        const struct bad_row row = {.line = *lines, .kind = (uint32_t)bad, .detail = reader.columns};
        const char *end = memchr(text, '\n', taken);

        flush(splitter); /* so that bad rows are described in their order */
        batch_bad(batch->head, &row, text, end ? (size_t)(end - text) : taken);
        splitter->is_skipping = !end && !(is_at_end && taken == size);
    } else {
        fill_row(splitter, text, reader.columns);
        batch->lines[batch->count++] = *lines;
    }
    *lines += reader.lines;
    return taken;
}

/* Rows one by one, as long as they begin before the limit. */
static size_t take_rows(struct splitter *splitter, const char *text, size_t limit, size_t size,
                        bool is_at_end, uint64_t *lines)
{
    size_t at = 0, taken;

    while (at < limit && at < size && !splitter->is_skipping) {
        taken = take_row(splitter, text + at, size - at, is_at_end, lines);
        if (!taken)
            break;
        at += taken;
    }
    flush(splitter);
    return at;
}

/* The bytes up to the last line end of a segment. */
static size_t whole_lines(const char *text, size_t size)
{
    const char *end = memrchr(text, '\n', size);

    return end ? (size_t)(end - text) + 1 : 0;
}

/* The rest of a line that was too long. */
static size_t skip_line(struct splitter *splitter, const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);

    splitter->is_skipping = !end;
    return end ? (size_t)(end - text) + 1 : size;
}

size_t splitter_take(struct splitter *splitter, const char *text, size_t limit, size_t size, bool is_at_end,
                     uint64_t *lines)
{
    size_t at = splitter->is_skipping ? skip_line(splitter, text, size) : 0, taken;

    while (at < limit && at < size && !splitter->is_skipping &&
           !(splitter->plan->stops_at_bad && splitter->batch->head->bad_count)) {
        size_t left = (limit < size ? limit : size) - at;
        size_t segment = whole_lines(text + at, left < SEGMENT ? left : SEGMENT);

        if (segment) {
            scan_text(text + at, segment, splitter->plan->separator, &splitter->scan);
            if (is_regular(splitter, text + at) &&
                !has_comment(splitter->plan->comment, text + at, segment)) {
                take_regular(splitter, text + at, *lines);
                *lines += splitter->scan.lines;
                at += segment;
                continue;
            }
        }
        taken = take_rows(splitter, text + at, segment ? segment : left, size - at, is_at_end, lines);
        if (!taken)
            break;
        at += taken;
    }
    return at;
}

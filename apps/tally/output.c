/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/json.h"
#include "support/whole_file.h"

/* What takes a column on a terminal: characters, not bytes. */
static size_t width_of(const char *text, size_t length)
{
    size_t width = 0;

    for (size_t i = 0; i < length; i++)
        width += (text[i] & 0xC0) != 0x80;
    return width;
}

static size_t cell_text(const struct result *result, size_t row, uint32_t measure, char text[MOST_TEXT])
{
    struct value value = result_value(result, row, measure);

    return value.kind == VALUE_DOUBLE ? double_short_text(value.number, text) : value_text(&value, text);
}

/* Bytes that would change the terminal are shown as '?'. */
static void put_clean(FILE *file, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        putc((unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i], file);
}

static void put_cell(FILE *file, const char *text, size_t length, size_t width, bool is_right)
{
    size_t blanks = width - width_of(text, length);

    for (size_t i = 0; i < blanks && is_right; i++)
        putc(' ', file);
    put_clean(file, text, length);
    for (size_t i = 0; i < blanks && !is_right; i++)
        putc(' ', file);
}

static void find_widths(const struct result *result, size_t *widths)
{
    const struct plan *plan = result->plan;
    char text[MOST_TEXT];

    for (uint32_t i = 0; i < plan->by_count; i++)
        widths[i] = width_of(plan->used[plan->by[i]].name, strlen(plan->used[plan->by[i]].name));
    for (uint32_t i = 0; i < plan->measure_count; i++)
        widths[plan->by_count + i] = width_of(plan->measures[i].title, strlen(plan->measures[i].title));
    for (size_t row = 0; row < result->shown; row++) {
        for (uint32_t i = 0; i < plan->by_count + plan->measure_count; i++) {
            const char *key = text;
            size_t length = i < plan->by_count ? result_key(result, row, i, &key)
                                               : cell_text(result, row, i - plan->by_count, text);
            size_t width = width_of(key, length);

            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
}

void output_table(FILE *file, const struct result *result)
{
    const struct plan *plan = result->plan;
    size_t widths[MOST_BY + MOST_MEASURES];
    uint32_t last = plan->by_count + plan->measure_count - 1;
    char text[MOST_TEXT];

    find_widths(result, widths);
    for (uint32_t i = 0; i <= last; i++) {
        const char *title = i < plan->by_count ? plan->used[plan->by[i]].name
                                               : plan->measures[i - plan->by_count].title;

        put_cell(file, title, strlen(title), widths[i], i >= plan->by_count);
        fputs(i < last ? "  " : "\n", file);
    }
    for (size_t row = 0; row < result->shown; row++) {
        for (uint32_t i = 0; i <= last; i++) {
            bool is_key = i < plan->by_count;
            bool is_number = !is_key || plan->used[plan->by[i]].type == TYPE_NUMBER;
            const char *key = text;
            size_t length = is_key ? result_key(result, row, i, &key)
                                   : cell_text(result, row, i - plan->by_count, text);

            put_cell(file, key, length, widths[i], is_number);
            fputs(i < last ? "  " : "\n", file);
        }
    }
}

static void put_csv(FILE *file, const char *text, size_t length)
{
    bool is_quoted = false;

    for (size_t i = 0; i < length && !is_quoted; i++)
        is_quoted = strchr(",\"\n\r", text[i]) != NULL;
    if (!is_quoted) {
        fwrite(text, 1, length, file);
        return;
    }
    putc('"', file);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            putc('"', file);
        putc(text[i], file);
    }
    putc('"', file);
}

void output_csv(FILE *file, const struct result *result)
{
    const struct plan *plan = result->plan;
    uint32_t last = plan->by_count + plan->measure_count - 1;
    char text[MOST_TEXT];

    for (uint32_t i = 0; i <= last; i++) {
        const char *title = i < plan->by_count ? plan->used[plan->by[i]].name
                                               : plan->measures[i - plan->by_count].title;

        put_csv(file, title, strlen(title));
        putc(i < last ? ',' : '\n', file);
    }
    for (size_t row = 0; row < result->shown; row++) {
        for (uint32_t i = 0; i <= last; i++) {
            const char *key = text;
            size_t length;

            if (i < plan->by_count) {
                length = result_key(result, row, i, &key);
            } else {
                struct value value = result_value(result, row, i - plan->by_count);

                length = value_text(&value, text);
            }
            put_csv(file, key, length);
            putc(i < last ? ',' : '\n', file);
        }
    }
}

static void put_json_key(FILE *file, const struct result *result, size_t row, uint32_t key)
{
    const char *text;
    size_t length = result_key(result, row, key, &text);
    char *copy = memory_resize(NULL, length + 1);

    memcpy(copy, text, length);
    copy[length] = '\0';
    json_write_string(file, copy);
    free(copy);
}

static void put_json_value(FILE *file, const struct value *value)
{
    char text[MOST_TEXT];

    if (value->kind == VALUE_LIST) {
        putc('[', file);
        for (uint64_t i = 0; i < value->list_count; i++) {
            double_text(value->list[i], text);
            fprintf(file, "%s%s", i ? ", " : "", text);
        }
        putc(']', file);
    } else {
        fputs(value->kind == VALUE_MISSING ? "null" : (value_text(value, text), text), file);
    }
}

void output_json(FILE *file, const struct result *result)
{
    const struct plan *plan = result->plan;

    fprintf(file, "{\"rows\": %llu, \"bad_rows\": %llu, \"groups\": %zu, \"results\": [",
            (unsigned long long)result->answer->rows, (unsigned long long)result->answer->bad_count,
            result->count);
    for (size_t row = 0; row < result->shown; row++) {
        fputs(row ? ",\n{" : "\n{", file);
        for (uint32_t i = 0; i < plan->by_count; i++) {
            fputs(i ? ", " : "", file);
            json_write_string(file, plan->used[plan->by[i]].name);
            fputs(": ", file);
            put_json_key(file, result, row, i);
        }
        for (uint32_t i = 0; i < plan->measure_count; i++) {
            struct value value = result_value(result, row, i);

            fputs(i || plan->by_count ? ", " : "", file);
            json_write_string(file, plan->measures[i].title);
            fputs(": ", file);
            put_json_value(file, &value);
        }
        putc('}', file);
    }
    fputs("]}\n", file);
}

char *output_path(const char *name, char **group)
{
    char *path = strdup(name), *colon;

    if (!path)
        memory_resize(NULL, SIZE_MAX);
    colon = strstr(path, ":/");
    *group = NULL;
    if (colon) {
        *colon = '\0';
        *group = colon + 1;
    }
    return path;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length >= end_length && !strcmp(text + length - end_length, end);
}

/* Opens the draft and locks it. -1, after saying what is wrong, if it cannot be. */
static int lock_draft(const char *path, const char *draft)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(draft, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

    if (file < 0) {
        failure("'%s' cannot be made: %s", draft, strerror(errno));
    } else if (fcntl(file, F_OFD_SETLK, &whole) && (errno == EAGAIN || errno == EACCES)) {
        failure("another run is making '%s'", path);
        close(file);
        file = -1;
    }
    return file;
}

/* Whether the file that is open is still the one of that name: another run may have put it in its place before it was
 * locked here. */
static bool is_named(int file, const char *name)
{
    struct stat open_one, named;

    return !fstat(file, &open_one) && !stat(name, &named) && open_one.st_ino == named.st_ino &&
           open_one.st_dev == named.st_dev;
}

int draft_begin(const char *path, struct draft *draft)
{
    if (asprintf(&draft->path, "%s.tally-draft", path) < 0)
        return failure("out of memory");
    while ((draft->lock = lock_draft(path, draft->path)) >= 0 && !is_named(draft->lock, draft->path))
        close(draft->lock);
    if (draft->lock >= 0)
        return 0;
    free(draft->path);
    return EXIT_FAILURE;
}

int draft_end(struct draft *draft, const char *path, int exit_status)
{
    if (exit_status)
        unlink(draft->path);
    else if (whole_file_place(draft->path, path))
        exit_status = failure("'%s' cannot be written: %s", path, strerror(errno));
    close(draft->lock);
    free(draft->path);
    return exit_status;
}

/* Not as whole_file_begin() does it: FILE.part is the record of a pass. */
int output_text(const char *path, output_write_text *write, const void *argument)
{
    struct draft draft;
    int exit_status = draft_begin(path, &draft);
    FILE *file;
    bool is_bad;

    if (exit_status)
        return exit_status;
    if (!(file = fopen(draft.path, "we")))
        return draft_end(&draft, path, failure("'%s' cannot be made: %s", draft.path, strerror(errno)));
    write(file, ends_in(path, ".json"), argument);
    is_bad = fflush(file) || ferror(file);
    is_bad |= fclose(file) != 0;
    if (is_bad)
        exit_status = failure("'%s' cannot be written: %s", draft.path, strerror(errno));
    return draft_end(&draft, path, exit_status);
}

static void write_result(FILE *file, bool is_json, const void *argument)
{
    const struct result *result = argument;

    if (is_json)
        output_json(file, result);
    else
        output_csv(file, result);
}

int output_file(const char *name, const struct result *result)
{
    char *group, *path = output_path(name, &group);
    int exit_status = group ? output_group(path, group, output_result_sets, result)
                            : output_text(path, write_result, result);

    free(path);
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages come in the order in which they were found. */
#include "index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "support/json.h"

const char *index_url(const struct frontier *frontier, uint64_t fingerprint)
{
    const uint64_t *number = fingerprint ? set_find(&frontier->seen, fingerprint) : NULL;

    return number ? frontier->pages[*number].url : "";
}

void index_time(uint64_t time_ms, char text[32])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm date;

    text[0] = 0;
    if (time_ms)
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &date));
}

const char *index_outcome(enum outcome outcome)
{
    static const char *const words[] = {"answered", "unreachable", "failed", "forbidden"};

    return words[outcome & 3];
}

static void write_text(FILE *file, const char *name, const char *text)
{
    if (!*text)
        return;
    fprintf(file, ",\"%s\":", name);
    json_write_string(file, text);
}

static void write_page(FILE *file, const struct frontier *frontier, const struct page *page)
{
    struct facts facts;
    char time[32];

    frontier_facts(page, &facts);
    index_time(facts.time_ms, time);
    fputs("{\"url\":", file);
    json_write_string(file, page->url);
    fprintf(file,
            ",\"outcome\":\"%s\",\"status\":%u,\"depth\":%u,\"size\":%llu,\"seconds\":%.6f,\"links\":%llu",
            index_outcome(facts.outcome), facts.status, page->depth, (unsigned long long)facts.size,
            (double)facts.duration_us * 1e-6, (unsigned long long)facts.link_count);
    write_text(file, "time", time);
    write_text(file, "type", facts.type);
    write_text(file, "title", facts.title);
    write_text(file, "location", facts.location);
    write_text(file, "canonical", facts.canonical);
    write_text(file, "etag", facts.etag);
    write_text(file, "modified", facts.modified);
    write_text(file, "referrer", index_url(frontier, page->referrer));
    write_text(file, "error", facts.error);
    fprintf(file, "%s%s%s%s", facts.is_noindex ? ",\"noindex\":true" : "",
            facts.is_nofollow ? ",\"nofollow\":true" : "", facts.is_cut ? ",\"links_cut\":true" : "",
            page->kind == ORDER_SITEMAP ? ",\"sitemap\":true" : "");
    if (facts.warc_length)
        fprintf(file, ",\"warc\":\"crawl-%llu.warc.gz\",\"offset\":%llu,\"length\":%llu",
                (unsigned long long)facts.file, (unsigned long long)facts.warc_offset,
                (unsigned long long)facts.warc_length);
    fputs("}\n", file);
}

int index_write_pages(const struct frontier *frontier)
{
    struct whole_file output;

    if (output_begin(&output, frontier->settings->folder, "pages.jsonl"))
        return 1;
    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state == PAGE_DONE)
            write_page(output.stream, frontier, &frontier->pages[i]);
    }
    return output_end(&output);
}

void index_columns(const struct settings *settings, struct index_columns *columns)
{
    const char *error;

    columns->count = settings->columns.count;
    columns->names = must_realloc(NULL, columns->count * sizeof *columns->names);
    columns->types = must_realloc(NULL, columns->count * sizeof *columns->types);
    for (size_t i = 0; i < columns->count; i++) /* extract_check() has read them before */
        column_read(settings->columns.texts[i], &columns->names[i], &columns->types[i], &error);
}

void index_columns_free(struct index_columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        free(columns->names[i]);
    free(columns->names);
    free(columns->types);
}

static void read_rows(const struct page *page, size_t columns, const char **cells,
                      void (*row)(const struct page *page, const char *const *cells, void *argument),
                      void *argument)
{
    struct facts facts;
    struct reader reader;

    frontier_facts(page, &facts);
    reader = (struct reader){facts.rows, facts.rows + facts.rows_length, !facts.rows_length};
    for (uint64_t count = reader_number(&reader); count && !reader.is_bad; count--) {
        for (size_t i = 0; i < columns; i++) {
            bool is_there = reader_number(&reader);
            const char *text = reader_text(&reader, NULL);

            cells[i] = is_there ? text : NULL;
        }
        if (!reader.is_bad)
            row(page, cells, argument);
    }
}

void index_each_row(const struct frontier *frontier, size_t columns,
                    void (*row)(const struct page *page, const char *const *cells, void *argument),
                    void *argument)
{
    const char **cells = must_realloc(NULL, columns * sizeof *cells);

    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state == PAGE_DONE)
            read_rows(&frontier->pages[i], columns, cells, row, argument);
    }
    free(cells);
}

struct row_files {
    const struct index_columns *columns;
    FILE *json, *csv;
};

static void write_list(FILE *file, const char *cell)
{
    const char *separator = "[";

    for (const char *end; cell; cell = *end ? end + 1 : NULL) {
        end = cell + strcspn(cell, (char[]){CELL_SEPARATOR, 0});
        char *item = must_copy(cell, (size_t)(end - cell));

        fputs(separator, file);
        json_write_string(file, item);
        free(item);
        separator = ",";
    }
    putc(']', file);
}

static void write_cell_json(FILE *file, enum column_type type, const char *cell)
{
    if (!cell)
        fputs("null", file);
    else if (type == COLUMN_BOOL)
        fputs(strcmp(cell, "0") ? "true" : "false", file);
    else if (type == COLUMN_COUNT || type == COLUMN_I64)
        fputs(cell, file);
    else if (type == COLUMN_F64)
        fputs(isfinite(strtod(cell, NULL)) ? cell : "null", file);
    else if (type == COLUMN_LIST)
        write_list(file, cell);
    else
        json_write_string(file, cell);
}

/* RFC 4180; items of a list with "; " between them. */
static void write_cell_csv(FILE *file, const char *cell)
{
    if (!cell)
        return;
    putc('"', file);
    for (; *cell; cell++) {
        if (*cell == CELL_SEPARATOR)
            fputs("; ", file);
        else if (*cell == '"')
            fputs("\"\"", file);
        else
            putc(*cell, file);
    }
    putc('"', file);
}

static void write_row(const struct page *page, const char *const *cells, void *argument)
{
    const struct row_files *files = argument;

    fputs("{\"page\":", files->json);
    json_write_string(files->json, page->url);
    write_cell_csv(files->csv, page->url);
    for (size_t i = 0; i < files->columns->count; i++) {
        putc(',', files->json);
        json_write_string(files->json, files->columns->names[i]);
        putc(':', files->json);
        write_cell_json(files->json, files->columns->types[i], cells[i]);
        putc(',', files->csv);
        write_cell_csv(files->csv, cells[i]);
    }
    fputs("}\n", files->json);
    fputs("\r\n", files->csv);
}

int index_write_rows(const struct frontier *frontier)
{
    const char *folder = frontier->settings->folder;
    struct index_columns columns;
    struct whole_file json, csv;
    struct row_files files;
    int status;

    if (!frontier->settings->columns.count)
        return 0;
    if (output_begin(&json, folder, "rows.jsonl"))
        return 1;
    if (output_begin(&csv, folder, "rows.csv")) {
        output_end(&json);
        return 1;
    }
    index_columns(frontier->settings, &columns);
    files = (struct row_files){&columns, json.stream, csv.stream};
    write_cell_csv(csv.stream, "page");
    for (size_t i = 0; i < columns.count; i++) {
        putc(',', csv.stream);
        write_cell_csv(csv.stream, columns.names[i]);
    }
    fputs("\r\n", csv.stream);
    index_each_row(frontier, columns.count, write_row, &files);
    index_columns_free(&columns);
    status = output_end(&json);
    return output_end(&csv) || status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* crawl.h5: a data set a field, all of the same length, so that a table of them is one line in h5py or pandas. */
#include "index.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "support/command.h"
#include "support/whole_file.h"

/* A column that is gathered before it is written. */
struct gathered {
    const char **texts; /* NULL: none */
    double *numbers;
    size_t count;
};

struct writing {
    hid_t file, text_type;
    bool has_failed;
};

static void write_data(struct writing *writing, const char *name, hid_t type, const void *data, size_t count)
{
    hsize_t size = count;
    hid_t space = H5Screate_simple(1, &size, NULL), links = H5Pcreate(H5P_LINK_CREATE), set;

    H5Pset_create_intermediate_group(links, 1);
    H5Pset_char_encoding(links, H5T_CSET_UTF8);
    set = H5Dcreate2(writing->file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    if (set < 0 || (count && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        writing->has_failed = true;
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(links);
    H5Sclose(space);
}

static void write_texts(struct writing *writing, const char *name, const char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        texts[i] = texts[i] ? texts[i] : "";
    write_data(writing, name, writing->text_type, texts, count);
}

/* One page after the other: what the field is, is in `read`. */
static void write_page_numbers(struct writing *writing, const struct frontier *frontier, const char *name,
                               double (*read)(const struct page *page, const struct facts *facts), hid_t type)
{
    double *numbers = must_realloc(NULL, frontier->page_count * sizeof *numbers);
    size_t count = 0;
    struct facts facts;
    int64_t *whole = must_realloc(NULL, frontier->page_count * sizeof *whole);

    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state != PAGE_DONE)
            continue;
        frontier_facts(&frontier->pages[i], &facts);
        numbers[count] = read(&frontier->pages[i], &facts);
        whole[count] = (int64_t)numbers[count];
        count++;
    }
    if (H5Tequal(type, H5T_NATIVE_INT64) > 0)
        write_data(writing, name, type, whole, count);
    else
        write_data(writing, name, type, numbers, count);
    free(numbers);
    free(whole);
}

static void write_page_texts(struct writing *writing, const struct frontier *frontier, const char *name,
                             const char *(*read)(const struct page *page, const struct facts *facts))
{
    const char **texts = must_realloc(NULL, frontier->page_count * sizeof *texts);
    size_t count = 0;
    struct facts facts;

    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state != PAGE_DONE)
            continue;
        frontier_facts(&frontier->pages[i], &facts);
        texts[count++] = read(&frontier->pages[i], &facts);
    }
    write_texts(writing, name, texts, count);
    free(texts);
}

static double status_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return facts->status;
}

static double size_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return (double)facts->size;
}

static double depth_of(const struct page *page, const struct facts *facts)
{
    (void)facts;
    return page->depth;
}

static double links_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return (double)facts->link_count;
}

static double time_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return (double)facts->time_ms * 1e-3;
}

static double duration_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return (double)facts->duration_us * 1e-6;
}

static const char *url_of(const struct page *page, const struct facts *facts)
{
    (void)facts;
    return page->url;
}

static const char *title_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return facts->title;
}

static const char *type_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return facts->type;
}

static const char *location_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return facts->location;
}

static const char *error_of(const struct page *page, const struct facts *facts)
{
    (void)page;
    return facts->error;
}

static void write_pages(struct writing *writing, const struct frontier *frontier)
{
    write_page_texts(writing, frontier, "/pages/url", url_of);
    write_page_texts(writing, frontier, "/pages/title", title_of);
    write_page_texts(writing, frontier, "/pages/type", type_of);
    write_page_texts(writing, frontier, "/pages/location", location_of);
    write_page_texts(writing, frontier, "/pages/error", error_of);
    write_page_numbers(writing, frontier, "/pages/status", status_of, H5T_NATIVE_INT64);
    write_page_numbers(writing, frontier, "/pages/size", size_of, H5T_NATIVE_INT64);
    write_page_numbers(writing, frontier, "/pages/depth", depth_of, H5T_NATIVE_INT64);
    write_page_numbers(writing, frontier, "/pages/links", links_of, H5T_NATIVE_INT64);
    write_page_numbers(writing, frontier, "/pages/time", time_of, H5T_NATIVE_DOUBLE);
    write_page_numbers(writing, frontier, "/pages/seconds", duration_of, H5T_NATIVE_DOUBLE);
}

/* All cells of the rows, a column after the other: column i has places i * room to i * room + count. */
struct rows {
    const char **pages, **cells;
    size_t columns, count, room;
};

static void count_row(const struct page *page, const char *const *cells, void *argument)
{
    (void)page, (void)cells;
    ((struct rows *)argument)->room++;
}

static void gather_row(const struct page *page, const char *const *cells, void *argument)
{
    struct rows *rows = argument;

    rows->pages[rows->count] = page->url;
    for (size_t i = 0; i < rows->columns; i++)
        rows->cells[i * rows->room + rows->count] = cells[i];
    rows->count++;
}

/* Numbers that are not there are NaN, or 0 for whole ones. */
static void write_column(struct writing *writing, const char *name, enum column_type type, const char **cells,
                         size_t count)
{
    struct buffer path = {0};
    int64_t *whole = must_realloc(NULL, count * sizeof *whole);
    double *numbers = must_realloc(NULL, count * sizeof *numbers);

    buffer_print(&path, "/rows/%s", name);
    for (char *at = path.bytes + 6; *at; at++)
        *at = *at == '/' ? '_' : *at;
    for (size_t i = 0; i < count && type != COLUMN_TEXT; i++) {
        numbers[i] = cells[i] ? strtod(cells[i], NULL) : NAN;
        whole[i] = cells[i] ? strtoll(cells[i], NULL, 10) : 0;
    }
    if (type == COLUMN_F64)
        write_data(writing, path.bytes, H5T_NATIVE_DOUBLE, numbers, count);
    else if (type == COLUMN_I64 || type == COLUMN_COUNT || type == COLUMN_BOOL)
        write_data(writing, path.bytes, H5T_NATIVE_INT64, whole, count);
    else
        write_texts(writing, path.bytes, cells, count);
    free(whole);
    free(numbers);
    buffer_free(&path);
}

static void write_rows(struct writing *writing, const struct frontier *frontier)
{
    struct index_columns columns;
    struct rows rows = {.columns = frontier->settings->columns.count};

    if (!rows.columns)
        return;
    index_each_row(frontier, rows.columns, count_row, &rows);
    rows.pages = must_realloc(NULL, rows.room * sizeof *rows.pages);
    rows.cells = must_realloc(NULL, rows.room * rows.columns * sizeof *rows.cells);
    index_each_row(frontier, rows.columns, gather_row, &rows);
    index_columns(frontier->settings, &columns);
    write_texts(writing, "/rows/page", rows.pages, rows.count);
    for (size_t i = 0; i < columns.count; i++)
        write_column(writing, columns.names[i], columns.types[i], rows.cells + i * rows.room, rows.count);
    index_columns_free(&columns);
    free(rows.pages);
    free(rows.cells);
}

int index_write_h5(const struct frontier *frontier)
{
    const char *folder = frontier->settings->folder;
    char *part = must_copy(journal_path(folder, "crawl.h5.part"),
                           strlen(journal_path(folder, "crawl.h5.part")));
    struct writing writing = {.has_failed = false};
    int status = 0;

    H5dont_atexit(); /* after a file that a full disk kept it from closing it would crash at exit */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    writing.text_type = H5Tcopy(H5T_C_S1);
    H5Tset_size(writing.text_type, H5T_VARIABLE);
    H5Tset_cset(writing.text_type, H5T_CSET_UTF8);
    writing.file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (writing.file >= 0) {
        write_pages(&writing, frontier);
        write_rows(&writing, frontier);
    }
    H5Tclose(writing.text_type);
    if (writing.file < 0 || H5Fclose(writing.file) < 0 || writing.has_failed) {
        unlink(part);
        status = failure("'%s' cannot be written: is the disk full?", part);
    } else if (whole_file_place(part, journal_path(folder, "crawl.h5"))) {
        status = failure("'%s' cannot be written: %s", part, strerror(errno));
    }
    free(part);
    return status;
}

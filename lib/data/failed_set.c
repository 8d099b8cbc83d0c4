/* SPDX-License-Identifier: BSD-3-Clause */
/* A group of data sets, one a column, since netCDF4 and others read those and no compounds with strings. */
#include "data/failed_set.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/marks.h"
#include "data/output_layout.h"

#define PIECE_ROWS ((uint64_t)64 << 10)
#define TOLD       5 /* in a sentence */

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

/* ---- Finding ---- */

static void read_joined_logs(const struct output *output, struct failed_list *known)
{
    char path[PATH_MAX + NAME_MAX + 2];
    DIR *folder = output->joins ? opendir(output->claims) : NULL;

    for (struct dirent *at; folder && (at = readdir(folder));) {
        if (strncmp(at->d_name, FAILED_LOG_PREFIX, strlen(FAILED_LOG_PREFIX)))
            continue;
        snprintf(path, sizeof path, "%s/%s", output->claims, at->d_name);
        failed_log_read(path, known);
    }
    if (folder)
        closedir(folder);
}

static void list_rows(const struct output *output, struct failed_set *set)
{
    const struct part_record *record = &output->record;
    size_t most = set->count < FAILED_MOST ? (size_t)set->count : FAILED_MOST;
    unsigned char *marks = malloc(PIECE_ROWS);

    set->rows = malloc((most + 1) * sizeof *set->rows);
    for (uint64_t row = 0; marks && set->rows && row < record->rows && set->listed < most;
         row += PIECE_ROWS) {
        ssize_t got = read_at(output->fd, marks,
                              record->rows - row < PIECE_ROWS ? record->rows - row : PIECE_ROWS,
                              record->marks_at + row);

        for (ssize_t i = 0; i < got && set->listed < most; i++) {
            if (marks[i] == ROW_FAILED)
                set->rows[set->listed++] = row + (uint64_t)i;
        }
    }
    free(marks);
}

void failed_set_find(const struct output *output, uint64_t count, struct failed_set *set)
{
    char path[PATH_MAX + 16];

    *set = (struct failed_set){.count = count};
    if (!count)
        return;
    list_rows(output, set);
    snprintf(path, sizeof path, "%s.failed", output->part);
    failed_log_read(path, &set->known);
    read_joined_logs(output, &set->known);
    failed_list_sort(&set->known);
}

void failed_set_free(struct failed_set *set)
{
    failed_list_free(&set->known);
    free(set->rows);
    *set = (struct failed_set){0};
}

/* ---- In the file ---- */

static const char *cause_text(const struct failed_row *row)
{
    static const char *const causes[] = {[MPM_CAUSE_TASK] = "task",
                                         [MPM_CAUSE_EXIT] = "exit",
                                         [MPM_CAUSE_SIGNAL] = "signal",
                                         [MPM_CAUSE_TIME] = "time",
                                         [MPM_CAUSE_MEMORY] = "memory"};
    size_t count = sizeof causes / sizeof *causes;

    return row && row->cause >= 0 && (size_t)row->cause < count ? causes[row->cause] : "unknown";
}

static int write_column(hid_t group, const struct layout_set *set, const char *meaning, const void *values)
{
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g), dataset = -1;
    int status;

    if (creation >= 0)
        hdf5.H5Pset_obj_track_times(creation, 0);
    status = layout_make_set(group, set, creation, &dataset);
    if (!status && set->extent[0] &&
        hdf5.H5Dwrite(dataset, set->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write the data set %s", set->name);
    if (!status)
        status = attribute_write_text(dataset, "description", meaning);
    release(dataset);
    release(creation);
    return status;
}

static int write_texts(hid_t group, const char *name, size_t count, const char *meaning,
                       const char *const *texts)
{
    hid_t type = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g);
    struct layout_set set = {.name = name, .type = type, .rank = 1, .extent = {count}, .most = {count}};
    int status;

    if (type < 0 || hdf5.H5Tset_size(type, H5T_VARIABLE) < 0 || hdf5.H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot make the data set %s", name);
    else
        status = write_column(group, &set, meaning, texts);
    release(type);
    return status;
}

/* Columns of what is known. */
struct columns {
    uint32_t *attempts;
    int32_t *codes;
    const char **causes, **texts;
};

static void free_columns(struct columns *columns)
{
    free(columns->attempts);
    free(columns->codes);
    free(columns->causes);
    free(columns->texts);
}

static int make_columns(const struct failed_set *set, struct columns *columns)
{
    size_t count = set->listed + 1;

    *columns = (struct columns){calloc(count, sizeof(uint32_t)), calloc(count, sizeof(int32_t)),
                                calloc(count, sizeof(char *)), calloc(count, sizeof(char *))};
    if (!columns->attempts || !columns->codes || !columns->causes || !columns->texts) {
        free_columns(columns);
        return error_set(MPM_ENOMEM, "no memory for a list of %zu failed rows", set->listed);
    }
    for (size_t i = 0; i < set->listed; i++) {
        const struct failed_row *row = failed_list_find(&set->known, set->rows[i]);

        columns->attempts[i] = row ? row->attempts : 0;
        columns->codes[i] = row ? row->code : 0;
        columns->causes[i] = cause_text(row);
        columns->texts[i] = row ? row->text : "";
    }
    return 0;
}

static int write_columns(hid_t group, const struct failed_set *set, const struct columns *columns)
{
    const hsize_t count = set->listed;
    const struct layout_set rows = {
        .name = "row", .type = *hdf5.H5T_NATIVE_UINT64_g, .rank = 1, .extent = {count}, .most = {count}};
    const struct layout_set attempts = {
        .name = "attempts", .type = *hdf5.H5T_NATIVE_UINT32_g, .rank = 1, .extent = {count}, .most = {count}};
    const struct layout_set codes = {
        .name = "code", .type = *hdf5.H5T_NATIVE_INT32_g, .rank = 1, .extent = {count}, .most = {count}};
    int status = write_column(group, &rows, "number of the row among those of the result", set->rows);

    if (!status)
        status = write_texts(
            group, "cause", set->listed,
            "task: it returned code; exit, signal: its worker ended with code; time, memory: it "
            "took more than it may; unknown: very many rows have failed",
            columns->causes);
    if (!status)
        status = write_column(group, &codes, "see cause", columns->codes);
    if (!status)
        status = write_column(group, &attempts, "how often the row was run; 0: not known", columns->attempts);
    return status ? status : write_texts(group, "text", set->listed, "what was said of it", columns->texts);
}

static int describe_group(hid_t group, const struct output *output, const struct failed_set *set)
{
    hid_t space = hdf5.H5Screate(H5S_SCALAR), attribute = -1;
    int status = 0;

    if (space >= 0)
        attribute = hdf5.H5Acreate2(group, "count", *hdf5.H5T_NATIVE_UINT64_g, space, H5P_DEFAULT,
                                    H5P_DEFAULT);
    if (attribute < 0 || hdf5.H5Awrite(attribute, *hdf5.H5T_NATIVE_UINT64_g, &set->count) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write the attribute count");
    release(attribute);
    release(space);
    return status ? status : attribute_write_text(group, OUTPUT_ATTRIBUTE, output->dataset);
}

int failed_set_write(hid_t file, const struct output *output, const struct failed_set *set)
{
    char name[PATH_MAX + 8];
    struct columns columns;
    hid_t group, link;
    int status = make_columns(set, &columns);

    if (status)
        return status;
    snprintf(name, sizeof name, "%s.failed", output->dataset);
    link = layout_links();
    group = link < 0 ? -1 : hdf5.H5Gcreate2(file, name, link, H5P_DEFAULT, H5P_DEFAULT);
    release(link);
    if (group < 0)
        status = hdf5_error_set(MPM_EIO, "cannot create the group %s", name);
    if (!status)
        status = describe_group(group, output, set);
    if (!status)
        status = write_columns(group, set, &columns);
    release(group);
    free_columns(&columns);
    return status;
}

/* ---- In a sentence ---- */

static void describe_row(FILE *text, const struct failed_set *set, uint64_t row)
{
    const struct failed_row *known = failed_list_find(&set->known, row);
    size_t length = known ? strcspn(known->text, "\n") : 0;

    fprintf(text, "  row %" PRIu64 ": %.*s%s\n", row, (int)(length < 300 ? length : 300),
            length ? known->text : "it has failed",
            known && (known->text[length] || length > 300) ? " …" : "");
}

char *failed_set_describe(const struct output *output, const struct failed_set *set, bool is_listed)
{
    char *bytes = NULL;
    size_t size, told = set->listed < TOLD ? set->listed : TOLD;
    FILE *text = told > 1 ? open_memstream(&bytes, &size) : NULL;

    if (!text)
        return NULL;
    for (size_t i = 1; i < told; i++)
        describe_row(text, set, set->rows[i]);
    if (set->count > told)
        fprintf(text, "  and %" PRIu64 " more", set->count - told);
    else
        fprintf(text, "  that is all of them");
    if (is_listed)
        fprintf(text, "; %s%" PRIu64 " in %s:%s.failed", set->count > set->listed ? "the first " : "all ",
                (uint64_t)set->listed, output->name, output->dataset);
    return fclose(text) ? NULL : bytes;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Several files, whose data sets are read one after the other as if they were one. Main looks at each of them once,
 * and makes a table of their rows and stamps; whoever reads has one of them open at a time, and checks that it is the
 * one that main has seen. So the number of descriptors does not depend on the number of files; and since nobody holds
 * the locks of files that are not open, a file that changes meanwhile ends the map when it is opened next. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/sum.h"
#include "mpmap/runtime.h"

/* A table that grows. */
struct gathering {
    struct input_file *file;
    char *names;
    size_t names_size, names_room;
    mpm_shape row;
    uint64_t variable; /* input_variable_sum() of the first */
};

static const char *name_of(const struct input_files *files, uint64_t index)
{
    return (const char *)files + files->file[index].name;
}

static int no_memory(size_t count)
{
    return error_set(MPM_ENOMEM, "no memory for the names of %zu files", count);
}

static bool put_name(struct gathering *gathering, const char *name)
{
    size_t size = strlen(name) + 1, room = 2 * gathering->names_room + size;
    char *grown;

    if (gathering->names_size + size > gathering->names_room) {
        if (!(grown = realloc(gathering->names, room)))
            return false;
        gathering->names = grown;
        gathering->names_room = room;
    }
    memcpy(gathering->names + gathering->names_size, name, size);
    gathering->names_size += size;
    return true;
}

static bool shapes_are_equal(const mpm_shape *a, const mpm_shape *b)
{
    return a->type == b->type && a->rank == b->rank &&
           !memcmp(a->extent, b->extent, a->rank * sizeof a->extent[0]);
}

static int is_another_shape(const struct gathering *gathering, const struct input *input, const char *first)
{
    char text[256], first_text[256];

    if (shapes_are_equal(&gathering->row, &input->row))
        return error_set(MPM_ETYPE,
                         "%s:%s and that of %s have texts in one and arrays of variable length in the "
                         "other: rows of all files must be the same",
                         input->file_name, input->dataset_name, first);
    return error_set(MPM_ETYPE,
                     "%s:%s has rows of %s, but those of %s are %s: rows of all files must be the same",
                     input->file_name, input->dataset_name, mpm_shape_format(&input->row, text, sizeof text),
                     first, mpm_shape_format(&gathering->row, first_text, sizeof first_text));
}

/* Looks at one file, behind those that were looked at. */
static int gather_one(struct gathering *gathering, const struct input_source *source, size_t index)
{
    struct input_source one = *source;
    struct input input;
    char path[PATH_MAX];
    struct input_file *file = &gathering->file[index];
    int status;

    if (!source->names[index])
        return error_set(MPM_EINVAL, "the name of input file %zu is NULL", index);
    one = (struct input_source){.file_name = source->names[index],
                                .dataset_name = source->dataset_name,
                                .row = source->row,
                                .cut = source->cut,
                                .locking = source->locking,
                                .sources = source->sources};
    if ((status = input_open_one(&one, &input)))
        return status;
    if (index == 0) {
        gathering->row = input.row;
        gathering->variable = input_variable_sum(&input);
    }
    *file = (struct input_file){.first = index ? file[-1].first + file[-1].rows : 0,
                                .rows = input.file_rows,
                                .name = gathering->names_size,
                                .may_change = input.locking == INPUT_HAS_NONE || input.has_swmr_writer,
                                .stamp = input.stamp};
    for (unsigned i = 0; i < input.tiles.rank && i < MPM_MAX_TILE_DIMENSIONS; i++)
        file->extent[i] = input.extent[i];
    if (!shapes_are_equal(&gathering->row, &input.row) || input_variable_sum(&input) != gathering->variable)
        status = is_another_shape(gathering, &input, source->names[0]);
    else if (!put_name(gathering, input_path(source->names[index], path)))
        status = no_memory(source->name_count);
    input_close(&input);
    return status;
}

static struct input_files *join(const struct gathering *gathering, size_t count)
{
    size_t table = sizeof(struct input_files) + count * sizeof(struct input_file);
    struct input_files *files = malloc(table + gathering->names_size);

    if (!files)
        return NULL;
    files->size = table + gathering->names_size;
    files->count = count;
    files->node = mpm_node_id();
    memcpy(files->file, gathering->file, count * sizeof(struct input_file));
    for (size_t i = 0; i < count; i++)
        files->file[i].name += table;
    memcpy((char *)files + table, gathering->names, gathering->names_size);
    return files;
}

static int gather(const struct input_source *source, struct input_files **files)
{
    struct gathering gathering = {.file = calloc(source->name_count, sizeof *gathering.file)};
    int status = gathering.file ? 0 : no_memory(source->name_count);

    for (size_t i = 0; !status && i < source->name_count; i++)
        status = gather_one(&gathering, source, i);
    if (!status && !(*files = join(&gathering, source->name_count)))
        status = no_memory(source->name_count);
    free(gathering.file);
    free(gathering.names);
    return status;
}

/* What tells these files from others. */
static struct input_stamp stamp_of(const struct input_files *files)
{
    struct input_stamp stamp = {.sum = SUM_EMPTY};

    for (uint64_t i = 0; i < files->count; i++) {
        const struct input_file *file = &files->file[i];
        const uint64_t facts[] = {file->rows, file->stamp.size, (uint64_t)file->stamp.time_s,
                                  file->stamp.sum};

        stamp.size += file->stamp.size;
        if (file->stamp.time_s > stamp.time_s)
            stamp.time_s = file->stamp.time_s;
        stamp.sum = sum_add(stamp.sum, facts, sizeof facts);
        stamp.sum = sum_add(stamp.sum, name_of(files, i), strlen(name_of(files, i)) + 1);
    }
    return stamp;
}

static int open_file(const struct input_source *source, const struct input_files *files, uint64_t index,
                     struct input *input)
{
    struct input_source one = {.file_name = name_of(files, index),
                               .dataset_name = source->dataset_name,
                               .row = source->row,
                               .cut = source->cut,
                               .locking = source->locking};
    struct input_identity identity = {.file_rows = files->file[index].rows,
                                      .may_change = files->file[index].may_change,
                                      .node = files->node,
                                      .stamp = files->file[index].stamp};
    int status = input_open_one(&one, input);

    if (status)
        return status;
    identity.row = input->row;
    if ((status = input_check_same(input, &identity)))
        input_close(input);
    return status;
}

int input_open_several(const struct input_source *source, struct input *input)
{
    const struct input_files *files = source->files;
    struct input_files *own = NULL;
    const struct input_file *last;
    int status;

    if (!files && (status = gather(source, &own)))
        return status;
    files = files ? files : own;
    if ((status = open_file(source, files, 0, input))) {
        free(own);
        return status;
    }
    last = &files->file[files->count - 1];
    input->files = files;
    input->own_files = own;
    input->stamp = stamp_of(files);
    input->file_rows = last->first + last->rows;
    input->choice = source->choice;
    if ((status = input_choose(input)))
        input_close(input);
    input->chunk_rows = 1;
    return status;
}

/* The last file that begins at the row or before it: those before that one which begin there, too, have no rows. */
static uint64_t find_file(const struct input_files *files, uint64_t row)
{
    uint64_t low = 0, high = files->count;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (files->file[middle].first <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The other file takes the place of the one that is open; all that is of the whole stays. */
static int change_file(struct input *input, uint64_t index)
{
    const struct input_source source = {.dataset_name = input->dataset_name,
                                        .row = input->wanted,
                                        .cut = input->cut,
                                        .locking = input->locking};
    struct input other, old = *input;
    int status = open_file(&source, input->files, index, &other);

    if (!status && input->taken)
        input_take(&other, input->taken);
    if (!status && (!shapes_are_equal(&other.row, &input->row) ||
                    input_variable_sum(&other) != input_variable_sum(input))) {
        status = error_set(MPM_EIO, "%s has changed since the map began: its rows are others",
                           other.file_name);
        input_close(&other);
    }
    if (status) {
        input->is_lost = true;
        return status;
    }
    input->file_name = other.file_name;
    input->field = other.field;
    input->file = other.file;
    input->fd = other.fd;
    input->length = other.length;
    input->dataset = other.dataset;
    input->memory = other.memory;
    input->stored_size = other.stored_size;
    memcpy(input->extent, other.extent, sizeof input->extent);
    input->tiles = other.tiles;
    input->chunks = other.chunks;
    input->zip = other.zip;
    input->spans = other.spans;
    input->open_file = index;
    old.own_files = NULL;
    old.variable = NULL;
    input_close(&old);
    return 0;
}

int input_open_for_row(struct input *input, uint64_t row, uint64_t *first, uint64_t *end)
{
    uint64_t index;

    *first = 0;
    *end = input->file_rows;
    if (!input->files)
        return 0;
    index = find_file(input->files, row);
    *first = input->files->file[index].first;
    *end = *first + input->files->file[index].rows;
    return index == input->open_file ? 0 : change_file(input, index);
}

const char *input_locate(const struct input *input, uint64_t row, uint64_t *first)
{
    uint64_t index;

    *first = 0;
    if (!input->files)
        return input->file_name;
    index = find_file(input->files, row);
    *first = input->files->file[index].first;
    return name_of(input->files, index);
}

void input_locate_tile(const struct input *input, uint64_t row, mpm_tile *tile)
{
    uint64_t extent[MPM_MAX_TILE_DIMENSIONS] = {0}, index;

    for (unsigned i = 0; i < input->tiles.rank && i < MPM_MAX_TILE_DIMENSIONS; i++)
        extent[i] = input->extent[i];
    if (input->files) {
        index = find_file(input->files, row);
        memcpy(extent, input->files->file[index].extent, sizeof extent);
        row -= input->files->file[index].first;
    }
    tiles_locate(&input->tiles, extent, row, tile);
}

void input_describe_files(const struct input *input, char text[2 * PATH_MAX + 64])
{
    char path[PATH_MAX];

    if (input->files)
        snprintf(text, 2 * PATH_MAX + 64, "%" PRIu64 " files from %s to %s", input->files->count,
                 name_of(input->files, 0), name_of(input->files, input->files->count - 1));
    else
        snprintf(text, 2 * PATH_MAX + 64, "%s", input_path(input->file_name, path));
}

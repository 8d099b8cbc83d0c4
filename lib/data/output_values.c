/* SPDX-License-Identifier: BSD-3-Clause */
/* Values go in blocks of some MiB, or a single larger one. */
#include "data/output_values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "data/output_layout.h"
#include "data/values.h"

#define BLOCK_ROWS  ((uint64_t)8 << 10)
#define BLOCK_BYTES ((uint64_t)8 << 20)
#define READ_TRIES  100 /* of a reference that another run is writing */

/* What is written together. */
struct block {
    struct value_reader reader;
    struct value_ref refs[BLOCK_ROWS];
    union {
        hvl_t array[BLOCK_ROWS];
        const char *text[BLOCK_ROWS];
    };
    unsigned char *bytes;
    size_t room;
};

static int no_memory(size_t size)
{
    return error_set(MPM_ENOMEM, "no memory for %zu bytes of results of variable length", size);
}

static bool get_room(struct block *block, size_t size)
{
    unsigned char *bytes;

    if (size <= block->room)
        return true;
    if (!(bytes = realloc(block->bytes, size)))
        return false;
    block->bytes = bytes;
    block->room = size;
    return true;
}

/* Reads references of rows from `first` on. What cannot be one is of a run that has joined, and is writing it: it is
 * whole soon. False and errno. */
static bool read_refs(const struct output *output, uint64_t at, uint64_t count, struct value_ref *refs)
{
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        uint64_t row = 0;

        if (read_at(output->fd, refs, count * sizeof *refs, at) != (ssize_t)(count * sizeof *refs))
            return false;
        while (row < count && values_is_ref(&refs[row]))
            row++;
        if (row == count)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    errno = EILSEQ;
    return false;
}

/* How many of the first values fit into a block; at least 1. `size`: their bytes, with a null byte behind each. */
static uint64_t count_fitting(const struct value_ref *refs, uint64_t count, size_t *size)
{
    uint64_t fitting = 0;

    *size = 0;
    while (fitting < count && (!fitting || *size + refs[fitting].size < BLOCK_BYTES))
        *size += (size_t)(refs[fitting++].size + sizeof(uint64_t)) / sizeof(uint64_t) * sizeof(uint64_t);
    return fitting;
}

/* Reads values, each of which begins where any type may. */
static int read_values(struct block *block, const struct output *output, const struct result_field *field,
                       uint64_t first, uint64_t count)
{
    unsigned char *at = block->bytes;

    for (uint64_t i = 0; i < count; i++) {
        const struct value_ref *ref = &block->refs[i];

        if (!values_read(&block->reader, ref, at))
            return error_set_errno(MPM_EIO, "the value of row %" PRIu64 " in %s cannot be read", first + i,
                                   output->values);
        at[ref->size] = 0;
        if (field->is_text)
            block->text[i] = (const char *)at;
        else
            block->array[i] = (hvl_t){ref->size / mpm_type_size(field->vlen), at};
        at += (size_t)(ref->size + sizeof(uint64_t)) / sizeof(uint64_t) * sizeof(uint64_t);
    }
    return 0;
}

/* Selects rows [first, first + count) of a grid: all of them stand in one line along its last dimension. */
static bool select_rows(hid_t space, const struct grid *grid, uint64_t first, uint64_t count)
{
    hsize_t start[GRID_MAX_RANK], extent[GRID_MAX_RANK];

    for (unsigned i = grid->rank; i-- > 0;) {
        start[i] = first % grid->count[i];
        extent[i] = i + 1 == grid->rank ? count : 1;
        first /= grid->count[i];
    }
    return hdf5.H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0;
}

static int write_rows(const struct output *output, const struct result_field *field, hid_t dataset,
                      uint64_t first, uint64_t count, const void *values)
{
    hsize_t extent = count;
    struct hdf5_guard guard;
    hid_t type, memory, space;
    int status = 0;

    hdf5_enter(&guard);
    type = layout_vlen_type(field);
    memory = hdf5.H5Screate_simple(1, &extent, NULL);
    space = hdf5.H5Dget_space(dataset);
    if (type < 0 || memory < 0 || space < 0 || !select_rows(space, &output->grid, first, count) ||
        hdf5.H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, values) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write the results of %s", output->name);
    if (space >= 0)
        hdf5.H5Sclose(space);
    if (memory >= 0)
        hdf5.H5Sclose(memory);
    if (type >= 0)
        hdf5.H5Tclose(type);
    hdf5_leave(&guard);
    return status;
}

/* Some rows from `first` on: `*count` of them at most, which becomes how many there were. */
static int write_block(struct block *block, const struct output *output, unsigned index, hid_t dataset,
                       uint64_t first, uint64_t *count)
{
    const struct result_field *field = &output->result.field[index];
    uint64_t at = output->record.results.field[index].at + first * sizeof *block->refs;
    size_t size;
    int status;

    if (!read_refs(output, at, *count, block->refs))
        return error_set_errno(MPM_EIO, "cannot read the results in %s", output->part);
    *count = count_fitting(block->refs, *count, &size);
    if (!get_room(block, size))
        return no_memory(size);
    status = read_values(block, output, field, first, *count);
    return status ? status : write_rows(output, field, dataset, first, *count, block->array);
}

int output_write_values(const struct output *output, unsigned index, hid_t dataset)
{
    const struct grid *grid = &output->grid;
    uint64_t line = grid->count[grid->rank - 1], count;
    struct block *block = malloc(sizeof *block);
    int status = block ? 0 : no_memory(sizeof *block);

    if (status)
        return status;
    block->bytes = NULL;
    block->room = 0;
    values_open(&block->reader, output->values);
    for (uint64_t first = 0; !status && first < output->record.rows; first += count) {
        count = line - first % line;
        count = count < BLOCK_ROWS ? count : BLOCK_ROWS;
        status = write_block(block, output, index, dataset, first, &count);
    }
    values_end(&block->reader);
    free(block->bytes);
    free(block);
    return status;
}

/* ---- The reverse ---- */

static int take_rows(const struct output *output, unsigned index, const struct item *items, uint64_t first,
                     size_t count, struct value_writer *writer, int to)
{
    uint64_t at = output->record.results.field[index].at + first * sizeof(struct value_ref);

    for (size_t i = 0; i < count; i++, at += sizeof(struct value_ref)) {
        struct value_ref ref = {0};
        void *room = items[i].size ? values_take(writer, items[i].size, &ref) : NULL;

        if (items[i].size && !room)
            return no_memory(items[i].size);
        if (room) {
            memcpy(room, items[i].at, items[i].size);
            values_seal(writer, &ref);
        }
        if (!write_at(to, &ref, sizeof ref, at))
            return error_set_errno(MPM_EIO, "cannot write %s", output->next);
    }
    return values_write(writer) ? 0 : error_set_errno(MPM_EIO, "cannot write %s", writer->folder);
}

static int take_all(const struct output *output, unsigned index, struct input *input,
                    struct value_writer *writer, int to)
{
    struct item *items = malloc(BLOCK_ROWS * sizeof *items);
    int status = items ? 0 : no_memory(BLOCK_ROWS * sizeof *items);

    for (uint64_t first = 0; !status && first < input->rows;) {
        size_t count = input->rows - first < BLOCK_ROWS ? (size_t)(input->rows - first) : BLOCK_ROWS;

        if (!(status = input_read_variable(input, first, &count, items)))
            status = take_rows(output, index, items, first, count, writer, to);
        first += count;
    }
    free(items);
    return status;
}

int output_take_values(const struct output *output, unsigned index, int to)
{
    char name[PATH_MAX + RESULT_NAME_SIZE];
    struct input_source source = {.file_name = output->path, .dataset_name = name, .locking = INPUT_HAS_NONE};
    struct value_writer writer;
    struct input input;
    int status;

    if (output->grid.rank > 1)
        return error_set(MPM_EINVAL,
                         "rows of %s that have failed cannot be run again: it has a grid of results of "
                         "variable length; run the map anew (--overwrite)",
                         output->name);
    snprintf(name, sizeof name, "%s%s%s", output->dataset, output->result.is_struct ? "/" : "",
             output->result.field[index].name);
    if ((status = values_begin(&writer, output->values)) || (status = input_open(&source, &input)))
        return status;
    status = input.rows == output->record.rows
                 ? take_all(output, index, &input, &writer, to)
                 : error_set(MPM_EIO, "%s has changed since the map began", output->name);
    values_close(&writer);
    input_close(&input);
    return status;
}

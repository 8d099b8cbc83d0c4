/* SPDX-License-Identifier: BSD-3-Clause */
/* What is on the disk, in this order, and what a run finds that comes after one that was killed there:
 *   1. OUTPUT.part, in which all rows are done, and on the disk. It only is read from here on.
 *   2. OUTPUT.part.last, in whatever state. It is made once more, from nothing.
 *   3. OUTPUT.part.last is whole and flushed, and is renamed to OUTPUT.
 *   4. OUTPUT, which is finished, and OUTPUT.part. A run that goes on finds the output finished, and removes the part.
 * Where the results go into a file that exists it is the same, but that OUTPUT is there from the beginning, as it was,
 * and OUTPUT.part.last is made of it (output_into.c).
 * Runs that have joined each have a name of their own, OUTPUT.part.new.NUMBER, and one of them gives it the
 * output's. */
#include "data/output_last.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/output_into.h"
#include "data/output_layout.h"
#include "data/output_values.h"
#include "data/pack.h"

#define COPY_BYTES ((size_t)1 << 20)
#define MOST_BYTES ((uint64_t)8 << 30) /* of results that are copied for no more than a list of failed rows */

static uint64_t results_size(const struct output *output)
{
    return output->record.rows * (output->record.results.size + 1);
}

/* So many bytes, and then some, are free; a file system that does not know is believed to have them. */
static bool has_room(const struct output *output)
{
    struct statvfs room;

    if (fstatvfs(output->fd, &room) || room.f_blocks == 0)
        return true;
    return (uint64_t)room.f_bavail * room.f_frsize > results_size(output) + ((uint64_t)64 << 20);
}

bool last_is_needed(const struct output *output, const struct failed_set *failed)
{
    if (output->is_into || output->record.is_live || (output->packing.is_wanted && output->record.rows) ||
        output->result.has_vlen)
        return true;
    if (!failed->count)
        return false;
    if (results_size(output) <= MOST_BYTES && has_room(output))
        return true;
    output_tell(
        output,
        "%s is too large to be copied for a list of the rows that have failed: %s.done marks them with 2",
        output->name, output->dataset);
    return false;
}

static int make_file(const struct output *output, const char *path, int *fd)
{
    int status = output->joins ? part_make_own(path, fd)
                               : part_make(path, output->replaces ? &output->old : NULL, fd);

    if (status)
        *fd = -1;
    return status;
}

/* Where both files have the same: raw bytes. */
struct copy {
    int from, to;
    char *buffer;
};

static bool copy_range(const struct copy *copy, uint64_t from, uint64_t to, uint64_t size)
{
    while (size > 0) {
        size_t step = size < COPY_BYTES ? (size_t)size : COPY_BYTES;
        ssize_t got = read_at(copy->from, copy->buffer, step, from);

        if (got <= 0) {
            errno = got ? errno : ENODATA;
            return false;
        }
        if (!write_at(copy->to, copy->buffer, (size_t)got, to))
            return false;
        from += (uint64_t)got;
        to += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return true;
}

static int copy_results(const struct output *output, const struct output *last, const char *path)
{
    const struct part_record *from = &output->record, *to = &last->record;
    struct copy copy = {output->fd, last->fd, malloc(COPY_BYTES)};
    bool is_copied = copy.buffer && copy_range(&copy, from->marks_at, to->marks_at, from->rows);

    for (unsigned i = 0; is_copied && !layout_packs(output) && i < from->results.count; i++)
        is_copied = from->results.field[i].is_vlen ||
                    copy_range(&copy, from->results.field[i].at, to->results.field[i].at,
                               from->rows * from->results.field[i].size);
    free(copy.buffer);
    return is_copied ? 0 : error_set_errno(MPM_EIO, "cannot write %s", path);
}

/* Opens the data set of a field. */
static hid_t open_field(hid_t file, const struct output *output, unsigned index)
{
    struct hdf5_guard guard;
    char name[PATH_MAX + RESULT_NAME_SIZE];
    const struct result *result = &output->result;
    hid_t dataset;

    snprintf(name, sizeof name, "%s%s%s", output->dataset, result->is_struct ? "/" : "",
             result->field[index].name);
    hdf5_enter(&guard);
    dataset = hdf5.H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        hdf5_error_set(MPM_EIO, "cannot open the data set %s", name);
    hdf5_leave(&guard);
    return dataset;
}

/* Those that are not just copied. */
static int make_results(hid_t file, const struct output *output)
{
    struct hdf5_guard guard;
    int status = 0;

    for (unsigned i = 0; !status && i < output->result.count; i++) {
        bool is_vlen = output->result.field[i].vlen;
        hid_t dataset;

        if (!is_vlen && !layout_packs(output))
            continue;
        dataset = open_field(file, output, i);
        status = dataset < 0 ? MPM_EIO
                 : is_vlen   ? output_write_values(output, i, dataset)
                             : pack_field(output, i, dataset);
        if (dataset >= 0) {
            hdf5_enter(&guard);
            hdf5.H5Dclose(dataset);
            hdf5_leave(&guard);
        }
    }
    return status;
}

static int open_file(struct output *last, hid_t *file)
{
    hid_t access;
    int status;

    if (last->is_into)
        return into_open(last, last->fd, file);
    access = hdf5_file_access(false);
    status = layout_create_file(last, access, file);
    if (access >= 0)
        hdf5.H5Pclose(access);
    return status;
}

static int begin(struct output *last, const struct failed_set *failed, hid_t *file)
{
    struct hdf5_guard guard;
    int status;

    hdf5_enter(&guard);
    status = open_file(last, file);
    if (!status)
        status = layout_make(*file, last, true);
    if (!status && failed->count)
        status = failed_set_write(*file, last, failed);
    hdf5_leave(&guard);
    return status;
}

static int end(hid_t file, const char *path, int status)
{
    struct hdf5_guard guard;

    if (file < 0)
        return status;
    hdf5_enter(&guard);
    if (!status && hdf5.H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", path);
    if (hdf5.H5Fclose(file) < 0 && !status)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", path);
    hdf5_leave(&guard);
    return status;
}

/* `last` is the output but for where its results and marks stand, and for its file. */
static int fill(const struct output *output, struct output *last, const struct failed_set *failed,
                const char *path)
{
    hid_t file = -1;
    int status = last->is_into ? into_copy(output, last->old_fd, last->fd, path) : 0;

    if (!status)
        status = begin(last, failed, &file);
    if (!status)
        status = make_results(file, output);
    status = end(file, path, status);
    if (!status)
        status = copy_results(output, last, path);
    if (!status && !part_flush(last->fd))
        status = error_set_errno(MPM_EIO, "cannot write %s", path);
    return status;
}

int last_make(const struct output *output, const struct failed_set *failed, const char *path, int *fd)
{
    struct output *last = malloc(sizeof *last);
    int status;

    if (!last)
        return error_set(MPM_ENOMEM, "no memory for the plan of an output");
    *last = *output;
    last->record.capacity = last->record.rows;
    last->record.is_live = last->grid.capacity = 0;
    last->live = NULL;
    snprintf(last->next, sizeof last->next, "%s", path); /* as it is called in sentences */
    status = make_file(output, path, fd);
    last->fd = *fd;
    if (!status)
        status = fill(output, last, failed, path);
    free(last);
    if (status && *fd >= 0) {
        part_remove(*fd, path);
        close(*fd);
        *fd = -1;
    }
    return status;
}

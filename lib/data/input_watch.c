/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/input_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"

#define GRAIN_S 2 /* of the times of files, generously */

/* Opens "/entry@finished": negative if it is not there. */
static bool read_attribute(hid_t file, const char *name, const char *at, double *value)
{
    char object[1024];
    hid_t attribute, space;
    bool is;

    snprintf(object, sizeof object, "%.*s", (int)(at - name), name);
    attribute = hdf5.H5Aopen_by_name(file, *object ? object : "/", at + 1, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0)
        return false;
    space = hdf5.H5Aget_space(attribute);
    is = space >= 0 && hdf5.H5Sget_simple_extent_npoints(space) == 1 &&
         hdf5.H5Aread(attribute, *hdf5.H5T_NATIVE_DOUBLE_g, value) >= 0;
    if (space >= 0)
        hdf5.H5Sclose(space);
    hdf5.H5Idec_ref(attribute);
    return is;
}

static bool read_set(hid_t file, const char *name, double *value)
{
    hid_t dataset = hdf5.H5Dopen2(file, name, H5P_DEFAULT), space;
    bool is;

    if (dataset < 0)
        return false;
    space = hdf5.H5Dget_space(dataset);
    is = space >= 0 && hdf5.H5Sget_simple_extent_npoints(space) == 1 &&
         hdf5.H5Dread(dataset, *hdf5.H5T_NATIVE_DOUBLE_g, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
    if (space >= 0)
        hdf5.H5Sclose(space);
    hdf5.H5Dclose(dataset);
    return is;
}

/* What is not there, or no number, is no end. */
static bool has_end_mark(const struct watch *watch)
{
    const char *at = watch->how.end ? strchr(watch->how.end, '@') : NULL;
    struct hdf5_guard guard;
    struct input file;
    double value = 0;
    bool is;

    if (!watch->how.end || input_open_file(&watch->source, &file))
        return false;
    hdf5_enter(&guard);
    is = at ? read_attribute(file.file, watch->how.end, at, &value)
            : read_set(file.file, watch->how.end, &value);
    hdf5_leave(&guard);
    input_close(&file);
    return is && value != 0;
}

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* Whether there is anything new to be seen. Before the file is opened it is noted as it is. */
static bool has_changed(struct watch *watch)
{
    struct timespec now;
    struct stat status;

    if (stat(watch->source.file_name, &status))
        return false;
    if (watch->is_known && !watch->grows_elsewhere && is_same(&status, &watch->last))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    watch->is_known = status.st_mtim.tv_sec + GRAIN_S < now.tv_sec;
    watch->last = status;
    return true;
}

static void note(struct watch *watch, const struct input *input, bool has_ended)
{
    bool has_closed = watch->has_seen_writer && !input->has_swmr_writer;

    watch->has_seen_writer |= input->has_swmr_writer;
    if (input->rows > watch->rows)
        watch->seen_s = clock_now_s();
    watch->rows = input->rows;
    watch->is_ended = has_ended || (has_closed && watch->how.mode == MPM_FOLLOW_WRITER) ||
                      input->rows >= input_most_rows(input);
}

void watch_begin(struct watch *watch, const mpm_dataset_map *map, const struct input *input)
{
    *watch = (struct watch){
        .source = input_source_of(map), .how = map->follow, .rows = input->rows, .seen_s = clock_now_s()};
    watch->has_seen_writer = input->has_swmr_writer;
    watch->grows_elsewhere = input->grows_elsewhere;
}

static int has_shrunk(const struct watch *watch, uint64_t known)
{
    return error_set(MPM_EIO, "%s:%s has %" PRIu64 " rows, and had %" PRIu64 ": it was replaced by another",
                     watch->source.file_name, watch->source.dataset_name, watch->rows, known);
}

int watch_look(struct watch *watch, uint64_t known, struct input *input, bool *is_open)
{
    struct input opened;
    bool has_ended;
    int status;

    *is_open = false;
    if (!has_changed(watch) && watch->rows <= known)
        return 0;
    has_ended = has_end_mark(watch);
    if ((status = input_open(&watch->source, &opened))) {
        watch->is_known = false;
        return status == MPM_EBUSY || status == MPM_ENOENT ? 0 : status;
    }
    *input = opened;
    note(watch, input, has_ended);
    *is_open = input->rows > known;
    if (!*is_open)
        input_close(input);
    return watch->rows < known ? has_shrunk(watch, known) : 0;
}

bool watch_is_idle(const struct watch *watch)
{
    return watch->how.idle_s > 0 && clock_now_s() - watch->seen_s >= watch->how.idle_s;
}

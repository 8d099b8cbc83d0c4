/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the output file, in this order: look whether it may be made; lock the part; let HDF5 lay it out;
 * get all its blocks from the file system; (rows;) check the marks; flush; rename. Blocks that nobody has
 * written read as zero, since the part is always a file that was empty before: HDF5 itself fills nothing. */
#include "data/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "mpmap/version.h"

#define PIECE_SIZE    ((size_t)64 << 10)
#define SENTENCE_SIZE 1024
#define LAYOUT_SIZE   ((size_t)32 << 10) /* what HDF5 needs for the rest of the file, generously */

static const unsigned char zeros[PIECE_SIZE];

static int no_room(const struct output *output, uint64_t size)
{
    return error_set(MPM_EIO, "%s: %s, %" PRIu64 " bytes are needed", output->name, strerror(errno), size);
}

/* A process that writes past this limit is killed, unless it ignores SIGXFSZ, and HDF5 does not take an error well. */
static int check_limit(const struct output *output, uint64_t size)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) || size <= limit.rlim_cur)
        return 0;
    return error_set(MPM_EIO,
                     "cannot make %s: it may need %" PRIu64 " bytes, and files may have %" PRIu64
                     " here (ulimit -f)",
                     output->part, size, (uint64_t)limit.rlim_cur);
}

/* What the file system says that it has left: a first look, since HDF5 does not take a full disk well. A
 * file system that knows no number of its blocks is believed to have enough. */
static int check_room(const struct output *output, uint64_t size)
{
    struct statvfs room;

    if (fstatvfs(output->fd, &room) || room.f_blocks == 0)
        return 0;
    if ((uint64_t)room.f_bfree * room.f_frsize >= size)
        return 0;
    errno = ENOSPC;
    return no_room(output, size);
}

/* Gets every block of the file, so that the disk is full now or never. */
static int claim_room(struct output *output)
{
    struct stat status;

    if (fstat(output->fd, &status))
        return error_set_errno(MPM_EIO, "cannot look at %s", output->part);
    output->token_at = (uint64_t)status.st_size;
    while (fallocate(output->fd, 0, 0, status.st_size)) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return check_room(output, (uint64_t)status.st_size);
        if (errno != EINTR)
            return no_room(output, (uint64_t)status.st_size);
    }
    return 0;
}

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

/* Makes a data set that HDF5 fills with nothing, in one piece. Times are left out, so that two runs make
 * the same bytes. */
static int make_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *extent,
                        hid_t *dataset)
{
    int status = 0;
    hid_t space = hdf5.H5Screate_simple(rank, extent, NULL);
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g);
    hid_t link = hdf5.H5Pcreate(*hdf5.H5P_CLS_LINK_CREATE_ID_g);

    *dataset = -1;
    if (space >= 0 && creation >= 0 && link >= 0 && hdf5.H5Pset_create_intermediate_group(link, 1) >= 0 &&
        hdf5.H5Pset_char_encoding(link, H5T_CSET_UTF8) >= 0 &&
        hdf5.H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
        hdf5.H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 &&
        hdf5.H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
        hdf5.H5Pset_obj_track_times(creation, 0) >= 0)
        *dataset = hdf5.H5Dcreate2(file, name, type, space, link, creation, H5P_DEFAULT);
    if (*dataset < 0)
        status = hdf5_error_set(MPM_EIO, "cannot make the data set %s", name);
    release(link);
    release(creation);
    release(space);
    return status;
}

static int write_text(hid_t dataset, const char *name, const char *text)
{
    int status = 0;
    hid_t attribute = -1;
    hid_t space = hdf5.H5Screate(H5S_SCALAR);
    hid_t type = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g);

    if (space >= 0 && type >= 0 && hdf5.H5Tset_size(type, strlen(text) + 1) >= 0 &&
        hdf5.H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        attribute = hdf5.H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || hdf5.H5Awrite(attribute, type, text) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write the attribute %s", name);
    release(attribute);
    release(type);
    release(space);
    return status;
}

/* Writes on the result what it was made from: what a later run must find the same before it goes on. */
static int write_origin(hid_t dataset, const mpm_dataset_map *map, const struct input *input,
                        const struct function *task)
{
    char shape[512], rows_of[600], build[32], path[PATH_MAX];
    const char *origin[][2] = {
        {"input_file", input_path(map->input_file, path)},
        {"input_dataset", map->input_dataset},
        {"input_shape", rows_of},
        {"task", map->task_name ? map->task_name : ""},
        {"task_build", build},
        {"mpmap_version", mpm_version()},
    };

    snprintf(rows_of, sizeof rows_of, "%" PRIu64 " x %s", input->rows,
             mpm_shape_format(&input->row, shape, sizeof shape));
    snprintf(build, sizeof build, "%016" PRIx64, task->build);
    for (size_t i = 0; i < sizeof origin / sizeof *origin; i++) {
        int status = write_text(dataset, origin[i][0], origin[i][1]);
        if (status)
            return status;
    }
    return 0;
}

/* Where in the file a data set stands. An empty one stands nowhere. */
static int find_offset(hid_t dataset, uint64_t rows, uint64_t *offset)
{
    haddr_t address = hdf5.H5Dget_offset(dataset);

    if (rows && address == HADDR_UNDEF)
        return hdf5_error_set(MPM_EIO, "HDF5 gave the results no place in the file");
    *offset = rows ? address : 0;
    return 0;
}

static int make_results(hid_t file, struct output *output, const mpm_dataset_map *map,
                        const struct input *input, const struct function *task)
{
    hsize_t extent[MPM_MAX_DIMENSIONS + 1] = {output->rows};
    hid_t dataset;
    int status;

    for (unsigned i = 0; i < map->result.rank; i++)
        extent[i + 1] = map->result.extent[i];
    status = make_dataset(file, output->dataset, hdf5_native_type(map->result.type),
                          (int)map->result.rank + 1, extent, &dataset);
    if (!status)
        status = write_origin(dataset, map, input, task);
    if (!status)
        status = find_offset(dataset, output->rows, &output->results_at);
    release(dataset);
    return status;
}

static int make_marks(hid_t file, struct output *output)
{
    char name[PATH_MAX];
    hsize_t extent = output->rows;
    hid_t dataset;
    int status;

    snprintf(name, sizeof name, "%.*s.done", PATH_MAX - 6, output->dataset);
    status = make_dataset(file, name, *hdf5.H5T_NATIVE_UINT8_g, 1, &extent, &dataset);
    if (!status)
        status = find_offset(dataset, output->rows, &output->marks_at);
    release(dataset);
    return status;
}

/* All that HDF5 ever does to the file. It opens the one that is open, whatever has become of its name. */
static int lay_out(struct output *output, const mpm_dataset_map *map, const struct input *input,
                   const struct function *task)
{
    int status;
    char opened[64];
    hid_t access = hdf5_file_access(false);
    hid_t file;

    snprintf(opened, sizeof opened, "/proc/self/fd/%d", output->fd);
    file = access < 0 ? -1 : hdf5.H5Fcreate(opened, H5F_ACC_TRUNC, H5P_DEFAULT, access);

    if (file < 0)
        status = hdf5_error_set(MPM_EIO, "cannot make %s", output->part);
    else
        status = make_results(file, output, map, input, task);
    if (!status)
        status = make_marks(file, output);
    if (!status && hdf5.H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", output->part);
    if (file >= 0 && hdf5.H5Fclose(file) < 0 && !status)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", output->part);
    release(access);
    return status;
}

static int fill_part(struct output *output, const mpm_dataset_map *map, const struct input *input,
                     const struct function *task)
{
    uint64_t size = output->rows * (output->result_size + sizeof(uint8_t)) + LAYOUT_SIZE;
    struct hdf5_guard guard;
    int status;

    if ((status = check_limit(output, size)) || (status = check_room(output, size)))
        return status;
    hdf5_enter(&guard);
    status = lay_out(output, map, input, task);
    hdf5_leave(&guard);
    if (status || (status = claim_room(output)))
        return status;
    return part_write_token(output->fd, output->part, output->token_at, &output->token);
}

/* Counts the marks of a kind in the part. With `all`, every row must have one in the file that main has open: it has none
 * if another node has written into a file of the same name that is not this one. */
static int count_marks(const struct output *output, bool all, uint64_t *good)
{
    char marks[PIECE_SIZE];

    *good = 0;
    for (uint64_t row = 0; row < output->rows;) {
        uint64_t left = output->rows - row;
        ssize_t got = read_at(output->fd, marks, left < sizeof marks ? (size_t)left : sizeof marks,
                              output->marks_at + row);
        const char *unmarked;

        if (got == 0)
            errno = ENODATA;
        if (got <= 0)
            return error_set_errno(MPM_EIO, "cannot read the marks in %s", output->part);
        unmarked = all ? memchr(marks, ROW_NOT_DONE, (size_t)got) : NULL;
        if (unmarked)
            return error_set(MPM_EIO,
                             "the result of row %" PRIu64 " is not in %s: every node must see that file",
                             row + (uint64_t)(unmarked - marks), output->part);
        for (ssize_t i = 0; i < got; i++)
            *good += marks[i] == ROW_DONE;
        row += (uint64_t)got;
    }
    return 0;
}

/* Whether the old file is still the one that was looked at. What has come into it since is not to be lost. */
static bool is_as_planned(const struct output *output)
{
    struct stat now;

    if (!output->replaces || output->overwrite == MPM_OVERWRITE_FILE || lstat(output->path, &now))
        return true;
    return now.st_dev == output->old.st_dev && now.st_ino == output->old.st_ino &&
           now.st_size == output->old.st_size && now.st_mtim.tv_sec == output->old.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == output->old.st_mtim.tv_nsec;
}

/* Not every file system can refuse to replace: there, looking first has to do. */
static int rename_part(const struct output *output)
{
    if (!is_as_planned(output))
        return error_set(MPM_EEXIST, "%s has changed since the map began, so it is not overwritten",
                         output->name);
    if (renameat2(AT_FDCWD, output->part, AT_FDCWD, output->path, output->replaces ? 0 : RENAME_NOREPLACE) ==
        0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS) {
        if (!output->replaces && faccessat(AT_FDCWD, output->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            errno = EEXIST;
        else if (rename(output->part, output->path) == 0)
            return 0;
    }
    return error_set_errno(errno == EEXIST ? MPM_EEXIST : MPM_EIO, "%s cannot become %s", output->part,
                           output->name);
}

/* Makes the new name last, too. Where folders cannot be flushed it lasts as that file system lets it. */
static void flush_folder(const struct output *output)
{
    char folder[PATH_MAX];
    int fd;

    snprintf(folder, sizeof folder, "%s", output->path);
    *(strrchr(folder, '/') + 1) = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static void close_part(struct output *output, bool remove)
{
    if (remove)
        part_remove(output->fd, output->part);
    close(output->fd);
    output->fd = -1;
}

int output_create(struct output *output, const mpm_dataset_map *map, const struct input *input,
                  const struct function *task)
{
    int status = part_make(output->part, output->replaces ? &output->old : NULL, &output->fd);

    if (status)
        return status;
    status = fill_part(output, map, input, task);
    if (status)
        close_part(output, true);
    return status;
}

int output_fail_row(const struct output *output, uint64_t row)
{
    const unsigned char mark = ROW_FAILED;
    bool written = true;

    for (size_t at = 0; written && at < output->result_size; at += PIECE_SIZE) {
        size_t left = output->result_size - at;
        written = write_at(output->fd, zeros, left < PIECE_SIZE ? left : PIECE_SIZE,
                           output->results_at + row * output->result_size + at);
    }
    if (!written || !write_at(output->fd, &mark, sizeof mark, output->marks_at + row))
        return error_set_errno(MPM_EIO, "cannot write %s", output->part);
    return 0;
}

/* All that can fail before the file gets its name. */
static int complete(const struct output *output, uint64_t *good)
{
    int status = count_marks(output, true, good);

    if (status)
        return status;
    if (ftruncate(output->fd, (off_t)output->token_at) || fsync(output->fd))
        return error_set_errno(MPM_EIO, "cannot write %s", output->part);
    return 0;
}

int output_finish(struct output *output, int map_status)
{
    uint64_t good;
    char why[SENTENCE_SIZE];
    int status;

    snprintf(why, sizeof why, "%s", map_status ? mpm_error() : "");
    if ((status = complete(output, &good)))
        return output_keep(output, status);
    if (map_status && good == 0 && output->replaces) {
        close_part(output, true);
        return error_set(map_status, "%s; %s stays as it was", why, output->name);
    }
    if ((status = rename_part(output)))
        return output_keep(output, status);
    flush_folder(output);
    close_part(output, false);
    return map_status ? error_set(map_status, "%s", why) : 0;
}

int output_keep(struct output *output, int status)
{
    char why[SENTENCE_SIZE];
    uint64_t good;

    snprintf(why, sizeof why, "%s", mpm_error());
    if (count_marks(output, false, &good)) {
        close_part(output, false);
        return error_set(status, "%s; what there is of the results is in %s", why, output->part);
    }
    close_part(output, good == 0);
    if (good == 0)
        return error_set(status, "%s", why);
    return error_set(status, "%s; %" PRIu64 " of %" PRIu64 " rows are good: they are in %s", why, good,
                     output->rows, output->part);
}

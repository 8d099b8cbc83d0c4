/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the output file, in the order that output.h gives. Blocks that nobody has written read as zero, since the part
 * is always a file that was empty before: HDF5 itself fills nothing. */
#include "data/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "data/block_sum.h"
#include "data/hdf5_call.h"
#include "mpmap/version.h"

#define SENTENCE_SIZE 1024

static const char no_memory[] = "there is no memory to say why";
#define LAYOUT_SIZE ((size_t)32 << 10) /* what HDF5 needs for the rest of the file, generously */

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
                     "cannot create %s: it may need %" PRIu64
                     " bytes, and the limit of a file's size is %" PRIu64 " (ulimit -f)",
                     output->next, size, (uint64_t)limit.rlim_cur);
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

/* Gets every block that results and marks need, so that the disk is full now or never. Not those of the checksums, of
 * which most are never written: a file system takes long to give them back. */
int output_get_room(const struct output *output)
{
    uint64_t size = output->record.sums_at;

    while (fallocate(output->fd, 0, 0, (off_t)size)) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return check_room(output, size);
        if (errno != EINTR)
            return no_room(output, size);
    }
    return 0;
}

/* Runs that join may all make a part, of which one becomes the output: there room is got later. */
static int end_layout(struct output *output)
{
    struct stat status;

    if (fstat(output->fd, &status))
        return error_set_errno(MPM_EIO, "cannot stat %s", output->next);
    output->record.sums_at = (uint64_t)status.st_size;
    return output->joins ? 0 : output_get_room(output);
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
        status = hdf5_error_set(MPM_EIO, "cannot create the data set %s", name);
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
static int write_origin(hid_t dataset, const struct origin *origin)
{
    for (unsigned field = 0; field < ORIGIN_FIELDS; field++) {
        int status = write_text(dataset, origin_attribute(field), origin_text(origin, field));
        if (status)
            return status;
    }
    return write_text(dataset, "mpmap_version", mpm_version());
}

/* By this the file is known as the output of a map, and its result is found. */
static int name_result(hid_t file, const struct output *output)
{
    hid_t root = hdf5.H5Gopen2(file, "/", H5P_DEFAULT);
    int status = root < 0 ? hdf5_error_set(MPM_EIO, "cannot open the group /")
                          : write_text(root, OUTPUT_ATTRIBUTE, output->dataset);

    release(root);
    return status;
}

/* Where in the file a data set stands. An empty one stands nowhere. */
static int find_offset(hid_t dataset, uint64_t rows, uint64_t *offset)
{
    haddr_t address = hdf5.H5Dget_offset(dataset);

    if (rows && address == HADDR_UNDEF)
        return hdf5_error_set(MPM_EIO, "HDF5 allocated no space in the file for the results");
    *offset = rows ? address : 0;
    return 0;
}

static int make_results(hid_t file, struct output *output, const mpm_dataset_map *map)
{
    hsize_t extent[MPM_MAX_DIMENSIONS + 1] = {output->record.rows};
    hid_t dataset;
    int status;

    for (unsigned i = 0; i < map->result.rank; i++)
        extent[i + 1] = map->result.extent[i];
    status = make_dataset(file, output->dataset, hdf5_native_type(map->result.type),
                          (int)map->result.rank + 1, extent, &dataset);
    if (!status)
        status = write_origin(dataset, &output->record.origin);
    if (!status)
        status = find_offset(dataset, output->record.rows, &output->record.results_at);
    release(dataset);
    return status;
}

static int make_marks(hid_t file, struct output *output)
{
    char name[PATH_MAX];
    hsize_t extent = output->record.rows;
    hid_t dataset;
    int status;

    snprintf(name, sizeof name, "%.*s.done", PATH_MAX - 6, output->dataset);
    status = make_dataset(file, name, *hdf5.H5T_NATIVE_UINT8_g, 1, &extent, &dataset);
    if (!status)
        status = find_offset(dataset, output->record.rows, &output->record.marks_at);
    release(dataset);
    return status;
}

/* All that HDF5 ever does to the file. It opens the one that is open, whatever has become of its name. */
static int lay_out(struct output *output, const mpm_dataset_map *map)
{
    int status;
    char opened[64];
    hid_t access = hdf5_file_access(false);
    hid_t file;

    snprintf(opened, sizeof opened, "/proc/self/fd/%d", output->fd);
    file = access < 0 ? -1 : hdf5.H5Fcreate(opened, H5F_ACC_TRUNC, H5P_DEFAULT, access);

    if (file < 0)
        status = hdf5_error_set(MPM_EIO, "cannot create %s", output->next);
    else
        status = make_results(file, output, map);
    if (!status)
        status = make_marks(file, output);
    if (!status)
        status = name_result(file, output);
    if (!status && hdf5.H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", output->next);
    if (file >= 0 && hdf5.H5Fclose(file) < 0 && !status)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", output->next);
    release(access);
    return status;
}

int output_fill(struct output *output, const mpm_dataset_map *map)
{
    uint64_t rows = output->record.rows;
    uint64_t size = rows * (output->record.result_size + sizeof(uint8_t)) + LAYOUT_SIZE;
    struct hdf5_guard guard;
    int status;

    if ((status = check_limit(output, part_size(size, rows))) || (status = check_room(output, size)))
        return status;
    hdf5_enter(&guard);
    status = lay_out(output, map);
    hdf5_leave(&guard);
    if (!status)
        status = end_layout(output);
    if (!status)
        status = part_write_record(output->fd, output->next, &output->record);
    return !status && output->is_redone ? output_copy_finished(output, output->fd) : status;
}

/* Counts the marks in the part. With `all`, every row must have one in the file that main has open: it has none
 * if another node has written into a file of the same name that is not this one. */
static int count_marks(const struct output *output, bool all, struct mark_count *count)
{
    uint64_t missing;

    if (!marks_count(output->fd, &output->record, count, &missing))
        return error_set_errno(MPM_EIO, "cannot read the marks in %s", output->part);
    if (all && missing < output->record.rows)
        return error_set(MPM_EIO,
                         "the result of row %" PRIu64
                         " is not in %s: that file must be on a file system that all nodes share",
                         missing, output->part);
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

static int rename_part(const struct output *output)
{
    int failed;

    if (!is_as_planned(output))
        return error_set(MPM_EEXIST, "%s has changed since the map began, so it is not overwritten",
                         output->name);
    failed = part_rename(output->part, output->path, output->replaces);
    if (!failed)
        return 0;
    errno = failed;
    return error_set_errno(failed == EEXIST ? MPM_EEXIST : MPM_EIO, "cannot rename %s to %s", output->part,
                           output->name);
}

/* From here on there is a part, and no run removes it of which some row is good. */
static int name_part(const struct output *output)
{
    int failed = part_rename(output->next, output->part, false);

    if (failed == EEXIST)
        return error_set(MPM_EEXIST, "another run is writing %s: wait for it, or choose another name",
                         output->part);
    errno = failed;
    return failed ? error_set_errno(MPM_EIO, "cannot rename %s to %s", output->next, output->part) : 0;
}

/* Makes the new name last, too. Where folders cannot be flushed it lasts as that file system lets it. */
void output_flush_folder(const struct output *output)
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
    free(output->left);
    output->left = NULL;
}

int output_make(struct output *output, const mpm_dataset_map *map)
{
    int status = part_make(output->next, output->replaces ? &output->old : NULL, &output->fd);

    if (status)
        return status;
    status = output_fill(output, map);
    if (!status)
        status = name_part(output);
    if (!status) {
        output_flush_folder(output);
        return 0;
    }
    part_remove(output->fd, output->next);
    close_part(output, false);
    return status;
}

void output_tell(const struct output *output, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    if (!output->notice)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    output->notice(sentence, output->notice_argument);
}

int output_fail_row(const struct output *output, uint64_t row)
{
    const struct part_record *record = &output->record;
    const unsigned char mark = ROW_FAILED;
    void *zeros = calloc(1, record->result_size);
    const struct part_places places = part_places_of(record);
    struct block_sum sum;
    bool written;

    if (!zeros)
        return error_set(MPM_ENOMEM, "no memory for a result of %" PRIu64 " bytes", record->result_size);
    sum = block_sum_of(&places, row, 1, &mark, zeros);
    written = write_at(output->fd, zeros, record->result_size,
                       record->results_at + row * record->result_size) &&
              block_sum_write(output->fd, &places, &sum) &&
              write_at(output->fd, &mark, sizeof mark, record->marks_at + row);
    free(zeros);
    return written ? 0 : error_set_errno(MPM_EIO, "cannot write %s", output->part);
}

/* All that can fail before the file gets its name. */
static int complete(const struct output *output, struct mark_count *count)
{
    int status = count_marks(output, true, count);

    if (!status && !part_flush(output->fd))
        status = error_set_errno(MPM_EIO, "cannot write %s", output->part);
    return status;
}

/* What the finished file needs no more. It is read as well with it, so it is no error if it stays. */
void output_cut_off_record(const struct output *output)
{
    part_resize(output->fd, output->record.sums_at);
}

/* Of a map that has gone well as far as it was run. */
static int tell_of_failed(const struct output *output, const struct mark_count *count)
{
    if (!count->failed)
        return 0;
    return error_set(MPM_ETASK,
                     "%" PRIu64 " of %" PRIu64
                     " rows failed in an earlier run: --retry-failed (retry_failed) runs them again",
                     count->failed, output->record.rows);
}

/* What has been said may have more than one line, as the text of a failed item does: what is said of it behind that has
 * its own then. */
static const char *separator(const char *why)
{
    return strchr(why, '\n') ? "\n" : "; ";
}

static int finish(struct output *output, int map_status, const char *why)
{
    struct mark_count count;
    int status;

    if ((status = complete(output, &count)))
        return output_keep(output, status);
    if (map_status && count.good == 0 && output->replaces) {
        close_part(output, true);
        return error_set(map_status, "%s%s%s is unchanged", why, separator(why), output->name);
    }
    if ((status = rename_part(output)))
        return output_keep(output, status);
    output_cut_off_record(output);
    output_flush_folder(output);
    close_part(output, false);
    return map_status ? error_set(map_status, "%s", why) : tell_of_failed(output, &count);
}

int output_finish(struct output *output, int map_status)
{
    char *why = strdup(map_status ? mpm_error() : "");
    int status = finish(output, map_status, why ? why : no_memory);

    free(why);
    return status;
}

static int keep(struct output *output, int status, const char *why)
{
    struct mark_count count;

    if (count_marks(output, false, &count)) {
        close_part(output, false);
        return error_set(status, "%s%sthe results so far are in %s", why, separator(why), output->part);
    }
    close_part(output, count.good == 0);
    if (count.good == 0)
        return error_set(status, "%s", why);
    return error_set(status, "%s%s%" PRIu64 " of %" PRIu64 " rows are good: they are in %s", why,
                     separator(why), count.good, output->record.rows, output->part);
}

int output_keep(struct output *output, int status)
{
    char *why = strdup(mpm_error());

    status = keep(output, status, why ? why : no_memory);
    free(why);
    return status;
}

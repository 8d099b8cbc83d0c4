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

int output_fill(struct output *output)
{
    uint64_t rows = output->record.rows;
    uint64_t size = rows * (output->record.results.size + sizeof(uint8_t)) + LAYOUT_SIZE;
    int status;

    if ((status = check_limit(output, part_size(size, rows))) || (status = check_room(output, size)))
        return status;
    status = output_lay_out(output);
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

int output_make(struct output *output)
{
    int status = part_make(output->next, output->replaces ? &output->old : NULL, &output->fd);

    if (status)
        return status;
    status = output_fill(output);
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

int output_fail_row(struct output *output, uint64_t row)
{
    const struct part_record *record = &output->record;
    const struct part_places places = part_places_of(record);
    const unsigned char mark = ROW_FAILED;
    const void *result = output_failed_result(output);
    struct block_sum sum;

    if (!result)
        return error_set(MPM_ENOMEM, "no memory for a result of %" PRIu64 " bytes", record->results.size);
    sum = block_sum_of(&places, row, 1, &mark, result);
    return result_write(output->fd, &record->results, row, 1, result) &&
                   block_sum_write(output->fd, &places, &sum) &&
                   write_at(output->fd, &mark, sizeof mark, record->marks_at + row)
               ? 0
               : error_set_errno(MPM_EIO, "cannot write %s", output->part);
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

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
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "data/block_sum.h"

#define SENTENCE_SIZE 1024

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
static int get_room_at(const struct output *output, uint64_t at, uint64_t size)
{
    while (size && fallocate(output->fd, 0, (off_t)at, (off_t)size)) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return check_room(output, size);
        if (errno != EINTR)
            return no_room(output, size);
    }
    return 0;
}

int output_get_room(const struct output *output)
{
    return get_room_at(output, 0, output->record.sums_at);
}

int output_get_room_of(const struct output *output, uint64_t first, uint64_t count)
{
    const struct result_places *results = &output->record.results;
    int status = get_room_at(output, output->record.marks_at + first, count);

    for (unsigned i = 0; !status && i < results->count; i++)
        status = get_room_at(output, results->field[i].at + first * results->field[i].size,
                             count * results->field[i].size);
    return status;
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

void output_name_values(struct output *output)
{
    values_name_folder(output->part, output->record.values, output->values);
}

int output_make_values(struct output *output)
{
    output->record.values = 0;
    if (!output->result.has_vlen)
        return 0;
    if (getrandom(&output->record.values, sizeof output->record.values, 0) != sizeof output->record.values)
        return error_set_errno(MPM_EIO, "cannot get random bytes for %s", output->part);
    output_name_values(output);
    return values_make_folder(output->values);
}

/* Rows get their room when they come. */
static int fill_live(struct output *output)
{
    int status = output_live_begin(output);

    if (!status)
        status = output_live_show(output, 0);
    return status ? status : part_write_record(output->fd, output->next, &output->record);
}

static int fill_fixed(struct output *output)
{
    uint64_t rows = output->record.rows, scales = output->scales ? output->scales->size : 0;
    uint64_t size = rows * (output->record.results.size + sizeof(uint8_t)) + scales + LAYOUT_SIZE;
    int status;

    if ((status = check_limit(output, part_size(size, rows))) || (status = check_room(output, size)))
        return status;
    status = output_lay_out(output);
    if (!status)
        status = end_layout(output);
    if (!status)
        status = output_make_values(output);
    return status ? status : part_write_record(output->fd, output->next, &output->record);
}

int output_fill(struct output *output)
{
    int status = output->record.is_live ? fill_live(output) : fill_fixed(output);

    return !status && output->is_redone ? output_copy_finished(output, output->fd) : status;
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
        unlink(output->log.path); /* of another part, which was removed */
        values_remove_folders(output->part, output->values);
        return 0;
    }
    part_remove(output->fd, output->next);
    if (output->record.values)
        values_remove_folder(output->values);
    close(output->fd);
    output->fd = -1;
    return status;
}

void output_tell(const struct output *output, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    if (!output->notice)
        return;
    va_start(arguments, format);
    c_vsnprintf(sentence, sizeof sentence, format, arguments);
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

void output_note_failure(struct output *output, const mpm_failure *failure)
{
    failed_log_add(&output->log, failure);
}

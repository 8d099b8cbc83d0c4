/* SPDX-License-Identifier: BSD-3-Clause */
/* What is on the disk, in this order, and what is true if whoever does it dies there, or is stopped and goes on later:
 *   1. OUTPUT.part.new.NUMBER, of one run: its layout and its record, flushed. Nobody else looks at it; the one that
 *      finishes the output removes what dead ones have left. Its room on the disk is not got yet, since several runs
 *      may make one at the same time.
 *   2. It is linked to OUTPUT.part, which one of them can, and its own name is removed. If that one dies in between the
 *      part has two names: whoever opens it removes the other. All others join.
 *   3. OUTPUT.part.join-TOKEN, with all claims and the file of checks in it, appears whole, by a rename that one of
 *      them can. Its name is that of this very part. Before it appears room on the disk is got.
 *   4. Workers write good rows: results, a checksum (into the file of checks), marks. A run of several machines or over
 *      NFS flushes them before a claim ends. Rows that have failed are noted in the file of checks.
 *   5. Who has claimed the end proves all rows by their checksums, then marks those that have failed: the mark first,
 *      then the fill value, so whoever is late with it leaves no row that is marked good and is not. It flushes the
 *      file, and
 *      renames it to OUTPUT, which one can: who finds it renamed already is glad. Where there is a last pass
 *      (output_last.c) it makes OUTPUT.part.new.NUMBER of it, renames that, and removes the part.
 *   6. The record is cut off, and the folder of claims removed. Runs that find it gone look whether the file that they
 *      have open has got its name. What is left by a death here is removed by the next run that finds the output
 * finished. A late writer has the file open and may write into the finished output: good rows only, the same bytes that
 * are there, or, where its row has failed in another run and succeeded in this one, a good row in place of a failed
 * one. */
#include "data/join_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "claim/claim.h"
#include "claim/claim_files.h"
#include "data/join_checks.h"
#include "data/output_finished.h"
#include "data/output_last.h"

static bool is_on_nfs(int fd)
{
    struct statfs file_system;

    return fstatfs(fd, &file_system) == 0 && file_system.f_type == NFS_SUPER_MAGIC;
}

static bool is_there(const char *path)
{
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether a last pass has made the output of this map: then the part is removed, or will be. */
static bool is_made_by_last(const struct output *output)
{
    struct part_record found;
    struct mark_count unused;

    return is_there(output->path) && !finished_read(output->path, NULL, &found, &unused) &&
           origin_difference(&found.origin, &output->record.origin, 0) == ORIGIN_FIELDS;
}

enum join_part join_output_look(const struct output *output)
{
    struct stat status;

    if (fstat(output->fd, &status))
        return JOIN_PART_IS_REMOVED;
    if (part_is_at(output->path, &status))
        return JOIN_PART_IS_FINISHED;
    if (status.st_nlink == 0)
        return is_made_by_last(output) ? JOIN_PART_IS_FINISHED : JOIN_PART_IS_REMOVED;
    return part_is_at(output->part, &status) && !is_made_by_last(output) ? JOIN_PART_IS_THERE
                                                                         : JOIN_PART_IS_FINISHED;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void join_output_close(struct output *output)
{
    close_fd(&output->fd);
    close_fd(&output->checks);
    free(output->left);
    output->left = NULL;
}

/* ---- Beginning ---- */

static void remove_values(const struct output *output)
{
    if (output->record.values)
        values_remove_folder(output->values);
}

/* A part of this run's own, that is not the part yet. */
static int make_own(struct output *output)
{
    uint64_t number;
    int status;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return error_set_errno(MPM_EIO, "cannot get random bytes for %s", output->part);
    snprintf(output->next, sizeof output->next, "%.*s.new.%016" PRIx64, PATH_MAX - 32, output->part, number);
    if ((status = part_make_own(output->next, &output->fd)))
        return status;
    if ((status = output_fill(output))) {
        part_remove(output->fd, output->next);
        remove_values(output);
        close_fd(&output->fd);
    }
    return status;
}

/* Makes the part, or finds that another run was faster. */
static int make(struct output *output)
{
    int status = make_own(output), failed;

    if (status)
        return status;
    failed = part_name_own(output->next, output->part, output->fd);
    if (!failed)
        output_flush_folder(output);
    else if (failed != EEXIST && failed != ENOENT) {
        errno = failed;
        status = error_set_errno(MPM_EIO, "cannot rename %s to %s", output->next, output->part);
    }
    if (!failed && is_there(output->path)) /* all was done while this run was making it */
        part_remove(output->fd, output->part);
    if (failed || is_there(output->path))
        remove_values(output);
    close_fd(&output->fd);
    return status;
}

/* Of a part that is open: whether it is this map's. */
static int check_part(struct output *output, bool *is_again)
{
    struct part_record found;
    char why[256];
    int status;

    if (!part_read_record(output->fd, &found, why, sizeof why)) {
        *is_again = join_output_look(output) != JOIN_PART_IS_THERE;
        return *is_again ? 0 : output_is_no_part(output, why);
    }
    if ((status = output_check_origin(output, &found)))
        return status;
    output->record = found;
    output_name_claims(output);
    output_name_values(output);
    return 0;
}

struct filling {
    const struct output *output;
    int status; /* with a sentence */
};

/* The folder as it appears. */
static int fill_folder(int folder, void *argument)
{
    const struct claim_files files = claim_files_of(&folder);
    struct filling *filling = argument;
    int failed;

    if ((filling->status = output_get_room(filling->output)))
        return ENOSPC;
    failed = checks_make(folder, filling->output->record.rows);
    return failed ? failed : claim_fill(&files, filling->output->record.rows);
}

static int open_claims(struct output *output, bool *is_again)
{
    struct filling filling = {.output = output};
    int failed = claim_folder_make(output->claims, fill_folder, &filling);

    if (filling.status)
        return filling.status;
    if (failed &&
        join_output_look(output) != JOIN_PART_IS_THERE) { /* who has finished it removes all such folders */
        *is_again = true;
        return 0;
    }
    if (failed) {
        errno = failed;
        return error_set_errno(MPM_EIO, "cannot make %s", output->claims);
    }
    if (join_output_look(output) != JOIN_PART_IS_THERE) { /* so the folder may be new, and of no use */
        claim_folders_remove(output->claims);
        *is_again = true;
        return 0;
    }
    output->checks = open(output->checks_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (output->checks >= 0)
        return 0;
    *is_again = errno == ENOENT;
    return *is_again ? 0 : error_set_errno(MPM_EIO, "cannot open %s", output->checks_path);
}

static int open_part(struct output *output, bool *is_again)
{
    int status = part_join(output->part, &output->fd);

    if (status) {
        *is_again = !is_there(output->part); /* it was renamed meanwhile */
        return *is_again ? 0 : status;
    }
    if (output->fd >= 0)
        return 0;
    *is_again = true; /* it is opened as that of any other, once it is there */
    return is_there(output->path) ? 0 : make(output);
}

int join_output_begin(struct output *output, bool *is_again)
{
    int status;

    *is_again = false;
    status = open_part(output, is_again);
    if (!status && !*is_again)
        status = check_part(output, is_again);
    if (!status && !*is_again)
        status = open_claims(output, is_again);
    if (status || *is_again)
        join_output_close(output);
    return status;
}

/* ---- Rows ---- */

/* A client of NFS asks whether what it has in memory is still right when a file is opened. */
static void look_anew(const struct output *output)
{
    int fd;

    if (!is_on_nfs(output->fd))
        return;
    if ((fd = open(output->part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
        close(fd);
    if ((fd = open(output->checks_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
        close(fd);
}

int join_output_find(const struct output *output, uint64_t first, uint64_t end, unsigned char *found)
{
    const struct part_places places = part_places_of(&output->record);
    const struct checks_files files = {output->fd, output->checks, output->values};

    look_anew(output);
    return checks_find(&files, &places, first, end, found)
               ? 0
               : error_set_errno(MPM_EIO, "cannot read %s or %s", output->part, output->checks_path);
}

int join_output_flush(const struct output *output)
{
    if (!is_on_nfs(output->fd) || (part_flush(output->fd) && part_flush(output->checks)))
        return 0;
    return error_set_errno(MPM_EIO, "cannot write %s", output->part);
}

int join_output_fail_row(const struct output *output, uint64_t row)
{
    const struct part_places places = part_places_of(&output->record);

    return checks_fail_rows(output->checks, &places, row, 1)
               ? 0
               : error_set_errno(MPM_EIO, "cannot write %s", output->checks_path);
}

int join_output_count(const struct output *output, struct mark_count *count)
{
    uint64_t missing;

    return marks_count(output->fd, &output->record, count, &missing)
               ? 0
               : error_set_errno(MPM_EIO, "cannot read the marks in %s", output->part);
}

/* ---- The end ---- */

/* The mark goes first: see above. */
static bool mark_failed(struct output *output, const unsigned char *found)
{
    const struct part_record *record = &output->record;
    const unsigned char mark = ROW_FAILED;
    const void *result = output_failed_result(output);
    bool is_written = result;

    for (uint64_t row = 0; is_written && row < record->rows; row++) {
        if (found[row] == ROW_FAILED)
            is_written = write_at(output->fd, &mark, sizeof mark, record->marks_at + row) &&
                         result_write(output->fd, &record->results, row, 1, result);
    }
    return is_written;
}

static int give_name(const struct output *output)
{
    int failed = part_rename(output->part, output->path, false);

    if (!failed || join_output_look(output) == JOIN_PART_IS_FINISHED)
        return 0;
    errno = failed;
    return error_set_errno(failed == EEXIST ? MPM_EEXIST : MPM_EIO, "cannot rename %s to %s", output->part,
                           output->name);
}

/* Makes the output of the part, unless another one is faster, and removes the part. */
static int make_last(const struct output *output, const struct failed_set *failed)
{
    char own[PATH_MAX + 32];
    uint64_t number;
    int fd, status, renamed;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return error_set_errno(MPM_EIO, "cannot get random bytes for %s", output->part);
    snprintf(own, sizeof own, "%s.new.%016" PRIx64, output->part, number);
    if ((status = last_make(output, failed, own, &fd)))
        return status;
    renamed = part_rename(own, output->path, false);
    if (renamed)
        part_remove(fd, own);
    close(fd);
    if (!renamed || join_output_look(output) == JOIN_PART_IS_FINISHED) {
        output_flush_folder(output);
        part_remove(output->fd, output->part);
        return 0;
    }
    errno = renamed;
    return error_set_errno(renamed == EEXIST ? MPM_EEXIST : MPM_EIO, "cannot rename %s to %s", own,
                           output->name);
}

static int name_or_make(struct output *output)
{
    struct failed_set failed;
    struct mark_count count;
    int status = join_output_count(output, &count);

    if (status)
        return status;
    failed_log_close(&output->log);
    failed_set_find(output, count.failed, &failed);
    if (last_is_needed(output, &failed)) {
        status = make_last(output, &failed);
    } else if (!(status = give_name(output))) {
        output_cut_off_record(output);
        output_flush_folder(output);
    }
    failed_set_free(&failed);
    return status;
}

int join_output_finish(struct output *output, const unsigned char *found)
{
    if (join_output_look(output) != JOIN_PART_IS_THERE) {
        output_cut_off_record(output);
        output_flush_folder(output);
        return 0;
    }
    if (!mark_failed(output, found) || !part_flush(output->fd))
        return error_set_errno(MPM_EIO, "cannot write %s", output->part);
    return name_or_make(output);
}

void join_output_tidy(const struct output *output)
{
    if (is_there(output->part))
        return;
    output_remove_claims(output);
    values_remove_folders(output->part, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a map that was alone: the part gets the output's name, or another file is made of it that does, or it
 * stays where it is. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/failed_set.h"
#include "data/output.h"
#include "data/output_into.h"
#include "data/output_last.h"

static const char no_memory[] = "there is no memory to say why";

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

/* `from` is the part, or what the last pass has made of it. */
static int rename_file(const struct output *output, const char *from)
{
    int failed;

    if (!is_as_planned(output))
        return error_set(MPM_EEXIST, "%s has changed since the map began, so it is not overwritten",
                         output->name);
    failed = part_rename(from, output->path, output->replaces);
    if (!failed)
        return 0;
    errno = failed;
    return error_set_errno(failed == EEXIST ? MPM_EEXIST : MPM_EIO, "cannot rename %s to %s", from,
                           output->name);
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

/* What is beside a part that has become the output. */
static void tidy(const struct output *output)
{
    unlink(output->log.path);
    unlink(output->last);
    values_remove_folders(output->part, NULL);
}

static int name_part(struct output *output)
{
    int status = rename_file(output, output->part);

    if (status)
        return status;
    output_cut_off_record(output);
    output_flush_folder(output);
    close_part(output, false);
    return 0;
}

/* Makes the output of the part, and removes that. */
static int make_last_of(struct output *output, const struct failed_set *failed)
{
    int fd, status = last_make(output, failed, output->last, &fd);

    if (status)
        return status;
    if ((status = rename_file(output, output->last))) {
        part_remove(fd, output->last);
    } else {
        output_flush_folder(output);
        close_part(output, true);
    }
    close(fd);
    return status;
}

/* A file that results go into is held until its copy has its name. */
static int make_last(struct output *output, const struct failed_set *failed)
{
    int status = output->is_into ? into_hold(output, &output->old_fd) : 0;

    if (!status)
        status = make_last_of(output, failed);
    if (output->old_fd >= 0)
        close(output->old_fd);
    output->old_fd = -1;
    return status;
}

/* `is_last`: by a last pass, which lists failed rows in the file. */
static int tell_end(const struct output *output, int map_status, const char *why,
                    const struct failed_set *failed, bool is_last)
{
    const struct mark_count count = {.failed = failed->count};
    char *more;

    if (!map_status)
        return tell_of_failed(output, &count);
    more = failed_set_describe(output, failed, is_last);
    map_status = error_set(map_status, "%s%s%s", why, more ? "\n" : "", more ? more : "");
    free(more);
    return map_status;
}

static int finish_listed(struct output *output, int map_status, const char *why,
                         const struct failed_set *failed)
{
    bool is_last = last_is_needed(output, failed);
    int status = is_last ? make_last(output, failed) : name_part(output);

    if (status)
        return output_keep(output, status);
    tidy(output);
    return tell_end(output, map_status, why, failed, is_last);
}

static int finish(struct output *output, int map_status, const char *why)
{
    struct failed_set failed;
    struct mark_count count;
    int status;

    failed_log_close(&output->log);
    if ((status = complete(output, &count)))
        return output_keep(output, status);
    if (map_status && count.good == 0 && output->replaces) {
        close_part(output, true);
        tidy(output);
        return error_set(map_status, "%s%s%s is unchanged", why, separator(why), output->name);
    }
    failed_set_find(output, count.failed, &failed);
    status = finish_listed(output, map_status, why, &failed);
    failed_set_free(&failed);
    return status;
}

int output_finish(struct output *output, int map_status)
{
    char *why = strdup(map_status ? mpm_error() : "");
    int status = finish(output, map_status, why ? why : no_memory);

    free(why);
    return status;
}

/* Where the part is by now, as whoever has moved it, or a folder above it, does not tell. false if it was removed: what
 * is in it is gone with the run. */
static bool find_part(const struct output *output, char place[PATH_MAX])
{
    struct stat own, now;
    char link[40];
    ssize_t length = -1;

    snprintf(place, PATH_MAX, "%s", output->part);
    if (fstat(output->fd, &own) ||
        (!lstat(place, &now) && own.st_dev == now.st_dev && own.st_ino == now.st_ino))
        return true;
    snprintf(link, sizeof link, "/proc/self/fd/%d", output->fd);
    if (own.st_nlink && (length = readlink(link, place, PATH_MAX - 1)) > 0)
        place[length] = '\0';
    return own.st_nlink > 0;
}

static int say_removed(struct output *output, int status, const char *why)
{
    close_part(output, false);
    failed_log_close(&output->log);
    return error_set(
        status, "%s%s%s was removed while the map was writing it, and its results are lost: run it again",
        why, separator(why), output->part);
}

static int keep(struct output *output, int status, const char *why)
{
    struct mark_count count;
    char place[PATH_MAX];

    output_live_close(output);
    if (!find_part(output, place))
        return say_removed(output, status, why);
    if (count_marks(output, false, &count)) {
        close_part(output, false);
        return error_set(status, "%s%sthe results so far are in %s", why, separator(why), place);
    }
    close_part(output, count.good == 0);
    failed_log_close(&output->log);
    if (count.good == 0)
        tidy(output);
    if (count.good == 0)
        return error_set(status, "%s", why);
    return error_set(status, "%s%s%" PRIu64 " of %" PRIu64 " rows are good: they are in %s", why,
                     separator(why), count.good, output->record.rows, place);
}

int output_keep(struct output *output, int status)
{
    char *why = strdup(mpm_error());

    status = keep(output, status, why ? why : no_memory);
    free(why);
    return status;
}

/* One whose failed rows were run again may have more than the output has. */
static bool has_no_more(int fd, const struct output *output)
{
    struct part_record found;
    struct mark_count count;
    uint64_t missing;
    char why[256];

    return part_read_record(fd, &found, why, sizeof why) &&
           origin_difference(&found.origin, &output->record.origin, 0) == ORIGIN_FIELDS &&
           marks_count(fd, &found, &count, &missing) && missing == found.rows && count.good == output->good;
}

void output_tidy(const struct output *output)
{
    int fd, status = part_take(output->part, &fd);

    if (status || fd < 0)
        return;
    if (has_no_more(fd, output)) {
        part_remove(fd, output->part);
        tidy(output);
    }
    close(fd);
}

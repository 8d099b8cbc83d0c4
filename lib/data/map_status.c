/* SPDX-License-Identifier: BSD-3-Clause */
/* How far a map is, read from its files by somebody who has no part in it. The part is only read, and its lock only
 * asked for. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/output_finished.h"
#include "mpmap/dataset.h"

static void fill(mpm_map_state *state, uint64_t rows, const struct mark_count *count)
{
    *state = (mpm_map_state){.rows = rows,
                             .good = count->good,
                             .failed = count->failed,
                             .left = rows - count->good - count->failed};
}

static int read_part(int fd, const char *path, mpm_map_state *state)
{
    struct part_record record;
    struct mark_count count;
    uint64_t missing;
    char why[256];

    if (!part_read_record(fd, &record, why, sizeof why))
        return error_set(MPM_ETYPE, "%s is not the unfinished output of a map: %s", path, why);
    if (!marks_count(fd, &record, &count, &missing))
        return error_set_errno(MPM_EIO, "cannot read the marks in %s", path);
    fill(state, record.rows, &count);
    state->is_running = part_is_locked(fd);
    return 0;
}

static int read_finished(const char *path, mpm_map_state *state)
{
    struct part_record record;
    struct mark_count count;
    int status;

    if (access(path, F_OK))
        return errno == ENOENT ? error_set(MPM_ENOENT, "there is neither %s.part nor %s", path, path)
                               : error_set_errno(MPM_EIO, "cannot stat %s", path);
    if ((status = finished_read(path, &record, &count)))
        return status;
    fill(state, record.rows, &count);
    state->is_complete = 1;
    return 0;
}

int mpm_map_status(const char *output_file, mpm_map_state *state)
{
    char part[PATH_MAX];
    int fd, status;

    if (!output_file || !state)
        return error_set(MPM_EINVAL,
                         "mpm_map_status: the output file and the pointer for the status must not be NULL");
    if (snprintf(part, sizeof part, "%s.part", output_file) >= PATH_MAX)
        return error_set(MPM_EINVAL, "the path of %.60s….part must have at most %d bytes", output_file,
                         PATH_MAX);
    fd = open(part, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? read_finished(output_file, state)
                               : error_set_errno(MPM_EIO, "cannot open %s", part);
    status = read_part(fd, part, state);
    close(fd);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* How far a map is, read from its files by somebody who has no part in it. The part is only read, and its lock only
 * asked for. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/join_checks.h"
#include "data/join_runs.h"
#include "data/output.h"
#include "data/output_finished.h"
#include "mpmap/dataset.h"

#define SILENT_S 60 /* no beat for so long: it is not counted */

static void fill(mpm_map_state *state, uint64_t rows, const struct mark_count *count)
{
    *state = (mpm_map_state){.rows = rows,
                             .good = count->good,
                             .failed = count->failed,
                             .left = rows - count->good - count->failed};
}

/* Where runs that have joined have their files. */
static int read_record(int fd, const char *path, struct part_record *record, char claims[PATH_MAX])
{
    char why[256];

    if (!part_read_record(fd, record, why, sizeof why))
        return error_set(MPM_ETYPE, "%s is not the unfinished output of a map: %s", path, why);
    output_claims_path(path, &record->token, claims);
    return 0;
}

/* Rows that have failed where runs have joined: they have no mark before the end. */
static int count_failed(const char *claims, const struct part_record *record, int part, mpm_map_state *state)
{
    const struct part_places places = part_places_of(record);
    uint64_t failed;
    char path[PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/" CHECKS_NAME, claims);
    if (!checks_count_failed(path, part, &places, &failed))
        return error_set_errno(MPM_EIO, "cannot read %s", path);
    failed = failed < state->left ? failed : state->left;
    state->failed += failed;
    state->left -= failed;
    return 0;
}

/* Those that live, and what they do. */
static int add_runs(const char *claims, mpm_map_state *state)
{
    mpm_map_run *runs;
    size_t count;
    int status = join_runs_read(claims, &runs, &count);

    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        state->claimed += runs[i].claimed;
        if (!runs[i].host[0] || runs[i].silent_s > SILENT_S)
            continue;
        state->run_count++;
        state->is_running = 1;
        if (runs[i].joined_s > 0)
            state->rows_per_s += (double)(runs[i].done + runs[i].failed) / runs[i].joined_s;
    }
    free(runs);
    return 0;
}

static int read_part(int fd, const char *path, mpm_map_state *state)
{
    struct part_record record;
    struct mark_count count;
    uint64_t missing;
    char claims[PATH_MAX];
    int status = read_record(fd, path, &record, claims);

    if (status)
        return status;
    if (!marks_count(fd, &record, &count, &missing))
        return error_set_errno(MPM_EIO, "cannot read the marks in %s", path);
    fill(state, record.rows, &count);
    state->is_running = part_is_locked(fd);
    status = count_failed(claims, &record, fd, state);
    return status ? status : add_runs(claims, state);
}

static int read_finished(const char *path, mpm_map_state *state)
{
    struct part_record record;
    struct mark_count count;
    struct stat found;
    int status;

    if (stat(path, &found))
        return errno == ENOENT ? error_set(MPM_ENOENT, "there is neither %s.part nor %s", path, path)
                               : error_set_errno(MPM_EIO, "cannot stat %s", path);
    if (!S_ISREG(found.st_mode)) /* to open a pipe waits for whoever writes into it */
        return error_set(MPM_ETYPE, "%s is not a regular file, so not the output of a map", path);
    if ((status = finished_read(path, NULL, &record, &count)))
        return status;
    fill(state, record.rows, &count);
    state->is_complete = 1;
    return 0;
}

/* Opens the part; -1 and 0 if there is none. */
static int open_part(const char *output_file, char part[PATH_MAX], int *fd)
{
    if (snprintf(part, PATH_MAX, "%s.part", output_file) >= PATH_MAX)
        return error_set(MPM_EINVAL, "the path of %.60s….part must have at most %d bytes", output_file,
                         PATH_MAX);
    *fd = open(part, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return *fd < 0 && errno != ENOENT ? error_set_errno(MPM_EIO, "cannot open %s", part) : 0;
}

int mpm_map_status(const char *output_file, mpm_map_state *state)
{
    char part[PATH_MAX];
    int fd, status;

    if (!output_file || !state)
        return error_set(MPM_EINVAL,
                         "mpm_map_status: the output file and the pointer for the status must not be NULL");
    if ((status = open_part(output_file, part, &fd)))
        return status;
    if (fd < 0)
        return read_finished(output_file, state);
    status = read_part(fd, part, state);
    close(fd);
    return status;
}

int mpm_map_runs(const char *output_file, mpm_map_run **runs, size_t *count)
{
    char part[PATH_MAX], claims[PATH_MAX];
    struct part_record record;
    int fd, status;

    if (!output_file || !runs || !count)
        return error_set(
            MPM_EINVAL,
            "mpm_map_runs: the output file and the pointers for the runs and their number must not be NULL");
    if ((status = open_part(output_file, part, &fd)))
        return status;
    if (fd < 0) {
        if (access(output_file, F_OK))
            return error_set(MPM_ENOENT, "there is neither %s.part nor %s", output_file, output_file);
        *runs = NULL;
        *count = 0;
        return 0;
    }
    status = read_record(fd, part, &record, claims);
    close(fd);
    return status ? status : join_runs_read(claims, runs, count);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of a map whose input grows, a live part: its data sets have places for far more rows than there are, in a
 * file that is mostly holes, and readers see it grow.
 *
 * Results and marks stand at fixed offsets, as in any part: the data sets are chunked, cannot have more rows than there
 * are places (the capacity), and HDF5 keeps chunks of such data sets, which are neither filtered nor allocated later,
 * one behind the other for as many rows as there may ever be. So a data set grows when its extent does, one number in
 * HDF5's metadata; nothing is allocated, moved or filled, and whatever stands in the file for rows is where it was.
 *
 * HDF5 never opens a live part. Main has the same data sets in a file of its own, the model, which is nothing but
 * metadata and holes, and has no name once it is open (until then OUTPUT.part.model, which the next run makes anew). To
 * show rows, it has HDF5 extend the model, and copies what has changed in its metadata (all that is neither results nor
 * marks) into the part. So:
 * - Whoever reads sees the extents of before or of after, and in them only rows that were done before main began to
 *   copy.
 *   HDF5's metadata in this format has checksums, and a reader of a SWMR file tries again where it finds one that is
 *   half copied, so a reader opens the part with SWMR, and refreshes the data sets.
 * - A run that is killed leaves extents of before, of after or half copied. Nobody needs them to go on: the record says
 *   where all stands, and how many rows were begun; marks and checksums say which are done. The next run makes a model
 *   anew, and copies all of it. Only where its HDF5 puts the data sets at other offsets than those in the record
 *   readers see the old extents until the end.
 * - While a run is at work the part says that a SWMR writer has it, as readers with SWMR want to see. It says so still
 *   after a run that was killed, but not after one that was drained or has failed.
 * - The end is a last pass (output_last.c), which makes a file of exactly the rows that there are. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/output.h"
#include "data/output_layout.h"

#define MOST_BYTES   ((uint64_t)2 << 40)  /* of a live part: every file system has files of that length */
#define LAYOUT_BYTES ((uint64_t)1 << 20)  /* of it, for what HDF5 needs, generously */
#define CHUNK_BYTES  ((uint64_t)64 << 10) /* about what a reader reads for a single row */
#define MOST_RESULT  ((uint64_t)1 << 31)  /* HDF5 has no chunks of 4 GiB */
#define ROW_BYTES    (sizeof(uint8_t) + PART_SUM_SIZE + 1) /* of a mark, and checksums */

struct live_file {
    int fd;      /* of the model */
    hid_t file;  /* the same */
    char *shown; /* the metadata that the part has, once that is shown */
    size_t size; /* of that */
    bool is_shown;
    bool is_same; /* the model's data sets stand where the part's do */
};

static uint64_t size_limit(void)
{
    struct rlimit limit;
    uint64_t most = getrlimit(RLIMIT_FSIZE, &limit) ? MOST_BYTES : (uint64_t)limit.rlim_cur;

    return most < MOST_BYTES ? most : MOST_BYTES;
}

int output_live_plan(struct output *output, uint64_t most)
{
    const char *other = output->wants_into        ? "results in a file that exists (--into)"
                        : output->result.has_vlen ? "results of variable length"
                                                  : NULL;
    uint64_t size = output->record.results.size, rows = CHUNK_BYTES / size, limit = size_limit(), capacity;

    if (other)
        return error_set(MPM_EINVAL, "follow (--follow) and %s do not go together: leave one of them out",
                         other);
    rows = rows ? rows : 1;
    capacity = limit > LAYOUT_BYTES ? (limit - LAYOUT_BYTES) / (size + ROW_BYTES) : 0;
    if (most < UINT64_MAX - rows && capacity > most)
        capacity = most + rows - 1;
    capacity -= capacity % rows;
    if (size > MOST_RESULT || !capacity)
        return error_set(MPM_EINVAL,
                         "results of %" PRIu64 " bytes are too large for a map that follows its input: there "
                         "is room for %" PRIu64 " bytes of a file (ulimit -f), and a result may have 2 GiB",
                         size, limit);
    output->record.rows = 0;
    output->record.capacity = capacity;
    output->record.is_live = 1;
    output->grid.capacity = capacity;
    output->grid.chunk_rows = rows;
    return 0;
}

/* Ranges of the file that are metadata: those between results and marks. */
struct gap {
    uint64_t at, size;
};

static int compare_gaps(const void *a, const void *b)
{
    const struct gap *one = a, *other = b;

    return (one->at > other->at) - (one->at < other->at);
}

/* Returns how many there are, and how long they are together. */
static unsigned find_gaps(const struct part_record *record, struct gap gap[RESULT_MOST_FIELDS + 2],
                          size_t *size)
{
    struct gap taken[RESULT_MOST_FIELDS + 1];
    unsigned count = 0;
    uint64_t at = 0;

    for (; count < record->results.count; count++)
        taken[count] = (struct gap){record->results.field[count].at,
                                    record->capacity * record->results.field[count].size};
    taken[count++] = (struct gap){record->marks_at, record->capacity};
    qsort(taken, count, sizeof *taken, compare_gaps);
    *size = 0;
    for (unsigned i = 0; i <= count; i++) {
        gap[i] = (struct gap){at, (i < count ? taken[i].at : record->sums_at) - at};
        *size += (size_t)gap[i].size;
        at = i < count ? taken[i].at + taken[i].size : 0;
    }
    return count + 1;
}

/* Writes what differs, from the first such byte to the last, at once: a checksum stands behind what it is of. */
static bool copy_gap(const struct output *output, const struct gap *gap, const char *now, char *shown)
{
    bool is_shown = output->live->is_shown;
    size_t first = 0, end = (size_t)gap->size;

    while (is_shown && first < end && now[first] == shown[first])
        first++;
    while (is_shown && end > first && now[end - 1] == shown[end - 1])
        end--;
    if (!write_at(output->fd, now + first, end - first, gap->at + first))
        return false;
    memcpy(shown + first, now + first, end - first);
    return true;
}

static bool copy_gaps(const struct output *output)
{
    struct live_file *live = output->live;
    struct gap gap[RESULT_MOST_FIELDS + 2];
    size_t size, at = 0;
    unsigned count = find_gaps(&output->record, gap, &size);
    char *now = calloc(1, size); /* checksums begin a little behind the end of the model */
    bool is = now != NULL;

    for (unsigned i = 0; is && i < count; i++) {
        ssize_t got = read_at(live->fd, now + at, (size_t)gap[i].size, gap[i].at);

        is = got >= 0 && copy_gap(output, &gap[i], now + at, live->shown + at);
        at += (size_t)gap[i].size;
    }
    live->is_shown |= is;
    free(now);
    return is;
}

static int make_shown(struct output *output)
{
    struct gap gap[RESULT_MOST_FIELDS + 2];
    struct live_file *live = output->live;

    find_gaps(&output->record, gap, &live->size);
    live->shown = live->size < LAYOUT_BYTES ? malloc(live->size) : NULL;
    if (!live->shown)
        return error_set(MPM_ENOMEM, "no memory for %zu bytes of what HDF5 says of %s", live->size,
                         output->part);
    return 0;
}

static int lay_out(struct output *output)
{
    struct live_file *live = output->live;
    struct stat status;
    hid_t access = hdf5_file_access(false);
    int part = output->fd, made;

    output->fd = live->fd;
    made = layout_create_file(output, access, &live->file);
    output->fd = part;
    if (access >= 0)
        hdf5.H5Pclose(access);
    if (!made)
        made = layout_make(live->file, output, false);
    if (!made && (hdf5.H5Fflush(live->file, H5F_SCOPE_GLOBAL) < 0 ||
                  hdf5.H5Fstart_swmr_write(live->file) < 0 || fstat(live->fd, &status)))
        made = hdf5_error_set(MPM_EIO, "cannot make the layout of %s", output->part);
    if (!made)
        output->record.sums_at = ((uint64_t)status.st_size + 7) / 8 * 8;
    return made;
}

int output_live_begin(struct output *output)
{
    char path[PATH_MAX];
    struct hdf5_guard guard;
    int status;

    if (!(output->live = malloc(sizeof *output->live)))
        return error_set(MPM_ENOMEM, "no memory for the model of %s", output->part);
    *output->live = (struct live_file){.fd = -1, .file = -1, .is_same = true};
    snprintf(path, sizeof path, "%.*s.model", PATH_MAX - 16, output->part);
    if ((status = part_make(path, NULL, &output->live->fd)))
        return status;
    hdf5_enter(&guard);
    status = lay_out(output);
    hdf5_leave(&guard);
    part_remove(output->live->fd, path);
    return status ? status : make_shown(output);
}

static bool stand_alike(const struct part_record *one, const struct part_record *other)
{
    bool is = one->marks_at == other->marks_at && one->sums_at == other->sums_at;

    for (unsigned i = 0; is && i < one->results.count; i++)
        is = one->results.field[i].at == other->results.field[i].at;
    return is;
}

/* Readers see it grow again if this HDF5 has the data sets where they were. */
int output_live_go_on(struct output *output, const struct part_record *found)
{
    int status;

    output->record.capacity = output->grid.capacity = found->capacity;
    if (!(status = output_live_begin(output)))
        output->live->is_same = stand_alike(&output->record, found);
    return status;
}

static bool extend(const struct output *output, const char *name, uint64_t rows)
{
    hid_t dataset = hdf5.H5Dopen2(output->live->file, name, H5P_DEFAULT), space;
    hsize_t extent[GRID_MAX_RANK] = {0};
    bool is = dataset >= 0 && (space = hdf5.H5Dget_space(dataset)) >= 0;

    if (is) {
        hdf5.H5Sget_simple_extent_dims(space, extent, NULL);
        hdf5.H5Sclose(space);
        extent[0] = rows;
        is = hdf5.H5Dset_extent(dataset, extent) >= 0;
    }
    if (dataset >= 0)
        hdf5.H5Dclose(dataset);
    return is;
}

static bool extend_all(const struct output *output, uint64_t rows)
{
    char name[PATH_MAX + RESULT_NAME_SIZE];
    const struct result *result = &output->result;
    bool is = true;

    for (unsigned i = 0; is && i < result->count; i++) {
        snprintf(name, sizeof name, "%s%s%s", output->dataset, result->is_struct ? "/" : "",
                 result->is_struct ? result->field[i].name : "");
        is = extend(output, name, rows);
    }
    snprintf(name, sizeof name, "%s.done", output->dataset);
    return is && extend(output, name, rows) && hdf5.H5Fflush(output->live->file, H5F_SCOPE_GLOBAL) >= 0;
}

/* So that a reader that doesn't know of SWMR opens it, too. */
void output_live_close(struct output *output)
{
    struct live_file *live = output->live;
    struct hdf5_guard guard;

    if (!live || live->file < 0)
        return;
    hdf5_enter(&guard);
    hdf5.H5Fclose(live->file);
    hdf5_leave(&guard);
    live->file = -1;
    if (live->is_same && live->is_shown && output->fd >= 0)
        live->is_shown = copy_gaps(output);
}

int output_live_show(const struct output *output, uint64_t rows)
{
    struct hdf5_guard guard;
    int status = 0;

    if (!output->live->is_same)
        return 0;
    hdf5_enter(&guard);
    if (!extend_all(output, rows))
        status = hdf5_error_set(MPM_EIO, "cannot extend %s", output->dataset);
    hdf5_leave(&guard);
    if (!status && !copy_gaps(output))
        status = error_set_errno(MPM_EIO, "cannot write %s", output->part);
    return status;
}

void output_live_end(struct output *output)
{
    struct live_file *live = output->live;

    if (!live)
        return;
    output_live_close(output);
    if (live->fd >= 0)
        close(live->fd);
    free(live->shown);
    free(live);
    output->live = NULL;
}

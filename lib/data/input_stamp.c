/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether two processes have the same input. Each looks at its own: a bounded number of bytes of the file that the data
 * set stands in (which another file may link to), and where the values stand in yet other files, at some values. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/part.h"
#include "data/sum.h"
#include "mpmap/runtime.h"

#define PIECES         8
#define PIECE_SIZE     4096
#define SAMPLED_ROWS   3
#define SAMPLED_VALUES 256 /* of a row, at most */

/* The first piece, the last, and some between. */
static uint64_t sum_pieces(int fd, uint64_t size)
{
    uint64_t sum = SUM_EMPTY, last = size > PIECE_SIZE ? size - PIECE_SIZE : 0;
    char piece[PIECE_SIZE];

    for (uint64_t i = 0; i < PIECES; i++) {
        ssize_t got = read_at(fd, piece, sizeof piece,
                              last / (PIECES - 1) * i + (i == PIECES - 1 ? last % (PIECES - 1) : 0));
        sum = sum_add(sum, piece, got > 0 ? (size_t)got : 0);
    }
    return sum;
}

static void stamp_file(struct input_stamp *stamp, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &status) == 0)
        *stamp = (struct input_stamp){(uint64_t)status.st_size, status.st_mtim.tv_sec,
                                      sum_pieces(fd, (uint64_t)status.st_size)};
    if (fd >= 0)
        close(fd);
}

bool input_is_elsewhere(const struct input *input)
{
    hid_t creation = hdf5.H5Dget_create_plist(input->dataset);
    bool has = creation >= 0 &&
               (hdf5.H5Pget_layout(creation) == H5D_VIRTUAL || hdf5.H5Pget_external_count(creation) > 0);

    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return has;
}

static bool read_values(const struct input *input, hid_t file_space, uint64_t row, hsize_t count,
                        void *values)
{
    hsize_t start[MAX_RANK] = {row}, extent[MAX_RANK];
    hid_t memory = hdf5.H5Screate_simple(1, &count, NULL);
    bool is_read;

    for (unsigned i = 0; i <= input->rank; i++)
        extent[i] = 1;
    if (input->rank > 0)
        extent[input->rank] = count;
    is_read = memory >= 0 &&
              hdf5.H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
              hdf5.H5Dread(input->dataset, input->memory, memory, file_space, H5P_DEFAULT, values) >= 0;
    if (memory >= 0)
        hdf5.H5Sclose(memory);
    return is_read;
}

/* What cannot be read counts as that. */
static uint64_t add_row(const struct input *input, uint64_t sum, uint64_t row, hid_t file_space)
{
    hsize_t count = 1;
    size_t size;
    void *values;

    if (input->rank > 0)
        count = input->extent[input->rank] < SAMPLED_VALUES ? input->extent[input->rank] : SAMPLED_VALUES;
    size = (size_t)count * hdf5.H5Tget_size(input->memory);
    if (!(values = calloc(1, size)) || !read_values(input, file_space, row, count, values))
        sum = sum_add(sum, "?", 1);
    else
        sum = sum_add(sum, values, size);
    free(values);
    return sum;
}

static uint64_t add_values(const struct input *input, uint64_t sum)
{
    hid_t space = hdf5.H5Dget_space(input->dataset);
    uint64_t rows = input->extent[0];

    for (uint64_t i = 0; space >= 0 && rows > 0 && i < SAMPLED_ROWS; i++)
        sum = add_row(input, sum, i == SAMPLED_ROWS - 1 ? rows - 1 : (rows - 1) / (SAMPLED_ROWS - 1) * i,
                      space);
    if (space >= 0)
        hdf5.H5Sclose(space);
    return sum;
}

void input_take_stamp(struct input *input)
{
    char path[PATH_MAX] = "";

    if (hdf5.H5Fget_name(input->dataset, path, sizeof path) > 0)
        stamp_file(&input->stamp, path);
    if (!input_is_variable(input) && input_is_elsewhere(input))
        input->stamp.sum = add_values(input, input->stamp.sum);
}

static bool may_change(const struct input *input)
{
    return input->locking == INPUT_HAS_NONE || input->has_swmr_writer || input->grows_elsewhere;
}

void input_identify(const struct input *input, struct input_identity *identity)
{
    *identity = (struct input_identity){.file_rows = input->file_rows,
                                        .row = input->row,
                                        .may_change = may_change(input),
                                        .node = mpm_node_id(),
                                        .stamp = input->stamp};
}

static const char *name_of(const struct input *input)
{
    const char *slash = strrchr(input->file_name, '/');

    return slash ? slash + 1 : input->file_name;
}

/* `difference` says what it has here, and not there. */
static int differs(const struct input *input, const struct input_identity *other, const char *difference)
{
    unsigned here = mpm_node_id();
    mpm_node node = {.name = ""}, first = {.name = ""};

    if (here == other->node)
        return error_set(MPM_EIO, "%s has changed since the map began: %s", name_of(input), difference);
    if (mpm_node_info(here, &node) || mpm_node_info(other->node, &first))
        return error_set(MPM_EIO, "%s is a different file on another node: %s", name_of(input), difference);
    return error_set(MPM_EIO, "%s is not the same file on node %u (%s) as on node %u (%s): %s",
                     name_of(input), here, node.name, other->node, first.name, difference);
}

static char *format_time(int64_t time_s, char text[32])
{
    time_t time = time_s;
    struct tm parts;

    if (!gmtime_r(&time, &parts) || !strftime(text, 32, "%F %TZ", &parts))
        snprintf(text, 32, "%" PRId64, time_s);
    return text;
}

void input_describe_stamp(const struct input *input, char size[32], char changed[32], char sum[32])
{
    static const char unknown[] = "not checked";

    if (may_change(input) || input->follows) {
        strcpy(size, unknown);
        strcpy(changed, unknown);
        strcpy(sum, unknown);
        return;
    }
    snprintf(size, 32, "%" PRIu64 " bytes", input->stamp.size);
    format_time(input->stamp.time_s, changed);
    snprintf(sum, 32, "%016" PRIx64, input->stamp.sum);
}

static bool has_same_shape(const struct input *input, const struct input_identity *other)
{
    return (other->may_change ? input->file_rows >= other->file_rows
                              : input->file_rows == other->file_rows) &&
           input->row.type == other->row.type && input->row.rank == other->row.rank &&
           !memcmp(input->row.extent, other->row.extent, other->row.rank * sizeof other->row.extent[0]);
}

static int check_shape(const struct input *input, const struct input_identity *other)
{
    char row[64], other_row[64], text[192];

    if (has_same_shape(input, other))
        return 0;
    snprintf(text, sizeof text, "%" PRIu64 " x %s, not %" PRIu64 " x %s", input->file_rows,
             mpm_shape_format(&input->row, row, sizeof row), other->file_rows,
             mpm_shape_format(&other->row, other_row, sizeof other_row));
    return differs(input, other, text);
}

int input_check_same(const struct input *input, const struct input_identity *other)
{
    const struct input_stamp *here = &input->stamp, *there = &other->stamp;
    char text[128], time[32], other_time[32];
    int status = check_shape(input, other);

    if (status || other->may_change || may_change(input))
        return status;
    if (here->size != there->size)
        snprintf(text, sizeof text, "%" PRIu64 " bytes, not %" PRIu64, here->size, there->size);
    else if (here->sum != there->sum)
        snprintf(text, sizeof text, "its bytes add up to %016" PRIx64 ", not %016" PRIx64, here->sum,
                 there->sum);
    else if (here->time_s != there->time_s)
        snprintf(text, sizeof text, "last changed %s, not %s", format_time(here->time_s, time),
                 format_time(there->time_s, other_time));
    else
        return 0;
    return differs(input, other, text);
}

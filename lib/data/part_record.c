/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing the record of a part, and finding out whether one that was left can be believed. Every number in it is
 * compared with the length of the file before it is used, although there is a checksum. */
#include "data/part_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/sum.h"

#define PIECE_SIZE ((size_t)64 << 10)

static uint64_t sum_of_record(const struct part_record *record)
{
    const char *from = (const char *)&record->format;

    return sum_add(SUM_EMPTY, from, sizeof *record - (size_t)(from - (const char *)record));
}

/* Adds the bytes [from, to) of the file. */
static bool add_range(int fd, uint64_t from, uint64_t to, uint64_t *sum)
{
    char piece[PIECE_SIZE];

    while (from < to) {
        size_t size = to - from < sizeof piece ? (size_t)(to - from) : sizeof piece;
        ssize_t got = read_at(fd, piece, size, from);

        if (got <= 0)
            return false;
        *sum = sum_add(*sum, piece, (size_t)got);
        from += (uint64_t)got;
    }
    return true;
}

struct region {
    uint64_t from, to;
};

/* Results and marks, in the order in which they stand. */
static void find_regions(const struct part_record *record, struct region region[2])
{
    const struct region results = {record->results_at,
                                   record->results_at + record->rows * record->result_size};
    const struct region marks = {record->marks_at, record->marks_at + record->rows};
    bool results_first = results.from < marks.from;

    region[0] = results_first ? results : marks;
    region[1] = results_first ? marks : results;
}

static bool sum_layout(int fd, const struct part_record *record, uint64_t *sum)
{
    struct region region[2];

    find_regions(record, region);
    *sum = SUM_EMPTY;
    return add_range(fd, 0, region[0].from, sum) && add_range(fd, region[0].to, region[1].from, sum) &&
           add_range(fd, region[1].to, record->sums_at, sum);
}

uint64_t part_sums_size(uint64_t rows)
{
    return rows * PART_SUM_SIZE + (rows / PART_GROUP_ROWS + 1) * PART_GROUP_SIZE;
}

uint64_t part_size(uint64_t size, uint64_t rows)
{
    return size + part_sums_size(rows) + sizeof(struct part_record);
}

int part_write_record(int fd, const char *path, struct part_record *record)
{
    int status = part_make_token(path, &record->token);

    if (status)
        return status;
    record->format = PART_FORMAT;
    record->record_at = record->sums_at + part_sums_size(record->rows);
    if (!sum_layout(fd, record, &record->layout_sum))
        return error_set_errno(MPM_EIO, "cannot read %s", path);
    record->sum = sum_of_record(record);
    if (!write_at(fd, record, sizeof *record, record->record_at) || !part_flush(fd))
        return error_set_errno(MPM_EIO, "cannot write %s", path);
    return 0;
}

static bool fits(const struct part_record *record, uint64_t file_size)
{
    struct region region[2];
    uint64_t results, end;

    if (__builtin_mul_overflow(record->rows, record->result_size, &results) || record->rows > file_size ||
        results > file_size || record->results_at > file_size || record->marks_at > file_size ||
        record->sums_at > file_size)
        return false;
    find_regions(record, region);
    end = record->sums_at + part_sums_size(record->rows);
    return region[0].to <= region[1].from && region[1].to <= record->sums_at && end == record->record_at &&
           end + sizeof *record == file_size;
}

/* The record as it stands, and the length of its file. */
static bool read_record(int fd, struct part_record *record, uint64_t *file_size)
{
    struct stat status;

    if (fstat(fd, &status) || status.st_size < (off_t)sizeof *record)
        return false;
    *file_size = (uint64_t)status.st_size;
    return read_at(fd, record, sizeof *record, *file_size - sizeof *record) == sizeof *record &&
           part_is_token(&record->token);
}

bool part_read_record(int fd, struct part_record *record, char *why, size_t size)
{
    uint64_t file_size, sum;

    if (!read_record(fd, record, &file_size))
        snprintf(why, size, "it does not end like a .part file: it was truncated, or is some other file");
    else if (record->sum != (sum = sum_of_record(record)))
        snprintf(why, size, "its record is damaged: the checksum is %016" PRIx64 ", not %016" PRIx64, sum,
                 record->sum);
    else if (record->format != PART_FORMAT)
        snprintf(why, size, "it has format %" PRIu64 ", but this mpmap reads format %u", record->format,
                 PART_FORMAT);
    else if (!fits(record, file_size))
        snprintf(why, size, "its %" PRIu64 " bytes do not match %" PRIu64 " results of %" PRIu64 " bytes",
                 file_size, record->rows, record->result_size);
    else if (!sum_layout(fd, record, &sum))
        snprintf(why, size, "it cannot be read: %s", strerror(errno));
    else if (sum != record->layout_sum)
        snprintf(why, size, "the HDF5 part of it is damaged: the checksum is %016" PRIx64 ", not %016" PRIx64,
                 sum, record->layout_sum);
    else
        return true;
    return false;
}

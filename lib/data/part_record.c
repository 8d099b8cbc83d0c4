/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing the record of a part, and finding out whether one that was left can be believed. Every number in it is
 * compared with the length of the file before it is used, although there is a checksum. */
#include "data/part_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static int compare_regions(const void *a, const void *b)
{
    const struct region *one = a, *other = b;

    return one->from != other->from ? (one->from < other->from ? -1 : 1)
                                    : (one->to > other->to) - (one->to < other->to);
}

/* Results and marks, in the order in which they stand. Returns how many. */
static unsigned find_regions(const struct part_record *record, struct region region[RESULT_MOST_FIELDS + 1])
{
    unsigned count = 0;

    for (unsigned i = 0; i < record->results.count; i++) {
        const struct result_place *field = &record->results.field[i];

        region[count++] = (struct region){field->at, field->at + record->capacity * field->size};
    }
    region[count++] = (struct region){record->marks_at, record->marks_at + record->capacity};
    qsort(region, count, sizeof *region, compare_regions);
    return count;
}

static bool sum_layout(int fd, const struct part_record *record, uint64_t *sum)
{
    struct region region[RESULT_MOST_FIELDS + 1];
    unsigned count = find_regions(record, region);
    uint64_t at = 0;

    *sum = SUM_EMPTY;
    if (record->is_live)
        return true;
    for (unsigned i = 0; i < count; i++) {
        if (!add_range(fd, at, region[i].from, sum))
            return false;
        at = region[i].to;
    }
    return add_range(fd, at, record->sums_at, sum);
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
    record->record_at = record->sums_at + part_sums_size(record->capacity);
    record->begun = record->rows;
    if (!sum_layout(fd, record, &record->layout_sum))
        return error_set_errno(MPM_EIO, "cannot read %s", path);
    record->sum = sum_of_record(record);
    if (!write_at(fd, record, sizeof *record, record->record_at) || !part_flush(fd))
        return error_set_errno(MPM_EIO, "cannot write %s", path);
    return 0;
}

bool part_write_begun(int fd, const struct part_record *record)
{
    return write_at(fd, &record->rows, sizeof record->rows,
                    record->record_at + offsetof(struct part_record, begun));
}

/* Whether the numbers of the fields are such that nothing overflows. */
static bool fields_fit(const struct part_record *record, uint64_t file_size)
{
    const struct result_places *results = &record->results;
    uint64_t size;

    if (results->count == 0 || results->count > RESULT_MOST_FIELDS || results->size == 0)
        return false;
    for (unsigned i = 0; i < results->count; i++) {
        const struct result_place *field = &results->field[i];

        if (field->size == 0 || field->size > results->size || field->offset > results->size - field->size ||
            __builtin_mul_overflow(record->capacity, field->size, &size) || size > file_size ||
            field->at > file_size)
            return false;
    }
    return true;
}

static bool fits(const struct part_record *record, uint64_t file_size)
{
    struct region region[RESULT_MOST_FIELDS + 1];
    uint64_t end, at = 0;
    unsigned count;

    if (record->capacity > file_size || record->rows > record->capacity ||
        (!record->is_live && record->rows != record->capacity) || record->marks_at > file_size ||
        record->sums_at > file_size || !fields_fit(record, file_size))
        return false;
    count = find_regions(record, region);
    for (unsigned i = 0; i < count; i++) {
        if (region[i].from < at)
            return false;
        at = region[i].to;
    }
    end = record->sums_at + part_sums_size(record->capacity);
    return at <= record->sums_at && end == record->record_at && end + sizeof *record == file_size;
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

/* A live part may have lost the note of the last rows that were begun: they are run again. One that is damaged says
 * more rows than there is room for. */
static bool take_begun(struct part_record *record)
{
    if (record->is_live)
        record->rows = record->begun < record->capacity ? record->begun : record->capacity;
    return true;
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
                 file_size, record->rows, record->results.size);
    else if (!sum_layout(fd, record, &sum))
        snprintf(why, size, "it cannot be read: %s", strerror(errno));
    else if (sum != record->layout_sum)
        snprintf(why, size, "the HDF5 part of it is damaged: the checksum is %016" PRIx64 ", not %016" PRIx64,
                 sum, record->layout_sum);
    else
        return take_begun(record);
    return false;
}

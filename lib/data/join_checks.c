/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing the file of checks, and finding out what it proves, together with the checksums in the part itself, which are
 * of a run that was alone. */
#include "data/join_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/marks.h"

#define PIECE_SIZE ((uint64_t)4 << 10)
/* A run that was alone may have written blocks that go beyond the border of a claim. Those that begin so many rows
 * before it are looked at; rows of larger ones are run again. Blocks of joined runs are within a claim. */
#define LOOK_BACK_ROWS ((uint64_t)8 << 10)

static uint64_t failed_at(const struct part_places *places)
{
    return part_sums_size(places->capacity);
}

/* The places for checksums, when they are here. */
static struct part_places places_here(const struct part_places *places)
{
    struct part_places here = *places;

    here.sums_at = 0;
    return here;
}

int checks_make(int folder, uint64_t rows)
{
    int fd = openat(folder, CHECKS_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666),
        failed = fd < 0 ? errno : 0;

    if (!failed && ftruncate(fd, (off_t)(part_sums_size(rows) + rows)))
        failed = errno;
    if (fd >= 0 && close(fd) && !failed)
        failed = errno;
    return failed;
}

int checks_open(const char *path, int *fd)
{
    *fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return *fd < 0 ? error_set_errno(MPM_EIO,
                                     "cannot open %s: it must be on a file system that all nodes share", path)
                   : 0;
}

bool checks_write_good(const struct checks_files *files, const struct part_places *places, uint64_t first,
                       uint64_t count, const unsigned char *marks, const unsigned char *results)
{
    const struct part_places here = places_here(places);
    const struct block_sum sum = block_sum_of(places, first, count, marks, results);

    return result_write(files->part, &places->results, first, count, results) &&
           block_sum_write(files->checks, &here, &sum) &&
           write_at(files->part, marks, count, places->marks_at + first);
}

bool checks_fail_rows(int checks, const struct part_places *places, uint64_t first, uint64_t count)
{
    unsigned char failed[PIECE_SIZE];

    memset(failed, 1, sizeof failed);
    for (uint64_t done = 0, step; done < count; done += step) {
        step = count - done < sizeof failed ? count - done : sizeof failed;
        if (!write_at(checks, failed, step, failed_at(places) + first + done))
            return false;
    }
    return true;
}

struct finding {
    uint64_t first, end;
    unsigned char *found;
};

/* Every row of a block is taken for good here: look_at_marks() then reads which mark it has. */
static void note_block(const struct block_sum *block, void *argument)
{
    const struct finding *finding = argument;
    uint64_t first = block->first, end = first + block->rows;

    first = first > finding->first ? first : finding->first;
    end = end < finding->end ? end : finding->end;
    if (first < end)
        memset(finding->found + (first - finding->first), ROW_DONE, end - first);
}

static bool read_all(int fd, unsigned char *bytes, uint64_t size, uint64_t at)
{
    ssize_t got = read_at(fd, bytes, size, at);

    if (got >= 0 && (uint64_t)got < size)
        errno = ENODATA;
    return got >= 0 && (uint64_t)got == size;
}

/* Of rows [at, at + count): those that are proved have the mark that they have. */
static bool look_at_marks(const struct checks_files *files, const struct part_places *places, uint64_t at,
                          uint64_t count, unsigned char *found)
{
    unsigned char marks[PIECE_SIZE], failed[PIECE_SIZE];

    if (!read_all(files->part, marks, count, places->marks_at + at) ||
        !read_all(files->checks, failed, count, failed_at(places) + at))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        bool is_proved = found[i] == ROW_DONE && (marks[i] == ROW_DONE || marks[i] == ROW_FAILED);

        found[i] = is_proved ? marks[i] : failed[i] ? ROW_FAILED : ROW_NOT_DONE;
    }
    return true;
}

bool checks_find(const struct checks_files *files, const struct part_places *places, uint64_t first,
                 uint64_t end, unsigned char *found)
{
    struct finding finding = {first, end, found};
    const uint64_t before = first < LOOK_BACK_ROWS ? 0 : first - LOOK_BACK_ROWS;
    const struct block_search of_one = {files->part, files->part, *places, before, end, files->values};
    const struct block_search of_joined = {files->part, files->checks, places_here(places),
                                           first,       end,           files->values};

    memset(found, ROW_NOT_DONE, end - first);
    if (!block_sums_search(&of_one, note_block, &finding) ||
        !block_sums_search(&of_joined, note_block, &finding))
        return false;
    for (uint64_t at = first, count; at < end; at += count) {
        count = end - at < PIECE_SIZE ? end - at : PIECE_SIZE;
        if (!look_at_marks(files, places, at, count, found + (at - first)))
            return false;
    }
    return true;
}

static bool count_failed(const struct checks_files *files, const struct part_places *places, uint64_t *count)
{
    unsigned char marks[PIECE_SIZE], failed[PIECE_SIZE];

    for (uint64_t at = 0, step; at < places->rows; at += step) {
        step = places->rows - at < PIECE_SIZE ? places->rows - at : PIECE_SIZE;
        if (!read_all(files->part, marks, step, places->marks_at + at) ||
            !read_all(files->checks, failed, step, failed_at(places) + at))
            return false;
        for (uint64_t i = 0; i < step; i++)
            *count += failed[i] && marks[i] == ROW_NOT_DONE;
    }
    return true;
}

bool checks_count_failed(const char *path, int part, const struct part_places *places, uint64_t *failed)
{
    struct checks_files files = {.part = part, .checks = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    bool is_counted;

    *failed = 0;
    if (files.checks < 0)
        return errno == ENOENT || errno == ENOTDIR;
    is_counted = count_failed(&files, places, failed);
    close(files.checks);
    return is_counted;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows of a part are left. A row is done if it has a mark and is in a block whose checksum is right: what was
 * lost on the way to the disk, or has changed there, is run again. A mark that is taken back would spoil the checksum
 * of its block, so the rows around it are proved by new ones first: whoever dies in between leaves rows that are proved
 * twice, or rows with a mark that nothing proves. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/block_sum.h"
#include "data/output.h"

#define PIECE_ROWS  ((uint64_t)16 << 10)
#define BLOCK_BYTES ((uint64_t)1 << 20) /* of results that are proved again together */

struct search {
    struct output *output;
    unsigned char *kept; /* a bit a row: it is proved, and is not to be run */
    uint64_t damaged, retried;
    bool is_joined; /* some are proved by the checks of runs that had joined, which will be removed */
};

static bool is_kept(const struct search *search, uint64_t row)
{
    return search->kept[row / 8] >> row % 8 & 1;
}

static void keep(struct search *search, uint64_t row, bool kept)
{
    unsigned char bit = (unsigned char)(1u << row % 8);

    search->kept[row / 8] = (unsigned char)(kept ? search->kept[row / 8] | bit
                                                 : search->kept[row / 8] & ~bit);
}

static bool read_all_of(int fd, void *bytes, uint64_t size, uint64_t at)
{
    ssize_t got = read_at(fd, bytes, size, at);

    if (got >= 0 && (uint64_t)got < size)
        errno = ENODATA;
    return got >= 0 && (uint64_t)got == size;
}

static uint64_t piece_at(const struct output *output, uint64_t first)
{
    uint64_t rows = output->record.rows - first;

    return rows < PIECE_ROWS ? rows : PIECE_ROWS;
}

static void keep_block(const struct block_sum *block, void *argument)
{
    for (uint64_t row = block->first; row < block->first + block->rows; row++)
        keep(argument, row, true);
}

/* Looks at a mark, and decides what becomes of its row. */
static void sort_row(struct search *search, uint64_t row, unsigned char mark)
{
    struct output *output = search->output;
    bool is_proved = is_kept(search, row) && (mark == ROW_DONE || mark == ROW_FAILED);
    bool is_retried = is_proved && mark == ROW_FAILED && output->retry_failed;

    search->damaged += !is_proved && mark != ROW_NOT_DONE;
    search->retried += is_retried;
    keep(search, row, is_proved && !is_retried);
    output->good += is_proved && mark == ROW_DONE;
    output->failed += is_proved && mark == ROW_FAILED && !is_retried;
}

static bool sort_rows(struct search *search)
{
    const struct output *output = search->output;
    unsigned char marks[PIECE_ROWS];

    for (uint64_t first = 0, count; first < output->record.rows; first += count) {
        count = piece_at(output, first);
        if (!read_all_of(output->fd, marks, count, output->record.marks_at + first))
            return false;
        for (uint64_t i = 0; i < count; i++)
            sort_row(search, first + i, marks[i]);
    }
    return true;
}

static bool prove_block(const struct output *output, uint64_t first, uint64_t rows, unsigned char *marks,
                        unsigned char *results)
{
    const struct part_record *record = &output->record;
    const struct part_places places = part_places_of(record);
    struct block_sum sum;

    if (!read_all_of(output->fd, marks, rows, record->marks_at + first) ||
        !result_read(output->fd, &record->results, first, rows, results))
        return false;
    sum = block_sum_of(&places, first, rows, marks, results);
    return block_sum_write(output->fd, &places, &sum);
}

/* Gives runs of rows that are kept checksums of their own. */
static bool prove_kept(const struct search *search)
{
    const struct output *output = search->output;
    uint64_t rows = output->record.rows, size = output->record.results.size;
    uint64_t most = BLOCK_BYTES / size ? BLOCK_BYTES / size : 1, count;
    unsigned char *marks = malloc(most), *results = malloc(most * size);
    bool done = marks && results;

    for (uint64_t row = 0; row < rows && done; row += count ? count : 1) {
        for (count = 0; row + count < rows && count < most && is_kept(search, row + count);)
            count++;
        done = !count || prove_block(output, row, count, marks, results);
    }
    free(marks);
    free(results);
    return done;
}

/* Rows that are to be run have no mark from here on. */
static bool take_marks_back(const struct search *search)
{
    const struct output *output = search->output;
    unsigned char marks[PIECE_ROWS];

    for (uint64_t first = 0, count; first < output->record.rows; first += count) {
        bool is_changed = false;

        count = piece_at(output, first);
        if (!read_all_of(output->fd, marks, count, output->record.marks_at + first))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            if (is_kept(search, first + i) || marks[i] == ROW_NOT_DONE)
                continue;
            marks[i] = ROW_NOT_DONE;
            is_changed = true;
        }
        if (is_changed && !write_at(output->fd, marks, count, output->record.marks_at + first))
            return false;
    }
    return true;
}

static int list_left(struct search *search)
{
    struct output *output = search->output;
    uint64_t rows = output->record.rows, count = rows - output->good - output->failed;

    output->left_count = count;
    if (count == rows || count == 0)
        return 0;
    if (!(output->left = malloc(count * sizeof *output->left)))
        return error_set(MPM_ENOMEM, "no memory for a list of %" PRIu64 " rows that are left", count);
    for (uint64_t row = 0, at = 0; row < rows; row++) {
        if (!is_kept(search, row))
            output->left[at++] = row;
    }
    return 0;
}

/* What runs that had joined have proved. */
static bool find_joined(struct search *search)
{
    const struct output *output = search->output;
    struct block_search of_joined = {.fd = output->fd, .places = part_places_of(&output->record)};
    bool is_found;

    of_joined.places.sums_at = 0;
    of_joined.end = output->record.rows;
    of_joined.values = output->values;
    of_joined.sums = open(output->checks_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (of_joined.sums < 0)
        return errno == ENOENT;
    search->is_joined = true;
    is_found = block_sums_search(&of_joined, keep_block, search);
    close(of_joined.sums);
    return is_found;
}

static int find_left(struct search *search)
{
    struct output *output = search->output;
    const struct part_places places = part_places_of(&output->record);

    if (!block_sums_find(output->fd, &places, output->values, keep_block, search) || !find_joined(search) ||
        !sort_rows(search))
        return error_set_errno(MPM_EIO, "cannot read %s", output->part);
    if ((search->retried || search->is_joined) && !prove_kept(search))
        return error_set_errno(MPM_EIO, "cannot write checksums in %s", output->part);
    if (search->retried + search->damaged && !take_marks_back(search))
        return error_set_errno(MPM_EIO, "cannot write marks in %s", output->part);
    if (search->damaged)
        output_tell(output,
                    "%s: %" PRIu64 " rows are marked, but their results are incomplete: they are run again",
                    output->part, search->damaged);
    return list_left(search);
}

int output_find_left(struct output *output)
{
    struct search search = {.output = output, .kept = calloc(output->record.rows / 8 + 1, 1)};
    int status;

    output->good = output->failed = output->left_count = 0;
    status = search.kept ? find_left(&search)
                         : error_set(MPM_ENOMEM, "no memory for a bit for each of %" PRIu64 " rows",
                                     output->record.rows);
    free(search.kept);
    return status;
}

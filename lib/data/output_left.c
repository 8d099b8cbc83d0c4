/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows of a part are left. A row is done if it has a mark and the checksum of its mark and result is right: what
 * was lost on the way to the disk, or has changed there, is run again. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/output.h"
#include "data/sum.h"

#define PIECE_ROWS  ((uint64_t)16 << 10)
#define PIECE_BYTES ((uint64_t)1 << 20) /* of results, unless one is larger */

/* Some consecutive rows of the part. */
struct piece {
    uint64_t first, rows;
    uint64_t most_rows;
    unsigned char *marks, *results;
    uint32_t *sums;
    bool is_changed; /* a mark was taken back */
};

struct search {
    struct output *output;
    struct piece piece;
    uint64_t room; /* of `left` */
    uint64_t damaged;
};

static int open_piece(struct piece *piece, const struct part_record *record)
{
    piece->most_rows = PIECE_BYTES / record->result_size;
    piece->most_rows = piece->most_rows < 1            ? 1
                       : piece->most_rows > PIECE_ROWS ? PIECE_ROWS
                                                       : piece->most_rows;
    piece->marks = malloc(piece->most_rows);
    piece->sums = malloc(piece->most_rows * sizeof *piece->sums);
    piece->results = malloc(piece->most_rows * record->result_size);
    if (piece->marks && piece->sums && piece->results)
        return 0;
    return error_set(MPM_ENOMEM, "no memory for a result of %" PRIu64 " bytes", record->result_size);
}

static void close_piece(struct piece *piece)
{
    free(piece->marks);
    free(piece->sums);
    free(piece->results);
}

static bool read_all_of(int fd, void *bytes, uint64_t size, uint64_t at)
{
    ssize_t got = read_at(fd, bytes, size, at);

    if (got >= 0 && (uint64_t)got < size)
        errno = ENODATA;
    return got >= 0 && (uint64_t)got == size;
}

/* Checksums and results of rows without a mark are not looked at: most of a part may be that. */
static bool read_piece(const struct output *output, struct piece *piece)
{
    const struct part_record *record = &output->record;
    bool has_marks = false;

    piece->rows = record->rows - piece->first < piece->most_rows ? record->rows - piece->first
                                                                 : piece->most_rows;
    piece->is_changed = false;
    if (!read_all_of(output->fd, piece->marks, piece->rows, record->marks_at + piece->first))
        return false;
    for (uint64_t i = 0; i < piece->rows && !has_marks; i++)
        has_marks = piece->marks[i] != ROW_NOT_DONE;
    return !has_marks || (read_all_of(output->fd, piece->sums, piece->rows * sizeof *piece->sums,
                                      record->sums_at + piece->first * sizeof *piece->sums) &&
                          read_all_of(output->fd, piece->results, piece->rows * record->result_size,
                                      record->results_at + piece->first * record->result_size));
}

static int add_left(struct search *search, uint64_t row)
{
    struct output *output = search->output;

    if (output->left_count == search->room) {
        uint64_t room = search->room ? search->room * 2 : 1024;
        uint64_t *left = realloc(output->left, room * sizeof *left);

        if (!left)
            return error_set(MPM_ENOMEM, "no memory for a list of %" PRIu64 " rows that are left", room);
        output->left = left;
        search->room = room;
    }
    output->left[output->left_count++] = row;
    return 0;
}

/* Whether row i of the piece is to be kept, and counts it. */
static bool keeps(struct search *search, uint64_t i)
{
    struct output *output = search->output;
    const struct piece *piece = &search->piece;
    size_t size = output->record.result_size;
    unsigned char mark = piece->marks[i];

    if (mark == ROW_NOT_DONE)
        return false;
    if ((mark != ROW_DONE && mark != ROW_FAILED) ||
        piece->sums[i] != sum_of_row(piece->first + i, mark, piece->results + i * size, size)) {
        search->damaged++;
        return false;
    }
    output->good += mark == ROW_DONE;
    output->failed += mark == ROW_FAILED && !output->retry_failed;
    return mark == ROW_DONE || !output->retry_failed;
}

static int sort_piece(struct search *search)
{
    struct piece *piece = &search->piece;
    int status = 0;

    for (uint64_t i = 0; i < piece->rows && !status; i++) {
        if (keeps(search, i))
            continue;
        piece->is_changed |= piece->marks[i] != ROW_NOT_DONE;
        piece->marks[i] = ROW_NOT_DONE;
        status = add_left(search, piece->first + i);
    }
    return status;
}

static int search_pieces(struct search *search)
{
    struct output *output = search->output;
    struct piece *piece = &search->piece;
    int status = 0;

    for (; !status && piece->first < output->record.rows; piece->first += piece->rows) {
        if (!read_piece(output, piece))
            return error_set_errno(MPM_EIO, "cannot read %s", output->part);
        status = sort_piece(search);
        if (!status && piece->is_changed &&
            !write_at(output->fd, piece->marks, piece->rows, output->record.marks_at + piece->first))
            status = error_set_errno(MPM_EIO, "cannot write %s", output->part);
    }
    return status;
}

int output_find_left(struct output *output)
{
    struct search search = {.output = output};
    int status = open_piece(&search.piece, &output->record);

    output->good = output->failed = output->left_count = 0;
    if (!status)
        status = search_pieces(&search);
    close_piece(&search.piece);
    if (!status && search.damaged)
        output_tell(output,
                    "%s: %" PRIu64 " rows are marked, but their results are not whole: they are run again",
                    output->part, search.damaged);
    if (status || output->left_count == output->record.rows) {
        free(output->left);
        output->left = NULL;
    }
    return status;
}

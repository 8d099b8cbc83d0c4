/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting marks. A byte that is none of the three counts as none. */
#include "data/marks.h"

#include <errno.h>

#define PIECE_SIZE ((size_t)64 << 10)

static void count_piece(const unsigned char *marks, size_t size, uint64_t first, struct mark_count *count,
                        uint64_t *missing)
{
    uint64_t good = 0, failed = 0;

    for (size_t i = 0; i < size; i++) {
        good += marks[i] == ROW_DONE;
        failed += marks[i] == ROW_FAILED;
    }
    count->good += good;
    count->failed += failed;
    for (size_t i = 0; good + failed < size && first + i < *missing; i++) {
        if (marks[i] != ROW_DONE && marks[i] != ROW_FAILED)
            *missing = first + i;
    }
}

bool marks_count(int fd, const struct part_record *record, struct mark_count *count, uint64_t *missing)
{
    unsigned char marks[PIECE_SIZE];

    *count = (struct mark_count){0};
    *missing = record->rows;
    for (uint64_t row = 0; row < record->rows;) {
        uint64_t left = record->rows - row;
        ssize_t got = read_at(fd, marks, left < sizeof marks ? (size_t)left : sizeof marks,
                              record->marks_at + row);

        if (got <= 0) {
            errno = got ? errno : ENODATA;
            return false;
        }
        count_piece(marks, (size_t)got, row, count, missing);
        row += (uint64_t)got;
    }
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The marks of rows, in a part or a finished output: a byte each. For data/ only. */
#ifndef DATA_MARKS_H
#define DATA_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include "data/part_record.h"

/* A byte of the `.done` data set. It is written after its row's result. */
enum row_mark { ROW_NOT_DONE, ROW_DONE, ROW_FAILED };

struct mark_count {
    uint64_t good, failed;
};

/* Counts them in an open file, of which `rows` and `marks_at` are used; `missing` is the first row without one, or
 * `rows`. False and errno if they cannot be read. */
bool marks_count(int fd, const struct part_record *record, struct mark_count *count, uint64_t *missing);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows of a data set are read: all, a range, or a list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/sum.h"

#define MOST_INDEXES ((uint64_t)1 << 26)

static bool is_all(const mpm_row_choice *choice)
{
    return !choice->indexes && !choice->first && !choice->end && !choice->step;
}

static int has_not(const struct input *input, uint64_t row)
{
    return error_set(MPM_EINVAL, "row %" PRIu64 " is chosen, but %s:%s has %" PRIu64 " rows", row,
                     input->file_name, input->dataset_name, input->file_rows);
}

static int choose_list(struct input *input)
{
    const mpm_row_choice *choice = &input->choice;

    if (choice->first || choice->end || choice->step)
        return error_set(MPM_EINVAL, "both a range and a list of rows are chosen: give only one");
    if (choice->index_count > MOST_INDEXES)
        return error_set(MPM_EINVAL, "a list of %" PRIu64 " rows is too long: at most 2^26 are allowed",
                         choice->index_count);
    if (choice->mask_rows && choice->mask_rows != input->file_rows)
        return error_set(MPM_EINVAL,
                         "the mask of rows has %" PRIu64 " values, but %s:%s has %" PRIu64 " rows",
                         choice->mask_rows, input->file_name, input->dataset_name, input->file_rows);
    for (uint64_t i = 0; i < choice->index_count; i++) {
        if (choice->indexes[i] >= input->file_rows)
            return has_not(input, choice->indexes[i]);
    }
    input->rows = choice->index_count;
    input->band_rows = 1;
    return 0;
}

static int choose_range(struct input *input)
{
    mpm_row_choice *choice = &input->choice;

    choice->step = choice->step ? choice->step : 1;
    if (input->follows && choice->end)
        return error_set(
            MPM_EINVAL,
            "a choice of rows whose data set is followed (--follow) has no end: write it like --rows "
            "10: or --rows ::2");
    choice->end = choice->end ? choice->end : input->file_rows;
    if (choice->end > input->file_rows)
        return has_not(input, choice->end - 1);
    if (input->follows && choice->first >= choice->end) {
        choice->end = choice->first;
        input->rows = 0;
        return 0;
    }
    if (choice->first >= choice->end)
        return error_set(MPM_EINVAL,
                         "rows %" PRIu64 " to %" PRIu64
                         " of %s:%s are chosen, which are none: it has %" PRIu64,
                         choice->first, choice->end, input->file_name, input->dataset_name, input->file_rows);
    input->rows = (choice->end - choice->first - 1) / choice->step + 1;
    input->band_rows = input->chunk_rows > choice->step ? input->chunk_rows / choice->step : 1;
    return 0;
}

int input_choose(struct input *input)
{
    int status;

    input->rows = input->file_rows;
    input->band_rows = input->chunk_rows;
    if (is_all(&input->choice))
        return 0;
    status = input->choice.indexes ? choose_list(input) : choose_range(input);
    input->chunk_rows = 1;
    return status;
}

uint64_t input_most_rows(const struct input *input)
{
    const mpm_row_choice *choice = &input->choice;
    uint64_t step = choice->step ? choice->step : 1;

    if (input->most_rows == UINT64_MAX)
        return UINT64_MAX;
    return input->most_rows > choice->first ? (input->most_rows - choice->first - 1) / step + 1 : 0;
}

size_t input_find_run(const struct input *input, uint64_t first, size_t count, uint64_t *start,
                      uint64_t *step)
{
    const uint64_t *indexes = input->choice.indexes;
    size_t run = 1;

    if (!indexes) {
        *step = input->choice.step ? input->choice.step : 1;
        *start = input->choice.first + first * *step;
        return count;
    }
    indexes += first;
    *start = indexes[0];
    *step = count > 1 && indexes[1] > indexes[0] ? indexes[1] - indexes[0] : 1;
    while (run < count && indexes[run] == indexes[run - 1] + *step)
        run++;
    return run;
}

char *input_describe_choice(const struct input *input, char *text, size_t size)
{
    const mpm_row_choice *choice = &input->choice;
    size_t length = strlen(tiles_describe(&input->cut, text, size));

    if (length && !is_all(choice) && size - length > 2)
        length += (size_t)snprintf(text + length, size - length, "; ");
    if (input->follows && !is_all(choice))
        snprintf(text + length, size - length, "%" PRIu64 "::%" PRIu64, choice->first, choice->step);
    else if (choice->indexes)
        snprintf(text + length, size - length, "a list of %" PRIu64 ", checksum %016" PRIx64,
                 choice->index_count,
                 sum_add(SUM_EMPTY, choice->indexes, choice->index_count * sizeof *choice->indexes));
    else if (!is_all(choice))
        snprintf(text + length, size - length, "%" PRIu64 ":%" PRIu64 ":%" PRIu64, choice->first, choice->end,
                 choice->step);
    return text;
}

/* The rows whose value is true. Returns how many. */
static uint64_t find_true(const int64_t *mask, uint64_t count, uint64_t *indexes)
{
    uint64_t found = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (mask[i])
            indexes[found++] = i;
    }
    return found;
}

static int check_indexes(const struct input *input, const int64_t *indexes)
{
    for (uint64_t i = 0; i < input->rows; i++) {
        if (indexes[i] < 0)
            return error_set(MPM_EINVAL,
                             "%s:%s chooses row %" PRId64 ", at place %" PRIu64
                             ": a row number must not be negative",
                             input->file_name, input->dataset_name, indexes[i], i);
    }
    return 0;
}

static int read_list(struct input *input, bool is_mask, int64_t **values, uint64_t *count)
{
    char text[256];
    int status;

    if (input->row.rank || input->row.type == MPM_F32 || input->row.type == MPM_F64)
        return error_set(
            MPM_ETYPE, "%s:%s has rows of %s: a choice of rows must be one boolean or integer for each",
            input->file_name, input->dataset_name, mpm_shape_format(&input->row, text, sizeof text));
    if (input->rows >= SIZE_MAX / sizeof **values ||
        !(*values = malloc(((size_t)input->rows + 1) * sizeof **values)))
        return error_set(MPM_ENOMEM, "no memory for a list of %" PRIu64 " rows", input->rows);
    input_take(input, MPM_I64);
    if ((status = input->rows ? input_read(input, 0, (size_t)input->rows, *values) : 0))
        return status;
    *count = is_mask ? find_true(*values, input->rows, (uint64_t *)*values) : input->rows;
    return is_mask ? 0 : check_indexes(input, *values);
}

static int read_choice(const struct input_source *source, uint64_t **indexes, mpm_row_choice *choice)
{
    struct input input;
    int64_t *values = NULL;
    uint64_t found = 0;
    int status;

    if ((!source->file_name && !source->name_count) || !source->dataset_name || !indexes || !choice)
        return error_set(
            MPM_EINVAL,
            "reading a choice of rows needs a file, a data set, and pointers for the list and the "
            "choice: none of them may be NULL");
    if ((status = input_open(source, &input)))
        return status;
    if ((status = read_list(&input, input.is_enumeration, &values, &found))) {
        free(values);
    } else {
        *indexes = (uint64_t *)values;
        *choice = (mpm_row_choice){
            .indexes = *indexes, .index_count = found, .mask_rows = input.is_enumeration ? input.rows : 0};
    }
    input_close(&input);
    return status;
}

int mpm_dataset_read_choice(const char *file, const char *dataset, int without_locks, uint64_t **indexes,
                            mpm_row_choice *choice)
{
    const mpm_dataset_map map = {.input_file = file, .without_locks = without_locks};

    return mpm_dataset_read_input_choice(&map, dataset, indexes, choice);
}

int mpm_dataset_read_input_choice(const mpm_dataset_map *map, const char *dataset, uint64_t **indexes,
                                  mpm_row_choice *choice)
{
    struct input_source source;

    if (!map)
        return error_set(MPM_EINVAL, "reading a choice of rows needs a map with its input, not NULL");
    source = input_source_beside(map, dataset);
    return read_choice(&source, indexes, choice);
}

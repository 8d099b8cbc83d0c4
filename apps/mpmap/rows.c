/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"
#include "support/word.h"

#define RIGHT "A:B, A:B:STEP (STEP at least 1), FILE.h5:/SET, or :/SET of the input's file"

static bool is_range(const char *word)
{
    return !word[strspn(word, "0123456789:-")];
}

/* Reads a number, if one is there, and moves *at behind it. */
static bool read_number(const char **at, int64_t *number, bool *is_given)
{
    char *end;

    *is_given = **at != ':' && **at;
    if (!*is_given)
        return true;
    errno = 0;
    *number = strtoll(*at, &end, 10);
    if (errno || end == *at || (*end && *end != ':'))
        return false;
    *at = end;
    return true;
}

/* A negative number counts from the end. */
static int place(const struct rows_request *request, int64_t number, uint64_t rows, uint64_t *row)
{
    int64_t from_start = number < 0 ? (int64_t)rows + number : number;

    if (from_start < 0 || (uint64_t)from_start > rows)
        return failure("--rows %s: '%s:%s' has %" PRIu64 " rows", request->word, request->input_file,
                       request->input->input_dataset, rows);
    *row = (uint64_t)from_start;
    return 0;
}

static int is_no_range(const struct rows_request *request)
{
    return usage_error(request->command, "--rows is '%s', but must be " RIGHT, request->word);
}

static int count_rows(const struct rows_request *request, uint64_t *rows)
{
    return mpm_dataset_describe_input(request->input, rows, NULL) ? mpm_report_error() : 0;
}

static int choose_range(const struct rows_request *request, mpm_row_choice *choice)
{
    int64_t numbers[3] = {0, 0, 1};
    bool is_given[3] = {false};
    const char *at = request->word;
    uint64_t rows;
    int exit_status;

    for (int i = 0; i < 3; i++) {
        if (!read_number(&at, &numbers[i], &is_given[i]) || (i == 0 && *at != ':'))
            return is_no_range(request);
        if (*at == ':' && i < 2)
            at++;
    }
    if (*at || numbers[2] < 1)
        return is_no_range(request);
    if ((exit_status = count_rows(request, &rows)))
        return exit_status;
    choice->end = request->input->follow.mode ? 0 : rows; /* it grows */
    choice->step = (uint64_t)numbers[2];
    if ((is_given[0] && (exit_status = place(request, numbers[0], rows, &choice->first))) ||
        (is_given[1] && (exit_status = place(request, numbers[1], rows, &choice->end))))
        return exit_status;
    if (choice->first >= choice->end && (is_given[1] || !request->input->follow.mode))
        return failure("--rows %s chooses none of the %" PRIu64 " rows of '%s:%s'", request->word, rows,
                       request->input_file, request->input->input_dataset);
    return 0;
}

static int choose_list(const struct rows_request *request, mpm_row_choice *choice, uint64_t **list)
{
    const struct word_form form = {request->command, RIGHT, word_dataset_colon};
    char *file = NULL, *dataset = NULL;
    int status, exit_status;

    if (request->word[0] == ':') {
        status = mpm_dataset_read_input_choice(request->input, request->word + 1, list, choice);
        return status ? mpm_report_error() : 0;
    }
    if ((exit_status = word_cut(&form, request->word, &file, &dataset)))
        return exit_status;
    status = mpm_dataset_read_choice(file, dataset, request->input->without_locks, list, choice);
    free(file);
    return status ? mpm_report_error() : 0;
}

static int choose_rows(const struct rows_request *request, mpm_row_choice *choice, uint64_t **list)
{
    if (!request->word)
        return 0;
    return is_range(request->word) ? choose_range(request, choice) : choose_list(request, choice, list);
}

/* Of those that are chosen already. */
static int choose_where(const struct rows_request *request, mpm_row_choice *choice, uint64_t **list)
{
    mpm_dataset_map input = *request->input;
    uint64_t *all = *list;

    input.choice = *choice;
    if (mpm_dataset_read_where(&input, request->where, list, choice))
        return mpm_report_error();
    free(all);
    if (choice->index_count)
        return 0;
    return failure("--where '%s' holds for no row of '%s:%s'", request->where, request->input_file,
                   request->input->input_dataset);
}

int rows_choose(const struct rows_request *request, mpm_row_choice *choice, uint64_t **list)
{
    int exit_status;

    *choice = (mpm_row_choice){0};
    *list = NULL;
    if ((exit_status = choose_rows(request, choice, list)) || !request->where)
        return exit_status;
    return choose_where(request, choice, list);
}

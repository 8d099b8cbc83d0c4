/* SPDX-License-Identifier: BSD-3-Clause */
/* Reduces rows in a worker. Rows are read in pieces of whole parts (reduce.h), so that how they are read says nothing
 * about how they are added. */
#include "data/rows_reduce.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/rows.h"
#include "pool/shared/reduce.h"

#define ALIGNMENT   64
#define PIECE_BYTES ((size_t)1 << 20) /* of rows that are read at once, unless the caller says how many */

/* What this worker has open, for the reduction that it served last. */
static struct {
    uint64_t number;            /* 0: nothing is open */
    struct rows_source *source; /* a copy, in which the names of the input stand */
    struct input input;
    unsigned char *rows, *is_bad; /* of a piece: the rows, and which of them cannot be read */
    size_t piece_rows;
} open_source;

static uint64_t new_number(void)
{
    static _Atomic uint64_t last;

    return ((uint64_t)getpid() << 40 ^ clock_now_ns() << 8) + ++last % 256 + 1;
}

int rows_source_create(const mpm_dataset_rows *rows, const struct input *input, struct rows_source **source,
                       size_t *size)
{
    char path[PATH_MAX];
    const char *file = rows->input_file ? input_path(rows->input_file, path) : "";
    size_t file_size = strlen(file) + 1, dataset_size = strlen(rows->input_dataset) + 1,
           row_size = rows->row ? strlen(rows->row) + 1 : 0,
           list_size = (size_t)input->choice.index_count * sizeof *input->choice.indexes,
           files_size = input->files ? (input->files->size + 7) / 8 * 8 : 0;
    struct rows_source *made;

    *size = sizeof *made + list_size + files_size + file_size + dataset_size + row_size;
    if (!(made = calloc(1, *size)))
        return error_set(MPM_ENOMEM, "no memory for a reduction over a data set");
    made->size = *size;
    made->number = new_number();
    made->locking = rows->without_locks ? INPUT_HAS_NONE : INPUT_TRIES_LOCK;
    made->row_size = input_row_size(input);
    made->block_rows = rows->block_rows;
    made->cut = input->cut;
    made->choice = input->choice;
    made->indexes = input->choice.indexes ? sizeof *made : 0;
    if (list_size)
        memcpy(made + 1, input->choice.indexes, list_size);
    made->files = files_size ? sizeof *made + list_size : 0;
    if (files_size)
        memcpy((char *)made + made->files, input->files, input->files->size);
    made->input_file = sizeof *made + list_size + files_size;
    made->input_dataset = made->input_file + file_size;
    input_identify(input, &made->input);
    memcpy((char *)made + made->input_file, file, file_size);
    memcpy((char *)made + made->input_dataset, rows->input_dataset, dataset_size);
    if (rows->row) {
        made->row = made->input_dataset + dataset_size;
        memcpy((char *)made + made->row, rows->row, row_size);
    }
    *source = made;
    return 0;
}

/* Of the copy. */
static int open_input(void)
{
    const struct rows_source *source = open_source.source;
    const char *texts = (const char *)source;
    struct input_source opened = {.file_name = texts + source->input_file,
                                  .dataset_name = texts + source->input_dataset,
                                  .row = source->row ? texts + source->row : NULL,
                                  .cut = source->cut,
                                  .choice = source->choice,
                                  .locking = source->locking};
    int status;

    opened.choice.indexes = source->indexes ? (const void *)(texts + source->indexes) : NULL;
    opened.files = source->files ? (const void *)(texts + source->files) : NULL;
    status = input_open(&opened, &open_source.input);

    if (status)
        return status;
    if ((status = input_check_same(&open_source.input, &source->input)))
        input_close(&open_source.input);
    return status;
}

static void close_source(void)
{
    if (open_source.number)
        input_close(&open_source.input);
    free(open_source.rows);
    free(open_source.is_bad);
    free(open_source.source);
    open_source.source = NULL;
    open_source.rows = open_source.is_bad = NULL;
    open_source.number = 0;
}

/* Whole parts; as many rows as the caller wants at once, else PIECE_BYTES of them. */
static size_t choose_piece(const struct rows_source *source, const struct reduce_job *job)
{
    size_t wanted = source->block_rows ? source->block_rows : PIECE_BYTES / source->row_size;
    size_t parts = wanted / job->part_items;

    if (wanted > job->leaf_items)
        parts = (job->leaf_items + job->part_items - 1) / job->part_items;
    return (parts ? parts : 1) * job->part_items;
}

static int allocate(const struct rows_source *source, size_t rows)
{
    size_t size = 0;

    open_source.piece_rows = rows;
    if (!__builtin_mul_overflow(rows, source->row_size, &size) && size < SIZE_MAX - ALIGNMENT)
        open_source.rows = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (open_source.rows && source->row)
        memset(open_source.rows, 0, size); /* between the fields of a struct it stays so */
    open_source.is_bad = malloc(rows);
    if (open_source.rows && open_source.is_bad)
        return 0;
    return error_set(MPM_ENOMEM, "no memory for %zu rows of %zu bytes: choose smaller blocks", rows,
                     source->row_size);
}

static int copy_source(const struct rows_source *source)
{
    if (!(open_source.source = malloc(source->size)))
        return error_set(MPM_ENOMEM, "no memory for the names of a reduction's input");
    memcpy(open_source.source, source, source->size);
    return 0;
}

static int prepare(const struct rows_source *source, const struct reduce_job *job)
{
    int status;

    if (open_source.number == source->number)
        return 0;
    close_source();
    if ((status = allocate(source, choose_piece(source, job))) || (status = copy_source(source)) ||
        (status = open_input())) {
        close_source();
        return status;
    }
    open_source.number = source->number;
    return 0;
}

/* Where to cut rows that cannot be read together: between two chunks of the file, since one that is damaged spoils all
 * of its rows. `first` if they are in one. */
static uint64_t find_cut(uint64_t first, uint64_t count)
{
    uint64_t unit = open_source.input.chunk_rows, cut = (first + count / 2) / unit * unit;

    if (cut <= first)
        cut = (first / unit + 1) * unit;
    return cut < first + count ? cut : first;
}

/* Reads rows [first, first + count), and marks those that cannot be read, not even at the second try. */
static int read_rows(const struct rows_source *source, uint64_t first, uint64_t count, unsigned char *rows,
                     unsigned char *is_bad)
{
    uint64_t cut;
    int status;

    memset(is_bad, 0, count);
    if (!input_read(&open_source.input, first, count, rows))
        return 0;
    if (open_source.input.is_lost)
        return MPM_EIO;
    cut = find_cut(first, count);
    if (cut > first) {
        status = read_rows(source, first, cut - first, rows, is_bad);
        return status ? status
                      : read_rows(source, cut, first + count - cut, rows + (cut - first) * source->row_size,
                                  is_bad + (cut - first));
    }
    input_close(&open_source.input);
    open_source.number = 0;
    if ((status = open_input()))
        return status;
    open_source.number = source->number;
    if (input_read(&open_source.input, first, count, rows)) {
        if (open_source.input.is_lost)
            return MPM_EIO;
        memset(is_bad, 1, count);
    }
    return 0;
}

/* One part after the other: those with rows that cannot be read fail. */
static void reduce_readable(mpm_call *call, const struct reduce_job *job, uint64_t first, uint64_t count)
{
    for (uint64_t at = 0, size; at < count; at += size) {
        size = count - at < job->part_items ? count - at : job->part_items;
        if (memchr(open_source.is_bad + at, 1, size)) {
            mpm_fail(call, "%s", mpm_error());
            reduce_fail_items(job, first + at, size, MPM_EIO);
        } else {
            reduce_items(call, job, first + at, open_source.rows + at * job->item_size, size);
        }
    }
}

static int reduce_piece(mpm_call *call, const struct reduce_job *job, const struct rows_source *source,
                        uint64_t first, uint64_t count)
{
    const void *seen = input_view(&open_source.input, first, (size_t)count);
    int status;

    if (seen) {
        reduce_items(call, job, first, seen, count);
        return 0;
    }
    if ((status = read_rows(source, first, count, open_source.rows, open_source.is_bad)))
        return status;
    if (memchr(open_source.is_bad, 1, count))
        reduce_readable(call, job, first, count);
    else
        reduce_items(call, job, first, open_source.rows, count);
    return 0;
}

/* Some rows of variable length, at least one, which fails if it cannot be read at the second try either. */
static int reduce_variable(mpm_call *call, const struct reduce_job *job, const struct rows_source *source,
                           uint64_t first, uint64_t *count)
{
    struct item *items = (struct item *)(void *)open_source.rows;
    size_t got = (size_t)*count;
    int status;

    while (input_read_variable(&open_source.input, first, &got, items)) {
        if (open_source.input.is_lost)
            return MPM_EIO;
        if (got > 1) {
            got = 1;
            continue;
        }
        input_close(&open_source.input);
        open_source.number = 0;
        if ((status = open_input()))
            return status;
        open_source.number = source->number;
        if (!input_read_variable(&open_source.input, first, &got, items))
            break;
        if (open_source.input.is_lost)
            return MPM_EIO;
        mpm_fail(call, "%s", mpm_error());
        reduce_fail_items(job, first, 1, MPM_EIO);
        *count = 1;
        return 0;
    }
    for (size_t i = 0; i < got; i++)
        reduce_item(call, first + i, items[i].at, items[i].size);
    *count = got;
    return 0;
}

/* Some of `*count` rows, which it becomes: those before one that is left out. */
static int reduce_ready(mpm_call *call, const struct reduce_job *job, const struct rows_source *source,
                        uint64_t first, uint64_t *count)
{
    *count = reduce_make_ready(job, first, *count);
    return input_is_variable(&open_source.input) ? reduce_variable(call, job, source, first, count)
                                                 : reduce_piece(call, job, source, first, *count);
}

static int reduce_leaf(mpm_call *call, const struct reduce_job *job, const struct rows_source *source,
                       uint64_t leaf)
{
    uint64_t first = leaf * job->leaf_items, left = reduce_leaf_count(job, leaf);
    int status = 0;

    reduce_begin_leaf(call, job, leaf);
    for (uint64_t count; left && !status; first += count, left -= count) {
        count = left < open_source.piece_rows ? left : open_source.piece_rows;
        if (!reduce_make_ready(job, first, count))
            count = left < job->part_items ? left : job->part_items; /* it is not even read */
        else
            status = reduce_ready(call, job, source, first, &count);
    }
    return status;
}

int rows_reduce(mpm_call *call, uint64_t first, size_t count)
{
    const struct reduce_job *job = mpm_call_context(call);
    const struct rows_source *source = (const void *)((const char *)job + job->source);
    int status = reduce_find_functions(call, job);

    if (!status && (status = prepare(source, job)))
        mpm_fail(call, "%s", mpm_error());
    for (uint64_t leaf = first; !status && leaf < first + count; leaf++) {
        if ((status = reduce_leaf(call, job, source, leaf)))
            mpm_fail(call, "%s", mpm_error());
    }
    batch_show_context(call, job);
    return status;
}

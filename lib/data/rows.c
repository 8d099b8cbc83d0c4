/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows in a worker. It keeps the files of the map that it last worked for open, with buffers for one block
 * of rows, until it works for another map. The order of each block is: read, run, write the results, write
 * their checksum, write the marks. So a row that is marked as done has its result in the file, whenever the worker
 * dies; a row that is not is run again, and writes the same bytes to the same place. Only rows_check(), rows_run() and
 * mpm_call_source() are called from outside, in a process that has one thread. */
#include "data/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "data/join_checks.h"
#include "data/rows_vlen.h"
#include "mpmap/runtime.h"
#include "node/context.h"

#define ALIGNMENT   ((size_t)64)
#define BLOCK_BYTES ((size_t)1 << 20) /* of rows, or of results, whichever are larger */

/* What this process has open. */
static struct {
    bool open;
    struct part_token token; /* of the map's part: no other map has it */
    mpm_task *task;
    struct rows_job *job; /* a copy, without the context: the names of the input stand in it */
    struct input input;
    int part;
    int checks;           /* or -1 */
    const mpm_call *call; /* of the row that the task is at; NULL: it is at none */
    uint64_t row;
    struct failed_log log;
    bool flush; /* written bytes stay on this node, where main cannot see them, until told to go */
    unsigned char *rows, *results, *marks;
    const unsigned char *seen; /* the rows of the block where they are, or NULL: they are in `rows` */
} worker;

static size_t align(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static const char *job_text(const struct rows_job *job, size_t at)
{
    return (const char *)job + at;
}

static const void *job_context(const struct rows_job *job)
{
    return job->context ? (const char *)job + job->context : NULL;
}

static void *copy_text(struct rows_job *job, size_t at, const char *text)
{
    return strcpy((char *)job + at, text);
}

/* As the map wants it, else so many that rows and results each fit into BLOCK_BYTES; no more than there are.
 */
static size_t block_rows(const mpm_dataset_map *map, uint64_t rows, size_t row_size, size_t result_size)
{
    size_t larger = row_size > result_size ? row_size : result_size;
    size_t count = map->block_rows ? map->block_rows : BLOCK_BYTES / larger;

    if (!map->block_rows && count < map->task_rows)
        count = map->task_rows;
    if (count > rows)
        count = (size_t)rows;
    if (count > BLOCK_MOST_ROWS)
        count = BLOCK_MOST_ROWS;
    return count ? count : 1;
}

/* Where the parts of a job stand behind it. Returns where they end. */
static size_t lay_out(struct rows_job *job, const mpm_dataset_map *map, const struct input *input,
                      const struct output *output, const char *input_file)
{
    size_t files_size = input->files ? input->files->size : 0, end;

    job->input_dataset = job->input_file + strlen(input_file) + 1;
    job->part = job->input_dataset + strlen(map->input_dataset) + 1;
    end = job->part + strlen(output->part) + 1;
    job->row = map->row ? end : 0;
    end += map->row ? strlen(map->row) + 1 : 0;
    job->checks = output->joins ? end : 0;
    end += output->joins ? strlen(output->checks_path) + 1 : 0;
    job->values = output->result.has_vlen ? end : 0;
    end += output->result.has_vlen ? strlen(output->values) + strlen(output->result.text) + 2 : 0;
    job->log = end;
    end = align(end + strlen(output->log.path) + 1);
    job->indexes = input->choice.indexes ? end : 0;
    end = align(end + (size_t)input->choice.index_count * sizeof *input->choice.indexes);
    job->fill = output->has_fill ? end : 0;
    end = align(end + (output->has_fill ? job->result_size : 0));
    job->files = files_size ? end : 0;
    end = align(end + files_size);
    job->own_size = end;
    job->context = map->context_size ? end : 0;
    return end + map->context_size;
}

int rows_job_create(const mpm_dataset_map *map, const struct input *input, const struct output *output,
                    const struct function *task, struct rows_job **job, size_t *size)
{
    static _Atomic uint64_t passes; /* of main: a part is one run's */
    size_t row_size = input_row_size(input);
    char path[PATH_MAX];
    const char *input_file = map->input_file ? input_path(map->input_file, path) : "";
    size_t files_size = input->files ? input->files->size : 0;
    struct rows_job made = {
        .task = *task,
        .locking = map->without_locks ? INPUT_HAS_NONE : INPUT_TRIES_LOCK,
        .follows = input->follows,
        .pass = input->follows ? ++passes : 0,
        .row_size = row_size,
        .result_size = output->record.results.size,
        .block_rows = block_rows(map, input->rows, row_size, output->record.results.size),
        .task_rows = map->task_rows,
        .cut = input->cut,
        .choice = input->choice,
        .places = part_places_of(&output->record),
        .token_at = output->record.record_at,
        .token = output->record.token,
        .input_file = sizeof made,
    };
    size_t end = lay_out(&made, map, input, output, input_file);

    if (input->follows)
        made.choice.end = 0; /* it is where the file ends */
    input_identify(input, &made.input);
    *job = calloc(1, end);
    if (!*job)
        return error_set(MPM_ENOMEM, "no memory for a map's context of %zu bytes", end);
    **job = made;
    copy_text(*job, made.input_file, input_file);
    copy_text(*job, made.input_dataset, map->input_dataset);
    copy_text(*job, made.part, output->part);
    copy_text(*job, made.log, output->log.path);
    if (map->row)
        copy_text(*job, made.row, map->row);
    if (input->choice.index_count)
        memcpy((char *)*job + made.indexes, input->choice.indexes,
               (size_t)input->choice.index_count * sizeof *input->choice.indexes);
    if (made.fill)
        memcpy((char *)*job + made.fill, output->fill, made.result_size);
    if (made.values) {
        copy_text(*job, made.values, output->values);
        copy_text(*job, made.values + strlen(output->values) + 1, output->result.text);
    }
    if (made.checks)
        copy_text(*job, made.checks, output->checks_path);
    if (files_size)
        memcpy((char *)*job + made.files, input->files, files_size);
    if (map->context_size)
        memcpy((char *)*job + made.context, map->context, map->context_size);
    *size = end;
    return 0;
}

size_t rows_job_check_size(const struct rows_job *job, size_t size)
{
    return job->context ? job->context : size;
}

static void close_files(void)
{
    if (!worker.open)
        return;
    input_close(&worker.input);
    if (worker.part >= 0)
        close(worker.part);
    if (worker.checks >= 0)
        close(worker.checks);
    free(worker.rows);
    free(worker.results);
    free(worker.marks);
    free(worker.job);
    failed_log_close(&worker.log);
    rows_vlen_close();
    worker.open = false;
}

static int open_part(const struct rows_job *job)
{
    struct statfs file_system;
    int status = part_open(job_text(job, job->part), job->token_at, &job->token, &worker.part);

    if (status)
        return status;
    worker.flush = (mpm_node_id() != 0 || job->checks) && fstatfs(worker.part, &file_system) == 0 &&
                   file_system.f_type == NFS_SUPER_MAGIC;
    return job->checks ? checks_open(job_text(job, job->checks), &worker.checks) : 0;
}

static unsigned char *allocate(size_t rows, size_t row_size, int *status)
{
    size_t size;
    void *memory = NULL;

    if (*status)
        return NULL;
    if (!__builtin_mul_overflow(rows, row_size, &size) && size < SIZE_MAX - ALIGNMENT)
        memory = aligned_alloc(ALIGNMENT, align(size));
    if (!memory)
        *status = error_set(MPM_ENOMEM,
                            "no memory for a block of %zu rows of %zu bytes: choose smaller blocks", rows,
                            row_size);
    return memory;
}

/* Of the copy. The job itself is elsewhere when it is checked than when it is run. */
static int open_input(void)
{
    const struct rows_job *job = worker.job;
    struct input_source source = {.file_name = job_text(job, job->input_file),
                                  .dataset_name = job_text(job, job->input_dataset),
                                  .row = job->row ? job_text(job, job->row) : NULL,
                                  .cut = job->cut,
                                  .choice = job->choice,
                                  .locking = job->locking,
                                  .follows = job->follows};
    int status;

    source.choice.indexes = job->indexes ? (const void *)job_text(job, job->indexes) : NULL;
    source.files = job->files ? (const void *)job_text(job, job->files) : NULL;
    status = input_open(&source, &worker.input);

    return status ? status : input_check_same(&worker.input, &job->input);
}

static int open_values(const struct rows_job *job)
{
    const char *folder = job_text(job, job->values);

    return rows_vlen_open(folder + strlen(folder) + 1, folder);
}

static int open_files(const struct rows_job *job)
{
    function_pointer *task;
    int status = function_find(&job->task, &task);

    if (status)
        return status;
    worker.open = true;
    worker.part = worker.checks = -1;
    worker.log.fd = -1;
    worker.log.count = 0;
    snprintf(worker.log.path, sizeof worker.log.path, "%s", job_text(job, job->log));
    worker.task = (mpm_task *)task;
    if (!(worker.job = malloc(job->own_size)))
        status = error_set(MPM_ENOMEM, "no memory for the names of a map's input");
    else
        memcpy(worker.job, job, job->own_size);
    worker.input.file = worker.input.dataset = worker.input.memory = -1;
    if (!status)
        status = open_input();
    if (!status)
        status = open_part(job);
    worker.rows = allocate(job->block_rows, job->row_size, &status);
    if (worker.rows && job->row)
        memset(worker.rows, 0,
               job->block_rows * job->row_size); /* between the fields of a struct it stays so */
    worker.results = allocate(job->block_rows, job->result_size, &status);
    worker.marks = allocate(job->block_rows, sizeof *worker.marks, &status);
    if (!status && job->values)
        status = open_values(job);
    if (status)
        close_files();
    return status;
}

static int prepare(const struct rows_job *job)
{
    int status;

    if (worker.open && !memcmp(&worker.token, &job->token, sizeof worker.token) &&
        worker.job->pass == job->pass)
        return 0;
    close_files();
    status = open_files(job);
    if (!status)
        worker.token = job->token;
    return status;
}

/* What a row that has failed leaves. */
static void fill_result(const struct rows_job *job, void *result)
{
    if (job->fill)
        memcpy(result, job_text(job, job->fill), job->result_size);
    else
        memset(result, 0, job->result_size);
}

/* The task's code; it has failed, too, if it has made a value that is none. */
static int call_task(mpm_call *call, const struct rows_job *job, const void *items, size_t count,
                     void *results)
{
    size_t unused;
    int code;

    worker.call = call;
    if (job->values) {
        rows_vlen_begin(call);
        memset(results, 0, count * job->result_size);
    }
    code = worker.task(call, items, results);
    worker.call = NULL;
    context_back_from_program(code);
    if (!job->values)
        return code;
    if (code)
        rows_vlen_drop();
    else if (!rows_vlen_accept(call, results, count, &unused))
        code = MPM_EINVAL;
    rows_vlen_spill();
    return code;
}

static enum row_mark run_row(mpm_call *call, const struct rows_job *job, uint64_t row,
                             const struct item *item, void *result)
{
    int code;

    batch_begin_item(call, row, item->size, job->result_size);
    worker.row = row;
    code = call_task(call, job, item->at, 1, result);
    if (code == 0)
        return ROW_DONE;
    failed_log_add(
        &worker.log,
        &(mpm_failure){
            .index = row, .cause = MPM_CAUSE_TASK, .code = code, .attempts = 1, .text = batch_text(call)});
    batch_fail_item(call, code);
    fill_result(job, result);
    return ROW_FAILED;
}

/* Rows of a block that cannot be read, because of mpm_error(). */
static void fail_rows(mpm_call *call, const struct rows_job *job, uint64_t first, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) {
        batch_begin_item(call, first + i, job->row_size, job->result_size);
        mpm_fail(call, "%s", mpm_error());
        batch_fail_item(call, MPM_EIO);
        worker.marks[i] = ROW_FAILED;
        fill_result(job, worker.results + i * job->result_size);
    }
}

/* Where to cut rows of the block that cannot be read together: in the middle, between two chunks of the file, since one
 * that is damaged spoils all of its rows. `at` if they are in one. */
static size_t find_cut(uint64_t first, size_t at, size_t count)
{
    uint64_t unit = worker.input.chunk_rows, begin = first + at, end = begin + count;
    uint64_t cut = (begin + count / 2) / unit * unit;

    if (cut <= begin)
        cut = (begin / unit + 1) * unit;
    return cut < end ? (size_t)(cut - first) : at;
}

/* Reads rows [at, at + count) of a block that begins with row `first`. Those that cannot be read, not even at the
 * second try, have failed. A status ends the map. */
static int read_rows(mpm_call *call, const struct rows_job *job, uint64_t first, size_t at, size_t count)
{
    unsigned char *rows = worker.rows + at * job->row_size;
    size_t cut;
    int status;

    batch_make_ready(first + at);
    if (!input_read(&worker.input, first + at, count, rows))
        return 0;
    if (worker.input.is_lost)
        return MPM_EIO;
    cut = find_cut(first, at, count);
    if (cut > at) {
        status = read_rows(call, job, first, at, cut - at);
        return status ? status : read_rows(call, job, first, cut, at + count - cut);
    }
    /* A file that is opened again may be readable again. One that is not there any more, or not the same, is no trouble
     * of some rows. */
    input_close(&worker.input);
    if ((status = open_input()))
        return status;
    batch_make_ready(first + at);
    if (input_read(&worker.input, first + at, count, rows)) {
        if (worker.input.is_lost)
            return MPM_EIO;
        fail_rows(call, job, first, at, count);
    }
    return 0;
}

/* Reads some rows from `at` on, of variable length; one that cannot be read, not even at the second try, has failed. */
static int read_variable_rows(mpm_call *call, const struct rows_job *job, uint64_t first, size_t at,
                              size_t *count)
{
    struct item *items = (struct item *)(void *)worker.rows + at;
    int status;

    batch_make_ready(first + at);
    while (input_read_variable(&worker.input, first + at, count, items)) {
        if (worker.input.is_lost)
            return MPM_EIO;
        if (*count > 1) {
            *count = 1;
            continue;
        }
        input_close(&worker.input);
        if ((status = open_input()))
            return status;
        if (input_read_variable(&worker.input, first + at, count, items)) {
            if (worker.input.is_lost)
                return MPM_EIO;
            fail_rows(call, job, first, at, 1);
        }
        return 0;
    }
    return 0;
}

/* A row of the block, where it was read to, or is seen. */
static const unsigned char *row_at(const struct rows_job *job, size_t i)
{
    return (worker.seen ? worker.seen : worker.rows) + i * job->row_size;
}

/* How many rows from `at` on can go into one call: those that could be read. */
static size_t count_ready(const struct rows_job *job, size_t at, size_t end)
{
    size_t count = 0;

    while (at + count < end && count < job->task_rows && worker.marks[at + count] == ROW_NOT_DONE)
        count++;
    return count;
}

/* Calls the task with several rows at once. Those of a call that fails are left to be run one by one. */
static void run_together(mpm_call *call, const struct rows_job *job, uint64_t first, size_t at, size_t end)
{
    for (size_t count; at < end; at += count ? count : 1) {
        int code;

        if ((count = count_ready(job, at, end)) < 2)
            continue;
        batch_begin_block(call, first + at, count, job->row_size, job->result_size);
        worker.row = first + at;
        code = call_task(call, job, row_at(job, at), count, worker.results + at * job->result_size);
        batch_end_block(call);
        if (!code)
            memset(worker.marks + at, ROW_DONE, count);
    }
}

static void run_rows(mpm_call *call, const struct rows_job *job, uint64_t first, size_t at, size_t count)
{
    bool is_variable = input_is_variable(&worker.input);

    if (job->task_rows > 1)
        run_together(call, job, first, at, at + count);
    for (size_t i = at; i < at + count; i++) {
        const struct item fixed = {row_at(job, i), job->row_size};
        const struct item *item = is_variable ? (const struct item *)(void *)worker.rows + i : &fixed;

        if (worker.marks[i] == ROW_NOT_DONE)
            worker.marks[i] = (unsigned char)run_row(call, job, first + i, item,
                                                     worker.results + i * job->result_size);
    }
}

/* How many rows from `at` on have the same mark. */
static size_t count_alike(size_t at, size_t count)
{
    size_t end = at + 1;

    while (end < count && worker.marks[end] == worker.marks[at])
        end++;
    return end - at;
}

/* Where runs have joined, whoever is late must not spoil what others have done since: so only good rows are written to
 * the part, of which all runs have the same bytes. That a row has failed stands in the file of checks. */
static bool write_joined(const struct rows_job *job, uint64_t first, size_t count)
{
    bool is_written = true;

    for (size_t at = 0, alike; is_written && at < count; at += alike) {
        const unsigned char *results = worker.results + at * job->result_size, *marks = worker.marks + at;

        alike = count_alike(at, count);
        is_written = *marks == ROW_FAILED
                         ? checks_fail_rows(worker.checks, &job->places, first + at, alike)
                         : checks_write_good(
                               &(struct checks_files){.part = worker.part, .checks = worker.checks},
                               &job->places, first + at, alike, marks, results);
    }
    return is_written;
}

/* A death between two of the writes leaves rows without a mark, or as they were. */
static bool write_block(const struct rows_job *job, uint64_t first, size_t count)
{
    struct block_sum sum;

    if (job->values && !rows_vlen_write(worker.flush))
        return false;
    if (job->checks)
        return write_joined(job, first, count);
    sum = block_sum_of(&job->places, first, count, worker.marks, worker.results);
    return result_write(worker.part, &job->places.results, first, count, worker.results) &&
           block_sum_write(worker.part, &job->places, &sum) &&
           write_at(worker.part, worker.marks, count, job->places.marks_at + first);
}

/* At most one block of rows. */
static int run_block(mpm_call *call, const struct rows_job *job, uint64_t first, size_t count)
{
    int status;

    memset(worker.marks, ROW_NOT_DONE, count);
    batch_make_ready(first);
    worker.seen = input_view(&worker.input, first, count);
    for (size_t at = 0, got; at < count; at += got) {
        got = count - at;
        status = worker.seen                        ? 0
                 : input_is_variable(&worker.input) ? read_variable_rows(call, job, first, at, &got)
                                                    : read_rows(call, job, first, at, got);
        if (status)
            return status;
        run_rows(call, job, first, at, got);
    }
    if (!write_block(job, first, count))
        return error_set_errno(MPM_EIO, "cannot write %s", job_text(job, job->part));
    return 0;
}

int rows_run(mpm_call *call, uint64_t first, size_t count)
{
    const struct rows_job *job = mpm_call_context(call);
    int status;

    batch_make_ready(first);
    status = prepare(job);
    batch_show_context(call, job_context(job));
    while (!status && count > 0) {
        size_t block = count < job->block_rows ? count : job->block_rows;
        status = run_block(call, job, first, block);
        first += block;
        count -= block;
    }
    if (!status && worker.flush &&
        (!part_flush(worker.part) || (worker.checks >= 0 && !part_flush(worker.checks))))
        status = error_set_errno(MPM_EIO, "cannot write %s", job_text(job, job->part));
    batch_show_context(call, job);
    if (status)
        mpm_fail(call, "%s", mpm_error());
    return status;
}

int rows_check(mpm_call *call, uint64_t first, size_t count)
{
    int status;

    (void)count;
    batch_make_ready(first);
    if ((status = prepare(mpm_call_context(call))))
        mpm_fail(call, "%s", mpm_error());
    return status;
}

static int has_no_row(const char *function, const mpm_call *call)
{
    if (!call)
        return error_set(MPM_EINVAL, "%s: the call must not be NULL", function);
    return error_set(MPM_ESTATE, "%s: this call works on no row of a map over a data set", function);
}

int mpm_call_tile(const mpm_call *call, mpm_tile *tile)
{
    uint64_t start, step;

    if (!call || call != worker.call)
        return has_no_row("mpm_call_tile", call);
    if (!tile)
        return error_set(MPM_EINVAL, "mpm_call_tile: the tile must not be NULL");
    if (!worker.input.cut.tiling.rank)
        return error_set(MPM_ESTATE, "mpm_call_tile: this map has rows, not tiles");
    input_find_run(&worker.input, worker.row, 1, &start, &step);
    input_locate_tile(&worker.input, start, tile);
    return 0;
}

int mpm_call_source(const mpm_call *call, const char **file, uint64_t *row)
{
    uint64_t start, step, first;
    const char *name;

    if (!call || call != worker.call)
        return has_no_row("mpm_call_source", call);
    input_find_run(&worker.input, worker.row, 1, &start, &step);
    name = input_locate(&worker.input, start, &first);
    if (file)
        *file = name;
    if (row)
        *row = start - first;
    return 0;
}

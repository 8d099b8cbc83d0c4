/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's side of a map over a data set. All that can be wrong with what the caller wants is found before
 * anything is made; from the making of the part on there are two ways out: the output gets its name, or what is good
 * stays in the part. */
#include "mpmap/dataset.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/costs.h"
#include "data/input.h"
#include "data/follow.h"
#include "data/join.h"
#include "data/join_output.h"
#include "data/map_run.h"
#include "data/output.h"
#include "data/scales.h"
#include "node/function.h"
#include "pool/shared/batch.h"

#define MAX_TASK_NAME 1000
#define JOIN_TRIES    100

/* What several runs cannot do together. */
static int check_join(const mpm_dataset_map *map)
{
    const char *other = map->into                           ? "into (--into)"
                        : map->retry_failed                 ? "retry_failed (--retry-failed)"
                        : map->overwrite                    ? "overwrite (--overwrite)"
                        : map->max_failures                 ? "max_failures (--max-failures)"
                        : map->resume == MPM_RESUME_FORCE   ? "MPM_RESUME_FORCE (--resume=force)"
                        : map->resume == MPM_RESUME_RESTART ? "MPM_RESUME_RESTART (--restart)"
                                                            : NULL;

    if (!(map->join_timeout_s >= 0))
        return error_set(MPM_EINVAL, "join_timeout_s is %g: it must be a number of seconds, or 0",
                         map->join_timeout_s);
    if (!map->join || !other)
        return 0;
    return error_set(MPM_EINVAL, "join (--join) and %s do not go together: leave one of them out", other);
}

static int check_map(const mpm_pool *pool, mpm_task *task, const mpm_dataset_map *map)
{
    int status;

    if (!pool || !task || !map)
        return error_set(
            MPM_EINVAL,
            "a map over a data set needs a pool, a task and a description: none of them may be NULL");
    if ((!map->input_file && !map->input_files) || !map->input_dataset || !map->output_file ||
        !map->output_dataset)
        return error_set(MPM_EINVAL,
                         "a map over a data set needs a file and a data set for both input and output");
    if (!map->input_file != !!map->input_file_count || !map->input_files != !map->input_file_count)
        return error_set(MPM_EINVAL, "a map over a data set needs either an input file or several, not both");
    if (map->context_size && !map->context)
        return error_set(MPM_EINVAL, "the context is NULL, but its size is %zu bytes", map->context_size);
    if (map->context_size > MAX_CONTEXT_SIZE)
        return error_set(MPM_EINVAL, "a context of %zu bytes is too large: at most 1 GiB is allowed",
                         map->context_size);
    if (map->task_name && strlen(map->task_name) > MAX_TASK_NAME)
        return error_set(MPM_EINVAL, "the name of the task has %zu bytes: at most %d are allowed",
                         strlen(map->task_name), MAX_TASK_NAME);
    if (map->overwrite < MPM_OVERWRITE_NOTHING || map->overwrite > MPM_OVERWRITE_FILE)
        return error_set(MPM_EINVAL,
                         "overwrite is %d, but must be one of MPM_OVERWRITE_NOTHING, _RESULT and _FILE",
                         map->overwrite);
    if (map->into && map->overwrite == MPM_OVERWRITE_FILE)
        return error_set(MPM_EINVAL, "into (--into) keeps what the file holds, and MPM_OVERWRITE_FILE "
                                     "(--overwrite-file) does not: leave one of them out");
    if (map->keep < MPM_KEEP_COORDINATES || map->keep > MPM_KEEP_NOTHING)
        return error_set(MPM_EINVAL,
                         "keep is %d, but must be one of MPM_KEEP_COORDINATES, _ATTRIBUTES and _NOTHING",
                         map->keep);
    if (map->resume < MPM_RESUME_REFUSE || map->resume > MPM_RESUME_RESTART)
        return error_set(MPM_EINVAL,
                         "resume is %d, but must be one of MPM_RESUME_REFUSE, _CONTINUE, _FORCE and _RESTART",
                         map->resume);
    if ((status = pool_check_drain("mpm_pool_map_dataset", &map->drain)) || (status = check_join(map)) ||
        (status = follow_check(map)))
        return status;
    return result_check(map);
}

/* What the caller's progress is told of: rows of earlier runs count. */
struct whole_progress {
    const mpm_dataset_map *map;
    const struct output *output;
};

static void tell_progress(const mpm_progress *now, void *argument)
{
    const struct whole_progress *whole = argument;
    mpm_progress all = *now;

    all.earlier = whole->output->good + whole->output->failed;
    all.done += all.earlier;
    all.failed += whole->output->failed;
    all.total = whole->output->record.rows;
    whole->map->progress(&all, whole->map->progress_argument);
}

static int run_rows(const struct map_run *run)
{
    struct whole_progress whole = {run->map, run->output};
    struct batch_map batches = map_run_batches(run);

    batches.progress = run->map->progress ? tell_progress : NULL;
    batches.progress_argument = &whole;
    batches.max_failures = run->map->max_failures;
    batches.drain = run->map->drain;
    return map_run_do(run, &batches);
}

/* All rows are of earlier runs. */
static void tell_all_is_done(const mpm_dataset_map *map, uint64_t rows, uint64_t failed)
{
    const mpm_progress all = {.done = rows, .total = rows, .failed = failed, .earlier = rows};

    if (map->progress)
        map->progress(&all, map->progress_argument);
}

static int run_left(struct map_run *run)
{
    const struct output *output = run->output;
    int status;

    if (output->good + output->failed == run->input->rows && run->input->rows > 0) {
        tell_all_is_done(run->map, run->input->rows, output->failed);
        return 0;
    }
    if ((status = map_run_make_job(run)))
        return status;
    status = run_rows(run);
    free(run->job);
    return status;
}

static int make_and_run(struct map_run *run)
{
    int status = scales_find(run->map, run->input, run->output);

    if (!status)
        status = output_begin(run->output);
    if (status)
        return status;
    status = run_left(run);
    if (status && status != MPM_ETASK)
        return output_keep(run->output, status);
    return output_finish(run->output, status);
}

static int run_claimed(void *argument, double left_s,
                       void (*progress)(const mpm_progress *now, void *argument), void *progress_argument)
{
    const struct map_run *run = argument;
    struct batch_map batches = map_run_batches(run);

    batches.count = run->output->left_count;
    batches.progress = progress;
    batches.progress_argument = progress_argument;
    batches.drain = (mpm_drain_options){run->map->drain.grace_s, left_s};
    return map_run_do(run, &batches);
}

/* The output is planned once more where it was finished, or removed, just now: `*is_again`. */
static int join_and_run(struct map_run *run, bool *is_again)
{
    const struct join_map join = {run->map, mpm_pool_worker_count(run->pool), run_claimed, run};
    int status = scales_find(run->map, run->input, run->output);

    if (!status)
        status = join_output_begin(run->output, is_again);
    if (status || *is_again)
        return status;
    if ((status = map_run_make_job(run))) {
        join_output_close(run->output);
        return status;
    }
    status = join_run(run->output, &join);
    free(run->job);
    return status;
}

static int run_planned(struct map_run *run, bool *is_again)
{
    struct output *output = run->output;

    *is_again = false;
    if (output->is_finished) {
        output_tell(output, "%s is finished: it has all %" PRIu64 " rows", output->name, run->input->rows);
        tell_all_is_done(run->map, run->input->rows, output->failed);
        output_tidy(output);
        if (output->joins)
            join_output_tidy(output);
        return 0;
    }
    if (run->map->follow.mode)
        return follow_run(run);
    return output->joins ? join_and_run(run, is_again) : make_and_run(run);
}

static int plan_and_run(struct map_run *run)
{
    bool is_again;
    int status;

    for (unsigned tries = 0; tries < JOIN_TRIES; tries++) {
        status = output_plan(run->map, run->input, run->task, run->output);
        run->output->pool = run->pool;
        if (!status)
            status = run_planned(run, &is_again);
        output_end(run->output);
        if (status || !is_again)
            return status;
    }
    return error_set(MPM_EIO, "%s comes and goes: something else makes and removes it", run->output->part);
}

static int run_on_input(mpm_pool *pool, const mpm_dataset_map *map, struct input *input,
                        const struct function *task)
{
    struct output *output = malloc(sizeof *output);
    struct map_run run = {.pool = pool, .map = map, .input = input, .task = task, .output = output};
    int status = output ? plan_and_run(&run) : error_set(MPM_ENOMEM, "no memory for the plan of an output");

    free(output);
    return status;
}

int mpm_pool_map_dataset(mpm_pool *pool, mpm_task *task, const mpm_dataset_map *map)
{
    struct input_source source;
    struct function named;
    struct input input;
    int status = check_map(pool, task, map);

    if (!status)
        status = function_name((function_pointer *)task, &named);
    if (status)
        return status;
    source = input_source_of(map);
    if ((status = input_open(&source, &input)))
        return status;
    status = costs_check(map, &input);
    if (!status && map->task_rows > 1 && input_is_variable(&input))
        status = error_set(
            MPM_ETYPE,
            "rows of %s have a variable length, so a call has one: task_rows (--rows-per-call) "
            "is %zu",
            map->input_dataset, map->task_rows);
    if (!status)
        status = run_on_input(pool, map, &input, &named);
    input_close(&input); /* and its lock */
    return status;
}

int mpm_dataset_probe(const mpm_dataset_map *map)
{
    struct input_source source;
    struct input input;
    int status;

    if (!map || (!map->input_file && !map->input_file_count) || !map->input_dataset)
        return error_set(MPM_EINVAL, "mpm_dataset_probe: the map needs a file, or several, and a data set");
    source = input_source_of(map);
    if ((status = input_open(&source, &input)))
        return status;
    status = scales_probe(map, &input);
    input_close(&input);
    return status;
}

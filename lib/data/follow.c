/* SPDX-License-Identifier: BSD-3-Clause */
/* Following an input that grows, in passes. A pass is a map of its own over some rows, in the same pool and into the
 * same live part (output_live.c): those that have come since the last one, or those that a run has left which was
 * killed. So all that is said of a map holds for each pass: attempts, limits, deaths, checksums and marks.
 *
 * In which order things happen, and what a run finds that comes after one that was killed there:
 *   1. Main sees rows in the input. Nothing has changed.
 *   2. Room on the disk is got for them; then `begun` in the record counts them, one store, before any of them is run.
 *      So marks stand only behind rows that are counted. (If the power fails, `begun` may be lost and marks not: rows
 *      that are not counted are run again.)
 *   3. They are run, as in any map. A run that goes on finds by marks and checksums which of those that were begun are
 *      left, and its first pass is those.
 *   4. All of them have a mark. The data sets of the part are extended, for readers.
 * A worker has the input open for one pass: it opens it anew for the next, as main has, and must see as many rows.
 *
 * A file without a SWMR writer is locked during a pass, and not between passes, when its writer may open it. */
#include "data/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/input_watch.h"
#include "data/scales.h"
#include "node/drain.h"

#define POLL_S    0.1
#define PASS_ROWS ((uint64_t)1 << 20) /* the most: readers see them when all are done */
#define TELL_S    0.5                 /* between two words of progress while there is nothing to do */
#define RATE_S    5.0                 /* what the rate is taken over */

struct follow {
    struct map_run run;
    struct input *input;
    bool is_open; /* the input */
    struct watch watch;
    uint64_t *indexes; /* rows of the pass */
    double start_s, told_s;
    uint64_t done, failed; /* by this run, in passes before this one */
    mpm_progress pass;     /* what the pass has said last */
    double rate_s, rate;   /* when the rate was taken, and what it was */
    uint64_t rate_done;
    int status;  /* MPM_ETASK, if rows have failed, */
    char *first; /* and what was said of the first pass in which some did */
};

int follow_check(const mpm_dataset_map *map)
{
    const mpm_follow_options *how = &map->follow;
    const char *other = map->input_files                                 ? "several files"
                        : map->tiling.rank                               ? "tiles (--tile)"
                        : map->axis                                      ? "another axis (--axis)"
                        : map->choice.indexes || map->choice.index_count ? "a list of rows"
                        : map->choice.end                                ? "an end of the rows (--rows)"
                        : map->costs                                     ? "costs (--cost)"
                        : map->join                                      ? "join (--join)"
                                                                         : NULL;

    if (how->mode < MPM_FOLLOW_NOT || how->mode > MPM_FOLLOW_ALWAYS)
        return error_set(MPM_EINVAL,
                         "follow.mode is %d, but must be one of MPM_FOLLOW_NOT, _WRITER and _ALWAYS",
                         how->mode);
    if (!(how->poll_s >= 0) || !(how->idle_s >= 0))
        return error_set(MPM_EINVAL,
                         "follow.poll_s is %g and follow.idle_s is %g: both must be numbers of seconds, or 0",
                         how->poll_s, how->idle_s);
    if (!how->mode || !other)
        return 0;
    return error_set(MPM_EINVAL, "follow (--follow) and %s do not go together: %s", other,
                     map->input_files   ? "follow a virtual data set of them, which grows as files come"
                     : map->tiling.rank ? "cut into tiles what is complete"
                                        : "leave one of them out");
}

static double now_s(const struct follow *follow)
{
    return clock_now_s() - follow->start_s;
}

/* Rows a second, over the last seconds. */
static void take_rate(struct follow *follow, uint64_t done)
{
    double now = now_s(follow), passed = now - follow->rate_s;

    if (passed < RATE_S && follow->rate_s > 0)
        return;
    follow->rate = passed > 0 ? (double)(done - follow->rate_done) / passed : 0;
    if (passed < RATE_S)
        return;
    follow->rate_s = now;
    follow->rate_done = done;
}

/* `goes_on`: it follows still, so more may come; else this is the last word. */
static void tell(struct follow *follow, const mpm_progress *pass, bool goes_on)
{
    const struct output *output = follow->run.output;
    const mpm_dataset_map *map = follow->run.map;
    uint64_t here = follow->done + pass->done;
    mpm_progress all = *pass;

    take_rate(follow, here);
    all.earlier = output->good + output->failed;
    all.done = here + all.earlier;
    all.failed = follow->failed + pass->failed + output->failed;
    all.total = follow->watch.rows > output->record.rows ? follow->watch.rows : output->record.rows;
    all.elapsed_s = now_s(follow);
    all.follows = goes_on;
    all.rate = follow->rate;
    all.lag_s = all.done < all.total ? clock_now_s() - follow->watch.seen_s : 0;
    follow->told_s = all.elapsed_s;
    if (map->progress)
        map->progress(&all, map->progress_argument);
}

static void note_progress(const mpm_progress *now, void *argument)
{
    struct follow *follow = argument;

    follow->pass = *now;
    tell(follow, now, true);
}

/* The time that is left of what the map has. */
static double time_left_s(const struct follow *follow)
{
    double all_s = follow->run.map->drain.time_s, left_s = all_s - now_s(follow);

    return !(all_s > 0) ? 0 : left_s > 1e-3 ? left_s : 1e-3;
}

/* As many as may fail still; a pass in which none may is told that any number may, and looked at behind it. */
static uint64_t failures_left(const struct follow *follow)
{
    uint64_t most = follow->run.map->max_failures;

    return most > follow->failed ? most - follow->failed : 0;
}

static int end_pass(struct follow *follow, int status)
{
    uint64_t most = follow->run.map->max_failures;

    follow->done += follow->pass.done;
    follow->failed += follow->pass.failed;
    follow->pass = (mpm_progress){.nodes = follow->pass.nodes, .busy = follow->pass.busy};
    if (status && status != MPM_ETASK)
        return status;
    if (status && !follow->status) {
        follow->status = status;
        follow->first = strdup(mpm_error());
    }
    if (most && follow->failed > most)
        return error_set(MPM_ECANCELED, "%" PRIu64 " rows have failed, and %" PRIu64 " may (max_failures)",
                         follow->failed, most);
    return output_live_show(follow->run.output, follow->run.output->record.rows);
}

/* Runs the rows that the output has as left. */
static int run_pass(struct follow *follow)
{
    struct map_run *run = &follow->run;
    struct batch_map batches;
    int status = map_run_make_job(run);

    if (status)
        return status;
    batches = map_run_batches(run);
    batches.progress = note_progress;
    batches.progress_argument = follow;
    batches.max_failures = failures_left(follow);
    batches.drain = (mpm_drain_options){run->map->drain.grace_s, time_left_s(follow)};
    status = map_run_do(run, &batches);
    free(run->job);
    return end_pass(follow, status);
}

/* What a run has left that was killed. */
static int run_resumed(struct follow *follow)
{
    struct output *output = follow->run.output;
    uint64_t shown;
    int status;

    if (output->left_count && !output->left) /* all of them */
        output->record.rows = output->left_count = 0;
    shown = output->left_count ? output->left[0] : output->record.rows;
    if ((status = output_live_show(output, shown)) || !output->left_count)
        return status;
    if (output->record.rows > follow->input->rows)
        return error_set(MPM_EIO, "%s:%s has %" PRIu64 " rows, and %s was begun with %" PRIu64,
                         follow->run.map->input_file, follow->run.map->input_dataset, follow->input->rows,
                         output->part, output->record.rows);
    return run_pass(follow);
}

/* The next rows of those that have come: at most so many that a list of them is small. */
static int run_next(struct follow *follow)
{
    struct output *output = follow->run.output;
    struct part_record *record = &output->record;
    uint64_t first = record->rows, count = follow->input->rows - first;
    int status;

    if (count > PASS_ROWS)
        count = PASS_ROWS;
    if (count > record->capacity - first)
        return error_set(MPM_EIO, "%s is full: it has places for %" PRIu64 " rows", output->part,
                         record->capacity);
    if ((status = output_get_room_of(output, first, count)))
        return status;
    record->rows += count;
    if (!part_write_begun(output->fd, record))
        return error_set_errno(MPM_EIO, "cannot write %s", output->part);
    for (uint64_t i = 0; i < count; i++)
        follow->indexes[i] = first + i;
    output->left = follow->indexes;
    output->left_count = count;
    status = run_pass(follow);
    output->left = NULL;
    output->left_count = 0;
    return status;
}

static int run_new(struct follow *follow)
{
    int status = 0;

    while (!status && follow->input->rows > follow->run.output->record.rows && !drain_cause())
        status = run_next(follow);
    return status;
}

static void close_input(struct follow *follow)
{
    if (follow->is_open)
        input_close(follow->input);
    follow->is_open = false;
}

/* A signal interrupts it. One that came to another rank is seen behind it. */
static void wait_a_little(struct follow *follow)
{
    double poll_s = follow->watch.how.poll_s > 0 ? follow->watch.how.poll_s : POLL_S;
    struct timespec pause = {.tv_sec = (time_t)poll_s,
                             .tv_nsec = (long)((poll_s - (double)(time_t)poll_s) * 1e9)};

    if (now_s(follow) - follow->told_s >= TELL_S)
        tell(follow, &follow->pass, true);
    nanosleep(&pause, NULL);
}

static bool has_no_time(const struct follow *follow)
{
    const mpm_drain_options *drain = &follow->run.map->drain;

    return drain->time_s > 0 && now_s(follow) >= drain->time_s;
}

/* Until nothing more comes, or nothing more is wanted. */
static int follow_on(struct follow *follow)
{
    const struct part_record *record = &follow->run.output->record;
    int status = 0;

    while (!status && !drain_cause()) {
        if (!follow->is_open)
            status = watch_look(&follow->watch, record->rows, follow->input, &follow->is_open);
        if (!status && follow->is_open) {
            status = run_new(follow);
            close_input(follow);
        } else if (!status) {
            if (follow->watch.is_ended || watch_is_idle(&follow->watch))
                break;
            if (has_no_time(follow))
                drain_begin(DRAIN_ASKED);
            else
                wait_a_little(follow);
        }
    }
    close_input(follow);
    return status;
}

/* The input as a map of that many rows has it, which is all of it if no more have come. */
static void end_choice(mpm_dataset_map *map, const struct input *input, uint64_t rows)
{
    mpm_row_choice *choice = &map->choice;

    map->follow.mode = MPM_FOLLOW_NOT;
    if (rows == input->rows && !choice->step && !choice->first)
        return;
    choice->step = choice->step ? choice->step : 1;
    choice->end = rows ? choice->first + (rows - 1) * choice->step + 1 : choice->first;
}

/* Dimension scales and attributes, of the rows that there were. Without the input they are left out. */
static int find_scales(const struct follow *follow, const mpm_dataset_map *map)
{
    const struct input_source source = input_source_of(map);
    struct output *output = follow->run.output;
    struct input input;
    int status;

    if (!output->record.rows)
        return 0;
    if (input_open(&source, &input)) {
        output_tell(output, "coordinates and attributes of the input are left out: %s", mpm_error());
        return 0;
    }
    status = scales_find(map, &input, output);
    input_close(&input);
    return status;
}

/* What the map was, now that it is known how many rows there are. */
static int describe_end(struct follow *follow)
{
    struct output *output = follow->run.output;
    struct input input = *follow->input;
    mpm_dataset_map map = *follow->run.map;
    int status;

    end_choice(&map, &input, output->record.rows);
    input.follows = false;
    input.rows = output->grid.count[0] = output->record.rows;
    input.choice = map.choice;
    status = output_describe_origin(output, &map, &input, follow->run.task);
    return status ? status : find_scales(follow, &map);
}

static int say_failed(const struct follow *follow)
{
    const char *first = follow->first ? strstr(follow->first, "; the first is ") : NULL;

    if (!follow->status)
        return 0;
    return error_set(follow->status, "%" PRIu64 " of %" PRIu64 " items failed%s", follow->failed,
                     follow->run.output->record.rows, first ? first : "");
}

/* Told to stop, it ends well if nothing is left that was begun. */
static int finish(struct follow *follow, int status)
{
    struct output *output = follow->run.output;
    enum drain_cause cause = drain_cause();
    struct mark_count count;
    uint64_t missing = 0;

    if (!status && cause == DRAIN_ASKED)
        status = error_set(MPM_EDRAINED, "the map was drained");
    if (status == MPM_EDRAINED && cause == DRAIN_STOP &&
        marks_count(output->fd, &output->record, &count, &missing) && missing == output->record.rows)
        status = 0;
    if (!status)
        status = describe_end(follow);
    return status ? output_keep(output, status) : output_finish(output, say_failed(follow));
}

static int run_all(struct follow *follow)
{
    int status = run_resumed(follow);

    free(follow->run.output->left);
    follow->run.output->left = NULL;
    follow->run.output->left_count = 0;
    if (!status)
        status = follow_on(follow);
    if (!status)
        tell(follow, &follow->pass, false);
    close_input(follow);
    return finish(follow, status);
}

int follow_run(const struct map_run *run)
{
    struct follow follow = {.run = *run, .input = run->input, .is_open = true, .start_s = clock_now_s()};
    int status = output_begin(run->output);

    if (!status && !(follow.indexes = malloc(PASS_ROWS * sizeof *follow.indexes)))
        status = output_keep(run->output, error_set(MPM_ENOMEM, "no memory for a list of rows"));
    else if (!status) {
        watch_begin(&follow.watch, run->map, run->input);
        status = run_all(&follow);
    }
    close_input(&follow);
    free(follow.indexes);
    free(follow.first);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* One of the runs that have joined. The thread that maps works on claims; another one, the keeper, alone has the table
 * of claims: it gives beats while rows take however long, gets claims, and ends them. Between the two stands a struct
 * with a lock; the keeper never holds the lock while it uses files. */
#include "data/join.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "claim/claim.h"
#include "claim/claim_files.h"
#include "data/join_output.h"
#include "forkserver/own_thread.h"
#include "mpmap/runtime.h"

#define SILENT_S    60.0
#define LOOK_S      0.1 /* how often the thread that maps looks whether it is to end while it waits */
#define TRY_AGAIN_S 1.0 /* after an error of the file system */
#define MOST_ADDED  1000u

/* What becomes of the claim that is at work. */
enum claim_fate { FATE_NONE, FATE_END, FATE_GIVE_BACK };

struct join {
    struct output *output;
    const struct join_map *map;
    double start_s;
    struct claim_table *table; /* the keeper's */
    int folder;
    pthread_t keeper;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* With the lock. */
    bool wants, leaves;
    bool has_claim;
    struct claim claim;
    enum claim_fate fate;
    uint64_t *added; /* pairs: claims that are to be added before that */
    size_t added_count;
    int failed;                 /* an errno: the table cannot be used any more; ENOENT: it is gone */
    uint64_t left;              /* rows in claims, by the last look */
    uint64_t done, failed_rows; /* of this run */
    double busy_s;
    /* The thread's that maps. */
    uint64_t done_before, failed_before; /* in earlier claims of this run */
    double busy_before_s, claim_start_s;
    char why[700]; /* the sentence on the first rows that failed in this run */
};

static bool is_gone(int failed)
{
    return failed == ENOENT || failed == ESTALE || failed == ENOTDIR;
}

/* ---- The keeper ---- */

/* Waits until something changes, but not longer than this. */
static void wait_for_change(struct join *join, double seconds)
{
    struct timespec until;
    uint64_t ns = clock_now_ns() + (uint64_t)(seconds * 1e9);

    until = (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    pthread_cond_timedwait(&join->changed, &join->lock, &until);
}

/* Takes note of what a call that used files has come to: false if it is to be tried again. */
static bool note_failed(struct join *join, int failed, double *failing_since_s)
{
    double silent_s = join->map->map->join_timeout_s > 0 ? join->map->map->join_timeout_s : SILENT_S;

    if (!failed) {
        *failing_since_s = 0;
        return true;
    }
    if (*failing_since_s <= 0)
        *failing_since_s = clock_now_s();
    if (is_gone(failed) || failed == ENOMEM || clock_now_s() - *failing_since_s > silent_s)
        join->failed = failed;
    return false;
}

/* Adds claims, then ends the one that was at work. Without the lock. */
static int settle(struct join *join, const struct claim *claim, enum claim_fate fate)
{
    for (size_t i = 0; i < join->added_count; i++) {
        int failed = claim_add(join->table, join->added[2 * i], join->added[2 * i + 1]);

        if (failed)
            return failed;
    }
    return fate == FATE_END ? claim_end(join->table, claim) : claim_give_back(join->table, claim);
}

static int look_and_take(struct join *join, struct claim *claim, bool *taken)
{
    int failed = claim_look(join->table);

    *taken = false;
    return failed ? failed : claim_take(join->table, claim, taken);
}

/* One step of the keeper, which begins and ends with the lock. How long it has nothing to do then, at most. */
static double keep(struct join *join, double *failing_since_s, double *next_look_s)
{
    struct claim claim = join->claim;
    enum claim_fate fate = join->fate;
    bool wants = join->wants && !join->has_claim && clock_now_s() >= *next_look_s, taken = false;
    int failed = 0;

    claim_note(join->table, join->done, join->failed_rows, join->busy_s);
    pthread_mutex_unlock(&join->lock);
    if (fate)
        failed = settle(join, &claim, fate);
    else if (wants)
        failed = look_and_take(join, &claim, &taken);
    else if (claim_beat_s(join->table) <= 0)
        failed = claim_beat(join->table);
    pthread_mutex_lock(&join->lock);
    if (!note_failed(join, failed, failing_since_s))
        return TRY_AGAIN_S;
    if (fate) {
        join->fate = FATE_NONE;
        join->has_claim = false;
        *next_look_s = clock_now_s() + claim_wait_s(join->table);
        pthread_cond_broadcast(&join->changed);
        return 0;
    }
    if (wants) {
        join->left = claim_items_left(join->table);
        join->has_claim = taken;
        join->claim = claim;
        *next_look_s = taken ? 0 : clock_now_s() + claim_pause_s(join->table);
        pthread_cond_broadcast(&join->changed);
    }
    if (join->wants && !join->has_claim) {
        double beat_s = claim_beat_s(join->table), look_s = *next_look_s - clock_now_s();

        return beat_s < look_s ? beat_s : look_s;
    }
    return claim_beat_s(join->table);
}

static void *keeper_main(void *argument)
{
    struct join *join = argument;
    double failing_since_s = 0, next_look_s = 0;

    pthread_mutex_lock(&join->lock);
    while (!join->failed && !(join->leaves && !join->fate)) {
        double wait_s = keep(join, &failing_since_s, &next_look_s);

        if (wait_s > 0 && !join->failed && !join->leaves && !join->fate)
            wait_for_change(join, wait_s);
        if (join->leaves && failing_since_s > 0)
            break;
    }
    pthread_cond_broadcast(&join->changed);
    pthread_mutex_unlock(&join->lock);
    return NULL;
}

/* ---- Joining and leaving ---- */

static int open_table(struct join *join)
{
    const mpm_dataset_map *map = join->map->map;
    struct claim_files files = claim_files_of(&join->folder);
    struct claim_options options = {.count = join->output->record.rows,
                                    .workers = join->map->workers ? join->map->workers : 1,
                                    .silent_s = map->join_timeout_s > 0 ? map->join_timeout_s : SILENT_S};
    char host[256] = "", text[400];
    int failed = claim_folder_open(join->output->claims, &join->folder);

    if (failed)
        return failed;
    gethostname(host, sizeof host - 1);
    snprintf(text, sizeof text, "%s %ld\n", host, (long)getpid());
    options.text = text;
    while (options.id == 0 || options.id == UINT64_MAX)
        if (getrandom(&options.id, sizeof options.id, 0) != sizeof options.id)
            failed = errno, options.id = (uint64_t)getpid() << 32 | (clock_now_ns() & 0xffffffff) | 1;
    failed = claim_open(&options, &files, &join->table);
    if (failed)
        close(join->folder);
    return failed;
}

static int start_keeper(struct join *join)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&join->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&join->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return own_thread_start(&join->keeper, keeper_main, join);
}

static void leave(struct join *join)
{
    pthread_mutex_lock(&join->lock);
    join->leaves = true;
    pthread_cond_broadcast(&join->changed);
    pthread_mutex_unlock(&join->lock);
    pthread_join(join->keeper, NULL);
    claim_close(join->table);
    close(join->folder);
    pthread_cond_destroy(&join->changed);
    pthread_mutex_destroy(&join->lock);
}

/* ---- The thread that maps ---- */

static double time_left_s(const struct join *join)
{
    const mpm_drain_options *drain = &join->map->map->drain;
    double left_s = drain->time_s - (clock_now_s() - join->start_s);

    return !(drain->time_s > 0) ? 0 : left_s > 1e-3 ? left_s : 1e-3;
}

/* Whether it drains: because the run does, or its time is over. */
static bool is_drained(const struct join *join)
{
    const mpm_drain_options *drain = &join->map->map->drain;

    if (!(drain->grace_s > 0))
        return false;
    if (drain->time_s > 0 && time_left_s(join) <= 1e-3)
        mpm_drain();
    return mpm_draining();
}

/* `now` is how far the claim is that is at work, or NULL. Others may have done rows since the last look. */
static void tell(struct join *join, const mpm_progress *now)
{
    const mpm_dataset_map *map = join->map->map;
    uint64_t rows = join->output->record.rows, here = now ? now->done : 0, own = join->done_before + here;
    mpm_progress all = {.total = rows, .elapsed_s = clock_now_s() - join->start_s};

    pthread_mutex_lock(&join->lock);
    all.done = rows - (join->left < rows ? join->left : rows) + here;
    pthread_mutex_unlock(&join->lock);
    all.done = all.done < own ? own : all.done < rows ? all.done : rows;
    all.failed = join->failed_before + (now ? now->failed : 0);
    all.earlier = all.done - own;
    all.busy = now ? now->busy : 0;
    all.nodes = now ? now->nodes : 0;
    if (map->progress)
        map->progress(&all, map->progress_argument);
}

/* Of the claim that is at work: what the others see of it. */
static void note_progress(const mpm_progress *now, void *argument)
{
    struct join *join = argument;

    pthread_mutex_lock(&join->lock);
    join->failed_rows = join->failed_before + now->failed;
    join->done = join->done_before + now->done - join->failed_rows;
    join->busy_s = join->busy_before_s + (clock_now_s() - join->claim_start_s);
    pthread_mutex_unlock(&join->lock);
    tell(join, now);
}

/* Waits for a claim: 0, with `*claim`; else why there is none, MPM_EDRAINED, or MPM_EIO with `*failed`. */
static int wait_for_claim(struct join *join, struct claim *claim, int *failed)
{
    bool has;

    pthread_mutex_lock(&join->lock);
    join->wants = true;
    pthread_cond_broadcast(&join->changed);
    while (!(join->has_claim && !join->fate) && !join->failed && !is_drained(join)) {
        wait_for_change(join, LOOK_S);
        pthread_mutex_unlock(&join->lock);
        tell(join, NULL);
        pthread_mutex_lock(&join->lock);
    }
    has = join->has_claim && !join->fate && !join->failed && !is_drained(join);
    join->wants = false;
    *claim = join->claim;
    *failed = join->failed;
    pthread_mutex_unlock(&join->lock);
    return has ? 0 : *failed ? MPM_EIO : MPM_EDRAINED;
}

/* `added`: pairs, which are the keeper's until the claim has ended. */
static void end_claim(struct join *join, enum claim_fate fate, uint64_t *added, size_t added_count)
{
    pthread_mutex_lock(&join->lock);
    join->fate = fate;
    join->added = added;
    join->added_count = added_count;
    pthread_cond_broadcast(&join->changed);
    while (added_count && join->fate && !join->failed)
        wait_for_change(join, LOOK_S);
    join->added = NULL;
    join->added_count = 0;
    pthread_mutex_unlock(&join->lock);
}

/* Lists the rows of a claim that are not done. MPM_ENOMEM, MPM_EIO. */
static int list_left(struct join *join, const struct claim *claim)
{
    struct output *output = join->output;
    uint64_t count = claim->end - claim->first;
    unsigned char *found = malloc(count);
    int status;

    free(output->left);
    output->left = malloc(count * sizeof *output->left);
    output->left_count = 0;
    if (!found || !output->left)
        status = error_set(MPM_ENOMEM, "no memory for a list of %" PRIu64 " rows", count);
    else
        status = join_output_find(output, claim->first, claim->end, found);
    for (uint64_t i = 0; !status && i < count; i++) {
        if (found[i] == ROW_NOT_DONE)
            output->left[output->left_count++] = claim->first + i;
    }
    free(found);
    return status;
}

/* What has become of a claim, and why. */
static int run_rows(struct join *join)
{
    int status = 0;

    join->claim_start_s = clock_now_s();
    if (join->output->left_count)
        status = join->map->run(join->map->argument, time_left_s(join), note_progress, join);
    if (status == MPM_ETASK && !join->why[0])
        snprintf(join->why, sizeof join->why, "%s", mpm_error());
    if (status == MPM_ETASK)
        status = 0;
    join->busy_before_s += clock_now_s() - join->claim_start_s;
    pthread_mutex_lock(&join->lock);
    if (!status)
        join->done = join->done_before + join->output->left_count - join->failed_rows;
    join->busy_s = join->busy_before_s;
    join->done_before = join->done + join->failed_rows;
    join->failed_before = join->failed_rows;
    pthread_mutex_unlock(&join->lock);
    return status ? status : join_output_flush(join->output);
}

static int run_claim(struct join *join, const struct claim *claim)
{
    int status = list_left(join, claim);

    if (!status)
        status = run_rows(join);
    end_claim(join, status ? FATE_GIVE_BACK : FATE_END, NULL, 0);
    return status;
}

/* Pairs of the rows that are not done, so many that a folder can take them: some that are done may be among them. */
static size_t list_missing(const unsigned char *found, uint64_t rows, uint64_t *pairs)
{
    size_t count = 0;

    for (uint64_t row = 0; row < rows; row++) {
        if (found[row] != ROW_NOT_DONE)
            continue;
        if (count && (pairs[2 * count - 1] == row || count == MOST_ADDED)) {
            pairs[2 * count - 1] = row + 1;
        } else {
            pairs[2 * count] = row;
            pairs[2 * count + 1] = row + 1;
            count++;
        }
    }
    return count;
}

/* Proves that all rows are done, and finishes the file; or gives others what is missing. */
static int run_end(struct join *join, bool *is_finished)
{
    struct output *output = join->output;
    uint64_t rows = output->record.rows;
    unsigned char *found = malloc(rows + 1);
    uint64_t *pairs = malloc(2 * MOST_ADDED * sizeof *pairs);
    size_t missing = 0;
    int status = found && pairs
                     ? join_output_find(output, 0, rows, found)
                     : error_set(MPM_ENOMEM, "no memory for a byte for each of %" PRIu64 " rows", rows);

    if (!status && (missing = list_missing(found, rows, pairs)) == 0)
        status = join_output_finish(output, found);
    *is_finished = !status && !missing;
    if (!*is_finished)
        end_claim(join, FATE_GIVE_BACK, pairs, missing);
    free(found);
    free(pairs);
    return status;
}

/* Of a table that cannot be used any more: 0 if all is done. */
static int look_why(const struct join *join, int failed, bool *is_finished)
{
    const struct output *output = join->output;

    *is_finished = join_output_look(output) == JOIN_PART_IS_FINISHED;
    if (*is_finished)
        return 0;
    if (join_output_look(output) == JOIN_PART_IS_REMOVED)
        return error_set(MPM_EIO, "%s was removed while this run was working on it", output->part);
    errno = failed;
    return error_set_errno(MPM_EIO, "cannot use %s", output->claims);
}

static int drained(const struct join *join)
{
    struct mark_count count = {0};
    int status = join_output_count(join->output, &count);

    return status ? status
                  : error_set(MPM_EDRAINED,
                              "the map was drained; %" PRIu64 " of %" PRIu64
                              " rows are good: they are in %s, and other runs may go on with it",
                              count.good, join->output->record.rows, join->output->part);
}

/* Behind the sentence of a status that ends this run. */
static int ended_early(const struct join *join, int status)
{
    struct mark_count count;
    char why[700];

    snprintf(why, sizeof why, "%s", mpm_error());
    if (join_output_count(join->output, &count))
        return error_set(status, "%s", why);
    return error_set(status, "%s; %" PRIu64 " of %" PRIu64 " rows are good: they are in %s", why, count.good,
                     join->output->record.rows, join->output->part);
}

/* Until it is finished, or a status ends it. */
static int work(struct join *join, bool *is_finished)
{
    struct claim claim;
    int failed, status = 0;

    *is_finished = false;
    while (!status && !*is_finished) {
        status = wait_for_claim(join, &claim, &failed);
        if (status == MPM_EDRAINED)
            return drained(join);
        if (status)
            return look_why(join, failed, is_finished);
        status = claim.is_end ? run_end(join, is_finished) : run_claim(join, &claim);
        if (status && join_output_look(join->output) == JOIN_PART_IS_FINISHED) {
            *is_finished = true; /* by another run, so files that this one needs are gone */
            return 0;
        }
    }
    return status == MPM_EDRAINED ? drained(join) : status ? ended_early(join, status) : 0;
}

/* What a map that is finished has come to, for each run that was in it. */
static int tell_end(struct join *join)
{
    uint64_t rows = join->output->record.rows;
    struct mark_count count;
    int status = join_output_count(join->output, &count);

    if (status)
        return status;
    join->left = 0;
    join->failed_before = count.failed;
    tell(join, NULL);
    if (!count.failed)
        return 0;
    return error_set(MPM_ETASK, "%" PRIu64 " of %" PRIu64 " rows failed%s%s", count.failed, rows,
                     join->why[0] ? "; in this run: " : " in other runs", join->why);
}

int join_run(struct output *output, const struct join_map *map)
{
    struct join join = {.output = output, .map = map, .start_s = clock_now_s()};
    bool is_finished = false;
    int failed = open_table(&join), status;

    if (failed) {
        status = look_why(&join, failed, &is_finished);
    } else if (start_keeper(&join)) {
        claim_close(join.table);
        close(join.folder);
        status = MPM_ENOMEM;
    } else {
        status = work(&join, &is_finished);
        leave(&join);
    }
    if (is_finished && !status) {
        claim_folders_remove(output->claims);
        if (output->record.values)
            values_remove_folder(output->values);
        part_remove_own_names(output->part, NULL);
        status = tell_end(&join);
    }
    join_output_close(output);
    return status;
}

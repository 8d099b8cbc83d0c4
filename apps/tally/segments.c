/* SPDX-License-Identifier: BSD-3-Clause */
/* Two threads take segments in turn: each has its segment reduced by the workers, waits until it is its turn, records
 * and combines it, and takes the next one. So workers that are done with one have the other. */
#include "segments.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "stopwatch.h"
#include "support/command.h"
#include "table.h"
#include "threads.h"

#define SEGMENTS_AT_ONCE 2
#define LEAST_BYTES      ((uint64_t)64 << 20)

/* All that follows `lock` is the threads' under it. */
struct segments {
    const struct segments_request *request;
    void *state; /* of all segments that are merged */
    uint64_t count;
    mpm_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    uint64_t next;    /* the first one that nobody has yet */
    uint64_t merged;  /* those before it are recorded and combined */
    uint64_t earlier; /* of them by earlier runs */
    int exit_status;  /* of what went wrong; nobody begins anything then */
    mpm_progress shown[SEGMENTS_AT_ONCE];
    struct timespec begun;
    mpm_line line;
};

struct reducer {
    struct segments *segments;
    unsigned number;
    uint64_t segment;
    struct variable variable;
    void *state;
};

uint64_t segments_cut(const struct variable *variable, uint64_t bytes, size_t state_size)
{
    uint64_t row = mpm_shape_size(&variable->row), wanted = bytes, rows;

    if (!wanted) {
        wanted = variable->rows / 32 * row;
        wanted = wanted < LEAST_BYTES ? LEAST_BYTES : wanted;
        wanted = wanted < 8 * state_size ? 8 * state_size : wanted;
    }
    rows = row ? wanted / row : variable->rows;
    return rows ? rows : 1;
}

static uint64_t rows_before(const struct segments *segments, uint64_t segment)
{
    uint64_t rows = segment * segments->request->segment_rows;

    return rows < segments->request->variable->rows ? rows : segments->request->variable->rows;
}

static void combine(struct segments *segments, const void *state)
{
    const mpm_reduction *reduction = &segments->request->reduction;

    if (segments->merged)
        reduction->combine(segments->state, state, segments->request->variable);
    else
        memcpy(segments->state, state, reduction->state_size);
    segments->merged++;
}

/* Both segments together, and those before them, are one progress. */
static void show_progress(const mpm_progress *now, void *argument)
{
    struct reducer *reducer = argument;
    struct segments *segments = reducer->segments;
    mpm_progress all = *now;

    pthread_mutex_lock(&segments->lock);
    segments->shown[reducer->number] = *now;
    all.total = segments->request->variable->rows;
    all.earlier = rows_before(segments, segments->earlier);
    all.done = rows_before(segments, segments->merged);
    all.failed = 0;
    for (unsigned i = 0; i < SEGMENTS_AT_ONCE; i++) {
        all.done += segments->shown[i].done;
        all.failed += segments->shown[i].failed;
    }
    all.elapsed_s = seconds_since(&segments->begun);
    mpm_progress_line(&all, &segments->line);
    pthread_mutex_unlock(&segments->lock);
}

static int reduce_segment(struct reducer *reducer)
{
    const struct segments_request *request = reducer->segments->request;
    mpm_reduction reduction = request->reduction;
    mpm_dataset_rows rows = request->rows;

    reducer->variable = *request->variable;
    reducer->variable.first = rows_before(reducer->segments, reducer->segment);
    rows.choice.first = reducer->variable.first;
    rows.choice.end = rows_before(reducer->segments, reducer->segment + 1);
    reduction.context = &reducer->variable;
    reduction.context_size = sizeof reducer->variable;
    reduction.progress = show_progress;
    reduction.progress_argument = reducer;
    return mpm_pool_reduce_dataset(reducer->segments->pool, &reduction, &rows, reducer->state)
               ? mpm_report_error()
               : 0;
}

static bool take_segment(struct reducer *reducer)
{
    struct segments *segments = reducer->segments;
    bool is_taken;

    pthread_mutex_lock(&segments->lock);
    if (!segments->exit_status && mpm_draining() && segments->next < segments->count)
        segments->exit_status = EXIT_DRAINED;
    is_taken = !segments->exit_status && segments->next < segments->count;
    reducer->segment = segments->next;
    segments->next += is_taken;
    pthread_mutex_unlock(&segments->lock);
    return is_taken;
}

/* Drained is not broken: what has begun is still merged. */
static bool is_broken(const struct segments *segments)
{
    return segments->exit_status && segments->exit_status != EXIT_DRAINED;
}

static bool wait_for_turn(struct reducer *reducer)
{
    struct segments *segments = reducer->segments;
    bool is_turn;

    pthread_mutex_lock(&segments->lock);
    while (segments->merged != reducer->segment && !is_broken(segments))
        pthread_cond_wait(&segments->turn, &segments->lock);
    is_turn = !is_broken(segments);
    pthread_mutex_unlock(&segments->lock);
    return is_turn;
}

/* Recorded first: whoever has its turn is alone with the journal. */
static int record_segment(struct reducer *reducer)
{
    const struct segments_request *request = reducer->segments->request;

    if (request->journal && !journal_append(request->journal, reducer->state, request->reduction.state_size))
        return EXIT_FAILURE;
    return 0;
}

static void end_segment(struct reducer *reducer, int exit_status)
{
    struct segments *segments = reducer->segments;
    mpm_progress *shown = &segments->shown[reducer->number];

    pthread_mutex_lock(&segments->lock);
    if (!exit_status)
        combine(segments, reducer->state);
    else if (!is_broken(segments))
        segments->exit_status = exit_status;
    shown->done = shown->failed = 0;
    pthread_cond_broadcast(&segments->turn);
    pthread_mutex_unlock(&segments->lock);
}

static void *run_segments(void *argument)
{
    struct reducer *reducer = argument;
    int exit_status;

    while (take_segment(reducer)) {
        exit_status = reduce_segment(reducer);
        if (!exit_status)
            exit_status = wait_for_turn(reducer) ? record_segment(reducer) : EXIT_FAILURE;
        end_segment(reducer, exit_status);
    }
    return NULL;
}

/* Those that an earlier run has recorded. */
static void resume(struct segments *segments)
{
    struct journal *journal = segments->request->journal;
    size_t size;
    char *state;

    while (journal && segments->merged < segments->count && (state = journal_next(journal, &size))) {
        combine(segments, state);
        free(state);
    }
    segments->next = segments->earlier = segments->merged;
}

static void run_reducers(struct segments *segments)
{
    struct reducer reducers[SEGMENTS_AT_ONCE];
    uint64_t left = segments->count - segments->next;

    for (unsigned i = 0; i < SEGMENTS_AT_ONCE; i++)
        reducers[i] = (struct reducer){.segments = segments,
                                       .number = i,
                                       .state = memory_resize(NULL, segments->request->reduction.state_size)};
    threads_run(run_segments, reducers, sizeof *reducers,
                left < SEGMENTS_AT_ONCE ? (unsigned)left : SEGMENTS_AT_ONCE);
    for (unsigned i = 0; i < SEGMENTS_AT_ONCE; i++)
        free(reducers[i].state);
}

int segments_reduce(const struct segments_request *request, void *state)
{
    uint64_t rows = request->variable->rows, segment = request->segment_rows;
    struct segments segments = {.request = request,
                                .state = state,
                                .count = rows ? (rows - 1) / segment + 1 : 1,
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .turn = PTHREAD_COND_INITIALIZER,
                                .line = request->line};

    clock_gettime(CLOCK_MONOTONIC, &segments.begun);
    resume(&segments);
    if (segments.next == segments.count)
        return 0;
    if (mpm_pool_open(&request->pool, &segments.pool))
        return mpm_report_error();
    run_reducers(&segments);
    mpm_pool_close(segments.pool);
    mpm_progress_line_end(&segments.line);
    return segments.exit_status;
}

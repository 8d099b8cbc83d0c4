/* SPDX-License-Identifier: BSD-3-Clause */
#include "passes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "stopwatch.h"
#include "threads.h"

#define ROUNDS_AT_ONCE 2  /* one is with the workers while another one is merged */
#define MOST_FAILURES  10 /* that are listed */

/* One pass. Two threads take rounds in turn: each gives its round to the workers, waits until it is its turn,
 * merges, and takes the next one. All that follows `lock` is theirs under it. */
struct pass {
    const struct input *input;
    const struct plan *plan;
    const struct pass_options *options;
    struct answer *answer;
    mpm_pool *pool;
    const struct block *blocks;
    size_t block_count, round_size;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    size_t next;       /* the first block that no round has yet */
    size_t merged;     /* blocks that are merged: those before it */
    int exit_status;   /* of what went wrong; nobody begins anything then */
    bool is_stopped;   /* at the first bad row */
    bool has_gap;      /* a drain has left blocks out that are merged already: nothing behind them is */
    uint64_t expected; /* where the rows of the next block begin */
    uint64_t line;     /* the line that it begins with */
    uint64_t done;     /* blocks, for the progress line */
    uint64_t earlier;  /* of them by earlier runs */
    struct timespec begun;
    mpm_progress shown[ROUNDS_AT_ONCE];
    mpm_line progress;
};

struct mapper {
    struct pass *pass;
    unsigned number;
    size_t first, count; /* its round */
    size_t done;         /* blocks of it from the first one on: fewer than all in a drain */
};

void answer_open(struct answer *answer, const struct plan *plan)
{
    memset(answer, 0, sizeof *answer);
    for (int i = 0; i < PARTITIONS; i++)
        table_open(&answer->parts[i], plan);
}

void answer_close(struct answer *answer)
{
    for (int i = 0; i < PARTITIONS; i++)
        table_close(&answer->parts[i]);
}

/* About 32 blocks, of 1 to 64 MiB. */
static uint64_t usual_size(const struct input *input)
{
    uint64_t sum = 0, size;

    for (size_t i = 0; i < input->file_count; i++)
        sum += input->files[i].frames.count ? input->files[i].frames.text_size : input->files[i].size;
    size = (sum / 32 + 65535) / 65536 * 65536;
    return size < 1 << 20 ? 1 << 20 : size > 64 << 20 ? 64 << 20 : size;
}

/* Where the block ends that begins at this byte; UINT64_MAX if it is the last one. What is compressed is entered where a
 * frame begins, and cut behind its first byte: whoever looks for the first row there reads a byte before the cut, and need
 * not inflate the frame before for that. */
static uint64_t find_cut(const struct input_file *file, uint64_t at, uint64_t size)
{
    uint64_t cut = UINT64_MAX;

    if (file->is_plain && size < file->size - at)
        return at + size;
    if (file->frames.count)
        cut = frames_next(&file->frames, at + size);
    return cut == UINT64_MAX ? cut : cut + 1;
}

struct block *blocks_cut(const struct input *input, uint64_t block_bytes, size_t *count)
{
    uint64_t size = block_bytes ? block_bytes : usual_size(input);
    struct block *blocks = NULL;

    *count = 0;
    for (size_t i = 0; i < input->file_count; i++) {
        const struct input_file *file = &input->files[i];
        bool is_empty = file->is_plain && !file->size;

        for (uint64_t at = 0, cut; !is_empty && at != UINT64_MAX; at = cut) {
            cut = find_cut(file, at, size);
            if (!(*count & (*count + 1)))
                blocks = memory_resize(blocks, (2 * *count + 2) * sizeof *blocks);
            blocks[(*count)++] = (struct block){
                .file = i, .first = at ? at : file->first, .limit = cut, .is_first = !at};
        }
    }
    return blocks;
}

static void *make_item(const struct pass *pass, const struct block *block, uint64_t first, bool is_row,
                       mpm_blob *blob)
{
    const struct input_file *file = &pass->input->files[block->file];
    const struct block_item item = {first, block->limit, is_row,
                                    frames_before(&file->frames, is_row ? first : first - 1)};
    size_t place = strlen(file->place) + 1, name = strlen(file->path) + 1;
    char *bytes = memory_resize(NULL, sizeof item + place + name);

    memcpy(bytes, &item, sizeof item);
    memcpy(bytes + sizeof item, file->place, place);
    memcpy(bytes + sizeof item + place, file->path, name);
    *blob = (mpm_blob){bytes, sizeof item + place + name};
    return bytes;
}

/* All rounds together are one progress. */
static void show_progress(const mpm_progress *now, void *argument)
{
    struct mapper *mapper = argument;
    struct pass *pass = mapper->pass;
    mpm_progress all;

    pthread_mutex_lock(&pass->lock);
    all = *now;
    pass->shown[mapper->number] = *now;
    all.total = pass->block_count;
    all.earlier = pass->earlier;
    all.done = pass->done;
    all.failed = 0;
    for (unsigned i = 0; i < ROUNDS_AT_ONCE; i++) {
        all.done += pass->shown[i].done;
        all.failed += pass->shown[i].failed;
    }
    all.elapsed_s = seconds_since(&pass->begun);
    mpm_progress_line(&all, &pass->progress);
    pthread_mutex_unlock(&pass->lock);
}

static int tell_failures(const struct pass *pass, size_t first, const mpm_failure *failures, size_t count)
{
    for (size_t i = 0; i < count && i < MOST_FAILURES; i++) {
        const struct block *block = &pass->blocks[first + failures[i].index];

        failure("'%s' from byte %llu on: %s", pass->input->files[block->file].path,
                (unsigned long long)block->first, failures[i].text);
    }
    return failure("%zu of %zu blocks failed, so there is no answer", count, pass->block_count);
}

/* Results up to the first block that a drain has left out: what follows is of no use, as blocks go in their order. */
static size_t count_done(const mpm_blob *results, size_t count)
{
    size_t done = 0;

    while (done < count && results[done].bytes)
        done++;
    return done;
}

/* Has blocks read by the workers. 0, or the exit status after saying what is wrong; there are results also if it is
 * EXIT_DRAINED. */
static int map_items(struct mapper *mapper, const mpm_blob *items, mpm_blob **results)
{
    struct pass *pass = mapper->pass;
    mpm_failure *failures = NULL;
    size_t failure_count = 0;
    const mpm_map_options options = {.chunk = 1,
                                     .progress = show_progress,
                                     .progress_argument = mapper,
                                     .drain = {.grace_s = MPM_FOREVER},
                                     .failures = &failures,
                                     .failure_count = &failure_count};
    int status = mpm_pool_map_blobs(pass->pool, block_run, items, mapper->count, &options, results);
    int exit_status = 0;

    if (failure_count)
        exit_status = tell_failures(pass, mapper->first, failures, failure_count);
    else if (status == MPM_EDRAINED)
        exit_status = EXIT_DRAINED;
    else if (status)
        exit_status = mpm_report_error();
    if (failure_count) {
        mpm_blobs_free(*results);
        *results = NULL;
    } else if (!status || status == MPM_EDRAINED) {
        mapper->done = count_done(*results, mapper->count);
    }
    free(failures);
    return exit_status;
}

static int map_round(struct mapper *mapper, mpm_blob **results)
{
    struct pass *pass = mapper->pass;
    mpm_blob *items = memory_resize(NULL, mapper->count * sizeof *items);
    void **memory = memory_resize(NULL, mapper->count * sizeof *memory);
    int exit_status;

    for (size_t i = 0; i < mapper->count; i++) {
        const struct block *block = &pass->blocks[mapper->first + i];

        memory[i] = make_item(pass, block, block->first, block->is_first, &items[i]);
    }
    exit_status = map_items(mapper, items, results);
    for (size_t i = 0; i < mapper->count; i++)
        free(memory[i]);
    free(memory);
    free(items);
    return exit_status;
}

/* A block that has begun at another row than the one before it has ended at is read again, from there. */
static int repeat_block(struct mapper *mapper, size_t number, mpm_blob **result)
{
    struct mapper again = {mapper->pass, mapper->number, number, 1, 0};
    struct pass *pass = mapper->pass;
    mpm_blob item;
    void *memory = make_item(pass, &pass->blocks[number], pass->expected, true, &item);
    int exit_status = map_items(&again, &item, result);

    free(memory);
    return exit_status;
}

static void list_bad_rows(struct pass *pass, const struct block_head *head, size_t file)
{
    struct answer *answer = pass->answer;

    for (uint64_t i = 0; i < head->bad_count && answer->listed_count < MOST_LISTED; i++) {
        struct listed_row *listed = &answer->listed[answer->listed_count++];

        *listed = (struct listed_row){file, head->bad_rows[i]};
        listed->row.line += pass->line;
    }
    for (int i = 0; i < BAD_KINDS; i++) {
        answer->bad[i] += head->bad[i];
        answer->bad_count += head->bad[i];
    }
}

/* What follows from a block for the next one. */
static void follow_block(struct pass *pass, const struct block_head *head, const struct block *block)
{
    if (block->is_first)
        pass->line = pass->input->files[block->file].first_line;
    list_bad_rows(pass, head, block->file);
    pass->answer->rows += head->rows;
    pass->line += head->lines;
    pass->expected = head->end;
    pass->is_stopped |= pass->plan->stops_at_bad && head->bad_count;
}

struct merge {
    struct answer *answer;
    const mpm_blob *results;
    size_t count;
    int first, step; /* partitions */
};

static void *merge_partitions(void *argument)
{
    const struct merge *merge = argument;

    for (int part = merge->first; part < PARTITIONS; part += merge->step) {
        for (size_t i = 0; i < merge->count; i++) {
            const struct block_head *head = merge->results[i].bytes;
            const char *bytes = (const char *)merge->results[i].bytes + sizeof *head;

            table_merge(&merge->answer->parts[part], bytes + head->partitions[part],
                        head->partitions[part + 1] - head->partitions[part]);
        }
    }
    return NULL;
}

/* By several threads where it is much. */
static void merge_results(struct answer *answer, const mpm_blob *results, size_t count)
{
    struct merge merges[MOST_THREADS];
    size_t size = 0;
    unsigned wanted;

    for (size_t i = 0; i < count; i++)
        size += results[i].size;
    wanted = threads_worth(size);
    for (unsigned i = 0; i < wanted; i++)
        merges[i] = (struct merge){answer, results, count, (int)i, (int)wanted};
    threads_run(merge_partitions, merges, sizeof *merges, wanted);
}

/* Checks where each block has begun, and records it. What is read again takes the place of the first result, whose
 * memory is that of the round. */
static int settle_block(struct mapper *mapper, size_t number, mpm_blob *result, mpm_blob **again)
{
    struct pass *pass = mapper->pass;
    const struct block *block = &pass->blocks[number];
    const struct block_head *head = result->bytes;
    int exit_status;

    if (block->is_first)
        pass->expected = block->first;
    if (head->begin != pass->expected) {
        if ((exit_status = repeat_block(mapper, number, again)))
            return exit_status;
        *result = (*again)[0];
        head = result->bytes;
    }
    if (pass->options->journal && !journal_append(pass->options->journal, result->bytes, result->size))
        return EXIT_FAILURE;
    follow_block(pass, head, block);
    return 0;
}

/* `results` is a copy of the list, since blocks may be read again. */
static int merge_round(struct mapper *mapper, mpm_blob *results)
{
    mpm_blob **again = calloc(mapper->count, sizeof(mpm_blob *));
    struct pass *pass = mapper->pass;
    int exit_status = again ? 0 : failure("out of memory");
    size_t settled = 0;

    while (!exit_status && settled < mapper->done && !pass->is_stopped) {
        exit_status = settle_block(mapper, mapper->first + settled, &results[settled], &again[settled]);
        settled++;
    }
    if (!exit_status && !pass->is_stopped)
        merge_results(pass->answer, results, settled);
    pass->has_gap |= exit_status || mapper->done < mapper->count;
    for (size_t i = 0; again && i < mapper->count; i++)
        mpm_blobs_free(again[i]);
    free(again);
    return exit_status;
}

static bool take_round(struct mapper *mapper)
{
    struct pass *pass = mapper->pass;
    size_t left;

    pthread_mutex_lock(&pass->lock);
    if (!pass->exit_status && mpm_draining() && pass->next < pass->block_count)
        pass->exit_status = EXIT_DRAINED;
    left = pass->block_count - pass->next;
    if (pass->exit_status || pass->is_stopped)
        left = 0;
    mapper->first = pass->next;
    mapper->count = left < pass->round_size ? left : pass->round_size;
    pass->next += mapper->count;
    pthread_mutex_unlock(&pass->lock);
    return mapper->count > 0;
}

/* Whoever has waited for its turn may change what the turn is about without the lock: nobody else does. */
static void end_turn(struct mapper *mapper, int exit_status)
{
    struct pass *pass = mapper->pass;

    pthread_mutex_lock(&pass->lock);
    if (exit_status && (!pass->exit_status || pass->exit_status == EXIT_DRAINED))
        pass->exit_status = exit_status;
    pass->merged = mapper->first + mapper->count;
    pass->shown[mapper->number].done = pass->shown[mapper->number].failed = 0;
    pass->done += mapper->count;
    pthread_cond_broadcast(&pass->turn);
    pthread_mutex_unlock(&pass->lock);
}

/* Returns whether all before it is merged, and well. */
static bool wait_for_turn(struct mapper *mapper)
{
    struct pass *pass = mapper->pass;
    bool is_well;

    pthread_mutex_lock(&pass->lock);
    while (pass->merged != mapper->first)
        pthread_cond_wait(&pass->turn, &pass->lock);
    is_well = (!pass->exit_status || pass->exit_status == EXIT_DRAINED) && !pass->is_stopped &&
              !pass->has_gap;
    pthread_mutex_unlock(&pass->lock);
    return is_well;
}

static void *run_rounds(void *argument)
{
    struct mapper *mapper = argument;

    while (take_round(mapper)) {
        mpm_blob *results = NULL, *copy;
        int exit_status = map_round(mapper, &results);
        bool has_results = !exit_status || exit_status == EXIT_DRAINED;

        if (wait_for_turn(mapper) && has_results) {
            int merged;

            copy = memory_resize(NULL, mapper->count * sizeof *copy);
            memcpy(copy, results, mapper->count * sizeof *copy);
            merged = merge_round(mapper, copy);
            exit_status = merged ? merged : exit_status;
            free(copy);
        }
        if (has_results)
            mpm_blobs_free(results);
        end_turn(mapper, exit_status);
    }
    return NULL;
}

/* Merges what an earlier run has done. */
static void resume(struct pass *pass)
{
    size_t size;
    char *bytes;

    while (pass->options->journal && pass->next < pass->block_count && !pass->is_stopped &&
           (bytes = journal_next(pass->options->journal, &size))) {
        const mpm_blob result = {bytes, size};

        follow_block(pass, (const struct block_head *)(const void *)bytes, &pass->blocks[pass->next]);
        merge_results(pass->answer, &result, 1);
        free(bytes);
        pass->next++;
    }
    pass->merged = pass->next;
    pass->done = pass->earlier = pass->next;
}

static void run_mappers(struct pass *pass)
{
    struct mapper mappers[ROUNDS_AT_ONCE];

    for (unsigned i = 0; i < ROUNDS_AT_ONCE; i++)
        mappers[i] = (struct mapper){.pass = pass, .number = i};
    threads_run(run_rounds, mappers, sizeof *mappers, ROUNDS_AT_ONCE);
}

int pass_run(const struct input *input, const struct plan *plan, const struct pass_options *options,
             struct answer *answer)
{
    struct pass pass = {.input = input,
                        .plan = plan,
                        .options = options,
                        .answer = answer,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .turn = PTHREAD_COND_INITIALIZER,
                        .progress = options->line};
    mpm_pool_options pool = options->pool;
    struct block *blocks = blocks_cut(input, options->block_bytes, &pass.block_count);

    clock_gettime(CLOCK_MONOTONIC, &pass.begun);
    pass.blocks = blocks;
    pool.initializer = block_worker_open;
    pool.finalizer = block_worker_close;
    pool.initializer_argument = plan;
    pool.initializer_argument_size = sizeof *plan;
    resume(&pass);
    if (pass.next < pass.block_count && !pass.is_stopped) {
        if (mpm_pool_open(&pool, &pass.pool)) {
            free(blocks);
            return mpm_report_error();
        }
        pass.round_size = 4 * (size_t)mpm_pool_worker_count(pass.pool);
        run_mappers(&pass);
        mpm_pool_close(pass.pool);
        mpm_progress_line_end(&pass.progress);
    }
    free(blocks);
    return pass.exit_status;
}

static const char *const kinds[BAD_KINDS] = {
    [BAD_NUMBER] = "a number that is none",
    [BAD_EMPTY] = "an empty line",
    [BAD_FEW] = "columns missing",
    [BAD_MANY] = "too many columns",
    [BAD_QUOTE] = "a quote that never closes",
    [BAD_BEHIND_QUOTE] = "text behind a closing quote",
    [BAD_ZERO] = "a byte of 0",
    [BAD_LONG] = "a row of more than 1 MiB",
};

const char *bad_kind_text(enum bad_kind kind)
{
    return kinds[kind];
}

void bad_row_describe(const struct input *input, const struct plan *plan, const struct listed_row *listed,
                      char *text, size_t size)
{
    const struct bad_row *row = &listed->row;
    char detail[NAME_SIZE + 64] = "";

    if (row->kind == BAD_NUMBER)
        snprintf(detail, sizeof detail, " in column '%s'", plan->used[row->detail].name);
    else if (row->kind == BAD_FEW || row->kind == BAD_MANY)
        snprintf(detail, sizeof detail, ": %u of %u", row->detail, plan->column_count);
    snprintf(text, size, "'%s' line %llu: %s%s%s%s%s", input->files[listed->file].path,
             (unsigned long long)row->line, kinds[row->kind], detail, row->sample[0] ? ": '" : "",
             row->sample, row->sample[0] ? "'" : "");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Main keeps a few more fits under way than there are workers, each a call of the pool, and decides at each end of one
 * what comes next: of those fits whose matrix is in a slot, or can get one, the one at the highest rung that takes
 * longest. How long is guessed at first, and known for a trial's other fits as soon as its first has ended.
 *
 * A slot gets another matrix only when no fit is under way that uses the old one: all of them have ended, by their
 * results, and a result is only ready when the worker that had the call has returned from it, or is dead. */
#include "dispatch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/command.h"

#define LOOK_S   0.1 /* between looks at the progress, and whether there is a drain */
#define NO_GROUP SIZE_MAX
#define NO_SLOT  UINT32_MAX
#define NO_FIT   SIZE_MAX
#define FIRST    1e18 /* the cost of a trial's first fit: what nobody knows yet is begun early */

/* Fits that wait, the most expensive first: a heap. A fit may be in it twice, with another cost; the second is passed
 * over, as it does not wait any more. */
struct entry {
    uint32_t rung;
    double cost;
    size_t fit;
};

/* Fits that use the same matrix, or none. */
struct group {
    struct entry *heap;
    size_t count, room;
    size_t under_way;
    uint32_t slot, number;
    bool has_matrix;
};

/* A call that is under way. */
struct call {
    mpm_result *result;
    size_t fit, group;
};

struct dispatch {
    mpm_pool *pool;
    struct study *study;
    struct journal *journal;
    const struct dispatch_settings *settings;
    struct group *groups; /* those of trials, and one for fits without a matrix */
    size_t group_count;
    uint32_t *group_sizes; /* trials of each */
    size_t owners[64];     /* the group that has a slot; NO_GROUP if it is free */
    uint32_t slot_count, last_number;
    struct call *calls;
    mpm_result **results; /* those of the calls */
    size_t call_count, most_calls;
    bool can_share; /* a fit may do for others */
    size_t queued;  /* fits of the study that are in heaps, or that an earlier run has done */
    double begin_s, drain_s;
    mpm_line line;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool is_before(const struct entry *a, const struct entry *b)
{
    return a->rung != b->rung ? a->rung > b->rung : a->cost != b->cost ? a->cost > b->cost : a->fit < b->fit;
}

static int heap_push(struct group *group, struct entry entry)
{
    size_t at = group->count;

    if (group->count == group->room) {
        size_t room = group->room ? group->room * 2 : 16;
        struct entry *heap = realloc(group->heap, room * sizeof *heap);

        if (!heap)
            return failure("out of memory");
        group->heap = heap;
        group->room = room;
    }
    group->count++;
    for (; at && is_before(&entry, &group->heap[(at - 1) / 2]); at = (at - 1) / 2)
        group->heap[at] = group->heap[(at - 1) / 2];
    group->heap[at] = entry;
    return 0;
}

/* Takes out the entry at that place; those above it go before whatever comes there. */
static void heap_remove(struct group *group, size_t at)
{
    struct entry entry = group->heap[--group->count];

    for (; at && is_before(&entry, &group->heap[(at - 1) / 2]); at = (at - 1) / 2)
        group->heap[at] = group->heap[(at - 1) / 2];
    for (size_t child; (child = 2 * at + 1) < group->count; at = child) {
        if (child + 1 < group->count && is_before(&group->heap[child + 1], &group->heap[child]))
            child++;
        if (!is_before(&group->heap[child], &entry))
            break;
        group->heap[at] = group->heap[child];
    }
    group->heap[at] = entry;
}

/* The next fit of the group that still waits; NULL if none does. */
static const struct entry *heap_top(const struct dispatch *dispatch, struct group *group)
{
    while (group->count && dispatch->study->fits[group->heap[0].fit].state != FIT_WAITING)
        heap_remove(group, 0);
    return group->count ? &group->heap[0] : NULL;
}

/* Few rows need few values: then a matrix of all rows costs more than what libsvm computes for itself, which takes
 * about four times as long for a value. */
static bool is_worth_a_matrix(const struct dispatch *dispatch, const struct trial *trial,
                              const struct fit *fit)
{
    const struct plan *plan = &dispatch->study->share->plan;
    double rows = (double)dispatch->study->data->rows, tested = rows / plan->folds,
           trained = (rows - tested) * (double)fit->place.fraction;
    double fits = (double)dispatch->group_sizes[trial->group] * plan->folds * plan->repeats;

    return fit->place.fraction >= 1 || fits * trained * (trained + tested) * 4 > rows * rows;
}

static size_t group_of(const struct dispatch *dispatch, const struct fit *fit)
{
    const struct trial *trial = &dispatch->study->searches[fit->search].trials[fit->trial];

    if (!dispatch->slot_count || !is_worth_a_matrix(dispatch, trial, fit))
        return dispatch->group_count - 1;
    return trial->group;
}

/* An earlier run has done it. */
static int take_record(struct dispatch *dispatch, size_t fit_number, const struct fit_record *record)
{
    struct fit *fit = &dispatch->study->fits[fit_number];

    fit->record = *record;
    fit->record.why = record->why ? strdup(record->why) : NULL;
    fit->state = record->is_good ? FIT_GOOD : FIT_FAILED;
    fit->is_earlier = true;
    return study_note(dispatch->study, fit_number);
}

/* Fits that the study has added: to the heaps, or done by their records. */
static int take_new_fits(struct dispatch *dispatch)
{
    struct study *study = dispatch->study;

    while (dispatch->queued < study->fit_count) {
        size_t number = dispatch->queued++;
        struct fit *fit = &study->fits[number];
        const struct fit_record *record = journal_find(dispatch->journal, &fit->record.key);
        /* Where a fit may do for others, the one with the largest C goes first, in all folds. */
        bool is_first = !fit->place.fold && !fit->place.repeat && !dispatch->can_share;
        struct entry entry = {.rung = fit->rung, .cost = fit->cost + (is_first ? FIRST : 0), .fit = number};
        int exit_status;

        if (fit->state != FIT_WAITING)
            continue;
        if (record && (record->is_good || !dispatch->settings->retry_failed))
            exit_status = take_record(dispatch, number, record);
        else
            exit_status = heap_push(&dispatch->groups[group_of(dispatch, fit)], entry);
        if (exit_status)
            return exit_status;
    }
    return 0;
}

/* A slot that is free, or whose matrix nobody uses or waits for. */
static uint32_t free_slot(const struct dispatch *dispatch)
{
    uint32_t unused = NO_SLOT;

    for (uint32_t slot = 0; slot < dispatch->slot_count; slot++) {
        size_t owner = dispatch->owners[slot];

        if (owner == NO_GROUP)
            return slot;
        if (!dispatch->groups[owner].under_way && !heap_top(dispatch, &dispatch->groups[owner]))
            unused = slot;
    }
    return unused;
}

static bool is_resident(const struct dispatch *dispatch, size_t group)
{
    return group == dispatch->group_count - 1 || dispatch->groups[group].has_matrix;
}

static void give_slot(struct dispatch *dispatch, size_t group, uint32_t slot)
{
    if (dispatch->owners[slot] != NO_GROUP)
        dispatch->groups[dispatch->owners[slot]].has_matrix = false;
    dispatch->owners[slot] = group;
    dispatch->groups[group].has_matrix = true;
    dispatch->groups[group].slot = slot;
    dispatch->groups[group].number = ++dispatch->last_number;
}

/* The group whose top comes next; NO_GROUP if none can. */
static size_t choose_group(struct dispatch *dispatch)
{
    uint32_t slot = free_slot(dispatch);
    size_t chosen = NO_GROUP;
    const struct entry *best = NULL;

    for (size_t i = 0; i < dispatch->group_count; i++) {
        const struct entry *top;

        if (!dispatch->groups[i].count || (!is_resident(dispatch, i) && slot == NO_SLOT))
            continue;
        if (!(top = heap_top(dispatch, &dispatch->groups[i])))
            continue;
        /* At one rung a matrix that is there goes before one that is to be made. */
        if (best && top->rung == best->rung && is_resident(dispatch, i) != is_resident(dispatch, chosen)
                ? !is_resident(dispatch, i)
                : best && !is_before(top, best))
            continue;
        best = top;
        chosen = i;
    }
    if (chosen != NO_GROUP && !is_resident(dispatch, chosen))
        give_slot(dispatch, chosen, slot);
    return chosen;
}

static bool are_alike(const struct candidate *one, const struct candidate *other)
{
    for (int i = 0; i < PARAMETER_COUNT; i++) {
        if (i != PARAMETER_C && one->values[i] != other->values[i])
            return false;
    }
    return true;
}

/* Whether a fit of the same rows is under way, with a larger C, that may turn out to do for this one. */
static bool may_be_shared(const struct dispatch *dispatch, const struct fit *fit)
{
    const struct study *study = dispatch->study;
    const struct candidate *candidate = &study->searches[fit->search].trials[fit->trial].candidate;

    for (size_t i = 0; i < dispatch->call_count; i++) {
        const struct fit *other = &study->fits[dispatch->calls[i].fit];
        const struct candidate *running = &study->searches[other->search].trials[other->trial].candidate;

        if (other->search == fit->search && !memcmp(&other->place, &fit->place, sizeof fit->place) &&
            running->values[PARAMETER_C] > candidate->values[PARAMETER_C] && are_alike(running, candidate))
            return true;
    }
    return false;
}

/* The place of the fit that is begun: the first one of the group, or the first that need not wait for another one. */
static size_t choose_entry(const struct dispatch *dispatch, const struct group *group)
{
    const struct fit *fits = dispatch->study->fits;
    size_t chosen = 0;

    if (!dispatch->can_share || !may_be_shared(dispatch, &fits[group->heap[0].fit]))
        return 0;
    for (size_t i = 1; i < group->count; i++) {
        const struct fit *fit = &fits[group->heap[i].fit];

        if (fit->state == FIT_WAITING && fit->rung == group->heap[0].rung &&
            (!chosen || is_before(&group->heap[i], &group->heap[chosen])) && !may_be_shared(dispatch, fit))
            chosen = i;
    }
    return chosen;
}

/* Gives the pool one more call. Sets *none if nothing waits that could be begun. */
static int begin_one(struct dispatch *dispatch, bool *none)
{
    size_t group_number = choose_group(dispatch);
    struct call *call = &dispatch->calls[dispatch->call_count];
    struct fit_order order = {0};
    struct group *group;
    struct fit *fit;
    size_t entry;

    *none = group_number == NO_GROUP;
    if (*none)
        return 0;
    group = &dispatch->groups[group_number];
    entry = choose_entry(dispatch, group);
    *call = (struct call){.fit = group->heap[entry].fit, .group = group_number};
    fit = &dispatch->study->fits[call->fit];
    heap_remove(group, entry);
    order.candidate = dispatch->study->searches[fit->search].trials[fit->trial].candidate;
    order.place = fit->place;
    if (group_number != dispatch->group_count - 1)
        order.slot = (struct kernel_slot){.slot = group->slot, .number = group->number};
    if (mpm_pool_apply_async(dispatch->pool, fit_run, &order, sizeof order, sizeof(struct fit_result), NULL,
                             &call->result))
        return mpm_report_error();
    fit->state = FIT_RUNNING;
    group->under_way++;
    dispatch->results[dispatch->call_count++] = call->result;
    return 0;
}

static int begin_more(struct dispatch *dispatch)
{
    bool none = false;
    int exit_status = take_new_fits(dispatch);

    while (!exit_status && !none && dispatch->call_count < dispatch->most_calls && !mpm_draining())
        exit_status = begin_one(dispatch, &none);
    return exit_status;
}

/* Other fits of the trial take about as long as its first one did. */
static int correct_costs(struct dispatch *dispatch, size_t fit_number)
{
    struct study *study = dispatch->study;
    const struct fit done = study->fits[fit_number];
    double cost = done.record.result.cpu_s * study->guessed / fmax(study->measured_s, 1e-9);

    if (done.place.fold || done.place.repeat)
        return 0;
    /* They were added together, in a row. */
    for (size_t i = fit_number + 1; i < dispatch->queued; i++) {
        const struct fit *fit = &study->fits[i];
        struct entry entry = {.rung = fit->rung, .cost = cost, .fit = i};

        if (fit->search != done.search || fit->trial != done.trial || fit->rung != done.rung)
            break;
        if (fit->state == FIT_WAITING && heap_push(&dispatch->groups[group_of(dispatch, fit)], entry))
            return EXIT_FAILURE;
    }
    return 0;
}

/* Whether the call's end is one of its fit; if not, it is of the whole run. */
static int read_end(struct fit *fit, mpm_result *result)
{
    const mpm_failure *failures;
    const void *made;
    size_t count;
    int status = mpm_result_get(result, 0, &made);

    fit->state = status ? FIT_FAILED : FIT_GOOD;
    fit->record.is_good = !status;
    if (!status) {
        memcpy(&fit->record.result, made, sizeof fit->record.result);
        return 0;
    }
    if (status != MPM_ETASK)
        return mpm_report_error();
    if (!mpm_result_failures(result, &failures, &count) && count) {
        fit->record.attempts = failures[0].attempts;
        fit->record.result.node = failures[0].node;
        fit->record.why = strdup(failures[0].text);
    }
    return 0;
}

/* A score that is no number would win or lose by accident. */
static void check_value(const struct study *study, struct fit *fit)
{
    if (fit->state != FIT_GOOD || isfinite(study_value(study, &fit->record.result)))
        return;
    fit->state = FIT_FAILED;
    fit->record.is_good = false;
    fit->record.why = strdup(
        "the score is no finite number: the targets of the fold are all the same, or too large");
}

static void forget_call(struct dispatch *dispatch, size_t number)
{
    dispatch->groups[dispatch->calls[number].group].under_way--;
    mpm_result_destroy(dispatch->calls[number].result);
    dispatch->calls[number] = dispatch->calls[--dispatch->call_count];
    dispatch->results[number] = dispatch->results[dispatch->call_count];
}

/* ASHA has given it up. */
static void cancel_dropped(struct dispatch *dispatch)
{
    for (size_t i = dispatch->call_count; i-- > 0;) {
        if (dispatch->study->fits[dispatch->calls[i].fit].state == FIT_DROPPED)
            forget_call(dispatch, i);
    }
}

/* The fit of a trial that is at the same place as a fit that was done; NO_FIT if there is none that waits. */
static size_t find_waiting(const struct dispatch *dispatch, const struct trial *trial, const struct fit *done)
{
    const struct plan *plan = &dispatch->study->share->plan;
    size_t number = trial->first_fit + done->place.repeat * plan->folds + done->place.fold;

    return trial->rung == done->rung && number < dispatch->queued &&
                   dispatch->study->fits[number].state == FIT_WAITING
               ? number
               : NO_FIT;
}

/* The same model was made for another C: its result is that of this fit, which took no time. */
static int take_result(struct dispatch *dispatch, size_t number, const struct fit_result *result)
{
    struct fit *fit = &dispatch->study->fits[number];

    fit->state = FIT_GOOD;
    fit->record.is_good = true;
    fit->record.result = *result;
    fit->record.result.cpu_s = fit->record.result.wall_s = 0;
    return journal_add(dispatch->journal, &fit->record) ? EXIT_FAILURE : study_note(dispatch->study, number);
}

/* Fits that wait have the result of one that was done, where its model is the same for their C. */
static int share_result(struct dispatch *dispatch, size_t fit_number)
{
    struct study *study = dispatch->study;
    const struct fit done = study->fits[fit_number];
    const struct fit_result *result = &done.record.result;
    const struct search *search = &study->searches[done.search];
    const struct candidate *candidate = &search->trials[done.trial].candidate;
    int exit_status = 0;

    if (done.place.fold == WHOLE_FOLD || !(result->fitted_C >= result->same_from))
        return 0;
    for (size_t i = 0; i < study->trial_count && !exit_status; i++) {
        const struct trial *trial = &search->trials[i];
        size_t number;

        if (trial->candidate.values[PARAMETER_C] >= result->same_from &&
            are_alike(&trial->candidate, candidate) &&
            (number = find_waiting(dispatch, trial, &done)) != NO_FIT)
            exit_status = take_result(dispatch, number, result);
    }
    return exit_status;
}

static int take_end(struct dispatch *dispatch, size_t number)
{
    size_t fit_number = dispatch->calls[number].fit;
    struct fit *fit = &dispatch->study->fits[fit_number];
    int exit_status = read_end(fit, dispatch->calls[number].result);

    if (exit_status)
        return exit_status;
    forget_call(dispatch, number);
    check_value(dispatch->study, fit);
    if ((exit_status = journal_add(dispatch->journal, &fit->record)) ||
        (exit_status = study_note(dispatch->study, fit_number)))
        return exit_status;
    if (dispatch->study->fits[fit_number].state == FIT_GOOD &&
        ((exit_status = correct_costs(dispatch, fit_number)) ||
         (exit_status = share_result(dispatch, fit_number))))
        return exit_status;
    cancel_dropped(dispatch);
    return 0;
}

static void show_progress(struct dispatch *dispatch)
{
    const struct study *study = dispatch->study;
    mpm_progress now = {.done = study->done,
                        .total = study->fit_count - study->dropped,
                        .failed = study->failed,
                        .earlier = study->earlier,
                        .elapsed_s = now_s() - dispatch->begin_s,
                        .nodes = mpm_node_count()};

    now.busy = fmin(study->measured_s / fmax(now.elapsed_s * mpm_pool_worker_count(dispatch->pool), 1e-9), 1);
    mpm_progress_line(&now, &dispatch->line);
}

/* Whether the time is up that fits have which run in a drain. */
static bool must_end(struct dispatch *dispatch)
{
    if (!mpm_draining())
        return false;
    if (!(dispatch->drain_s > 0))
        dispatch->drain_s = now_s();
    return now_s() - dispatch->drain_s >= dispatch->settings->grace_s;
}

static int wait_for_one(struct dispatch *dispatch)
{
    size_t ready;
    int status = mpm_result_wait_any(dispatch->results, dispatch->call_count, LOOK_S, &ready);

    if (!status)
        return take_end(dispatch, ready);
    return status == MPM_ETIMEDOUT || status == MPM_EINTERRUPTED ? 0 : mpm_report_error();
}

static int work(struct dispatch *dispatch)
{
    double next_s = 0;
    int exit_status = 0;

    while (!exit_status && !(exit_status = begin_more(dispatch)) && dispatch->call_count &&
           !must_end(dispatch)) {
        exit_status = wait_for_one(dispatch);
        if (now_s() < next_s)
            continue;
        show_progress(dispatch);
        next_s = now_s() + LOOK_S;
    }
    while (dispatch->call_count)
        forget_call(dispatch, 0);
    if (exit_status)
        return exit_status;
    return study_has_ended(dispatch->study) ? 0 : EXIT_DRAINED;
}

static bool prepare(struct dispatch *dispatch)
{
    struct study *study = dispatch->study;

    dispatch->group_count = study->trial_count + 1;
    dispatch->slot_count = study->share->kernels.slots;
    dispatch->can_share = learner_at(study->share->settings.learner)->same_from;
    dispatch->most_calls = mpm_pool_worker_count(dispatch->pool) + 2;
    dispatch->groups = calloc(dispatch->group_count, sizeof *dispatch->groups);
    dispatch->calls = calloc(dispatch->most_calls, sizeof *dispatch->calls);
    dispatch->results = calloc(dispatch->most_calls, sizeof *dispatch->results);
    for (size_t i = 0; i < sizeof dispatch->owners / sizeof *dispatch->owners; i++)
        dispatch->owners[i] = NO_GROUP;
    dispatch->group_sizes = calloc(dispatch->group_count, sizeof *dispatch->group_sizes);
    for (size_t i = 0; dispatch->group_sizes && i < study->trial_count; i++)
        dispatch->group_sizes[study->searches[0].trials[i].group]++;
    return dispatch->groups && dispatch->calls && dispatch->results && dispatch->group_sizes;
}

int dispatch_run(mpm_pool *pool, struct study *study, struct journal *journal,
                 const struct dispatch_settings *settings)
{
    struct dispatch dispatch = {.pool = pool,
                                .study = study,
                                .journal = journal,
                                .settings = settings,
                                .begin_s = now_s(),
                                .line = settings->line};
    int exit_status = prepare(&dispatch) ? work(&dispatch) : failure("out of memory");

    show_progress(&dispatch);
    mpm_progress_line_end(&dispatch.line);
    for (size_t i = 0; dispatch.groups && i < dispatch.group_count; i++)
        free(dispatch.groups[i].heap);
    free(dispatch.groups);
    free(dispatch.group_sizes);
    free(dispatch.calls);
    free(dispatch.results);
    return exit_status;
}

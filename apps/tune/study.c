/* SPDX-License-Identifier: BSD-3-Clause */
/* Trials and their fits. A grid or a random search fits all trials on all folds. ASHA begins all trials at the lowest
 * rung, with few rows to learn from; as soon as a trial is among the best of those that have ended there (one in eta),
 * it goes on to the next one. A trial whose first folds say that it will not be among these is stopped. */
#include "study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "support/command.h"

#define HOPE 2.0 /* standard errors by which a trial may be better than it looks */

double study_value(const struct study *study, const struct fit_result *result)
{
    double score = result->scores[study->settings.score];

    return study->settings.score == SCORE_MSE || study->settings.score == SCORE_MAE ? -score : score;
}

double study_shown(const struct study *study, double value)
{
    return study->settings.score == SCORE_MSE || study->settings.score == SCORE_MAE ? -value : value;
}

const char *study_score_name(enum score_kind score)
{
    static const char *const names[SCORE_COUNT] = {"accuracy", "balanced", "mse", "mae", "r2"};

    return names[score];
}

static struct fit_key key_of(const struct study *study, const struct candidate *candidate,
                             const struct split_place *place)
{
    const struct plan *plan = &study->share->plan;
    struct fit_key key;

    for (int i = 0; i < 2; i++) {
        uint64_t hash = hash_bytes(study->identity[i], candidate, sizeof *candidate);

        hash = hash_number(hash_bytes(hash, place, sizeof *place), plan->folds);
        if (place->outer != NO_OUTER)
            hash = hash_number(hash, plan->outer_folds);
        key.words[i] = hash_number(hash, plan->seed);
    }
    return key;
}

/* How long a fit may take, in no unit: what is measured corrects it. */
static double guess_cost(const struct study *study, const struct candidate *candidate,
                         const struct split_place *place)
{
    double rows = (double)study->data->rows * (double)place->fraction;
    double growth = log2(2 + fabs(candidate->values[PARAMETER_C]));

    if (learner_at(study->share->settings.learner)->library == LIBRARY_SVM)
        return rows * rows * growth;
    if (learner_at(study->share->settings.learner)->library == LIBRARY_XGBOOST)
        return rows * candidate->values[PARAMETER_ROUNDS] * candidate->values[PARAMETER_DEPTH];
    return rows * growth;
}

static int add_fit(struct study *study, const struct fit *fit)
{
    if (study->fit_count == study->fit_room) {
        size_t room = study->fit_room ? study->fit_room * 2 : 1024;
        struct fit *fits = realloc(study->fits, room * sizeof *fits);

        if (!fits)
            return failure("out of memory for %zu fits", room);
        study->fits = fits;
        study->fit_room = room;
    }
    study->fits[study->fit_count++] = *fit;
    return 0;
}

static int add_rung(struct study *study, size_t search, size_t trial_number)
{
    struct trial *trial = &study->searches[search].trials[trial_number];
    const struct plan *plan = &study->share->plan;
    struct fit fit = {.search = search, .trial = trial_number, .rung = trial->rung};

    trial->wanted = plan->repeats * plan->folds;
    trial->finished = 0;
    trial->sum = trial->squares = 0;
    trial->first_fit = study->fit_count;
    study->searches[search].running++;
    for (uint32_t i = 0; i < trial->wanted; i++) {
        fit.place = (struct split_place){.outer = study->searches[search].outer,
                                         .repeat = i / plan->folds,
                                         .fold = i % plan->folds,
                                         .fraction = study->fractions[trial->rung]};
        fit.record.key = key_of(study, &trial->candidate, &fit.place);
        fit.cost = guess_cost(study, &trial->candidate, &fit.place);
        if (add_fit(study, &fit))
            return EXIT_FAILURE;
    }
    return 0;
}

/* The winner of an inner search learns from all its rows, and is scored on those that were held back. */
static int add_outer_fit(struct study *study, size_t search_number)
{
    const struct search *search = &study->searches[search_number];
    struct fit fit = {.search = search_number,
                      .trial = search->best,
                      .rung = study->rungs - 1,
                      .place = {.outer = search->outer, .fold = WHOLE_FOLD, .fraction = 1}};

    if (search->outer == NO_OUTER || search->best == NO_TRIAL)
        return 0;
    fit.record.key = key_of(study, &search->trials[search->best].candidate, &fit.place);
    fit.cost = guess_cost(study, &search->trials[search->best].candidate, &fit.place);
    return add_fit(study, &fit);
}

struct member {
    struct candidate candidate;
    size_t trial;
};

static int compare_matrices(const struct member *one, const struct member *other)
{
    static const enum parameter_id deciding[] = {PARAMETER_GAMMA, PARAMETER_COEF0, PARAMETER_DEGREE};

    for (size_t i = 0; i < sizeof deciding / sizeof *deciding; i++) {
        double first = one->candidate.values[deciding[i]], second = other->candidate.values[deciding[i]];

        if (first != second)
            return first < second ? -1 : 1;
    }
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct member *one = a, *other = b;
    int order = compare_matrices(one, other);

    return order ? order : (one->trial > other->trial) - (one->trial < other->trial);
}

/* Trials with the same matrix are a group, which is named by the first of them. */
static bool find_groups(struct trial *trials, size_t count)
{
    struct member *members = malloc((count + 1) * sizeof *members);

    if (!members)
        return false;
    for (size_t i = 0; i < count; i++)
        members[i] = (struct member){trials[i].candidate, i};
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0; i < count; i++) {
        bool is_same = i && !compare_matrices(&members[i - 1], &members[i]);

        trials[members[i].trial].group = is_same ? trials[members[i - 1].trial].group : members[i].trial;
    }
    free(members);
    return true;
}

/* A grid has its own order; ASHA begins anywhere in it, lest the first rungs compare neighbours. */
static int make_trials(struct study *study, struct trial *trials)
{
    uint64_t state = hash_number(study->share->plan.seed, 100);
    bool is_sampled = study->settings.trials > 0;
    uint32_t *order = malloc((study->trial_count + 1) * sizeof *order);

    if (!order)
        return failure("out of memory for %zu candidates", study->trial_count);
    for (size_t i = 0; i < study->trial_count; i++)
        order[i] = (uint32_t)i;
    if (study->settings.kind == SEARCH_ASHA && !is_sampled)
        random_shuffle(&state, order, study->trial_count);
    for (size_t i = 0; i < study->trial_count; i++)
        trials[i].candidate = is_sampled ? space_sample(study->space, &state)
                                         : space_at(study->space, order[i]);
    free(order);
    return find_groups(trials, study->trial_count)
               ? 0
               : failure("out of memory for %zu candidates", study->trial_count);
}

static void make_rungs(struct study *study)
{
    float fraction = 1;

    study->rungs = 1;
    study->fractions[0] = 1;
    if (study->settings.kind != SEARCH_ASHA)
        return;
    while (study->rungs < MOST_RUNGS && (float)study->data->rows * fraction / (float)study->settings.eta >=
                                            (float)study->settings.least_rows) {
        fraction /= (float)study->settings.eta;
        study->rungs++;
    }
    for (uint32_t rung = study->rungs; rung-- > 0; fraction *= (float)study->settings.eta)
        study->fractions[study->rungs - 1 - rung] = fraction;
    study->fractions[study->rungs - 1] = 1;
}

int study_begin(struct study *study)
{
    uint32_t outer_folds = study->share->plan.outer_folds;

    study->trial_count = study->settings.trials ? study->settings.trials : space_size(study->space);
    study->search_count = 1 + outer_folds;
    if (!(study->searches = calloc(study->search_count, sizeof *study->searches)))
        return failure("out of memory");
    make_rungs(study);
    for (size_t i = 0; i < study->search_count; i++) {
        struct search *search = &study->searches[i];

        search->outer = i ? (uint32_t)i - 1 : NO_OUTER;
        search->open = study->trial_count;
        search->best = NO_TRIAL;
        if (!(search->trials = calloc(study->trial_count, sizeof *search->trials)) ||
            make_trials(study, search->trials))
            return failure("out of memory for %zu candidates", study->trial_count);
        for (size_t trial = 0; trial < study->trial_count; trial++) {
            if (add_rung(study, i, trial))
                return EXIT_FAILURE;
        }
    }
    return 0;
}

/* The fits of a trial that are left have no use any more. */
static void drop_fits(struct study *study, const struct trial *trial)
{
    for (size_t i = trial->first_fit; i < trial->first_fit + trial->wanted; i++) {
        struct fit *fit = &study->fits[i];

        if (fit->state != FIT_WAITING && fit->state != FIT_RUNNING)
            continue;
        fit->state = FIT_DROPPED;
        study->dropped++;
    }
}

static void end_trial(struct study *study, size_t search, size_t trial, enum trial_state state)
{
    study->searches[search].trials[trial].state = state;
    study->searches[search].open--;
    if (state == TRIAL_FAILED || state == TRIAL_STOPPED)
        drop_fits(study, &study->searches[search].trials[trial]);
}

static int end_search(struct study *study, size_t search_number)
{
    struct search *search = &study->searches[search_number];
    double best = -INFINITY;

    search->has_ended = true;
    for (size_t i = 0; i < study->trial_count; i++) {
        const struct trial *trial = &search->trials[i];

        if (trial->state == TRIAL_DONE &&
            (search->best == NO_TRIAL || trial->rung_means[study->rungs - 1] > best)) {
            best = trial->rung_means[study->rungs - 1];
            search->best = i;
        }
    }
    return add_outer_fit(study, search_number);
}

static int compare_falling(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one < other) - (one > other);
}

/* What a trial must reach to be among the best `places` of those that have ended at a rung; -inf if fewer have. */
static double bar_of(const struct study *study, const struct search *search, uint32_t rung, size_t places)
{
    double *means = malloc((study->trial_count + 1) * sizeof *means), bar = -INFINITY;
    size_t count = 0;

    for (size_t i = 0; means && i < study->trial_count; i++) {
        const struct trial *trial = &search->trials[i];

        if (trial->rung > rung || (trial->rung == rung && trial->wanted && trial->finished == trial->wanted))
            means[count++] = trial->rung_means[rung];
    }
    if (means && places && count >= places) {
        qsort(means, count, sizeof *means, compare_falling);
        bar = means[places - 1];
    }
    free(means);
    return bar;
}

static size_t ended_at(const struct study *study, const struct search *search, uint32_t rung)
{
    size_t count = 0;

    for (size_t i = 0; i < study->trial_count; i++) {
        const struct trial *trial = &search->trials[i];

        count += trial->rung > rung || (trial->rung == rung && trial->finished == trial->wanted);
    }
    return count;
}

/* Equal ones count in the order of their numbers, so that no more go on than there are places. */
static size_t rank_of(const struct study *study, const struct search *search, size_t trial_number,
                      uint32_t rung)
{
    size_t rank = 0;
    double mean = search->trials[trial_number].rung_means[rung];

    for (size_t i = 0; i < study->trial_count; i++) {
        const struct trial *trial = &search->trials[i];

        if (trial->rung > rung || (trial->rung == rung && trial->finished == trial->wanted))
            rank += trial->rung_means[rung] > mean || (trial->rung_means[rung] == mean && i < trial_number);
    }
    return rank;
}

/* Lets those go on that are among the best of a rung. When nothing runs any more, one at least does. */
static int promote(struct study *study, size_t search_number)
{
    struct search *search = &study->searches[search_number];

    for (uint32_t rung = study->rungs - 1; rung-- > 0;) {
        size_t ended = ended_at(study, search, rung), places = ended / study->settings.eta;
        double bar;

        if (!places && !search->running && ended)
            places = 1;
        bar = bar_of(study, search, rung, places);
        for (size_t i = 0; places && i < study->trial_count; i++) {
            struct trial *trial = &search->trials[i];

            if (trial->state != TRIAL_OPEN || trial->rung != rung || trial->finished != trial->wanted ||
                trial->rung_means[rung] < bar || rank_of(study, search, i, rung) >= places)
                continue;
            trial->rung++;
            if (add_rung(study, search_number, i))
                return EXIT_FAILURE;
        }
    }
    return 0;
}

/* What its fits say so far, at the best. */
static double hoped_for(const struct trial *trial)
{
    double count = trial->finished, mean = trial->sum / count,
           variance = (trial->squares - trial->sum * mean) / (count - 1);

    return mean + HOPE * sqrt(fmax(variance, 0) / count);
}

/* Whether a trial cannot be among those that go on, if the others are as those that have ended. */
static bool is_behind(const struct study *study, const struct search *search, const struct trial *trial)
{
    size_t places = trial->rung == study->rungs - 1
                        ? 1
                        : (study->trial_count + study->settings.eta - 1) / study->settings.eta;

    for (uint32_t rung = 0; rung < trial->rung && places > 1; rung++)
        places = (places + study->settings.eta - 1) / study->settings.eta;
    return trial->finished >= 2 && trial->finished * 2 >= trial->wanted &&
           hoped_for(trial) < bar_of(study, search, trial->rung, places);
}

static int note_asha(struct study *study, size_t search_number, size_t trial_number)
{
    struct search *search = &study->searches[search_number];
    struct trial *trial = &search->trials[trial_number];

    if (trial->state == TRIAL_OPEN && trial->finished < trial->wanted && is_behind(study, search, trial)) {
        search->running--;
        end_trial(study, search_number, trial_number, TRIAL_STOPPED);
    }
    if (promote(study, search_number))
        return EXIT_FAILURE;
    if (search->running || search->has_ended)
        return 0;
    /* What has not gone on by now never will. */
    for (size_t i = 0; i < study->trial_count; i++) {
        if (search->trials[i].state == TRIAL_OPEN)
            end_trial(study, search_number, i, TRIAL_STOPPED);
    }
    return 0;
}

static void note_good(struct study *study, struct search *search, struct trial *trial, const struct fit *fit)
{
    double value = study_value(study, &fit->record.result);

    trial->sum += value;
    trial->squares += value * value;
    if (++trial->finished < trial->wanted)
        return;
    /* In the order of the folds, not in that in which they ended: equal runs have equal bits. */
    trial->sum = 0;
    for (size_t i = 0; i < trial->wanted; i++)
        trial->sum += study_value(study, &study->fits[trial->first_fit + i].record.result);
    trial->rung_means[trial->rung] = trial->sum / trial->wanted;
    search->running--;
}

int study_note(struct study *study, size_t fit_number)
{
    const struct fit *fit = &study->fits[fit_number];
    size_t search_number = fit->search, trial_number = fit->trial;
    struct search *search = &study->searches[search_number];
    struct trial *trial = &search->trials[trial_number];

    study->done++;
    study->failed += fit->state == FIT_FAILED;
    study->earlier += fit->is_earlier;
    if (fit->place.fold == WHOLE_FOLD || trial->state != TRIAL_OPEN)
        return 0;
    if (fit->state == FIT_FAILED) {
        search->running--;
        trial->why = fit->record.why ? strdup(fit->record.why) : NULL;
        end_trial(study, search_number, trial_number, TRIAL_FAILED);
    } else {
        if (!study_is_shared(study, fit)) {
            study->guessed += fit->cost;
            study->measured_s += fit->record.result.cpu_s;
        }
        note_good(study, search, trial, fit);
        if (trial->finished == trial->wanted && trial->rung == study->rungs - 1)
            end_trial(study, search_number, trial_number, TRIAL_DONE);
    }
    if (study->settings.kind == SEARCH_ASHA && note_asha(study, search_number, trial_number))
        return EXIT_FAILURE;
    return search->open || search->has_ended ? 0 : end_search(study, search_number);
}

bool study_is_shared(const struct study *study, const struct fit *fit)
{
    const struct trial *trial = &study->searches[fit->search].trials[fit->trial];

    return fit->state == FIT_GOOD && fit->record.result.fitted_C != trial->candidate.values[PARAMETER_C];
}

size_t study_shared_count(const struct study *study)
{
    size_t count = 0;

    for (size_t i = 0; i < study->fit_count; i++)
        count += study_is_shared(study, &study->fits[i]);
    return count;
}

bool study_has_ended(const struct study *study)
{
    for (size_t i = 0; i < study->search_count; i++) {
        if (!study->searches[i].has_ended)
            return false;
    }
    return study->done + study->dropped == study->fit_count;
}

void study_free(struct study *study)
{
    for (size_t i = 0; i < study->search_count; i++) {
        for (size_t trial = 0; study->searches && study->searches[i].trials && trial < study->trial_count;
             trial++)
            free(study->searches[i].trials[trial].why);
        if (study->searches)
            free(study->searches[i].trials);
    }
    for (size_t i = 0; i < study->fit_count; i++)
        free(study->fits[i].record.why);
    free(study->searches);
    free(study->fits);
}

/* Which fits are summarized: those of a trial at a rung, or, for the number behind the last search, of all outer
 * folds. */
struct choice {
    size_t search, trial;
    uint32_t rung;
};

/* Whether a fit counts for a summary. */
static bool is_summarized(const struct study *study, const struct fit *fit, const struct choice *choice)
{
    if (fit->state != FIT_GOOD)
        return false;
    if (choice->search == study->search_count)
        return fit->place.fold == WHOLE_FOLD;
    return fit->search == choice->search && fit->trial == choice->trial && fit->place.fold != WHOLE_FOLD &&
           fit->rung == choice->rung;
}

static void add_to_summary(const struct study *study, const struct fit *fit, struct trial_summary *summary)
{
    const struct fit_result *result = &fit->record.result;

    summary->fits++;
    summary->mean += study_value(study, result);
    summary->error += (double)result->tested / result->trained;
    summary->cpu_s += result->cpu_s;
    if (result->peak_bytes > summary->peak_bytes)
        summary->peak_bytes = result->peak_bytes;
}

/* The fits of the rung that a trial is at are in a row. */
static void narrow(const struct study *study, const struct choice *choice, size_t *begin, size_t *end)
{
    const struct trial *trial;

    if (choice->search == study->search_count)
        return;
    trial = &study->searches[choice->search].trials[choice->trial];
    if (trial->rung != choice->rung)
        return;
    *begin = trial->first_fit;
    *end = trial->first_fit + trial->wanted;
}

/* In the order of the folds, so that the mean has the bits that the search has compared. */
static struct trial_summary summarize(const struct study *study, const struct choice *choice)
{
    struct trial_summary summary = {0};
    double squares = 0, shares, variance;
    size_t begin = 0, end = study->fit_count;

    narrow(study, choice, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        if (is_summarized(study, &study->fits[i], choice))
            add_to_summary(study, &study->fits[i], &summary);
    }
    shares = summary.error; /* rows that are tested for each one that is trained, summed over the fits */
    summary.mean = summary.fits ? summary.mean / summary.fits : NAN;
    for (size_t i = begin; i < end; i++) {
        if (is_summarized(study, &study->fits[i], choice))
            squares += pow(study_value(study, &study->fits[i].record.result) - summary.mean, 2);
    }
    variance = summary.fits > 1 ? squares / (summary.fits - 1) : NAN;
    summary.error = sqrt(variance * (1 + shares) / summary.fits);
    summary.deviation = sqrt(variance);
    return summary;
}

struct trial_summary study_summarize(const struct study *study, size_t search, size_t trial)
{
    return study_summarize_rung(study, search, trial, study->rungs - 1);
}

struct trial_summary study_summarize_rung(const struct study *study, size_t search, size_t trial,
                                          uint32_t rung)
{
    return summarize(study, &(struct choice){search, trial, rung});
}

struct trial_summary study_nested(const struct study *study)
{
    return summarize(study, &(struct choice){.search = study->search_count});
}

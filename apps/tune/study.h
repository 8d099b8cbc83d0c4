/* SPDX-License-Identifier: BSD-3-Clause */
/* What is to be fitted, and what came of it: searches, the trials of each, and the fits of each trial. It knows nothing
 * of workers: it is told what a fit has given, and says which fits come next and which are not wanted any more. */
#ifndef MPMAP_TUNE_STUDY_H
#define MPMAP_TUNE_STUDY_H

#include "journal.h"

#define MOST_RUNGS 8
#define NO_TRIAL   SIZE_MAX

enum search_kind { SEARCH_GRID, SEARCH_RANDOM, SEARCH_ASHA };

enum trial_state {
    TRIAL_OPEN,    /* some of its fits are left */
    TRIAL_DONE,    /* all are good, at the last rung */
    TRIAL_FAILED,  /* one of them has failed */
    TRIAL_STOPPED, /* ASHA: others are better */
};

/* A candidate in one search. */
struct trial {
    struct candidate candidate;
    enum trial_state state;
    uint32_t rung;             /* the highest that it has got to */
    uint32_t wanted, finished; /* fits of this rung; those that are good count as finished */
    double sum, squares;       /* of their values */
    double rung_means[MOST_RUNGS];
    size_t first_fit; /* of this rung; the others follow it */
    size_t group;     /* of trials that share a matrix */
    char *why;        /* it has failed */
};

/* All trials for one set of rows. */
struct search {
    uint32_t outer; /* the outer fold that is held back, or NO_OUTER */
    struct trial *trials;
    size_t open;    /* trials */
    size_t running; /* ASHA: trials with fits that are left at a rung */
    size_t best;    /* when it has ended; NO_TRIAL if all have failed */
    bool has_ended;
};

enum fit_state { FIT_WAITING, FIT_RUNNING, FIT_GOOD, FIT_FAILED, FIT_DROPPED };

struct fit {
    size_t search, trial;
    uint32_t rung;
    struct split_place place;
    enum fit_state state;
    bool is_earlier; /* an earlier run has done it */
    double cost;     /* in the units of study_guess() */
    struct fit_record record;
};

/* What a study is about. */
struct study_settings {
    enum search_kind kind;
    size_t trials;       /* of a random search, or of ASHA; 0: the whole grid */
    uint32_t eta;        /* ASHA: one in so many goes on */
    uint32_t least_rows; /* ASHA: that the first rung learns from */
    enum score_kind score;
    bool retry_failed;
};

struct study {
    struct study_settings settings;
    const struct space *space;
    const struct share *share;
    const struct data *data;
    uint64_t identity[2]; /* what the keys of all fits begin with */
    struct search *searches;
    size_t search_count, trial_count; /* each search has the same trials */
    uint32_t rungs;
    float fractions[MOST_RUNGS];
    struct fit *fits;
    size_t fit_count, fit_room;
    size_t done, failed, earlier, dropped; /* fits; failed ones are done, too */
    double guessed, measured_s;            /* sums over fits that were measured */
};

/* Makes all searches with their trials, and the fits that come first. Returns 0 or EXIT_FAILURE. */
int study_begin(struct study *study);
/* A fit has ended, as its state and its record say. New fits may be added, and others dropped: those that wait or run
 * have the state FIT_DROPPED then. */
int study_note(struct study *study, size_t fit);
/* Whether its result is that of another fit, with another C, that makes the same model. */
bool study_is_shared(const struct study *study, const struct fit *fit);
size_t study_shared_count(const struct study *study);
bool study_has_ended(const struct study *study);
void study_free(struct study *study);

/* The score of a fit as a number that is better when it is larger. */
double study_value(const struct study *study, const struct fit_result *result);
/* And back: as it is shown. */
double study_shown(const struct study *study, double value);
const char *study_score_name(enum score_kind score);

/* Mean and spread of the values of a trial's fits at the last rung. */
struct trial_summary {
    uint32_t fits;
    double mean, deviation; /* of a fit */
    double
        error; /* standard error of the mean, corrected for training sets that overlap (Nadeau and Bengio 2003) */
    double cpu_s;
    uint64_t peak_bytes;
};
struct trial_summary study_summarize(const struct study *study, size_t search, size_t trial);
/* The same of the fits at a rung. */
struct trial_summary study_summarize_rung(const struct study *study, size_t search, size_t trial,
                                          uint32_t rung);

/* The honest score: of the winners of inner searches on outer folds that they have never seen. */
struct trial_summary study_nested(const struct study *study);

#endif

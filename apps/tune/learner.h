/* SPDX-License-Identifier: BSD-3-Clause */
/* What learns: a few functions over a library of the field. The programs of these libraries, svm-train and
 * liblinear-train, give the same models. */
#ifndef MPMAP_TUNE_LEARNER_H
#define MPMAP_TUNE_LEARNER_H

#include <stdio.h>

#include "kernel.h"
#include "space.h"
#include "split.h"

enum library { LIBRARY_SVM, LIBRARY_LINEAR, LIBRARY_XGBOOST };

/* What does not change in a run. */
struct learner_settings {
    uint32_t learner; /* its number */
    int solver;       /* of liblinear, its option -s */
    double eps;       /* when the learner stops; 0: as its library does */
    uint64_t seed;
};

/* One model to be made. */
struct lesson {
    const struct learner_settings *settings;
    const struct data *data;
    struct kernel_view *kernels;
    struct kernel_slot slot; /* number 0: there is no matrix */
    const struct candidate *candidate;
    const uint32_t *rows;
    uint32_t count;
};

struct rows {
    const uint32_t *rows;
    uint32_t count;
};

struct learner {
    enum library library;
    const char *name;
    const char *what; /* a few words */
    bool is_regression;
    enum kernel kernel;
    const char *const *space; /* what is searched if nothing else is said; ends with NULL */
    uint32_t parameters;      /* a bit for each that it has */
    const char *extension;    /* of a model's file */

    /* Makes a model. Returns NULL after writing into `why`, of `size` bytes, what is wrong. */
    void *(*train)(const struct lesson *lesson, char *why, size_t size);
    /* Predicts rows: the label, or the number, of each. Returns false if that fails. */
    bool (*predict)(void *model, const struct lesson *lesson, const struct rows *rows, double *predicted);
    /* From which C on the model would be the very same, whatever C is: INFINITY if that is not known. NULL: never. */
    double (*same_from)(void *model, const struct lesson *lesson);
    /* How large the model is: support vectors, weights that are not 0, or trees. */
    uint64_t (*size)(void *model);
    /* Writes the model as its library does. Returns false if that fails. */
    bool (*save)(void *model, const struct lesson *lesson, const char *path);
    void (*free)(void *model);
};

extern const struct learner svm_learners[];
extern const size_t svm_learner_count;
extern const struct learner linear_learners[];
extern const size_t linear_learner_count;
extern const struct learner tree_learners[];
extern const size_t tree_learner_count;

size_t learner_count(void);
const struct learner *learner_at(size_t number);
/* Returns 0, or EXIT_USAGE after saying what is wrong. */
int learner_find(const char *name, uint32_t *number);
/* A hash of the learner's library and of this program, as they are on the disk: whatever has other code has another. */
uint64_t learner_code_hash(const struct learner *learner);
/* Keeps the libraries from printing. */
void learners_quiet(void);

void svm_quiet(void);
void linear_quiet(void);
/* Returns false if xgboost is not there. */
bool trees_load(void);

#endif

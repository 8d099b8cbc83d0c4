/* SPDX-License-Identifier: BSD-3-Clause */
/* Boosted trees of xgboost, one thread a worker. The library is large, so it is loaded by whoever makes a model, and
 * need not be there for the other learners. A value that is not in a row is missing to it, as in its own text files. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "learner.h"

#define HAS(parameter) (UINT32_C(1) << (parameter))

/* Of xgboost/c_api.h, which says that handles are pointers to void, and that all return 0 or -1. */
static struct {
    void *library;
    int (*matrix)(const size_t *, const unsigned *, const float *, size_t, size_t, size_t, void **);
    int (*set_labels)(void *, const char *, const float *, uint64_t);
    int (*free_matrix)(void *);
    int (*booster)(void *const *, uint64_t, void **);
    int (*set_parameter)(void *, const char *, const char *);
    int (*update)(void *, int, void *);
    int (*predict)(void *, void *, int, unsigned, int, uint64_t *, const float **);
    int (*save)(void *, const char *);
    int (*free_booster)(void *);
    const char *(*error)(void);
} xgboost;

struct trees {
    void *booster;
    uint64_t count;
};

bool trees_load(void)
{
    const struct {
        const char *name;
        void *function;
    } names[] = {
        {"XGDMatrixCreateFromCSREx", &xgboost.matrix}, {"XGDMatrixSetFloatInfo", &xgboost.set_labels},
        {"XGDMatrixFree", &xgboost.free_matrix},       {"XGBoosterCreate", &xgboost.booster},
        {"XGBoosterSetParam", &xgboost.set_parameter}, {"XGBoosterUpdateOneIter", &xgboost.update},
        {"XGBoosterPredict", &xgboost.predict},        {"XGBoosterSaveModel", &xgboost.save},
        {"XGBoosterFree", &xgboost.free_booster},      {"XGBGetLastError", &xgboost.error}};

    if (xgboost.library)
        return true;
    /* Its names are everybody's then, for the hash of the code. */
    if (!(xgboost.library = dlopen("libxgboost.so.0", RTLD_NOW | RTLD_GLOBAL)))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *function = dlsym(xgboost.library, names[i].name);

        if (!function)
            return false;
        memcpy(names[i].function, &function, sizeof function);
    }
    return true;
}

/* The rows as xgboost wants them: its own copy, of floats. NULL if there is no memory. */
static void *matrix_of(const struct lesson *lesson, const uint32_t *rows, uint32_t count)
{
    size_t *begins = malloc((count + 1) * sizeof *begins), total = 0;
    unsigned *columns;
    float *values;
    void *matrix = NULL;

    for (uint32_t i = 0; begins && i < count; i++) {
        begins[i] = total;
        for (const struct data_node *node = data_row(lesson->data, rows[i]); node->index >= 0; node++)
            total++;
    }
    columns = malloc((total + 1) * sizeof *columns);
    values = malloc((total + 1) * sizeof *values);
    if (begins && columns && values) {
        begins[count] = total;
        total = 0;
        for (uint32_t i = 0; i < count; i++) {
            for (const struct data_node *node = data_row(lesson->data, rows[i]); node->index >= 0; node++) {
                columns[total] = (unsigned)node->index - 1;
                values[total++] = (float)node->value;
            }
        }
        if (xgboost.matrix(begins, columns, values, count + 1, total, lesson->data->features, &matrix))
            matrix = NULL;
    }
    free(begins);
    free(columns);
    free(values);
    return matrix;
}

static bool set_targets(const struct lesson *lesson, void *matrix)
{
    float *targets = malloc((lesson->count + 1) * sizeof *targets);
    bool is_good;

    for (uint32_t i = 0; targets && i < lesson->count; i++)
        targets[i] = lesson->data->classes ? (float)data_classes(lesson->data)[lesson->rows[i]]
                                           : (float)data_targets(lesson->data)[lesson->rows[i]];
    is_good = targets && !xgboost.set_labels(matrix, "label", targets, lesson->count);
    free(targets);
    return is_good;
}

static bool set_number(void *booster, const char *name, double number)
{
    char text[32];

    snprintf(text, sizeof text, "%.17g", number);
    return !xgboost.set_parameter(booster, name, text);
}

static bool set_parameters(const struct lesson *lesson, void *booster)
{
    const double *values = lesson->candidate->values;
    uint64_t classes = lesson->data->classes;

    return !xgboost.set_parameter(booster, "objective",
                                  !classes       ? "reg:squarederror"
                                  : classes == 2 ? "binary:logistic"
                                                 : "multi:softmax") &&
           (classes < 3 || set_number(booster, "num_class", (double)classes)) &&
           set_number(booster, "max_depth", values[PARAMETER_DEPTH]) &&
           set_number(booster, "eta", values[PARAMETER_ETA]) &&
           set_number(booster, "lambda", values[PARAMETER_LAMBDA]) && set_number(booster, "nthread", 1) &&
           set_number(booster, "verbosity", 0) &&
           set_number(booster, "seed", (double)(lesson->settings->seed % 1000000007));
}

static void trees_free(void *model)
{
    struct trees *trees = model;

    if (trees->booster)
        xgboost.free_booster(trees->booster);
    free(trees);
}

static bool grow(const struct lesson *lesson, struct trees *trees, void *matrix)
{
    int rounds = (int)lesson->candidate->values[PARAMETER_ROUNDS];

    if (!set_targets(lesson, matrix) || xgboost.booster(&matrix, 1, &trees->booster) ||
        !set_parameters(lesson, trees->booster))
        return false;
    for (int round = 0; round < rounds; round++) {
        if (xgboost.update(trees->booster, round, matrix))
            return false;
    }
    trees->count = (uint64_t)rounds * (lesson->data->classes > 2 ? lesson->data->classes : 1);
    return true;
}

static void *trees_train(const struct lesson *lesson, char *why, size_t size)
{
    struct trees *trees;
    void *matrix;

    if (!trees_load()) {
        snprintf(why, size, "libxgboost.so.0 cannot be loaded; in Debian it is in libxgboost0");
        return NULL;
    }
    trees = calloc(1, sizeof *trees);
    matrix = matrix_of(lesson, lesson->rows, lesson->count);
    if (trees && matrix && grow(lesson, trees, matrix)) {
        xgboost.free_matrix(matrix);
        return trees;
    }
    snprintf(why, size, "xgboost: %.120s", matrix && trees ? xgboost.error() : "out of memory");
    if (matrix)
        xgboost.free_matrix(matrix);
    if (trees)
        trees_free(trees);
    return NULL;
}

/* What xgboost predicts is the probability of the second class of two, or the number of a class. */
static double label_of(const struct data *data, float predicted)
{
    if (!data->classes)
        return (double)predicted;
    return data_labels(data)[data->classes == 2 ? predicted > 0.5f : (size_t)predicted];
}

static bool trees_predict(void *model, const struct lesson *lesson, const struct rows *rows,
                          double *predicted)
{
    struct trees *trees = model;
    void *matrix = matrix_of(lesson, rows->rows, rows->count);
    const float *values;
    uint64_t count;
    bool is_good = matrix && !xgboost.predict(trees->booster, matrix, 0, 0, 0, &count, &values) &&
                   count == rows->count;

    for (uint32_t i = 0; is_good && i < rows->count; i++)
        predicted[i] = label_of(lesson->data, values[i]);
    if (matrix)
        xgboost.free_matrix(matrix);
    return is_good;
}

static uint64_t trees_size(void *model)
{
    return ((struct trees *)model)->count;
}

static bool trees_save(void *model, const struct lesson *lesson, const char *path)
{
    (void)lesson;
    return !xgboost.save(((struct trees *)model)->booster, path);
}

#define CALLS                                                                                                \
    .library = LIBRARY_XGBOOST, .train = trees_train, .predict = trees_predict, .size = trees_size,          \
    .save = trees_save, .free = trees_free, .extension = "json",                                             \
    .parameters = HAS(PARAMETER_DEPTH) | HAS(PARAMETER_ROUNDS) | HAS(PARAMETER_ETA) | HAS(PARAMETER_LAMBDA), \
    .space = (const char *const[])                                                                           \
    {                                                                                                        \
        "depth=3,6,9", "eta=0.03,0.1,0.3", "rounds=50,100,200", NULL                                         \
    }

const struct learner tree_learners[] = {
    {.name = "trees", .what = "boosted trees of xgboost", CALLS},
    {.name = "trees-regression",
     .what = "a regression by boosted trees of xgboost",
     .is_regression = true,
     CALLS},
};
const size_t tree_learner_count = sizeof tree_learners / sizeof *tree_learners;

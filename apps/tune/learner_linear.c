/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear machines of liblinear, for sparse data of many rows. It works on the shared rows as they are. */
#include <linear.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "learner.h"

_Static_assert(sizeof(struct data_node) == sizeof(struct feature_node) &&
                   offsetof(struct data_node, value) == offsetof(struct feature_node, value),
               "a row is handed to liblinear as it is");

#define HAS(parameter) (UINT32_C(1) << (parameter))

struct linear_lesson {
    struct model *model;
    struct problem problem;
};

static struct parameter parameters_of(const struct lesson *lesson)
{
    /* Where they stop: as liblinear-train has it. */
    static const double eps[] = {[L2R_LR] = 0.01,
                                 [L2R_L2LOSS_SVC_DUAL] = 0.1,
                                 [L2R_L2LOSS_SVC] = 0.01,
                                 [L2R_L1LOSS_SVC_DUAL] = 0.1,
                                 [MCSVM_CS] = 0.1,
                                 [L1R_L2LOSS_SVC] = 0.01,
                                 [L1R_LR] = 0.01,
                                 [L2R_LR_DUAL] = 0.1,
                                 [L2R_L2LOSS_SVR] = 0.0001,
                                 [L2R_L2LOSS_SVR_DUAL] = 0.1,
                                 [L2R_L1LOSS_SVR_DUAL] = 0.1};
    const struct learner_settings *settings = lesson->settings;

    return (struct parameter){.solver_type = settings->solver,
                              .eps = settings->eps > 0 ? settings->eps : eps[settings->solver],
                              .C = lesson->candidate->values[PARAMETER_C],
                              .p = lesson->candidate->values[PARAMETER_P]};
}

static void linear_model_free(void *model)
{
    struct linear_lesson *made = model;

    if (made->model)
        free_and_destroy_model(&made->model);
    free(made->problem.x);
    free(made->problem.y);
    free(made);
}

/* liblinear takes what it only reads as if it would write there. */
static struct feature_node *row_of(const struct data *data, uint32_t row)
{
    return (struct feature_node *)(uintptr_t)data_row(data, row);
}

static struct linear_lesson *prepare(const struct lesson *lesson)
{
    struct linear_lesson *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    made->problem.l = (int)lesson->count;
    made->problem.bias = lesson->data->bias;
    made->problem.n = (int)lesson->data->features + (lesson->data->bias >= 0);
    made->problem.x = malloc((lesson->count + 1) * sizeof *made->problem.x);
    made->problem.y = malloc((lesson->count + 1) * sizeof *made->problem.y);
    if (!made->problem.x || !made->problem.y) {
        linear_model_free(made);
        return NULL;
    }
    for (uint32_t i = 0; i < lesson->count; i++) {
        made->problem.x[i] = row_of(lesson->data, lesson->rows[i]);
        made->problem.y[i] = data_targets(lesson->data)[lesson->rows[i]];
    }
    return made;
}

static void *linear_learn(const struct lesson *lesson, char *why, size_t size)
{
    struct linear_lesson *made = prepare(lesson);
    struct parameter parameters = parameters_of(lesson);
    const char *wrong;

    if (!made) {
        snprintf(why, size, "out of memory for %u rows", lesson->count);
        return NULL;
    }
    if ((wrong = check_parameter(&made->problem, &parameters))) {
        snprintf(why, size, "liblinear: %s", wrong);
        linear_model_free(made);
        return NULL;
    }
    srand(1); /* as a program that has just begun: liblinear goes over rows in the order of rand() */
    made->model = train(&made->problem, &parameters);
    return made;
}

static bool linear_predict_rows(void *model, const struct lesson *lesson, const struct rows *rows,
                                double *predicted)
{
    for (uint32_t i = 0; i < rows->count; i++)
        predicted[i] = predict(((struct linear_lesson *)model)->model, row_of(lesson->data, rows->rows[i]));
    return true;
}

static uint64_t linear_size(void *model)
{
    const struct model *made = ((struct linear_lesson *)model)->model;
    size_t columns = made->nr_class == 2 && made->param.solver_type != MCSVM_CS ? 1 : (size_t)made->nr_class,
           count = (size_t)(made->nr_feature + (made->bias >= 0)) * columns;
    uint64_t size = 0;

    if (check_regression_model(made))
        count = (size_t)(made->nr_feature + (made->bias >= 0));
    for (size_t i = 0; i < count; i++)
        size += made->w[i] != 0;
    return size;
}

static bool linear_save(void *model, const struct lesson *lesson, const char *path)
{
    (void)lesson;
    return !save_model(path, ((struct linear_lesson *)model)->model);
}

#define CALLS                                                                                              \
    .library = LIBRARY_LINEAR, .train = linear_learn, .predict = linear_predict_rows, .size = linear_size, \
    .save = linear_save, .free = linear_model_free, .extension = "linear"
#define SPACE(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct learner linear_learners[] = {
    {.name = "linear",
     .what = "liblinear's classifiers",
     .parameters = HAS(PARAMETER_C),
     .space = SPACE("C=log2:-10:6:2"),
     CALLS},
    {.name = "linear-svr",
     .what = "liblinear's regressions",
     .is_regression = true,
     .parameters = HAS(PARAMETER_C) | HAS(PARAMETER_P),
     .space = SPACE("C=log2:-10:6:2", "p=0,0.1"),
     CALLS},
};
const size_t linear_learner_count = sizeof linear_learners / sizeof *linear_learners;

static void print_nothing(const char *text)
{
    (void)text;
}

void linear_quiet(void)
{
    set_print_string_function(print_nothing);
}

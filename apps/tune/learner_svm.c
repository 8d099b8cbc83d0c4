/* SPDX-License-Identifier: BSD-3-Clause */
/* The machines of libsvm. With a matrix that the workers of a node share they are trained as "precomputed" ones, which
 * are the same numbers in the same order; without one, where it is too large or rows are few, libsvm computes it. */
#include <libsvm/svm.h>
#include <stdlib.h>
#include <string.h>

#include "learner.h"

_Static_assert(sizeof(struct data_node) == sizeof(struct svm_node) &&
                   offsetof(struct data_node, value) == offsetof(struct svm_node, value),
               "a row is handed to libsvm as it is");

#define HAS(parameter) (UINT32_C(1) << (parameter))

struct svm_lesson {
    struct svm_model *model;
    struct svm_problem problem;
    struct svm_node *shared_row; /* for a prediction by the shared matrix; or NULL */
};

static int machine_of(const struct learner *learner)
{
    return !strncmp(learner->name, "c-svc", 5)     ? C_SVC
           : !strncmp(learner->name, "nu-svc", 6)  ? NU_SVC
           : !strncmp(learner->name, "eps-svr", 7) ? EPSILON_SVR
                                                   : NU_SVR;
}

static int kernel_of(const struct learner *learner)
{
    return learner->kernel == KERNEL_LINEAR ? LINEAR : learner->kernel == KERNEL_POLY ? POLY : RBF;
}

static struct svm_parameter parameters_of(const struct lesson *lesson)
{
    const struct learner *learner = learner_at(lesson->settings->learner);
    const double *values = lesson->candidate->values;

    /* The rest is as svm-train has it. */
    return (struct svm_parameter){.svm_type = machine_of(learner),
                                  .kernel_type = kernel_of(learner),
                                  .degree = (int)values[PARAMETER_DEGREE],
                                  .gamma = values[PARAMETER_GAMMA],
                                  .coef0 = values[PARAMETER_COEF0],
                                  .cache_size = 100,
                                  .eps = lesson->settings->eps > 0 ? lesson->settings->eps : 1e-3,
                                  .C = values[PARAMETER_C],
                                  .nu = values[PARAMETER_NU],
                                  .p = values[PARAMETER_P],
                                  .shrinking = 1};
}

static void svm_model_free(void *model)
{
    struct svm_lesson *made = model;

    svm_free_and_destroy_model(&made->model);
    free(made->problem.x);
    free(made->problem.y);
    free(made->shared_row);
    free(made);
}

static struct svm_node *row_of(const struct lesson *lesson, uint32_t row)
{
    if (lesson->slot.number)
        return (struct svm_node *)kernel_row(lesson->kernels, &lesson->slot, row);
    /* libsvm takes what it only reads as if it would write there. */
    return (struct svm_node *)(uintptr_t)data_row(lesson->data, row);
}

static struct svm_lesson *prepare(const struct lesson *lesson)
{
    struct svm_lesson *made = calloc(1, sizeof *made);
    bool needs_shared_row = lesson->slot.number && lesson->kernels->plan->kernel == KERNEL_RBF;

    if (!made)
        return NULL;
    made->problem.l = (int)lesson->count;
    made->problem.x = malloc((lesson->count + 1) * sizeof *made->problem.x);
    made->problem.y = malloc((lesson->count + 1) * sizeof *made->problem.y);
    if (needs_shared_row)
        made->shared_row = calloc(lesson->data->rows + 2, sizeof *made->shared_row);
    if (!made->problem.x || !made->problem.y || (needs_shared_row && !made->shared_row)) {
        svm_model_free(made);
        return NULL;
    }
    for (uint32_t i = 0; i < lesson->count; i++) {
        made->problem.x[i] = row_of(lesson, lesson->rows[i]);
        made->problem.y[i] = data_targets(lesson->data)[lesson->rows[i]];
    }
    return made;
}

static void *svm_learn(const struct lesson *lesson, char *why, size_t size)
{
    struct svm_lesson *made = prepare(lesson);
    struct svm_parameter parameters = parameters_of(lesson);
    const char *wrong;

    if (!made) {
        snprintf(why, size, "out of memory for %u rows", lesson->count);
        return NULL;
    }
    if ((wrong = svm_check_parameter(&made->problem, &parameters))) {
        snprintf(why, size, "libsvm: %s", wrong);
        svm_model_free(made);
        return NULL;
    }
    if (lesson->slot.number)
        parameters.kernel_type = PRECOMPUTED;
    made->model = svm_train(&made->problem, &parameters);
    return made;
}

static double predict_row(struct svm_lesson *made, const struct lesson *lesson, uint32_t row)
{
    const double *values;

    if (!made->shared_row)
        return svm_predict(made->model, row_of(lesson, row));
    values = kernel_predicted(lesson->kernels, &lesson->slot, row);
    for (int i = 0; i < made->model->l; i++) {
        uint32_t number = (uint32_t)made->model->SV[i]->value;

        made->shared_row[number].value = values[number - 1];
    }
    return svm_predict(made->model, made->shared_row);
}

static bool svm_predict_rows(void *model, const struct lesson *lesson, const struct rows *rows,
                             double *predicted)
{
    for (uint32_t i = 0; i < rows->count; i++)
        predicted[i] = predict_row(model, lesson, rows->rows[i]);
    return true;
}

static uint64_t svm_size(void *model)
{
    return (uint64_t)((struct svm_lesson *)model)->model->l;
}

/* A model of a shared matrix becomes one of rows: nothing else of it differs. */
static bool svm_save(void *model, const struct lesson *lesson, const char *path)
{
    struct svm_lesson *made = model;
    const struct svm_parameter parameters = parameters_of(lesson);

    for (int i = 0; lesson->slot.number && i < made->model->l; i++)
        made->model->SV[i] = (struct svm_node *)(uintptr_t)data_row(
            lesson->data, lesson->rows[made->model->sv_indices[i] - 1]);
    made->model->param.kernel_type = parameters.kernel_type;
    return !svm_save_model(path, made->model);
}

#define CALLS                                                                                  \
    .library = LIBRARY_SVM, .train = svm_learn, .predict = svm_predict_rows, .size = svm_size, \
    .save = svm_save, .free = svm_model_free, .extension = "svm"
#define RBF_HAS    HAS(PARAMETER_GAMMA)
#define POLY_HAS   (HAS(PARAMETER_GAMMA) | HAS(PARAMETER_DEGREE) | HAS(PARAMETER_COEF0))
#define SPACE(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ALL_C      "C=log2:-5:15:2"
#define ALL_GAMMA  "gamma=log2:3:-15:-2"
#define ALL_NU     "nu=lin:0.05:0.5:0.05"
#define ALL_P      "p=log2:-8:-1:2"
#define FEW_GAMMA  "gamma=log2:1:-11:-3"

const struct learner svm_learners[] = {
    {.name = "c-svc-rbf",
     .what = "C-SVC with an RBF kernel",
     .kernel = KERNEL_RBF,
     .parameters = HAS(PARAMETER_C) | RBF_HAS,
     .space = SPACE(ALL_C, ALL_GAMMA),
     CALLS},
    {.name = "c-svc-linear",
     .what = "C-SVC with a linear kernel",
     .kernel = KERNEL_LINEAR,
     .parameters = HAS(PARAMETER_C),
     .space = SPACE(ALL_C),
     CALLS},
    {.name = "c-svc-poly",
     .what = "C-SVC with a polynomial kernel",
     .kernel = KERNEL_POLY,
     .parameters = HAS(PARAMETER_C) | POLY_HAS,
     .space = SPACE(ALL_C, FEW_GAMMA, "degree=2,3"),
     CALLS},
    {.name = "nu-svc-rbf",
     .what = "nu-SVC with an RBF kernel",
     .kernel = KERNEL_RBF,
     .parameters = HAS(PARAMETER_NU) | RBF_HAS,
     .space = SPACE(ALL_NU, ALL_GAMMA),
     CALLS},
    {.name = "nu-svc-linear",
     .what = "nu-SVC with a linear kernel",
     .kernel = KERNEL_LINEAR,
     .parameters = HAS(PARAMETER_NU),
     .space = SPACE(ALL_NU),
     CALLS},
    {.name = "nu-svc-poly",
     .what = "nu-SVC with a polynomial kernel",
     .kernel = KERNEL_POLY,
     .parameters = HAS(PARAMETER_NU) | POLY_HAS,
     .space = SPACE(ALL_NU, FEW_GAMMA, "degree=2,3"),
     CALLS},
    {.name = "eps-svr-rbf",
     .what = "epsilon-SVR with an RBF kernel",
     .is_regression = true,
     .kernel = KERNEL_RBF,
     .parameters = HAS(PARAMETER_C) | HAS(PARAMETER_P) | RBF_HAS,
     .space = SPACE(ALL_C, FEW_GAMMA, ALL_P),
     CALLS},
    {.name = "eps-svr-linear",
     .what = "epsilon-SVR with a linear kernel",
     .is_regression = true,
     .kernel = KERNEL_LINEAR,
     .parameters = HAS(PARAMETER_C) | HAS(PARAMETER_P),
     .space = SPACE("C=log2:-5:7:2", ALL_P),
     CALLS},
    {.name = "eps-svr-poly",
     .what = "epsilon-SVR with a polynomial kernel",
     .is_regression = true,
     .kernel = KERNEL_POLY,
     .parameters = HAS(PARAMETER_C) | HAS(PARAMETER_P) | POLY_HAS,
     .space = SPACE("C=log2:-5:7:2", FEW_GAMMA),
     CALLS},
    {.name = "nu-svr-rbf",
     .what = "nu-SVR with an RBF kernel",
     .is_regression = true,
     .kernel = KERNEL_RBF,
     .parameters = HAS(PARAMETER_C) | HAS(PARAMETER_NU) | RBF_HAS,
     .space = SPACE(ALL_C, FEW_GAMMA),
     CALLS},
};
const size_t svm_learner_count = sizeof svm_learners / sizeof *svm_learners;

static void print_nothing(const char *text)
{
    (void)text;
}

void svm_quiet(void)
{
    svm_set_print_string_function(print_nothing);
}

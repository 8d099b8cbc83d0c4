/* SPDX-License-Identifier: BSD-3-Clause */
/* The machines of libsvm. With a matrix that the workers of a node share they are trained as "precomputed" ones, which
 * are the same numbers in the same order; without one, where it is too large or rows are few, libsvm computes it. */
#include <libsvm/svm.h>
#include <math.h>
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
    struct svm_node *heads;      /* of the model's vectors in the shared matrix, close together */
    long iterations;             /* the most that a machine of two classes took */
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
    free(made->heads);
    free(made);
}

/* What libsvm prints says how many steps it took. */
static long most_iterations;

static void take_text(const char *text)
{
    const char *at = strstr(text, "#iter = ");
    long iterations = at ? strtol(at + strlen("#iter = "), NULL, 10) : 0;

    most_iterations = iterations > most_iterations ? iterations : most_iterations;
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
    bool needs_shared_row = lesson->slot.number && lesson->kernels->plan->has_predicted;

    if (!made)
        return NULL;
    made->problem.l = (int)lesson->count;
    made->problem.x = malloc((lesson->count + 1) * sizeof *made->problem.x);
    made->problem.y = malloc((lesson->count + 1) * sizeof *made->problem.y);
    made->heads = malloc((lesson->count + 1) * sizeof *made->heads);
    if (needs_shared_row)
        made->shared_row = calloc(lesson->data->rows + 2, sizeof *made->shared_row);
    if (!made->problem.x || !made->problem.y || !made->heads || (needs_shared_row && !made->shared_row)) {
        svm_model_free(made);
        return NULL;
    }
    for (uint32_t i = 0; i < lesson->count; i++) {
        made->problem.x[i] = row_of(lesson, lesson->rows[i]);
        made->problem.y[i] = data_targets(lesson->data)[lesson->rows[i]];
    }
    return made;
}

/* A prediction by a matrix reads no more of a vector than its number, which begins its row. */
static void bring_together(struct svm_lesson *made)
{
    for (int i = 0; i < made->model->l; i++) {
        made->heads[i] = *made->model->SV[i];
        made->model->SV[i] = &made->heads[i];
    }
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
    most_iterations = 0;
    made->model = svm_train(&made->problem, &parameters);
    made->iterations = most_iterations;
    if (lesson->slot.number)
        bring_together(made);
    return made;
}

static double predict_row(struct svm_lesson *made, const struct lesson *lesson, uint32_t row)
{
    const double *values;

    if (!made->shared_row)
        return svm_predict(made->model, row_of(lesson, row));
    values = kernel_predicted(lesson->kernels, &lesson->slot, row);
    for (int i = 0; i < made->model->l; i++) {
        uint32_t number = (uint32_t)made->heads[i].value;

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

/* The multipliers of the machine for classes i and j, added up; INFINITY if one of them is at C. */
static double sum_of_multipliers(const struct svm_model *model, int i, int j, double c)
{
    int begins[2] = {0, 0}, classes[2] = {i, j};
    double sum = 0;

    for (int k = 0; k < 2; k++) {
        const double *row = model->sv_coef[classes[1 - k] - (classes[1 - k] > classes[k])];

        for (int before = 0; before < classes[k]; before++)
            begins[k] += model->nSV[before];
        for (int v = begins[k]; v < begins[k] + model->nSV[classes[k]]; v++) {
            if (fabs(row[v]) >= c)
                return (double)INFINITY;
            sum += fabs(row[v]);
        }
    }
    return sum;
}

/* A C that no multiplier ever reaches has no part in how C-SVC is solved: all such C give the same model, bit by bit.
 *
 * Say w is a solution in which no multiplier is at C, and A the sum of its multipliers a. Then it is one of the problem
 * without C, and each row is right with a margin of (1 - eps) / |w|, so the hulls of both classes are
 * r >= 2 (1 - eps) / |w| apart; and |w|² <= A (1 + eps), as rows with a multiplier are at 1 + eps at most. On the way
 * of the solver without C, which begins at 0 and never rises, the objective |v|² / 2 - sum(a) is at most 0. Both classes'
 * multipliers have the same sum S there, and |v| >= S r. So S² r² <= 4 S, and S <= 4 / r² <= A (1 + eps) / (1 - eps)².
 * Neither a multiplier nor the sum of two of one class is larger, and libsvm compares nothing else with C. Up to
 * MOST_SUM the floats in which it keeps the kernel's values, of 1 at most, move these bounds by less than SLACK does. */
static double svm_same_from(void *model, const struct lesson *lesson)
{
    static const double SLACK = 1.05, MOST_SUM = 1e5, MOST_EPS = 0.01;
    static const long MOST_ITERATIONS = 10000000; /* where libsvm stops without a solution */
    const struct svm_lesson *made = model;
    struct svm_parameter parameters = parameters_of(lesson);
    double eps = parameters.eps, most = 0;

    if (parameters.svm_type != C_SVC || parameters.kernel_type != RBF || eps > MOST_EPS ||
        made->iterations >= MOST_ITERATIONS)
        return (double)INFINITY;
    for (int i = 0; i < made->model->nr_class; i++) {
        for (int j = i + 1; j < made->model->nr_class; j++)
            most = fmax(most, sum_of_multipliers(made->model, i, j, parameters.C));
    }
    return most <= MOST_SUM ? most * SLACK * (1 + eps) / ((1 - eps) * (1 - eps)) : (double)INFINITY;
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
    .same_from = svm_same_from, .save = svm_save, .free = svm_model_free, .extension = "svm"
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

void svm_quiet(void)
{
    svm_set_print_string_function(take_text);
}

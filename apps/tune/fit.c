/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does. Its state is made once: places in the node's shared memory, and the split that it has used last,
 * as the next fit is likely to be on the same one. */
#include "fit.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

struct worker {
    const struct share *share;
    const struct data *data;
    struct kernel_view kernels;
    struct split_place place; /* of the split */
    struct split split;
    uint32_t *seen, *right; /* rows of each class */
};

struct share *share_make(const struct share *head, const mpm_array *arrays, const struct data *data)
{
    struct share placed = *head, *share;
    size_t arrays_size = mpm_node_count() * sizeof *arrays;

    placed.arrays_at = (sizeof placed + 63) / 64 * 64;
    placed.data_at = (placed.arrays_at + arrays_size + 63) / 64 * 64;
    placed.size = placed.data_at + data->size;
    if (!(share = calloc(1, placed.size)))
        return NULL;
    *share = placed;
    if (arrays)
        memcpy((char *)share + placed.arrays_at, arrays, arrays_size);
    memcpy((char *)share + placed.data_at, data, data->size);
    return share;
}

const struct data *share_data(const struct share *share)
{
    return (const struct data *)((const char *)share + share->data_at);
}

int fit_initialize(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    const struct share *share = argument;
    const mpm_array *arrays = (const mpm_array *)((const char *)argument + share->arrays_at);
    struct worker *worker = calloc(1, sizeof *worker);
    void *memory = NULL;

    (void)argument_size;
    *state = worker;
    if (!worker)
        return mpm_fail(call, "out of memory");
    worker->share = share;
    worker->data = share_data(share);
    worker->seen = calloc(worker->data->classes + 1, sizeof *worker->seen);
    worker->right = calloc(worker->data->classes + 1, sizeof *worker->right);
    if (share->kernels.slots && mpm_array_pointer(arrays[mpm_node_id()], &memory))
        return mpm_fail(call, "%s", mpm_error());
    if (!worker->seen || !worker->right ||
        !kernel_view_open(&share->kernels, worker->data, memory, &worker->kernels))
        return mpm_fail(call, "out of memory");
    learners_quiet();
    return 0;
}

void fit_finalize(void *state)
{
    struct worker *worker = state;

    kernel_view_close(&worker->kernels);
    split_free(&worker->split);
    free(worker->seen);
    free(worker->right);
    free(worker);
}

static double now_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool take_split(struct worker *worker, const struct split_place *place)
{
    if (worker->split.train && !memcmp(&worker->place, place, sizeof *place))
        return true;
    split_free(&worker->split);
    worker->place = *place;
    return split_make(worker->data, &worker->share->plan, place, &worker->split);
}

/* The class of a label that was predicted; it is one of those of the data. */
static size_t class_of(const struct data *data, double label)
{
    const double *labels = data_labels(data);
    size_t low = 0, high = data->classes;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (labels[middle] <= label)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void score_classes(const struct worker *worker, const double *predicted, struct fit_result *result)
{
    const uint32_t *classes = data_classes(worker->data);
    uint32_t present = 0;
    double shares = 0;

    memset(worker->seen, 0, worker->data->classes * sizeof *worker->seen);
    memset(worker->right, 0, worker->data->classes * sizeof *worker->right);
    for (uint32_t i = 0; i < worker->split.test_count; i++) {
        uint32_t class = classes[worker->split.test[i]];
        bool is_right = class_of(worker->data, predicted[i]) == class;

        worker->seen[class]++;
        worker->right[class] += is_right;
        result->right += is_right;
    }
    for (size_t c = 0; c < worker->data->classes; c++) {
        if (!worker->seen[c])
            continue;
        present++;
        shares += (double)worker->right[c] / worker->seen[c];
    }
    result->scores[SCORE_ACCURACY] = (double)result->right / worker->split.test_count;
    result->scores[SCORE_BALANCED] = shares / present;
}

static void score_numbers(const struct worker *worker, const double *predicted, struct fit_result *result)
{
    const double *targets = data_targets(worker->data);
    uint32_t count = worker->split.test_count;
    double squares = 0, distances = 0, mean = 0, spread = 0;

    for (uint32_t i = 0; i < count; i++)
        mean += targets[worker->split.test[i]] / count;
    for (uint32_t i = 0; i < count; i++) {
        double target = targets[worker->split.test[i]], error = predicted[i] - target;

        squares += error * error;
        distances += fabs(error);
        spread += (target - mean) * (target - mean);
    }
    result->scores[SCORE_MSE] = squares / count;
    result->scores[SCORE_MAE] = distances / count;
    result->scores[SCORE_R2] = spread > 0 ? 1 - squares / spread : NAN;
}

static int score(mpm_call *call, struct worker *worker, const struct lesson *lesson, void *model,
                 struct fit_result *result)
{
    const struct learner *learner = learner_at(lesson->settings->learner);
    double *predicted = malloc((worker->split.test_count + 1) * sizeof *predicted);

    if (!predicted)
        return mpm_fail(call, "out of memory for %u predictions", worker->split.test_count);
    if (!learner->predict(model, lesson, &(struct rows){worker->split.test, worker->split.test_count},
                          predicted)) {
        free(predicted);
        return mpm_fail(call, "the model cannot predict %u rows", worker->split.test_count);
    }
    for (int i = 0; i < SCORE_COUNT; i++)
        result->scores[i] = NAN;
    if (learner->is_regression)
        score_numbers(worker, predicted, result);
    else
        score_classes(worker, predicted, result);
    for (uint32_t i = 0; i < worker->split.test_count; i++) {
        if (!isfinite(predicted[i])) {
            free(predicted);
            return mpm_fail(call, "the model has diverged: it predicts what is no finite number");
        }
    }
    free(predicted);
    return 0;
}

static void make_matrix(struct worker *worker, const struct fit_order *order)
{
    const double *values = order->candidate.values;
    const struct kernel_parameters parameters = {.gamma = values[PARAMETER_GAMMA],
                                                 .coef0 = values[PARAMETER_COEF0],
                                                 .degree = (int)values[PARAMETER_DEGREE]};

    if (order->slot.number)
        kernel_make(&worker->kernels, &order->slot, &parameters);
}

static struct lesson lesson_of(struct worker *worker, const struct fit_order *order)
{
    return (struct lesson){.settings = &worker->share->settings,
                           .data = worker->data,
                           .kernels = &worker->kernels,
                           .slot = order->slot,
                           .candidate = &order->candidate,
                           .rows = worker->split.train,
                           .count = worker->split.train_count};
}

int fit_run(mpm_call *call, const void *item, void *result)
{
    const struct fit_order *order = item;
    struct worker *worker = mpm_call_state(call);
    const struct learner *learner = learner_at(worker->share->settings.learner);
    struct fit_result made = {.node = mpm_node_id()};
    struct lesson lesson;
    char why[160];
    void *model;
    double begin_s = now_s(CLOCK_MONOTONIC), start_s;
    int status;

    if (!take_split(worker, &order->place))
        return mpm_fail(call, "out of memory for %llu rows", (unsigned long long)worker->data->rows);
    make_matrix(worker, order);
    lesson = lesson_of(worker, order);
    made.trained = worker->split.train_count;
    made.tested = worker->split.test_count;
    memory_peak_reset();
    start_s = now_s(CLOCK_PROCESS_CPUTIME_ID);
    if (!(model = learner->train(&lesson, why, sizeof why)))
        return mpm_fail(call, "%s", why);
    status = score(call, worker, &lesson, model, &made);
    made.cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID) - start_s;
    made.wall_s = now_s(CLOCK_MONOTONIC) - begin_s;
    made.model_size = learner->size(model);
    made.fitted_C = order->candidate.values[PARAMETER_C];
    made.same_from = learner->same_from ? learner->same_from(model, &lesson) : (double)INFINITY;
    made.peak_bytes = memory_peak();
    learner->free(model);
    memcpy(result, &made, sizeof made);
    return status;
}

/* Libraries write models into files only. */
static int read_into_blob(mpm_call *call, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat state;
    char *bytes = NULL;
    ssize_t length = 1;

    if (file < 0 || fstat(file, &state)) {
        if (file >= 0)
            close(file);
        return mpm_fail(call, "cannot read the model that was written to '%s'", path);
    }
    bytes = mpm_call_blob(call, (size_t)state.st_size);
    for (off_t done = 0; bytes && length > 0 && done < state.st_size; done += length)
        length = read(file, bytes + done, (size_t)(state.st_size - done));
    close(file);
    if (!bytes)
        return 1;
    return length > 0 ? 0 : mpm_fail(call, "cannot read the model that was written to '%s'", path);
}

static int model_to_blob(mpm_call *call, const struct learner *learner, void *model,
                         const struct lesson *lesson)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int file, status;

    snprintf(path, sizeof path, "%s/mpmap-tune-XXXXXX.%s", folder && *folder ? folder : "/tmp",
             learner->extension);
    /* xgboost looks at the name to know how to write. */
    if ((file = mkstemps(path, (int)strlen(learner->extension) + 1)) < 0)
        return mpm_fail(call, "cannot make '%s'", path);
    close(file);
    status = learner->save(model, lesson, path) ? read_into_blob(call, path)
                                                : mpm_fail(call, "cannot write the model to '%s'", path);
    unlink(path);
    return status;
}

int fit_model(mpm_call *call, const void *item, void *result)
{
    const struct fit_order *order = item;
    struct worker *worker = mpm_call_state(call);
    const struct learner *learner = learner_at(worker->share->settings.learner);
    uint32_t *rows = malloc(worker->data->rows * sizeof *rows);
    struct lesson lesson = lesson_of(worker, order);
    char why[160];
    void *model;
    int status;

    (void)result;
    if (!rows)
        return mpm_fail(call, "out of memory for %llu rows", (unsigned long long)worker->data->rows);
    for (uint32_t i = 0; i < worker->data->rows; i++)
        rows[i] = i;
    lesson.rows = rows;
    lesson.count = (uint32_t)worker->data->rows;
    make_matrix(worker, order);
    if (!(model = learner->train(&lesson, why, sizeof why))) {
        free(rows);
        return mpm_fail(call, "%s", why);
    }
    status = model_to_blob(call, learner, model, &lesson);
    learner->free(model);
    free(rows);
    return status;
}

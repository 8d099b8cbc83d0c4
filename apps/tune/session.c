/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the data once, gives every node one copy and memory for the matrices, has the fits done, and writes what came
 * of them. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dispatch.h"
#include "hash.h"
#include "output.h"
#include "support/text.h"
#include "support/whole_file.h"

#define LAST_MATRIX UINT32_MAX /* the number of the final model's matrix, which no other has */
#define MOST_SLOTS  64
#define MOST_DATA   ((uint64_t)1 << 30) /* of a pool's initializer_argument */

struct session {
    struct request *request;
    const struct learner *learner;
    struct data *data;
    struct share *share;
    struct study study;
    struct journal journal;
    double begin_s;
    unsigned workers;
    char *model_path;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What a process on a node is told that makes the memory for its matrices. */
struct array_wish {
    mpm_queue answers;
    uint64_t size;
};

struct array_answer {
    mpm_array array;
    unsigned node;
    int status;
};

/* An array belongs to the node where it is made, and stays when its maker has ended. */
static int make_array(const void *args, size_t size)
{
    const struct array_wish *wish = args;
    struct array_answer answer = {.node = mpm_node_id()};

    (void)size;
    answer.status = mpm_array_create(MPM_F64, (wish->size + sizeof(double) - 1) / sizeof(double), NULL,
                                     &answer.array);
    return mpm_put(wish->answers, &answer) ? EXIT_FAILURE : 0;
}

static int start_makers(const struct array_wish *wish, unsigned nodes)
{
    for (unsigned node = 0; node < nodes; node++) {
        const mpm_process_options options = {.name = "matrices", .place = MPM_ON_NODE(node)};
        mpm_process process;
        int exitcode;

        if (mpm_process_start(make_array, wish, sizeof *wish, &options, &process))
            return mpm_report_error();
        if (mpm_process_reap(process, MPM_FOREVER, &exitcode))
            return mpm_report_error();
        if (exitcode)
            return failure("the process that makes memory on node %u has ended with %d", node, exitcode);
    }
    return 0;
}

/* Memory of that size on every node. */
static int make_arrays(uint64_t size, mpm_array *arrays)
{
    unsigned nodes = mpm_node_count();
    struct array_wish wish = {.size = size};
    struct array_answer answer;
    int exit_status;

    if (!size)
        return 0;
    if (mpm_queue_create(NULL, &wish.answers))
        return mpm_report_error();
    exit_status = start_makers(&wish, nodes);
    for (unsigned i = 0; i < nodes && !exit_status; i++) {
        if (mpm_get(wish.answers, &answer))
            exit_status = mpm_report_error();
        else if (answer.status)
            exit_status = failure(
                "node %u has no %llu bytes for its matrices; --kernel-memory gives them less", answer.node,
                (unsigned long long)size);
        else
            arrays[answer.node] = answer.array;
    }
    if (mpm_queue_destroy(wish.answers))
        return exit_status ? exit_status : mpm_report_error();
    return exit_status;
}

/* A quarter of the smallest node's memory. */
static uint64_t matrix_budget(const struct request *request)
{
    uint64_t least = UINT64_MAX;

    if (request->kernel_memory)
        return request->kernel_memory;
    for (unsigned i = 0; i < mpm_node_count(); i++) {
        mpm_node node;

        if (!mpm_node_info(i, &node) && node.arena_size / 4 < least)
            least = node.arena_size / 4;
    }
    return least;
}

/* How many matrices the candidates have at most. */
static size_t count_matrices(const struct request *request)
{
    size_t count = 1;

    if (request->study.trials)
        return request->study.trials;
    for (size_t i = 0; i < request->space.count && count < MOST_SLOTS; i++) {
        enum parameter_id parameter = request->space.axes[i].parameter;

        if (parameter == PARAMETER_GAMMA || parameter == PARAMETER_COEF0 || parameter == PARAMETER_DEGREE)
            count *= request->space.axes[i].count;
    }
    return count;
}

/* The fits of one matrix are done before those of the next, so there are no more of them than are under way. ASHA comes
 * back to each, but to make one again costs less than to have memory for all. */
static uint32_t wanted_slots(const struct request *request)
{
    size_t workers = request->workers ? request->workers : mpm_slot_count(),
           wanted = 2 + workers / (request->folds * request->repeats), matrices = count_matrices(request);

    wanted = wanted < matrices ? wanted : matrices;
    return wanted < MOST_SLOTS ? (uint32_t)wanted : MOST_SLOTS;
}

static int make_share(struct session *session)
{
    struct request *request = session->request;
    mpm_array *arrays = calloc(mpm_node_count(), sizeof *arrays);
    struct share head = {.settings = request->learner,
                         .plan = {.folds = (uint32_t)request->folds,
                                  .outer_folds = (uint32_t)request->outer_folds,
                                  .repeats = (uint32_t)request->repeats,
                                  .seed = request->seed}};
    int exit_status;

    if (!arrays)
        return failure("out of memory");
    head.settings.seed = request->seed;
    head.kernels = kernel_plan_make(session->learner->kernel, session->data, wanted_slots(request),
                                    matrix_budget(request));
    if (!(exit_status = make_arrays(head.kernels.size, arrays)) &&
        !(session->share = share_make(&head, arrays, session->data)))
        exit_status = failure("out of memory for the data");
    free(arrays);
    if (!exit_status && session->share->size > MOST_DATA)
        return failure("'%s' takes %.1f GiB in memory, but a node's copy may have 1 GiB at most",
                       request->data.path, (double)session->share->size / (double)MOST_DATA);
    return exit_status;
}

/* What has the same results has the same identity. */
static void identify(struct session *session)
{
    const struct learner_settings *settings = &session->share->settings;
    uint64_t code = learner_code_hash(session->learner);

    for (int i = 0; i < 2; i++) {
        uint64_t hash = hash_number(hash_number(hash_number((uint64_t)i, session->data->hash), code),
                                    settings->learner);

        hash = hash_number(hash, (uint64_t)settings->solver);
        session->study.identity[i] = hash_bytes(hash, &settings->eps, sizeof settings->eps);
    }
}

/* A gamma that is not searched is 1 divided by the number of features, as svm-train has it. */
static void choose_gamma(struct session *session)
{
    double *gamma = &session->request->space.fixed.values[PARAMETER_GAMMA];

    if (*gamma < 0)
        *gamma = 1 / (double)(session->data->features ? session->data->features : 1);
}

/* A class of fewer rows than folds is missing from some tests; if all are, it is no class that can be learned. */
static int check_classes(const struct session *session, size_t folds)
{
    const struct data *data = session->data;
    const char *path = session->request->data.path;
    uint32_t *rows = calloc(data->classes, sizeof *rows), most = 0;
    size_t rare = 0, example = 0;

    if (!rows)
        return failure("out of memory");
    for (size_t row = 0; row < data->rows; row++)
        rows[data_classes(data)[row]]++;
    for (size_t i = 0; i < data->classes; i++) {
        most = rows[i] > most ? rows[i] : most;
        example = rows[i] < folds && rows[i] <= rows[example] ? i : example;
        rare += rows[i] < folds;
    }
    if (most >= folds && rare)
        fprintf(stderr,
                "mpmap-tune: '%s': %zu of %llu labels have fewer rows than there are folds (%zu), such as "
                "'%.40s' with "
                "%u: they are missing from the test of some folds\n",
                path, rare, (unsigned long long)data->classes, folds, data_class_name(data, example),
                rows[example]);
    free(rows);
    if (most >= folds)
        return 0;
    return failure(
        "'%s': each of %llu labels has fewer rows than there are folds (%zu), the most frequent one %u: is "
        "that the label's column? --label names another one",
        path, (unsigned long long)data->classes, folds, most);
}

static int check_rows(const struct session *session)
{
    const struct request *request = session->request;
    bool is_nested = request->outer_folds > request->folds;
    size_t folds = is_nested ? request->outer_folds : request->folds;

    if (session->data->rows < 2 * folds)
        return failure(
            "'%s' has %llu rows: too few for %zu folds of two rows at least; %s %llu or less is right",
            request->data.path, (unsigned long long)session->data->rows, folds,
            is_nested ? "--nested" : "--folds", (unsigned long long)session->data->rows / 2);
    return session->data->classes ? check_classes(session, folds) : 0;
}

static int train_model(struct session *session, mpm_pool *pool)
{
    const struct search *search = &session->study.searches[0];
    struct fit_order order = {0};
    mpm_blob item = {.bytes = &order, .size = sizeof order}, *results;
    char *path, *part = NULL;
    int exit_status = 0, status;

    if (session->request->no_model || search->best == NO_TRIAL)
        return 0;
    order.candidate = search->trials[search->best].candidate;
    if (session->share->kernels.slots)
        order.slot.number = LAST_MATRIX;
    if ((status = mpm_pool_map_blobs(pool, fit_model, &item, 1, NULL, &results))) {
        if (status == MPM_ETASK)
            mpm_blobs_free(results);
        return failure("the final model: %s", mpm_error());
    }
    path = text_format("%s/model.%s", session->request->out, session->learner->extension);
    if (!path || !(part = text_format("%s.part", path)))
        exit_status = failure("out of memory");
    else if (whole_file_put(path, part, results[0].bytes, results[0].size))
        exit_status = failure("cannot write '%s': %s", path, strerror(errno));
    free(part);
    session->model_path = path;
    mpm_blobs_free(results);
    return exit_status;
}

static int write_one(const struct session *session, const struct report *report, const char *name,
                     int (*write)(const struct report *, const char *))
{
    char *path = text_format("%s/%s", session->request->out, name);
    int exit_status = path ? write(report, path) : failure("out of memory");

    free(path);
    return exit_status;
}

static int tell(const struct session *session)
{
    const struct request *request = session->request;
    const struct report report = {.request = request,
                                  .study = &session->study,
                                  .data = session->data,
                                  .learner = session->learner,
                                  .wall_s = now_s() - session->begin_s,
                                  .workers = session->workers,
                                  .nodes = mpm_node_count(),
                                  .model_path = session->model_path};
    int exit_status = write_one(session, &report, "scores.h5", scores_write);

    if (!exit_status)
        exit_status = write_one(session, &report, "report.html", report_write);
    failures_print(&report);
    if (request->json)
        summary_print_json(&report);
    else if (!request->quiet)
        summary_print(&report);
    return exit_status ? exit_status : session->study.failed ? EXIT_FAILURE : 0;
}

static int fit_all(struct session *session, mpm_pool *pool)
{
    const struct request *request = session->request;
    const struct dispatch_settings settings = {
        .grace_s = request->grace_s, .retry_failed = request->retry_failed, .line = request->line};
    int exit_status = dispatch_run(pool, &session->study, &session->journal, &settings), told;

    session->workers = mpm_pool_worker_count(pool);
    if (session->journal.count && !session->study.earlier && !request->restart)
        fprintf(stderr,
                "mpmap-tune: none of the %zu fits in '%s' has these data, parameters, folds and code: all "
                "were done now\n",
                session->journal.count, session->journal.path);
    if (exit_status == EXIT_DRAINED)
        fprintf(stderr,
                "mpmap-tune: drained: %zu of %zu fits are done; the same command with --resume goes on\n",
                session->study.done, session->study.fit_count);
    if (exit_status)
        return exit_status;
    /* What was found is told even if the model fails. */
    exit_status = train_model(session, pool);
    told = tell(session);
    return exit_status ? exit_status : told;
}

static int open_and_fit(struct session *session)
{
    const struct request *request = session->request;
    mpm_pool_options options = {.workers = (unsigned)request->workers,
                                .max_attempts = (unsigned)request->attempts,
                                .item_timeout_s = request->timeout_s,
                                .item_memory_bytes = request->memory,
                                .initializer = fit_initialize,
                                .initializer_argument = session->share,
                                .initializer_argument_size = session->share->size,
                                .finalizer = fit_finalize,
                                .setup_timeout_s = MPM_FOREVER};
    mpm_pool *pool;
    int exit_status;

    session->study.settings = request->study;
    session->study.space = &request->space;
    session->study.share = session->share;
    session->study.data = session->data;
    identify(session);
    if ((exit_status = study_begin(&session->study)))
        return exit_status;
    if (mpm_pool_open(&options, &pool))
        return mpm_report_error();
    exit_status = fit_all(session, pool);
    mpm_pool_close(pool);
    return exit_status;
}

static int open_journal(struct session *session)
{
    const struct request *request = session->request;
    char *path = text_format("%s/fits.journal", request->out);
    int exit_status;

    if (!path)
        return failure("out of memory");
    if (mkdir(request->out, 0777) && errno != EEXIST)
        exit_status = failure("the folder '%s' cannot be made: %s", request->out, strerror(errno));
    else
        exit_status = journal_open(path, &session->journal);
    if (!exit_status && session->journal.count && !request->resume && !request->restart)
        exit_status = failure(
            "'%s' has %zu fits of an earlier run; --resume goes on with them, and --restart begins anew",
            path, session->journal.count);
    if (!exit_status && request->restart)
        exit_status = journal_clear(&session->journal);
    if (!exit_status && session->journal.damaged)
        fprintf(stderr, "mpmap-tune: '%s' has %zu damaged lines, which are left aside\n", path,
                session->journal.damaged);
    free(path);
    return exit_status;
}

static int run(struct session *session)
{
    struct request *request = session->request;
    const struct plan plan = {.folds = (uint32_t)request->folds,
                              .outer_folds = (uint32_t)request->outer_folds,
                              .repeats = (uint32_t)request->repeats,
                              .seed = request->seed};
    int exit_status;

    if ((exit_status = data_read(&request->data, &session->data)) || (exit_status = check_rows(session)))
        return exit_status;
    choose_gamma(session);
    if (request->folds_out)
        return folds_write(request, session->data, &plan);
    if ((exit_status = open_journal(session)) || (exit_status = make_share(session)))
        return exit_status;
    return open_and_fit(session);
}

int session_run(struct request *request)
{
    struct session session = {.request = request,
                              .learner = learner_at(request->learner.learner),
                              .journal = {.file = -1},
                              .begin_s = now_s()};
    int exit_status = run(&session);

    study_free(&session.study);
    journal_close(&session.journal);
    free(session.share);
    free(session.data);
    free(session.model_path);
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* All that can be checked without the data is checked here. */
#include "request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: mpmap tune DATA --out DIR [options]\n"
    "\n"
    "Finds the best parameters of a learner by cross-validation, on every slot of every node, and\n"
    "says how good they are: each fold's score, time and memory in DIR/scores.h5, the final model\n"
    "in DIR/model.svm as svm-predict reads it, and DIR/report.html to look at.\n"
    "Example:  mpmap tune digits.csv --out digits --learner c-svc-rbf --nested 5\n"
    "\n"
    "  DATA               text of libsvm; FILE.csv; FILE.h5, or FILE.h5:/DATASET (/X)\n"
    "  --out DIR          the folder for what is made; and DIR/fits.journal, which --resume needs\n"
    "  --format WORD      svm, csv or hdf5 (by the name of DATA)\n"
    "  --label NAME       column of the label in CSV, by name or number (the last); data set of\n"
    "                     the targets in HDF5 (/y)\n"
    "  --learner NAME     c-svc-rbf, c-svc-linear, c-svc-poly, nu-svc-…, eps-svr-…, nu-svr-rbf of\n"
    "                     libsvm; linear, linear-svr of liblinear; trees, trees-regression of\n"
    "                     xgboost (c-svc-rbf)\n"
    "  --solver N         of liblinear, its option -s (2; 11 for linear-svr)\n"
    "  --bias NUMBER      of liblinear, its option -B: a last feature that each row has (none)\n"
    "  --eps NUMBER       where the learner stops (as its library has it)\n"
    "  --param NAME=LIST  values of a parameter: C=1,10,100, C=log2:-5:15:2 (exponents from, to,\n"
    "                     step), gamma=log10:-4:0:1, p=lin:0:1:0.25; once for each parameter.\n"
    "                     C and gamma of c-svc-rbf are those of svm-grid if not given\n"
    "  --search WORD      grid: all of them; random: --trials of the ranges; asha: many with few\n"
    "                     rows, and fewer and fewer with more (grid)\n"
    "  --trials N         candidates of random (60), and of asha (the grid)\n"
    "  --eta N            asha: one in so many goes on, with so many times the rows (4)\n"
    "  --least-rows N     asha: rows that the first fits learn from, about (100)\n"
    "  --score WORD       accuracy, balanced; mse, mae, r2 of a regression (accuracy, mse)\n"
    "  --folds K          of the cross-validation, stratified (5)\n"
    "  --repeats R        times, with other folds each (1)\n"
    "  --nested K         also searches without each of K outer folds, and scores the winner on\n"
    "                     it: the honest score of the whole search\n"
    "  --seed N           fixes the folds, and what is random (1)\n"
    "  --write-folds DIR  only writes the files of each fold, as svm-train reads them\n"
    "  --no-model         does not train the final model\n"
    "  --kernel-memory BYTES  that the matrices of a node may take (a quarter of its memory)\n"
    "  --resume           goes on with what an earlier run has left in DIR: does no fit again\n"
    "                     that was done with these data, parameters, folds and code\n"
    "  --retry-failed     with --resume: also does those again that failed then\n"
    "  --restart          begins anew\n"
    "  --workers N        workers in all (one a slot)\n"
    "  --attempts N       how often to try a fit that kills its worker (1)\n"
    "  --timeout SECONDS  a fit that takes longer is killed (no limit)\n"
    "  --memory BYTES     the same for a fit that needs more memory: 500M, 2G (no limit)\n"
    "  --grace SECONDS    how long running fits may continue in a drain (30)\n"
    "  --json             prints a summary as a JSON object to stdout\n"
    "  --progress WHAT    SECONDS: a plain line on stderr that often; json: an object a line; off:\n"
    "                     none. The default is a line redrawn in place on a terminal, and\n"
    "                     elsewhere a plain one after 10 s, then at growing pauses up to a minute\n"
    "  --quiet            no progress line, no summary\n"
    "  --help             prints this\n"
    "\n"
    "A fit that fails, crashes, or passes its time or memory costs its candidate and nothing else.\n"
    "SIGTERM, SIGINT and SIGUSR1 drain the run: the same command with --resume goes on later; so it\n"
    "does after kill -9.\n"
    "Exit status: 0; 1 if a fit or anything else failed; 2 if the usage was wrong; 75 if it was\n"
    "drained before all fits were done.\n";

/* What a learner takes if nobody says otherwise: as svm-train and liblinear-train. */
static const double defaults[PARAMETER_COUNT] = {
    [PARAMETER_C] = 1,        [PARAMETER_GAMMA] = -1, [PARAMETER_NU] = 0.5,
    [PARAMETER_P] = 0.1,      [PARAMETER_DEGREE] = 3, [PARAMETER_DEPTH] = 6,
    [PARAMETER_ROUNDS] = 100, [PARAMETER_ETA] = 0.3,  [PARAMETER_LAMBDA] = 1};

static int choose_space(struct request *request, const struct learner *learner)
{
    struct space *space = &request->space;
    int exit_status = 0;

    memcpy(space->fixed.values, defaults, sizeof defaults);
    for (size_t i = 0; learner->space[i] && !exit_status; i++)
        exit_status = space_add(space, learner->parameters, learner->space[i]);
    for (size_t i = 0; i < request->parameters.count && !exit_status; i++)
        exit_status = space_add(space, learner->parameters, request->parameters.texts[i]);
    if (!exit_status && request->study.kind != SEARCH_RANDOM && !request->trials &&
        space_size(space) > 1000000)
        return usage_error(
            "", "the grid has more than a million candidates; --search random looks at some of them");
    return exit_status;
}

static int choose_search(struct request *request)
{
    static const char *const names[] = {"grid", "random", "asha"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], request->search_name))
            continue;
        request->study.kind = (enum search_kind)i;
        request->study.trials = i == SEARCH_GRID                         ? 0
                                : i == SEARCH_RANDOM && !request->trials ? 60
                                                                         : request->trials;
        if (i == SEARCH_GRID && request->trials)
            return usage_error("",
                               "--trials is about --search random and asha: a grid has as many as it has");
        request->study.eta = (uint32_t)request->eta;
        request->study.least_rows = (uint32_t)request->least_rows;
        return request->eta > 1 ? 0 : usage_error("", "--eta is 1, but must be 2 at least");
    }
    return unknown_word("", "search", request->search_name, names, sizeof names / sizeof *names);
}

static int choose_score(struct request *request, const struct learner *learner)
{
    const char *names[SCORE_COUNT], *word = request->score_name;

    if (!word)
        word = learner->is_regression ? "mse" : "accuracy";
    for (int i = 0; i < SCORE_COUNT; i++) {
        names[i] = study_score_name((enum score_kind)i);
        if (strcmp(names[i], word))
            continue;
        if ((i >= SCORE_MSE) != learner->is_regression)
            return usage_error("", "--score is '%s', which is of a %s, but %s is a %s", word,
                               i >= SCORE_MSE ? "regression" : "classifier", learner->name,
                               learner->is_regression ? "regression" : "classifier");
        request->study.score = (enum score_kind)i;
        return 0;
    }
    return unknown_word("", "score", word, names, SCORE_COUNT);
}

static int choose_linear(struct request *request, const struct learner *learner)
{
    bool is_linear = learner->library == LIBRARY_LINEAR;
    size_t solver = request->solver;
    char *end;

    request->data.bias = -1;
    if (!is_linear)
        return solver < SIZE_MAX || request->bias
                   ? usage_error("", "--solver and --bias are of liblinear, but %s is of libsvm",
                                 learner->name)
                   : 0;
    if (solver == SIZE_MAX)
        solver = learner->is_regression ? 11 : 2;
    if (learner->is_regression ? solver < 11 || solver > 13 : solver > 7)
        return usage_error("", "--solver is %zu, but must be %s for %s", solver,
                           learner->is_regression ? "11, 12 or 13" : "0 to 7", learner->name);
    request->learner.solver = (int)solver;
    if (!request->bias)
        return 0;
    request->data.bias = strtod(request->bias, &end);
    if (end == request->bias || *end || !isfinite(request->data.bias))
        return usage_error("", "--bias is '%s', but must be a number", request->bias);
    return 0;
}

static int check(struct request *request)
{
    const struct learner *learner;
    int exit_status;

    if (!request->data.path)
        return usage_error("", "no data is given");
    if (!request->folds_out && (!request->out || !*request->out))
        return usage_error("", "--out is missing: the folder for what is made");
    if (request->restart && request->resume)
        return usage_error("",
                           "--resume goes on with an earlier run, and --restart begins anew: give only one");
    if (request->retry_failed && !request->resume)
        return usage_error("", "--retry-failed does fits of an earlier run again: give --resume with it");
    if (request->folds < 2 || (request->outer_folds && request->outer_folds < 2))
        return usage_error("", "--folds and --nested must be 2 at least");
    if ((exit_status = learner_find(request->learner_name, &request->learner.learner)))
        return exit_status;
    learner = learner_at(request->learner.learner);
    request->data.is_regression = learner->is_regression;
    request->learner.eps = request->eps;
    if (learner->library == LIBRARY_XGBOOST && !trees_load())
        return failure("libxgboost.so.0 cannot be loaded, which %s needs; in Debian it is in libxgboost0",
                       learner->name);
    if ((exit_status = choose_search(request)) || (exit_status = choose_score(request, learner)) ||
        (exit_status = choose_linear(request, learner)) || (exit_status = choose_space(request, learner)))
        return exit_status;
    return command_line_form("", request->progress, request->quiet, &request->line);
}

static int read_solver(const char *text, size_t *solver)
{
    char *end;

    if (!text)
        return 0;
    *solver = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && *solver < 100)
        return 0;
    return usage_error("", "--solver is '%s', but must be a number of liblinear's option -s", text);
}

static int read_eps(const char *text, double *eps)
{
    char *end;

    if (!text)
        return 0;
    *eps = strtod(text, &end);
    if (end != text && !*end && *eps > 0 && *eps < 1)
        return 0;
    return usage_error("", "--eps is '%s', but must be a number above 0 and below 1, such as 0.001", text);
}

bool request_read(struct request *request, int argc, char **argv, int *exit_status)
{
    const char *solver = NULL, *eps = NULL;
    struct option options[] = {
        {"--out", OPTION_TEXT, &request->out, 0},
        {"--format", OPTION_TEXT, &request->data.format, 0},
        {"--label", OPTION_TEXT, &request->data.label, 0},
        {"--learner", OPTION_TEXT, &request->learner_name, 0},
        {"--solver", OPTION_TEXT, &solver, 0},
        {"--bias", OPTION_TEXT, &request->bias, 0},
        {"--eps", OPTION_TEXT, &eps, 0},
        {"--param", OPTION_LIST, &request->parameters, 0},
        {"--search", OPTION_TEXT, &request->search_name, 0},
        {"--trials", OPTION_COUNT, &request->trials, 1000000},
        {"--eta", OPTION_COUNT, &request->eta, 100},
        {"--least-rows", OPTION_COUNT, &request->least_rows, 1000000000},
        {"--score", OPTION_TEXT, &request->score_name, 0},
        {"--folds", OPTION_COUNT, &request->folds, 10000},
        {"--repeats", OPTION_COUNT, &request->repeats, 10000},
        {"--nested", OPTION_COUNT, &request->outer_folds, 1000},
        {"--seed", OPTION_COUNT, &request->seed, 0},
        {"--write-folds", OPTION_TEXT, &request->folds_out, 0},
        {"--no-model", OPTION_FLAG, &request->no_model, 0},
        {"--kernel-memory", OPTION_BYTES, &request->kernel_memory, 0},
        {"--resume", OPTION_FLAG, &request->resume, 0},
        {"--retry-failed", OPTION_FLAG, &request->retry_failed, 0},
        {"--restart", OPTION_FLAG, &request->restart, 0},
        {"--workers", OPTION_COUNT, &request->workers, 65536},
        {"--attempts", OPTION_COUNT, &request->attempts, 1000000},
        {"--timeout", OPTION_SECONDS, &request->timeout_s, 1000000000},
        {"--memory", OPTION_BYTES, &request->memory, 0},
        {"--grace", OPTION_SECONDS, &request->grace_s, 1000000000},
        {"--json", OPTION_FLAG, &request->json, 0},
        {"--progress", OPTION_TEXT, &request->progress, 0},
        {"--quiet", OPTION_FLAG, &request->quiet, 0},
    };
    struct command command = {.name = "",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = 1};

    *request = (struct request){.learner_name = "c-svc-rbf",
                                .search_name = "grid",
                                .folds = 5,
                                .repeats = 1,
                                .seed = 1,
                                .eta = 4,
                                .least_rows = 100,
                                .solver = SIZE_MAX,
                                .attempts = 1,
                                .grace_s = 30};
    if (!command_parse(&command, argc, argv, exit_status))
        return false;
    request->data.path = command.word_count ? command.words[0] : NULL;
    if (!(*exit_status = read_solver(solver, &request->solver)) &&
        !(*exit_status = read_eps(eps, &request->eps)))
        *exit_status = check(request);
    return !*exit_status;
}

void request_free(struct request *request)
{
    space_free(&request->space);
    free(request->parameters.texts);
}

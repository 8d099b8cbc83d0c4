/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap map: runs a plugin's task over the rows of a data set. All that can be checked is checked before a
 * worker starts or a file is made. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "following.h"
#include "input_try.h"
#include "support/command.h"
#include "support/files.h"
#include "plugin.h"
#include "tiling.h"
#include "walltime.h"
#include "support/word.h"

#define GRACE_S 30.0
#define END_S   5.0 /* of the walltime, for the end: records, workers, MPI */

static const char help[] =
    "usage: mpmap map PLUGIN.so:FUNCTION IN.h5:/DATA OUT.h5:/RESULT [options]\n"
    "\n"
    "Runs FUNCTION of a plugin over the rows (the first dimension) of a data set, on every\n"
    "slot of every node, and writes a data set of its results. A plugin is a shared object:\n"
    "  cc -shared -fPIC -o PLUGIN.so PLUGIN.c\n"
    "\n"
    "  --result SHAPE     type and shape of one result: f64, u8[32,32,3]; the plugin's\n"
    "                     FUNCTION_description gives the default. text, u8[] and f64[] have a\n"
    "                     variable length. Several results are a struct,\n"
    "                     '{f64 mean, u8[16,16] thumb}': then /RESULT is a group of data sets\n"
    "  --fill VALUE       what a failed row leaves: a number, nan, or mean=nan,count=-1 for some of\n"
    "                     several results (0)\n"
    "  --compress HOW     compresses the results when all rows are done: gzip, gzip:LEVEL (1 to 9), or\n"
    "                     filter:NUMBER:VALUE,... of any filter that HDF5 finds\n"
    "  --compress-rows N  rows that are compressed together (about 512 KiB)\n"
    "  --keep WHAT        what the results take over from IN.h5: coordinates (names and coordinates of\n"
    "                     the dimensions that they share, as netCDF-4 has them), attributes (and those\n"
    "                     of /DATA and of the file), nothing (coordinates)\n"
    "  --into             adds the results to OUT.h5, if it exists, and leaves all else in it as it\n"
    "                     is; with --overwrite it replaces a /RESULT that is there. OUT.h5 is copied\n"
    "                     at the end\n"
    "  --overwrite        replaces OUT.h5 if it exists and holds nothing but /RESULT\n"
    "  --overwrite-file   replaces OUT.h5, whatever it holds\n"
    "  --resume           continues from OUT.h5.part, which an earlier run of this map left:\n"
    "                     runs only the remaining rows. Does nothing if OUT.h5 is finished\n"
    "  --resume=force     does so even if input, task or context differ, and reports how\n"
    "  --retry-failed     with --resume: also runs the rows that failed then\n"
    "  --restart          removes OUT.h5.part, and starts from the first row\n"
    "  --rows A:B:STEP    only rows A to B, without B, every STEP; each may be left out, and negative\n"
    "                     numbers count from the end (--rows=-100:)\n"
    "  --rows FILE:/SET   only the rows that /SET lists, in its order: row numbers, or booleans,\n"
    "                     one for each row; :/SET is in IN.h5\n"
    "  --where CONDITION  only rows for which it holds: 'flux > 3 and /quality == 0': a field of the\n"
    "                     rows, 'row' where they are numbers, or another data set of IN.h5\n"
    "  --tile N,N         cuts the first dimensions into tiles of so many elements: items are tiles,\n"
    "                     and what is said of rows holds for them; results are a grid\n"
    "  --halo N[,N]       gives each tile margins of so many elements on both sides (0)\n"
    "  --edge WHAT        what stands beyond the edges of /DATA: none (zeros that are not meant),\n"
    "                     reflect, nearest, constant (0), constant:NUMBER (none)\n"
    "  --stitch           puts results, which are pieces of an image, together to one\n"
    "  --axis N           the dimension along which rows stand; 0 is the first (0)\n"
    "  --follow           goes on with rows that are added to /DATA, until SIGINT or SIGTERM, or a\n"
    "                     SWMR writer that it has seen closes IN.h5; waits for both to be there.\n"
    "                     OUT.h5.part grows, for readers with SWMR; OUT.h5 is made at the end\n"
    "  --follow=always    the same, though a writer closes IN.h5: another may come\n"
    "  --follow-poll SECONDS  how often it looks (0.1)\n"
    "  --follow-idle SECONDS  ends when no new row has come for so long (waits as long as it takes)\n"
    "  --follow-end :/SET ends when a number in IN.h5, :/SET or an attribute :/SET@NAME, is not 0\n"
    "  --join             works on OUT.h5 together with any number of other such runs, which come\n"
    "                     and go as they like, and share only the file system; implies --resume\n"
    "  --join-timeout SECONDS  after so long without a beat of a run others take its rows (60)\n"
    "  --cost FILE:/SET   starts with the rows that take longest: /SET has a number a row, in\n"
    "                     any unit; :/SET is in IN.h5\n"
    "  --max-failures N   ends the map when more than N rows have failed (any number may)\n"
    "  --no-lock          reads IN.h5 and the file of --cost even while another program\n"
    "                     writes them\n"
    "  --no-missing       ends with an error where sources of a virtual data set are missing (a\n"
    "                     warning, and the fill value)\n"
    "  --workers N        workers in all (one a slot)\n"
    "  --chunk N          rows that a worker claims at once (chosen by measured time)\n"
    "  --param NAME=VALUE a parameter of FUNCTION, as often as there are some: a number, several with\n"
    "                     blanks between, a text; @ATTRIBUTE is that of /DATA, @/ATTRIBUTE of its file\n"
    "  --rows-per-call N  the most rows that FUNCTION takes in one call, if it takes several (its\n"
    "                     description says)\n"
    "  --block-rows N     the most rows that a worker reads at once (about 1 MiB)\n"
    "  --attempts N       how often to try a row that kills its worker (2)\n"
    "  --timeout SECONDS  a row that takes longer is killed, and tried again (no limit)\n"
    "  --memory BYTES     the same for a row that needs more memory: 500M, 2G (no limit)\n"
    "  --walltime SECONDS drains early enough to end within so many seconds (what the Slurm\n"
    "                     job has left, if it runs in one; else no limit)\n"
    "  --grace SECONDS    how long running rows may continue in a drain (30)\n"
    "  --progress WHAT    SECONDS: a plain line on stderr that often; json: an object a line; off:\n"
    "                     none. The default is a line redrawn in place on a terminal, and\n"
    "                     elsewhere a plain one after 10 s, then at growing pauses up to a minute\n"
    "  --quiet            no progress line, no summary\n"
    "  --help             prints this\n"
    "\n"
    "A row whose function fails or kills its worker is reported, and its result is the fill value;\n"
    "/RESULT.done holds 1 for each good row and 2 for each failed one, and /RESULT.failed lists\n"
    "those that failed, with causes and texts.\n"
    "An OUT.h5.part with rows is never removed without --restart. See mpmap status.\n"
    "SIGTERM, SIGINT, SIGUSR1 and the end of the walltime drain the map: no more rows start,\n"
    "running ones may end within the grace, and good rows stay in OUT.h5.part. A second\n"
    "signal ends it at once.\n"
    "IN.h5 may be several files, whose /DATA are read one after the other as if they were one:\n"
    "a pattern in quotes, 'runs/*.h5:/data', or a text file that lists them, @LIST:/data.\n"
    "IN.h5:/A,/B takes a row of each data set as one item, a struct of both.\n"
    "Exit status: 0; 1 if a row or anything else failed; 2 if the usage was wrong; 75 if it was\n"
    "drained before all rows were done.\n";

/* What the command line asks for. Texts point into argv, or into buffers of the caller. */
struct request {
    char *plugin, *function;
    char *input_file, *input_dataset;
    struct file_list input_files; /* if input_file is a pattern or a list */
    char *output_file, *output_dataset;
    char *cost_file;
    const char *cost_dataset;
    const char *result, *fill, *cost, *rows, *where, *compress, *keep;
    struct tiling_request cut;    /* --tile and what goes with it */
    mpm_tiling tiling;            /* what that comes to */
    mpm_follow_options following; /* what --follow and what goes with it come to */
    unsigned axis;
    struct text_list params;
    void *context; /* what --param comes to; or NULL */
    size_t context_size;
    struct input_choice chosen; /* what --rows, --where and --cost come to */
    const char *progress, *resume;
    size_t workers, compress_rows, chunk, block_rows, task_rows, attempts, memory, max_failures;
    double timeout_s, grace_s, walltime_s;
    struct following_request follow; /* --follow and what goes with it */
    double join_timeout_s;
    double end_s; /* when all must have ended, by now_s(); 0: any time */
    bool overwrite, overwrite_file, into, restart, retry_failed, join, no_lock, no_missing, quiet;
    int keep_mode;   /* what --keep makes of it */
    int resume_mode; /* what --resume and --restart make of it */
    mpm_line line;   /* what --progress and --quiet make of it */
};

static int cut(const char *word, const char *right, const char *(*colon)(const char *), char **head,
               char **tail)
{
    return word_cut(&(struct word_form){"map", right, colon}, word, head, tail);
}

/* The cost's data set may be in the input's file. */
static int cut_cost(struct request *request)
{
    char *dataset = NULL;
    int exit_status;

    if (!request->cost)
        return 0;
    if (request->cost[0] == ':' && request->cost[1]) {
        request->cost_dataset = request->cost + 1;
        return 0;
    }
    exit_status = cut(request->cost, "FILE.h5:/DATASET, or :/DATASET of the input's file", word_dataset_colon,
                      &request->cost_file, &dataset);
    request->cost_dataset = dataset;
    return exit_status;
}

static int cut_words(const struct command *command, struct request *request)
{
    int exit_status;

    if (command->word_count < 3)
        return usage_error("map",
                           "%zu of 3 arguments are given: PLUGIN.so:FUNCTION IN.h5:/DATA OUT.h5:/RESULT",
                           command->word_count);
    if ((exit_status = cut(command->words[0], "PLUGIN.so:FUNCTION", word_last_colon, &request->plugin,
                           &request->function)) ||
        (exit_status = cut(command->words[1], "FILE.h5:/DATASET", word_dataset_colon, &request->input_file,
                           &request->input_dataset)))
        return exit_status;
    if ((exit_status = files_expand(request->input_file, &request->input_files)))
        return exit_status;
    if ((exit_status = cut(command->words[2], "FILE.h5:/DATASET", word_dataset_colon, &request->output_file,
                           &request->output_dataset)))
        return exit_status;
    return cut_cost(request);
}

static void free_request(struct request *request)
{
    free(request->plugin);
    free(request->input_file);
    files_free(&request->input_files);
    free(request->output_file);
    free(request->cost_file);
    free(request->chosen.list);
    free(request->chosen.costs);
    free(request->params.texts);
    free(request->context);
}

/* What the task writes: a shape, or in words a text or a struct of several results, which stay where they are. */
struct result_form {
    mpm_shape shape;
    const char *several; /* or NULL */
};

static int read_result(const char *text, struct result_form *result)
{
    result->several = text[strspn(text, " \t\n")] == '{' || !strcmp(text, "text") ? text : NULL;
    return result->several ? 0 : mpm_shape_parse(text, &result->shape);
}

static int find_result(const struct request *request, const struct plugin *plugin, struct result_form *result)
{
    *result = (struct result_form){0};
    if (request->result)
        return read_result(request->result, result) ? usage_error("map", "--result: %s", mpm_error()) : 0;
    if (!plugin->is_described)
        return usage_error(
            "map", "'%s' has no %s_description, so give its result's shape: --result f64, for example",
            request->plugin, request->function);
    if (!plugin->result.is_given)
        return failure("%s_description of '%s' has no result", request->function, request->plugin);
    if (read_result(plugin->result.text, result))
        return failure("%s_description of '%s': %s", request->function, request->plugin, mpm_error());
    return 0;
}

static int check_row(const struct request *request, const struct plugin *plugin, const mpm_shape *row)
{
    return plugin_check_row(plugin, request->function, request->input_file, request->input_dataset, row);
}

/* All of it that says which rows are read. */
static mpm_dataset_map input_of(const struct request *request, const struct plugin *plugin)
{
    return (mpm_dataset_map){.input_file = request->input_files.count ? NULL : request->input_file,
                             .input_files = (const char *const *)request->input_files.names,
                             .input_file_count = request->input_files.count,
                             .input_dataset = request->input_dataset,
                             .row = plugin_struct(&plugin->row),
                             .axis = request->axis,
                             .tiling = request->tiling,
                             .choice = request->chosen.choice,
                             .without_locks = request->no_lock,
                             .follow = request->following,
                             .keep = request->keep_mode};
}

/* A task that knows of one row would write beyond it. */
static int check_task_rows(const struct request *request, const struct plugin *plugin)
{
    if (request->task_rows <= 1 || !plugin->is_described || plugin->rows)
        return 0;
    return usage_error("map",
                       "--rows-per-call is %zu, but %s takes one row a call: %s_description has no rows",
                       request->task_rows, request->function, request->function);
}

static int read_parameters(struct request *request, const struct plugin *plugin)
{
    const mpm_dataset_map map = input_of(request, plugin);

    if (!plugin->parameters.is_given)
        return request->params.count ? usage_error("map", "--param %s: %s has no parameters",
                                                   request->params.texts[0], request->function)
                                     : 0;
    return mpm_dataset_read_parameters(&map, plugin->parameters.text, request->params.texts,
                                       request->params.count, &request->context, &request->context_size)
               ? mpm_report_error()
               : 0;
}

static int check_input(const struct request *request, const struct plugin *plugin, uint64_t *rows)
{
    const mpm_dataset_map map = input_of(request, plugin);
    mpm_shape row;

    if (mpm_dataset_describe_input(&map, rows, &row))
        return mpm_report_error();
    return check_row(request, plugin, &row);
}

static int check_costs(const struct request *request, uint64_t rows)
{
    uint64_t count = request->chosen.cost_count;

    if (!request->cost || count == rows)
        return 0;
    return failure("'%s:%s' has %llu costs, but '%s:%s' has %llu rows: there must be one cost for each row",
                   request->cost_file ? request->cost_file : request->input_file, request->cost_dataset,
                   (unsigned long long)count, request->input_file, request->input_dataset,
                   (unsigned long long)rows);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Rows of this run, and how fast it was. */
static void print_summary(uint64_t rows, uint64_t earlier, double seconds, unsigned workers)
{
    unsigned nodes = mpm_node_count();
    char before[64] = "";

    if (earlier)
        snprintf(before, sizeof before, ", and %llu before", (unsigned long long)earlier);
    rows -= earlier;
    fprintf(stderr, "mpmap: %llu row%s in %.2f s%s, %.4g rows/s, %u worker%s on %u node%s\n",
            (unsigned long long)rows, rows == 1 ? "" : "s", seconds, before, (double)rows / seconds, workers,
            workers == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s");
}

/* What several runs cannot do together. */
static int refuse_with_join(const struct request *request)
{
    const char *other = request->into                                   ? "--into"
                        : request->restart                              ? "--restart"
                        : request->retry_failed                         ? "--retry-failed"
                        : request->resume && *request->resume           ? "--resume=force"
                        : request->overwrite || request->overwrite_file ? "--overwrite"
                        : request->max_failures                         ? "--max-failures"
                                                                        : NULL;

    return other ? usage_error("map", "--join and %s do not go together: leave one of them out", other) : 0;
}

/* What is about rows that are there when a map begins. */
static int choose_follow(struct request *request)
{
    const char *other = request->cost       ? "--cost"
                        : request->where    ? "--where"
                        : request->join     ? "--join"
                        : request->cut.tile ? "--tile"
                                            : NULL;

    if (request->follow.follow && other)
        return usage_error(
            "map",
            "--follow and %s do not go together: it takes rows of one file, all or those of --rows A::STEP",
            other);
    return following_choose(&request->follow, &request->following);
}

static int choose_resume(struct request *request)
{
    const char *word = request->resume;
    int exit_status;

    if (word && request->restart)
        return usage_error("map", "--resume continues OUT.h5.part, and --restart removes it: give only one");
    if (request->retry_failed && !word)
        return usage_error("map", "--retry-failed runs rows of an earlier run again: give --resume with it");
    if (word && *word && strcmp(word, "force"))
        return usage_error("map", "--resume is '%s': it must be 'force', or have no value", word);
    if (request->join_timeout_s > 0 && !request->join)
        return usage_error("map", "--join-timeout is about runs that have joined: give --join with it");
    if (request->join && (exit_status = refuse_with_join(request)))
        return exit_status;
    request->resume_mode = request->restart ? MPM_RESUME_RESTART
                           : !word          ? MPM_RESUME_REFUSE
                           : *word          ? MPM_RESUME_FORCE
                                            : MPM_RESUME_CONTINUE;
    return 0;
}

static int choose_keep(struct request *request)
{
    static const char *const words[] = {[MPM_KEEP_COORDINATES] = "coordinates",
                                        [MPM_KEEP_ATTRIBUTES] = "attributes",
                                        [MPM_KEEP_NOTHING] = "nothing"};

    for (int i = 0; request->keep && i < (int)(sizeof words / sizeof *words); i++) {
        request->keep_mode = i;
        if (!strcmp(request->keep, words[i]))
            return 0;
    }
    return request->keep ? usage_error("map", "--keep is '%s': it must be coordinates, attributes or nothing",
                                       request->keep)
                         : 0;
}

/* With --quiet, too: what --resume=force ignores is not to go by unseen. */
static void print_notice(const char *sentence, void *unused)
{
    (void)unused;
    fprintf(stderr, "mpmap: %s\n", sentence);
}

/* What the progress function knows. */
static struct {
    const struct request *request;
    mpm_line line;
    bool is_told;     /* that the map drains */
    uint64_t earlier; /* rows that earlier runs have done */
    uint64_t total;   /* that there are, as far as is known */
} watched;

/* How far it was goes out at once: whoever sends a signal may kill it a moment later, as a launcher does that ends a
 * run which has lost a part. */
static void tell_drain(const mpm_progress *now)
{
    unsigned long long good = now->done - now->failed;

    watched.is_told = true;
    mpm_progress_line_end(&watched.line);
    fprintf(stderr,
            "mpmap: draining: no more rows start, running ones have %g s, and another signal ends the map at "
            "once; at least %llu of %llu rows are good%s%s%s\n",
            watched.request->grace_s, good, (unsigned long long)now->total, good ? ": they are in " : "",
            good ? watched.request->output_file : "", good ? ".part" : "");
}

static void note_progress(const mpm_progress *now, void *unused)
{
    (void)unused;
    watched.earlier = now->earlier;
    watched.total = now->total;
    if (mpm_draining() && !watched.is_told)
        tell_drain(now);
    mpm_progress_line(now, &watched.line);
}

/* How long the map may take: what is left of the walltime, but for what it takes to end. */
static double time_left_s(const struct request *request)
{
    double left_s = request->end_s - now_s(), reserve_s = fmin(END_S, left_s / 10);

    if (!(request->end_s > 0))
        return 0;
    return fmax(left_s - reserve_s, 1e-3);
}

static int run_map(mpm_pool *pool, const struct request *request, const struct plugin *plugin,
                   const struct result_form *result, uint64_t rows)
{
    mpm_dataset_map map = {
        .input_file = request->input_files.count ? NULL : request->input_file,
        .input_files = (const char *const *)request->input_files.names,
        .input_file_count = request->input_files.count,
        .input_dataset = request->input_dataset,
        .output_file = request->output_file,
        .output_dataset = request->output_dataset,
        .task_name = request->function,
        .result = result->shape,
        .results = result->several,
        .attributes = plugin->attributes.is_given ? plugin->attributes.text : NULL,
        .into = request->into,
        .keep = request->keep_mode,
        .fill = request->fill,
        .compress = request->compress,
        .compress_rows = request->compress_rows,
        .row = plugin_struct(&plugin->row),
        .axis = request->axis,
        .tiling = request->tiling,
        .choice = request->chosen.choice,
        .block_rows = request->block_rows,
        .task_rows = request->task_rows ? request->task_rows : plugin->rows,
        .overwrite = request->overwrite_file ? MPM_OVERWRITE_FILE
                     : request->overwrite    ? MPM_OVERWRITE_RESULT
                                             : MPM_OVERWRITE_NOTHING,
        .chunk = request->chunk,
        .context = request->context,
        .context_size = request->context_size,
        .without_locks = request->no_lock,
        .max_failures = request->max_failures,
        .costs = request->chosen.costs,
        .cost_count = request->chosen.cost_count,
        .progress = note_progress,
        .resume = request->resume_mode,
        .retry_failed = request->retry_failed,
        .notice = print_notice,
        .join = request->join,
        .join_timeout_s = request->join_timeout_s,
        .follow = request->following,
        .drain = {.grace_s = request->grace_s, .time_s = time_left_s(request)},
    };
    double start_s = now_s(), seconds;
    int status;

    watched.request = request;
    watched.line = request->line;
    status = mpm_pool_map_dataset(pool, plugin->task, &map);
    seconds = now_s() - start_s;
    mpm_progress_line_end(&watched.line);
    if (status) {
        mpm_report_error();
        return status == MPM_EDRAINED ? EXIT_DRAINED : EXIT_FAILURE;
    }
    if (!request->quiet)
        print_summary(request->following.mode ? watched.total : rows, watched.earlier, seconds,
                      mpm_pool_worker_count(pool));
    return 0;
}

static int open_and_run(const struct request *request, const struct plugin *plugin,
                        const struct result_form *result, uint64_t rows)
{
    mpm_pool_options options = {.workers = (unsigned)request->workers,
                                .max_attempts = (unsigned)request->attempts,
                                .item_timeout_s = request->timeout_s,
                                .item_memory_bytes = request->memory};
    mpm_pool *pool;
    int exit_status;

    if (mpm_pool_open(&options, &pool))
        return mpm_report_error();
    exit_status = run_map(pool, request, plugin, result, rows);
    mpm_pool_close(pool);
    return exit_status;
}

static int choose_rows(struct request *request, const struct plugin *plugin)
{
    const mpm_dataset_map input = input_of(request, plugin);
    const struct input_words words = {.command = "map",
                                      .probes = request->keep_mode != MPM_KEEP_NOTHING ||
                                                plugin->parameters.is_given,
                                      .refuses_missing = request->no_missing,
                                      .rows = request->rows,
                                      .where = request->where,
                                      .cost = request->cost,
                                      .cost_file = request->cost_file,
                                      .costs = request->cost_dataset};
    int exit_status = following_wait(request->input_file, &input);

    return exit_status ? exit_status : input_choose(request->input_file, &input, &words, &request->chosen);
}

static int run_plugin(struct request *request, const struct plugin *plugin)
{
    struct result_form result;
    uint64_t rows;
    int exit_status;

    if ((exit_status = find_result(request, plugin, &result)) ||
        (exit_status = check_task_rows(request, plugin)) || (exit_status = choose_rows(request, plugin)) ||
        (exit_status = check_input(request, plugin, &rows)) ||
        (exit_status = read_parameters(request, plugin)) || (exit_status = check_costs(request, rows)))
        return exit_status;
    return open_and_run(request, plugin, &result, rows);
}

static int run_request(struct request *request)
{
    struct plugin plugin;
    int exit_status = plugin_open(request->plugin, request->function, &plugin);

    if (exit_status)
        return exit_status;
    exit_status = run_plugin(request, &plugin);
    plugin_close(&plugin);
    return exit_status;
}

/* What the command line says goes before what the batch system knows. */
static void choose_end(struct request *request)
{
    if (!(request->walltime_s > 0))
        request->walltime_s = walltime_left_s();
    if (request->walltime_s > 0)
        request->end_s = now_s() + request->walltime_s;
}

/* What the options and words come to, as far as the command line alone says it. */
static int choose_all(const struct command *command, struct request *request)
{
    int exit_status;

    if ((exit_status = cut_words(command, request)) ||
        (exit_status = command_line_form("map", request->progress, request->quiet, &request->line)) ||
        (exit_status = tiling_choose("map", &request->cut, &request->tiling, &request->axis)) ||
        (exit_status = choose_follow(request)) || (exit_status = choose_resume(request)) ||
        (exit_status = choose_keep(request)))
        return exit_status;
    choose_end(request);
    return 0;
}

int command_map(int argc, char **argv)
{
    struct request request = {.grace_s = GRACE_S};
    struct option options[] = {
        {"--result", OPTION_TEXT, &request.result, 0},
        {"--fill", OPTION_TEXT, &request.fill, 0},
        {"--compress", OPTION_TEXT, &request.compress, 0},
        {"--compress-rows", OPTION_COUNT, &request.compress_rows, 0},
        {"--into", OPTION_FLAG, &request.into, 0},
        {"--keep", OPTION_TEXT, &request.keep, 0},
        {"--overwrite", OPTION_FLAG, &request.overwrite, 0},
        {"--overwrite-file", OPTION_FLAG, &request.overwrite_file, 0},
        {"--resume", OPTION_MODE, &request.resume, 0},
        {"--retry-failed", OPTION_FLAG, &request.retry_failed, 0},
        {"--restart", OPTION_FLAG, &request.restart, 0},
        {"--rows", OPTION_TEXT, &request.rows, 0},
        {"--where", OPTION_TEXT, &request.where, 0},
        {"--tile", OPTION_TEXT, &request.cut.tile, 0},
        {"--halo", OPTION_TEXT, &request.cut.halo, 0},
        {"--edge", OPTION_TEXT, &request.cut.edge, 0},
        {"--stitch", OPTION_FLAG, &request.cut.stitch, 0},
        {"--axis", OPTION_TEXT, &request.cut.axis, 0},
        {"--follow", OPTION_MODE, &request.follow.follow, 0},
        {"--follow-poll", OPTION_SECONDS, &request.follow.poll_s, 3600},
        {"--follow-idle", OPTION_SECONDS, &request.follow.idle_s, 1000000000},
        {"--follow-end", OPTION_TEXT, &request.follow.end, 0},
        {"--join", OPTION_FLAG, &request.join, 0},
        {"--join-timeout", OPTION_SECONDS, &request.join_timeout_s, 1000000000},
        {"--cost", OPTION_TEXT, &request.cost, 0},
        {"--max-failures", OPTION_COUNT, &request.max_failures, 0},
        {"--no-lock", OPTION_FLAG, &request.no_lock, 0},
        {"--no-missing", OPTION_FLAG, &request.no_missing, 0},
        {"--workers", OPTION_COUNT, &request.workers, 65536},
        {"--chunk", OPTION_COUNT, &request.chunk, 0},
        {"--block-rows", OPTION_COUNT, &request.block_rows, 0},
        {"--param", OPTION_LIST, &request.params, 0},
        {"--rows-per-call", OPTION_COUNT, &request.task_rows, 0},
        {"--attempts", OPTION_COUNT, &request.attempts, 1000000},
        {"--timeout", OPTION_SECONDS, &request.timeout_s, 1000000000},
        {"--memory", OPTION_BYTES, &request.memory, 0},
        {"--walltime", OPTION_SECONDS, &request.walltime_s, 1000000000},
        {"--grace", OPTION_SECONDS, &request.grace_s, 1000000000},
        {"--progress", OPTION_TEXT, &request.progress, 0},
        {"--quiet", OPTION_FLAG, &request.quiet, 0},
    };
    struct command command = {.name = "map",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = 3};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (!(exit_status = choose_all(&command, &request)))
        exit_status = run_request(&request);
    free_request(&request);
    return exit_status;
}

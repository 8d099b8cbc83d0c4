/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap reduce: makes one result of the rows of a data set, by functions of a plugin. All that can be checked is
 * checked before a worker starts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "support/command.h"
#include "support/files.h"
#include "input_try.h"
#include "plugin.h"
#include "support/word.h"
#include "tiling.h"

static const char help[] =
    "usage: mpmap reduce PLUGIN.so:FUNCTION IN.h5:/DATA [OUT.h5:/RESULT] [options]\n"
    "\n"
    "Adds the rows (the first dimension) of a data set to one state, on every slot of every node,\n"
    "and prints its result, or writes it as a data set. The result has the same bits whatever the\n"
    "workers and nodes. The plugin has FUNCTION, which adds a row to a state, a variable\n"
    "FUNCTION_reduction of type mpm_reduction, and FUNCTION_description.\n"
    "\n"
    "  --result SHAPE     type and shape of the result, which is the beginning of the state:\n"
    "                     f64, i64[100]; FUNCTION_description gives the default\n"
    "  --overwrite-file   replaces OUT.h5, whatever it holds\n"
    "  --leaf N           rows that are added one after the other before states are combined: the\n"
    "                     bits depend on it (chosen by the number of rows)\n"
    "  --rows CHOICE      only these rows: A:B:STEP, or FILE:/SET, as of mpmap map\n"
    "  --where CONDITION  of these only those for which it holds: 'flux > 3', as of mpmap map\n"
    "  --tile N,N         tiles instead of rows, as of mpmap map; so are the next three\n"
    "  --halo N[,N]       gives each tile margins\n"
    "  --edge WHAT        what stands beyond the edges of /DATA\n"
    "  --axis N           the dimension along which rows stand\n"
    "  --max-failures N   ends when more than N rows have failed (any number may)\n"
    "  --no-lock          reads IN.h5 even while another program writes it\n"
    "  --no-missing       ends with an error where sources of a virtual data set are missing\n"
    "  --workers N        workers in all (one a slot)\n"
    "  --param NAME=VALUE a parameter of FUNCTION, as often as there are some: see mpmap map --help\n"
    "  --block-rows N     about how many rows a worker reads at once (about 1 MiB)\n"
    "  --attempts N       how often to try a row that kills its worker (2)\n"
    "  --timeout SECONDS  a row that takes longer is killed, and tried again (no limit)\n"
    "  --memory BYTES     the same for a row that needs more memory: 500M, 2G (no limit)\n"
    "  --progress WHAT    as of mpmap map: SECONDS, json or off\n"
    "  --quiet            no progress line\n"
    "  --help             prints this\n"
    "\n"
    "A row whose function fails or kills its worker is left out and reported.\n"
    "IN.h5 may be several files: 'runs/*.h5:/data', or @LIST:/data.\n"
    "Exit status: 0; 1 if a row or anything else failed; 2 if the usage was wrong.\n";

/* What the command line asks for. */
struct request {
    char *plugin, *function, *input_file, *input_dataset, *output_file, *output_dataset;
    struct file_list input_files; /* if input_file is a pattern or a list */
    const char *row;              /* the struct that the plugin takes, or NULL */
    const char *rows, *where;     /* --rows, --where */
    struct input_choice chosen;   /* what they come to */
    struct tiling_request cut;    /* --tile and what goes with it */
    mpm_tiling tiling;            /* what that comes to */
    unsigned axis;
    struct text_list params;
    const char *result, *progress;
    size_t workers, leaf, block_rows, attempts, memory, max_failures;
    double timeout_s;
    bool overwrite_file, no_lock, no_missing, quiet;
    mpm_line line;
};

static int cut_words(const struct command *command, struct request *request)
{
    static const struct word_form plugin = {"reduce", "PLUGIN.so:FUNCTION", word_last_colon},
                                  dataset = {"reduce", "FILE.h5:/DATASET", word_dataset_colon};
    int exit_status;

    if (command->word_count < 2)
        return usage_error(
            "reduce", "%zu of 2 or 3 arguments are given: PLUGIN.so:FUNCTION IN.h5:/DATA [OUT.h5:/RESULT]",
            command->word_count);
    if ((exit_status = word_cut(&plugin, command->words[0], &request->plugin, &request->function)) ||
        (exit_status = word_cut(&dataset, command->words[1], &request->input_file, &request->input_dataset)))
        return exit_status;
    if ((exit_status = files_expand(request->input_file, &request->input_files)))
        return exit_status;
    if (command->word_count == 2)
        return 0;
    return word_cut(&dataset, command->words[2], &request->output_file, &request->output_dataset);
}

static int find_result(const struct request *request, const struct plugin *plugin,
                       const mpm_reduction *reduction, mpm_shape *shape)
{
    const char *text = request->result           ? request->result
                       : plugin->result.is_given ? plugin->result.text
                                                 : NULL;

    if (!text)
        return usage_error(
            "reduce",
            "'%s' has no %s_description with a result, so give its shape: --result f64, for example",
            request->plugin, request->function);
    if (mpm_shape_parse(text, shape))
        return request->result
                   ? usage_error("reduce", "--result: %s", mpm_error())
                   : failure("%s_description of '%s': %s", request->function, request->plugin, mpm_error());
    if (!mpm_shape_size(shape))
        return failure("a result of %s has no size: the result of a reduction has a fixed one", text);
    if (mpm_shape_size(shape) <= reduction->state_size)
        return 0;
    return failure("a result of %s has %zu bytes, but the state of %s_reduction has %zu", text,
                   mpm_shape_size(shape), request->function, reduction->state_size);
}

static bool leads_to_output(const struct request *request, const char *input_file)
{
    struct stat input, output;

    return !stat(input_file, &input) && !stat(request->output_file, &output) &&
           input.st_dev == output.st_dev && input.st_ino == output.st_ino;
}

static bool is_input(const struct request *request)
{
    bool is = leads_to_output(request, request->input_file);

    for (size_t i = 0; i < request->input_files.count; i++)
        is = is || leads_to_output(request, request->input_files.names[i]);
    return is;
}

/* What would be in the way at the end is said before the first row. */
static int check_output(const struct request *request)
{
    if (!request->output_file)
        return 0;
    if (is_input(request))
        return failure("'%s' is the input: it is never overwritten", request->output_file);
    if (!request->overwrite_file && !access(request->output_file, F_OK))
        return failure("'%s' exists; --overwrite-file replaces it", request->output_file);
    return 0;
}

/* All of it that says which rows are read. */
static mpm_dataset_map input_of(const struct request *request)
{
    return (mpm_dataset_map){.input_file = request->input_files.count ? NULL : request->input_file,
                             .input_files = (const char *const *)request->input_files.names,
                             .input_file_count = request->input_files.count,
                             .input_dataset = request->input_dataset,
                             .row = request->row,
                             .axis = request->axis,
                             .tiling = request->tiling,
                             .choice = request->chosen.choice,
                             .without_locks = request->no_lock,
                             .keep = MPM_KEEP_NOTHING};
}

static int check_input(const struct request *request, const struct plugin *plugin)
{
    const mpm_dataset_map map = input_of(request);
    mpm_shape row;

    if (mpm_dataset_describe_input(&map, NULL, &row))
        return mpm_report_error();
    return plugin_check_row(plugin, request->function, request->input_file, request->input_dataset, &row);
}

/* The context of the reduction, if its plugin describes one; or NULL. */
static int read_parameters(const struct request *request, const struct plugin *plugin,
                           mpm_reduction *reduction, void **values)
{
    const mpm_dataset_map map = input_of(request);

    *values = NULL;
    if (!plugin->parameters.is_given)
        return request->params.count ? usage_error("reduce", "--param %s: %s has no parameters",
                                                   request->params.texts[0], request->function)
                                     : 0;
    if (mpm_dataset_read_parameters(&map, plugin->parameters.text, request->params.texts,
                                    request->params.count, values, &reduction->context_size))
        return mpm_report_error();
    reduction->context = *values;
    return 0;
}

#define PRINT_AS(type, format)                      \
    do {                                            \
        type element;                               \
        memcpy(&element, at, sizeof element);       \
        printf("%s" format, i ? " " : "", element); \
    } while (0)

/* With as many digits as it takes to read the same number again. */
static void print_element(mpm_type type, const void *at, size_t i)
{
    switch (type) {
    case MPM_I8:
        PRINT_AS(int8_t, "%" PRId8);
        break;
    case MPM_I16:
        PRINT_AS(int16_t, "%" PRId16);
        break;
    case MPM_I32:
        PRINT_AS(int32_t, "%" PRId32);
        break;
    case MPM_I64:
        PRINT_AS(int64_t, "%" PRId64);
        break;
    case MPM_U8:
        PRINT_AS(uint8_t, "%" PRIu8);
        break;
    case MPM_U16:
        PRINT_AS(uint16_t, "%" PRIu16);
        break;
    case MPM_U32:
        PRINT_AS(uint32_t, "%" PRIu32);
        break;
    case MPM_U64:
        PRINT_AS(uint64_t, "%" PRIu64);
        break;
    case MPM_F32:
        PRINT_AS(float, "%.9g");
        break;
    default:
        PRINT_AS(double, "%.17g");
        break;
    }
}

static int give_result(const struct request *request, const mpm_shape *shape, const void *state)
{
    const mpm_dataset_values values = {.output_file = request->output_file,
                                       .output_dataset = request->output_dataset,
                                       .shape = *shape,
                                       .values = state,
                                       .overwrite = request->overwrite_file};

    if (request->output_file)
        return mpm_dataset_write(&values) ? mpm_report_error() : 0;
    for (size_t i = 0; i < mpm_shape_elements(shape); i++)
        print_element(shape->type, (const char *)state + i * mpm_type_size(shape->type), i);
    printf("\n");
    return 0;
}

static void show_progress(const mpm_progress *now, void *line)
{
    mpm_progress_line(now, line);
}

static int reduce_rows(mpm_pool *pool, const struct request *request, const mpm_reduction *reduction,
                       void *state)
{
    const mpm_dataset_map input = input_of(request);
    const mpm_dataset_rows rows = {.input_file = input.input_file,
                                   .input_files = input.input_files,
                                   .input_file_count = input.input_file_count,
                                   .input_dataset = request->input_dataset,
                                   .row = request->row,
                                   .axis = request->axis,
                                   .tiling = request->tiling,
                                   .choice = request->chosen.choice,
                                   .block_rows = request->block_rows,
                                   .without_locks = request->no_lock};
    mpm_line line = request->line;
    mpm_reduction own = *reduction;
    int status;

    own.leaf = request->leaf ? request->leaf : reduction->leaf;
    own.max_failures = request->max_failures;
    own.progress = show_progress;
    own.progress_argument = &line;
    status = mpm_pool_reduce_dataset(pool, &own, &rows, state);
    mpm_progress_line_end(&line);
    return status;
}

/* A result without the rows that have failed is a result: it is given, and the exit status is 1. */
static int run_pool(const struct request *request, const mpm_reduction *reduction, const mpm_shape *result,
                    void *state)
{
    mpm_pool_options options = {.workers = (unsigned)request->workers,
                                .max_attempts = (unsigned)request->attempts,
                                .item_timeout_s = request->timeout_s,
                                .item_memory_bytes = request->memory};
    mpm_pool *pool;
    int status, exit_status = 0, given = 0;

    if (mpm_pool_open(&options, &pool))
        return mpm_report_error();
    if ((status = reduce_rows(pool, request, reduction, state)))
        exit_status = mpm_report_error();
    mpm_pool_close(pool);
    if (!status || status == MPM_ETASK)
        given = give_result(request, result, state);
    return exit_status ? exit_status : given;
}

static int run_plugin(const struct request *request, const struct plugin *plugin)
{
    mpm_reduction reduction;
    mpm_shape result;
    void *state, *parameters;
    int exit_status;

    if ((exit_status = plugin_find_reduction(plugin, request->plugin, request->function, &reduction)) ||
        (exit_status = find_result(request, plugin, &reduction, &result)) ||
        (exit_status = check_output(request)) || (exit_status = check_input(request, plugin)) ||
        (exit_status = read_parameters(request, plugin, &reduction, &parameters)))
        return exit_status;
    state = malloc(reduction.state_size);
    exit_status = state ? run_pool(request, &reduction, &result, state)
                        : failure("no memory for a state of %zu bytes", reduction.state_size);
    free(state);
    free(parameters);
    return exit_status;
}

static int choose_rows(struct request *request, const struct plugin *plugin)
{
    const mpm_dataset_map input = input_of(request);
    const struct input_words words = {.command = "reduce",
                                      .rows = request->rows,
                                      .where = request->where,
                                      .refuses_missing = request->no_missing,
                                      .probes = plugin->parameters.is_given};

    return input_choose(request->input_file, &input, &words, &request->chosen);
}

static int run_request(struct request *request)
{
    struct plugin plugin;
    int exit_status = plugin_open(request->plugin, request->function, &plugin);

    if (exit_status)
        return exit_status;
    request->row = plugin_struct(&plugin.row);
    exit_status = choose_rows(request, &plugin);
    if (!exit_status)
        exit_status = run_plugin(request, &plugin);
    plugin_close(&plugin);
    return exit_status;
}

int command_reduce(int argc, char **argv)
{
    struct request request = {0};
    struct option options[] = {
        {"--result", OPTION_TEXT, &request.result, 0},
        {"--overwrite-file", OPTION_FLAG, &request.overwrite_file, 0},
        {"--leaf", OPTION_COUNT, &request.leaf, 67108864},
        {"--rows", OPTION_TEXT, &request.rows, 0},
        {"--where", OPTION_TEXT, &request.where, 0},
        {"--tile", OPTION_TEXT, &request.cut.tile, 0},
        {"--halo", OPTION_TEXT, &request.cut.halo, 0},
        {"--edge", OPTION_TEXT, &request.cut.edge, 0},
        {"--axis", OPTION_TEXT, &request.cut.axis, 0},
        {"--max-failures", OPTION_COUNT, &request.max_failures, 0},
        {"--no-lock", OPTION_FLAG, &request.no_lock, 0},
        {"--no-missing", OPTION_FLAG, &request.no_missing, 0},
        {"--workers", OPTION_COUNT, &request.workers, 65536},
        {"--param", OPTION_LIST, &request.params, 0},
        {"--block-rows", OPTION_COUNT, &request.block_rows, 0},
        {"--attempts", OPTION_COUNT, &request.attempts, 1000000},
        {"--timeout", OPTION_SECONDS, &request.timeout_s, 1000000000},
        {"--memory", OPTION_BYTES, &request.memory, 0},
        {"--progress", OPTION_TEXT, &request.progress, 0},
        {"--quiet", OPTION_FLAG, &request.quiet, 0},
    };
    struct command command = {.name = "reduce",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = 3};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    exit_status = cut_words(&command, &request);
    if (!exit_status)
        exit_status = command_line_form("reduce", request.progress, request.quiet, &request.line);
    if (!exit_status)
        exit_status = tiling_choose("reduce", &request.cut, &request.tiling, &request.axis);
    if (!exit_status)
        exit_status = run_request(&request);
    free(request.plugin);
    free(request.input_file);
    files_free(&request.input_files);
    free(request.output_file);
    free(request.chosen.list);
    free(request.params.texts);
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-tally: groups and statistics of files that need not fit into memory. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grid.h"
#include "output.h"
#include "passes.h"
#include "question.h"
#include "support/command.h"

static const char help[] =
    "usage: mpmap tally FILE... [--by COLUMN,...] [--show MEASURE,...] [options]\n"
    "       mpmap tally FILE.h5:/VARIABLE [--cells] [options]\n"
    "\n"
    "Counts, sums and statistics of the rows of CSV files (plain, gzip or zstd), for each group of\n"
    "rows that have the same values in some columns, on every slot of every node. The result has\n"
    "the same bytes whatever the workers and nodes. FILE may be a pattern in quotes, @LIST, or - for\n"
    "stdin.\n"
    "\n"
    "  --by COLUMN,...    the columns that make a group (none: all rows are one); C[:N] is the first N\n"
    "                     characters of C: 'date[:7]' is the month\n"
    "  --show MEASURE,... count, count(C), sum(C), mean(C), min(C), max(C), stddev(C), variance(C),\n"
    "                     median(C), quantile(0.9, C), approx_median(C), approx_quantile(0.9, C),\n"
    "                     distinct(C), approx_distinct(C), top(3, C), corr(C, D)\n"
    "                     (count, and min, mean and max of all columns of numbers)\n"
    "  --where TEST       only rows for which it is true: 'C > 3', 'C != text'; = != < <= > >=;\n"
    "                     may be given several times: all must be true\n"
    "  --separator C      one character, or tab (,; with --decimal , it is ;)\n"
    "  --decimal C        what is before decimals: . or , (.)\n"
    "  --missing WORD,... fields that are as if they were empty, such as -999 (of numbers: NA, NaN, nan,\n"
    "                     null, NULL, None, N/A, n/a, #N/A, <NA>, -NaN, -nan and \\N)\n"
    "  --comment C        lines that begin with this character are skipped (none)\n"
    "  --fill             columns that a row lacks at its end are missing values\n"
    "  --no-header        the first line is a row; columns are named 1, 2, ...\n"
    "  --names NAME,...   their names in files without a header\n"
    "  --type C=TYPE      text or number (found by the first rows)\n"
    "  --bad HOW          of rows that cannot be read: count, leave them out, list the first ones, and\n"
    "                     exit with 1 (default); skip, the same, but exit with 0; refuse, give no\n"
    "                     result\n"
    "  --order MEASURE    orders by a measure, -MEASURE: the largest first; none: not at all (by the\n"
    "                     columns of --by)\n"
    "  --limit N          shows the first N groups only\n"
    "  --output FILE      writes FILE.csv, FILE.json or FILE.h5:/GROUP in place of the table\n"
    "  --overwrite        replaces it if it exists\n"
    "  --resume           goes on with what a killed run with --output has left\n"
    "  --restart          removes that, and starts from the first row\n"
    "  --json             prints JSON in place of the table\n"
    "  --csv              prints CSV in place of the table\n"
    "  --cells            of a variable: mean, deviation and linear trend of each cell along an axis, in\n"
    "                     place of what all values are together; its --output is FILE.h5:/GROUP\n"
    "  --axis N           the axis, from 0 (0)\n"
    "  --no-lock          reads FILE.h5 even while another program writes it\n"
    "  --block BYTES      bytes of a block, which a worker reads at once, or of a variable's rows that\n"
    "                     are recorded at once (by the size of all)\n"
    "  --workers N        workers in all (one a slot)\n"
    "  --attempts N       how often to try a block that kills its worker (2)\n"
    "  --timeout SECONDS  a block that takes longer is killed, and tried again (no limit)\n"
    "  --memory BYTES     the same for a block that needs more memory: 500M, 2G (no limit)\n"
    "  --progress WHAT    as of mpmap map: SECONDS, json or off\n"
    "  --quiet            no progress line, and no list of bad rows\n"
    "  --help             prints this\n"
    "\n"
    "Example, on a file that is everywhere: how many users have which shell\n"
    "  mpmap tally /etc/passwd --separator : --no-header --by 7 --show 'count, min(3), max(3)'\n"
    "\n"
    "Exit status: 0; 1 if a row could not be read, or anything else failed; 2 if the usage was\n"
    "wrong; 75 if it was stopped by SIGTERM or SIGINT and can go on with --resume.\n";

enum bad_way { BAD_COUNT, BAD_SKIP, BAD_REFUSE };

struct request {
    struct question question;
    const char *separator, *decimal, *comment, *missing, *names, *bad, *order, *output, *progress;
    const char *axis;
    bool no_header, fill, cells, no_lock, overwrite, resume, restart, json, csv, quiet;
    size_t limit, block, workers, attempts, memory;
    double timeout_s;
    enum bad_way bad_way;
    mpm_line line;
};

static int read_bad_way(const char *word, enum bad_way *way)
{
    static const char *const names[] = {"count", "skip", "refuse"};

    for (int i = 0; i < 3; i++) {
        if (!word || !strcmp(word, names[i])) {
            *way = (enum bad_way)i;
            return 0;
        }
    }
    return unknown_word("", "way of --bad", word, names, 3);
}

static int read_decimal(const char *word, char *point)
{
    *point = word ? word[0] : '.';
    if (!word || !strcmp(word, ".") || !strcmp(word, ","))
        return 0;
    return usage_error("", "--decimal is '%s', but must be . or ,", word);
}

static int read_comment(const char *word, char separator, char *comment)
{
    if (!word)
        return 0;
    *comment = word[0];
    if (strlen(word) == 1 && word[0] != separator && !strchr("\"\n\r", word[0]))
        return 0;
    return usage_error("", "--comment is '%s', but must be one character such as #, and not the separator",
                       word);
}

static int read_missing(const char *words, struct input *input)
{
    for (const char *at = words, *end; at; at = *end ? end + 1 : NULL) {
        end = strchrnul(at, ',');
        if (end == at || end - at >= MISSING_SIZE)
            return usage_error("", "--missing has '%.*s', but a word must have 1 to %d bytes",
                               (int)(end - at), at, MISSING_SIZE - 1);
        if (input->missing_count == MOST_MISSING)
            return usage_error("", "--missing has more than %d words", MOST_MISSING);
        snprintf(input->missing[input->missing_count++], MISSING_SIZE, "%.*s", (int)(end - at), at);
    }
    return 0;
}

static int read_separator(const char *word, char point, char *separator)
{
    *separator = point == ',' ? ';' : ',';
    if (!word)
        return 0;
    if (!strcmp(word, "tab") || !strcmp(word, "\\t"))
        word = "\t";
    if (strlen(word) != 1 || strchr("\"\n\r", word[0]))
        return usage_error("", "--separator is '%s', but must be one character, or tab", word);
    *separator = word[0];
    if (word[0] == point)
        return usage_error("", "--separator and --decimal are both '%s'", word);
    return 0;
}

static int check_output(const struct request *request, const char *path, const struct input *input)
{
    for (size_t i = 0; i < input->file_count; i++) {
        if (!strcmp(path, input->files[i].path))
            return failure("'%s' is an input: it is never overwritten", path);
    }
    if (!request->overwrite && !access(path, F_OK))
        return failure("'%s' exists; --overwrite replaces it", path);
    return 0;
}

/* Of all that the result depends on. */
static uint64_t find_fingerprint(const struct request *request, const struct input *input,
                                 const struct plan *plan)
{
    uint64_t sum = journal_checksum(plan, sizeof *plan, request->block);

    for (size_t i = 0; i < input->file_count; i++) {
        const struct input_file *file = &input->files[i];
        const uint64_t facts[] = {file->size, (uint64_t)file->changed_ns, file->first};

        sum = journal_checksum(facts, sizeof facts, sum);
        sum = journal_checksum(file->path, strlen(file->path), sum);
    }
    return sum;
}

static void tell_bad_rows(const struct input *input, const struct plan *plan, const struct answer *answer)
{
    char text[1024];

    for (size_t i = 0; i < answer->listed_count; i++) {
        bad_row_describe(input, plan, &answer->listed[i], text, sizeof text);
        failure("%s", text);
    }
    if (answer->bad_count > answer->listed_count)
        failure("… and %llu more", (unsigned long long)(answer->bad_count - answer->listed_count));
    for (int i = 0; i < BAD_KINDS; i++) {
        if (answer->bad[i])
            failure("%llu rows left out: %s", (unsigned long long)answer->bad[i],
                    bad_kind_text((enum bad_kind)i));
    }
}

static int give_result(const struct request *request, const struct plan *plan, struct answer *answer)
{
    struct result result;
    int exit_status = result_make(answer, plan, request->order, request->limit, &result);

    if (!exit_status && request->output)
        exit_status = output_file(request->output, &result);
    else if (!exit_status && request->json)
        output_json(stdout, &result);
    else if (!exit_status && request->csv)
        output_csv(stdout, &result);
    else if (!exit_status)
        output_table(stdout, &result);
    result_free(&result);
    if (!exit_status && (fflush(stdout) || ferror(stdout)))
        exit_status = failure("stdout cannot be written");
    return exit_status;
}

static int judge_bad_rows(const struct request *request, const struct input *input, const struct plan *plan,
                          const struct answer *answer)
{
    char text[1024];

    if (!answer->bad_count)
        return 0;
    if (request->bad_way == BAD_REFUSE) {
        bad_row_describe(input, plan, &answer->listed[0], text, sizeof text);
        return failure("%s; --bad count leaves such rows out", text);
    }
    if (!request->quiet)
        tell_bad_rows(input, plan, answer);
    return request->bad_way == BAD_SKIP ? 0 : EXIT_FAILURE;
}

static mpm_pool_options pool_of(const struct request *request)
{
    return (mpm_pool_options){.workers = (unsigned)request->workers,
                              .max_attempts = (unsigned)request->attempts,
                              .item_timeout_s = request->timeout_s,
                              .item_memory_bytes = request->memory};
}

/* `is_given`: out: whether the result was, be it without rows that are bad. */
static int run_pass(const struct request *request, const struct input *input, const struct plan *plan,
                    struct journal *journal, bool *is_given)
{
    const struct pass_options options = {
        .pool = pool_of(request), .block_bytes = request->block, .line = request->line, .journal = journal};
    struct answer answer;
    int exit_status, bad = 0;

    answer_open(&answer, plan);
    exit_status = pass_run(input, plan, &options, &answer);
    if (exit_status == EXIT_DRAINED)
        failure(journal ? "stopped before the end; --resume goes on" : "stopped before the end");
    if (!exit_status)
        bad = judge_bad_rows(request, input, plan, &answer);
    if (!exit_status && !(bad && request->bad_way == BAD_REFUSE)) {
        exit_status = give_result(request, plan, &answer);
        *is_given = !exit_status;
    }
    answer_close(&answer);
    return exit_status ? exit_status : bad;
}

static enum journal_mode journal_mode_of(const struct request *request)
{
    return request->restart ? JOURNAL_RESTART : request->resume ? JOURNAL_RESUME : JOURNAL_REFUSE;
}

static int run_recorded(const struct request *request, const struct input *input, const struct plan *plan)
{
    char *group, *path = output_path(request->output, &group);
    uint64_t fingerprint = find_fingerprint(request, input, plan);
    struct journal journal;
    bool is_given = false;
    int exit_status;

    if (request->resume && !request->overwrite && !access(path, F_OK)) {
        exit_status = journal_end_complete(path, fingerprint);
        free(path);
        return exit_status;
    }
    exit_status = check_output(request, path, input);
    if (!exit_status)
        exit_status = journal_open(&journal, path, fingerprint, journal_mode_of(request));
    if (!exit_status) {
        exit_status = run_pass(request, input, plan, &journal, &is_given);
        journal_close(&journal, is_given);
    }
    free(path);
    return exit_status;
}

static int run_request(const struct request *request, const struct input *input)
{
    static struct plan plan;
    bool is_given;
    int exit_status = question_plan(&request->question, input, &plan);

    plan.stops_at_bad = request->bad_way == BAD_REFUSE;
    if (exit_status)
        return exit_status;
    if (request->output)
        return run_recorded(request, input, &plan);
    return run_pass(request, input, &plan, NULL, &is_given);
}

static int read_request(struct request *request, struct command *command, struct input *input)
{
    int exit_status;

    if (!command->word_count)
        return usage_error("", "no file is given");
    if ((exit_status = read_bad_way(request->bad, &request->bad_way)) ||
        (exit_status = read_decimal(request->decimal, &input->point)) ||
        (exit_status = read_separator(request->separator, input->point, &input->separator)) ||
        (exit_status = read_comment(request->comment, input->separator, &input->comment)) ||
        (exit_status = read_missing(request->missing, input)) ||
        (exit_status = command_line_form("", request->progress, request->quiet, &request->line)))
        return exit_status;
    if (request->resume && !request->output)
        return usage_error("", "--resume needs --output");
    input->fills_rows = request->fill;
    input->has_header = !request->no_header && !request->names;
    return input_open(input, command->words, command->word_count, request->names);
}

/* Options that only rows of text have. */
static const char *text_option(const struct request *request)
{
    const struct {
        const char *name;
        bool is_given;
    } options[] = {{"--by", request->question.by != NULL},
                   {"--show", request->question.show != NULL},
                   {"--where", request->question.where.count > 0},
                   {"--decimal", request->decimal != NULL},
                   {"--missing", request->missing != NULL},
                   {"--comment", request->comment != NULL},
                   {"--fill", request->fill},
                   {"--type", request->question.types.count > 0},
                   {"--order", request->order != NULL},
                   {"--limit", request->limit > 0}};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].is_given)
            return options[i].name;
    }
    return NULL;
}

static int run_variable(struct request *request, const struct command *command)
{
    const struct grid_request grid = {.word = command->words[0],
                                      .output = request->output,
                                      .cells = request->cells,
                                      .overwrite = request->overwrite,
                                      .no_lock = request->no_lock,
                                      .mode = journal_mode_of(request),
                                      .segment_bytes = request->block,
                                      .form = request->json  ? GRID_JSON
                                              : request->csv ? GRID_CSV
                                                             : GRID_TABLE,
                                      .pool = pool_of(request)};
    struct grid_request own = grid;
    const char *option = text_option(request);
    int exit_status;

    char *end = NULL;

    if (request->axis) {
        own.axis = (unsigned)strtoul(request->axis, &end, 10);
        if (end == request->axis || *end || own.axis >= MPM_MAX_DIMENSIONS)
            return usage_error("", "--axis is '%s', but must be a number from 0 on", request->axis);
    }
    if (option)
        return usage_error("", "%s is for files of text, and '%s' is a variable", option, grid.word);
    if (request->resume && !request->output)
        return usage_error("", "--resume needs --output");
    if (command->word_count > 1)
        return usage_error(
            "", "one variable is given at a time, in several files by a pattern: 'data*.nc:/VARIABLE'");
    exit_status = command_line_form("", request->progress, request->quiet, &own.line);
    return exit_status ? exit_status : grid_run(&own);
}

static int run_arguments(int argc, char **argv)
{
    struct request request = {0};
    const struct option options[] = {
        {"--by", OPTION_TEXT, &request.question.by, 0},
        {"--show", OPTION_TEXT, &request.question.show, 0},
        {"--where", OPTION_LIST, &request.question.where, 0},
        {"--separator", OPTION_TEXT, &request.separator, 0},
        {"--decimal", OPTION_TEXT, &request.decimal, 0},
        {"--missing", OPTION_TEXT, &request.missing, 0},
        {"--comment", OPTION_TEXT, &request.comment, 0},
        {"--fill", OPTION_FLAG, &request.fill, 0},
        {"--no-header", OPTION_FLAG, &request.no_header, 0},
        {"--names", OPTION_TEXT, &request.names, 0},
        {"--type", OPTION_LIST, &request.question.types, 0},
        {"--bad", OPTION_TEXT, &request.bad, 0},
        {"--order", OPTION_TEXT, &request.order, 0},
        {"--limit", OPTION_COUNT, &request.limit, 0},
        {"--output", OPTION_TEXT, &request.output, 0},
        {"--overwrite", OPTION_FLAG, &request.overwrite, 0},
        {"--resume", OPTION_FLAG, &request.resume, 0},
        {"--restart", OPTION_FLAG, &request.restart, 0},
        {"--json", OPTION_FLAG, &request.json, 0},
        {"--csv", OPTION_FLAG, &request.csv, 0},
        {"--axis", OPTION_TEXT, &request.axis, 0},
        {"--cells", OPTION_FLAG, &request.cells, 0},
        {"--no-lock", OPTION_FLAG, &request.no_lock, 0},
        {"--block", OPTION_BYTES, &request.block, 0},
        {"--workers", OPTION_COUNT, &request.workers, 65536},
        {"--attempts", OPTION_COUNT, &request.attempts, 1000000},
        {"--timeout", OPTION_SECONDS, &request.timeout_s, 1000000000},
        {"--memory", OPTION_BYTES, &request.memory, 0},
        {"--progress", OPTION_TEXT, &request.progress, 0},
        {"--quiet", OPTION_FLAG, &request.quiet, 0},
    };
    struct command command = {.name = "",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = (size_t)argc};
    struct input input = {0};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (command.word_count && grid_is_variable(command.words[0]))
        return run_variable(&request, &command);
    exit_status = read_request(&request, &command, &input);
    if (!exit_status)
        exit_status = run_request(&request, &input);
    input_close(&input);
    free(request.question.where.texts);
    free(request.question.types.texts);
    return exit_status;
}

int main(int argc, char **argv)
{
    const mpm_options options = {.drain_at_signals = true};

    /* Results of rounds come and go, in several threads: their memory is used again, which threads' own arenas would
     * give back. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    return command_main("mpmap-tally", &options, argc, argv, run_arguments);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap look: what is in a file, and which of a plugin's tasks can work on it. */
#include "look.h"

#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "support/command.h"
#include "support/json.h"

static const char help[] =
    "usage: mpmap look FILE.h5 [PLUGIN.so] [--json]\n"
    "\n"
    "Lists what is in an HDF5 file (netCDF-4, MATLAB 7.3, PyTables and AnnData files are such):\n"
    "each data set with its shape, type, storage, filters, and the attributes that say what it\n"
    "means; whether a map can take it, as how many rows of what, and if not why. With a\n"
    "plugin, which of its tasks fit.\n"
    "\n"
    "  --json     prints one JSON object\n"
    "  --no-lock  reads the file even while another program writes it\n"
    "  --help     prints this\n"
    "\n"
    "Exit status: 0; 1 if the file cannot be read, or only in part; 2 if it was called wrongly.\n";

/* Names come from files, and may hold what moves a cursor. */
static void write_plain(FILE *file, const char *text)
{
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++)
        putc(*byte < 0x20 || *byte == 0x7f ? '?' : *byte, file);
}

static void write_extents(FILE *file, const uint64_t *extent, unsigned rank, const char *between)
{
    for (unsigned i = 0; i < rank; i++)
        fprintf(file, "%s%" PRIu64, i ? between : "", extent[i]);
}

static bool may_grow(const mpm_dataset_entry *entry)
{
    bool may = false;

    for (unsigned i = 0; i < entry->rank; i++)
        may = may || entry->most[i] > entry->extent[i];
    return may;
}

static void write_storage(FILE *file, const mpm_dataset_entry *entry)
{
    fprintf(file, "; %s", entry->storage);
    if (entry->chunk[0]) {
        fputs(" by ", file);
        write_extents(file, entry->chunk, entry->rank, " x ");
    }
    if (*entry->filters) {
        fputs("; ", file);
        write_plain(file, entry->filters);
    }
    if (may_grow(entry))
        fputs("; may grow", file);
    if (entry->sources)
        fprintf(file, " of %" PRIu64 " source%s", entry->sources, entry->sources == 1 ? "" : "s");
}

/* HDF5 says nothing of it. */
static void write_missing(FILE *file, const mpm_dataset_entry *entry)
{
    fprintf(file,
            "\n  missing: %" PRIu64 " of %" PRIu64 " sources, which read as the fill value: ", entry->missing,
            entry->sources);
    write_plain(file, entry->missing_first);
}

static void write_dataset(FILE *file, const mpm_dataset_entry *entry)
{
    fputs("  ", file);
    if (entry->rank)
        write_extents(file, entry->extent, entry->rank, " x ");
    else
        fputs(entry->has_no_data ? "no data" : "scalar", file);
    fputs(" of ", file);
    write_plain(file, entry->type);
    write_storage(file, entry);
    if (*entry->attributes) {
        fputs("\n  ", file);
        write_plain(file, entry->attributes);
    }
    if (entry->missing)
        write_missing(file, entry);
}

/* A struct may fit where nothing else does. The library says so, and says it of the file itself. */
static bool fits(const struct look_tasks *tasks, size_t i, const mpm_dataset_entry *entry)
{
    const struct plugin_text *wanted = &tasks->tasks[i].row;
    const mpm_dataset_map map = {.input_file = tasks->file,
                                 .input_dataset = entry->path,
                                 .row = plugin_struct(wanted),
                                 .without_locks = tasks->no_lock};

    if (entry->kind != MPM_ENTRY_DATASET)
        return false;
    if (map.row)
        return !mpm_dataset_describe_input(&map, NULL, NULL);
    return !entry->refused && plugin_row_fits(wanted, &entry->row);
}

static void write_fitting(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks)
{
    size_t count = 0;

    for (size_t i = 0; i < tasks->count; i++) {
        if (!fits(tasks, i, entry))
            continue;
        fprintf(file, "%s%s", count++ ? ", " : "\n  fits: ", tasks->tasks[i].name);
        if (tasks->tasks[i].rows > 1)
            fprintf(file, " (up to %zu rows a call)", tasks->tasks[i].rows);
        if (tasks->tasks[i].parameters.is_given)
            fprintf(file, " with %s", tasks->tasks[i].parameters.text);
    }
    if (!count && !entry->refused)
        fputs("\n  fits: no task of the plugin", file);
}

void look_write_text(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks)
{
    char row[512];

    write_plain(file, entry->path);
    if (entry->kind == MPM_ENTRY_DATASET)
        write_dataset(file, entry);
    else if (*entry->type)
        fprintf(file, "  type: %s", entry->type);
    if (entry->refused) {
        fputs(entry->kind == MPM_ENTRY_DATASET ? "\n  no map: " : "\n  ", file);
        write_plain(file, entry->refused);
    } else {
        fprintf(file, "\n  map: %" PRIu64 " row%s of %s", entry->rows, entry->rows == 1 ? "" : "s",
                mpm_shape_format(&entry->row, row, sizeof row));
    }
    if (tasks)
        write_fitting(file, entry, tasks);
    fputs("\n", file);
}

static void write_member(FILE *file, const char *name, const char *text)
{
    fprintf(file, ", \"%s\": ", name);
    json_write_string(file, text);
}

static void write_array(FILE *file, const char *name, const uint64_t *extent, unsigned rank)
{
    fprintf(file, ", \"%s\": [", name);
    write_extents(file, extent, rank, ", ");
    fputs("]", file);
}

static void write_json_dataset(FILE *file, const mpm_dataset_entry *entry)
{
    write_array(file, "shape", entry->extent, entry->rank);
    fprintf(file, ", \"may_grow\": %s", may_grow(entry) ? "true" : "false");
    write_member(file, "storage", entry->storage);
    if (entry->chunk[0])
        write_array(file, "chunk", entry->chunk, entry->rank);
    write_member(file, "filters", entry->filters);
    write_member(file, "attributes", entry->attributes);
    if (entry->sources)
        fprintf(file, ", \"sources\": %" PRIu64 ", \"missing_sources\": %" PRIu64, entry->sources,
                entry->missing);
    if (entry->missing)
        write_member(file, "missing_first", entry->missing_first);
}

static void write_json_rows(FILE *file, const mpm_dataset_entry *entry)
{
    char row[512];

    fprintf(file, ", \"rows\": %" PRIu64, entry->rows);
    write_member(file, "row", mpm_shape_format(&entry->row, row, sizeof row));
}

static void write_json_fitting(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks)
{
    size_t count = 0;

    fputs(", \"fits\": [", file);
    for (size_t i = 0; i < tasks->count; i++) {
        if (!fits(tasks, i, entry))
            continue;
        fputs(count++ ? ", " : "", file);
        json_write_string(file, tasks->tasks[i].name);
    }
    fputs("]", file);
}

void look_write_json(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks)
{
    static const char *const kinds[] = {[MPM_ENTRY_DATASET] = "data set",
                                        [MPM_ENTRY_TYPE] = "type",
                                        [MPM_ENTRY_LINK] = "link",
                                        [MPM_ENTRY_DAMAGED] = "damaged"};

    fputs("{\"path\": ", file);
    json_write_string(file, entry->path);
    write_member(file, "kind", kinds[entry->kind]);
    if (*entry->type)
        write_member(file, "type", entry->type);
    if (entry->kind == MPM_ENTRY_DATASET)
        write_json_dataset(file, entry);
    fprintf(file, ", \"can_be_mapped\": %s", entry->refused ? "false" : "true");
    if (entry->refused)
        write_member(file, "why_not", entry->refused);
    else
        write_json_rows(file, entry);
    if (tasks)
        write_json_fitting(file, entry, tasks);
    fputs("}", file);
}

/* What has been printed. */
struct printed {
    bool json;
    size_t count;
};

static void print_entry(const char *text, void *argument)
{
    struct printed *printed = argument;

    if (printed->json)
        fputs(printed->count ? ",\n " : "\n ", stdout);
    fputs(text, stdout);
    printed->count++;
}

static int look_and_print(const struct look_request *request)
{
    struct printed printed = {.json = request->json};
    char error[4096];
    int exit_status;

    if (request->json) {
        fputs("{\"file\": ", stdout);
        json_print_string(request->file);
        fputs(", \"entries\": [", stdout);
    }
    exit_status = look_try(request, print_entry, &printed, error);
    if (request->json) {
        fputs("]", stdout);
        if (exit_status) {
            fputs(", \"error\": ", stdout);
            json_print_string(error);
        }
        fputs("}\n", stdout);
    } else if (!exit_status && !printed.count) {
        printf("%s holds no data sets\n", request->file);
    }
    return exit_status ? failure("%s", error) : 0;
}

int command_look(int argc, char **argv)
{
    struct look_request request = {0};
    struct look_tasks tasks = {0};
    struct option options[] = {{"--json", OPTION_FLAG, &request.json, 0},
                               {"--no-lock", OPTION_FLAG, &request.no_lock, 0}};
    struct command command = {
        .name = "look", .help = help, .options = options, .option_count = 2, .most_words = 2};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (command.word_count < 1)
        return usage_error("look", "the file is missing: FILE.h5");
    request.file = command.words[0];
    if (command.word_count > 1) {
        if ((exit_status = plugin_list(command.words[1], &tasks.tasks, &tasks.count)))
            return exit_status;
        request.tasks = &tasks;
    }
    exit_status = look_and_print(&request);
    free(tasks.tasks);
    return exit_status;
}

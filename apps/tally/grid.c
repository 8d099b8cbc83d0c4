/* SPDX-License-Identifier: BSD-3-Clause */
/* Both are reductions of the library, over rows of the first axis, in segments: they say in which order values are
 * added, so the bits are the same whatever the workers and nodes, and however often a run was killed. */
#include "grid.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "record.h"
#include "segments.h"
#include "support/command.h"
#include "support/word.h"
#include "table.h"

#define MOST_STATE ((size_t)256 << 20)

struct whole {
    struct wide values;
    uint64_t missing;
};

/* Of a cell: sums over its values x and their places t, from the middle of the axis. */
struct cell {
    double count, x, t, tt, tx, xx;
};

bool grid_is_variable(const char *word)
{
    return access(word, F_OK) && strstr(word, ":/");
}

/* The element at a place as a double; NaN if it is missing. */
static double read_element(const struct variable *variable, const void *items, size_t at)
{
    double value = (double)NAN;

    switch (variable->row.type) {
#define READ(name, c_type, text)                     \
    case MPM_##name:                                 \
        value = (double)((const c_type *)items)[at]; \
        break;
        MPM_TYPE_LIST(READ)
#undef READ
    default:
        break;
    }
    if (value == variable->fill || value == variable->missing)
        return (double)NAN;
    return value * variable->scale + variable->offset;
}

static int add_values(mpm_call *call, const void *items, size_t count, void *state)
{
    const struct variable *variable = mpm_call_context(call);
    struct whole *whole = state;

    for (size_t i = 0; i < count * variable->elements; i++) {
        double value = read_element(variable, items, i);

        if (isnan(value))
            whole->missing++;
        else
            wide_add(&whole->values, value);
    }
    return 0;
}

static void init_whole(void *state, const void *context)
{
    struct whole *whole = state;

    (void)context;
    wide_init(&whole->values);
}

static void combine_whole(void *state, const void *later, const void *context)
{
    struct whole *whole = state;
    const struct whole *other = later;

    (void)context;
    wide_merge(&whole->values, &other->values);
    whole->missing += other->missing;
}

static int add_rows(mpm_call *call, const void *items, size_t count, void *state)
{
    const struct variable *variable = mpm_call_context(call);
    uint64_t first = variable->first + mpm_call_index(call);
    size_t at = 0;
    struct cell *cells = state;

    for (size_t row = 0; row < count; row++) {
        double t = (double)(first + row) - (double)(variable->rows - 1) / 2;

        for (size_t i = 0; i < variable->elements; i++) {
            double x = read_element(variable, items, at++);

            if (isnan(x))
                continue;
            cells[i].count++;
            cells[i].x += x;
            cells[i].t += t;
            cells[i].tt += t * t;
            cells[i].tx += t * x;
            cells[i].xx += x * x;
        }
    }
    return 0;
}

static void combine_cells(void *state, const void *later, const void *context)
{
    const struct variable *variable = context;
    double *sums = state;
    const double *others = later;

    for (size_t i = 0; i < variable->elements * (sizeof(struct cell) / sizeof *sums); i++)
        sums[i] += others[i];
}

static double read_attribute(hid_t set, const char *name, double otherwise)
{
    double value = otherwise;
    hid_t attribute;

    if (H5Aexists(set, name) <= 0)
        return otherwise;
    attribute = H5Aopen(set, name, H5P_DEFAULT);
    if (attribute < 0)
        return otherwise;
    if (H5Sget_simple_extent_npoints(H5Aget_space(attribute)) != 1 ||
        H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) < 0)
        value = otherwise;
    H5Aclose(attribute);
    return value;
}

/* The attributes by which netCDF says what values mean. */
static void read_attributes(const char *file_name, const char *dataset, struct variable *variable)
{
    hid_t file, set;

    *variable = (struct variable){.fill = (double)NAN, .missing = (double)NAN, .scale = 1};
    H5dont_atexit(); /* as where results are written */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    file = H5Fopen(file_name, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return;
    set = H5Dopen2(file, dataset, H5P_DEFAULT);
    if (set >= 0) {
        variable->fill = read_attribute(set, "_FillValue", (double)NAN);
        variable->missing = read_attribute(set, "missing_value", (double)NAN);
        variable->scale = read_attribute(set, "scale_factor", 1);
        variable->offset = read_attribute(set, "add_offset", 0);
        H5Dclose(set);
    }
    H5Fclose(file);
}

struct grid {
    const struct grid_request *request;
    char *file, *dataset;
    struct file_list files;
    struct variable variable;
    struct journal *journal; /* or NULL */
};

/* Of all that the result depends on. */
static int find_fingerprint(const struct grid *grid, uint64_t *fingerprint)
{
    const struct grid_request *request = grid->request;
    const uint64_t facts[] = {request->cells, request->axis, grid->variable.rows, grid->variable.elements,
                              request->segment_bytes};
    uint64_t sum = journal_checksum(grid->dataset, strlen(grid->dataset), sizeof(struct cell));

    sum = journal_checksum(facts, sizeof facts, sum);
    for (size_t i = 0; i == 0 || i < grid->files.count; i++) {
        const char *path = grid->files.count ? grid->files.names[i] : grid->file;
        struct stat status;

        if (stat(path, &status))
            return failure("'%s' cannot be opened: %s", path, strerror(errno));
        const int64_t stamp[] = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};

        sum = journal_checksum(stamp, sizeof stamp, sum);
        sum = journal_checksum(path, strlen(path), sum);
    }
    *fingerprint = sum;
    return 0;
}

/* Rows of a leaf for states of many cells: leaves must have several times as many values. */
static size_t choose_leaf(const struct variable *variable, uint64_t segment_rows)
{
    uint64_t rows = segment_rows < variable->rows ? segment_rows : variable->rows;
    size_t leaf = 1;

    while (leaf < 64 && leaf * 128 <= rows)
        leaf *= 2;
    return variable->elements < 4096 ? 0 : leaf;
}

static int reduce(struct grid *grid, const mpm_reduction *reduction, void *state)
{
    const struct grid_request *own = grid->request;
    struct segments_request request = {
        .variable = &grid->variable,
        .rows = {.input_file = grid->files.count ? NULL : grid->file,
                 .input_files = (const char *const *)grid->files.names,
                 .input_file_count = grid->files.count,
                 .input_dataset = grid->dataset,
                 .axis = own->axis,
                 .without_locks = own->no_lock},
        .reduction = *reduction,
        .segment_rows = segments_cut(&grid->variable, own->segment_bytes, reduction->state_size),
        .pool = own->pool,
        .line = own->line,
        .journal = grid->journal};
    int exit_status;

    if (own->cells)
        request.reduction.leaf = choose_leaf(&grid->variable, request.segment_rows);
    exit_status = segments_reduce(&request, state);
    if (exit_status == EXIT_DRAINED)
        failure(grid->journal ? "stopped before the end; --resume goes on" : "stopped before the end");
    return exit_status;
}

#define WHOLE_NUMBERS 7

static const char *const whole_names[WHOLE_NUMBERS] = {"count", "missing", "min", "mean",
                                                       "max",   "stddev",  "sum"};

static void find_numbers(const struct whole *whole, double numbers[WHOLE_NUMBERS])
{
    const struct wide *values = &whole->values;
    double n = (double)values->count, sum = values->sum + values->compensation;
    const double found[WHOLE_NUMBERS] = {
        n,       (double)whole->missing, values->least,
        sum / n, values->most,           values->count > 1 ? sqrt(values->squares / (n - 1)) : (double)NAN,
        sum};

    memcpy(numbers, found, sizeof found);
}

static void put_whole(FILE *file, enum grid_form form, const struct whole *whole)
{
    char texts[WHOLE_NUMBERS][MOST_TEXT];
    double numbers[WHOLE_NUMBERS];

    find_numbers(whole, numbers);
    for (int i = 0; i < WHOLE_NUMBERS; i++) {
        texts[i][0] = '\0';
        if (isfinite(numbers[i]) && form == GRID_TABLE && i >= 2)
            double_short_text(numbers[i], texts[i]);
        else if (isfinite(numbers[i]))
            double_text(numbers[i], texts[i]);
    }
    for (int i = 0; i < WHOLE_NUMBERS && form == GRID_JSON; i++)
        fprintf(file, "%s\"%s\": %s", i ? ", " : "{", whole_names[i], texts[i][0] ? texts[i] : "null");
    if (form == GRID_JSON)
        fprintf(file, "}\n");
    for (int line = 0; line < 2 && form != GRID_JSON; line++) {
        for (int i = 0; i < WHOLE_NUMBERS; i++) {
            size_t name = strlen(whole_names[i]), text = strlen(texts[i]);
            int width = form == GRID_CSV ? 0 : (int)(name > text ? name : text);

            fprintf(file, "%s%*s",
                    i == 0             ? ""
                    : form == GRID_CSV ? ","
                                       : "  ",
                    width, line ? texts[i] : whole_names[i]);
        }
        fprintf(file, "\n");
    }
}

static void write_whole_text(FILE *file, bool is_json, const void *argument)
{
    put_whole(file, is_json ? GRID_JSON : GRID_CSV, argument);
}

static bool write_whole_sets(hid_t group, const void *argument)
{
    double numbers[WHOLE_NUMBERS];
    bool is_good = true;

    find_numbers(argument, numbers);
    for (int i = 0; i < WHOLE_NUMBERS && is_good; i++)
        is_good = output_set(group, whole_names[i], H5T_NATIVE_DOUBLE, 0, NULL, &numbers[i]);
    return is_good;
}

static int give_whole(const struct grid_request *request, const struct whole *whole)
{
    char *group, *path;
    int exit_status;

    if (!request->output) {
        put_whole(stdout, request->form, whole);
        return 0;
    }
    path = output_path(request->output, &group);
    exit_status = group ? output_group(path, group, write_whole_sets, whole)
                        : output_text(path, write_whole_text, whole);
    free(path);
    return exit_status;
}

static int run_whole(struct grid *grid)
{
    mpm_reduction reduction = {.accumulate_block = add_values,
                               .combine = combine_whole,
                               .init = init_whole,
                               .state_size = sizeof(struct whole)};
    struct whole whole;
    int exit_status = reduce(grid, &reduction, &whole);

    return exit_status ? exit_status : give_whole(grid->request, &whole);
}

/* What is known of each cell: an array of all cells for each. */
struct cell_results {
    const struct grid *grid;
    const char *group;
    double *counts, *means, *deviations, *trends;
};

static void find_results(const struct cell *cells, uint64_t count, struct cell_results *results)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct cell *cell = &cells[i];
        double n = cell->count, spread = n * cell->tt - cell->t * cell->t;
        double squares = cell->xx - cell->x * cell->x / n;

        results->counts[i] = n;
        results->means[i] = n > 0 ? cell->x / n : (double)NAN;
        results->deviations[i] = n > 1 ? sqrt((squares > 0 ? squares : 0) / (n - 1)) : (double)NAN;
        results->trends[i] = spread > 0 ? (n * cell->tx - cell->t * cell->x) / spread : (double)NAN;
    }
}

static bool write_cells(hid_t group, const mpm_shape *row, const char *name, const double *values)
{
    hsize_t extent[MPM_MAX_DIMENSIONS];

    for (unsigned i = 0; i < row->rank; i++)
        extent[i] = row->extent[i];
    return output_set(group, name, H5T_NATIVE_DOUBLE, row->rank, extent, values);
}

static bool write_results(hid_t group, const void *argument)
{
    const struct cell_results *results = argument;
    const mpm_shape *row = &results->grid->variable.row;

    return write_cells(group, row, "count", results->counts) &&
           write_cells(group, row, "mean", results->means) &&
           write_cells(group, row, "stddev", results->deviations) &&
           write_cells(group, row, "trend", results->trends);
}

static void print_place(const mpm_shape *row, uint64_t at)
{
    uint64_t size = 1;

    for (unsigned i = 0; i < row->rank; i++)
        size *= row->extent[i];
    printf("[");
    for (unsigned i = 0; i < row->rank; i++) {
        size /= row->extent[i];
        printf("%s%llu", i ? ", " : "", (unsigned long long)(at / size % row->extent[i]));
    }
    printf("]");
}

static void print_extremes(const struct grid *grid, const char *name, const double *values)
{
    uint64_t least = 0, most = 0, count = grid->variable.elements;
    char text[MOST_TEXT];

    for (uint64_t i = 0; i < count; i++) {
        least = isnan(values[least]) || values[i] < values[least] ? i : least;
        most = isnan(values[most]) || values[i] > values[most] ? i : most;
    }
    double_short_text(values[least], text);
    printf("%-6s from %s at ", name, text);
    print_place(&grid->variable.row, least);
    double_short_text(values[most], text);
    printf(" to %s at ", text);
    print_place(&grid->variable.row, most);
    printf("\n");
}

static int give_cells(const struct grid *grid, struct cell_results *results)
{
    const struct grid_request *request = grid->request;
    char *group, *path;
    int exit_status;

    if (!request->output) {
        printf("%llu cells, of %llu values each\n", (unsigned long long)grid->variable.elements,
               (unsigned long long)grid->variable.rows);
        print_extremes(grid, "mean", results->means);
        print_extremes(grid, "stddev", results->deviations);
        print_extremes(grid, "trend", results->trends);
        return 0;
    }
    path = output_path(request->output, &group);
    exit_status = output_group(path, group ? group : "/", write_results, results);
    free(path);
    return exit_status;
}

static int run_cells(struct grid *grid)
{
    uint64_t count = grid->variable.elements;
    mpm_reduction reduction = {
        .accumulate_block = add_rows, .combine = combine_cells, .state_size = count * sizeof(struct cell)};
    struct cell_results results = {.grid = grid};
    struct cell *cells;
    double *numbers;
    int exit_status;

    if (count > MOST_STATE / sizeof(struct cell))
        return failure("'%s' has %llu cells, but at most %zu fit into a state", grid->request->word,
                       (unsigned long long)count, MOST_STATE / sizeof(struct cell));
    cells = memory_resize(NULL, reduction.state_size);
    exit_status = reduce(grid, &reduction, cells);
    if (!exit_status) {
        numbers = memory_resize(NULL, 4 * count * sizeof *numbers);
        results.counts = numbers;
        results.means = numbers + count;
        results.deviations = numbers + 2 * count;
        results.trends = numbers + 3 * count;
        find_results(cells, count, &results);
        exit_status = give_cells(grid, &results);
        free(numbers);
    }
    free(cells);
    return exit_status;
}

static bool is_classic(const char *path)
{
    FILE *file = fopen(path, "re");
    char head[3] = {0};
    bool is = file && fread(head, 1, sizeof head, file) == sizeof head && !memcmp(head, "CDF", 3);

    if (file)
        fclose(file);
    return is;
}

static int describe(struct grid *grid)
{
    const mpm_dataset_map input = {.input_file = grid->files.count ? NULL : grid->file,
                                   .input_files = (const char *const *)grid->files.names,
                                   .input_file_count = grid->files.count,
                                   .input_dataset = grid->dataset,
                                   .axis = grid->request->axis,
                                   .without_locks = grid->request->no_lock};
    const char *first = grid->files.count ? grid->files.names[0] : grid->file;

    if (is_classic(first))
        return failure(
            "'%s' is a netCDF file of the classic kind, which is not HDF5: nccopy -k nc4 %s NEW.nc, of "
            "netcdf-bin, makes one of it",
            first, first);
    read_attributes(first, grid->dataset, &grid->variable);
    if (mpm_dataset_describe_input(&input, &grid->variable.rows, &grid->variable.row))
        return mpm_report_error();
    grid->variable.elements = mpm_shape_elements(&grid->variable.row);
    return 0;
}

static int check_output(const struct grid *grid, const char *path, const char *group)
{
    if (grid->request->cells && !group)
        return usage_error("", "--output is '%s', but cells are written as FILE.h5:/GROUP", path);
    for (size_t i = 0; i == 0 || i < grid->files.count; i++) {
        if (!strcmp(path, grid->files.count ? grid->files.names[i] : grid->file))
            return failure("'%s' is an input: it is never overwritten", path);
    }
    if (!grid->request->overwrite && !access(path, F_OK))
        return failure("'%s' exists; --overwrite replaces it", path);
    return 0;
}

static int run_described(struct grid *grid)
{
    return grid->request->cells ? run_cells(grid) : run_whole(grid);
}

/* With an output, and so with a record of what is done. */
static int run_recorded(struct grid *grid)
{
    const struct grid_request *request = grid->request;
    char *group, *path = output_path(request->output, &group);
    struct journal journal;
    uint64_t fingerprint = 0;
    int exit_status = find_fingerprint(grid, &fingerprint);

    if (!exit_status && request->mode == JOURNAL_RESUME && !request->overwrite && !access(path, F_OK)) {
        exit_status = journal_end_complete(path, fingerprint);
    } else if (!exit_status && !(exit_status = check_output(grid, path, group)) &&
               !(exit_status = journal_open(&journal, path, fingerprint, request->mode))) {
        grid->journal = &journal;
        exit_status = run_described(grid);
        journal_close(&journal, !exit_status);
    }
    free(path);
    return exit_status;
}

int grid_run(const struct grid_request *request)
{
    static const struct word_form form = {"", "FILE.h5:/VARIABLE", word_dataset_colon};
    struct grid grid = {.request = request};
    int exit_status = word_cut(&form, request->word, &grid.file, &grid.dataset);

    if (!exit_status)
        exit_status = files_expand(grid.file, &grid.files);
    if (!exit_status)
        exit_status = describe(&grid);
    if (!exit_status)
        exit_status = request->output ? run_recorded(&grid) : run_described(&grid);
    files_free(&grid.files);
    free(grid.file);
    if (!exit_status && fflush(stdout))
        exit_status = failure("stdout cannot be written");
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Both are reductions of the library, over rows of the first axis: it says in which order values are added, so the
 * bits are the same whatever the workers and nodes. */
#include "grid.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "record.h"
#include "support/command.h"
#include "support/word.h"
#include "table.h"

#define MOST_STATE ((size_t)256 << 20)

/* What the workers must know of a variable; it is the context of the reduction. */
struct variable {
    mpm_shape row;
    uint64_t elements; /* of a row */
    uint64_t rows;
    double fill, missing; /* values that stand for none; NaN: there is no such value */
    double scale, offset; /* what packed values are multiplied by, and what is added then */
};

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
    size_t first = mpm_call_index(call), at = 0;
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
};

static void show_progress(const mpm_progress *now, void *line)
{
    mpm_progress_line(now, line);
}

static int reduce(struct grid *grid, mpm_reduction *reduction, void *state)
{
    const mpm_dataset_rows rows = {.input_file = grid->files.count ? NULL : grid->file,
                                   .input_files = (const char *const *)grid->files.names,
                                   .input_file_count = grid->files.count,
                                   .input_dataset = grid->dataset,
                                   .axis = grid->request->axis,
                                   .without_locks = grid->request->no_lock};
    mpm_line line = grid->request->line;
    mpm_pool *pool;
    int exit_status = 0;

    reduction->context = &grid->variable;
    reduction->context_size = sizeof grid->variable;
    reduction->progress = show_progress;
    reduction->progress_argument = &line;
    if (mpm_pool_open(&grid->request->pool, &pool))
        return mpm_report_error();
    if (mpm_pool_reduce_dataset(pool, reduction, &rows, state))
        exit_status = mpm_report_error();
    mpm_progress_line_end(&line);
    mpm_pool_close(pool);
    return exit_status;
}

static void print_whole(const struct grid_request *request, const struct whole *whole)
{
    static const char *const names[] = {"count", "missing", "min", "mean", "max", "stddev", "sum"};
    const struct wide *values = &whole->values;
    double n = (double)values->count, sum = values->sum + values->compensation;
    const double numbers[] = {
        n,       (double)whole->missing, values->least,
        sum / n, values->most,           values->count > 1 ? sqrt(values->squares / (n - 1)) : (double)NAN,
        sum};
    char texts[7][MOST_TEXT];

    for (int i = 0; i < 7; i++) {
        texts[i][0] = '\0';
        if (isfinite(numbers[i]) && request->form == GRID_TABLE && i >= 2)
            double_short_text(numbers[i], texts[i]);
        else if (isfinite(numbers[i]))
            double_text(numbers[i], texts[i]);
    }
    for (int i = 0; i < 7 && request->form == GRID_JSON; i++)
        printf("%s\"%s\": %s", i ? ", " : "{", names[i], texts[i][0] ? texts[i] : "null");
    if (request->form == GRID_JSON)
        printf("}\n");
    for (int line = 0; line < 2 && request->form != GRID_JSON; line++) {
        for (int i = 0; i < 7; i++) {
            size_t name = strlen(names[i]), text = strlen(texts[i]);

            if (request->form == GRID_CSV)
                printf("%s%s", i ? "," : "", line ? texts[i] : names[i]);
            else
                printf("%s%*s", i ? "  " : "", (int)(name > text ? name : text), line ? texts[i] : names[i]);
        }
        printf("\n");
    }
}

static int run_whole(struct grid *grid)
{
    mpm_reduction reduction = {.accumulate_block = add_values,
                               .combine = combine_whole,
                               .init = init_whole,
                               .state_size = sizeof(struct whole)};
    struct whole whole;
    int exit_status = reduce(grid, &reduction, &whole);

    if (!exit_status)
        print_whole(grid->request, &whole);
    return exit_status;
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
    hid_t space, set;
    bool is_good = false;

    for (unsigned i = 0; i < row->rank; i++)
        extent[i] = row->extent[i];
    space = row->rank ? H5Screate_simple((int)row->rank, extent, NULL) : H5Screate(H5S_SCALAR);
    set = H5Dcreate2(group, name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (set >= 0) {
        is_good = H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
        is_good &= H5Dclose(set) >= 0;
    }
    H5Sclose(space);
    return is_good;
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

static int check_output(const struct grid_request *request)
{
    char *group, *path;
    int exit_status = 0;

    if (!request->output)
        return 0;
    if (!request->cells)
        return usage_error("", "--output of a variable needs --cells");
    path = output_path(request->output, &group);
    if (!request->overwrite && !access(path, F_OK))
        exit_status = failure("'%s' exists; --overwrite replaces it", path);
    free(path);
    return exit_status;
}

int grid_run(const struct grid_request *request)
{
    static const struct word_form form = {"", "FILE.h5:/VARIABLE", word_dataset_colon};
    struct grid grid = {.request = request};
    int exit_status = check_output(request);

    if (!exit_status)
        exit_status = word_cut(&form, request->word, &grid.file, &grid.dataset);
    if (!exit_status)
        exit_status = files_expand(grid.file, &grid.files);
    if (!exit_status)
        exit_status = describe(&grid);
    if (!exit_status)
        exit_status = request->cells ? run_cells(&grid) : run_whole(&grid);
    files_free(&grid.files);
    free(grid.file);
    if (!exit_status && fflush(stdout))
        exit_status = failure("stdout cannot be written");
    return exit_status;
}

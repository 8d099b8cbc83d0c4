/* SPDX-License-Identifier: BSD-3-Clause */
/* Costs are one number a row. Rows that are best read together have one cost, so that an order by cost and then by row
 * keeps them together. */
#include "data/costs.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"

int costs_check(const mpm_dataset_map *map, const struct input *input)
{
    if (!map->costs && map->cost_count)
        return error_set(MPM_EINVAL, "the costs are NULL, but their count is %" PRIu64, map->cost_count);
    if (!map->costs || map->cost_count == input->rows)
        return 0;
    return error_set(MPM_EINVAL,
                     "the map has %" PRIu64 " costs, but %s:%s has %" PRIu64
                     " rows: give one cost for each row",
                     map->cost_count, input->file_name, input->dataset_name, input->rows);
}

/* What is not a number costs nothing. */
static double sum_of(const double *costs, uint64_t count)
{
    double sum = 0;

    for (uint64_t i = 0; i < count; i++)
        sum += isnan(costs[i]) ? 0 : costs[i];
    return sum;
}

static void sum_groups(const mpm_dataset_map *map, size_t group, double *made)
{
    for (uint64_t first = 0, count; first < map->cost_count; first += count) {
        count = map->cost_count - first < group ? map->cost_count - first : group;
        made[first] = sum_of(map->costs + first, count);
        for (uint64_t i = 1; i < count; i++)
            made[first + i] = made[first];
    }
}

int costs_of_groups(const mpm_dataset_map *map, size_t group, const uint64_t *left, uint64_t count,
                    const double **costs, double **made)
{
    *made = NULL;
    *costs = map->costs;
    if (!map->costs || (group <= 1 && !left))
        return 0;
    if (!(*costs = *made = malloc((size_t)map->cost_count * sizeof **made)))
        return error_set(MPM_ENOMEM, "no memory for the costs of %" PRIu64 " rows", map->cost_count);
    sum_groups(map, group ? group : 1, *made);
    for (uint64_t i = 0; left && i < count; i++)
        (*made)[i] = (*made)[left[i]]; /* they rise, so none is needed that was written */
    return 0;
}

static int check_values(const struct input *input, const double *costs)
{
    for (uint64_t row = 0; row < input->rows; row++) {
        if (!(costs[row] >= 0))
            return error_set(MPM_EINVAL,
                             "%s:%s has a bad cost: row %" PRIu64
                             " costs %g: a cost must be a number that is not negative",
                             input->file_name, input->dataset_name, row, costs[row]);
    }
    return 0;
}

/* HDF5 converts what the file has. */
static int read_all(struct input *input, double **costs)
{
    char text[256];
    int status;

    if (input->row.rank)
        return error_set(MPM_ETYPE, "%s:%s has rows of %s: costs must be one number for each row",
                         input->file_name, input->dataset_name,
                         mpm_shape_format(&input->row, text, sizeof text));
    if (input->rows >= SIZE_MAX / sizeof **costs ||
        !(*costs = malloc(((size_t)input->rows + 1) * sizeof **costs)))
        return error_set(MPM_ENOMEM, "no memory for the costs of %" PRIu64 " rows", input->rows);
    input_take(input, MPM_F64);
    status = input->rows ? input_read(input, 0, (size_t)input->rows, *costs) : 0;
    return status ? status : check_values(input, *costs);
}

static int read_costs(const struct input_source *source, double **costs, uint64_t *count)
{
    struct input input;
    double *read = NULL;
    int status;

    if ((!source->file_name && !source->name_count) || !source->dataset_name || !costs || !count)
        return error_set(MPM_EINVAL,
                         "reading costs needs a file, a data set, and pointers for the array and its count: "
                         "none of them may be NULL");
    if ((status = input_open(source, &input)))
        return status;
    if ((status = read_all(&input, &read))) {
        free(read);
    } else {
        *costs = read;
        *count = input.rows;
    }
    input_close(&input);
    return status;
}

int mpm_dataset_read_costs(const char *file, const char *dataset, int without_locks, double **costs,
                           uint64_t *count)
{
    const mpm_dataset_map map = {.input_file = file, .without_locks = without_locks};

    return mpm_dataset_read_input_costs(&map, dataset, costs, count);
}

int mpm_dataset_read_input_costs(const mpm_dataset_map *map, const char *dataset, double **costs,
                                 uint64_t *count)
{
    struct input_source source;

    if (!map)
        return error_set(MPM_EINVAL, "reading costs needs a map with its input, not NULL");
    source = input_source_beside(map, dataset);
    return read_costs(&source, costs, count);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a dense matrix of an HDF5 file, a row a sample, and a vector of what is to be predicted. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data.h"
#include "support/command.h"

#define ROWS_AT_ONCE 1024

struct matrix {
    const char *file, *dataset;
    hid_t id, space;
    hsize_t rows, columns;
};

static int wrong(const struct matrix *matrix, const char *what)
{
    return failure("'%s:%s' %s", matrix->file, matrix->dataset, what);
}

static int open_matrix(hid_t file, int rank, struct matrix *matrix)
{
    hsize_t sizes[2] = {0, 1};
    H5T_class_t class;
    hid_t type;

    if ((matrix->id = H5Dopen2(file, matrix->dataset, H5P_DEFAULT)) < 0)
        return wrong(matrix, "is no data set of the file");
    type = H5Dget_type(matrix->id);
    class = H5Tget_class(type);
    H5Tclose(type);
    if (class != H5T_INTEGER && class != H5T_FLOAT)
        return wrong(matrix, class == H5T_STRING ? "has texts: number them first, each label from 0 on"
                                                 : "has no numbers");
    matrix->space = H5Dget_space(matrix->id);
    if (H5Sget_simple_extent_ndims(matrix->space) != rank)
        return wrong(matrix, rank == 2 ? "must have two dimensions: rows and features"
                                       : "must have one dimension: a number a row");
    H5Sget_simple_extent_dims(matrix->space, sizes, NULL);
    matrix->rows = sizes[0];
    matrix->columns = sizes[1];
    if (matrix->columns > 1000000000)
        return wrong(matrix, "has more than 1e9 features");
    return 0;
}

static void close_matrix(struct matrix *matrix)
{
    if (matrix->space >= 0)
        H5Sclose(matrix->space);
    if (matrix->id >= 0)
        H5Dclose(matrix->id);
}

static int read_rows(const struct matrix *matrix, hsize_t first, hsize_t count, double *numbers)
{
    hsize_t start[2] = {first, 0}, sizes[2] = {count, matrix->columns};
    int rank = H5Sget_simple_extent_ndims(matrix->space);
    hid_t memory = H5Screate_simple(rank, sizes, NULL);
    herr_t status;

    H5Sselect_hyperslab(matrix->space, H5S_SELECT_SET, start, NULL, sizes, NULL);
    status = H5Dread(matrix->id, H5T_NATIVE_DOUBLE, memory, matrix->space, H5P_DEFAULT, numbers);
    H5Sclose(memory);
    return status < 0 ? wrong(matrix, "cannot be read") : 0;
}

struct block {
    hsize_t first, count;
    double *features, *targets;
};

static int not_finite(const struct matrix *matrix, hsize_t row, hsize_t column, double value)
{
    char what[128];

    if (column == matrix->columns)
        snprintf(what, sizeof what, "has %g at row %llu, but a target must be a finite number", value,
                 (unsigned long long)row);
    else
        snprintf(what, sizeof what, "has %g at row %llu, column %llu, but a feature must be a finite number",
                 value, (unsigned long long)row, (unsigned long long)column);
    return wrong(matrix, what);
}

static int add_rows(const struct matrix *x, const struct matrix *y, const struct block *block,
                    struct data_builder *builder)
{
    for (hsize_t row = 0; row < block->count; row++) {
        if (!isfinite(block->targets[row]))
            return not_finite(y, block->first + row, y->columns, block->targets[row]);
        if (builder_row(builder, block->targets[row]))
            return EXIT_FAILURE;
        for (hsize_t i = 0; i < x->columns; i++) {
            double value = block->features[row * x->columns + i];

            if (!isfinite(value))
                return not_finite(x, block->first + row, i, value);
            if (builder_value(builder, i + 1, value))
                return EXIT_FAILURE;
        }
    }
    return 0;
}

static int read_all(const struct matrix *x, const struct matrix *y, struct data_builder *builder)
{
    struct block block = {.features = malloc(ROWS_AT_ONCE * (x->columns + 1) * sizeof(double)),
                          .targets = malloc(ROWS_AT_ONCE * sizeof(double))};
    int exit_status = block.features && block.targets ? 0 : failure("out of memory");

    for (; !exit_status && block.first < x->rows; block.first += block.count) {
        block.count = x->rows - block.first < ROWS_AT_ONCE ? x->rows - block.first : ROWS_AT_ONCE;
        if (!(exit_status = read_rows(x, block.first, block.count, block.features)) &&
            !(exit_status = read_rows(y, block.first, block.count, block.targets)))
            exit_status = add_rows(x, y, &block, builder);
    }
    free(block.features);
    free(block.targets);
    return exit_status;
}

static int read_file(hid_t file, struct matrix *x, struct matrix *y, struct data_builder *builder)
{
    char what[96];
    int exit_status;

    if ((exit_status = open_matrix(file, 2, x)) || (exit_status = open_matrix(file, 1, y)))
        return exit_status;
    if (x->rows != y->rows) {
        snprintf(what, sizeof what, "has %llu rows, but the targets are %llu", (unsigned long long)x->rows,
                 (unsigned long long)y->rows);
        return wrong(x, what);
    }
    return read_all(x, y, builder);
}

int data_read_hdf5(const struct data_wish *wish, struct data_builder *builder)
{
    char *name = strdup(wish->path), *colon = name ? strstr(name, ":/") : NULL;
    const char *dataset = colon ? wish->path + (colon - name) + 1 : "/X";
    struct matrix x = {.file = name, .dataset = dataset, .id = -1, .space = -1},
                  y = {.file = name, .dataset = wish->label ? wish->label : "/y", .id = -1, .space = -1};
    hid_t file;
    int exit_status;

    if (!name)
        return failure("out of memory");
    if (colon)
        *colon = 0;
    H5dont_atexit(); /* as where results are written */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if ((file = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT)) < 0) {
        exit_status = failure(
            access(name, R_OK) ? "cannot open '%s'" : "'%s' is no HDF5 file, or a damaged one", name);
    } else {
        exit_status = read_file(file, &x, &y, builder);
        close_matrix(&y);
        close_matrix(&x);
        H5Fclose(file);
    }
    free(name);
    return exit_status;
}

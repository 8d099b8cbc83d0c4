/* SPDX-License-Identifier: BSD-3-Clause */
/* The discrete cosine transform of rows of 64 numbers: a product with a matrix, which takes many rows in one call. A
 * library for matrices, or a plan for Fourier transforms, would stand in place of the loops. */
#include <math.h>
#include <mpmap.h>

#define SIZE     64
#define TOGETHER 8

const mpm_task_description cosine_description = {
    .result = "f32[64]", .row = "f32[64]", .help = "discrete cosine transform", .rows = 256};

static float matrix[SIZE][SIZE];

/* Once a worker: 0 is none of its numbers in the first row. */
static void make_matrix(void)
{
    const double turn = 3.14159265358979323846 / SIZE;

    if (matrix[0][0] != 0)
        return;
    for (int i = 0; i < SIZE; i++)
        for (int k = 0; k < SIZE; k++)
            matrix[k][i] = (float)(cos(turn * (i + 0.5) * k) * sqrt((k ? 2.0 : 1.0) / SIZE));
}

/* The same step for several rows at once, which a processor does as one. Sums go in the same order for each row, so it
 * has the same bits whatever rows are beside it. */
static void transform(const float (*rows)[SIZE], size_t count, float (*products)[SIZE])
{
    float lanes[SIZE][TOGETHER] = {{0}};

    for (size_t row = 0; row < count; row++)
        for (int i = 0; i < SIZE; i++)
            lanes[i][row] = rows[row][i];
    for (int k = 0; k < SIZE; k++) {
        float sum[TOGETHER] = {0};

        for (int i = 0; i < SIZE; i++)
            for (int lane = 0; lane < TOGETHER; lane++)
                sum[lane] += lanes[i][lane] * matrix[k][i];
        for (size_t row = 0; row < count; row++)
            products[row][k] = sum[row];
    }
}

int cosine(mpm_call *call, const void *item, void *result)
{
    const float(*rows)[SIZE] = item;
    float(*products)[SIZE] = result;
    size_t left = mpm_call_rows(call), step;

    make_matrix();
    for (; left > 0; left -= step, rows += step, products += step) {
        step = left < TOGETHER ? left : TOGETHER;
        transform(rows, step, products);
    }
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A mean and a standard deviation, by a reduction: the result has the same bits with any number of workers. In Python:
 *
 *     from functools import reduce
 *     from math import sqrt
 *
 *     def add(state, x):
 *         items, total, squares = state
 *         return items + 1, total + x, squares + x * x
 *
 *     items, total, squares = reduce(add, (i * 0.01 for i in range(100000)), (0, 0.0, 0.0))
 *     mean = total / items
 *     print("Mean %.3f, standard deviation %.3f" % (mean, sqrt(squares / items - mean * mean)))
 *
 * Runs as it is, or under mpirun or srun. */
#include <math.h>
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 100000

struct sums {
    double items, total, squares;
};

static int add(mpm_call *call, const void *item, void *state)
{
    double x = *(const double *)item;
    struct sums *sums = state;

    (void)call;
    sums->items++;
    sums->total += x;
    sums->squares += x * x;
    return 0;
}

static void combine(void *state, const void *later, const void *context)
{
    struct sums *sums = state;
    const struct sums *other = later;

    (void)context;
    sums->items += other->items;
    sums->total += other->total;
    sums->squares += other->squares;
}

static int reduce_with(unsigned workers, const double *numbers, struct sums *sums)
{
    const mpm_reduction reduction = {
        .accumulate = add, .combine = combine, .item_size = sizeof(double), .state_size = sizeof *sums};
    mpm_pool *pool;
    int status = mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool);

    if (status)
        return status;
    status = mpm_pool_reduce(pool, &reduction, numbers, COUNT, sums);
    mpm_pool_close(pool);
    return status;
}

int main(int argc, char **argv)
{
    struct sums one, three;
    void *memory;
    double *numbers, mean;

    if (mpm_init(&argc, &argv, NULL) || mpm_alloc(COUNT * sizeof *numbers, &memory))
        return mpm_report_error();
    numbers = memory;
    for (int i = 0; i < COUNT; i++)
        numbers[i] = i * 0.01;
    if (reduce_with(1, numbers, &one) || reduce_with(3, numbers, &three))
        return mpm_report_error();
    mean = one.total / one.items;
    if (memcmp(&one, &three, sizeof one) == 0)
        printf("Mean %.3f, standard deviation %.3f\n", mean, sqrt(one.squares / one.items - mean * mean));
    mpm_free(memory);
    return mpm_finalize();
}

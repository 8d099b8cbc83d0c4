/* SPDX-License-Identifier: BSD-3-Clause */
/* What every worker needs is made once in each: here a table of square roots. In Python:
 *
 *     import math
 *     import multiprocessing
 *
 *     def make_table(size):
 *         global table
 *         table = [math.sqrt(n) for n in range(size)]
 *
 *     def look_up(n):
 *         return table[n]
 *
 *     if __name__ == "__main__":
 *         with multiprocessing.Pool(2, initializer=make_table, initargs=(100,)) as pool:
 *             print(pool.map(look_up, [4, 9, 81]))
 *
 * Runs as it is, or under mpirun or srun. */
#include <math.h>
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>

static int make_table(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    const int *size = argument;
    double *table = malloc((size_t)*size * sizeof *table);

    (void)argument_size;
    if (!table)
        return mpm_fail(call, "there is no memory for a table of %d roots", *size);
    for (int n = 0; n < *size; n++)
        table[n] = sqrt(n);
    *state = table;
    return 0;
}

static int look_up(mpm_call *call, const void *item, void *result)
{
    const double *table = mpm_call_state(call);

    *(double *)result = table[*(const int *)item];
    return 0;
}

int main(int argc, char **argv)
{
    int size = 100, numbers[] = {4, 9, 81};
    mpm_pool_options options = {.workers = 2,
                                .initializer = make_table,
                                .initializer_argument = &size,
                                .initializer_argument_size = sizeof size,
                                .finalizer = free};
    double roots[3];
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&options, &pool) ||
        mpm_map(pool, look_up, numbers, 3, roots))
        return mpm_report_error();
    printf("[%.1f, %.1f, %.1f]\n", roots[0], roots[1], roots[2]);
    return mpm_finalize();
}

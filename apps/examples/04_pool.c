/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool of two workers squares five numbers. In Python:
 *
 *     import multiprocessing
 *
 *     def square_number(n):
 *         return n * n
 *
 *     if __name__ == "__main__":
 *         numbers = [1, 2, 3, 4, 5]
 *
 *         with multiprocessing.Pool(processes=2) as pool:
 *             results = pool.map(square_number, numbers)
 *
 *         print("Squared numbers:", results)
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int square_number(mpm_call *call, const void *item, void *result)
{
    const int *number = item;
    int *square = result;

    (void)call;
    *square = *number * *number;
    return 0;
}

int main(int argc, char **argv)
{
    int numbers[] = {1, 2, 3, 4, 5}, squares[5];
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))
        return mpm_report_error();
    if (mpm_map(pool, square_number, numbers, 5, squares))
        return mpm_report_error();
    mpm_pool_close(pool);

    printf("Squared numbers: [%d, %d, %d, %d, %d]\n", squares[0], squares[1], squares[2], squares[3],
           squares[4]);
    return mpm_finalize();
}

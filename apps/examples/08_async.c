/* SPDX-License-Identifier: BSD-3-Clause */
/* A map that nobody waits for yet, with a callback, and a single call beside it. In Python:
 *
 *     import multiprocessing
 *
 *     def square(n):
 *         return n * n
 *
 *     def tell(results):
 *         print("Squared numbers:", results)
 *
 *     if __name__ == "__main__":
 *         with multiprocessing.Pool(2) as pool:
 *             result = pool.map_async(square, [1, 2, 3, 4, 5], callback=tell)
 *             result.wait()
 *             print("Six squared:", pool.apply(square, (6,)))
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int square(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

static void tell(mpm_result *result, void *argument)
{
    const int *squares = argument;

    (void)result;
    printf("Squared numbers: [%d, %d, %d, %d, %d]\n", squares[0], squares[1], squares[2], squares[3],
           squares[4]);
}

int main(int argc, char **argv)
{
    int numbers[] = {1, 2, 3, 4, 5}, squares[5], six = 6, square_of_six;
    mpm_callbacks callbacks = {.done = tell, .argument = squares};
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool) ||
        mpm_pool_map_async(pool, square, numbers, 5, sizeof *numbers, sizeof *squares, NULL, &callbacks,
                           squares, NULL) ||
        mpm_apply(pool, square, &six, &square_of_six) || mpm_pool_close(pool)) /* it waits for the callback */
        return mpm_report_error();

    printf("Six squared: %d\n", square_of_six);
    return mpm_finalize();
}

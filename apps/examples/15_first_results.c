/* SPDX-License-Identifier: BSD-3-Clause */
/* Results are taken in the order in which they become ready; meanwhile the pool takes nothing new. In Python:
 *
 *     from concurrent.futures import ProcessPoolExecutor, as_completed
 *
 *     def square(n):
 *         return n * n
 *
 *     if __name__ == "__main__":
 *         executor = ProcessPoolExecutor(2)
 *         futures = [executor.submit(square, n) for n in range(1, 6)]
 *         executor.shutdown(wait=False)
 *         for future in as_completed(futures):
 *             print("Result:", future.result())
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

int main(int argc, char **argv)
{
    mpm_result *results[5];
    const void *squared;
    mpm_pool *pool;
    size_t ready;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))
        return mpm_report_error();
    for (int i = 0, n = 1; i < 5; i++, n++)
        if (mpm_pool_apply_async(pool, square, &n, sizeof n, sizeof n, NULL, &results[i]))
            return mpm_report_error();
    if (mpm_pool_shutdown(pool, MPM_FINISH)) /* it returns at once */
        return mpm_report_error();

    for (int left = 5; left; left--) {
        if (mpm_result_wait_any(results, 5, MPM_FOREVER, &ready) ||
            mpm_result_get(results[ready], 0, &squared))
            return mpm_report_error();
        printf("Result: %d\n", *(const int *)squared);
        mpm_result_destroy(results[ready]);
        results[ready] = NULL; /* it is passed over from here on */
    }
    if (mpm_pool_join(pool, MPM_FOREVER))
        return mpm_report_error();
    return mpm_finalize();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Items that fail, and one that crashes: all others are good. Python ends the map at the first exception, and waits
 * for ever for a worker that has crashed, so this is an exception alone:
 *
 *     import multiprocessing
 *
 *     def invert(n):
 *         return 100 // n
 *
 *     if __name__ == "__main__":
 *         with multiprocessing.Pool(2) as pool:
 *             try:
 *                 pool.map(invert, [1, 0, 4])
 *             except ZeroDivisionError as error:
 *                 print(error)
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>

static int invert(mpm_call *call, const void *item, void *result)
{
    const int *number = item;

    if (*number == 0)
        return mpm_fail(call, "%d cannot be inverted", *number);
    if (*number == 13)
        abort(); /* a bug */
    *(int *)result = 100 / *number;
    return 0;
}

int main(int argc, char **argv)
{
    int numbers[] = {1, 0, 4, 13, 5}, results[5], status;
    mpm_failure *failures;
    size_t failure_count;
    mpm_map_options options = {.failures = &failures, .failure_count = &failure_count};
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(NULL, &pool))
        return mpm_report_error();
    status = mpm_pool_map(pool, invert, numbers, 5, sizeof *numbers, sizeof *results, &options, results);
    if (status && status != MPM_ETASK)
        return mpm_report_error();

    printf("Results: [%d, %d, %d, %d, %d]\n", results[0], results[1], results[2], results[3], results[4]);
    for (size_t i = 0; i < failure_count; i++)
        printf("Item %d failed after %u runs: %s\n", (int)failures[i].index, failures[i].attempts,
               failures[i].text);
    free(failures);
    return mpm_finalize();
}

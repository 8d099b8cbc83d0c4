/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that lasts until somebody ends it: what deaths.sh and idle.sh do things to.
 *
 *   long_run map          a map without end in sight, of items that compute for some milliseconds
 *   long_run idle S       a pool that has nothing to do, for S seconds
 *
 * Prints "running" once its workers run. */
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int compute(mpm_call *call, const void *item, void *result)
{
    volatile double sum = 0;

    (void)item;
    for (int i = 0; i < 3000000; i++)
        sum += (double)i;
    memcpy(result, &(double){sum + (double)mpm_call_index(call)}, sizeof(double));
    return 0;
}

static int map_for_long(mpm_pool *pool)
{
    static double results[10000000];

    return mpm_pool_map(pool, compute, NULL, sizeof results / sizeof *results, 0, sizeof *results, NULL,
                        results);
}

int main(int argc, char **argv)
{
    mpm_pool *pool;
    int status = MPM_OK;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(NULL, &pool))
        return mpm_report_error();
    puts("running");
    fflush(stdout);
    if (argc > 2 && !strcmp(argv[1], "idle"))
        nanosleep(&(struct timespec){.tv_sec = atoi(argv[2])}, NULL);
    else
        status = map_for_long(pool);
    if (status)
        mpm_report_error();
    mpm_pool_close(pool);
    return mpm_finalize() || status ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A map over items that are made while it runs: results come as soon as they are ready, in order. In Python:
 *
 *     import multiprocessing
 *
 *     def steps(n):
 *         count = 0
 *         while n != 1:
 *             n = 3 * n + 1 if n % 2 else n // 2
 *             count += 1
 *         return count
 *
 *     if __name__ == "__main__":
 *         longest = (0, 0)
 *         with multiprocessing.Pool() as pool:
 *             for n, count in enumerate(pool.imap(steps, range(1, 100000), chunksize=1000), 1):
 *                 longest = max(longest, (count, n))
 *         print("Most steps to 1 below 100000: %d, from %d" % longest)
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

struct range {
    long long next, end;
};

static int next_number(void *argument, void *item)
{
    struct range *range = argument;

    if (range->next == range->end)
        return 0; /* the end of the stream */
    *(long long *)item = range->next++;
    return 1;
}

static int steps(mpm_call *call, const void *item, void *result)
{
    int *count = result;

    (void)call;
    *count = 0;
    for (long long n = *(const long long *)item; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
        ++*count;
    return 0;
}

int main(int argc, char **argv)
{
    struct range range = {1, 100000};
    int count, most = 0, status;
    uint64_t index, from = 0;
    mpm_stream *stream;
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(NULL, &pool) ||
        mpm_pool_imap(pool, steps, next_number, &range, sizeof range.next, sizeof count, NULL, &stream))
        return mpm_report_error();

    while (!(status = mpm_stream_next(stream, MPM_FOREVER, &count, &index)))
        if (count > most)
            most = count, from = index + 1;
    if (status != MPM_ECLOSED) /* anything but the end */
        return mpm_report_error();
    mpm_stream_close(stream);

    printf("Most steps to 1 below 100000: %d, from %d\n", most, (int)from);
    return mpm_finalize();
}

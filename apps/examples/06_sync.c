/* SPDX-License-Identifier: BSD-3-Clause */
/* Four processes count the primes below a million: an event starts them, a semaphore lets two of them sieve at
 * a time, a lock guards the table, and a barrier separates counting from reading what the others found. In Python:
 *
 *     import multiprocessing
 *
 *     SHARE = 250000
 *
 *     def sieve(first):
 *         composite = bytearray(SHARE)
 *         for d in range(2, int((first + SHARE) ** 0.5) + 1):
 *             start = max(d * d, -(-first // d) * d) - first
 *             if start < SHARE:
 *                 composite[start::d] = bytes([1]) * len(range(start, SHARE, d))
 *         return [first + i for i in range(SHARE) if not composite[i] and first + i > 1]
 *
 *     def count_primes(number, start, sieving, lock, counted, table):
 *         start.wait()
 *         with sieving:
 *             primes = sieve(number * SHARE)
 *         with lock:
 *             table[number] = len(primes)
 *             table[4] = max(table[4], primes[-1])
 *         counted.wait()
 *         assert sum(table[:4]) == 78498  # everybody sees all shares
 *
 *     if __name__ == "__main__":
 *         start, lock = multiprocessing.Event(), multiprocessing.Lock()
 *         sieving, counted = multiprocessing.BoundedSemaphore(2), multiprocessing.Barrier(4)
 *         table = multiprocessing.Array('i', 5, lock=False)
 *         workers = [multiprocessing.Process(target=count_primes, args=(i, start, sieving, lock, counted, table))
 *                    for i in range(4)]
 *         for w in workers:
 *             w.start()
 *         start.set()
 *         for w in workers:
 *             w.join()
 *         for i in range(4):
 *             print(f"{table[i]} primes from {i * SHARE} to {(i + 1) * SHARE - 1}")
 *         print(f"{sum(table[:4])} primes below {4 * SHARE}, the largest is {table[4]}")
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

#define WORKERS 4
#define SHARE   250000

struct job {
    mpm_event start;
    mpm_semaphore sieving;
    mpm_lock lock;
    mpm_barrier counted;
    mpm_array table; /* primes in each share, and the largest prime so far */
    int number;      /* of the worker */
};

/* Primes from `first` on, SHARE numbers; the largest of them. */
static int sieve(int first, int *largest)
{
    static char is_composite[SHARE];
    int count = 0;

    for (int d = 2; d * d < first + SHARE; d++)
        for (int n = first / d > d ? first / d * d : d * d; n < first + SHARE; n += d)
            if (n >= first)
                is_composite[n - first] = 1;
    for (int n = first < 2 ? 2 : first; n < first + SHARE; n++)
        if (!is_composite[n - first])
            count++, *largest = n;
    return count;
}

static int count_primes(const void *args, size_t size)
{
    const struct job *job = args;
    int count, largest = 0, known, table[WORKERS], total = 0;

    (void)size;
    if (mpm_event_wait(job->start, MPM_FOREVER) || mpm_semaphore_acquire(job->sieving, MPM_FOREVER))
        return mpm_report_error();
    count = sieve(job->number * SHARE, &largest);
    if (mpm_semaphore_release(job->sieving) || mpm_lock_acquire(job->lock, MPM_FOREVER) ||
        mpm_array_set(job->table, (size_t)job->number, &count) ||
        mpm_array_get(job->table, WORKERS, &known) ||
        (largest > known && mpm_array_set(job->table, WORKERS, &largest)) || mpm_lock_release(job->lock) ||
        mpm_barrier_wait(job->counted, MPM_FOREVER, NULL) || mpm_array_read(job->table, 0, WORKERS, table))
        return mpm_report_error();
    for (int i = 0; i < WORKERS; i++)
        total += table[i];
    return total == 78498 ? 0 : 1; /* everybody sees all shares */
}

int main(int argc, char **argv)
{
    mpm_process workers[WORKERS];
    int table[WORKERS + 1], exitcode, total = 0;
    struct job job;

    if (mpm_init(&argc, &argv, NULL) || mpm_event_create(&job.start) ||
        mpm_bounded_semaphore_create(2, &job.sieving) || mpm_lock_create(&job.lock) ||
        mpm_barrier_create(WORKERS, NULL, &job.counted) ||
        mpm_array_create(MPM_I32, WORKERS + 1, NULL, &job.table))
        return mpm_report_error();
    for (job.number = 0; job.number < WORKERS; job.number++)
        if (mpm_process_start(count_primes, &job, sizeof job, NULL, &workers[job.number]))
            return mpm_report_error();
    if (mpm_event_set(job.start))
        return mpm_report_error();
    for (int i = 0; i < WORKERS; i++) {
        if (mpm_process_join(workers[i], MPM_FOREVER) || mpm_process_exitcode(workers[i], &exitcode))
            return mpm_report_error();
        if (exitcode)
            return exitcode;
    }
    if (mpm_array_read(job.table, 0, WORKERS + 1, table))
        return mpm_report_error();
    for (int i = 0; i < WORKERS; i++) {
        printf("%d primes from %d to %d\n", table[i], i * SHARE, (i + 1) * SHARE - 1);
        total += table[i];
    }
    printf("%d primes below %d, the largest is %d\n", total, WORKERS * SHARE, table[WORKERS]);
    return mpm_finalize();
}

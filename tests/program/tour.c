/* SPDX-License-Identifier: BSD-3-Clause */
/* Something of everything that a run can do, on all of its nodes: for one_thread.sh.
 *
 *   tour finalize   ends the run, and returns
 *   tour exit       calls exit(), with all that is open
 *   tour thread     does so in another thread than that of main() */
#include <mpmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS    2000
#define MESSAGES 500u

static int square(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(long *)result = *(const int *)item * (long)*(const int *)item;
    return 0;
}

static int map(mpm_pool *pool)
{
    static int items[ITEMS];
    static long results[ITEMS];

    for (int i = 0; i < ITEMS; i++)
        items[i] = i;
    if (mpm_pool_map(pool, square, items, ITEMS, sizeof *items, sizeof *results, NULL, results))
        return mpm_report_error();
    for (int i = 0; i < ITEMS; i++) {
        if (results[i] != i * (long)i)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int put_numbers(const void *args, size_t size)
{
    const mpm_queue *queue = args;

    (void)size;
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (mpm_queue_put(*queue, &i, sizeof i, MPM_FOREVER))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* Numbers from a process of each node, to a queue of main's. */
static int exchange(void)
{
    mpm_process process;
    mpm_queue queue;
    unsigned number;

    if (mpm_queue_create(NULL, &queue))
        return mpm_report_error();
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};

        if (mpm_process_start(put_numbers, &queue, sizeof queue, &options, &process))
            return mpm_report_error();
        for (unsigned i = 0; i < MESSAGES; i++) {
            if (mpm_queue_get(queue, MPM_FOREVER, &number, sizeof number, NULL) || number != i)
                return EXIT_FAILURE;
        }
        if (mpm_process_join(process, MPM_FOREVER))
            return mpm_report_error();
    }
    return EXIT_SUCCESS;
}

static void *leave(void *unused)
{
    (void)unused;
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    pthread_t thread;
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(NULL, &pool))
        return mpm_report_error();
    if (map(pool) || exchange())
        return EXIT_FAILURE;
    printf("%u nodes, %u ranks, MPI: %s\n", mpm_node_count(), mpm_rank_count(), mpm_mpi_version());
    if (!strcmp(way, "exit"))
        leave(NULL);
    if (!strcmp(way, "thread") && !pthread_create(&thread, NULL, leave, NULL))
        pthread_join(thread, NULL);
    return mpm_finalize();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that starts a run and leaves main in some way that is not mpm_finalize: for launch.sh.
 *
 *   ending return CODE    returns CODE from main, with a pool open
 *   ending exit CODE      calls exit(CODE), with a pool open
 *   ending in-map CODE    calls exit(CODE) while another thread is in a map
 *   ending in-puts CODE   calls exit(CODE) while processes of the last node put into a queue of main's
 *   ending in-calls CODE  calls exit(CODE) while another thread puts into a queue and gets
 *   ending in-wait CODE   calls exit(CODE) while a process of its node waits for an event, and would say how that ended
 *   ending start CODE     calls exit(CODE) when mpm_init has returned
 *
 * Prints "started" when mpm_init has returned. */
#include <mpmap.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sem_t runs;

static int add_up(mpm_call *call, const void *item, void *result)
{
    volatile double sum = 0;

    (void)call;
    (void)item;
    for (int i = 0; i < 30000; i++)
        sum += (double)i;
    *(double *)result = sum;
    return 0;
}

static int map(mpm_pool *pool, size_t count, void (*progress)(const mpm_progress *, void *))
{
    double *results = calloc(count, sizeof *results);
    int status;

    if (!results)
        return EXIT_FAILURE;
    status = mpm_pool_map(pool, add_up, NULL, count, 0, sizeof *results,
                          &(mpm_map_options){.progress = progress}, results);
    free(results);
    return status ? mpm_report_error() : EXIT_SUCCESS;
}

static void tell(const mpm_progress *now, void *unused)
{
    (void)unused;
    if (now->done)
        sem_post(&runs);
}

static void *map_for_long(void *pool)
{
    map(pool, 10000000, tell);
    return NULL;
}

static int wait_for_map(mpm_pool *pool)
{
    pthread_t thread;

    if (sem_init(&runs, 0, 0) || pthread_create(&thread, NULL, map_for_long, pool))
        return EXIT_FAILURE;
    while (sem_wait(&runs))
        ;
    return EXIT_SUCCESS;
}

/* The largest messages that travel together. */
static int put_without_end(const void *args, size_t size)
{
    static char message[8 << 10];
    const mpm_queue *queue = args;

    (void)size;
    while (!mpm_queue_put(*queue, message, sizeof message, MPM_FOREVER))
        ;
    return EXIT_FAILURE;
}

static int wait_for_puts(void)
{
    mpm_process_options options = {.place = MPM_ON_NODE(mpm_node_count() - 1), .daemon = 1};
    char message[8 << 10];
    mpm_process process;
    mpm_queue queue;

    if (mpm_queue_create(NULL, &queue))
        return mpm_report_error();
    for (int i = 0; i < 3; i++) {
        if (mpm_process_start(put_without_end, &queue, sizeof queue, &options, &process))
            return mpm_report_error();
    }
    for (int i = 0; i < 100; i++) {
        if (mpm_queue_get(queue, MPM_FOREVER, message, sizeof message, NULL))
            return mpm_report_error();
    }
    return EXIT_SUCCESS;
}

struct waiter {
    mpm_event is_there, never;
};

static int wait_for_ever(const void *args, size_t size)
{
    const struct waiter *waiter = args;

    (void)size;
    if (mpm_event_set(waiter->is_there) || mpm_event_wait(waiter->never, MPM_FOREVER))
        return mpm_report_error();
    return EXIT_SUCCESS;
}

static int wait_for_waiter(void)
{
    mpm_process_options options = {.place = MPM_ON_NODE(0)};
    struct waiter waiter;
    mpm_process process;

    if (mpm_event_create(&waiter.is_there) || mpm_event_create(&waiter.never) ||
        mpm_process_start(wait_for_ever, &waiter, sizeof waiter, &options, &process) ||
        mpm_event_wait(waiter.is_there, MPM_FOREVER))
        return mpm_report_error();
    return EXIT_SUCCESS;
}

static void *put_and_get(void *queue)
{
    char message[8] = "";

    for (unsigned long i = 0;; i++) {
        if (i == 1000)
            sem_post(&runs);
        if (mpm_queue_put(*(mpm_queue *)queue, message, sizeof message, 0) ||
            mpm_queue_get(*(mpm_queue *)queue, 0, message, sizeof message, NULL))
            continue; /* also when there is no run any more */
    }
    return NULL;
}

static int wait_for_calls(void)
{
    static mpm_queue queue;
    pthread_t thread;

    if (mpm_queue_create(NULL, &queue))
        return mpm_report_error();
    if (sem_init(&runs, 0, 0) || pthread_create(&thread, NULL, put_and_get, &queue))
        return EXIT_FAILURE;
    while (sem_wait(&runs))
        ;
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *way = argc == 3 ? argv[1] : "";
    int code = argc == 3 ? atoi(argv[2]) : EXIT_FAILURE;
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    puts("started");
    fflush(stdout);
    if (!strcmp(way, "start"))
        exit(code);
    if (mpm_pool_open(NULL, &pool))
        return mpm_report_error();
    if (map(pool, 100, NULL) || (!strcmp(way, "in-map") && wait_for_map(pool)) ||
        (!strcmp(way, "in-puts") && wait_for_puts()) || (!strcmp(way, "in-calls") && wait_for_calls()) ||
        (!strcmp(way, "in-wait") && wait_for_waiter()))
        return EXIT_FAILURE;
    if (strcmp(way, "return"))
        exit(code);
    return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that is in one call of a pool until somebody ends it: what interrupt.sh does things to.
 *
 *   interrupted map|wait|apply|imap|blobs|close|terminate
 *
 * A worker prints "running" once it runs an item of that call. */
#include <mpmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 100000 };

static int compute(mpm_call *call, const void *item, void *result)
{
    volatile double sum = 0;

    (void)item;
    (void)result;
    if (mpm_call_index(call) == 0) {
        puts("running");
        fflush(stdout);
    }
    for (int i = 0; i < 30000000; i++)
        sum += (double)i;
    return 0;
}

static int call_map(mpm_pool *pool)
{
    return mpm_pool_map(pool, compute, NULL, ITEMS, 0, 0, NULL, NULL);
}

static int begin_map(mpm_pool *pool)
{
    return mpm_pool_map_async(pool, compute, NULL, ITEMS, 0, 0, NULL, NULL, NULL, NULL);
}

static int call_wait(mpm_pool *pool)
{
    mpm_result *result;
    int status = mpm_pool_map_async(pool, compute, NULL, ITEMS, 0, 0, NULL, NULL, NULL, &result);

    return status ? status : mpm_result_wait(result, MPM_FOREVER);
}

static int call_apply(mpm_pool *pool)
{
    int status;

    while (!(status = mpm_pool_apply(pool, compute, NULL, 0, 0, NULL)))
        ;
    return status;
}

static int make_item(void *argument, void *item)
{
    (void)argument;
    memset(item, 0, 1);
    return 1;
}

static int call_imap(mpm_pool *pool)
{
    mpm_stream *stream;
    int status = mpm_pool_imap(pool, compute, make_item, NULL, 1, 0, NULL, &stream);

    while (!status)
        status = mpm_stream_next(stream, MPM_FOREVER, NULL, NULL);
    return status;
}

static int call_blobs(mpm_pool *pool)
{
    static mpm_blob items[ITEMS];
    mpm_blob *results;

    return mpm_pool_map_blobs(pool, compute, items, ITEMS, NULL, &results);
}

static int call_close(mpm_pool *pool)
{
    int status = begin_map(pool);

    if (!status)
        mpm_pool_close(pool);
    return status;
}

/* One after the other: a call is over soon. */
static int call_terminate(mpm_pool *pool)
{
    int status;

    while (!(status = begin_map(pool))) {
        mpm_pool_terminate(pool);
        if ((status = mpm_pool_open(NULL, &pool)))
            break;
    }
    return status;
}

static const struct {
    const char *name;
    int (*call)(mpm_pool *pool);
} calls[] = {
    {"map", call_map},     {"wait", call_wait},   {"apply", call_apply},         {"imap", call_imap},
    {"blobs", call_blobs}, {"close", call_close}, {"terminate", call_terminate},
};

int main(int argc, char **argv)
{
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(NULL, &pool))
        return mpm_report_error();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (argc == 2 && !strcmp(argv[1], calls[i].name) && calls[i].call(pool))
            mpm_report_error();
    }
    return EXIT_FAILURE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench apply: round trips of single calls to a worker that looks on, beside two processes that spin, and to one
 * that sleeps, beside two processes that sleep on a futex. mpmap bench imap and blobs: rates of streams and of items of
 * any length, beside a map of the same items. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "bench.h"
#include "bench_sleepy.h"
#include "ping_pong.h"

#define DEFAULT_SECONDS 0.3
#define BLOB_SIZE       1000

#define OPTIONS                                                               \
    "\n"                                                                      \
    "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n" \
    "  --json        prints a JSON array\n"                                   \
    "  --help        prints this\n"

static const char apply_help[] =
    "usage: mpmap bench apply [--json] [--seconds S]\n"
    "\n"
    "Round trips of a single call to a worker of this node, which looks on or sleeps.\n" OPTIONS;

static const char imap_help[] = "usage: mpmap bench imap [--json] [--seconds S]\n"
                                "\n"
                                "Items of 8 bytes through a stream, beside a map of them.\n" OPTIONS;

static const char blobs_help[] =
    "usage: mpmap bench blobs [--json] [--seconds S]\n"
    "\n"
    "Items of about 1 kB with results as long, beside a map of items of one size.\n" OPTIONS;

static int run_spin(const void *unused, uint64_t count)
{
    pid_t partner;
    struct table *table = table_open(false, &partner);

    (void)unused;
    if (!table)
        return MPM_ESYSTEM;
    for (uint64_t i = 0; i < count; i++)
        table_play(table, false);
    table_close(table, partner);
    return 0;
}

/* Ours. */

static mpm_pool *pool;

static int do_nothing(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return 0;
}

static int run_apply(const void *unused, uint64_t count)
{
    int status = 0;

    (void)unused;
    for (uint64_t i = 0; !status && i < count; i++)
        status = mpm_pool_apply(pool, do_nothing, NULL, 0, 0, NULL);
    return status;
}

static int apply_once(mpm_pool *of)
{
    return mpm_pool_apply(of, do_nothing, NULL, 0, 0, NULL);
}

static int measure_apply(double seconds, struct bench_figure *figures)
{
    struct bench_case cases[] = {{.run = run_spin}, {.run = run_apply}};
    int status = bench_measure(cases, sizeof cases / sizeof *cases, seconds);

    if (status)
        return status;
    figures[0] = (struct bench_figure){"apply, the worker looks on", bench_rate(&cases[1]), "/s",
                                       bench_rate(&cases[0]), "spin ping-pong"};
    return bench_sleepy(pool,
                        &(struct bench_sleepy){apply_once,
                                               {"apply, the worker sleeps on this CPU",
                                                "apply, the worker sleeps on another CPU"},
                                               true},
                        &figures[1]);
}

/* Streams and blobs. */

static int run_map(const void *size, uint64_t count)
{
    char *items = calloc(count, *(const size_t *)size), *results = calloc(count, *(const size_t *)size);
    int status = MPM_ENOMEM;

    if (items && results)
        status = mpm_pool_map(pool, do_nothing, items, count, *(const size_t *)size, *(const size_t *)size,
                              NULL, results);
    free(items);
    free(results);
    return status;
}

static int make_item(void *left, void *item)
{
    memset(item, 0, sizeof(uint64_t));
    return (*(uint64_t *)left)-- > 0;
}

static int run_imap(const void *size, uint64_t count)
{
    /* The generator's and the caller's thread write one each. */
    _Alignas(128) uint64_t left = count;
    _Alignas(128) uint64_t result;
    mpm_stream *stream;
    int status = mpm_pool_imap(pool, do_nothing, make_item, &left, *(const size_t *)size,
                               *(const size_t *)size, &(mpm_stream_options){.buffer = 100000}, &stream);

    if (status)
        return status;
    for (uint64_t i = 0; !status && i < count; i++)
        status = mpm_stream_next(stream, MPM_FOREVER, &result, NULL);
    mpm_stream_close(stream);
    return status;
}

static int echo(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    void *room = mpm_call_blob(call, size);

    (void)result;
    if (!room)
        return 1;
    memcpy(room, item, size);
    return 0;
}

static int run_blobs(const void *size, uint64_t count)
{
    char *bytes = calloc(2, *(const size_t *)size);
    mpm_blob *items = calloc(count, sizeof *items), *results = NULL;
    int status = MPM_ENOMEM;

    if (bytes && items) {
        for (uint64_t i = 0; i < count; i++)
            items[i] = (mpm_blob){bytes, *(const size_t *)size + i % 200 - 100};
        status = mpm_pool_map_blobs(pool, echo, items, count, NULL, &results);
    }
    mpm_blobs_free(results);
    free(items);
    free(bytes);
    return status;
}

static int measure_beside_map(const char *name, int (*run)(const void *size, uint64_t count), size_t size,
                              double seconds, struct bench_figure *figure)
{
    struct bench_case cases[] = {{.run = run_map, .argument = &size}, {.run = run, .argument = &size}};
    int status = bench_measure(cases, sizeof cases / sizeof *cases, seconds);

    if (!status)
        *figure = (struct bench_figure){name, bench_rate(&cases[1]), "items/s", bench_rate(&cases[0]),
                                        "a map of the same bytes"};
    return status;
}

static int measure_imap(double seconds, struct bench_figure *figures)
{
    return measure_beside_map("imap, 8 bytes", run_imap, sizeof(uint64_t), seconds, figures);
}

static int measure_blobs(double seconds, struct bench_figure *figures)
{
    return measure_beside_map("blobs, 1 kB", run_blobs, BLOB_SIZE, seconds, figures);
}

struct calls {
    const char *name, *help;
    int (*measure)(double seconds, struct bench_figure *figures);
    size_t count; /* of figures */
    unsigned workers;
};

static int run(const struct calls *calls, int argc, char **argv)
{
    struct bench_options options = {.name = calls->name, .help = calls->help, .seconds = DEFAULT_SECONDS};
    struct bench_figure figures[3];
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    if (mpm_pool_open(&(mpm_pool_options){.workers = calls->workers}, &pool))
        return mpm_report_error();
    if (calls->measure(options.seconds, figures))
        return mpm_report_error();
    mpm_pool_close(pool);
    bench_print(figures, calls->count, options.json);
    return 0;
}

int bench_apply(int argc, char **argv)
{
    return run(&(struct calls){"bench apply", apply_help, measure_apply, 3, 1}, argc, argv);
}

int bench_imap(int argc, char **argv)
{
    return run(&(struct calls){"bench imap", imap_help, measure_imap, 1, 0}, argc, argv);
}

int bench_blobs(int argc, char **argv)
{
    return run(&(struct calls){"bench blobs", blobs_help, measure_blobs, 1, 0}, argc, argv);
}

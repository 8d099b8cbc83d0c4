/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench map: what a map costs an item, beside a loop of OpenMP that does the same, and beside Python's
 * pool. Nothing of an item but the call is measured with empty ones, so the task and the function of the loop
 * are kept from being inlined. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mpmap.h>

#include "bench.h"

#define SQUARES         ((size_t)1 << 20) /* items of one map: more of them are further maps */
#define BUSY_ITEM_NS    1000000
#define DEFAULT_WORKERS 2
#define DEFAULT_SECONDS 0.3

/* Without OpenMP its loops run in one thread. */
#ifdef _OPENMP
static const char loop_name[] = "OpenMP schedule(dynamic,1)";
#else
static const char loop_name[] = "a loop in one thread, without OpenMP";
#endif

static const char help[] = "usage: mpmap bench map [--json] [--seconds S] [--workers N]\n"
                           "\n"
                           "Items a second of mpm_pool_map, each figure beside its limit in the same run.\n"
                           "\n"
                           "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n"
                           "  --workers N   workers of the pool, and threads of OpenMP (2)\n"
                           "  --json        prints a JSON array\n"
                           "  --help        prints this\n";

/* What the cases work with. */
struct bench_map {
    mpm_pool *pool;
    size_t chunk;
    int threads;
    int *numbers, *squares; /* shared memory */
};

static int empty_task(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return 0;
}

static int square_task(mpm_call *call, const void *item, void *result)
{
    int number = *(const int *)item;

    (void)call;
    *(int *)result = number * number;
    return 0;
}

static int64_t cpu_time_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

static int busy_task(mpm_call *call, const void *item, void *result)
{
    int64_t end_ns = cpu_time_ns() + BUSY_ITEM_NS;

    (void)call;
    (void)item;
    (void)result;
    while (cpu_time_ns() < end_ns)
        ;
    return 0;
}

static int map_empty(const void *argument, uint64_t count)
{
    const struct bench_map *bench = argument;
    mpm_map_options options = {.chunk = bench->chunk};

    return mpm_pool_map(bench->pool, empty_task, NULL, count, 0, 0, &options, NULL);
}

static int map_busy(const void *argument, uint64_t count)
{
    const struct bench_map *bench = argument;

    return mpm_pool_map(bench->pool, busy_task, NULL, count, 0, 0, NULL, NULL);
}

static int map_squares(const void *argument, uint64_t count)
{
    const struct bench_map *bench = argument;
    mpm_map_options options = {.chunk = bench->chunk};
    int status = 0;

    for (uint64_t done = 0; done < count && !status; done += SQUARES)
        status = mpm_pool_map(bench->pool, square_task, bench->numbers,
                              count - done < SQUARES ? count - done : SQUARES, sizeof(int), sizeof(int),
                              &options, bench->squares);
    return status;
}

/* The compiler may neither inline the call nor see that it does nothing. */
static __attribute__((noinline)) void empty_function(void)
{
    __asm__ volatile("");
}

static __attribute__((noinline)) void square_function(const int *item, int *result)
{
    *result = *item * *item;
}

static int loop_empty(const void *argument, uint64_t count)
{
    const struct bench_map *bench = argument;

#pragma omp parallel for schedule(dynamic, 1) num_threads(bench->threads)
    for (uint64_t i = 0; i < count; i++)
        empty_function();
    return 0;
}

static void loop_some_squares(const struct bench_map *bench, uint64_t count)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(bench->threads)
    for (uint64_t i = 0; i < count; i++)
        square_function(&bench->numbers[i], &bench->squares[i]);
}

static int loop_squares(const void *argument, uint64_t count)
{
    for (uint64_t done = 0; done < count; done += SQUARES)
        loop_some_squares(argument, count - done < SQUARES ? count - done : SQUARES);
    return 0;
}

/* Each limit stands in front of the two that are measured against it. */
static int measure_items(struct bench_map *bench, double seconds, struct bench_figure *figures)
{
    static const char *const names[] = {NULL, "empty items, chunk 1", "empty items, adaptive",
                                        NULL, "squares, chunk 1",     "squares, adaptive"};
    struct bench_map single = *bench;
    struct bench_case cases[] = {
        {.run = loop_empty, .argument = bench},    {.run = map_empty, .argument = &single},
        {.run = map_empty, .argument = bench},     {.run = loop_squares, .argument = bench},
        {.run = map_squares, .argument = &single}, {.run = map_squares, .argument = bench},
    };
    int status;

    single.chunk = 1;
    status = bench_measure(cases, sizeof cases / sizeof cases[0], seconds);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && !status; i++)
        if (names[i])
            *figures++ = (struct bench_figure){names[i], bench_rate(&cases[i]), "items/s",
                                               bench_rate(&cases[i / 3 * 3]), loop_name};
    return status;
}

/* Python's items are the limits that its users know: ratios above 1 are times faster. */
static size_t add_python(unsigned workers, struct bench_figure *figures, size_t count)
{
    static const struct {
        const char *name, *chunk, *limit_name;
        size_t items;
    } rows[] = {{"empty items, chunk 1, beside Python", "1", "Python Pool.map, chunk 1", 10000},
                {"empty items, adaptive, beside Python", "None", "Python Pool.map, default chunk", 500000}};

    for (size_t i = 0; i < 2; i++) {
        char script[640];

        snprintf(script, sizeof script,
                 "def empty(item): pass\n"
                 "def once(pool):\n"
                 "    start = time.perf_counter()\n"
                 "    pool.map(empty, range(%zu), %s)\n"
                 "    return %zu / (time.perf_counter() - start)\n"
                 "with multiprocessing.get_context(\"fork\").Pool(%u) as pool:\n"
                 "    once(pool)\n"
                 "    print(statistics.median(once(pool) for _ in range(%d)))\n",
                 rows[i].items, rows[i].chunk, rows[i].items, workers, BENCH_REPETITIONS);
        count = bench_add_python(
            figures, count,
            (struct bench_figure){rows[i].name, figures[i].value, figures[i].unit, 0, rows[i].limit_name},
            script);
    }
    return count;
}

/* What attempts and a time limit cost where nothing crashes: pools that are alike but for those. */
static int measure_isolation(unsigned workers, double seconds, struct bench_figure *figures)
{
    static const char *const names[] = {"empty items, chunk 1, isolated", "empty items, adaptive, isolated"};
    const mpm_pool_options bare = {.workers = workers, .max_attempts = 1},
                           isolated = {.workers = workers, .max_attempts = 3, .item_timeout_s = 10};
    struct bench_map benches[] = {{.chunk = 1}, {.chunk = 1}, {.chunk = 0}, {.chunk = 0}};
    struct bench_case cases[4];
    int status;

    if ((status = mpm_pool_open(&bare, &benches[0].pool)))
        return status;
    if (!(status = mpm_pool_open(&isolated, &benches[1].pool))) {
        for (size_t i = 0; i < 4; i++) {
            benches[i].pool = benches[i % 2].pool;
            cases[i] = (struct bench_case){.run = map_empty, .argument = &benches[i]};
        }
        status = bench_measure(cases, 4, seconds);
        mpm_pool_close(benches[1].pool);
    }
    mpm_pool_close(benches[0].pool);
    for (size_t i = 0; !status && i < 2; i++)
        figures[i] = (struct bench_figure){names[i], bench_rate(&cases[2 * i + 1]), "items/s",
                                           bench_rate(&cases[2 * i]), "one attempt, without a time limit"};
    return status;
}

/* The share of the slots' time that goes into items, with one worker a slot. */
static int measure_busy(double seconds, struct bench_figure *figure)
{
    struct bench_map bench = {0};
    struct bench_case busy = {.run = map_busy, .argument = &bench};
    double slots = mpm_slot_count();
    int status = mpm_pool_open(NULL, &bench.pool);

    if (status)
        return status;
    status = bench_measure(&busy, 1, seconds);
    mpm_pool_close(bench.pool);
    if (status)
        return status;
    *figure = (struct bench_figure){"busy share, 1 ms items on all slots",
                                    bench_rate(&busy) * BUSY_ITEM_NS * 1e-9 / slots, "", 1,
                                    "every slot busy"};
    return 0;
}

static int share_numbers(struct bench_map *bench)
{
    void *numbers, *squares;
    int status = mpm_alloc(SQUARES * sizeof(int), &numbers);

    if (status)
        return status;
    status = mpm_alloc(SQUARES * sizeof(int), &squares);
    if (status) {
        mpm_free(numbers);
        return status;
    }
    bench->numbers = numbers;
    bench->squares = squares;
    for (size_t i = 0; i < SQUARES; i++)
        bench->numbers[i] = (int)(i % 10000);
    return 0;
}

static int measure_pool(unsigned workers, double seconds, struct bench_figure *figures)
{
    struct bench_map bench = {.threads = (int)workers};
    int status = mpm_pool_open(&(mpm_pool_options){.workers = workers}, &bench.pool);

    if (status)
        return status;
    status = share_numbers(&bench);
    if (!status)
        status = measure_items(&bench, seconds, figures);
    mpm_free(bench.numbers);
    mpm_free(bench.squares);
    mpm_pool_close(bench.pool);
    return status;
}

int bench_map(int argc, char **argv)
{
    struct bench_options options = {
        .name = "bench map", .help = help, .seconds = DEFAULT_SECONDS, .workers = DEFAULT_WORKERS};
    struct bench_figure figures[9];
    size_t count = 4;
    unsigned workers;
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    workers = (unsigned)options.workers;
    if (measure_pool(workers, options.seconds, figures))
        return mpm_report_error();
    count = add_python(workers, figures, count);
    if (measure_isolation(workers, options.seconds, figures + count) ||
        measure_busy(options.seconds, figures + count + 2))
        return mpm_report_error();
    bench_print(figures, count + 3, options.json);
    return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench metg: the minimum effective task granularity, as the Task Bench paper (Slaughter and others, 2020)
 * defines it: the shortest mean item, in time of a slot, at which all slots together do a given part of the
 * work that they do at their best. Time that a slot needs for an item besides the work counts as part of the
 * item. Items depend on nothing.
 *
 * The work is a chain of multiplications and additions, its length is searched by halving. Next to each length
 * a very long one is run in turn: what the machine does at its best at that time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "bench.h"
#include "support/command.h"

#define DEFAULT_SECONDS  0.03
#define LONGEST          65536u /* rounds in an item at which the machine is at its best: about 100 µs */
#define STEPS_PER_OCTAVE 4
#define STEPS            (16 * STEPS_PER_OCTAVE) /* up to the longest */
#define SERIES           3

static const char help[] =
    "usage: mpmap bench metg [--json] [--seconds S] [--workers N]\n"
    "\n"
    "METG(50 %) and METG(95 %) of mpm_pool_map: the shortest item, in seconds of a slot, at\n"
    "which all slots together do that part of the work that they do at their best.\n"
    "\n"
    "  --seconds S   length of each repetition (0.03)\n"
    "  --workers N   workers of the pool, and threads of OpenMP (one a slot)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* Whose items. */
enum series { ADAPTIVE, SINGLE, OPENMP };

struct bench_metg {
    mpm_pool *pool;
    unsigned workers;
    double seconds;
    double round_s; /* of a slot */
};

/* The compiler may neither shorten the chain nor know what comes out. */
static __attribute__((noinline)) void work(unsigned rounds)
{
    double x = 1.0;

    for (unsigned i = 0; i < rounds; i++) {
        x = x * 0.5 + 1.0;
        __asm__ volatile("" : "+x"(x));
    }
}

static int work_task(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    work(*(const unsigned *)mpm_call_context(call));
    return 0;
}

static int map_work(const struct bench_metg *bench, size_t chunk, unsigned rounds, uint64_t count)
{
    mpm_map_options options = {.chunk = chunk, .context = &rounds, .context_size = sizeof rounds};

    return mpm_pool_map(bench->pool, work_task, NULL, count, 0, 0, &options, NULL);
}

static void loop_work(const struct bench_metg *bench, unsigned rounds, uint64_t count)
{
    unsigned threads = bench->workers;

    (void)threads; /* where there is no OpenMP */
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (uint64_t i = 0; i < count; i++)
        work(rounds);
}

/* Time of a slot for an item of so many rounds: the shortest of a repetition and what was before. */
static int time_items(const struct bench_metg *bench, enum series series, unsigned rounds, uint64_t count,
                      double *item_s)
{
    double start_s = bench_now_s();
    int status = 0;

    if (series == OPENMP)
        loop_work(bench, rounds, count);
    else
        status = map_work(bench, series == SINGLE ? 1 : 0, rounds, count);
    *item_s = fmin(*item_s, (bench_now_s() - start_s) * bench->workers / (double)count);
    return status;
}

/* As many items as fill a repetition, if nothing but the work took time. */
static uint64_t count_of(const struct bench_metg *bench, unsigned rounds)
{
    return (uint64_t)fmax(1.0, bench->seconds * bench->workers / (rounds * bench->round_s));
}

/* Time of a slot for an item, and its part of work at the machine's best. */
static int measure_length(const struct bench_metg *bench, enum series series, unsigned rounds, double *item_s,
                          double *efficiency)
{
    double longest_s = INFINITY;
    int status = 0;

    *item_s = INFINITY;
    for (int repetition = 0; repetition < BENCH_REPETITIONS && !status; repetition++) {
        status = time_items(bench, series, LONGEST, count_of(bench, LONGEST), &longest_s);
        if (!status)
            status = time_items(bench, series, rounds, count_of(bench, rounds), item_s);
    }
    *efficiency = longest_s / LONGEST * rounds / *item_s;
    return status;
}

static unsigned rounds_of(int step)
{
    return (unsigned)lround(pow(2.0, (double)step / STEPS_PER_OCTAVE));
}

/* Searches the shortest item with that efficiency, which the longest has. */
static int search(const struct bench_metg *bench, enum series series, double wanted, double *metg_s)
{
    int low = 0, high = STEPS, status = 0;

    *metg_s = LONGEST * bench->round_s;
    while (low < high && !status) {
        int middle = (low + high) / 2;
        double item_s, efficiency;

        status = measure_length(bench, series, rounds_of(middle), &item_s, &efficiency);
        if (efficiency >= wanted) {
            high = middle;
            *metg_s = item_s;
        } else {
            low = middle + 1;
        }
    }
    return status;
}

/* How long a round takes, so that repetitions have their length. */
static double time_round(void)
{
    double shortest_s = INFINITY;

    for (int i = 0; i < BENCH_REPETITIONS; i++) {
        double start_s = bench_now_s();

        work(16 * LONGEST);
        shortest_s = fmin(shortest_s, bench_now_s() - start_s);
    }
    return shortest_s / (16 * LONGEST);
}

/* Both figures of ours, each beside OpenMP's, which knows one node only. */
static int measure(const struct bench_metg *bench, struct bench_figure *figures)
{
    static const double wanted[] = {0.5, 0.95};
    static const char *const names[SERIES - 1][2] = {{"METG(50 %), adaptive", "METG(95 %), adaptive"},
                                                     {"METG(50 %), chunk 1", "METG(95 %), chunk 1"}};
    int status = 0;

    for (int i = 0; i < 2; i++) {
        double metg_s[SERIES] = {0};

        for (int series = 0; series < SERIES && !status; series++)
            if (series != OPENMP || mpm_node_count() == 1)
                status = search(bench, (enum series)series, wanted[i], &metg_s[series]);
        for (int series = 0; series < OPENMP; series++)
            figures[2 * series + i] = (struct bench_figure){names[series][i], metg_s[series], "s",
                                                            metg_s[OPENMP], "OpenMP schedule(dynamic,1)"};
    }
    return status;
}

int bench_metg(int argc, char **argv)
{
    struct bench_figure figures[4];
    struct bench_metg bench = {.seconds = DEFAULT_SECONDS};
    size_t workers = 0;
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0},
                               {"--seconds", OPTION_SECONDS, &bench.seconds, 60},
                               {"--workers", OPTION_COUNT, &workers, 1024}};
    struct command command = {.name = "bench metg", .help = help, .options = options, .option_count = 3};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (mpm_pool_open(&(mpm_pool_options){.workers = (unsigned)workers}, &bench.pool))
        return mpm_report_error();
    bench.workers = mpm_pool_worker_count(bench.pool);
    bench.round_s = time_round();
    exit_status = measure(&bench, figures) ? mpm_report_error() : EXIT_SUCCESS;
    mpm_pool_close(bench.pool);
    if (!exit_status)
        bench_print(figures, sizeof figures / sizeof *figures, json);
    return exit_status;
}

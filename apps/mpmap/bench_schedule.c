/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench schedule: how long a map takes, beside the classical loop schedules over the same items. An item
 * spins until its cost has passed on the clock. The other schedules run in the very workers of the pool, as
 * plain loops that claim chunks from what they share in memory: their map has one item a worker, which is that
 * worker's part of the loop. All take turns, so that they meet the same weather,
 * and the shortest repetition of each counts, since what else the machine does only ever adds to it. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpmap.h>

#include "bench.h"
#include "support/command.h"
#include "schedule_chunks.h"
#include "simulate_crew.h"
#include "simulate_loop.h"

#define DEFAULT_SECONDS 0.02
#define DEFAULT_ITEM_S  10e-6
#define CLAIM_S         100e-9 /* what FSC is told of the time of a claim */
#define LONGEST_ITEM_S  2
#define MOST_ITEMS      100000000.0

static const char help[] =
    "usage: mpmap bench schedule [options]\n"
    "\n"
    "Time of mpm_pool_map over items whose costs differ, beside the best of the classical\n"
    "loop schedules and beside the ideal, which is the mean load of a worker or the longest\n"
    "item, in the same run. Ratios above 1 are longer.\n"
    "\n"
    "  --costs SHAPE   constant, rising, falling, random or heavy only (all of them)\n"
    "  --item-time S   mean time of an item (1e-05)\n"
    "  --seconds S     what a map takes in the ideal case, 7 times (0.02)\n"
    "  --workers N     workers, of the map and of the other loops (2)\n"
    "  --seed N        of the costs that are random (1)\n"
    "  --simulate      in simulated time, independent of load on the machine: for many\n"
    "                  workers, and for figures that are the same each time\n"
    "  --all           a row for each of the classical schedules\n"
    "  --json          prints a JSON array\n"
    "  --help          prints this\n";

/* As the command line gives it. */
struct schedule_arguments {
    const char *costs;
    double item_s, seconds;
    size_t workers, seed;
    bool simulate, all, json;
};

/* The items of one shape. */
struct workload {
    enum simulate_costs shape;
    struct schedule_loop loop;
    double ideal_s;
    struct crew *crew;  /* for the classical schedules */
    uint32_t *costs_ns; /* both in shared memory */
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Returns how long it took. */
static int64_t spin(uint32_t cost_ns)
{
    int64_t start_ns = now_ns(), end_ns;

    do
        end_ns = now_ns();
    while (end_ns - start_ns < cost_ns);
    return end_ns - start_ns;
}

static int spin_task(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)result;
    spin(*(const uint32_t *)item);
    return 0;
}

/* The classical schedules. */

/* A loop that the pool's workers run together; in shared memory. */
struct crew {
    struct schedule schedule;
    const uint32_t *costs_ns;
    pthread_mutex_t mutex;              /* guards the schedule */
    _Alignas(64) _Atomic uint64_t next; /* in place of the schedule where all chunks are equal */
    _Alignas(64) _Atomic uint64_t done;
    _Atomic unsigned numbers;
};

static uint64_t claim(struct crew *crew, unsigned worker, uint64_t *first)
{
    uint64_t fixed = crew->schedule.fixed, count = crew->schedule.loop.count, size;

    if (fixed) {
        *first = atomic_fetch_add_explicit(&crew->next, fixed, memory_order_relaxed);
        if (*first >= count)
            return 0;
        return count - *first < fixed ? count - *first : fixed;
    }
    pthread_mutex_lock(&crew->mutex);
    size = schedule_claim(&crew->schedule, worker, first);
    pthread_mutex_unlock(&crew->mutex);
    return size;
}

static void tell(struct crew *crew, unsigned worker, uint64_t count, double seconds, double squares)
{
    if (!schedule_is_adaptive(crew->schedule.kind))
        return;
    pthread_mutex_lock(&crew->mutex);
    schedule_measured(&crew->schedule, worker, count, seconds, squares);
    pthread_mutex_unlock(&crew->mutex);
}

/* A worker's part in the loop, until nothing is left. */
static int run_crew(mpm_call *call, const void *item, void *result)
{
    struct crew *crew = *(struct crew *const *)mpm_call_context(call);
    unsigned worker = atomic_fetch_add(&crew->numbers, 1);
    uint64_t first, count, done = 0;

    (void)item;
    (void)result;
    while ((count = claim(crew, worker, &first))) {
        double seconds = 0, squares = 0;

        for (uint64_t i = first; i < first + count; i++) {
            double item_s = (double)spin(crew->costs_ns[i]) * 1e-9;

            seconds += item_s;
            squares += item_s * item_s;
        }
        tell(crew, worker, count, seconds, squares);
        done += count;
    }
    atomic_fetch_add(&crew->done, done);
    return 0;
}

/* Makes ready for another loop. */
static void prepare_crew(struct crew *crew, const struct workload *load, enum schedule_kind kind)
{
    pthread_mutexattr_t attributes;

    memset(crew, 0, sizeof *crew);
    crew->costs_ns = load->costs_ns;
    schedule_begin(&crew->schedule, kind, &load->loop);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&crew->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

/* Runs the loop in the pool's workers: its time. */
static int time_loop(mpm_pool *pool, const struct workload *load, enum schedule_kind kind, double *seconds)
{
    struct crew *crew = load->crew;
    mpm_map_options options = {.chunk = 1, .context = &crew, .context_size = sizeof crew};
    double start_s;

    prepare_crew(crew, load, kind);
    start_s = bench_now_s();
    if (mpm_pool_map(pool, run_crew, NULL, load->loop.workers, 0, 0, &options, NULL))
        return mpm_report_error();
    *seconds = bench_now_s() - start_s;
    if (crew->done != load->loop.count)
        return failure("%s has done %llu items of %llu", schedule_name(kind), (unsigned long long)crew->done,
                       (unsigned long long)load->loop.count);
    return 0;
}

/* Ours. */

static int time_map(mpm_pool *pool, const struct workload *load, double *seconds)
{
    double start_s = bench_now_s();

    if (mpm_pool_map(pool, spin_task, load->costs_ns, load->loop.count, sizeof *load->costs_ns, 0, NULL,
                     NULL))
        return mpm_report_error();
    *seconds = bench_now_s() - start_s;
    return 0;
}

/* Items. */

static int allocate(struct workload *load)
{
    void *crew, *costs_ns;
    int status = mpm_alloc(sizeof *load->crew, &crew);

    if (status)
        return status;
    status = mpm_alloc(load->loop.count * sizeof *load->costs_ns, &costs_ns);
    if (status) {
        mpm_free(crew);
        return status;
    }
    load->crew = crew;
    load->costs_ns = costs_ns;
    return 0;
}

static void release(const struct workload *load)
{
    mpm_free(load->crew);
    mpm_free(load->costs_ns);
}

static int make_workload(const struct schedule_arguments *arguments, enum simulate_costs shape,
                         struct workload *load)
{
    double sum_s = 0, squares = 0, longest_s = 0, workers = (double)arguments->workers;
    uint64_t count = (uint64_t)fmax(1.0, arguments->seconds * workers / arguments->item_s);
    struct simulate_work work = {
        .costs = shape, .items = count, .item_s = arguments->item_s, .seed = arguments->seed};

    *load = (struct workload){.shape = shape, .loop = {.count = count, .claim_s = CLAIM_S}};
    load->loop.workers = (unsigned)arguments->workers;
    if (allocate(load))
        return mpm_report_error();
    for (uint64_t i = 0; i < count; i++) {
        load->costs_ns[i] = (uint32_t)fmin(round(simulate_item_cost(&work, i) * 1e9), UINT32_MAX);
        double item_s = (double)load->costs_ns[i] * 1e-9;
        sum_s += item_s;
        squares += item_s * item_s;
        longest_s = fmax(longest_s, item_s);
    }
    load->loop.mean_s = sum_s / (double)count;
    load->loop.spread_s = sqrt(fmax(0.0, squares / (double)count - load->loop.mean_s * load->loop.mean_s));
    load->ideal_s = fmax(sum_s / workers, longest_s);
    return 0;
}

/* By schedule: SCHEDULE_COUNT is ours. */
static int time_schedule(mpm_pool *pool, const struct workload *load, int kind, double *seconds)
{
    if (pool)
        return kind == SCHEDULE_COUNT ? time_map(pool, load, seconds)
                                      : time_loop(pool, load, (enum schedule_kind)kind, seconds);
    *seconds = simulate_loop((enum schedule_kind)kind, &load->loop, load->costs_ns);
    return isfinite(*seconds) ? 0 : failure("no memory for a simulated loop");
}

/* The shortest times: of each classical schedule, then ours. One run is enough in simulated time. */
static int measure(mpm_pool *pool, const struct workload *load, double *shortest_s)
{
    int status = 0, repetitions = pool ? BENCH_REPETITIONS : 1;

    for (int kind = 0; kind <= SCHEDULE_COUNT; kind++)
        shortest_s[kind] = INFINITY;
    for (int repetition = 0; repetition < repetitions; repetition++) {
        for (int kind = 0; kind <= SCHEDULE_COUNT && !status; kind++) {
            double seconds = INFINITY;

            status = time_schedule(pool, load, kind, &seconds);
            shortest_s[kind] = fmin(shortest_s[kind], seconds);
        }
    }
    return status;
}

/* Results. */

/* Figures, and the room for their names. */
struct rows {
    struct bench_figure figures[SIMULATE_COSTS * (SCHEDULE_COUNT + 2)];
    char names[SIMULATE_COSTS * (SCHEDULE_COUNT + 2)][64];
    size_t count;
};

/* `figure` is named for whose it is. */
static void add_row(struct rows *rows, const struct workload *load, struct bench_figure figure)
{
    char *name = rows->names[rows->count];

    snprintf(name, sizeof rows->names[0], "%s costs, %s", simulate_costs_names[load->shape], figure.name);
    figure.name = name;
    rows->figures[rows->count++] = figure;
}

static void add_rows(struct rows *rows, const struct workload *load, const double *shortest_s, bool all)
{
    static char limits[SIMULATE_COSTS][64];
    static const char ideal[] = "the mean load, or the longest item";
    double ours_s = shortest_s[SCHEDULE_COUNT];
    int best = 0;

    for (int kind = 1; kind < SCHEDULE_COUNT; kind++)
        if (shortest_s[kind] < shortest_s[best])
            best = kind;
    snprintf(limits[load->shape], sizeof limits[0], "%s, the best of %d schedules",
             schedule_name((enum schedule_kind)best), SCHEDULE_COUNT);
    add_row(rows, load,
            (struct bench_figure){"map beside the best", ours_s, "s", shortest_s[best], limits[load->shape]});
    add_row(rows, load, (struct bench_figure){"map beside the ideal", ours_s, "s", load->ideal_s, ideal});
    for (int kind = 0; kind < SCHEDULE_COUNT && all; kind++)
        add_row(rows, load,
                (struct bench_figure){schedule_name((enum schedule_kind)kind), shortest_s[kind], "s",
                                      load->ideal_s, ideal});
}

static int run_shape(mpm_pool *pool, const struct schedule_arguments *arguments, enum simulate_costs shape,
                     struct rows *rows)
{
    double shortest_s[SCHEDULE_COUNT + 1];
    struct workload load;
    int status = make_workload(arguments, shape, &load);

    if (status)
        return status;
    status = measure(pool, &load, shortest_s);
    if (!status)
        add_rows(rows, &load, shortest_s, arguments->all);
    release(&load);
    return status;
}

static int run_shapes(const struct schedule_arguments *arguments, struct rows *rows)
{
    mpm_pool *pool = NULL; /* none: simulated */
    int status = 0;

    if (!arguments->simulate &&
        mpm_pool_open(&(mpm_pool_options){.workers = (unsigned)arguments->workers}, &pool))
        return mpm_report_error();
    for (int shape = 0; shape < SIMULATE_COSTS && !status; shape++)
        if (!arguments->costs || !strcmp(arguments->costs, simulate_costs_names[shape]))
            status = run_shape(pool, arguments, (enum simulate_costs)shape, rows);
    mpm_pool_close(pool);
    return status;
}

static int check(const struct schedule_arguments *arguments)
{
    const char *costs = arguments->costs;
    double items = arguments->seconds * (double)arguments->workers / arguments->item_s;
    size_t shape = 0;

    while (costs && shape < SIMULATE_COSTS && strcmp(costs, simulate_costs_names[shape]))
        shape++;
    if (costs && shape == SIMULATE_COSTS)
        return unknown_word("bench schedule", "shape of costs", costs, simulate_costs_names, SIMULATE_COSTS);
    if (items > MOST_ITEMS)
        return usage_error("bench schedule",
                           "%g items of %g s are too many: choose a longer --item-time, or fewer --seconds",
                           items, arguments->item_s);
    return 0;
}

int bench_schedule(int argc, char **argv)
{
    static struct rows rows;
    struct schedule_arguments arguments = {
        .item_s = DEFAULT_ITEM_S, .seconds = DEFAULT_SECONDS, .workers = 2, .seed = 1};
    struct option options[] = {
        {"--costs", OPTION_TEXT, &arguments.costs, 0},
        {"--item-time", OPTION_SECONDS, &arguments.item_s, LONGEST_ITEM_S},
        {"--seconds", OPTION_SECONDS, &arguments.seconds, 60},
        {"--workers", OPTION_COUNT, &arguments.workers, SCHEDULE_MOST_WORKERS},
        {"--seed", OPTION_COUNT, &arguments.seed, 0},
        {"--simulate", OPTION_FLAG, &arguments.simulate, 0},
        {"--all", OPTION_FLAG, &arguments.all, 0},
        {"--json", OPTION_FLAG, &arguments.json, 0},
    };
    struct command command = {.name = "bench schedule",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof *options};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    exit_status = check(&arguments);
    if (!exit_status && !arguments.simulate && mpm_rank_count() > 1)
        fputs("mpmap: bench schedule compares the workers of one rank: it is skipped with several\n", stderr);
    else if (!exit_status)
        exit_status = run_shapes(&arguments, &rows);
    if (!exit_status)
        bench_print(rows.figures, rows.count, arguments.json);
    return exit_status;
}

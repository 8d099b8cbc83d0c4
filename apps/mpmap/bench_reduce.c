/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench reduce: the sum of numbers in shared memory, beside loops of OpenMP that call the same functions by the
 * same kind of pointer, and beside one thread. */
#include <stdio.h>
#include <string.h>

#include <mpmap.h>

#include "bench.h"
#include "support/command.h"

#define DEFAULT_ITEMS   10000000
#define MOST_ITEMS      1000000000
#define DEFAULT_WORKERS 2
#define DEFAULT_SECONDS 0.3
#define BLOCK           1024u

/* Without OpenMP its loops run in one thread. */
#ifdef _OPENMP
static const char loop_name[] = "OpenMP reduction, the same function";
#else
static const char loop_name[] = "a loop in one thread, without OpenMP";
#endif

static const char help[] =
    "usage: mpmap bench reduce [--json] [--seconds S] [--workers N] [--items N]\n"
    "\n"
    "Items a second of mpm_pool_reduce: sums of numbers, each beside its limit in the same run.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n"
    "  --workers N   workers of the pool, and threads of OpenMP (2)\n"
    "  --items N     numbers in one sum, of 8 bytes each (10000000)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* What the cases work with. */
struct bench_reduce {
    mpm_pool *pool;
    mpm_reduction reduction;
    int threads;
    const double *numbers; /* shared memory */
    uint64_t items;
};

struct sum {
    double sum, items;
};

static int add_item(mpm_call *call, const void *item, void *state)
{
    struct sum *sum = state;

    (void)call;
    sum->sum += *(const double *)item;
    sum->items++;
    return 0;
}

/* Four sums at once: the compiler makes vectors of them. */
static int add_block(mpm_call *call, const void *items, size_t count, void *state)
{
    const double *numbers = items;
    struct sum *sum = state;
    double part[4] = {0};
    size_t i = 0;

    (void)call;
    for (; i + 4 <= count; i += 4)
        for (size_t k = 0; k < 4; k++)
            part[k] += numbers[i + k];
    for (; i < count; i++)
        part[0] += numbers[i];
    sum->sum += (part[0] + part[1]) + (part[2] + part[3]);
    sum->items += (double)count;
    return 0;
}

static void add_sum(void *state, const void *later, const void *context)
{
    struct sum *sum = state;
    const struct sum *other = later;

    (void)context;
    sum->sum += other->sum;
    sum->items += other->items;
}

/* As many sums as it takes, the last one of what is left. */
static int reduce(const void *argument, uint64_t count)
{
    const struct bench_reduce *bench = argument;
    struct sum sum;
    int status = 0;

    for (uint64_t size; count && !status; count -= size) {
        size = count < bench->items ? count : bench->items;
        status = mpm_pool_reduce(bench->pool, &bench->reduction, bench->numbers, size, &sum);
    }
    return status;
}

/* The compiler does not see which function it is. */
static void add_range(const mpm_reduction *reduction, const double *numbers, uint64_t count, struct sum *sum)
{
    mpm_accumulate *volatile item_pointer = reduction->accumulate;
    mpm_accumulate_block *volatile block_pointer = reduction->accumulate_block;
    mpm_accumulate *accumulate = item_pointer;
    mpm_accumulate_block *accumulate_block = block_pointer;

    for (uint64_t i = 0; accumulate && i < count; i++)
        if (accumulate(NULL, numbers + i, sum))
            return;
    for (uint64_t i = 0; accumulate_block && i < count; i += BLOCK)
        if (accumulate_block(NULL, numbers + i, count - i < BLOCK ? count - i : BLOCK, sum))
            return;
}

static void loop_once(const struct bench_reduce *bench, uint64_t count)
{
    struct sum all = {0, 0};
    uint64_t share = count / (uint64_t)bench->threads / BLOCK * BLOCK;

#pragma omp parallel for schedule(static, 1) num_threads(bench->threads)
    for (int thread = 0; thread < bench->threads; thread++) {
        uint64_t first = share * (uint64_t)thread;
        struct sum own = {0, 0};

        add_range(&bench->reduction, bench->numbers + first,
                  thread == bench->threads - 1 ? count - first : share, &own);
#pragma omp critical
        add_sum(&all, &own, NULL);
    }
    __asm__ volatile("" : : "r"(&all) : "memory");
}

static int loop(const void *argument, uint64_t count)
{
    const struct bench_reduce *bench = argument;

    for (uint64_t size; count; count -= size) {
        size = count < bench->items ? count : bench->items;
        loop_once(bench, size);
    }
    return 0;
}

/* Each limit stands in front of what is measured against it. */
static int measure(const struct bench_reduce *items, double seconds, struct bench_figure *figures)
{
    struct bench_reduce blocks = *items, alone = *items;
    struct bench_case cases[] = {{.run = loop, .argument = items},
                                 {.run = reduce, .argument = items},
                                 {.run = loop, .argument = &blocks},
                                 {.run = reduce, .argument = &blocks},
                                 {.run = loop, .argument = &alone}};
    int status;

    alone.threads = 1;
    blocks.reduction.accumulate = NULL;
    blocks.reduction.accumulate_block = add_block;
    blocks.reduction.block = BLOCK;
    if ((status = bench_measure(cases, sizeof cases / sizeof cases[0], seconds)))
        return status;
    figures[0] = (struct bench_figure){"sum, an item a call", bench_rate(&cases[1]), "items/s",
                                       bench_rate(&cases[0]), loop_name};
    figures[1] = (struct bench_figure){"sum, blocks of 1024", bench_rate(&cases[3]), "items/s",
                                       bench_rate(&cases[2]), loop_name};
    figures[2] = (struct bench_figure){"sum, an item a call, beside one thread", bench_rate(&cases[1]),
                                       "items/s", bench_rate(&cases[4]),
                                       "a loop in one thread, the same function"};
    return 0;
}

static int measure_pool(struct bench_reduce *bench, unsigned workers, double seconds,
                        struct bench_figure *figures)
{
    void *numbers;
    int status = mpm_alloc(bench->items * sizeof(double), &numbers);

    if (status)
        return status;
    bench->numbers = numbers;
    for (uint64_t i = 0; i < bench->items; i++)
        ((double *)numbers)[i] = (double)(i % 1000) * 1e-3;
    if (!(status = mpm_pool_open(&(mpm_pool_options){.workers = workers}, &bench->pool))) {
        status = measure(bench, seconds, figures);
        mpm_pool_close(bench->pool);
    }
    mpm_free(numbers);
    return status;
}

int bench_reduce(int argc, char **argv)
{
    size_t workers = DEFAULT_WORKERS, items = DEFAULT_ITEMS;
    double seconds = DEFAULT_SECONDS;
    bool json = false;
    struct option options[] = {{"--seconds", OPTION_SECONDS, &seconds, 60},
                               {"--workers", OPTION_COUNT, &workers, 1024},
                               {"--items", OPTION_COUNT, &items, MOST_ITEMS},
                               {"--json", OPTION_FLAG, &json, 0}};
    struct command command = {.name = "bench reduce", .help = help, .options = options, .option_count = 4};
    struct bench_figure figures[3];
    struct bench_reduce bench = {.reduction = {.accumulate = add_item,
                                               .combine = add_sum,
                                               .item_size = sizeof(double),
                                               .state_size = sizeof(struct sum)}};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    bench.threads = (int)workers;
    bench.items = items;
    if (measure_pool(&bench, (unsigned)workers, seconds, figures))
        return mpm_report_error();
    bench_print(figures, 3, json);
    return 0;
}

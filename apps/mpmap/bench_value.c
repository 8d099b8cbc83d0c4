/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench value: adding to a shared number from several processes at once, beside C11's own
 * atomic_fetch_add on the very same number. Every process begins when all have come, so that they contend
 * from the first add on. */
#include <stdatomic.h>
#include <stdio.h>

#include <mpmap.h>

#include "bench.h"

#define DEFAULT_WORKERS 2
#define DEFAULT_SECONDS 0.3

static const char help[] =
    "usage: mpmap bench value [--json] [--seconds S] [--workers N]\n"
    "\n"
    "Adds a second of mpm_value_add and mpm_array_add, contended by N processes, each\n"
    "figure beside its limit in the same run.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n"
    "  --workers N   processes that add at once (2)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* What the cases work with, and the processes get. */
struct bench_value {
    mpm_pool *pool; /* main's */
    mpm_task *task; /* main's */
    mpm_value arrived, integer, real;
    mpm_array array;
    size_t workers;
    uint64_t adds; /* of one process */
};

static int meet(const struct bench_value *bench)
{
    int64_t one = 1, come = 0;
    int status = mpm_value_add(bench->arrived, &one);

    while (!status && come < (int64_t)bench->workers)
        status = mpm_value_get(bench->arrived, &come);
    return status;
}

static int add_bare(mpm_call *call, const void *item, void *result)
{
    const struct bench_value *bench = mpm_call_context(call);
    void *address = NULL;

    (void)item;
    (void)result;
    if (meet(bench) || mpm_value_pointer(bench->integer, &address))
        return mpm_fail(call, "%s", mpm_error());
    for (uint64_t i = 0; i < bench->adds; i++)
        atomic_fetch_add((_Atomic int64_t *)address, 1);
    return 0;
}

/* The compare-and-swap loop that C11 has for a sum of doubles. */
static int add_bare_real(mpm_call *call, const void *item, void *result)
{
    const struct bench_value *bench = mpm_call_context(call);
    void *address = NULL;

    (void)item;
    (void)result;
    if (meet(bench) || mpm_value_pointer(bench->real, &address))
        return mpm_fail(call, "%s", mpm_error());
    for (uint64_t i = 0; i < bench->adds; i++) {
        _Atomic double *sum = address;
        double seen = atomic_load(sum);

        while (!atomic_compare_exchange_weak(sum, &seen, seen + 1))
            ;
    }
    return 0;
}

/* Inlined, so that no call is measured but the library's. */
static inline __attribute__((always_inline)) int add_often(mpm_call *call,
                                                           int (*add_one)(const struct bench_value *bench))
{
    const struct bench_value *bench = mpm_call_context(call);
    int status = meet(bench);

    for (uint64_t i = 0; i < bench->adds && !status; i++)
        status = add_one(bench);
    return status ? mpm_fail(call, "%s", mpm_error()) : 0;
}

static int add_one_integer(const struct bench_value *bench)
{
    return mpm_value_add(bench->integer, &(int64_t){1});
}

static int add_one_real(const struct bench_value *bench)
{
    return mpm_value_add(bench->real, &(double){1});
}

static int add_one_to_array(const struct bench_value *bench)
{
    return mpm_array_add(bench->array, 0, &(int64_t){1});
}

static int add_integer(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return add_often(call, add_one_integer);
}

static int add_real(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return add_often(call, add_one_real);
}

static int add_to_array(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return add_often(call, add_one_to_array);
}

/* `count` adds, shared among the workers. */
static int add(const void *argument, uint64_t count)
{
    struct bench_value bench = *(const struct bench_value *)argument;
    int64_t none = 0;
    int status;

    bench.adds = (count + bench.workers - 1) / bench.workers;
    status = mpm_value_set(bench.arrived, &none);
    if (status)
        return status;
    return mpm_pool_map(bench.pool, bench.task, NULL, bench.workers, 0, 0,
                        &(mpm_map_options){.chunk = 1, .context = &bench, .context_size = sizeof bench},
                        NULL);
}

static int measure(const struct bench_value *bench, double seconds, struct bench_figure *figures)
{
    static const struct {
        mpm_task *task;
        const char *name; /* NULL: a limit */
        const char *limit_name;
        size_t limit;
    } measured[] = {{add_bare, NULL, NULL, 0},
                    {add_integer, "mpm_value_add, i64", "atomic_fetch_add", 0},
                    {add_to_array, "mpm_array_add, i64", "atomic_fetch_add", 0},
                    {add_bare_real, NULL, NULL, 0},
                    {add_real, "mpm_value_add, f64", "a loop of atomic_compare_exchange_weak", 3}};
    enum { CASES = sizeof measured / sizeof *measured };
    struct bench_value with[CASES];
    struct bench_case cases[CASES] = {{0}};
    int status;

    for (size_t i = 0; i < CASES; i++) {
        with[i] = *bench;
        with[i].task = measured[i].task;
        cases[i] = (struct bench_case){.run = add, .argument = &with[i]};
    }
    status = bench_measure(cases, CASES, seconds);
    for (size_t i = 0; i < CASES && !status; i++)
        if (measured[i].name)
            *figures++ = (struct bench_figure){measured[i].name, bench_rate(&cases[i]), "adds/s",
                                               bench_rate(&cases[measured[i].limit]), measured[i].limit_name};
    return status;
}

static int create_numbers(struct bench_value *bench)
{
    int status = mpm_value_create(MPM_I64, NULL, &bench->arrived);

    if (!status)
        status = mpm_value_create(MPM_I64, NULL, &bench->integer);
    if (!status)
        status = mpm_value_create(MPM_F64, NULL, &bench->real);
    if (!status)
        status = mpm_array_create(MPM_I64, 8, NULL, &bench->array);
    return status;
}

int bench_value(int argc, char **argv)
{
    struct bench_options options = {
        .name = "bench value", .help = help, .seconds = DEFAULT_SECONDS, .workers = DEFAULT_WORKERS};
    struct bench_value bench = {0};
    struct bench_figure figures[3];
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    if (mpm_node_count() > 1) {
        fputs("mpmap: C11's atomics work on one node only, so bench value is skipped\n", stderr);
        bench_print(NULL, 0, options.json);
        return 0;
    }
    bench.workers = options.workers;
    if (create_numbers(&bench) ||
        mpm_pool_open(&(mpm_pool_options){.workers = (unsigned)bench.workers}, &bench.pool) ||
        measure(&bench, options.seconds, figures))
        return mpm_report_error();
    mpm_pool_close(bench.pool);
    bench_print(figures, sizeof figures / sizeof *figures, options.json);
    return 0;
}

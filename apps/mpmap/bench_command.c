/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench: finds the benchmark, or runs all of them. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "command.h"

static const char help[] = "usage: mpmap bench map|simulate|all [options]\n"
                           "\n"
                           "  mpmap bench map        maps on this run's slots beside OpenMP and Python\n"
                           "  mpmap bench simulate   the distribution of a map over simulated nodes\n"
                           "  mpmap bench all        both of them\n"
                           "\n"
                           "  --json   prints JSON\n"
                           "  --help   prints this; behind a benchmark: its own options\n";

static const char all_help[] =
    "usage: mpmap bench all [--json]\n"
    "\n"
    "Runs mpmap bench map and mpmap bench simulate, each as it is without options.\n"
    "\n"
    "  --json   prints a JSON object with one member for each\n"
    "  --help   prints this\n";

static int bench_all(int argc, char **argv)
{
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0}};
    struct command command = {.name = "bench all", .help = all_help, .options = options, .option_count = 1};
    char map[] = "map", simulate[] = "simulate", json_option[] = "--json";
    char *map_arguments[] = {map, json_option, NULL}, *simulate_arguments[] = {simulate, json_option, NULL};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    int count = json ? 2 : 1;

    fputs(json ? "{\"map\": " : "", stdout);
    exit_status = bench_map(count, map_arguments);
    fputs(json ? ", \"simulate\": " : "\n", stdout);
    if (!exit_status)
        exit_status = bench_simulate(count, simulate_arguments);
    fputs(json ? "}\n" : "", stdout);
    return exit_status;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} benchmarks[] = {{"map", bench_map}, {"simulate", bench_simulate}, {"all", bench_all}};

#define BENCHMARK_COUNT (sizeof benchmarks / sizeof benchmarks[0])

int bench_main(int argc, char **argv)
{
    const char *names[BENCHMARK_COUNT];
    struct command command = {.name = "bench", .help = help};
    int exit_status;

    for (size_t i = 0; i < BENCHMARK_COUNT; i++) {
        if (argc > 1 && !strcmp(argv[1], benchmarks[i].name))
            return benchmarks[i].run(argc - 1, argv + 1);
        names[i] = benchmarks[i].name;
    }
    if (argc > 1 && argv[1][0] != '-')
        return unknown_word("bench", "benchmark", argv[1], names, BENCHMARK_COUNT);
    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    return usage_error("bench", "a benchmark is missing: map, simulate or all");
}

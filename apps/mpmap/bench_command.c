/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench: finds the benchmark, or runs all of them. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "support/command.h"

static const char help[] =
    "usage: mpmap bench NAME [options]\n"
    "\n"
    "  mpmap bench map        maps on this run's slots beside OpenMP and Python\n"
    "  mpmap bench schedule   maps over uneven items beside the classical loop schedules\n"
    "  mpmap bench step       steps of an iterative program beside OpenMP and MPI\n"
    "  mpmap bench metg       the shortest item that keeps all slots half busy\n"
    "  mpmap bench wire       maps over TCP between two nodes beside bare MPI\n"
    "  mpmap bench simulate   the distribution of a map over simulated nodes\n"
    "  mpmap bench value      adding to shared numbers beside C11's atomics\n"
    "  mpmap bench queue      messages of a queue beside a bare ring and Python\n"
    "  mpmap bench latency    a message one way by queues and pipes beside a bare word\n"
    "  mpmap bench sync       locks and their like beside mutexes and futexes\n"
    "  mpmap bench process    starting and joining processes beside fork and Python\n"
    "  mpmap bench apply      round trips of single calls beside two bare processes\n"
    "  mpmap bench imap       items through a stream beside a map\n"
    "  mpmap bench blobs      items of any length beside a map\n"
    "  mpmap bench reduce     sums beside OpenMP\n"
    "  mpmap bench all        all of them\n"
    "\n"
    "  --json   prints JSON\n"
    "  --help   prints this; after a benchmark's name: its options\n";

static const char all_help[] = "usage: mpmap bench all [--json]\n"
                               "\n"
                               "Runs every benchmark with its default options.\n"
                               "\n"
                               "  --json   prints a JSON object with one member for each\n"
                               "  --help   prints this\n";

static int bench_all(int argc, char **argv);

/* The last one runs the others. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} benchmarks[] = {
    {"map", bench_map},     {"schedule", bench_schedule}, {"step", bench_step},
    {"metg", bench_metg},   {"wire", bench_wire},         {"simulate", bench_simulate},
    {"value", bench_value}, {"queue", bench_queue},       {"latency", bench_latency},
    {"sync", bench_sync},   {"process", bench_process},   {"apply", bench_apply},
    {"imap", bench_imap},   {"blobs", bench_blobs},       {"reduce", bench_reduce},
    {"all", bench_all},
};

#define BENCHMARK_COUNT (sizeof benchmarks / sizeof benchmarks[0])

static int bench_all(int argc, char **argv)
{
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0}};
    struct command command = {.name = "bench all", .help = all_help, .options = options, .option_count = 1};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    for (size_t i = 0; i + 1 < BENCHMARK_COUNT && !exit_status; i++) {
        char name[16], json_option[] = "--json";
        char *arguments[] = {name, json_option, NULL};

        snprintf(name, sizeof name, "%s", benchmarks[i].name);
        if (json)
            printf("%s\"%s\": ", i ? ", " : "{", name);
        else if (i)
            putchar('\n');
        exit_status = benchmarks[i].run(json ? 2 : 1, arguments);
    }
    fputs(json ? "}\n" : "", stdout);
    return exit_status;
}

/* Names all of them. */
static int missing_benchmark(void)
{
    char list[256] = "";
    size_t length = 0;

    for (size_t i = 0; i < BENCHMARK_COUNT; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
                                   i == 0                     ? ""
                                   : i + 1 == BENCHMARK_COUNT ? " or "
                                                              : ", ",
                                   benchmarks[i].name);
    return usage_error("bench", "a benchmark is missing: %s", list);
}

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
    return missing_benchmark();
}

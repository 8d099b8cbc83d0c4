/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-wire: items a second of a map between two nodes, beside what bare MPI does between the same two ranks.
 *
 * MPI is started here, and measured; then comes the run, which rank 1 serves inside mpm_init(). An item and a
 * result are a number each. A task tells which node it runs on, so that only items count that have crossed
 * the wire, and their results with them. */
#include <math.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mpmap.h>

#include "bench.h"
#include "support/command.h"

#define WINDOW          64 /* messages under way at once */
#define FIRST_WINDOWS   64
#define FIRST_ITEMS     100000
#define MOST_ITEMS      ((size_t)1 << 26)
#define DEFAULT_SECONDS 0.3
#define SLEEP_NS        100000

static const char help[] =
    "usage: mpirun -n 2 mpmap-wire [--json] [--seconds S]\n"
    "\n"
    "Items of 8 bytes a second that a map hands to the other node and gets results of\n"
    "8 bytes for, beside messages of 8 bytes a second, one way, in windows of 64\n"
    "MPI_Isend between the same two ranks. Set MPMAP_RANKS_PER_NODE=1 on one machine.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions (0.3)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* Bare MPI. */

static void send_windows(int windows)
{
    uint64_t numbers[WINDOW] = {0};
    MPI_Request requests[WINDOW];

    for (int window = 0; window < windows; window++) {
        for (int i = 0; i < WINDOW; i++)
            MPI_Isend(&numbers[i], 1, MPI_UINT64_T, 1, 0, MPI_COMM_WORLD, &requests[i]);
        MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
    }
    MPI_Recv(numbers, 1, MPI_UINT64_T, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void receive_windows(int windows)
{
    uint64_t numbers[WINDOW] = {0};
    MPI_Request requests[WINDOW];

    for (int window = 0; window < windows; window++) {
        for (int i = 0; i < WINDOW; i++)
            MPI_Irecv(&numbers[i], 1, MPI_UINT64_T, 0, 0, MPI_COMM_WORLD, &requests[i]);
        MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
    }
    MPI_Send(numbers, 1, MPI_UINT64_T, 0, 0, MPI_COMM_WORLD);
}

/* Messages a second, the same on both ranks. */
static double message_rate(int rank, int windows)
{
    double start_s, rate;

    MPI_Barrier(MPI_COMM_WORLD);
    start_s = bench_now_s();
    if (rank == 0)
        send_windows(windows);
    else
        receive_windows(windows);
    rate = (double)windows * WINDOW / (bench_now_s() - start_s);
    MPI_Bcast(&rate, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    return rate;
}

/* The best of the repetitions. */
static double best_message_rate(double seconds)
{
    double best = 0, windows;
    int rank;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    windows = fmax(1.0, fmax(message_rate(rank, FIRST_WINDOWS), message_rate(rank, FIRST_WINDOWS)) * seconds /
                            WINDOW);
    for (int i = 0; i < BENCH_REPETITIONS; i++)
        best = fmax(best, message_rate(rank, (int)windows));
    return best;
}

/* A map. */

/* On main's own node it sleeps, so that nearly all items go over the wire. */
static int tell_node(mpm_call *call, const void *item, void *result)
{
    (void)call;
    if (mpm_node_id() == 0)
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    *(uint64_t *)result = *(const uint64_t *)item + mpm_node_id();
    return 0;
}

/* Items are even numbers, so a result that is odd has come from the other node. */
struct wire_map {
    mpm_pool *pool;
    uint64_t *items, *results;
    size_t count;
};

static int run_map(const struct wire_map *map, double *crossed_rate, double *share)
{
    double start_s = bench_now_s(), seconds;
    size_t crossed = 0;

    if (mpm_pool_map(map->pool, tell_node, map->items, map->count, sizeof *map->items, sizeof *map->results,
                     NULL, map->results))
        return mpm_report_error();
    seconds = bench_now_s() - start_s;
    for (size_t i = 0; i < map->count; i++) {
        if (map->results[i] / 2 != i)
            return failure("item %zu has a wrong result", i);
        crossed += map->results[i] % 2;
    }
    *crossed_rate = (double)crossed / seconds;
    *share = (double)crossed / (double)map->count;
    return 0;
}

/* The best of the repetitions, of a map that is as long as it was told to be. */
static int best_map_rate(struct wire_map *map, double seconds, double *best_rate, double *best_share)
{
    double rate = 0, share, took_s = 0;
    int status = 0;

    for (map->count = FIRST_ITEMS / 2; took_s < seconds && map->count < MOST_ITEMS && !status;) {
        map->count *= 2;
        took_s = bench_now_s();
        status = run_map(map, &rate, &share);
        took_s = bench_now_s() - took_s;
    }
    for (int i = 0; i < BENCH_REPETITIONS && !status; i++) {
        status = run_map(map, &rate, &share);
        if (rate > *best_rate) {
            *best_rate = rate;
            *best_share = share;
        }
    }
    return status;
}

static int allocate(struct wire_map *map)
{
    map->items = malloc(MOST_ITEMS * sizeof *map->items);
    map->results = malloc(MOST_ITEMS * sizeof *map->results);
    if (!map->items || !map->results)
        return failure("no memory for %zu items", MOST_ITEMS);
    for (size_t i = 0; i < MOST_ITEMS; i++)
        map->items[i] = 2 * i;
    return 0;
}

static int measure_map(double seconds, double message_rate, bool json)
{
    struct wire_map map = {0};
    double rate = 0, share = 0;
    int status = allocate(&map);

    if (!status && mpm_pool_open(NULL, &map.pool))
        status = mpm_report_error();
    if (!status)
        status = best_map_rate(&map, seconds, &rate, &share);
    mpm_pool_close(map.pool);
    free(map.items);
    free(map.results);
    if (!status)
        bench_print(
            (const struct bench_figure[]){{"items across the wire, 8 bytes, and results", rate, "items/s",
                                           message_rate, "MPI_Isend, windows of 64, one way"},
                                          {"their part of all items", share, "", 0, NULL}},
            2, json);
    return status;
}

/* In main. */
static int run(double seconds, double rate, bool json)
{
    int exit_status;

    if (mpm_node_count() != 2)
        exit_status = failure("both ranks are on one node: set MPMAP_RANKS_PER_NODE=1");
    else
        exit_status = measure_map(seconds, rate, json);
    if (mpm_finalize() && !exit_status)
        exit_status = mpm_report_error();
    return exit_status;
}

int main(int argc, char **argv)
{
    double seconds = DEFAULT_SECONDS, rate;
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0},
                               {"--seconds", OPTION_SECONDS, &seconds, 60}};
    struct command command = {.name = "bench wire", .help = help, .options = options, .option_count = 2};
    int exit_status = EXIT_SUCCESS, granted, ranks, status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &granted);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks != 2) {
        exit_status = usage_error("bench wire", "mpmap-wire has %d ranks, but needs 2: mpirun -n 2", ranks);
        MPI_Finalize();
        return exit_status;
    }
    rate = best_message_rate(seconds);
    if (!(status = mpm_init(&argc, &argv, NULL)))
        exit_status = run(seconds, rate, json);
    else if (status != MPM_SERVED)
        exit_status = mpm_report_error();
    MPI_Finalize();
    return exit_status;
}

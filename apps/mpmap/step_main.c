/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-step: how long a step takes by OpenMP, by MPI, or over two nodes, for mpmap bench step. How threads of OpenMP
 * wait is said by their environment as they are loaded, and ranks of MPI look on all the time: so both are programs of
 * their own, which take turns with ours. It prints the seconds of a step of each kind, and of the stencil by OpenMP. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "step_nodes.h"
#include "step_work.h"

struct measured {
    double step_s[STEP_KINDS + 1];
    unsigned count;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* OpenMP. */

static void run_threads(unsigned width, unsigned rounds, uint64_t steps)
{
    for (uint64_t step = 0; step < steps; step++) {
#pragma omp parallel for schedule(static)
        for (unsigned i = 0; i < width; i++)
            step_work(rounds);
    }
}

static void loop_stencil(double *plates[2], uint64_t steps)
{
    for (uint64_t step = 0; step < steps; step++) {
        const double *before = plates[step % 2];
        double *after = plates[(step + 1) % 2];

#pragma omp parallel for schedule(static)
        for (unsigned block = 0; block < STENCIL_BLOCKS; block++)
            stencil_block(before, after, block);
    }
}

static void measure_stencil(double seconds, struct measured *measured)
{
    double *plates[2] = {malloc(stencil_bytes()), malloc(stencil_bytes())}, begun_s;
    uint64_t steps = stencil_count(seconds);

    if (!plates[0] || !plates[1])
        abort();
    stencil_begin(plates[0]);
    stencil_begin(plates[1]);
    loop_stencil(plates, 1 + steps / 8);
    begun_s = now_s();
    loop_stencil(plates, steps);
    measured->step_s[measured->count++] = (now_s() - begun_s) / (double)steps;
    free(plates[0]);
    free(plates[1]);
}

/* MPI: each rank has its part of the items, and a barrier is the end of a step. */

static void run_ranks(unsigned width, unsigned rounds, uint64_t steps)
{
    int rank, size;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (uint64_t step = 0; step < steps; step++) {
        for (unsigned i = (unsigned)rank; i < width; i += (unsigned)size)
            step_work(rounds);
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

/* Either. */

typedef void run_steps(unsigned width, unsigned rounds, uint64_t steps);

static void measure_kinds(run_steps *run, unsigned workers, double seconds, double round_s,
                          struct measured *measured)
{
    for (unsigned i = 0; i < STEP_KINDS; i++) {
        uint64_t steps = step_count(&step_kinds[i], workers, seconds);
        unsigned rounds = step_rounds(&step_kinds[i], round_s);
        double begun_s;

        run(step_kinds[i].width, rounds, steps / 8);
        begun_s = now_s();
        run(step_kinds[i].width, rounds, steps);
        measured->step_s[measured->count++] = (now_s() - begun_s) / (double)steps;
    }
}

static void measure_threads(unsigned workers, double seconds, double round_s, struct measured *measured)
{
    measure_kinds(run_threads, workers, seconds, round_s, measured);
    measure_stencil(seconds, measured);
}

static int measure_ranks(unsigned workers, double seconds, double round_s, struct measured *measured)
{
    int rank;

    if (MPI_Init(NULL, NULL))
        return EXIT_FAILURE;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    measure_kinds(run_ranks, workers, seconds, round_s, measured);
    MPI_Finalize();
    if (rank)
        measured->count = 0;
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct measured measured = {.count = 0};
    double seconds, round_s;
    unsigned workers;

    if (argc != 5 || (strcmp(argv[1], "openmp") && strcmp(argv[1], "mpi") && strcmp(argv[1], "nodes"))) {
        fputs("usage: mpmap-step openmp|mpi|nodes WORKERS SECONDS SECONDS-OF-A-ROUND\n", stderr);
        return 2;
    }
    workers = (unsigned)strtoul(argv[2], NULL, 10);
    seconds = strtod(argv[3], NULL);
    round_s = strtod(argv[4], NULL);
    if (!strcmp(argv[1], "nodes"))
        return step_nodes(argc, argv, seconds, round_s);
    if (!strcmp(argv[1], "openmp"))
        measure_threads(workers, seconds, round_s, &measured);
    else if (measure_ranks(workers, seconds, round_s, &measured))
        return EXIT_FAILURE;
    for (unsigned i = 0; i < measured.count; i++)
        printf("%.9g\n", measured.step_s[i]);
    return EXIT_SUCCESS;
}

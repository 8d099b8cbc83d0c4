/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps over two nodes; see the header. An item and a result are a number each, which main has before and after the
 * step: bare MPI scatters the ones and gathers the others.
 *
 * MPI is started here, so both ranks have it for themselves between two runs, and each repetition is one by bare ranks
 * that spin, one by bare ranks that nap, and a run of its own. */
#include "step_nodes.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <mpmap.h>

#include "bench.h"
#include "naps.h"
#include "step_work.h"
#include "support/command.h"

#define RANKS      2
#define MOST_WIDTH 1024
#define FIRST_STEPS \
    3ul /* what such a map takes is learned from them; as many more say how many fill a repetition */
#define MOST_STEPS 10000ul

enum way { BY_MAP, BY_RANKS_THAT_SPIN, BY_RANKS_THAT_NAP };

/* What a step has. */
struct node_step {
    enum way way;
    mpm_pool *pool; /* for BY_MAP */
    int rank;
    unsigned width, rounds;
};

static uint64_t items[MOST_WIDTH], results[MOST_WIDTH];
static double step_s[NODE_STEP_WAYS][NODE_STEP_KINDS][BENCH_REPETITIONS];

/* By a map. */

static int work_task(mpm_call *call, const void *item, void *result)
{
    step_work(*(const unsigned *)mpm_call_context(call));
    *(uint64_t *)result = *(const uint64_t *)item + 1;
    return 0;
}

static int map_items(const struct node_step *step)
{
    mpm_map_options options = {.context = &step->rounds, .context_size = sizeof step->rounds};

    return mpm_pool_map(step->pool, work_task, items, step->width, sizeof *items, sizeof *results, &options,
                        results);
}

/* By bare MPI. */

static void await(MPI_Request *request, bool naps)
{
    double begun_s = bench_now_s();
    int is_done = 0;

    if (!naps)
        MPI_Wait(request, MPI_STATUS_IGNORE);
    while (naps && (MPI_Test(request, &is_done, MPI_STATUS_IGNORE), !is_done))
        nap_if_late(begun_s);
}

static void scatter_items(const struct node_step *step)
{
    static uint64_t own_items[MOST_WIDTH], own_results[MOST_WIDTH];
    int counts[RANKS] = {(int)(step->width + 1) / RANKS, (int)step->width / RANKS},
        begins[RANKS] = {0, counts[0]}, own = counts[step->rank];
    bool naps = step->way == BY_RANKS_THAT_NAP;
    MPI_Request request;

    MPI_Iscatterv(items, counts, begins, MPI_UINT64_T, own_items, own, MPI_UINT64_T, 0, MPI_COMM_WORLD,
                  &request);
    await(&request, naps);
    for (int i = 0; i < own; i++) {
        step_work(step->rounds);
        own_results[i] = own_items[i] + 1;
    }
    MPI_Igatherv(own_results, own, MPI_UINT64_T, results, counts, begins, MPI_UINT64_T, 0, MPI_COMM_WORLD,
                 &request);
    await(&request, naps);
}

/* Either. */

static int run_steps(const struct node_step *step, unsigned long count)
{
    int status = 0;

    for (unsigned long i = 0; !status && i < count; i++) {
        if (step->way == BY_MAP)
            status = map_items(step);
        else
            scatter_items(step);
    }
    return status;
}

/* Whether main has what it should have; elsewhere that is nothing. */
static bool is_right(const struct node_step *step)
{
    for (unsigned i = 0; !step->rank && i < step->width; i++)
        if (results[i] != items[i] + 1)
            return false;
    return true;
}

/* As many as take about so long, as main says it. */
static unsigned long count_steps(const struct node_step *step, double seconds, double one_s)
{
    unsigned long count = seconds / one_s < MOST_STEPS ? 1 + (unsigned long)(seconds / one_s) : MOST_STEPS;

    if (step->way != BY_MAP)
        MPI_Bcast(&count, 1, MPI_UNSIGNED_LONG, 0, MPI_COMM_WORLD);
    return count;
}

static int time_steps(const struct node_step *step, double seconds, double *took_s)
{
    unsigned long count = FIRST_STEPS;
    int status = run_steps(step, count);
    double begun_s = bench_now_s();

    if (status || (status = run_steps(step, count)))
        return status;
    count = count_steps(step, seconds, (bench_now_s() - begun_s) / (double)count);
    begun_s = bench_now_s();
    status = run_steps(step, count);
    *took_s = (bench_now_s() - begun_s) / (double)count;
    return status;
}

/* Of all kinds. The exit status. */
static int time_way(struct node_step step, double seconds, double round_s, int repetition)
{
    for (size_t kind = 0; kind < NODE_STEP_KINDS; kind++) {
        step.width = node_step_kinds[kind].width;
        step.rounds = step_rounds(&node_step_kinds[kind], round_s);
        for (unsigned i = 0; i < step.width; i++)
            items[i] = (uint64_t)repetition * MOST_WIDTH + i;
        if (time_steps(&step, seconds, &step_s[step.way][kind][repetition]))
            return mpm_report_error();
        if (!is_right(&step))
            return failure("a step has wrong results: \"%s\"", node_step_kinds[kind].name);
    }
    return EXIT_SUCCESS;
}

static void time_ranks(int rank, double seconds, double round_s, int repetition)
{
    struct node_step step = {.way = BY_RANKS_THAT_SPIN, .rank = rank};

    time_way(step, seconds, round_s, repetition);
    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    step.way = BY_RANKS_THAT_NAP;
    time_way(step, seconds, round_s, repetition);
    prctl(PR_SET_TIMERSLACK, 0); /* as it was */
}

/* In main, within a run. A worker on each node, as each has a rank. */
static int time_maps(double seconds, double round_s, int repetition)
{
    struct node_step step = {.way = BY_MAP};
    int exit_status;

    if (mpm_node_count() != RANKS)
        return failure("both ranks are on one node: set MPMAP_RANKS_PER_NODE=1");
    if (mpm_pool_open(&(mpm_pool_options){.workers = RANKS}, &step.pool))
        return mpm_report_error();
    exit_status = time_way(step, seconds, round_s, repetition);
    mpm_pool_close(step.pool);
    return exit_status;
}

/* The exit status, in both ranks. */
static int time_run(int *argc, char ***argv, double seconds, double round_s, int repetition)
{
    int exit_status = EXIT_SUCCESS, status = mpm_init(argc, argv, NULL);

    if (!status) {
        exit_status = time_maps(seconds, round_s, repetition);
        if (mpm_finalize() && !exit_status)
            exit_status = mpm_report_error();
    } else if (status != MPM_SERVED) {
        exit_status = mpm_report_error();
    }
    MPI_Bcast(&exit_status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return exit_status;
}

static void print_steps(void)
{
    for (size_t kind = 0; kind < NODE_STEP_KINDS; kind++)
        printf("%.9g %.9g %.9g\n", bench_median(step_s[BY_MAP][kind], BENCH_REPETITIONS),
               bench_median(step_s[BY_RANKS_THAT_SPIN][kind], BENCH_REPETITIONS),
               bench_median(step_s[BY_RANKS_THAT_NAP][kind], BENCH_REPETITIONS));
}

int step_nodes(int argc, char **argv, double seconds, double round_s)
{
    int exit_status = EXIT_SUCCESS, granted, ranks, rank;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &granted);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (ranks != RANKS)
        exit_status = failure("mpmap-step nodes needs %d ranks, but has %d: mpirun -n %d", RANKS, ranks,
                              RANKS);
    for (int repetition = 0; !exit_status && repetition < BENCH_REPETITIONS; repetition++) {
        time_ranks(rank, seconds, round_s, repetition);
        exit_status = time_run(&argc, &argv, seconds, round_s, repetition);
    }
    if (!exit_status && !rank)
        print_steps();
    MPI_Finalize();
    return exit_status;
}

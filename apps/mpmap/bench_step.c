/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench step: what one step of an iterative program costs, from the call of a map to its return, beside the same
 * loop by OpenMP, whose threads look on or sleep, and by ranks of MPI with a barrier. Those are runs of mpmap-step,
 * which stands beside this program; they take turns with ours. Steps over two nodes are a run of it altogether. */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpmap.h>

#include "bench.h"
#include "bench_sleepy.h"
#include "step_work.h"
#include "support/command.h"
#include "two_ranks.h"

#define DEFAULT_SECONDS 0.03
#define KINDS           (STEP_KINDS + 1) /* with the stencil */
#define MOST_FIGURES    (3 * KINDS + 2 + 2 * NODE_STEP_KINDS)

static const char help[] =
    "usage: mpmap bench step [--json] [--seconds S] [--workers N] [--two-nodes]\n"
    "                        [--launcher COMMAND]\n"
    "\n"
    "How long one step of an iterative program takes: a map of 1, 2, 16 or 1024 items that are\n"
    "empty, or take 1 us, 10 us or 1 ms, again and again; a stencil; and a map of one item\n"
    "whose worker sleeps. Beside OpenMP's parallel for, whose threads look on\n"
    "(OMP_WAIT_POLICY=active) or sleep (passive), ranks of MPI with a barrier, and a futex\n"
    "ping-pong. Then steps over two nodes with a worker each, beside MPI_Scatterv and\n"
    "MPI_Gatherv between two ranks that spin, or nap between two looks as ours do: on this\n"
    "machine, with TCP between them, or where the launcher puts them.\n"
    "Times: a ratio of 1 is as fast as the limit, and less is faster.\n"
    "\n"
    "  --seconds S         length of each of the 7 repetitions of a kind of step (0.03)\n"
    "  --workers N         workers of the pool, threads, and ranks (one a slot)\n"
    "  --two-nodes         steps over two nodes only\n"
    "  --launcher COMMAND  starts N ranks of mpmap-step (mpirun -n N), or two for --two-nodes\n"
    "  --json              prints a JSON array\n"
    "  --help              prints this\n";

enum peer { OPENMP_ACTIVE, OPENMP_PASSIVE, MPI, PEERS };

static const char *const peer_names[PEERS] = {"OpenMP, threads look on", "OpenMP, threads sleep",
                                              "MPI, a barrier"};

/* The seconds of a step, by repetition. */
struct steps {
    double step_s[KINDS][BENCH_REPETITIONS];
    size_t kinds; /* that were measured: without the stencil, by MPI */
    bool is_missing;
};

struct bench_step {
    mpm_pool *pool;
    unsigned workers;
    double seconds, round_s;
    const char *launcher;
    mpm_array plates[2];
    struct steps ours, peers[PEERS];
};

/* Ours. */

static int work_task(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    step_work(*(const unsigned *)mpm_call_context(call));
    return 0;
}

static int stencil_task(mpm_call *call, const void *item, void *result)
{
    const mpm_array *plates = mpm_call_context(call);
    void *before, *after;

    (void)item;
    (void)result;
    if (mpm_array_pointer(plates[0], &before) || mpm_array_pointer(plates[1], &after))
        return mpm_fail(call, "%s", mpm_error());
    stencil_block(before, after, (unsigned)mpm_call_index(call));
    return 0;
}

static int run_steps(const struct bench_step *bench, unsigned width, unsigned rounds, uint64_t steps)
{
    mpm_map_options options = {.context = &rounds, .context_size = sizeof rounds};
    int status = 0;

    for (uint64_t step = 0; !status && step < steps; step++)
        status = mpm_pool_map(bench->pool, work_task, NULL, width, 0, 0, &options, NULL);
    return status;
}

static int run_stencil(const struct bench_step *bench, uint64_t steps)
{
    int status = 0;

    for (uint64_t step = 0; !status && step < steps; step++) {
        const mpm_array plates[2] = {bench->plates[step % 2], bench->plates[(step + 1) % 2]};
        mpm_map_options options = {.context = plates, .context_size = sizeof plates};

        status = mpm_pool_map(bench->pool, stencil_task, NULL, STENCIL_BLOCKS, 0, 0, &options, NULL);
    }
    return status;
}

static int time_kind(struct bench_step *bench, size_t kind, int repetition)
{
    const struct step_kind *step = &step_kinds[kind];
    uint64_t steps = step_count(step, bench->workers, bench->seconds);
    unsigned rounds = step_rounds(step, bench->round_s);
    int status = run_steps(bench, step->width, rounds, steps / 8);
    double begun_s = bench_now_s();

    if (!status)
        status = run_steps(bench, step->width, rounds, steps);
    bench->ours.step_s[kind][repetition] = (bench_now_s() - begun_s) / (double)steps;
    return status;
}

static int time_stencil(struct bench_step *bench, int repetition)
{
    uint64_t steps = stencil_count(bench->seconds);
    int status = run_stencil(bench, 1 + steps / 8);
    double begun_s = bench_now_s();

    if (!status)
        status = run_stencil(bench, steps);
    bench->ours.step_s[STEP_KINDS][repetition] = (bench_now_s() - begun_s) / (double)steps;
    return status;
}

static int time_ours(struct bench_step *bench, int repetition)
{
    int status = 0;

    for (size_t kind = 0; !status && kind < STEP_KINDS; kind++)
        status = time_kind(bench, kind, repetition);
    return status ? status : time_stencil(bench, repetition);
}

/* Theirs. */

/* Of mpmap-step; false if there is no such thing. */
static bool read_rates(FILE *pipe, struct steps *steps, int repetition)
{
    size_t kind = 0;

    while (kind < KINDS && fscanf(pipe, "%lf", &steps->step_s[kind][repetition]) == 1)
        kind++;
    steps->kinds = kind;
    return kind >= STEP_KINDS;
}

static void time_peer(struct bench_step *bench, enum peer peer, int repetition)
{
    static const char *const policies[PEERS] = {"active", "passive", "active"};
    struct steps *steps = &bench->peers[peer];
    char folder[PATH_MAX], command[2 * PATH_MAX];
    FILE *pipe;

    if (steps->is_missing)
        return;
    steps->is_missing = true;
    if (!find_own_folder(folder, sizeof folder) ||
        (size_t)snprintf(command, sizeof command,
                         "OMP_WAIT_POLICY=%s OMP_NUM_THREADS=%u %s '%s/mpmap-step' %s %u %g %g 2>/dev/null",
                         policies[peer], bench->workers, peer == MPI ? bench->launcher : "", folder,
                         peer == MPI ? "mpi" : "openmp", bench->workers, bench->seconds,
                         bench->round_s) >= sizeof command ||
        !(pipe = popen(command, "r")))
        return;
    steps->is_missing = !read_rates(pipe, steps, repetition);
    pclose(pipe);
}

/* All of them in turn. */
static int time_all(struct bench_step *bench)
{
    int status = 0;

    for (int repetition = 0; !status && repetition < BENCH_REPETITIONS; repetition++) {
        status = time_ours(bench, repetition);
        for (enum peer peer = 0; !status && peer < PEERS; peer++)
            time_peer(bench, peer, repetition);
    }
    return status;
}

/* A worker that sleeps. */

static int map_once(mpm_pool *pool)
{
    unsigned rounds = 0;

    return mpm_pool_map(pool, work_task, NULL, 1, 0, 0,
                        &(mpm_map_options){.context = &rounds, .context_size = sizeof rounds}, NULL);
}

static int measure_sleepy(struct bench_figure figures[2])
{
    static const struct bench_sleepy what = {
        map_once,
        {"width 1, empty, the worker sleeps on this CPU", "width 1, empty, the worker sleeps on another CPU"},
        false};
    mpm_pool *pool;
    int status = mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool);

    if (status)
        return status;
    status = bench_sleepy(pool, &what, figures);
    mpm_pool_close(pool);
    return status;
}

/* Over two nodes. */

static bool read_node_steps(FILE *pipe, double step_s[NODE_STEP_KINDS][NODE_STEP_WAYS])
{
    for (size_t kind = 0; kind < NODE_STEP_KINDS; kind++)
        if (fscanf(pipe, "%lf %lf %lf", &step_s[kind][0], &step_s[kind][1], &step_s[kind][2]) != 3)
            return false;
    return true;
}

/* False if there is no such thing, which is told. */
static bool measure_nodes(const struct bench_step *bench, const char *launcher, struct bench_figure *figures)
{
    static const char *const limits[] = {"MPI scatter and gather, ranks spin",
                                         "MPI scatter and gather, ranks nap"};
    double step_s[NODE_STEP_KINDS][NODE_STEP_WAYS];
    char folder[PATH_MAX], command[2 * PATH_MAX];
    FILE *pipe = NULL;
    bool is_read = false;

    set_two_ranks();
    if (find_own_folder(folder, sizeof folder) &&
        (size_t)snprintf(command, sizeof command, "%s '%s/mpmap-step' nodes 2 %g %g", launcher, folder,
                         bench->seconds, bench->round_s) < sizeof command &&
        (pipe = popen(command, "r"))) {
        is_read = read_node_steps(pipe, step_s);
        pclose(pipe);
    }
    if (!is_read)
        failure("no steps come from two ranks by \"%s\": skipping those over two nodes", launcher);
    for (size_t i = 0; is_read && i < 2 * NODE_STEP_KINDS; i++) {
        size_t kind = i % NODE_STEP_KINDS, limit = i / NODE_STEP_KINDS;

        figures[i] = (struct bench_figure){node_step_kinds[kind].name, step_s[kind][0], "s",
                                           step_s[kind][1 + limit], limits[limit]};
    }
    return is_read;
}

/* The whole. */

static void add_figures(const struct bench_step *bench, struct bench_figure *figures, size_t *count)
{
    for (enum peer peer = 0; peer < PEERS; peer++) {
        const struct steps *steps = &bench->peers[peer];

        if (steps->is_missing)
            fprintf(stderr, "mpmap: mpmap-step has printed nothing: skipping \"%s\"\n", peer_names[peer]);
        for (size_t kind = 0; !steps->is_missing && kind < steps->kinds; kind++)
            figures[(*count)++] = (struct bench_figure){
                kind < STEP_KINDS ? step_kinds[kind].name : STENCIL_NAME,
                bench_median(bench->ours.step_s[kind], BENCH_REPETITIONS), "s",
                bench_median(steps->step_s[kind], BENCH_REPETITIONS), peer_names[peer]};
    }
}

static int share_plates(struct bench_step *bench)
{
    double *plate = malloc(stencil_bytes());
    size_t length = stencil_bytes() / sizeof *plate;
    int status;

    if (!plate)
        return MPM_ENOMEM;
    stencil_begin(plate);
    if (!(status = mpm_array_create(MPM_F64, length, plate, &bench->plates[0])))
        status = mpm_array_create(MPM_F64, length, plate, &bench->plates[1]);
    free(plate);
    return status;
}

static int measure(struct bench_step *bench, struct bench_figure *figures, size_t *count)
{
    int status;

    if (!(status = share_plates(bench)) &&
        !(status = mpm_pool_open(&(mpm_pool_options){.workers = bench->workers}, &bench->pool))) {
        status = time_all(bench);
        mpm_pool_close(bench->pool);
    }
    if (status)
        return status;
    if ((status = mpm_array_destroy(bench->plates[0])) || (status = mpm_array_destroy(bench->plates[1])))
        return status;
    add_figures(bench, figures, count);
    if (!(status = measure_sleepy(figures + *count)))
        *count += 2;
    return status;
}

/* The exit status. */
static int measure_all(struct bench_step *bench, bool two_nodes, struct bench_figure *figures, size_t *count)
{
    char launcher[64];
    bool has_nodes;

    snprintf(launcher, sizeof launcher, "mpirun -n %u", bench->workers);
    bench->round_s = step_time_round();
    if (!two_nodes) {
        if (!bench->launcher)
            bench->launcher = launcher;
        if (measure(bench, figures, count))
            return mpm_report_error();
    }
    has_nodes = measure_nodes(bench, two_nodes && bench->launcher ? bench->launcher : TWO_RANKS_LAUNCHER,
                              figures + *count);
    *count += has_nodes ? 2 * NODE_STEP_KINDS : 0;
    return two_nodes && !has_nodes ? EXIT_FAILURE : EXIT_SUCCESS;
}

int bench_step(int argc, char **argv)
{
    static struct bench_step bench = {.seconds = DEFAULT_SECONDS};
    static struct bench_figure figures[MOST_FIGURES];
    size_t workers = mpm_slot_count(), count = 0;
    bool json = false, two_nodes = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0},
                               {"--seconds", OPTION_SECONDS, &bench.seconds, 60},
                               {"--workers", OPTION_COUNT, &workers, 1024},
                               {"--two-nodes", OPTION_FLAG, &two_nodes, 0},
                               {"--launcher", OPTION_TEXT, &bench.launcher, 0}};
    struct command command = {.name = "bench step", .help = help, .options = options, .option_count = 5};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    bench.workers = (unsigned)workers;
    if (mpm_rank_count() > 1)
        fputs("mpmap: bench step starts its own ranks, and is skipped under a launcher\n", stderr);
    else
        exit_status = measure_all(&bench, two_nodes, figures, &count);
    if (!exit_status)
        bench_print(figures, count, json);
    return exit_status;
}

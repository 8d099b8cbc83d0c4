/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-wire: items a second of a map between two nodes, messages by queues and pipes, calls on objects of the other
 * node and waits for a condition, beside what bare MPI does between the same two ranks; and what a rank costs that has
 * nothing to do.
 *
 * MPI is started here, and measured; then comes the run, which rank 1 serves inside mpm_init(). An item and a
 * result are a number each. A task tells which node it runs on, so that only items count that have crossed
 * the wire, and their results with them. */
#include <math.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <mpmap.h>

#include "bench.h"
#include "naps.h"
#include "pingpong.h"
#include "support/command.h"

#define WINDOW          64 /* messages under way at once */
#define FIRST_WINDOWS   64
#define FIRST_ITEMS     100000
#define MOST_ITEMS      ((size_t)1 << 26)
#define DEFAULT_SECONDS 0.3
#define SLEEP_NS        100000
#define FEW_ROUNDS      ((size_t)3)
#define MANY_ROUNDS     ((size_t)100) /* that more than a median is taken of */
#define MOST_ROUNDS     ((size_t)2000)
#define TURNS           ((size_t)500) /* at a condition, */
#define TURN_FIGURES    2u /* of which the median is given, and what all but one in a hundred take */
#define IDLE_PARTS      33 /* it has nothing to do for so many times the length of a repetition: 10 s */
#define LOOK_PARTS      11 /* of a bare rank that sleeps and looks, likewise */
#define LOOK_SLEEP_NS   100000000L /* as long as a rank sleeps in a long silence */
#define IDLE_AIM        0.005      /* what a rank may cost then, in CPUs */

static const char help[] =
    "usage: mpirun -n 2 mpmap-wire [--json] [--seconds S]\n"
    "\n"
    "Items of 8 bytes a second that a map hands to the other node and gets results of\n"
    "8 bytes for, beside messages of 8 bytes a second, one way, in windows of 64\n"
    "MPI_Isend between the same two ranks; how long messages take one way by queues and\n"
    "pipes, and calls there and back, beside MPI_Send between ranks that spin, or nap between\n"
    "two looks; and how long it takes from a condition's notification on one node until its\n"
    "waiter on the other returns, beside two calls. Set MPMAP_RANKS_PER_NODE=1 on one machine.\n"
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

/* Messages there and back between ranks. */

static const size_t sizes[] = {8, 4096, 65536, (size_t)4 << 20, (size_t)64 << 20};
#define SIZES      (sizeof sizes / sizeof *sizes)
#define FIRST_LONG ((size_t)2) /* in place, too */

/* Of bare MPI, one way. The first half by ranks that spin. And the CPU of a look after a sleep. */
static struct {
    double us[2 * SIZES][PERCENTILES];
    double look_s;
} bare;

/* What one rank does until there is a message. */
static void await_message(bool naps)
{
    double start_s = bench_now_s();
    int is_there = 0;

    while (naps && (MPI_Iprobe(MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &is_there, MPI_STATUS_IGNORE), !is_there))
        nap_if_late(start_s);
}

static void go_bare_round(int rank, char *bytes, size_t size, bool naps)
{
    if (rank == 0)
        MPI_Send(bytes, (int)size, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
    await_message(naps);
    MPI_Recv(bytes, (int)size, MPI_CHAR, !rank, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (rank == 1)
        MPI_Send(bytes, (int)size, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
}

/* So many rounds that they take about that long. */
static size_t rounds_for(double seconds, double one_way_us)
{
    double rounds = seconds / (2e-6 * one_way_us);

    return rounds > (double)MOST_ROUNDS  ? MOST_ROUNDS
           : rounds < (double)FEW_ROUNDS ? FEW_ROUNDS
                                         : (size_t)rounds;
}

static void go_bare_rounds(int rank, char *bytes, size_t size, bool naps, size_t count, double *one_way_us)
{
    for (size_t i = 0; i < count; i++) {
        double start_s = bench_now_s();

        go_bare_round(rank, bytes, size, naps);
        one_way_us[i] = (bench_now_s() - start_s) / 2 * 1e6;
    }
}

static double cpu_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Mostly what it costs to run again after a sleep: what it needs is in no cache then. */
static double measure_look(double seconds)
{
    unsigned long looks = 1 + (unsigned long)(LOOK_PARTS * seconds / (1e-9 * LOOK_SLEEP_NS));
    double cpu_s = cpu_now_s();
    int is_there;

    for (unsigned long i = 0; i < looks; i++) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_SLEEP_NS}, NULL);
        MPI_Iprobe(MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &is_there, MPI_STATUS_IGNORE);
    }
    return (cpu_now_s() - cpu_s) / (double)looks;
}

/* Both ranks. */
static void measure_bare(int rank, double seconds)
{
    static double one_way_us[MOST_ROUNDS];
    char *bytes = calloc(1, sizes[SIZES - 1]);

    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    for (size_t i = 0; bytes && i < 2 * SIZES; i++) {
        size_t size = sizes[i % SIZES];
        unsigned long count = FEW_ROUNDS;

        go_bare_rounds(rank, bytes, size, i >= SIZES, count, one_way_us);
        percentiles(one_way_us, count, bare.us[i]);
        count = rounds_for(seconds, bare.us[i][0]);
        MPI_Bcast(&count, 1, MPI_UNSIGNED_LONG, 0, MPI_COMM_WORLD);
        go_bare_rounds(rank, bytes, size, i >= SIZES, count, one_way_us);
        percentiles(one_way_us, count, bare.us[i]);
    }
    prctl(PR_SET_TIMERSLACK, 0); /* as it was */
    free(bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    bare.look_s = measure_look(seconds);
}

static const char *make_name(const char *carrier, size_t size, const char *percentile)
{
    char text[80], number[32];

    snprintf(text, sizeof text, "%s, %s, %s", carrier, size_name(size, number, sizeof number), percentile);
    return strdup(text);
}

static const char *const line_names[] = {
    [LINE_QUEUE] = "queue", [LINE_PIPE] = "pipe", [LINE_IN_PLACE] = "queue in place"};

/* One line to the other node. */
static int measure_line(enum line_kind kind, size_t which, double seconds, struct bench_figure *figures,
                        size_t *figure_count)
{
    static double one_way_us[MOST_ROUNDS];
    struct line line = {.kind = kind, .node = 1, .size = sizes[which]};
    double of_them[PERCENTILES];
    size_t count = FEW_ROUNDS;
    int status;

    if ((status = line_open(&line)) || (status = line_measure(&line, count, one_way_us)))
        return status;
    percentiles(one_way_us, count, of_them);
    count = rounds_for(seconds, of_them[0]);
    if ((status = line_measure(&line, count, one_way_us)))
        return status;
    percentiles(one_way_us, count, of_them);
    for (size_t i = 0; i < (count < MANY_ROUNDS ? 1 : PERCENTILES); i++, ++*figure_count)
        figures[*figure_count] = (struct bench_figure){
            make_name(line_names[kind], line.size, percentile_names[i]), of_them[i] * 1e-6, "s",
            bare.us[SIZES + which][i] * 1e-6, "MPI_Send, ranks that nap"};
    return line_close(&line);
}

/* On the other node: makes an event, and keeps it until it is set. */
static int keep_event(const void *args, size_t size)
{
    const mpm_queue *queue = args;
    mpm_event event;

    (void)size;
    return mpm_event_create(&event) || mpm_put(*queue, &event) || mpm_event_wait(event, MPM_FOREVER) ||
           mpm_event_destroy(event);
}

static int time_calls(mpm_event event, size_t count, double *round_trip_us)
{
    bool is_set;
    int status = 0;

    for (size_t i = 0; !status && i < count; i++) {
        double start_s = bench_now_s();

        status = mpm_event_is_set(event, &is_set);
        round_trip_us[i] = (bench_now_s() - start_s) * 1e6;
    }
    return status;
}

static int measure_calls(struct bench_figure *figures)
{
    static const char *const names[PERCENTILES] = {"call there and back, p50", "call there and back, p99",
                                                   "call there and back, p99.9"};
    static double round_trip_us[MOST_ROUNDS];
    double of_them[PERCENTILES];
    mpm_process keeper;
    mpm_queue queue;
    mpm_event event;
    int status;

    if ((status = mpm_queue_create(NULL, &queue)) ||
        (status = mpm_process_start(keep_event, &queue, sizeof queue,
                                    &(mpm_process_options){.place = MPM_ON_NODE(1)}, &keeper)) ||
        (status = mpm_get(queue, &event)) || (status = time_calls(event, MOST_ROUNDS, round_trip_us)) ||
        (status = mpm_event_set(event)) || (status = mpm_process_join(keeper, MPM_FOREVER)))
        return status;
    percentiles(round_trip_us, MOST_ROUNDS, of_them);
    for (size_t i = 0; i < PERCENTILES; i++)
        figures[i] = (struct bench_figure){names[i], of_them[i] * 1e-6, "s", 2e-6 * bare.us[SIZES][i],
                                           "MPI_Send there and back, ranks that nap"};
    return mpm_queue_destroy(queue);
}

/* Turns at a condition: each side waits for the other's notification, and has the lock until it waits. */
struct turns {
    mpm_condition condition;
    mpm_queue queue;
};

/* On the other node. Main notifies nobody before this one waits, since it has the lock when it says that it is
 * there. */
static int take_turns(const void *args, size_t size)
{
    const struct turns *turns = args;
    int there = 1, status = mpm_condition_acquire(turns->condition, MPM_FOREVER);

    (void)size;
    if (!status)
        status = mpm_put(turns->queue, &there);
    for (unsigned i = 0; !status && i < TURNS; i++) {
        if (!(status = mpm_condition_wait(turns->condition, MPM_FOREVER)))
            status = mpm_condition_notify(turns->condition, 1);
    }
    return status ? status : mpm_condition_release(turns->condition);
}

static int time_turns(mpm_condition condition, double *one_way_us)
{
    int status = mpm_condition_acquire(condition, MPM_FOREVER);

    for (size_t i = 0; !status && i < TURNS; i++) {
        double start_s = bench_now_s();

        if (!(status = mpm_condition_notify(condition, 1)))
            status = mpm_condition_wait(condition, MPM_FOREVER);
        one_way_us[i] = (bench_now_s() - start_s) / 2 * 1e6;
    }
    return status ? status : mpm_condition_release(condition);
}

/* Beside calls, whose figures are those given. */
static int measure_turns(const struct bench_figure *calls, struct bench_figure *figures)
{
    static const char *const names[] = {"condition, notify until a wait returns, p50",
                                        "condition, notify until a wait returns, p99"};
    static double one_way_us[TURNS];
    double of_them[PERCENTILES];
    struct turns turns;
    mpm_process partner;
    int there, status;

    if ((status = mpm_condition_create(&turns.condition)) ||
        (status = mpm_queue_create(NULL, &turns.queue)) ||
        (status = mpm_process_start(take_turns, &turns, sizeof turns,
                                    &(mpm_process_options){.place = MPM_ON_NODE(1)}, &partner)) ||
        (status = mpm_get(turns.queue, &there)) || (status = time_turns(turns.condition, one_way_us)) ||
        (status = mpm_process_join(partner, MPM_FOREVER)) || (status = mpm_process_close(partner)))
        return status;
    percentiles(one_way_us, TURNS, of_them);
    for (size_t i = 0; i < TURN_FIGURES; i++)
        figures[i] = (struct bench_figure){names[i], of_them[i] * 1e-6, "s", 2 * calls[i].value,
                                           "two calls there and back"};
    status = mpm_queue_destroy(turns.queue);
    return status ? status : mpm_condition_destroy(turns.condition);
}

/* Ranks that nap beside those that spin: what a nap costs. */
static size_t add_bare(struct bench_figure *figures)
{
    for (size_t i = 0; i < SIZES; i++)
        figures[i] = (struct bench_figure){make_name("MPI_Send, ranks that nap", sizes[i], "p50"),
                                           bare.us[SIZES + i][0] * 1e-6, "s", bare.us[i][0] * 1e-6,
                                           "MPI_Send, ranks that spin"};
    return SIZES;
}

static int measure_lines(double seconds, struct bench_figure *figures, size_t *count)
{
    struct bench_figure *calls = figures + *count;
    int status = measure_calls(calls);

    *count += PERCENTILES;
    if (!status)
        status = measure_turns(calls, figures + *count);
    *count += TURN_FIGURES;
    for (size_t i = 0; !status && i < 2 * SIZES; i++)
        status = measure_line(i < SIZES ? LINE_QUEUE : LINE_PIPE, i % SIZES, seconds, figures, count);
    for (size_t i = FIRST_LONG; !status && i < SIZES; i++)
        status = measure_line(LINE_IN_PLACE, i, seconds, figures, count);
    *count += add_bare(figures + *count);
    return status;
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

static int measure_map(double seconds, double message_rate, struct bench_figure *figures)
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
    figures[0] = (struct bench_figure){"items across the wire, 8 bytes, and results", rate, "items/s",
                                       message_rate, "MPI_Isend, windows of 64, one way"};
    figures[1] = (struct bench_figure){"their part of all items", share, "", 0, NULL};
    return status;
}

static double sleeps_of_process(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_nvcsw;
}

static void measure_idle(double seconds, struct bench_figure *figures)
{
    double begun_s = bench_now_s(), cpu_s = cpu_now_s(), sleeps = sleeps_of_process(),
           idle_s = IDLE_PARTS * seconds, took_s;

    nanosleep(&(struct timespec){.tv_sec = (time_t)idle_s, .tv_nsec = (long)(fmod(idle_s, 1) * 1e9)}, NULL);
    took_s = bench_now_s() - begun_s;
    figures[0] = (struct bench_figure){"CPU of a rank that has nothing to do", (cpu_now_s() - cpu_s) / took_s,
                                       "", IDLE_AIM, "the aim"};
    figures[1] = (struct bench_figure){"the same, beside a bare rank", figures[0].value, "",
                                       bare.look_s * (sleeps_of_process() - sleeps) / took_s,
                                       "as many bare looks at MPI"};
}

/* In main. */
static int run(double seconds, double rate, bool json)
{
    struct bench_figure figures[4 + (3 * SIZES + 1) * PERCENTILES + TURN_FIGURES + SIZES];
    size_t count = 2;
    int exit_status;

    if (mpm_node_count() != 2)
        exit_status = failure("both ranks are on one node: set MPMAP_RANKS_PER_NODE=1");
    else if (!(exit_status = measure_map(seconds, rate, figures)) && measure_lines(seconds, figures, &count))
        exit_status = mpm_report_error();
    if (!exit_status) {
        measure_idle(seconds, figures + count);
        count += 2;
    }
    if (!exit_status)
        bench_print(figures, count, json);
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
    int exit_status = EXIT_SUCCESS, granted, ranks, rank, status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &granted);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks != 2) {
        exit_status = usage_error("bench wire", "mpmap-wire needs 2 ranks, but has %d: mpirun -n 2", ranks);
        MPI_Finalize();
        return exit_status;
    }
    rate = best_message_rate(seconds);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    measure_bare(rank, seconds);
    if (!(status = mpm_init(&argc, &argv, NULL)))
        exit_status = run(seconds, rate, json);
    else if (status != MPM_SERVED)
        exit_status = mpm_report_error();
    MPI_Finalize();
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench simulate: how well a map spreads over nodes that this machine does not have. The nodes are
 * simulated, the decisions are those of the library: see simulate_world.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "support/command.h"
#include "simulate_world.h"

#define DEFAULT_MAP_S 10.0
#define MOST_SLOTS    ((size_t)50000000) /* of all nodes: about a gigabyte */
#define MOST_ITEMS    ((size_t)1 << 53)
#define LONGEST_S     1000000

/* What a run is to keep. */
#define LEAST_EFFICIENCY 0.95
#define MOST_BUSY        0.5

static const char help[] =
    "usage: mpmap bench simulate [options]\n"
    "\n"
    "Simulates a map on many nodes with the library's own distribution of work. Times in seconds.\n"
    "\n"
    "  --nodes N        nodes (10000)\n"
    "  --slots N        slots of each (64)\n"
    "  --latency S      of a message, one way (5e-6)\n"
    "  --bandwidth B    bytes a second of main's wire, each way (10000000000)\n"
    "  --message S      main's time for a message (1e-6)\n"
    "  --items N        items of the map (as many as take 10 s)\n"
    "  --item-size N    bytes of an item (8)\n"
    "  --result-size N  bytes of a result (8)\n"
    "  --item-time S    mean time of an item (0.01)\n"
    "  --costs SHAPE    how items differ: constant, rising, falling, random or heavy (constant)\n"
    "  --known          main knows the costs: the most costly items go first\n"
    "  --spread N       speed of the fastest node over that of the slowest (1)\n"
    "  --lost N         nodes that die during the map (none)\n"
    "  --joining N      nodes that join late (none)\n"
    "  --greedy         also the makespan of slots that take the next item the moment they are free:\n"
    "                   what costs that nobody knows allow; some seconds for 10 million items\n"
    "  --silent         nodes tell only what is done, and not what is claimed to the end as well\n"
    "  --grow           doubles the nodes until efficiency falls under 95 % or main is over half\n"
    "                   busy, and prints a line for each number\n"
    "  --seed N         of all that is random (1)\n"
    "  --json           prints a JSON array\n"
    "  --help           prints this\n";

/* As the command line gives it. */
struct simulate_arguments {
    size_t nodes, slots, bandwidth, items, item_size, result_size, spread, lost, joining, seed;
    double latency_s, message_s, item_s;
    const char *costs;
    bool known, silent, greedy, grow, json;
};

static bool parse(int argc, char **argv, struct simulate_arguments *arguments, int *exit_status)
{
    struct option options[] = {
        {"--nodes", OPTION_COUNT, &arguments->nodes, 1000000},
        {"--slots", OPTION_COUNT, &arguments->slots, 65536},
        {"--latency", OPTION_SECONDS, &arguments->latency_s, LONGEST_S},
        {"--bandwidth", OPTION_COUNT, &arguments->bandwidth, 0},
        {"--message", OPTION_SECONDS, &arguments->message_s, LONGEST_S},
        {"--items", OPTION_COUNT, &arguments->items, MOST_ITEMS},
        {"--item-size", OPTION_COUNT, &arguments->item_size, 0},
        {"--result-size", OPTION_COUNT, &arguments->result_size, 0},
        {"--item-time", OPTION_SECONDS, &arguments->item_s, LONGEST_S},
        {"--costs", OPTION_TEXT, &arguments->costs, 0},
        {"--spread", OPTION_COUNT, &arguments->spread, 1000000},
        {"--lost", OPTION_COUNT, &arguments->lost, 0},
        {"--joining", OPTION_COUNT, &arguments->joining, 0},
        {"--seed", OPTION_COUNT, &arguments->seed, 0},
        {"--known", OPTION_FLAG, &arguments->known, 0},
        {"--greedy", OPTION_FLAG, &arguments->greedy, 0},
        {"--silent", OPTION_FLAG, &arguments->silent, 0},
        {"--grow", OPTION_FLAG, &arguments->grow, 0},
        {"--json", OPTION_FLAG, &arguments->json, 0},
    };
    struct command command = {.name = "bench simulate",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof *options};
    return command_parse(&command, argc, argv, exit_status);
}

static int find_shape(const char *name, enum simulate_costs *costs)
{
    for (size_t i = 0; i < SIMULATE_COSTS; i++) {
        if (strcmp(name, simulate_costs_names[i]))
            continue;
        *costs = (enum simulate_costs)i;
        return 0;
    }
    return unknown_word("bench simulate", "shape of costs", name, simulate_costs_names, SIMULATE_COSTS);
}

static int check(const struct simulate_arguments *arguments)
{
    if (arguments->nodes > MOST_SLOTS / arguments->slots)
        return usage_error("bench simulate", "%zu nodes of %zu slots are too many: at most %zu slots in all",
                           arguments->nodes, arguments->slots, MOST_SLOTS);
    if (arguments->grow && arguments->json)
        return usage_error("bench simulate", "--grow prints no JSON");
    if (arguments->lost >= arguments->nodes || arguments->joining >= arguments->nodes - arguments->lost)
        return usage_error("bench simulate",
                           "%zu nodes die and %zu join late of %zu: at least one must do neither",
                           arguments->lost, arguments->joining, arguments->nodes);
    return 0;
}

static int make_options(const struct simulate_arguments *arguments, struct simulate_options *options)
{
    double items = DEFAULT_MAP_S / arguments->item_s * (double)(arguments->nodes * arguments->slots);

    *options = (struct simulate_options){
        .nodes = (unsigned)arguments->nodes,
        .slots = (unsigned)arguments->slots,
        .latency_s = arguments->latency_s,
        .bandwidth_bytes_s = (double)arguments->bandwidth,
        .message_s = arguments->message_s,
        .items = arguments->items ? arguments->items : (uint64_t)fmin(fmax(1.0, items), (double)MOST_ITEMS),
        .item_size = arguments->item_size,
        .result_size = arguments->result_size,
        .item_s = arguments->item_s,
        .speed_spread = (double)arguments->spread,
        .lost = (unsigned)arguments->lost,
        .joining = (unsigned)arguments->joining,
        .seed = arguments->seed,
        .known = arguments->known,
        .greedy = arguments->greedy,
        .silent = arguments->silent,
    };
    return find_shape(arguments->costs, &options->costs);
}

static void print(const struct simulate_result *result, bool json)
{
    static const char least[] = "no schedule is faster, whatever it knows";
    static const char greedy[] = "each slot takes the next item at once";
    const struct bench_figure figures[] = {
        {"makespan", result->makespan_s, "s", result->limit.least_s, least},
        {"efficiency", result->efficiency, "", result->limit.work_s / result->limit.least_s, least},
        {"main busy", result->main_busy, "", 0.5, "half of its time"},
        {"main's wire busy", result->wire_busy, "", 1.0, "all of its time"},
        {"tail", result->tail_s, "s", 0, NULL},
        {"messages of main", (double)result->messages / result->makespan_s, "/s", 0, NULL},
        {"bytes in them", result->bytes / result->makespan_s, "B/s", 0, NULL},
        {"leases", (double)result->leases, "", 0, NULL},
        {"recalls", (double)result->recalls, "", 0, NULL},
        {"lease table, an event", result->table_event_s, "s", 1e-6, "a microsecond"},
        {"makespan, beside greedy", result->makespan_s, "s", result->greedy_s, greedy},
    };
    bench_print(figures, sizeof figures / sizeof *figures - !result->greedy_s, json);
}

/* Where one main ends: doubles the nodes as long as the promise holds, and prints a row for each number. */
static int grow(struct simulate_arguments *arguments)
{
    struct simulate_options options;
    struct simulate_result result;
    bool holds = true;

    printf("%10s  %10s  %10s  %10s  %14s\n", "nodes", "efficiency", "main busy", "wire busy", "messages/s");
    for (; holds && arguments->nodes <= MOST_SLOTS / arguments->slots; arguments->nodes *= 2) {
        int exit_status = make_options(arguments, &options);

        if (exit_status)
            return exit_status;
        if (simulate_world(&options, &result))
            return failure("the simulation failed: %s", result.problem);
        printf("%10zu  %10.3f  %10.3f  %10.3f  %14.0f\n", arguments->nodes, result.efficiency,
               result.main_busy, result.wire_busy, (double)result.messages / result.makespan_s);
        fflush(stdout);
        holds = result.efficiency >= LEAST_EFFICIENCY && result.main_busy <= MOST_BUSY;
    }
    return EXIT_SUCCESS;
}

int bench_simulate(int argc, char **argv)
{
    struct simulate_arguments arguments = {.nodes = 10000,
                                           .slots = 64,
                                           .latency_s = 5e-6,
                                           .bandwidth = 10000000000,
                                           .message_s = 1e-6,
                                           .item_size = 8,
                                           .result_size = 8,
                                           .item_s = 0.01,
                                           .costs = simulate_costs_names[0],
                                           .spread = 1,
                                           .seed = 1};
    struct simulate_options options;
    struct simulate_result result;
    int exit_status;

    if (!parse(argc, argv, &arguments, &exit_status))
        return exit_status;
    exit_status = check(&arguments);
    if (!exit_status)
        exit_status = make_options(&arguments, &options);
    if (exit_status)
        return exit_status;
    if (arguments.grow)
        return grow(&arguments);
    if (simulate_world(&options, &result))
        return failure("the simulation failed: %s", result.problem);
    print(&result, arguments.json);
    return EXIT_SUCCESS;
}

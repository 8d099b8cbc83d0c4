/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap info: what this run consists of. */
#include <stdio.h>

#include "commands.h"
#include "support/command.h"
#include "support/json.h"

static const char help[] =
    "usage: mpmap info [--json]\n"
    "\n"
    "Shows the version, the nodes of this run with their ranks, slots and shared memory,\n"
    "whether it goes on without a node that is lost, and the MPI and HDF5 libraries. Try it under your "
    "launcher too:\n"
    "  mpirun -n 4 mpmap info\n"
    "\n"
    "  --json   prints one JSON object\n"
    "  --help   prints this\n";

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static int print_node(unsigned node)
{
    mpm_node info;

    if (mpm_node_info(node, &info))
        return mpm_report_error();
    printf("  %-4u %-24s %5u %6u  %-13s %9.1f MiB\n", node, info.name, info.ranks, info.slots, info.slots_by,
           (double)info.arena_size / (1 << 20));
    return 0;
}

static int print_table(void)
{
    unsigned nodes = mpm_node_count(), ranks = mpm_rank_count(), slots = mpm_slot_count();
    int exit_status = 0;

    printf("mpmap  %s\nMPI    %s\nHDF5   %s\n", mpm_version(), mpm_mpi_version(), mpm_hdf5_version());
    printf("run    %u node%s, %u rank%s, %u slot%s\n", nodes, plural(nodes), ranks, plural(ranks), slots,
           plural(slots));
    if (nodes > 1)
        printf("loss   if a node is lost, the run %s\n",
               mpm_survives_node_loss() ? "goes on without it" : "ends");
    putchar('\n');
    printf("  %-4s %-24s %5s %6s  %-13s %13s\n", "node", "name", "ranks", "slots", "by", "arena");
    for (unsigned node = 0; node < nodes && !exit_status; node++)
        exit_status = print_node(node);
    return exit_status;
}

static int print_json_node(unsigned node)
{
    mpm_node info;

    if (mpm_node_info(node, &info))
        return mpm_report_error();
    fputs(node ? ",\n    {\"name\": " : "\n    {\"name\": ", stdout);
    json_print_string(info.name);
    printf(", \"ranks\": %u, \"slots\": %u, \"slots_by\": \"%s\", \"arena_bytes\": %zu}", info.ranks,
           info.slots, info.slots_by, info.arena_size);
    return 0;
}

static int print_json(void)
{
    int exit_status = 0;

    fputs("{\n  \"version\": ", stdout);
    json_print_string(mpm_version());
    fputs(",\n  \"mpi\": ", stdout);
    json_print_string(mpm_mpi_version());
    fputs(",\n  \"hdf5\": ", stdout);
    json_print_string(mpm_hdf5_version());
    printf(",\n  \"ranks\": %u,\n  \"slots\": %u,\n  \"survives_node_loss\": %s,\n  \"nodes\": [",
           mpm_rank_count(), mpm_slot_count(), mpm_survives_node_loss() ? "true" : "false");
    for (unsigned node = 0; node < mpm_node_count() && !exit_status; node++)
        exit_status = print_json_node(node);
    puts("\n  ]\n}");
    return exit_status;
}

int command_info(int argc, char **argv)
{
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0}};
    struct command command = {.name = "info", .help = help, .options = options, .option_count = 1};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    return json ? print_json() : print_table();
}

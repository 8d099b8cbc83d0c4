/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench wire: runs mpmap-wire, which stands beside this program, with two ranks as two nodes that have
 * TCP between them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <mpmap.h>

#include "bench.h"
#include "support/command.h"
#include "two_ranks.h"

static const char help[] =
    "usage: mpmap bench wire [--json] [--seconds S] [--launcher COMMAND]\n"
    "\n"
    "Items of 8 bytes a second that a map hands to another node and gets results of 8 bytes\n"
    "for, beside messages of 8 bytes a second in windows of 64 MPI_Isend between the same two\n"
    "ranks; and how long a message takes one way by a queue and by a pipe, and a call on an\n"
    "object of the other node there and back, beside MPI_Send of ranks that nap between two\n"
    "looks; how long a condition's waiter on the other node takes to return, beside two such\n"
    "calls; and the CPU that a rank takes with nothing to do. They run on this machine, with\n"
    "TCP between them, or where the launcher puts them.\n"
    "\n"
    "  --seconds S         length of each of the 7 repetitions (0.3)\n"
    "  --launcher COMMAND  starts two ranks (mpirun -n 2)\n"
    "  --json              prints a JSON array\n"
    "  --help              prints this\n";

/* What a command prints becomes what we print. How many bytes. */
static size_t pass_on(FILE *from)
{
    size_t length, sum = 0;
    char text[4096];

    while ((length = fread(text, 1, sizeof text, from)) > 0)
        sum += fwrite(text, 1, length, stdout);
    return sum;
}

/* mpmap-wire's exit status. */
static int run_wire(const char *launcher, double seconds, bool json)
{
    char folder[PATH_MAX], command[PATH_MAX + 256];
    size_t length;
    FILE *wire;
    int status;

    if (!find_own_folder(folder, sizeof folder))
        return EXIT_FAILURE;
    status = snprintf(command, sizeof command, "%s '%s/mpmap-wire' --seconds %g%s", launcher, folder, seconds,
                      json ? " --json" : "");
    if (status < 0 || (size_t)status >= sizeof command)
        return usage_error("bench wire", "the launcher \"%s\" is too long", launcher);
    set_two_ranks();
    if (!(wire = popen(command, "r")))
        return failure("cannot start a shell");
    length = pass_on(wire);
    status = pclose(wire);
    if (!length)
        return failure("no figures come from two ranks by \"%s\"", launcher);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int bench_wire(int argc, char **argv)
{
    const char *launcher = TWO_RANKS_LAUNCHER;
    double seconds = 0.3;
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0},
                               {"--seconds", OPTION_SECONDS, &seconds, 60},
                               {"--launcher", OPTION_TEXT, &launcher, 0}};
    struct command command = {.name = "bench wire", .help = help, .options = options, .option_count = 3};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (mpm_rank_count() > 1) {
        fputs("mpmap: bench wire starts its own ranks, and is skipped under a launcher\n", stderr);
        bench_print(NULL, 0, json);
        return EXIT_SUCCESS;
    }
    return run_wire(launcher, seconds, json);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The command mpmap. Under a launcher every rank runs this, but mpm_init returns in rank 0 only: whatever is
 * behind it happens, and is printed, once. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "commands.h"
#include "support/command.h"
#include "support/suggest.h"

static const char help[] =
    "usage: mpmap COMMAND …\n"
    "\n"
    "Multiprocessing on one machine, and on every node of an allocation: put mpirun or srun\n"
    "before it.\n"
    "\n"
    "  mpmap map     runs a function of a plugin over the rows of an HDF5 data set\n"
    "  mpmap reduce  makes one result of all rows, by functions of a plugin\n"
    "  mpmap status  shows how far such a map is\n"
    "  mpmap look    lists what is in an HDF5 file, and what a map can take\n"
    "  mpmap info    shows nodes, slots and libraries\n"
    "  mpmap bench   measures this machine, each figure beside its limit\n"
    "\n"
    "  mpmap NAME    runs mpmap-NAME, which is beside mpmap or on the PATH: tally, photos, …\n"
    "\n"
    "  --version     prints the version\n"
    "  --help        prints this; after a command: the command's own help\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"map", command_map},   {"reduce", command_reduce}, {"status", command_status},
                {"look", command_look}, {"info", command_info},     {"bench", bench_main}};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* Which of the commands; COMMAND_COUNT if none. */
static size_t find_command(const char *name)
{
    size_t i = 0;

    while (i < COMMAND_COUNT && strcmp(commands[i].name, name))
        i++;
    return i;
}

static int run_command(int argc, char **argv)
{
    const char *names[COMMAND_COUNT];
    size_t found = find_command(argv[0]);

    if (found < COMMAND_COUNT)
        return commands[found].run(argc, argv);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    /* Those that are programs of their own are not among the names. */
    if (!suggest(argv[0], names, COMMAND_COUNT))
        return usage_error("", "unknown command '%s'", argv[0]);
    return unknown_word("", "command", argv[0], names, COMMAND_COUNT);
}

/* Becomes mpmap-NAME, if NAME is no command of ours and there is such a program: beside this one, or on the PATH. It
 * keeps the process, and with it the rank. */
static void become_program(char **argv)
{
    char path[PATH_MAX], name[NAME_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    char *folder_end;

    if (find_command(argv[0]) < COMMAND_COUNT || strchr(argv[0], '/') ||
        (size_t)snprintf(name, sizeof name, "mpmap-%s", argv[0]) >= sizeof name)
        return;
    path[length < 0 ? 0 : length] = '\0';
    if ((folder_end = strrchr(path, '/')) && (size_t)(folder_end + 1 - path) + strlen(name) < sizeof path) {
        strcpy(folder_end + 1, name);
        execv(path, argv);
    }
    execvp(name, argv);
}

static int run_arguments(int argc, char **argv)
{
    bool version = false;
    struct option options[] = {{"--version", OPTION_FLAG, &version, 0}};
    struct command command = {.name = "", .help = help, .options = options, .option_count = 1};
    int exit_status;

    if (argc > 1 && argv[1][0] != '-')
        return run_command(argc - 1, argv + 1);
    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (!version)
        return usage_error("", "a command is missing: map, reduce, status, look, info or bench");
    printf("mpmap %s\n", mpm_version());
    return 0;
}

int main(int argc, char **argv)
{
    const mpm_options options = {.drain_at_signals = argc > 1 && !strcmp(argv[1], "map")};

    if (argc > 1 && argv[1][0] != '-')
        become_program(argv + 1);
    return command_main("mpmap", &options, argc, argv, run_arguments);
}

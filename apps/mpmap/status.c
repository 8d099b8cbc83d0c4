/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap status: how far a map over a data set is. */
#include <stdio.h>

#include "command.h"
#include "json.h"

static const char help[] =
    "usage: mpmap status OUT.h5 [--json]\n"
    "\n"
    "Shows the progress of the map that writes OUT.h5, from any machine that sees the file, and\n"
    "without disturbing a run that is working on it.\n"
    "\n"
    "  --json   prints one JSON object\n"
    "  --help   prints this\n"
    "\n"
    "Exit status: 0; 1 if there is no such map, or its file is damaged; 2 if it was\n"
    "called wrongly.\n";

static void print_text(const char *file, const mpm_map_state *state)
{
    printf("%s: %llu of %llu rows are good, %llu failed, %llu left; %s\n", file,
           (unsigned long long)state->good, (unsigned long long)state->rows,
           (unsigned long long)state->failed, (unsigned long long)state->left,
           state->is_complete  ? "complete"
           : state->is_running ? "a run is working on it"
                               : "no run is working on it");
}

static void print_json(const char *file, const mpm_map_state *state)
{
    fputs("{\"output\": ", stdout);
    json_print_string(file);
    printf(", \"rows\": %llu, \"good\": %llu, \"failed\": %llu, \"left\": %llu, \"complete\": %s, "
           "\"running\": %s}\n",
           (unsigned long long)state->rows, (unsigned long long)state->good,
           (unsigned long long)state->failed, (unsigned long long)state->left,
           state->is_complete ? "true" : "false", state->is_running ? "true" : "false");
}

int command_status(int argc, char **argv)
{
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0}};
    struct command command = {
        .name = "status", .help = help, .options = options, .option_count = 1, .most_words = 1};
    mpm_map_state state;
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (command.word_count < 1)
        return usage_error("status", "the output of a map is missing: OUT.h5");
    if (mpm_map_status(command.words[0], &state))
        return mpm_report_error();
    (json ? print_json : print_text)(command.words[0], &state);
    return 0;
}

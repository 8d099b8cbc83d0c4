/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap status: how far a map over a data set is. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "support/command.h"
#include "support/json.h"

static const char help[] =
    "usage: mpmap status OUT.h5 [--json]\n"
    "\n"
    "Shows the progress of the map that writes OUT.h5, from any machine that sees the file, and\n"
    "without disturbing a run that is working on it. If runs have joined (mpmap map --join) it\n"
    "lists them: host, process, rows, and how long ago each gave a beat.\n"
    "\n"
    "  --json   prints one JSON object\n"
    "  --help   prints this\n"
    "\n"
    "Exit status: 0; 1 if there is no such map, or its file is damaged; 2 if it was\n"
    "called wrongly.\n";

/* How many seconds the runs that have joined need for what is left; 0: not known. */
static double seconds_left(const mpm_map_state *state)
{
    return state->rows_per_s > 0 ? (double)state->left / state->rows_per_s : 0;
}

static void print_text(const char *file, const mpm_map_state *state, const mpm_map_run *runs, size_t count)
{
    printf("%s: %llu of %llu rows are good, %llu failed, %llu left; %s\n", file,
           (unsigned long long)state->good, (unsigned long long)state->rows,
           (unsigned long long)state->failed, (unsigned long long)state->left,
           state->is_complete  ? "complete"
           : state->is_running ? "a run is working on it"
                               : "no run is working on it");
    if (!count)
        return;
    printf("%u run%s joined, %llu rows claimed, %.4g rows/s", state->run_count,
           state->run_count == 1 ? " has" : "s have", (unsigned long long)state->claimed, state->rows_per_s);
    if (seconds_left(state) > 0)
        printf(", about %.0f s left", seconds_left(state));
    putchar('\n');
    for (size_t i = 0; i < count; i++)
        printf("  %s, pid %ld: %llu rows done, %llu failed, %llu claimed; %.0f s, last beat %.0f s ago\n",
               runs[i].host[0] ? runs[i].host : "a run that is gone", runs[i].pid,
               (unsigned long long)runs[i].done, (unsigned long long)runs[i].failed,
               (unsigned long long)runs[i].claimed, runs[i].joined_s, runs[i].silent_s);
}

static void print_json(const char *file, const mpm_map_state *state, const mpm_map_run *runs, size_t count)
{
    fputs("{\"output\": ", stdout);
    json_print_string(file);
    printf(", \"rows\": %llu, \"good\": %llu, \"failed\": %llu, \"left\": %llu, \"complete\": %s, "
           "\"running\": %s",
           (unsigned long long)state->rows, (unsigned long long)state->good,
           (unsigned long long)state->failed, (unsigned long long)state->left,
           state->is_complete ? "true" : "false", state->is_running ? "true" : "false");
    if (count)
        printf(", \"claimed\": %llu, \"rows_per_s\": %.6g, \"seconds_left\": %.6g, \"runs\": [",
               (unsigned long long)state->claimed, state->rows_per_s, seconds_left(state));
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", {\"host\": " : "{\"host\": ", stdout);
        json_print_string(runs[i].host);
        printf(", \"pid\": %ld, \"done\": %llu, \"failed\": %llu, \"claimed\": %llu, \"joined_s\": %.3f, "
               "\"silent_s\": %.3f}",
               runs[i].pid, (unsigned long long)runs[i].done, (unsigned long long)runs[i].failed,
               (unsigned long long)runs[i].claimed, runs[i].joined_s, runs[i].silent_s);
    }
    puts(count ? "]}" : "}");
}

int command_status(int argc, char **argv)
{
    bool json = false;
    struct option options[] = {{"--json", OPTION_FLAG, &json, 0}};
    struct command command = {
        .name = "status", .help = help, .options = options, .option_count = 1, .most_words = 1};
    mpm_map_state state;
    mpm_map_run *runs;
    size_t run_count;
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    if (command.word_count < 1)
        return usage_error("status", "the output of a map is missing: OUT.h5");
    if (mpm_map_status(command.words[0], &state) || mpm_map_runs(command.words[0], &runs, &run_count))
        return mpm_report_error();
    (json ? print_json : print_text)(command.words[0], &state, runs, run_count);
    free(runs);
    return 0;
}

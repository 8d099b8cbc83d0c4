/* SPDX-License-Identifier: BSD-3-Clause */
/* Measuring: cases that are run in turn, so that all of them meet the same weather, and figures that stand
 * beside the limit that was measured in the same run. For the commands of `mpmap bench`. */
#ifndef MPMAP_BENCH_H
#define MPMAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_REPETITIONS 7
#define BENCH_MOST_VALUES 512 /* that a median is taken of */

/* Something to be measured. */
struct bench_case {
    int (*run)(const void *argument, uint64_t count); /* does `count` pieces of work: 0 or a status */
    const void *argument;
    uint64_t count; /* pieces in one repetition; 0: found by bench_measure() */
    double seconds[BENCH_REPETITIONS];
};

/* Runs every case BENCH_REPETITIONS times, in turn (A B A B …), about `seconds` each time. Returns 0, or the
 * first status that a case gave. */
int bench_measure(struct bench_case *cases, size_t case_count, double seconds);
/* Pieces a second: the median of the repetitions. */
double bench_rate(const struct bench_case *measured);
double bench_median(const double *values, size_t count);
/* Seconds on a clock that never runs backwards. */
double bench_now_s(void);

/* A result, and what it is measured against. */
struct bench_figure {
    const char *name;
    double value;
    const char *unit;
    double limit;           /* the same thing done by `limit_name`; 0: there is none */
    const char *limit_name; /* NULL: there is none */
};

/* Prints figures to stdout: an aligned table, or a JSON array. */
void bench_print(const struct bench_figure *figures, size_t count, bool json);

/* Appends a figure, with the rate that a Python script prints as its limit. Returns the new count; the old one, and
 * says so, if there is no python3 with multiprocessing. */
size_t bench_add_python(struct bench_figure *figures, size_t count, struct bench_figure figure,
                        const char *script);

/* What most benchmarks may be told. */
struct bench_options {
    const char *name, *help; /* of the command */
    double seconds;          /* of a repetition */
    size_t workers;          /* 0: there is no such option */
    bool json;
};

/* As command_parse(); `options`: the defaults, and out. */
bool bench_parse(struct bench_options *options, int argc, char **argv, int *exit_status);

/* The commands. argv[0] is the command's own name ("map"); they return the exit status. */
int bench_main(int argc, char **argv); /* mpmap bench … */
int bench_map(int argc, char **argv);
int bench_schedule(int argc, char **argv);
int bench_step(int argc, char **argv);
int bench_metg(int argc, char **argv);
int bench_wire(int argc, char **argv);
int bench_simulate(int argc, char **argv);
int bench_value(int argc, char **argv);
int bench_queue(int argc, char **argv);
int bench_latency(int argc, char **argv);
int bench_sync(int argc, char **argv);
int bench_process(int argc, char **argv);
int bench_apply(int argc, char **argv);
int bench_imap(int argc, char **argv);
int bench_blobs(int argc, char **argv);
int bench_reduce(int argc, char **argv);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The harness of mpmap bench. Cases take turns, so that a machine that slows down slows all of them, and
 * medians drop the repetitions that something else disturbed. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/command.h"
#include "support/json.h"

#define FIRST_COUNT 64

double bench_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int time_run(const struct bench_case *measured, uint64_t count, double *seconds)
{
    double start_s = bench_now_s();
    int status = measured->run(measured->argument, count);

    *seconds = bench_now_s() - start_s;
    return status;
}

/* The shorter of two runs: something else may have disturbed one. */
static int time_twice(const struct bench_case *measured, uint64_t count, double *seconds)
{
    double first, second;
    int status = time_run(measured, count, &first);

    if (!status)
        status = time_run(measured, count, &second);
    if (!status)
        *seconds = first < second ? first : second;
    return status;
}

/* Finds the count that takes about `seconds`: rises until runs are long enough to be believed. */
static int calibrate(struct bench_case *measured, double seconds)
{
    uint64_t count = FIRST_COUNT;
    double took;
    int status;

    while (!(status = time_twice(measured, count, &took)) && took < seconds / 4)
        count *= took < seconds / 32 ? 8 : 2;
    if (status)
        return status;
    measured->count = 1 + (uint64_t)((double)count * seconds / took);
    return 0;
}

int bench_measure(struct bench_case *cases, size_t case_count, double seconds)
{
    int status = 0;

    for (size_t i = 0; i < case_count && !status; i++)
        if (!cases[i].count)
            status = calibrate(&cases[i], seconds);
    for (size_t repetition = 0; repetition < BENCH_REPETITIONS; repetition++)
        for (size_t i = 0; i < case_count && !status; i++)
            status = time_run(&cases[i], cases[i].count, &cases[i].seconds[repetition]);
    return status;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

double bench_median(const double *values, size_t count)
{
    double sorted[BENCH_MOST_VALUES];

    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

double bench_rate(const struct bench_case *measured)
{
    return (double)measured->count / bench_median(measured->seconds, BENCH_REPETITIONS);
}

static bool has_limit(const struct bench_figure *figure)
{
    return figure->limit_name && figure->limit > 0;
}

static void print_json_figure(const struct bench_figure *figure)
{
    fputs("{\"name\": ", stdout);
    json_print_string(figure->name);
    fputs(", \"value\": ", stdout);
    json_print_number(figure->value);
    fputs(", \"unit\": ", stdout);
    json_print_string(figure->unit);
    if (!has_limit(figure)) {
        fputs(", \"limit\": null, \"limit_name\": null, \"ratio\": null}", stdout);
        return;
    }
    fputs(", \"limit\": ", stdout);
    json_print_number(figure->limit);
    fputs(", \"limit_name\": ", stdout);
    json_print_string(figure->limit_name);
    fputs(", \"ratio\": ", stdout);
    json_print_number(figure->value / figure->limit);
    putchar('}');
}

static void print_json(const struct bench_figure *figures, size_t count)
{
    fputs("[\n", stdout);
    for (size_t i = 0; i < count; i++) {
        fputs("  ", stdout);
        print_json_figure(&figures[i]);
        puts(i + 1 < count ? "," : "");
    }
    puts("]");
}

/* Four digits, k, M or G in place of the others, and the unit; of a time, m, u or n. */
static char *short_number(double number, const char *unit, char *text, size_t size)
{
    static const struct {
        double scale;
        const char *letter;
    } scales[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "u"}, {0, "n"}};
    bool is_time = !strcmp(unit, "s");
    size_t i = is_time ? 3 : 0, last = is_time ? 6 : 3;

    while (i < last && number < scales[i].scale)
        i++;
    snprintf(text, size, "%.4g %s%s", number / (i == 6 ? 1e-9 : scales[i].scale), scales[i].letter, unit);
    return text;
}

static void print_row(const struct bench_figure *figure, int name_width)
{
    char value[32], limit[32], ratio[32];

    printf("%-*s  %16s", name_width, figure->name,
           short_number(figure->value, figure->unit, value, sizeof value));
    if (has_limit(figure))
        printf("  %9s of %16s  %s", short_number(figure->value / figure->limit, "", ratio, sizeof ratio),
               short_number(figure->limit, figure->unit, limit, sizeof limit), figure->limit_name);
    putchar('\n');
}

void bench_print(const struct bench_figure *figures, size_t count, bool json)
{
    int width = 0;

    if (json) {
        print_json(figures, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if ((int)strlen(figures[i].name) > width)
            width = (int)strlen(figures[i].name);
    printf("%-*s  %16s  %9s    %16s\n", width, "figure", "value", "ratio", "limit");
    for (size_t i = 0; i < count; i++)
        print_row(&figures[i], width);
}

/* 0 if there is no python3. */
static double python_rate(const char *script)
{
    char command[1024];
    double rate = 0;
    FILE *python;

    snprintf(command, sizeof command, "python3 -c 'import multiprocessing, time, statistics\n%s' 2>/dev/null",
             script);
    python = popen(command, "r");
    if (!python)
        return 0;
    if (fscanf(python, "%lf", &rate) != 1)
        rate = 0;
    pclose(python);
    return rate;
}

size_t bench_add_python(struct bench_figure *figures, size_t count, struct bench_figure figure,
                        const char *script)
{
    figure.limit = python_rate(script);
    if (!(figure.limit > 0)) {
        fprintf(stderr, "mpmap: python3 with multiprocessing was not found: skipping \"%s\"\n", figure.name);
        return count;
    }
    figures[count] = figure;
    return count + 1;
}

bool bench_parse(struct bench_options *options, int argc, char **argv, int *exit_status)
{
    struct option known[] = {{"--json", OPTION_FLAG, &options->json, 0},
                             {"--seconds", OPTION_SECONDS, &options->seconds, 60},
                             {"--workers", OPTION_COUNT, &options->workers, 1024}};
    struct command command = {.name = options->name,
                              .help = options->help,
                              .options = known,
                              .option_count = options->workers ? 3 : 2};

    return command_parse(&command, argc, argv, exit_status);
}

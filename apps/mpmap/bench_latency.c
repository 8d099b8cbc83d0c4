/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench latency: how long a message takes one way by a queue and by a pipe, of most of them and of the slowest
 * in a hundred and in a thousand, where the receiver has just been at work and where it sleeps; beside a bare word in
 * shared memory with a copy in and a copy out, which is spun on or slept on. And long messages in bytes a second,
 * beside memcpy. All of them in turn, in pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "bench.h"
#include "pingpong.h"

#define DEFAULT_SECONDS 0.1
#define MOST_ROUNDS     ((size_t)20000) /* in a piece */
#define FIRST_ROUNDS    ((size_t)20)
#define LINES           4               /* the word, the queue, the pipe, and a long message in place */
#define LONG_ENOUGH     ((size_t)65536) /* to be measured in place */
#define LONG_SIZE       ((size_t)4 << 20)
#define LONG_MESSAGES   4 /* that a queue of long ones holds */

static const char help[] =
    "usage: mpmap bench latency [--json] [--seconds S]\n"
    "\n"
    "How long a message takes one way on this node, by queues and pipes; and long messages\n"
    "in bytes a second. Between nodes: mpmap bench wire.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions of a figure (0.1)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

static const size_t sizes[] = {8, 4096, 65536, (size_t)4 << 20};
#define SIZES   (sizeof sizes / sizeof *sizes)
#define STREAMS 2

/* As many rounds as a piece of that length has. */
static int count_rounds(const struct line *line, double seconds, size_t *count)
{
    double one_way_us[FIRST_ROUNDS], of_them[PERCENTILES], round_s;
    int status = line_measure(line, FIRST_ROUNDS, one_way_us);

    if (status)
        return status;
    percentiles(one_way_us, FIRST_ROUNDS, of_them);
    round_s = 2e-6 * of_them[0] + (line->sleeps ? 1e-3 : 0);
    *count = (size_t)(seconds / round_s) + 2;
    if (*count > MOST_ROUNDS)
        *count = MOST_ROUNDS;
    return 0;
}

/* One line, of `count` rounds in each of the pieces. */
struct samples {
    struct line line;
    size_t count;
    double *one_way_us;
};

static size_t lines_of(size_t size)
{
    return size >= LONG_ENOUGH ? LINES : LINES - 1;
}

static int make_samples(struct samples *samples, double seconds)
{
    int status = line_open(&samples->line);

    if (status || (status = count_rounds(&samples->line, seconds, &samples->count)))
        return status;
    samples->one_way_us = malloc(BENCH_REPETITIONS * samples->count * sizeof *samples->one_way_us);
    return samples->one_way_us ? 0 : MPM_ENOMEM;
}

static int fill_samples(struct samples *samples)
{
    int status = 0;

    for (size_t piece = 0; !status && piece < BENCH_REPETITIONS; piece++) {
        for (size_t i = 0; !status && i < lines_of(samples[0].line.size); i++)
            status = line_measure(&samples[i].line, samples[i].count,
                                  samples[i].one_way_us + piece * samples[i].count);
    }
    return status;
}

/* A name that stays. NULL if there is no memory for it. */
static const char *make_name(const char *carrier, size_t size, bool sleeps, const char *percentile)
{
    char text[80], number[32];

    snprintf(text, sizeof text, "%s, %s, %s, %s", carrier, size_name(size, number, sizeof number),
             sleeps ? "asleep" : "at work", percentile);
    return strdup(text);
}

static size_t make_figures(struct samples *samples, struct bench_figure *figures)
{
    static const char *const carriers[LINES] = {"word", "queue", "pipe", "queue in place"};
    const struct line *line = &samples[0].line;
    double of_them[LINES][PERCENTILES];
    size_t count = 0, lines = lines_of(line->size);

    for (size_t i = 0; i < lines; i++)
        percentiles(samples[i].one_way_us, BENCH_REPETITIONS * samples[i].count, of_them[i]);
    for (size_t i = 1; i < lines; i++) {
        for (size_t j = 0; j < PERCENTILES; j++)
            figures[count++] = (struct bench_figure){
                make_name(carriers[i], line->size, line->sleeps, percentile_names[j]), of_them[i][j] * 1e-6,
                "s", of_them[0][j] * 1e-6,
                line->sleeps ? "a futex, and two copies" : "a word, and two copies"};
    }
    return count;
}

static int measure_size(size_t size, bool sleeps, double seconds, struct bench_figure *figures, size_t *count)
{
    struct samples samples[LINES];
    int status = 0;

    for (size_t i = 0; i < lines_of(size); i++)
        samples[i] = (struct samples){.line = {.kind = (enum line_kind)i, .sleeps = sleeps, .size = size}};
    for (size_t i = 0; !status && i < lines_of(size); i++)
        status = make_samples(&samples[i], seconds);
    if (!status && !(status = fill_samples(samples)))
        *count += make_figures(samples, figures + *count);
    for (size_t i = 0; !status && i < lines_of(size); i++) {
        free(samples[i].one_way_us);
        status = line_close(&samples[i].line);
    }
    return status;
}

/* Long messages, one after the other. */

struct stream {
    struct line line; /* a queue or a pipe */
    uint64_t count;
};

static int send_stream(const void *args, size_t size)
{
    const struct stream *stream = args;
    char *message = malloc(LONG_SIZE);
    int status = message ? 0 : MPM_ENOMEM;

    (void)size;
    if (message)
        memset(message, 1, LONG_SIZE);
    for (uint64_t i = 0; !status && i < stream->count; i++)
        status = stream->line.kind == LINE_QUEUE
                     ? mpm_queue_put(stream->line.queues[1], message, LONG_SIZE, MPM_FOREVER)
                     : mpm_connection_send(stream->line.ends[1], message, LONG_SIZE, MPM_FOREVER);
    free(message);
    return status ? 1 : 0;
}

static int receive_stream(const struct stream *stream, char *message)
{
    int status = 0;

    for (uint64_t i = 0; !status && i < stream->count; i++)
        status = stream->line.kind == LINE_QUEUE
                     ? mpm_queue_get(stream->line.queues[1], MPM_FOREVER, message, LONG_SIZE, NULL)
                     : mpm_connection_recv(stream->line.ends[0], MPM_FOREVER, message, LONG_SIZE, NULL);
    return status;
}

static int run_stream(const void *argument, uint64_t count)
{
    struct stream stream = *(const struct stream *)argument;
    mpm_process sender;
    char *message = malloc(LONG_SIZE);
    int status = message ? 0 : MPM_ENOMEM;

    stream.count = count;
    if (!status &&
        !(status = mpm_process_start(send_stream, &stream, sizeof stream,
                                     &(mpm_process_options){.place = MPM_ON_NODE(0)}, &sender)) &&
        !(status = receive_stream(&stream, message)) && !(status = mpm_process_join(sender, MPM_FOREVER)))
        status = mpm_process_close(sender);
    free(message);
    return status;
}

/* From two pieces of memory in turn, as much as two messages have. */
static int run_copies(const void *unused, uint64_t count)
{
    char *from = malloc(2 * LONG_SIZE), *to = malloc(2 * LONG_SIZE);

    (void)unused;
    if (from && to) {
        memset(from, 1, 2 * LONG_SIZE);
        for (uint64_t i = 0; i < count; i++)
            memcpy(to + i % 2 * LONG_SIZE, from + i % 2 * LONG_SIZE, LONG_SIZE);
        /* The copies are made, whoever looks at them. */
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    free(from);
    free(to);
    return from && to ? 0 : MPM_ENOMEM;
}

static int measure_streams(double seconds, struct bench_figure *figures, size_t *count)
{
    static const char *const names[STREAMS] = {"queue, messages of 4 MiB", "pipe, messages of 4 MiB"};
    struct stream queue = {.line = {.kind = LINE_QUEUE}}, pipe = {.line = {.kind = LINE_PIPE}};
    struct bench_case cases[] = {
        {.run = run_copies}, {.run = run_stream, .argument = &queue}, {.run = run_stream, .argument = &pipe}};
    int status;

    if ((status = mpm_queue_create(&(mpm_queue_options){.maxsize = LONG_MESSAGES}, &queue.line.queues[1])) ||
        (status = mpm_queue_create(NULL, &queue.line.queues[0])) || (status = line_open(&pipe.line)) ||
        (status = bench_measure(cases, sizeof cases / sizeof *cases, seconds)))
        return status;
    for (size_t i = 0; i < STREAMS; i++)
        figures[(*count)++] = (struct bench_figure){names[i], bench_rate(&cases[i + 1]) * (double)LONG_SIZE,
                                                    "B/s", bench_rate(&cases[0]) * (double)LONG_SIZE,
                                                    "memcpy, one copy"};
    if ((status = line_close(&queue.line)))
        return status;
    return line_close(&pipe.line);
}

int bench_latency(int argc, char **argv)
{
    struct bench_options options = {.name = "bench latency", .help = help, .seconds = DEFAULT_SECONDS};
    struct bench_figure figures[SIZES * 2 * (LINES - 1) * PERCENTILES + STREAMS];
    size_t count = 0;
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    for (size_t i = 0; i < 2 * SIZES; i++) {
        if (measure_size(sizes[i % SIZES], i >= SIZES, options.seconds, figures, &count))
            return mpm_report_error();
    }
    if (measure_streams(options.seconds, figures, &count))
        return mpm_report_error();
    bench_print(figures, count, options.json);
    for (size_t i = 0; i + STREAMS < count; i++)
        free((char *)(uintptr_t)figures[i].name);
    return 0;
}

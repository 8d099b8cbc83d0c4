/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages there and back; see the header. */
#include "pingpong.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS    1000   /* at a bare word before others may run */
#define STILL_NS 300000 /* longer than anybody spins */
#define WARM_UP  ((size_t)16)
#define THE_END  (-1.0) /* in place of the time for which a message was held: there are no more */

const char *const percentile_names[PERCENTILES] = {"p50", "p99", "p99.9"};

void line_be_still(void)
{
    nanosleep(&(struct timespec){.tv_nsec = STILL_NS}, NULL);
}

/* Bare words. A side writes its message behind its word, and sets the word; the other one takes it back. */

struct word {
    _Alignas(64) _Atomic uint32_t is_full;
    _Alignas(64) char bytes[];
};

struct word_line {
    size_t stride; /* from one side's word to the other's */
    _Alignas(64) char words[];
};

static struct word *word_of(const struct line *line, unsigned side)
{
    return (struct word *)(line->words->words + side * line->words->stride);
}

static size_t word_line_size(size_t size)
{
    return sizeof(struct word_line) + 2 * ((sizeof(struct word) + size + 63) / 64 * 64);
}

static int send_word(const struct line *line, unsigned side, const void *bytes)
{
    struct word *word = word_of(line, side);

    memcpy(word->bytes, bytes, line->size);
    atomic_store_explicit(&word->is_full, 1, memory_order_release);
    if (line->sleeps)
        syscall(SYS_futex, &word->is_full, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return 0;
}

static int receive_word(const struct line *line, unsigned side, void *bytes)
{
    struct word *word = word_of(line, side);

    for (int looks = 1; !atomic_load_explicit(&word->is_full, memory_order_acquire); looks++) {
        if (line->sleeps)
            syscall(SYS_futex, &word->is_full, FUTEX_WAIT, 0, NULL, NULL, 0);
        else if (looks % LOOKS == 0)
            sched_yield();
    }
    memcpy(bytes, word->bytes, line->size);
    atomic_store_explicit(&word->is_full, 0, memory_order_relaxed);
    return 0;
}

/* Both sides of any line. Side 0 begins. */

static int send(const struct line *line, unsigned side, mpm_message *message)
{
    switch (line->kind) {
    case LINE_WORD:
        return send_word(line, side, message->bytes);
    case LINE_QUEUE:
        return mpm_queue_put(line->queues[side], message->bytes, line->size, MPM_FOREVER);
    case LINE_PIPE:
        return mpm_connection_send(line->ends[side], message->bytes, line->size, MPM_FOREVER);
    case LINE_IN_PLACE:
    default:
        return mpm_queue_put_message(line->queues[side], message, MPM_FOREVER);
    }
}

/* What the other side has sent. */
static int receive(const struct line *line, unsigned side, mpm_message *message)
{
    switch (line->kind) {
    case LINE_WORD:
        return receive_word(line, !side, message->bytes);
    case LINE_QUEUE:
        return mpm_queue_get(line->queues[!side], MPM_FOREVER, message->bytes, line->size, NULL);
    case LINE_PIPE:
        return mpm_connection_recv(line->ends[side], MPM_FOREVER, message->bytes, line->size, NULL);
    case LINE_IN_PLACE:
    default:
        return mpm_queue_get_message(line->queues[!side], MPM_FOREVER, message);
    }
}

/* The memory that a side has for messages; of a message in place none is needed by who gets the first one. */
static int make_memory(const struct line *line, bool begins, mpm_message *message)
{
    *message = (mpm_message){.size = line->size};
    if (line->kind == LINE_IN_PLACE)
        return begins ? mpm_message_create(line->size, message) : 0;
    message->bytes = calloc(1, line->size);
    return message->bytes ? 0 : MPM_ENOMEM;
}

static void free_memory(const struct line *line, mpm_message *message)
{
    if (line->kind == LINE_IN_PLACE)
        mpm_message_destroy(message);
    else
        free(message->bytes);
}

static int send_back(const void *args, size_t args_size)
{
    const struct line *line = args;
    mpm_message message;
    int status = make_memory(line, false, &message);
    double start_s;

    (void)args_size;
    while (!status && !(status = receive(line, 1, &message)) && *(double *)message.bytes != THE_END) {
        start_s = bench_now_s();
        if (line->sleeps)
            line_be_still();
        *(double *)message.bytes = bench_now_s() - start_s;
        status = send(line, 1, &message);
    }
    free_memory(line, &message);
    return status ? 1 : 0;
}

static int go_round(const struct line *line, mpm_message *message, double *one_way_us)
{
    double start_s;
    int status;

    if (line->sleeps)
        line_be_still();
    start_s = bench_now_s();
    *(double *)message->bytes = 0;
    if ((status = send(line, 0, message)) || (status = receive(line, 0, message)))
        return status;
    *one_way_us = (bench_now_s() - start_s - *(double *)message->bytes) / 2 * 1e6;
    return 0;
}

static int go_rounds(const struct line *line, size_t count, double *one_way_us)
{
    mpm_message message;
    int status = make_memory(line, true, &message);
    double unused;

    for (size_t i = 0; !status && i < WARM_UP && i < count; i++)
        status = go_round(line, &message, &unused);
    for (size_t i = 0; !status && i < count; i++)
        status = go_round(line, &message, &one_way_us[i]);
    if (!status) {
        *(double *)message.bytes = THE_END;
        status = send(line, 0, &message);
    }
    free_memory(line, &message);
    return status;
}

static int measure_words(const struct line *line, size_t count, double *one_way_us)
{
    pid_t partner = fork();
    int status;

    if (partner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(send_back(line, sizeof *line));
    }
    if (partner < 0)
        return MPM_ESYSTEM;
    status = go_rounds(line, count, one_way_us);
    waitpid(partner, NULL, 0);
    return status;
}

int line_measure(const struct line *line, size_t count, double *one_way_us)
{
    mpm_process_options there = {.place = MPM_ON_NODE(line->node)};
    mpm_process partner;
    int status;

    if (line->kind == LINE_WORD)
        return measure_words(line, count, one_way_us);
    if ((status = mpm_process_start(send_back, line, sizeof *line, &there, &partner)) ||
        (status = go_rounds(line, count, one_way_us)) || (status = mpm_process_join(partner, MPM_FOREVER)))
        return status;
    return mpm_process_close(partner);
}

static int open_words(struct line *line)
{
    void *memory = mmap(NULL, word_line_size(line->size), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0);

    if (memory == MAP_FAILED)
        return MPM_ENOMEM;
    line->words = memory;
    line->words->stride = (sizeof(struct word) + line->size + 63) / 64 * 64;
    return 0;
}

int line_open(struct line *line)
{
    int status;

    if (line->kind == LINE_WORD)
        return open_words(line);
    if (line->kind == LINE_PIPE)
        return mpm_pipe_create(MPM_DUPLEX, &line->ends[0], &line->ends[1]);
    status = mpm_queue_create(NULL, &line->queues[0]);
    return status ? status : mpm_queue_create(NULL, &line->queues[1]);
}

int line_close(struct line *line)
{
    int status;

    if (line->kind == LINE_WORD)
        return munmap(line->words, word_line_size(line->size)) ? MPM_ESYSTEM : 0;
    if (line->kind == LINE_PIPE) {
        status = mpm_connection_close(line->ends[0]);
        return status ? status : mpm_connection_close(line->ends[1]);
    }
    status = mpm_queue_destroy(line->queues[0]);
    return status ? status : mpm_queue_destroy(line->queues[1]);
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

void percentiles(double *values, size_t count, double *of_them)
{
    static const double shares[PERCENTILES] = {0.5, 0.99, 0.999};

    qsort(values, count, sizeof *values, compare_doubles);
    for (size_t i = 0; i < PERCENTILES; i++)
        of_them[i] = values[(size_t)(shares[i] * (double)(count - 1))];
}

char *size_name(size_t size, char *text, size_t room)
{
    bool is_mega = size >= 1 << 20, is_kilo = size >= 1 << 10;

    snprintf(text, room, "%zu %s",
             is_mega   ? size >> 20
             : is_kilo ? size >> 10
                       : size,
             is_mega   ? "MiB"
             : is_kilo ? "KiB"
                       : "B");
    return text;
}

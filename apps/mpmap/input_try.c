/* SPDX-License-Identifier: BSD-3-Clause */
/* The process says through a pipe what it does next, and at last what it has read. When the pipe ends without that, the
 * last step is the one that it did not survive. */
#include "input_try.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "support/command.h"
#include "support/files.h"

#define BLOCK ((size_t)32 << 10) /* values a message */

enum text { FILE_NAME, DATASET, ROW, COMMAND, ROWS, WHERE, COST, COST_FILE, COSTS, TEXTS };

/* For the process, with the texts behind it. */
struct orders {
    mpm_connection results; /* first, as what a process holds must be aligned */
    bool chooses, probes, tells_missing, refuses_missing;
    int keep;
    mpm_tiling tiling;
    unsigned axis;
    int without_locks;
    mpm_follow_options follow;
    size_t text[TEXTS]; /* where it is behind the struct; 0: none */
};

enum step { OPENING, PROBING, CHOOSING, COSTING, FAILED, DONE };

struct message {
    enum step step;
    int exit_status;        /* of FAILED: what is wrong was said */
    struct input_choice of; /* of DONE, but for the lists, which come behind it */
};

/* ---- In the process ---- */

static const char *text_of(const struct orders *orders, enum text text)
{
    return orders->text[text] ? (const char *)(orders + 1) + orders->text[text] - 1 : NULL;
}

static void say(const struct orders *orders, enum step step)
{
    const struct message message = {.step = step};

    if (mpm_send(orders->results, &message))
        mpm_report_error();
}

static int read_costs(const struct orders *orders, const mpm_dataset_map *input, struct input_choice *choice)
{
    const char *file = text_of(orders, COST_FILE), *set = text_of(orders, COSTS);
    const mpm_dataset_map all = {.input_file = input->input_file,
                                 .input_files = input->input_files,
                                 .input_file_count = input->input_file_count,
                                 .without_locks = input->without_locks};

    if (!text_of(orders, COST))
        return 0;
    say(orders, COSTING);
    if (file ? mpm_dataset_read_costs(file, set, input->without_locks, &choice->costs, &choice->cost_count)
             : mpm_dataset_read_input_costs(&all, set, &choice->costs, &choice->cost_count))
        return mpm_report_error();
    return 0;
}

static int choose(const struct orders *orders, const mpm_dataset_map *input, struct input_choice *choice)
{
    const struct rows_request rows = {.command = text_of(orders, COMMAND),
                                      .word = text_of(orders, ROWS),
                                      .where = text_of(orders, WHERE),
                                      .input_file = text_of(orders, FILE_NAME),
                                      .input = input};
    int exit_status;

    say(orders, CHOOSING);
    exit_status = rows_choose(&rows, &choice->choice, &choice->list);
    return exit_status ? exit_status : read_costs(orders, input, choice);
}

/* Rows and costs alike are values of 8 bytes. */
static int send_list(const struct orders *orders, const void *values, uint64_t count)
{
    _Static_assert(sizeof(uint64_t) == sizeof(double), "a value has 8 bytes");
    int status = 0;

    for (uint64_t sent = 0; sent < count && !status; sent += BLOCK)
        status = mpm_connection_send(orders->results, (const uint64_t *)values + sent,
                                     (count - sent < BLOCK ? count - sent : BLOCK) * sizeof(uint64_t),
                                     MPM_FOREVER);
    return status;
}

static void send_choice(const struct orders *orders, int exit_status, const struct input_choice *choice)
{
    const struct message message = {
        .step = exit_status ? FAILED : DONE, .exit_status = exit_status, .of = *choice};

    if (mpm_send(orders->results, &message) ||
        (!exit_status && (send_list(orders, choice->list, choice->list ? choice->choice.index_count : 0) ||
                          send_list(orders, choice->costs, choice->cost_count))))
        mpm_report_error();
}

static void choose_and_send(const struct orders *orders, const mpm_dataset_map *input)
{
    struct input_choice choice = {0};
    int exit_status = choose(orders, input, &choice);

    send_choice(orders, exit_status, &choice);
    free(choice.list);
    free(choice.costs);
}

/* Opens the input, and says which sources of it are missing, of which HDF5 says nothing: of an input that grows once,
 * when it is there. */
static int open_as_main(const struct orders *orders, const mpm_dataset_map *input)
{
    mpm_dataset_sources sources = {0};
    struct message refused = {.step = FAILED};

    if (orders->tells_missing ? mpm_dataset_find_sources(input, &sources)
                              : mpm_dataset_describe_input(input, NULL, NULL))
        mpm_error();
    if (!sources.missing)
        return 0;
    fprintf(stderr, "mpmap: sources of '%s:%s' are missing, %" PRIu64 " of %" PRIu64 "%s: %s\n",
            text_of(orders, FILE_NAME), input->input_dataset, sources.missing, sources.count,
            orders->refuses_missing ? ", which --no-missing refuses" : ", which read as the fill value",
            sources.first);
    if (!orders->refuses_missing)
        return 0;
    refused.exit_status = EXIT_FAILURE;
    if (mpm_send(orders->results, &refused))
        mpm_report_error();
    return EXIT_FAILURE;
}

static void read_input(const struct orders *orders, const mpm_dataset_map *input)
{
    if (open_as_main(orders, input))
        return;
    if (orders->probes) {
        say(orders, PROBING);
        if (mpm_dataset_probe(input))
            mpm_error();
    }
    if (orders->chooses)
        choose_and_send(orders, input);
}

/* What is wrong with the input itself, main will find out. */
static int open_input(const void *args, size_t size)
{
    const struct orders *orders = args;
    struct file_list files;
    mpm_dataset_map map;

    (void)size;
    if (files_expand(text_of(orders, FILE_NAME), &files))
        return 0;
    map = (mpm_dataset_map){.input_file = files.count ? NULL : text_of(orders, FILE_NAME),
                            .input_files = (const char *const *)files.names,
                            .input_file_count = files.count,
                            .input_dataset = text_of(orders, DATASET),
                            .row = text_of(orders, ROW),
                            .axis = orders->axis,
                            .keep = orders->keep,
                            .tiling = orders->tiling,
                            .without_locks = orders->without_locks,
                            .follow = orders->follow};
    read_input(orders, &map);
    files_free(&files);
    return 0;
}

/* ---- In main ---- */

static struct orders *write_orders(const char *file, const mpm_dataset_map *input,
                                   const struct input_words *words, size_t *size)
{
    const char *texts[TEXTS] = {file,           input->input_dataset, input->row,
                                words->command, words->rows,          words->where,
                                words->cost,    words->cost_file,     words->costs};
    struct orders *orders;
    size_t at = 0;

    *size = sizeof *orders;
    for (int i = 0; i < TEXTS; i++)
        *size += texts[i] ? strlen(texts[i]) + 1 : 0;
    if (!(orders = calloc(1, *size)))
        return NULL;
    orders->chooses = words->rows || words->where || words->cost;
    orders->probes = words->probes;
    orders->tells_missing = words->command;
    orders->refuses_missing = words->refuses_missing;
    orders->keep = input->keep;
    orders->tiling = input->tiling;
    orders->axis = input->axis;
    orders->without_locks = input->without_locks;
    orders->follow = input->follow;
    orders->follow.end = NULL; /* it is of no account before the map */
    for (int i = 0; i < TEXTS; i++)
        if (texts[i]) {
            orders->text[i] = at + 1;
            strcpy((char *)(orders + 1) + at, texts[i]);
            at += strlen(texts[i]) + 1;
        }
    return orders;
}

static int has_died(const char *file, const mpm_dataset_map *input, const struct input_words *words,
                    enum step step, int exitcode)
{
    char how[64];

    if (exitcode < 0)
        snprintf(how, sizeof how, "crashed by SIG%s", sigabbrev_np(-exitcode));
    else
        snprintf(how, sizeof how, "ended its process with status %d", exitcode);
    if (step == PROBING)
        return failure("coordinates or attributes of '%s:%s' cannot be read: HDF5, or a filter of it, %s%s",
                       file, input->input_dataset, how,
                       input->keep != MPM_KEEP_NOTHING ? "; --keep nothing leaves them out" : "");
    if (step == CHOOSING && words->where)
        return failure("what --where '%s' compares cannot be read: HDF5, or a filter of it, %s", words->where,
                       how);
    if (step == CHOOSING || step == COSTING)
        return failure("%s %s cannot be read: HDF5, or a filter of it, %s",
                       step == CHOOSING ? "--rows" : "--cost", step == CHOOSING ? words->rows : words->cost,
                       how);
    return failure("'%s:%s' cannot be opened: HDF5, or a filter of it, %s", file, input->input_dataset, how);
}

/* A list may be there and empty. */
static int receive_list(mpm_connection from, uint64_t count, void **list)
{
    uint64_t *values = malloc((count ? count : 1) * sizeof *values);

    if (!(*list = values))
        return failure("no memory for %llu numbers", (unsigned long long)count);
    for (uint64_t got = 0; got < count; got += BLOCK)
        if (mpm_connection_recv_exact(from, (count - got < BLOCK ? count - got : BLOCK) * sizeof *values,
                                      MPM_FOREVER, values + got))
            return mpm_report_error();
    return 0;
}

static int receive_choice(mpm_connection from, const struct message *message, struct input_choice *choice)
{
    void *list = NULL, *costs = NULL;
    int exit_status = 0;

    if (message->of.list)
        exit_status = receive_list(from, message->of.choice.index_count, &list);
    if (!exit_status && message->of.costs)
        exit_status = receive_list(from, message->of.cost_count, &costs);
    *choice = message->of;
    choice->list = list;
    choice->costs = costs;
    choice->choice.indexes = list;
    return exit_status;
}

/* Until its last message, or its death. */
static int receive(mpm_connection from, struct message *last, struct input_choice *choice)
{
    int status = 0;

    last->step = OPENING;
    while (last->step < FAILED && !(status = mpm_recv(from, last)))
        ;
    if (status)
        return status == MPM_EEOF ? 0 : mpm_report_error();
    return last->step == DONE ? receive_choice(from, last, choice) : 0;
}

/* Reads what the process says, until it ends. */
static int hear_out(const char *file, const mpm_dataset_map *input, const struct input_words *words,
                    mpm_process process, mpm_connection from, struct input_choice *choice)
{
    struct message last;
    int exit_status = receive(from, &last, choice), exitcode;

    if (mpm_connection_close(from) || mpm_process_reap(process, MPM_FOREVER, &exitcode))
        return mpm_report_error();
    if (exit_status)
        return exit_status;
    if (last.step == FAILED)
        return last.exit_status;
    return exitcode ? has_died(file, input, words, last.step, exitcode) : 0;
}

int input_choose(const char *file, const mpm_dataset_map *input, const struct input_words *words,
                 struct input_choice *choice)
{
    const mpm_process_options options = {.name = "open", .place = MPM_ON_NODE(mpm_node_id())};
    mpm_connection from;
    mpm_process process;
    struct orders *orders;
    size_t size;
    int status;

    *choice = (struct input_choice){0};
    if (!(orders = write_orders(file, input, words, &size)))
        return failure("out of memory");
    status = mpm_pipe_create(MPM_ONEWAY, &from, &orders->results) ||
             mpm_process_start(open_input, orders, size, &options, &process);
    free(orders);
    return status ? mpm_report_error() : hear_out(file, input, words, process, from, choice);
}

int input_try(const char *file, const mpm_dataset_map *input)
{
    struct input_choice none;

    return input_choose(file, input, &(struct input_words){0}, &none);
}

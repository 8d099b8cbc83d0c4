/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks at a file in a process of its own, which puts each entry into a queue as it is to be printed. The queue is
 * closed when that process has ended, or there is nothing more to come: an empty message before says that it went
 * well, and one that begins with a null byte why not. */
#include "look.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"

#define SILENCE_S 60.0 /* without an entry: HDF5 may be caught in a damaged file for ever */
#define AHEAD     256  /* entries that wait to be printed */

/* For the process, with the tasks behind it. */
struct orders {
    mpm_queue entries;
    char file[PATH_MAX];
    bool no_lock, json, has_tasks;
    size_t task_count;
};

/* Of the process. */
struct looker {
    const struct orders *orders;
    struct look_tasks tasks;
};

static int put_entry(const mpm_dataset_entry *entry, void *argument)
{
    const struct looker *looker = argument;
    look_write *write = looker->orders->json ? look_write_json : look_write_text;
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    int status = memory ? 0 : MPM_ENOMEM;

    if (memory) {
        write(memory, entry, looker->orders->has_tasks ? &looker->tasks : NULL);
        fclose(memory);
    }
    if (!status)
        status = mpm_queue_put(looker->orders->entries, text, size + 1, MPM_FOREVER);
    free(text);
    return status;
}

static int put_error(const struct orders *orders)
{
    char message[4096] = "";

    snprintf(message + 1, sizeof message - 1, "%s", mpm_error());
    return mpm_queue_put(orders->entries, message, strlen(message + 1) + 2, MPM_FOREVER);
}

static int look(const void *args, size_t size)
{
    struct orders *orders = malloc(size);
    struct looker looker = {.orders = orders};
    int status;

    if (!orders)
        return 1;
    memcpy(orders, args, size);
    looker.tasks = (struct look_tasks){(struct plugin_task *)(orders + 1), orders->task_count, orders->file,
                                       orders->no_lock};
    status = mpm_dataset_look(orders->file, orders->no_lock, put_entry, &looker);
    status = status ? put_error(orders) : mpm_queue_put(orders->entries, NULL, 0, MPM_FOREVER);
    free(orders);
    return status ? 1 : 0;
}

/* What is read of a process. */
struct listener {
    const struct look_request *request;
    void (*take)(const char *text, void *argument);
    void *argument;
    char *error; /* 4096 bytes */
    bool is_over;
    size_t count; /* entries that have come */
};

static int fail(struct listener *listener, const char *what)
{
    snprintf(listener->error, 4096, "%s", what);
    return EXIT_FAILURE;
}

/* All messages that are there. */
static int take_messages(struct listener *listener, mpm_queue entries)
{
    void *message;
    size_t size;
    int status;

    while (!listener->is_over && !(status = mpm_queue_get_alloc(entries, 0, &message, &size))) {
        const char *text = message;

        listener->is_over = size == 0 || !text[0];
        if (!listener->is_over) {
            listener->take(text, listener->argument);
            listener->count++;
        } else if (size > 1) {
            fail(listener, text + 1);
        }
        free(message);
    }
    if (listener->is_over)
        return listener->error[0] ? EXIT_FAILURE : 0;
    return status == MPM_EEMPTY ? 0 : fail(listener, mpm_error());
}

static int has_died(struct listener *listener, mpm_process process)
{
    char how[64];
    int exitcode = 0;

    if (mpm_process_exitcode(process, &exitcode))
        return fail(listener, mpm_error());
    if (exitcode < 0)
        snprintf(how, sizeof how, "crashed by SIG%s", sigabbrev_np(-exitcode));
    else
        snprintf(how, sizeof how, "ended its process with status %d", exitcode);
    snprintf(listener->error, 4096, "%s is damaged: HDF5 %s after %zu thing%s in it", listener->request->file,
             how, listener->count, listener->count == 1 ? "" : "s");
    return EXIT_FAILURE;
}

static int has_hung(struct listener *listener)
{
    snprintf(listener->error, 4096,
             "%s cannot be read: nothing has come from HDF5 for %g s, after %zu thing%s in it",
             listener->request->file, SILENCE_S, listener->count, listener->count == 1 ? "" : "s");
    return EXIT_FAILURE;
}

static int listen(struct listener *listener, mpm_queue entries, mpm_process process)
{
    const mpm_handle handles[2] = {entries.handle, process.handle};
    size_t ready[2], count;
    int exit_status = 0;

    while (!exit_status && !listener->is_over) {
        int status = mpm_wait_any(handles, 2, SILENCE_S, ready, &count);

        if (status)
            return status == MPM_ETIMEDOUT ? has_hung(listener) : fail(listener, mpm_error());
        exit_status = take_messages(listener, entries);
        if (!exit_status && !listener->is_over && ready[count - 1] == 1) {
            exit_status = take_messages(listener, entries);
            return exit_status || listener->is_over ? exit_status : has_died(listener, process);
        }
    }
    return exit_status;
}

static struct orders *write_orders(const struct look_request *request, mpm_queue entries, size_t *size)
{
    size_t count = request->tasks ? request->tasks->count : 0;
    struct orders *orders;

    *size = sizeof *orders + count * sizeof(struct plugin_task);
    if (!(orders = calloc(1, *size)))
        return NULL;
    orders->entries = entries;
    snprintf(orders->file, sizeof orders->file, "%s", request->file);
    orders->no_lock = request->no_lock;
    orders->json = request->json;
    orders->has_tasks = request->tasks != NULL;
    orders->task_count = count;
    if (count)
        memcpy(orders + 1, request->tasks->tasks, count * sizeof(struct plugin_task));
    return orders;
}

static int start_and_listen(struct listener *listener, mpm_queue entries)
{
    const mpm_process_options options = {.name = "look", .place = MPM_ON_NODE(mpm_node_id())};
    mpm_process process;
    size_t size;
    struct orders *orders = write_orders(listener->request, entries, &size);
    int exit_status, status = orders ? mpm_process_start(look, orders, size, &options, &process) : MPM_ENOMEM;

    free(orders);
    if (status)
        return fail(listener, orders ? mpm_error() : "out of memory");
    exit_status = listen(listener, entries, process);
    if (mpm_process_kill(process) || mpm_process_join(process, MPM_FOREVER) || mpm_process_close(process))
        return exit_status ? exit_status : fail(listener, mpm_error());
    return exit_status;
}

int look_try(const struct look_request *request, void (*take)(const char *text, void *argument),
             void *argument, char error[4096])
{
    const mpm_queue_options options = {.maxsize = AHEAD};
    struct listener listener = {.request = request, .take = take, .argument = argument, .error = error};
    mpm_queue entries;
    int exit_status;

    error[0] = '\0';
    if (strlen(request->file) >= PATH_MAX)
        return fail(&listener, "the name of the file is too long");
    if (mpm_queue_create(&options, &entries))
        return fail(&listener, mpm_error());
    exit_status = start_and_listen(&listener, entries);
    if (mpm_queue_destroy(entries) && !exit_status)
        return fail(&listener, mpm_error());
    return exit_status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The list has a mutex, which nobody holds for longer than it takes to link a letter. The fetcher is woken only when
 * the list was empty: what comes later is taken with it. */
#include "inbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buffer.h"
#include "message.h"
#include "support/command.h"

#define ROWS_PAUSE_NS (2 * 1000 * 1000)

struct inbox {
    mpm_queue queue;
    CURLM *multi;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct letter *first, **last;
    bool is_closed;
};

static void append(struct inbox *inbox, struct letter *letter)
{
    bool was_empty;

    pthread_mutex_lock(&inbox->mutex);
    was_empty = !inbox->first;
    *inbox->last = letter;
    inbox->last = &letter->next;
    pthread_mutex_unlock(&inbox->mutex);
    if (was_empty)
        curl_multi_wakeup(inbox->multi);
}

void inbox_put(struct inbox *inbox, const void *bytes, size_t size)
{
    struct letter *letter = must_realloc(NULL, sizeof *letter + size);

    *letter = (struct letter){NULL, size};
    memcpy(letter->bytes, bytes, size);
    append(inbox, letter);
}

static bool are_rows(const void *message, size_t size)
{
    uint64_t kind = 0;

    memcpy(&kind, message, size < sizeof kind ? size : sizeof kind);
    return kind == INBOX_ROWS;
}

/* Takes what comes within a time limit, and all that is there with it. `has_rows`: out. */
static int take(struct inbox *inbox, double timeout_s, bool *has_rows)
{
    void *message;
    size_t size;
    int status;

    *has_rows = false;
    while (!(status = mpm_queue_get_alloc(inbox->queue, timeout_s, &message, &size))) {
        *has_rows |= are_rows(message, size);
        inbox_put(inbox, message, size);
        free(message);
        timeout_s = 0;
    }
    return status == MPM_EEMPTY ? 0 : status;
}

/* Rows come one page at a time, from parsers that keep all CPUs busy. Each that finds this thread waiting would wake
 * it, and the fetcher, which costs more than the rest of the way; so it lets some come together, and takes them
 * together. */
static void *listen_at(void *argument)
{
    const struct timespec pause = {.tv_nsec = ROWS_PAUSE_NS};
    struct inbox *inbox = argument;
    bool has_rows = false;
    int status;

    while (!(status = take(inbox, has_rows ? 0 : MPM_FOREVER, &has_rows))) {
        if (has_rows)
            nanosleep(&pause, NULL);
    }
    if (status != MPM_ECLOSED)
        mpm_report_error();
    pthread_mutex_lock(&inbox->mutex);
    inbox->is_closed = true;
    pthread_mutex_unlock(&inbox->mutex);
    curl_multi_wakeup(inbox->multi);
    return NULL;
}

struct inbox *inbox_open(mpm_queue queue, CURLM *multi)
{
    struct inbox *inbox = must_realloc(NULL, sizeof *inbox);

    *inbox = (struct inbox){.queue = queue, .multi = multi};
    inbox->last = &inbox->first;
    pthread_mutex_init(&inbox->mutex, NULL);
    if (!pthread_create(&inbox->thread, NULL, listen_at, inbox))
        return inbox;
    failure("a thread cannot be started");
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox);
    return NULL;
}

struct letter *inbox_take(struct inbox *inbox, bool *is_closed)
{
    struct letter *first;

    pthread_mutex_lock(&inbox->mutex);
    first = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    *is_closed = inbox->is_closed;
    pthread_mutex_unlock(&inbox->mutex);
    return first;
}

void inbox_close(struct inbox *inbox)
{
    bool is_closed;

    pthread_join(inbox->thread, NULL);
    for (struct letter *letter = inbox_take(inbox, &is_closed), *next; letter; letter = next) {
        next = letter->next;
        free(letter);
    }
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox);
}

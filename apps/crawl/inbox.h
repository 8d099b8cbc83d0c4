/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetcher's inbox: a thread waits at its queue, so that the fetcher waits at its connections only, and is woken. */
#ifndef MPMAP_CRAWL_INBOX_H
#define MPMAP_CRAWL_INBOX_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include <mpmap.h>

struct inbox;

/* A message; free() frees it. */
struct letter {
    struct letter *next;
    size_t size;
    char bytes[];
};

/* Starts the thread; NULL after saying what is wrong. */
struct inbox *inbox_open(mpm_queue queue, CURLM *multi);
/* All that has come, in order; NULL if nothing. `is_closed` says whether no more will come. */
struct letter *inbox_take(struct inbox *inbox, bool *is_closed);
/* Puts a message of the process itself. Any thread. */
void inbox_put(struct inbox *inbox, const void *bytes, size_t size);
/* The queue is closed by then, or the thread never ends. */
void inbox_close(struct inbox *inbox);

#endif

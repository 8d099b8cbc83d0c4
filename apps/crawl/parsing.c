/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages wait here until parsers have little to do, or until there are enough of them. Then they go to the parsers as
 * one map, whose context is their texts: so a page costs a share of a hand-over and not one of its own, which wakes
 * four threads and takes as long as parsing a small page. Each page is an item all the same, with its time, its memory
 * and its worker's life to lose. Its rows come by the inbox as soon as it is parsed, and so does why there are none.
 *
 * That a parser has little to do is known some milliseconds late, because the inbox lets rows come together; FEW_PAGES
 * are what it does meanwhile. How many pages there may be in all is for main to say (crew.c), which orders no more
 * then. */
#include "parsing.h"

#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "buffer.h"
#include "extract.h"
#include "support/command.h"

#define MOST_BYTES  (32u << 20) /* that parsers have to do, unless it is one page: they are in shared memory */
#define FEW_PAGES   8           /* a parser, below which what waits is handed over whatever it is */
#define BATCH_PAGES 32          /* that are handed over at once */
#define BATCH_BYTES (1u << 20)  /* unless it is one page */

struct page_list {
    struct transfer *first, **last;
    size_t count;
};

struct parsing {
    const struct fetcher_start *start;
    struct inbox *inbox;
    mpm_pool *pool;
    struct page_list held;   /* those that wait */
    struct page_list handed; /* those that parsers have, oldest first */
    size_t handed_bytes;
    uint64_t next_ticket;
    struct buffer texts; /* of the pages that are handed over at once */
};

/* Pages that were handed over at once, for the callback of their map. */
struct batch {
    struct inbox *inbox;
    size_t count;
    struct extract_item items[];
};

static void append(struct page_list *list, struct transfer *transfer)
{
    transfer->next = NULL;
    *list->last = transfer;
    list->last = &transfer->next;
    list->count++;
}

/* Takes out what `at` points to, which is in the list. */
static struct transfer *take_out(struct page_list *list, struct transfer **at)
{
    struct transfer *transfer = *at;

    if (!(*at = transfer->next))
        list->last = at;
    list->count--;
    return transfer;
}

static void say_nothing_came(struct inbox *inbox, uint64_t ticket, const char *text)
{
    struct buffer message = {0}, why = {0};

    buffer_print(&why, "nothing was extracted: %s", text);
    buffer_add_number(&message, INBOX_ROWS);
    buffer_add_number(&message, ticket);
    buffer_add_text(&message, "", 0);
    buffer_add_text(&message, why.bytes, why.size);
    inbox_put(inbox, message.bytes, message.size);
    buffer_free(&message);
    buffer_free(&why);
}

/* Some pages have failed, though they were tried again: they have no rows, but their links are found. If the map has,
 * that is so of all whose rows have not come yet. A thread of the library. */
static void on_error(mpm_result *result, void *argument)
{
    struct batch *batch = argument;
    const mpm_failure *failures;
    size_t count;

    if (mpm_result_get(result, 0, NULL) == MPM_ETASK && !mpm_result_failures(result, &failures, &count)) {
        for (size_t i = 0; i < count; i++)
            say_nothing_came(batch->inbox, batch->items[failures[i].index].ticket, failures[i].text);
    } else {
        for (size_t i = 0; i < batch->count; i++)
            say_nothing_came(batch->inbox, batch->items[i].ticket, mpm_error());
    }
    free(batch);
}

static void on_done(mpm_result *result, void *argument)
{
    (void)result;
    free(argument);
}

struct parsing *parsing_open(const struct fetcher_start *start, struct inbox *inbox, const char *texts,
                             size_t size)
{
    const mpm_pool_options options = {.workers = start->parsers,
                                      .item_timeout_s = start->parse_timeout_s,
                                      .item_memory_bytes = start->memory,
                                      .initializer = extract_initializer,
                                      .initializer_argument = texts,
                                      .initializer_argument_size = size};
    struct parsing *parsing = must_realloc(NULL, sizeof *parsing);

    *parsing = (struct parsing){.start = start, .inbox = inbox};
    parsing->held.last = &parsing->held.first;
    parsing->handed.last = &parsing->handed.first;
    if (!mpm_pool_open(&options, &parsing->pool))
        return parsing;
    mpm_report_error();
    free(parsing);
    return NULL;
}

void parsing_add(struct parsing *parsing, struct transfer *transfer)
{
    append(&parsing->held, transfer);
}

/* Moves the page that has waited longest into the batch. Returns it if it has no text. */
static struct transfer *add_to_batch(struct parsing *parsing, struct batch *batch)
{
    struct transfer *transfer = take_out(&parsing->held, &parsing->held.first);
    size_t size, begin = parsing->texts.size;
    const char *text = transfer_text(transfer, &size);

    if (!text)
        return transfer;
    transfer->ticket = ++parsing->next_ticket;
    buffer_add_text(&parsing->texts, transfer->url, strlen(transfer->url));
    buffer_add_text(&parsing->texts, transfer->type, strlen(transfer->type));
    buffer_add(&parsing->texts, text, size);
    transfer->parsing_bytes = parsing->texts.size - begin;
    batch->items[batch->count++] = (struct extract_item){.ticket = transfer->ticket,
                                                         .inbox = parsing->start->inbox,
                                                         .begin = begin,
                                                         .end = parsing->texts.size};
    parsing->handed_bytes += transfer->parsing_bytes;
    append(&parsing->handed, transfer);
    return NULL;
}

/* The pages of a batch that could not be handed over, in front of those that have come back already. */
static struct transfer *take_back(struct parsing *parsing, const struct batch *batch, struct transfer *others)
{
    struct transfer *transfer;

    for (size_t i = 0; i < batch->count && (transfer = parsing_take(parsing, batch->items[i].ticket)); i++) {
        strncpy(transfer->error, mpm_error(), sizeof transfer->error - 1);
        transfer->next = others;
        others = transfer;
    }
    return others;
}

static int begin_map(struct parsing *parsing, struct batch *batch)
{
    const mpm_map_options options = {
        .chunk = 1, .context = parsing->texts.bytes, .context_size = parsing->texts.size};
    const mpm_callbacks callbacks = {on_done, on_error, batch};

    return mpm_pool_map_async(parsing->pool, extract_task, batch->items, batch->count, sizeof *batch->items,
                              0, &options, &callbacks, NULL, NULL);
}

static struct transfer *hand_over_batch(struct parsing *parsing, struct transfer *others)
{
    struct batch *batch = must_realloc(NULL, sizeof *batch + BATCH_PAGES * sizeof *batch->items);

    *batch = (struct batch){.inbox = parsing->inbox};
    parsing->texts.size = 0;
    while (parsing->held.first && batch->count < BATCH_PAGES && parsing->texts.size < BATCH_BYTES) {
        struct transfer *transfer = add_to_batch(parsing, batch);

        if (transfer) {
            transfer->next = others;
            others = transfer;
        }
    }
    if (!batch->count) {
        free(batch);
    } else if (begin_map(parsing, batch)) {
        others = take_back(parsing, batch, others);
        free(batch);
    }
    return others;
}

struct transfer *parsing_hand_over(struct parsing *parsing)
{
    struct transfer *back = NULL;

    while (
        parsing->held.count && parsing->handed_bytes < MOST_BYTES &&
        (parsing->held.count >= BATCH_PAGES || parsing->handed.count < FEW_PAGES * parsing->start->parsers))
        back = hand_over_batch(parsing, back);
    return back;
}

struct transfer *parsing_take(struct parsing *parsing, uint64_t ticket)
{
    for (struct transfer **at = &parsing->handed.first; *at; at = &(*at)->next) {
        if ((*at)->ticket == ticket) {
            parsing->handed_bytes -= (*at)->parsing_bytes;
            return take_out(&parsing->handed, at);
        }
    }
    return NULL; /* a parser that died has told its rows before, and its successor again */
}

bool parsing_is_busy(const struct parsing *parsing)
{
    return parsing->held.count || parsing->handed.count;
}

void parsing_close(struct parsing *parsing)
{
    mpm_pool_close(parsing->pool);
    buffer_free(&parsing->texts);
    free(parsing);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The link from main to another node: messages to its leader's node agent, and letters from that. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "pool/driver/node_link_inside.h"

/* A nap of either courier takes as long as many a small map. */
static void be_lively(const struct node_link *link)
{
    if (link->map->spec->is_small)
        courier_be_lively();
}

static int open_job(struct node_link *link)
{
    const struct linked_map *map = link->map;
    struct message_job message = {.pool = map->pool->spec.id, .job = map->spec->id};
    struct message_part parts[] = {{&message, sizeof message},
                                   {map->spec, sizeof *map->spec},
                                   {map->request->context, map->request->context_size}};

    if (link->is_open)
        return MPM_OK;
    link->is_open = true;
    return courier_post(link->node, MESSAGE_JOB_OPEN, parts, 3);
}

static int post_lease(const struct node_link *link, const struct message_lease *message)
{
    const struct map_request *request = link->map->request;
    struct message_part parts[] = {{message, sizeof *message},
                                   {NULL, job_bytes_of(link->map->spec, message->first, message->count)}};
    void *pack = NULL;
    int status;

    if (request->kind == JOB_BLOBS) {
        parts[1].size = blob_pack_size(request->blobs + message->first, message->count);
        if (!(pack = malloc(parts[1].size)))
            return error_set(MPM_ENOMEM, "no memory for a lease of %zu bytes", (size_t)parts[1].size);
        blob_pack(pack, request->blobs + message->first, message->count);
        parts[1].bytes = pack;
    } else if (request->item_size) {
        parts[1].bytes = request->items + message->first * request->item_size;
    }
    status = courier_post(link->node, MESSAGE_LEASE, parts, 2);
    free(pack);
    return status;
}

static int remote_grant(struct node_link *link, uint32_t lease, uint64_t first, uint64_t count)
{
    const struct linked_map *map = link->map;
    struct message_lease message = {
        .pool = map->pool->spec.id, .job = map->spec->id, .lease = lease, .first = first, .count = count};
    int status;

    if ((status = open_job(link)))
        return status;
    node_link_count_sent(link, first, count, false);
    link->leases++;
    map->events->placed(map->argument);
    be_lively(link);
    return post_lease(link, &message);
}

static int remote_recall(struct node_link *link, uint32_t lease)
{
    struct message_lease message = {
        .pool = link->map->pool->spec.id, .job = link->map->spec->id, .lease = lease};

    return courier_post_one(link->node, MESSAGE_RECALL, &message, sizeof message);
}

static bool is_results(const struct node_link *link, const void *results, size_t size, uint64_t count)
{
    if (link->map->request->kind == JOB_BLOBS)
        return blob_is_pack(results, size, count);
    return size == count * link->map->request->result_size;
}

static int read_results(struct node_link *link, const void *payload, size_t size)
{
    const struct message_results *message = payload;
    size_t rest = size - sizeof *message,
           failure_size = message->failure_count * sizeof(struct failure_entry);
    uint64_t parts = message->lease.count * link->map->spec->parts; /* each may fail */
    struct lease_results results = {.lease = message->lease.lease,
                                    .first = message->lease.first,
                                    .count = message->lease.count,
                                    .failures = (const struct failure_entry *)(message + 1),
                                    .failure_count = message->failure_count,
                                    .failures_untold = message->failures_untold};

    size_t texts_size = message->text_size + message_padding(message->text_size);

    results.texts = (const char *)results.failures + failure_size;
    results.base = results.results = results.texts + texts_size;
    if (results.failure_count > parts || results.failures_untold > parts - results.failure_count ||
        failure_size > rest || message->text_size > rest || texts_size > rest - failure_size ||
        !failure_entries_are_sound(results.failures, results.failure_count, results.texts,
                                   message->text_size) ||
        !is_results(link, results.results, rest - failure_size - texts_size, results.count))
        return error_set(MPM_EPROTOCOL, "node %u sent results of the wrong size", link->node);
    link->longest_claim_ns = message->longest_claim_ns;
    link->time = message->time;
    return link->map->events->done(link->map->argument, link->node, &results);
}

static int read_letter(struct node_link *link, const struct letter *letter)
{
    const struct message_trouble *trouble = (const void *)letter->payload;
    const struct message_lease *lease = (const void *)letter->payload;
    const struct link_events *events = link->map->events;
    void *argument = link->map->argument;

    if (letter->kind != MESSAGE_RETURNED)
        events->begun(argument);
    switch (letter->kind) {
    case MESSAGE_RESULTS:
        return read_results(link, letter->payload, letter->size);
    case MESSAGE_CLAIMED:
        return events->claimed(argument, link->node, (uint32_t)lease->lease);
    case MESSAGE_RETURNED:
        return events->returned(argument, link->node, (uint32_t)lease->lease, lease->count);
    default:
        return error_set((int)trouble->status, "%s", trouble->text);
    }
}

/* What is known by a letter, also if nobody reads it. A lease ends by one or the other. */
static void note_letter(struct node_link *link, const struct letter *letter)
{
    const struct message_lease *lease = (const void *)letter->payload;

    if (letter->kind == MESSAGE_RESULTS || (letter->kind == MESSAGE_RETURNED && !lease->count))
        link->leases--;
    if (letter->kind == MESSAGE_JOB_CLOSED)
        link->is_closed = true;
}

static int remote_poll(struct node_link *link, bool *worked)
{
    int status = MPM_OK;

    if (link->letters)
        be_lively(link);
    while (link->letters) {
        struct letter *letter = link->letters;

        *worked = true;
        if (!(link->letters = letter->next))
            link->end = &link->letters;
        note_letter(link, letter);
        if (!status && !link->is_lost && !link->is_closing)
            status = read_letter(link, letter);
        free(letter);
    }
    return status;
}

static void remote_stop(struct node_link *link)
{
    struct message_job message = {.pool = link->map->pool->spec.id,
                                  .job = link->map->spec->id,
                                  .is_awaited = link->leases && !link->is_lost};

    if (link->is_open && courier_post_one(link->node, MESSAGE_JOB_CLOSE, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
    link->is_open = false;
    link->is_closing = true;
}

/* What the node still says of its leases is not read: whoever has them killed does not want to know. A node that is
 * lost says nothing. */
static bool remote_close(struct node_link *link)
{
    bool worked;

    remote_poll(link, &worked);
    return link->is_lost || link->is_closed || !link->leases || lost_node_is(link->node);
}

static uint64_t remote_next_poll_ns(const struct node_link *link)
{
    (void)link;
    return CLOCK_FOREVER;
}

static uint64_t remote_items_done(const struct node_link *link)
{
    (void)link;
    return 0;
}

static uint64_t remote_longest_claim_ns(const struct node_link *link)
{
    return link->longest_claim_ns;
}

static struct worker_time remote_worker_time(const struct node_link *link)
{
    return link->time;
}

const struct link_calls link_remote_calls = {.grant = remote_grant,
                                             .recall = remote_recall,
                                             .poll = remote_poll,
                                             .stop = remote_stop,
                                             .close = remote_close,
                                             .next_poll_ns = remote_next_poll_ns,
                                             .items_done = remote_items_done,
                                             .longest_claim_ns = remote_longest_claim_ns,
                                             .worker_time = remote_worker_time};

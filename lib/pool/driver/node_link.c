/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. Messages for a map come into one inbox, whose letters are handed to the links of their nodes. */
#include "pool/driver/node_link.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/node_link_inside.h"
#include "pool/node/lease_queue.h"

struct node_links {
    struct linked_map map;
    struct inbox inbox;
    unsigned count;
    struct node_link link[];
};

struct node_links *node_links_create(const struct linked_map *map)
{
    unsigned count = map->pool->node_count;
    struct node_links *links = calloc(1, sizeof *links + count * sizeof *links->link);

    if (!links)
        return NULL;
    links->map = *map;
    links->count = count;
    for (unsigned node = 0; node < count; node++) {
        struct node_link *link = &links->link[node];

        *link = (struct node_link){.calls = node == context_topology()->node ? &link_local_calls
                                                                             : &link_remote_calls,
                                   .map = &links->map,
                                   .node = node};
        link->end = &link->letters;
        if (link->calls == &link_local_calls && map->pool->home)
            link->time = node_pool_time(map->pool->home);
    }
    inbox_open(&links->inbox, map->spec->id);
    return links;
}

struct node_link *node_links_to(struct node_links *links, unsigned node)
{
    return &links->link[node];
}

static void sort_letters(struct node_links *links)
{
    for (struct letter *letter = inbox_take(&links->inbox), *next; letter; letter = next) {
        struct node_link *link = &links->link[letter->node];

        next = letter->next;
        letter->next = NULL;
        *link->end = letter;
        link->end = &letter->next;
    }
}

int node_links_poll(struct node_links *links, bool *worked)
{
    int status = MPM_OK;

    sort_letters(links);
    for (unsigned node = 0; !status && node < links->count; node++)
        status = links->link[node].calls->poll(&links->link[node], worked);
    return status;
}

/* No worker is in its leases, so those of the driver's own node can be freed at once. */
void node_links_lose(struct node_links *links, unsigned node)
{
    struct node_link *link = &links->link[node];
    bool is_closed;

    link->is_lost = true;
    link->calls->stop(link);
    is_closed = link->calls->close(link);
    assert(is_closed);
    (void)is_closed;
}

void node_links_stop(struct node_links *links)
{
    for (unsigned node = 0; node < links->count; node++)
        links->link[node].calls->stop(&links->link[node]);
}

bool node_links_close(struct node_links *links)
{
    bool are_closed = true;

    sort_letters(links);
    for (unsigned node = 0; node < links->count; node++)
        are_closed &= links->link[node].calls->close(&links->link[node]);
    return are_closed;
}

uint64_t node_links_next_poll_ns(const struct node_links *links)
{
    uint64_t earliest_ns = CLOCK_FOREVER;

    for (unsigned node = 0; node < links->count; node++) {
        uint64_t next_ns = links->link[node].calls->next_poll_ns(&links->link[node]);

        earliest_ns = next_ns < earliest_ns ? next_ns : earliest_ns;
    }
    return earliest_ns;
}

uint64_t node_links_items_done(const struct node_links *links)
{
    uint64_t done = 0;

    for (unsigned node = 0; node < links->count; node++)
        done += links->link[node].calls->items_done(&links->link[node]);
    return done;
}

uint64_t node_links_longest_claim_ns(const struct node_links *links)
{
    uint64_t longest_ns = 0;

    for (unsigned node = 0; node < links->count; node++) {
        uint64_t claim_ns = links->link[node].calls->longest_claim_ns(&links->link[node]);

        longest_ns = claim_ns > longest_ns ? claim_ns : longest_ns;
    }
    return longest_ns;
}

struct worker_time node_links_worker_time(const struct node_links *links)
{
    struct worker_time all = {0};

    for (unsigned node = 0; node < links->count; node++) {
        struct worker_time time = links->link[node].calls->worker_time(&links->link[node]);

        all.all_ns += time.all_ns;
        all.busy_ns += time.busy_ns;
    }
    return all;
}

/* A queue that is not closed is that of a run that has lost a part: its leases stay where they are. */
void node_links_destroy(struct node_links *links)
{
    if (!links)
        return;
    inbox_close(&links->inbox);
    for (unsigned node = 0; node < links->count; node++) {
        for (struct letter *letter = links->link[node].letters, *next; letter; letter = next) {
            next = letter->next;
            free(letter);
        }
        lease_queue_forget(links->link[node].queue);
    }
    free(links);
}

void node_link_count_sent(const struct node_link *link, uint64_t first, uint64_t count, bool are_in_place)
{
    const struct map_request *request = link->map->request;
    uint64_t bytes = 0;

    for (uint64_t i = 0; request->kind == JOB_BLOBS && i < count; i++)
        bytes += request->blobs[first + i].size;
    if (!are_in_place)
        bytes += job_bytes_of(link->map->spec, first, count);
    atomic_fetch_add_explicit(&link->map->pool->node[link->node].bytes_sent, bytes, memory_order_relaxed);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* How a map speaks to the nodes of its pool: to each by the same few functions, whether it is the driver's own, whose
 * board it publishes leases on (link_local.c), or another one, to whose leader they go as messages (link_remote.c).
 * What comes back are events, which are the same, too. None of it blocks. For pool/driver/. */
#ifndef POOL_DRIVER_NODE_LINK_H
#define POOL_DRIVER_NODE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/driver/map_request.h"
#include "pool/driver/pool_state.h"
#include "pool/shared/failure_list.h"
#include "pool/shared/job_spec.h"
#include "pool/shared/stats_message.h"

/* What a node has done of a lease. */
struct lease_results {
    uint64_t lease, first, count;         /* items that it has kept */
    const void *results;                  /* of those */
    const void *base;                     /* references of JOB_BLOBS count from here */
    const struct failure_entry *failures; /* of some of the items that have failed, in rising order */
    size_t failure_count;
    const char *texts;        /* of those */
    uint64_t failures_untold; /* how many more have */
};

struct node_lease;

/* Of a lease on the driver's own node, which is done. */
struct lease_results node_link_results_of(const struct node_lease *lease);

/* Those with a status may end the poll by it, or the call that they come in. `argument` is the map's. */
struct link_events {
    void (*placed)(void *argument); /* a lease is on a board, or on its way to one */
    void (*begun)(void *argument);  /* workers have come to the map */
    int (*claimed)(void *argument, unsigned node,
                   uint32_t lease); /* to the end, and some of it is not done */
    int (*returned)(void *argument, unsigned node, uint32_t lease, uint64_t kept);
    int (*done)(void *argument, unsigned node, const struct lease_results *results);
};

/* What links know of their map, as long as that lasts. */
struct linked_map {
    struct mpm_pool *pool;
    const struct map_request *request;
    const struct job_spec *spec;
    const struct link_events *events;
    void *argument;
};

struct node_link;

/* One table for the driver's own node, and one for others. */
struct link_calls {
    /* Gives the node a lease. MPM_ENOMEM, and what is missing; a lease that a node has no room for waits there. */
    int (*grant)(struct node_link *link, uint32_t lease, uint64_t first, uint64_t count);
    /* Asks for what nobody has claimed of it: `returned` answers, now or later, unless it is done before. */
    int (*recall)(struct node_link *link, uint32_t lease);
    /* Looks what the node has done, and says it in events. The status of one, or why the map cannot go on. `worked` is
     * set to true if there was something. */
    int (*poll)(struct node_link *link, bool *worked);
    /* Nothing is to be claimed there any more. */
    void (*stop)(struct node_link *link);
    /* After stop: whether no worker of the node is in the map any more; else those have been asked to be killed, and it
     * is to be called again soon. */
    bool (*close)(struct node_link *link);
    /* When the next poll is due at the latest, though the doorbell has not rung: by clock.h. */
    uint64_t (*next_poll_ns)(const struct node_link *link);
    /* Items that are known to be done in leases that are not. */
    uint64_t (*items_done)(const struct node_link *link);
    /* How long the longest claim of a worker has taken there, as far as is known; 0 if nothing is. */
    uint64_t (*longest_claim_ns)(const struct node_link *link);
    /* Of its workers since the map began there, as far as is known. */
    struct worker_time (*worker_time)(const struct node_link *link);
};

struct node_link {
    const struct link_calls *calls;
    const struct linked_map *map;
    unsigned node;
    bool is_lost;
    struct lease_queue *queue;     /* local: NULL before its first lease */
    bool has_items_in_place;       /* local: they are in the arena */
    bool is_open;                  /* remote: the job was opened there */
    bool is_closing, is_closed;    /* remote: it is to be closed; it is, which it has said */
    uint64_t leases;               /* remote: workers may be in so many */
    uint64_t longest_claim_ns;     /* remote: as it has said */
    struct worker_time time;       /* remote: as it has said; local: when the map began */
    struct letter *letters, **end; /* remote: what it has said, oldest first, and nobody has read */
};

/* Whether mpm_alloc() has given the array: on the driver's own node. */
bool node_link_is_in_arena(unsigned node, const void *array, uint64_t size);

/* The links of a map to all nodes of its pool. */
struct node_links;

/* NULL without memory. */
struct node_links *node_links_create(const struct linked_map *map);
struct node_link *node_links_to(struct node_links *links, unsigned node);
/* Polls all of them. */
int node_links_poll(struct node_links *links, bool *worked);
/* A node has no workers of the pool any more: what it holds is dropped, and what it still says is ignored. */
void node_links_lose(struct node_links *links, unsigned node);
void node_links_stop(struct node_links *links);
bool node_links_close(struct node_links *links);
uint64_t node_links_next_poll_ns(const struct node_links *links);
uint64_t node_links_items_done(const struct node_links *links);
uint64_t node_links_longest_claim_ns(const struct node_links *links);
struct worker_time node_links_worker_time(const struct node_links *links);
/* Frees them. NULL is fine. */
void node_links_destroy(struct node_links *links);

#endif

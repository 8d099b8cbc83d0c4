/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node has been given of a map: leases that are on its board, and those that the arena has no room for yet. The
 * driver has one at its own node, the node agent has one for each of main's maps on another. None of these calls
 * blocks. For pool/. */
#ifndef POOL_NODE_LEASE_QUEUE_H
#define POOL_NODE_LEASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/node/node_pool.h"

struct lease_queue;

/* A lease for a node. */
struct granted_lease {
    uint64_t number, first, count;
    const void *items;     /* NULL if they have no size; a pack of them for JOB_BLOBS */
    size_t size;           /* of the items */
    const mpm_blob *blobs; /* the items of JOB_BLOBS that are not packed yet: instead of those */
};

struct queued_job {
    struct node_pool *node_pool;
    const struct job_spec *spec;
    const void *context;
    bool
        is_lasting; /* spec, context and items are there until the queue is closed; else what waits is copied */
    bool stands_in_line;        /* see node_job_stands_in_line() */
    const void *items_in_place; /* see node_job_use_in_place() */
    void *results_in_place;
    /* A lease has been published. May be NULL. */
    void (*published)(void *argument, const struct granted_lease *lease);
    /* How far a lease is, by lease_queue_look(). One that is done or lost is dropped afterwards. 0, or a status that
     * ends the look. */
    int (*seen)(void *argument, struct node_lease *lease, enum lease_look look);
    void *argument;
};

/* MPM_ENOMEM. That the arena has no room for the job yet is no error: its leases wait. */
int lease_queue_create(const struct queued_job *job, struct lease_queue **queue);
/* Hangs a lease up; if there is no room, or it `may_begin` only later, it waits behind those that wait. MPM_ENOMEM, and
 * what is missing. */
int lease_queue_grant(struct lease_queue *queue, const struct granted_lease *lease, bool may_begin);
/* Gives back what nobody has claimed of a lease: how many items, from the first on, the node keeps. false if the lease
 * has ended already. */
bool lease_queue_recall(struct lease_queue *queue, uint64_t number, uint64_t *kept);
/* Looks at all published leases, then publishes what has waited, if it `may_begin`. `worked` is set to true if
 * something has come of it. The status of `seen`, or why a lease cannot be published. */
int lease_queue_look(struct lease_queue *queue, bool may_begin, bool *worked);
/* Whether one of its leases has been published. */
bool lease_queue_has_begun(const struct lease_queue *queue);
/* Whether leases of it wait, and none has been published yet. */
bool lease_queue_waits_to_begin(const struct lease_queue *queue);
/* Drops what waits: nothing more is to be granted. */
void lease_queue_give_up(struct lease_queue *queue);
/* Nothing is to be claimed any more from its leases. */
void lease_queue_stop(struct lease_queue *queue);
/* Frees it with all its leases; false if a worker is in one of them still, as node_job_close(). */
bool lease_queue_close(struct lease_queue *queue);
/* Frees it where the arena with its leases is gone. NULL is fine. */
void lease_queue_forget(struct lease_queue *queue);
/* Items that are done in its leases at this moment. */
uint64_t lease_queue_items_done(const struct lease_queue *queue);
/* As node_job_longest_claim_ns(). */
uint64_t lease_queue_longest_claim_ns(const struct lease_queue *queue);

#endif

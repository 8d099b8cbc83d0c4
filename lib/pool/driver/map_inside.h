/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a map share: map.c (its steps), map_plan.c (what it is made of: the job, the order of its items,
 * the lease table), map_results.c (what comes back), map_drain.c (an end before its time) and map_single.c (a single
 * call that looks for a worker). For pool/driver/. */
#ifndef POOL_DRIVER_MAP_INSIDE_H
#define POOL_DRIVER_MAP_INSIDE_H

#include "pool/driver/lease.h"
#include "pool/driver/map.h"
#include "pool/driver/node_link.h"
#include "pool/driver/pool_state.h"
#include "pool/node/watch_clock.h"
#include "pool/shared/job_spec.h"

enum map_stage { MAP_RUNS, MAP_CLOSES, MAP_HAS_ENDED };

enum node_loss {
    NODE_WORKS,
    NODE_IS_HAS_NO_WORKERS, /* it has been seen that it has no workers any more */
    NODE_IS_LOST,           /* the table knows */
};

/* A map that is for one node counts as a single call there. If it has one item, it goes to another node that has an
 * idle worker, as long as none has taken it. The table knows the one node only: it is made anew then. */
struct call {
    unsigned node;  /* where it counts; MAP_ALL_NODES: this is no call */
    unsigned next;  /* where it is to go when it comes back */
    uint32_t lease; /* 0: none is granted yet */
    bool is_taken, is_recalled, is_back;
    bool waits; /* it has waited for long enough to look elsewhere */
    uint64_t next_look_ns;
};

/* An item of a map with costs. */
struct costly {
    double cost;
    uint64_t index;
};

struct map {
    struct mpm_pool *pool;
    struct map_request request;
    enum map_stage stage;
    bool is_in_line; /* its first lease is on its way to workers, before any that comes later */
    bool is_canceled, is_dropped;
    int status; /* how it ends, and why */
    char *sentence;
    struct job_spec spec;
    struct lease_table *table;
    struct node_links *links;
    struct costly *order;       /* of a map with costs: which item stands where; or NULL */
    char *ordered;              /* its items in that order, each with its index behind it */
    enum node_loss *loss;       /* by node */
    struct failure_list listed; /* unless the request has other use for them */
    mpm_failure *failures;      /* those, when it has ended */
    size_t failure_count;
    uint64_t items_failed;
    uint64_t first_failed; /* the lowest index of them */
    char *first_text;      /* its own copy; NULL without memory for it */
    struct call call;
    uint64_t lease_bytes;            /* the most that a lease carries */
    uint64_t blobs_done, blob_bytes; /* results of any length that have come, and their bytes */
    double start_s;
    uint64_t next_progress_ns;
    bool is_draining;               /* nothing is granted any more */
    bool drain_is_due;              /* then: since the end of its time is near */
    struct watch_clock drain_clock; /* what it has had of the grace */
};

/* Makes the job, the order of items and the lease table of a map that begins. */
int map_make_plan(struct map *map);
/* Makes the lease table, with no item granted or done. */
int map_make_table(struct map *map);

/* Keeps what a node has done of a lease. */
int map_keep_results(struct map *map, unsigned node, const struct lease_results *results);
/* Lists or tells those of its items that have failed. */
int map_keep_failures(struct map *map, const struct lease_results *results);
/* MPM_ECANCELED once more items have failed than may. */
int map_check_failures(const struct map *map);
/* How a map whose items have all been worked on has ended: MPM_ETASK if some have failed. */
int map_report_failures(const struct map *map);
/* Puts the failures that it has listed where its outcome has them. false without memory. */
bool map_give_failures(struct map *map);

/* What a map has of a single call. Begins with its request for one node. */
void map_single_begins(struct map *map);
/* Workers have taken all of it. */
void map_single_is_taken(struct map *map);
/* Its node is lost: it does not answer any more. */
void map_single_is_lost(struct map *map);
/* The node keeps so many items of it; false if it was not taken back as a call. */
bool map_single_is_returned(struct map *map, uint64_t kept);
/* Sends a call to an idle worker of another node, once it has waited for one of its own. MPM_ECANCELED if it is
 * dropped. */
int map_single_look_after(struct map *map, bool *worked);
/* When that is due next: by clock.h. */
uint64_t map_single_next_look_ns(const struct map *map);
/* The map ends. */
void map_single_ends(struct map *map);

/* Begins to drain if it is time to. MPM_ENOMEM. */
int map_drain_look(struct map *map);
/* Whether it has been drained before all was done: nothing runs any more, or what runs has had its time. */
bool map_is_drained(const struct map *map);
/* MPM_EDRAINED, and how far the map is. */
int map_say_drained(const struct map *map);
/* When that is to be looked at next: by clock.h. */
uint64_t map_drain_next_look_ns(const struct map *map);

#endif

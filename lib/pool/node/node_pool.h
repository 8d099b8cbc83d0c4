/* SPDX-License-Identifier: BSD-3-Clause */
/* The node pool: a pool on one node, as the rank sees it that publishes leases on the node's board. At home that is
 * the pool's driver (map.c), on other nodes than main's the node agent (node_agent.c): both do the same things by these
 * calls.
 *
 * None of them blocks. The node's doorbell rings when one of them may have more to say. For pool/ only. */
#ifndef POOL_NODE_NODE_POOL_H
#define POOL_NODE_NODE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/shared/batch.h"
#include "pool/shared/blob.h"
#include "pool/shared/failure_list.h"
#include "pool/shared/job_spec.h"
#include "pool/shared/pool_spec.h"
#include "pool/shared/stats_message.h"

/* A pool on this node. */
struct node_pool;

/* Starts its workers, workers_by_rank[i] by the fork server of rank i of this node. `argument`: spec->argument_size
 * bytes, copied. MPM_ENOMEM: `node_pool` may have been set all the same, and is to be closed then. */
int node_pool_open(const struct pool_spec *spec, const void *argument, const uint32_t *workers_by_rank,
                   unsigned rank_count, struct node_pool **node_pool);
/* 0 when all workers run, 1 while some are starting; MPM_EWORKER if they cannot be had. */
int node_pool_check(struct node_pool *node_pool);
/* Whether a worker could not be set up, so that the whole pool is of no use. */
bool node_pool_has_failed(const struct node_pool *node_pool);
/* Whether none of its workers is left, nor will be, because their fork servers have died, or could not fork for too
 * long. */
bool node_pool_has_no_workers(struct node_pool *node_pool);
/* MPM_EFORKSERVER for a pool that is, and what has become of its workers. */
int node_pool_say_no_workers(const struct node_pool *node_pool);
/* Whether a worker has nothing to do, and there is nothing that it could take. Any thread. */
bool node_pool_has_idle(const struct node_pool *node_pool);
/* Tells the workers to end. */
void node_pool_begin_close(struct node_pool *node_pool);
/* Has all workers killed. After node_pool_begin_close(); to be repeated until all have ended, because one may just
 * be starting. */
void node_pool_kill_all(struct node_pool *node_pool);
/* Workers whose finalizers, or those of their forerunners, have ended badly: see enum bad_end. */
struct bad_ends node_pool_bad_ends(const struct node_pool *node_pool);
/* All of them have. */
bool node_pool_is_closed(struct node_pool *node_pool);
/* Has workers killed that have been in one item, or in their initializer or finalizer, for longer than the pool allows,
 * or have more memory. When it is to be called again, at the latest, as long as somebody waits for the pool:
 * CLOCK_FOREVER without a limit. Any thread. */
uint64_t node_pool_watch(struct node_pool *node_pool);
/* Single calls to a worker of this node: for main. */
struct node_pool_call {
    uint64_t task_id; /* unique for the task in the run */
    const struct function *task;
    const void *item;
    uint32_t item_size, result_size;
    void *result; /* untouched unless the call is done with code 0 */
};

enum call_end {
    CALL_IS_DONE,     /* the task has returned 0 */
    CALL_HAS_FAILED,  /* mpm_error() says why: MPM_ETASK */
    CALL_IS_NOT_MADE, /* there was no room for it */
    CALL_IS_GIVEN_UP, /* `look` has said so */
    CALL_IS_MOVED,    /* so it has, and no worker has had it */
};

enum call_order { CALL_GOES_ON, CALL_MOVES, CALL_ENDS };

/* What is to become of a call that has no reply yet; `waits`: no worker has had it. One that has taken a call that is
 * to end is killed; one that has taken it keeps a call that is to move. */
typedef enum call_order call_look(void *argument, bool waits);

/* Makes a call, and blocks until it has ended. `look` is called now and then. Any thread. */
enum call_end node_pool_make_call(struct node_pool *node_pool, struct node_pool_call *call, call_look *look,
                                  void *argument);
/* Whether there is a job that stands in line, and no worker has come to its first lease. Any thread. */
bool node_pool_has_line(struct node_pool *node_pool);
/* Has all who wait for a call look at once. */
void node_pool_wake_callers(struct node_pool *node_pool);
/* A failure whose text is in words of its own, or stands elsewhere. */
struct worded_failure {
    mpm_failure failure;
    char words[FAILURE_SHORT_SIZE];
};

/* Puts the cause of a worker's death into words. */
void node_pool_describe_death(const struct node_pool *node_pool, int wait_status, enum item_limit limit,
                              struct worded_failure *worded);
/* How much time its workers have had, and were busy. Any thread. */
struct worker_time node_pool_time(const struct node_pool *node_pool);
/* What its workers have done; the caller frees it. How many bytes it has; NULL without memory. Any thread. */
struct node_stats *node_pool_stats(const struct node_pool *node_pool, size_t *size);
/* Frees it, once it is closed. NULL is fine. */
void node_pool_free(struct node_pool *node_pool);

/* A map on this node. */
struct node_job;

/* `context`: spec->context_size bytes. MPM_ENOMEM; 1 if the arena has no room now, but will have: the doorbell rings
 * then. */
int node_job_open(struct node_pool *node_pool, const struct job_spec *spec, const void *context,
                  struct node_job **job);
/* All items or all results of the map stand in this arena, from that of item 0 on, and are used where they are. Either
 * may be NULL: then leases copy them. Before its first lease. */
void node_job_use_in_place(struct node_job *job, const void *items, void *results);
/* Single calls by mailboxes must not pass its first lease: see node_pool_has_line(). Before that. */
void node_job_stands_in_line(struct node_job *job);
/* Nothing is to be claimed any more from its leases. */
void node_job_stop(struct node_job *job);
/* Frees it with all its leases, if no worker is in one of them; else false: workers that are in an item have been
 * asked to be killed, and it is to be called again soon. */
bool node_job_close(struct node_job *job);
/* Items that are done in its leases at this moment. */
uint64_t node_job_items_done(const struct node_job *job);
/* How long the longest claim of a worker in it has taken; 0 if none has ended, or none is measured: those of plain
 * tasks with chunks of a fixed size. */
uint64_t node_job_longest_claim_ns(const struct node_job *job);

/* A lease on this node. */
struct node_lease;

enum lease_look {
    LEASE_RUNS,
    LEASE_IS_CLAIMED, /* once, where workers are busy with the last of it: there is nothing more to claim */
    LEASE_IS_DONE,    /* every item that it keeps is done or failed: results and failures can be read */
    LEASE_IS_LOST,    /* the whole job cannot be done; mpm_error() says why, and the status is
                      node_lease_status() */
};

/* A lease's number, and its items: `count` of them (< 2^32), the first of which has the number `first` in the map. */
struct lease_range {
    uint64_t number, first, count;
};

/* Hangs up a lease. `items`, of `size` bytes in all, are copied, unless they are used in place; NULL if they have no
 * size; a pack of them for JOB_BLOBS. MPM_ENOMEM, and what is missing; 1 as node_job_open(). */
int node_lease_publish(struct node_job *job, const struct lease_range *range, const void *items,
                       uint64_t size, struct node_lease **lease);
/* The same with items that are not packed yet. */
int node_lease_publish_blobs(struct node_job *job, const struct lease_range *range, const mpm_blob *items,
                             struct node_lease **lease);
/* Gives back what nobody has claimed: how many items, from the first on, it keeps. */
uint64_t node_lease_cut(struct node_lease *lease);
/* Looks how far it is; publishes again what was lost with a worker. */
enum lease_look node_lease_look(struct node_lease *lease);
/* Whether workers have claimed some of it. */
bool node_lease_is_begun(const struct node_lease *lease);
/* Why it is lost. */
int node_lease_status(const struct node_lease *lease);

uint64_t node_lease_number(const struct node_lease *lease);
uint64_t node_lease_first(const struct node_lease *lease);
/* Items that it keeps. */
uint64_t node_lease_count(const struct node_lease *lease);
/* Results of the items that it keeps; failed ones are zero. Of JOB_BLOBS: references from the arena's beginning. */
const void *node_lease_results(const struct node_lease *lease);
/* Items that failed, in rising order. */
const struct failure_list *node_lease_failures(const struct node_lease *lease);
/* How many more have failed, of a batch where very many have. */
uint64_t node_lease_failures_untold(const struct node_lease *lease);
/* Frees it when it is done. */
void node_lease_drop(struct node_lease *lease);

/* The job's leases, one after the other: the first for NULL. */
struct node_lease *node_job_next_lease(struct node_job *job, struct node_lease *lease);

#endif

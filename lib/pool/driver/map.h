/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as main drives it: by steps, none of which blocks, so that one thread can drive any number of them. For
 * pool/ only. */
#ifndef POOL_DRIVER_MAP_H
#define POOL_DRIVER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#include "node/function.h"
#include "pool/shared/blob.h"
#include "pool/shared/job_spec.h"

#define MAP_ALL_NODES UINT32_MAX

/* What a caller wants, of items in memory or of batches. Pointers are valid until the map has ended. */
struct map_request {
    function_pointer *task;
    enum job_kind kind;
    bool is_apply;        /* it is one call: its failure is told as that */
    bool is_in_line;      /* it counts in its pool's `in_line`: see pool_stand_in_line() */
    unsigned node;        /* where it is to run, or MAP_ALL_NODES */
    bool stays;           /* there, while that has workers: it is no call that any node may have */
    uint64_t first_index; /* what mpm_call_index() tells of item 0; not for batches */
    uint64_t count, item_size, result_size;
    const char *items;
    char *results;
    const mpm_blob *blobs;          /* the items of JOB_BLOBS, which have no items and results else */
    struct blob_list *blob_results; /* where its results go; NULL: nowhere */
    const double *costs; /* of each item, for JOB_PLAIN and JOB_BATCH: the most costly first; or NULL */
    uint64_t chunk, chunk_limit;
    double chunk_s;
    const void *context;
    size_t context_size;
    void (*progress)(const mpm_progress *now, void *argument);
    void *progress_argument;
    /* Of batches: called for items that have failed, and no list of them is kept. 0, or a status that ends the map. */
    int (*failed)(const mpm_failure *failure, void *argument);
    void *failed_argument;
    uint64_t max_failures; /* more end the map; 0: none do */
};

/* How a map has ended. */
struct map_outcome {
    int status;
    char *sentence;        /* of the status; NULL if that is 0, or without memory for it. The caller's */
    mpm_failure *failures; /* in rising order; NULL if there are none. The caller's */
    size_t failure_count;
};

struct map;

/* The request of mpm_pool_map(). */
struct map_request map_request_of(mpm_task *task, const void *items, size_t count, size_t item_size,
                                  const mpm_map_options *options, void *results, size_t result_size);
/* pool_enter_call() for a request: what is wrong with that, too. */
int map_enter(const char *call, struct mpm_pool *pool, const struct map_request *request);
/* Only of the request. */
int map_check_request(const char *call, const struct map_request *request);

/* Begins it. A request for one node has been counted there by apply_enter(), and one that is in line by
 * pool_stand_in_line(): the map sees to that from now on, also if it cannot begin. MPM_ENOMEM: without memory to say more by map_end(). */
int map_begin(struct mpm_pool *pool, const struct map_request *request, struct map **map);
/* Whether it stands in line: workers get to its first items before those of any map that comes from here on. */
bool map_is_in_line(const struct map *map);
/* Goes on as far as it can now. true when the map has ended. The node's bell rings when there may be more to do;
 * `worked` is set to true if something was done, so that there may be more at once. */
bool map_step(struct map *map, bool *worked);
/* Whether a worker has taken all that a map for one node has, and works on it for more than a moment. */
bool map_is_taken(const struct map *map);
/* When the next step is due at the latest, though the bell has not rung: by clock.h. */
uint64_t map_next_step_ns(struct map *map);
/* It is to end, with MPM_ECANCELED: steps go on until it has. */
void map_cancel(struct map *map);
/* Frees a map that has ended. */
void map_end(struct map *map, struct map_outcome *outcome);

/* All of these in one, in a call that has entered the pool: blocks. Statuses as mpm_pool_map(), with the sentence set. The failures are the caller's,
 * also with MPM_ETASK. */
int map_run(struct mpm_pool *pool, const struct map_request *request, mpm_failure **failures,
            size_t *failure_count);
/* The same, with the failures where the options want them. */
int map_for_caller(struct mpm_pool *pool, const struct map_request *request, const mpm_map_options *options);

#endif

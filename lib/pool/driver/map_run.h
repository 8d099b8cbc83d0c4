/* SPDX-License-Identifier: BSD-3-Clause */
/* A map that its caller waits for. For pool/driver/. */
#ifndef POOL_DRIVER_MAP_RUN_H
#define POOL_DRIVER_MAP_RUN_H

#include "pool/driver/map_request.h"

/* The items of a map, and the place for their results. */
struct map_items {
    const void *items;
    size_t count, item_size;
    void *results;
    size_t result_size;
};

/* The request of mpm_pool_map(). */
struct map_request map_request_of(mpm_task *task, const struct map_items *of, const mpm_map_options *options);
/* pool_enter_call() for a request: what is wrong with that, too. */
int map_enter(const char *call, struct mpm_pool *pool, const struct map_request *request);
/* Only of the request. */
int map_check_request(const char *call, const struct map_request *request);

/* A whole map, in a call that has entered the pool: blocks. Statuses as mpm_pool_map(), with the sentence set. The
 * failures are the caller's, also with MPM_ETASK. */
int map_run(struct mpm_pool *pool, const struct map_request *request, mpm_failure **failures,
            size_t *failure_count);
/* The same, with the failures where the options want them. */
int map_for_caller(struct mpm_pool *pool, const struct map_request *request, const mpm_map_options *options);

#endif

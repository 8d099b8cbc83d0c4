/* SPDX-License-Identifier: BSD-3-Clause */
/* Drives a map to its end in the thread of its caller. */
#include "pool/driver/map_run.h"

#include <stdlib.h>

#include "base/error.h"
#include "node/context.h"
#include "pool/driver/async.h"
#include "pool/driver/map.h"
#include "pool/driver/map_short.h"
#include "pool/driver/pool_state.h"

/* The doorbell is looked at first, so that nothing that happens between a step and the sleep is missed. */
static void run_to_the_end(struct map *map)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        bool worked = false;
        uint64_t next_ns;

        if (map_step(map, &worked))
            return;
        next_ns = map_next_step_ns(map);
        if (!worked)
            eventcount_wait(context_doorbell(), seen, 0, next_ns);
    }
}

static int give_outcome(struct map_outcome *outcome, mpm_failure **failures, size_t *failure_count)
{
    *failures = outcome->failures;
    *failure_count = outcome->failure_count;
    if (outcome->status)
        error_set(outcome->status, "%s",
                  outcome->sentence ? outcome->sentence : mpm_status_name(outcome->status));
    free(outcome->sentence);
    return outcome->status;
}

int map_run(struct mpm_pool *pool, const struct map_request *request, mpm_failure **failures,
            size_t *failure_count)
{
    struct map_outcome outcome;
    struct pool_use use;
    struct map *map;
    int status;

    async_wait_for_turn(pool);
    pool_use_begins(&use, pool);
    if (map_is_short(pool, request) && map_run_short(pool, request, &outcome)) {
        status = give_outcome(&outcome, failures, failure_count);
    } else if (!(status = map_begin(pool, request, &map))) {
        run_to_the_end(map);
        map_short_learn(map);
        map_end(map, &outcome);
        status = give_outcome(&outcome, failures, failure_count);
    }
    pool_use_ends(&use);
    return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Each check is a map of its own with one item, which stays with its node: what a map does about workers that die,
 * nodes that are lost and leases that are taken back holds for checks as well, and the maps themselves know nothing of
 * them. A node that loses its workers meanwhile has no part in what follows; its check goes to another node and does no
 * harm. A check waits behind what was submitted before it for as long as that takes; its time counts from when a worker
 * has taken it. */
#include "pool/driver/map_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "mpmap/runtime.h"
#include "net/topology.h"
#include "node/context.h"
#include "pool/driver/async.h"
#include "pool/driver/map.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/pool_state.h"

#define AT_ONCE 64u /* each map has a table of all nodes: memory is bounded by this */
#define TIMEOUTS \
    8 /* a file system may be silent for longer than a node: so many times MPMAP_NODE_TIMEOUT is a check waited for */

struct check {
    struct map *map; /* NULL: none */
    unsigned node;
    uint64_t deadline_ns; /* 0: no worker has taken it yet */
};

struct checks {
    mpm_pool *pool;
    const struct batch_map *batches;
    struct check check[AT_ONCE];
    unsigned running, next_node;
    uint64_t limit_ns;
    int status; /* of the first that failed, and why */
    char *sentence;
};

static const char *name_of(unsigned node, mpm_node *info)
{
    return mpm_node_info(node, info) ? "?" : info->name;
}

static int check_has_failed(const mpm_failure *failure, void *argument)
{
    const struct check *check = argument;
    mpm_node info;

    return error_set(MPM_EWORKER, "node %u (%s) could not be checked before the first row: %s", check->node,
                     name_of(check->node, &info), failure->text);
}

static int check_takes_too_long(const struct checks *checks, const struct check *check)
{
    mpm_node info;

    return error_set(MPM_EIO, "node %u (%s) has not opened input and output for %g s", check->node,
                     name_of(check->node, &info), (double)checks->limit_ns * 1e-9);
}

/* With the status that mpm_error() tells of: the first one counts, and ends the others. */
static void give_up(struct checks *checks, int status, const char *sentence)
{
    if (!checks->status) {
        checks->status = status;
        checks->sentence = sentence ? strdup(sentence) : NULL;
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (checks->check[i].map)
            map_cancel(checks->check[i].map);
    }
}

static bool takes_part(const mpm_pool *pool, unsigned node)
{
    return node != context_topology()->node && pool->node[node].workers;
}

static void begin(struct checks *checks, struct check *check)
{
    const struct batch_map *batches = checks->batches;
    struct map_request request = {.task = (function_pointer *)batches->check,
                                  .kind = JOB_BATCH,
                                  .stays = true,
                                  .node = checks->next_node,
                                  .count = 1,
                                  .chunk = 1,
                                  .context = batches->context,
                                  .context_size = batches->check_context_size,
                                  .failed = check_has_failed,
                                  .failed_argument = check};
    int status;

    *check = (struct check){.node = checks->next_node};
    node_calls_add(checks->pool, check->node);
    if ((status = map_begin(checks->pool, &request, &check->map)))
        give_up(checks, status, mpm_error());
    else
        checks->running++;
}

static void begin_some(struct checks *checks)
{
    for (unsigned i = 0; i < AT_ONCE && !checks->status; i++) {
        while (checks->next_node < checks->pool->node_count && !takes_part(checks->pool, checks->next_node))
            checks->next_node++;
        if (checks->next_node == checks->pool->node_count)
            return;
        if (!checks->check[i].map) {
            begin(checks, &checks->check[i]);
            checks->next_node++;
        }
    }
}

static void end(struct checks *checks, struct check *check)
{
    struct map_outcome outcome;

    map_end(check->map, &outcome);
    check->map = NULL;
    checks->running--;
    if (outcome.status)
        give_up(checks, outcome.status, outcome.sentence);
    free(outcome.sentence);
    free(outcome.failures);
}

static void look_at_time(struct checks *checks, struct check *check)
{
    if (!checks->limit_ns || !map_is_taken(check->map))
        return;
    if (!check->deadline_ns)
        check->deadline_ns = clock_now_ns() + checks->limit_ns;
    else if (clock_now_ns() >= check->deadline_ns)
        give_up(checks, check_takes_too_long(checks, check), mpm_error());
}

/* When the next step of it is due. */
static uint64_t step(struct checks *checks, struct check *check, bool *worked)
{
    uint64_t next_ns;

    if (map_step(check->map, worked)) {
        end(checks, check);
        *worked = true;
        return CLOCK_FOREVER;
    }
    look_at_time(checks, check);
    next_ns = map_next_step_ns(check->map);
    return check->deadline_ns && check->deadline_ns < next_ns ? check->deadline_ns : next_ns;
}

/* The doorbell is looked at first, so that nothing that happens between a step and the sleep is missed. */
static void go_on(struct checks *checks)
{
    uint32_t seen = eventcount_prepare(context_doorbell());
    uint64_t first_ns = CLOCK_FOREVER;
    bool worked = false;

    for (unsigned i = 0; i < AT_ONCE; i++) {
        uint64_t next_ns = checks->check[i].map ? step(checks, &checks->check[i], &worked) : CLOCK_FOREVER;

        first_ns = next_ns < first_ns ? next_ns : first_ns;
    }
    if (!worked)
        eventcount_wait(context_doorbell(), seen, 0, first_ns);
}

int map_check_nodes(mpm_pool *pool, const struct batch_map *batches)
{
    double timeout_s = context_topology()->ranks[0].card.node_timeout_s;
    struct checks checks = {.pool = pool, .batches = batches};

    if (timeout_s < 1e9)
        checks.limit_ns = (uint64_t)(timeout_s * TIMEOUTS * 1e9);
    async_wait_for_turn(pool);
    begin_some(&checks);
    while (checks.running) {
        go_on(&checks);
        begin_some(&checks);
    }
    if (checks.status)
        error_set(checks.status, "%s", checks.sentence ? checks.sentence : mpm_status_name(checks.status));
    free(checks.sentence);
    return checks.status;
}

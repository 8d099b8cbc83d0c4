/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing pools: which rank gets how many workers, and waiting until they are there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmap/pool.h"
#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/loss.h"
#include "node/lost_node.h"
#include "object/call.h"
#include "pool/driver/async.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/stream.h"
#include "pool/node/arena_budget.h"

#define MAX_WORKERS      65536u
#define DEFAULT_ATTEMPTS 2u
#define KILL_AGAIN_NS    1000000u /* one may just be starting when the others are killed */
#define MAX_TIMEOUT_S    1e9
#define MAX_ARGUMENT     ((size_t)1 << 30)

/* Main uses all nodes; a process its own, because it has no courier. The slots of a rank whose fork server has died, or
 * whose node, are lost. */
static unsigned slots_of(unsigned rank)
{
    const struct topology *topology = context_topology();

    if ((context_role() != ROLE_MAIN && topology->ranks[rank].node != topology->node) || loss_is(rank) ||
        lost_node_is(topology->ranks[rank].node))
        return 0;
    return topology->ranks[rank].slots;
}

static unsigned count_slots(void)
{
    unsigned slots = 0;

    for (unsigned rank = 0; rank < mpm_rank_count(); rank++)
        slots += slots_of(rank);
    return slots;
}

/* Workers for each rank, whose slots are given: slots first, from main's node on; what is left over goes round. */
static void spread_workers(unsigned workers, const unsigned *slots, unsigned *by_rank)
{
    const struct topology *topology = context_topology();
    unsigned left = workers, all_slots = 0;

    for (unsigned node = 0; node < topology->node_count; node++) {
        for (unsigned i = 0; i < topology->nodes[node].ranks; i++) {
            unsigned rank = topology_rank_of(topology, node, i);

            by_rank[rank] = slots[rank] < left ? slots[rank] : left;
            left -= by_rank[rank];
            all_slots += slots[rank];
        }
    }
    for (unsigned rank = 0; left; rank = (rank + 1) % topology->rank_count) {
        if (all_slots && !slots[rank])
            continue;
        by_rank[rank]++;
        left--;
    }
}

/* The workers of each rank of one node, in order; how many ranks that are. */
static unsigned workers_of_node(const unsigned *by_rank, unsigned node, uint32_t *workers)
{
    const struct topology *topology = context_topology();

    for (unsigned i = 0; i < topology->nodes[node].ranks; i++)
        workers[i] = by_rank[topology_rank_of(topology, node, i)];
    return topology->nodes[node].ranks;
}

static int open_on_node(struct mpm_pool *pool, unsigned node, const uint32_t *workers, unsigned rank_count)
{
    struct message_part parts[] = {{&pool->spec, sizeof pool->spec},
                                   {workers, rank_count * sizeof *workers},
                                   {pool->argument, pool->spec.argument_size}};

    for (unsigned i = 0; i < rank_count; i++)
        pool->node[node].workers += workers[i];
    if (!pool->node[node].workers)
        return MPM_OK;
    pool_state_opens(pool, node);
    if (node == context_topology()->node)
        return node_pool_open(&pool->spec, pool->argument, workers, rank_count, &pool->home);
    return courier_post(node, MESSAGE_POOL_OPEN, parts, 3);
}

static int open_everywhere(struct mpm_pool *pool)
{
    unsigned ranks = context_topology()->rank_count;
    uint32_t *workers = calloc(ranks, sizeof *workers);
    unsigned *by_rank = calloc(ranks, sizeof *by_rank), *slots = calloc(ranks, sizeof *slots);
    int status = MPM_OK;

    for (unsigned rank = 0; slots && rank < ranks; rank++)
        slots[rank] = slots_of(rank);
    if (!workers || !by_rank || !slots)
        status = error_set(MPM_ENOMEM, "no memory for a pool over %u ranks", ranks);
    else
        spread_workers(pool->worker_count, slots, by_rank);
    for (unsigned node = 0; !status && node < pool->node_count; node++)
        status = open_on_node(pool, node, workers, workers_of_node(by_rank, node, workers));
    free(workers);
    free(by_rank);
    free(slots);
    return status;
}

/* 0 when the pool is ready on all nodes, 1 while it is not. */
static int check_ready(const struct mpm_pool *pool)
{
    int status = pool->home ? node_pool_check(pool->home) : MPM_OK;

    for (unsigned node = 0; status >= 0 && node < pool->node_count; node++) {
        struct pool_word there = pool_state_of(pool, node);

        if (there.status)
            return pool_say_failed(&there);
        if (node != context_topology()->node && there.state == POOL_NODE_OPENING)
            status = 1;
    }
    return status ? status : pool_check_workers(pool);
}

static int wait_until_ready(const struct mpm_pool *pool)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        int status;

        if ((status = context_check_whole()) || (status = check_ready(pool)) <= 0)
            return status;
        eventcount_wait(context_doorbell(), seen, 0,
                        pool->home ? node_pool_watch(pool->home) : CLOCK_FOREVER);
    }
}

static bool is_closed(const struct mpm_pool *pool)
{
    if (pool->home && !node_pool_is_closed(pool->home))
        return false;
    for (unsigned node = 0; node < pool->node_count; node++) {
        enum pool_node_state there = pool_state_of(pool, node).state;

        if (node != context_topology()->node && there != POOL_NODE_UNUSED && there != POOL_NODE_CLOSED)
            return false;
    }
    return true;
}

/* Tells the workers on all nodes to end, or has them killed. */
static void end_workers(struct mpm_pool *pool, bool now)
{
    struct message_pool message = {.pool = pool->spec.id, .now = now};

    if (pool->home)
        node_pool_begin_close(pool->home);
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (node != context_topology()->node && pool_state_of(pool, node).state != POOL_NODE_UNUSED &&
            courier_post_one(node, MESSAGE_POOL_CLOSE, &message, sizeof message))
            context_break(MPM_ENOMEM, mpm_error());
    }
}

/* How the end of a pool is carried out. */
struct ending {
    const char *call;
    uint64_t deadline_ns; /* then it is left, */
    int late_status;      /* and this is returned where it is closed, and finalizers were late */
};

static struct ending ending_of(const char *call)
{
    return (struct ending){call, CLOCK_FOREVER, MPM_ETIMEDOUT};
}

/* The end is left to a later call if the time is up. One that is terminated is soon over: whoever terminates it says so
 * first, and looks for an end that was left then, so one of the two sees the other. */
static bool leave_if_late(struct mpm_pool *pool, const struct ending *ending)
{
    if (clock_now_ns() < ending->deadline_ns || atomic_load(&pool->terminating))
        return false;
    pool_leave_end(pool);
    return !atomic_load(&pool->terminating) || !pool_take_end(pool);
}

/* false if it was left. */
static bool wait_until_unused(struct mpm_pool *pool, const struct ending *ending)
{
    uint64_t deadline_ns = ending->deadline_ns;

    while (!pool_wait_for_users(pool, deadline_ns)) {
        if (leave_if_late(pool, ending))
            return false;
        deadline_ns = CLOCK_FOREVER;
    }
    return true;
}

/* In a run that has lost a part, nobody may be left to say that the workers are gone: they end with it. A pool that is
 * being closed may be terminated meanwhile. false if it was left. */
static bool wait_until_closed(struct mpm_pool *pool, const struct ending *ending)
{
    bool now = atomic_load(&pool->terminating);

    end_workers(pool, now);
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        uint64_t next_ns;

        if (is_closed(pool) || context_check_whole())
            return true;
        if (leave_if_late(pool, ending))
            return false;
        if (!now && (now = atomic_load(&pool->terminating)))
            end_workers(pool, now);
        if (now && pool->home)
            node_pool_kill_all(pool->home);
        next_ns = pool->home ? node_pool_watch(pool->home) : CLOCK_FOREVER;
        if (now)
            next_ns = clock_now_ns() + KILL_AGAIN_NS;
        else if (ending->deadline_ns < next_ns)
            next_ns = ending->deadline_ns;
        eventcount_wait(context_doorbell(), seen, 0, next_ns);
    }
}

static struct bad_ends count_bad_ends(const struct mpm_pool *pool)
{
    struct bad_ends ends = pool->home ? node_pool_bad_ends(pool->home) : (struct bad_ends){0};

    for (unsigned node = 0; node < pool->node_count; node++) {
        struct bad_ends there = pool_state_of(pool, node).bad_ends;

        ends.late += there.late;
        ends.crashed += there.crashed;
    }
    return ends;
}

static int say_bad_ends(const struct bad_ends *ends, const struct ending *ending, double limit_s)
{
    if (ends->late)
        return error_set(
            ending->late_status,
            "%s: the pool is closed, but finalizers were still running after %g s (setup_timeout_s), and "
            "workers were killed: %u",
            ending->call, limit_s, ends->late);
    if (ends->crashed)
        return error_set(MPM_EWORKER, "%s: the pool is closed, but workers have died in their finalizers: %u",
                         ending->call, ends->crashed);
    return MPM_OK;
}

/* Nobody uses it, and its workers are gone. Others may wait until it is not listed any more. */
static int free_pool(struct mpm_pool *pool, const struct ending *ending)
{
    double limit_s = pool->spec.setup_timeout_s;
    struct bad_ends ends = count_bad_ends(pool);

    log_write(MPM_LOG_INFO, "pool %llu is %s", (unsigned long long)pool->spec.id,
              atomic_load(&pool->terminating) ? "terminated" : "closed");
    pool_state_remove(pool);
    node_pool_free(pool->home);
    pool_state_free(pool);
    eventcount_notify(context_doorbell());
    return say_bad_ends(&ends, ending, limit_s);
}

/* By whoever carries out its end. */
static int end_pool(struct mpm_pool *pool, const struct ending *ending)
{
    stream_cut_off_all(pool);
    if (wait_until_unused(pool, ending) && wait_until_closed(pool, ending))
        return free_pool(pool, ending);
    return error_set(MPM_ETIMEDOUT, "%s: the pool has not ended within the timeout: join it again",
                     ending->call);
}

/* A pool that could not be opened: its workers may be anywhere in their initializers. The caller uses it, and nobody
 * else can; but whoever ends the run may have begun its end. */
static void end_failed_pool(struct mpm_pool *pool, int status)
{
    struct ending ending = ending_of("mpm_pool_open");
    bool is_ours = pool_begin_end(pool);
    char *sentence = strdup(mpm_error());

    atomic_store(&pool->terminating, true);
    pool_leave(pool);
    if (is_ours)
        (void)end_pool(pool, &ending);
    error_set(status, "%s", sentence ? sentence : mpm_status_name(status));
    free(sentence);
}

/* Other threads may be ending some of them. */
void pools_end(void)
{
    struct ending ending = ending_of("mpm_finalize");
    bool any = true;

    while (any) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        struct mpm_pool *pool = pool_state_begin_any_end(&any);

        if (pool)
            (void)end_pool(pool, &ending);
        else if (any)
            eventcount_wait(context_doorbell(), seen, 0, CLOCK_FOREVER);
    }
    (void)async_wait_for_calls(CLOCK_FOREVER);
    async_end();
}

static int check_options(const mpm_pool_options *options)
{
    uint64_t pages;

    if (options->workers > MAX_WORKERS)
        return error_set(MPM_EINVAL, "mpm_pool_open: %u workers are too many: at most %u", options->workers,
                         MAX_WORKERS);
    if (!(options->item_timeout_s >= 0 && options->item_timeout_s <= MAX_TIMEOUT_S))
        return error_set(MPM_EINVAL, "mpm_pool_open: item_timeout_s is %g: it must be 0 to %g seconds",
                         options->item_timeout_s, MAX_TIMEOUT_S);
    if (options->item_memory_bytes && !memory_own_pages(getpid(), &pages))
        return error_set_errno(
            MPM_ESYSTEM,
            "mpm_pool_open: item_memory_bytes cannot be enforced, because /proc/%d/statm cannot be read",
            (int)getpid());
    if (!(options->setup_timeout_s >= 0 &&
          (options->setup_timeout_s <= MAX_TIMEOUT_S || options->setup_timeout_s == MPM_FOREVER)))
        return error_set(MPM_EINVAL,
                         "mpm_pool_open: setup_timeout_s is %g: it must be 0 to %g seconds, or MPM_FOREVER",
                         options->setup_timeout_s, MAX_TIMEOUT_S);
    if (options->initializer_argument_size && !options->initializer_argument)
        return error_set(MPM_EINVAL, "mpm_pool_open: initializer_argument is NULL, but its size is %zu bytes",
                         options->initializer_argument_size);
    if (options->initializer_argument_size > MAX_ARGUMENT)
        return error_set(MPM_EINVAL,
                         "mpm_pool_open: an initializer_argument of %zu bytes is too large: at most "
                         "1 GiB",
                         options->initializer_argument_size);
    return MPM_OK;
}

/* 0 if there is none. */
static double setup_timeout_of(const mpm_pool_options *options)
{
    if (!(options->setup_timeout_s > 0))
        return options->item_timeout_s;
    return options->setup_timeout_s > MAX_TIMEOUT_S ? 0 : options->setup_timeout_s;
}

static int make_spec(const mpm_pool_options *options, struct pool_spec *spec)
{
    int status = MPM_OK;

    *spec = (struct pool_spec){
        .id = pool_state_new_id(),
        .has_initializer = options->initializer != NULL,
        .has_finalizer = options->finalizer != NULL,
        .max_attempts = options->max_attempts ? options->max_attempts : DEFAULT_ATTEMPTS,
        .max_tasks_per_worker = options->max_tasks_per_worker ? options->max_tasks_per_worker : UINT64_MAX,
        .worker_timeout_s = context_worker_timeout_s(),
        .item_timeout_s = options->item_timeout_s,
        .item_memory_bytes = options->item_memory_bytes,
        .setup_timeout_s = setup_timeout_of(options),
        .argument_size = options->initializer_argument_size};
    if (options->initializer)
        status = function_name((function_pointer *)options->initializer, &spec->initializer);
    if (!status && options->finalizer)
        status = function_name((function_pointer *)options->finalizer, &spec->finalizer);
    return status;
}

static int make_pool(const mpm_pool_options *options, struct mpm_pool **made)
{
    struct pool_spec spec;
    struct mpm_pool *pool;
    int status;

    if ((status = make_spec(options, &spec)))
        return status;
    if (!(pool = pool_state_new(mpm_node_count())))
        return MPM_ENOMEM;
    pool->spec = spec;
    pool->worker_count = options->workers ? options->workers : count_slots();
    pool->argument = options->initializer_argument;
    pool->opened_ns = clock_now_ns();
    *made = pool;
    return MPM_OK;
}

static int check_open(const mpm_pool_options *options, mpm_pool **opened)
{
    int status = context_check_driver("mpm_pool_open");

    if (status)
        return status;
    if (!opened)
        return error_set(MPM_EINVAL, "mpm_pool_open: the pointer for the pool is NULL");
    if (!count_slots())
        return error_set(
            MPM_EWORKER,
            "mpm_pool_open: no worker can be started: the fork server processes of all ranks have died");
    return check_options(options);
}

/* Until it is open the caller uses it: the end of the run waits for that. */
static int open_pool(const mpm_pool_options *options, mpm_pool **opened)
{
    struct mpm_pool *pool = NULL;
    int status = make_pool(options, &pool);

    if (status)
        return status;
    pool_state_add(pool);
    if ((status = open_everywhere(pool)) || (status = wait_until_ready(pool))) {
        end_failed_pool(pool, status);
        return status;
    }
    log_write(MPM_LOG_INFO, "pool %llu is open: %u workers", (unsigned long long)pool->spec.id,
              pool->worker_count);
    *opened = pool;
    pool_leave(pool);
    return MPM_OK;
}

int mpm_pool_open(const mpm_pool_options *options, mpm_pool **opened)
{
    mpm_pool_options chosen = options ? *options : (mpm_pool_options){0};
    int status;

    context_enter();
    if (!(status = check_open(&chosen, opened)))
        status = open_pool(&chosen, opened);
    context_leave();
    return status;
}

unsigned mpm_pool_worker_count(const mpm_pool *pool)
{
    struct mpm_pool *used = (struct mpm_pool *)(uintptr_t)pool; /* only the count of its users changes */
    unsigned count;

    if (!pool || !pool_enter_if_open(used))
        return 0;
    count = pool_count_workers(used);
    pool_leave_call(used);
    return count;
}

/* What is wrong with ending a pool now, in this process. A run that is broken, or ends, is fine. */
static int check_ender(const char *call)
{
    if (context_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "%s: the run has ended, and its pools with it", call);
    if (!context_is_driver())
        return error_set(MPM_ESTATE, "%s: only main and processes may call it, not a pool's worker", call);
    return MPM_OK;
}

/* And in this thread, which is to wait for the end. */
static int check_end(const char *call, const mpm_pool *pool)
{
    int status;

    if ((status = check_ender(call)))
        return status;
    if (pool_is_used_here(pool))
        return error_set(
            MPM_ESTATE,
            "%s: a callback of one of the pool's maps cannot end the pool: the map waits for the "
            "callback, and the end of the pool waits for the map",
            call);
    return MPM_OK;
}

static int is_ended(const char *call)
{
    return error_set(MPM_ESTATE, "%s: the pool is closed, or another call is closing it", call);
}

static int close_pool(mpm_pool *pool)
{
    struct ending ending = ending_of("mpm_pool_close");
    int status;

    if (!pool_begin_end(pool))
        return is_ended("mpm_pool_close");
    status = end_pool(pool, &ending);
    (void)async_wait_for_calls(CLOCK_FOREVER);
    return status;
}

int mpm_pool_close(mpm_pool *pool)
{
    int status;

    if (!pool)
        return MPM_OK;
    context_enter();
    if (!(status = check_end("mpm_pool_close", pool)))
        status = close_pool(pool);
    context_leave();
    return status;
}

/* Whoever is closing it already goes on with that, and finds that there is less to wait for; or has left it just
 * now. */
static int terminate_pool(mpm_pool *pool)
{
    struct ending ending = ending_of("mpm_pool_terminate");
    bool is_ours = pool_begin_end(pool);

    if (!pool_state_terminate(pool))
        return is_ended("mpm_pool_terminate");
    if (!is_ours && !pool_take_end(pool))
        return MPM_OK;
    (void)end_pool(pool, &ending);
    (void)async_wait_for_calls(CLOCK_FOREVER);
    return MPM_OK;
}

int mpm_pool_terminate(mpm_pool *pool)
{
    int status;

    if (!pool)
        return MPM_OK;
    context_enter();
    if (!(status = check_end("mpm_pool_terminate", pool)))
        status = terminate_pool(pool);
    context_leave();
    return status;
}

/* Its maps and calls see it when they are looked at. */
static int shut_down(mpm_pool *pool, enum mpm_shutdown how)
{
    if (!pool_begin_shutdown(pool))
        return is_ended("mpm_pool_shutdown");
    stream_cut_off_all(pool);
    if (how == MPM_DROP)
        atomic_store(&pool->dropping, true);
    pool_leave(pool); /* and rings the doorbell */
    return MPM_OK;
}

int mpm_pool_shutdown(mpm_pool *pool, enum mpm_shutdown how)
{
    int status;

    if (!pool)
        return error_set(MPM_EINVAL, "mpm_pool_shutdown: the pool is NULL");
    if (how != MPM_FINISH && how != MPM_DROP)
        return error_set(MPM_EINVAL, "mpm_pool_shutdown: how is %d: it must be MPM_FINISH or MPM_DROP",
                         (int)how);
    context_enter();
    if (!(status = check_ender("mpm_pool_shutdown")))
        status = shut_down(pool, how);
    context_leave();
    return status;
}

/* Callbacks are waited for before the end that cannot be left any more. */
static int join_pool(mpm_pool *pool, double timeout_s)
{
    struct ending ending = {"mpm_pool_join", call_deadline_ns(timeout_s), MPM_ECANCELED};

    if (!pool_ends(pool))
        return error_set(MPM_ESTATE, "mpm_pool_join: the pool is still open: call mpm_pool_shutdown() first");
    if (!pool_take_end(pool))
        return is_ended("mpm_pool_join");
    if (wait_until_unused(pool, &ending) &&
        (async_wait_for_calls(ending.deadline_ns) || !leave_if_late(pool, &ending)))
        return end_pool(pool, &ending);
    return error_set(MPM_ETIMEDOUT, "mpm_pool_join: the pool has not ended within %g s: join it again",
                     timeout_s > 0 ? timeout_s : 0.0);
}

int mpm_pool_join(mpm_pool *pool, double timeout_s)
{
    int status;

    if (!pool)
        return error_set(MPM_EINVAL, "mpm_pool_join: the pool is NULL");
    if ((status = error_check_timeout(timeout_s)))
        return status;
    context_enter();
    if (!(status = check_end("mpm_pool_join", pool)))
        status = join_pool(pool, timeout_s);
    context_leave();
    return status;
}

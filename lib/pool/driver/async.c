/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that drives asynchronous maps, and the one that calls back: of main, or of a process that has pools.
 *
 * Both sleep in a futex when they have nothing to do. One mutex guards lanes and the queue of calls; what runs is
 * the driver's alone, oldest first. A canceled or terminated map that still waits for its turn is begun all the same,
 * whatever else runs, and ends at its first step. */
#include "pool/driver/async.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_role.h"
#include "forkserver/own_thread.h"
#include "node/context.h"
#include "pool/driver/pool_state.h"

#define RUNNING_BASE 64u /* a pool runs so many at once, and some a worker */
#define RUNNING_EACH 2u
#define TRY_AGAIN_NS 10000000u /* where no thread can be had */

struct service {
    pthread_t thread;
    bool runs;
    _Atomic bool stopping;
    struct eventcount news;
};

static struct {
    pthread_mutex_t mutex;
    struct service driver, caller;
    struct async_lane *lanes; /* those with maps in them */
    struct async_call *first_call, **last_call;
    uint64_t calls;                 /* that were ever to be made */
    _Atomic uint64_t calls_made;    /* of those; the caller's */
    struct eventcount call_is_over; /* rung after each */
    struct eventcount one_begins;   /* rung when a map has begun */
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What runs, oldest first, and the bytes of their contexts: the driver's. */
static struct async_map *running, **running_end = &running;
static uint64_t context_bytes;

/* Whether every arena has room for its context beside those of the maps that run: leases have the rest. */
static bool context_fits(const struct async_map *map)
{
    uint64_t bytes = context_bytes + map->request.context_size;
    mpm_node info;

    for (unsigned node = 0; context_bytes && node < map->pool->node_count; node++) {
        if (map->pool->node[node].workers && !mpm_node_info(node, &info) && bytes > info.arena_size / 4)
            return false;
    }
    return true;
}

static bool may_begin(const struct async_lane *lane, const struct async_map *map)
{
    return atomic_load(&map->pool->terminating) || atomic_load(&map->pool->dropping) ||
           atomic_load(&map->is_canceled) ||
           (!lane->beginning && lane->running < RUNNING_BASE + RUNNING_EACH * map->pool->worker_count &&
            context_fits(map));
}

/* Under the mutex. */
static struct async_map *take_first(struct async_lane *lane)
{
    struct async_map *map = lane->first;

    if (!map || !may_begin(lane, map))
        return NULL;
    if (atomic_load(&map->pool->dropping))
        atomic_store(&map->is_canceled, true);
    context_bytes += map->request.context_size;
    lane->first = map->next;
    if (!lane->first)
        lane->end = &lane->first;
    if (!lane->beginning)
        lane->beginning = map;
    lane->running++;
    return map;
}

static bool has_begun(const struct async_map *map)
{
    return map->number == 0;
}

/* It is in line, or has ended. */
static void note_begun(struct async_map *map)
{
    struct async_lane *lane = &map->pool->lane;

    pthread_mutex_lock(&state.mutex);
    map->number = 0;
    if (lane->beginning == map)
        lane->beginning = NULL;
    if (!map->goes_on)
        atomic_fetch_sub(&lane->unbegun, 1);
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(&state.one_begins);
}

/* The next map whose turn it is, NULL if there is none. */
static struct async_map *take(void)
{
    struct async_map *map = NULL;

    assert(thread_is(THREAD_DRIVER));
    pthread_mutex_lock(&state.mutex);
    for (struct async_lane **at = &state.lanes, *lane; !map && (lane = *at);) {
        map = take_first(lane);
        if (lane->first) {
            at = &lane->next;
        } else {
            *at = lane->next;
            lane->is_listed = false;
        }
    }
    pthread_mutex_unlock(&state.mutex);
    return map;
}

static void end_map(struct async_map *map, struct map_outcome *outcome)
{
    struct mpm_pool *pool = map->pool;

    if (!has_begun(map))
        note_begun(map);
    pthread_mutex_lock(&state.mutex);
    pool->lane.running--;
    pthread_mutex_unlock(&state.mutex);
    context_bytes -= map->request.context_size;
    map->ended(map, outcome);
    pool_leave(pool);
}

/* true if the map has ended. */
static bool step(struct async_map *map, bool *worked)
{
    struct map_outcome outcome;

    if (atomic_load(&map->is_canceled))
        map_cancel(map->map);
    else if (atomic_load(&map->pool->dropping))
        map_drop(map->map);
    if (!map_step(map->map, worked)) {
        if (!has_begun(map) && map_is_in_line(map->map)) {
            note_begun(map);
            *worked = true;
        }
        return false;
    }
    *worked = true;
    map_end(map->map, &outcome);
    end_map(map, &outcome);
    return true;
}

static void begin_map(struct async_map *map)
{
    struct map_outcome outcome = {.status = map_begin(map->pool, &map->request, &map->map)};
    bool worked;

    if (outcome.status) {
        outcome.sentence = strdup(mpm_error());
        end_map(map, &outcome);
    } else if (!step(map, &worked)) {
        map->next = NULL;
        *running_end = map;
        running_end = &map->next;
    }
}

static bool step_all(uint64_t *next_ns)
{
    bool worked = false;

    assert(thread_is(THREAD_DRIVER));
    *next_ns = CLOCK_FOREVER;
    running_end = &running;
    for (struct async_map *map = running, *next; map; map = next) {
        uint64_t next_step_ns;

        next = map->next;
        if (step(map, &worked))
            continue;
        *running_end = map;
        running_end = &map->next;
        next_step_ns = map_next_step_ns(map->map);
        *next_ns = next_step_ns < *next_ns ? next_step_ns : *next_ns;
    }
    *running_end = NULL;
    return worked;
}

/* Drives what there is until nothing is left. */
static void drive(void)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        struct async_map *map;
        uint64_t next_ns;

        while ((map = take()))
            begin_map(map);
        if (!running)
            return;
        if (!step_all(&next_ns))
            eventcount_wait(context_doorbell(), seen, 0, next_ns);
    }
}

static void *driver_main(void *unused)
{
    (void)unused;
    thread_become(THREAD_DRIVER);
    while (!atomic_load(&state.driver.stopping)) {
        uint32_t seen = eventcount_prepare(&state.driver.news);

        context_enter();
        drive();
        context_leave();
        if (!atomic_load(&state.driver.stopping))
            eventcount_wait(&state.driver.news, seen, 0, CLOCK_FOREVER);
    }
    return NULL;
}

static struct async_call *take_call(void)
{
    struct async_call *call;

    pthread_mutex_lock(&state.mutex);
    if ((call = state.first_call) && !(state.first_call = call->next))
        state.last_call = &state.first_call;
    pthread_mutex_unlock(&state.mutex);
    return call;
}

static void call_is_over(struct async_call *call)
{
    call->over(call);
    atomic_fetch_add(&state.calls_made, 1);
    eventcount_notify(&state.call_is_over);
}

/* What is left when it is told to stop is called all the same. `calling` is what it is in. */
static void make_calls(struct async_call **calling)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(&state.caller.news);
        bool stopping = atomic_load(&state.caller.stopping);
        struct async_call *call;

        while ((call = *calling = take_call())) {
            call->call(call);
            *calling = NULL;
            call_is_over(call);
        }
        if (stopping)
            return;
        eventcount_wait(&state.caller.news, seen, 0, CLOCK_FOREVER);
    }
}

static int start_service(struct service *service, void *(*body)(void *unused));
static void *caller_main(void *unused);

/* In a thread that ends in a callback: it is not the one to be joined any more, unless that was begun. false if no
 * other one can be had now. */
static bool replace_caller(void)
{
    bool is_done = true;

    pthread_mutex_lock(&state.mutex);
    if (!atomic_load(&state.caller.stopping)) {
        state.caller.runs = false;
        if ((is_done = !start_service(&state.caller, caller_main)))
            pthread_detach(pthread_self());
        state.caller.runs = true;
    }
    pthread_mutex_unlock(&state.mutex);
    return is_done;
}

/* Nobody is called back until there is another thread: so this one tries again until it has one. */
static void leave_caller(void *calling)
{
    struct async_call *call = *(struct async_call **)calling;

    if (!call)
        return;
    call_is_over(call);
    while (!replace_caller())
        eventcount_wait(&state.call_is_over, eventcount_prepare(&state.call_is_over), 0,
                        clock_now_ns() + TRY_AGAIN_NS);
}

static void *caller_main(void *unused)
{
    struct async_call *calling = NULL;

    (void)unused;
    context_thread_calls("a callback");
    pthread_cleanup_push(leave_caller, &calling);
    make_calls(&calling);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Under the mutex. */
static int start_service(struct service *service, void *(*body)(void *unused))
{
    int status;

    if (service->runs)
        return MPM_OK;
    atomic_store(&service->stopping, false);
    status = own_thread_start(&service->thread, body, NULL);
    service->runs = !status;
    return status;
}

static void put_into_lane(struct async_map *map)
{
    struct async_lane *lane = &map->pool->lane;

    map->next = NULL;
    map->number = ++lane->last_number;
    if (!map->goes_on)
        atomic_fetch_add(&lane->unbegun, 1);
    if (!lane->is_listed) {
        lane->first = NULL;
        lane->end = &lane->first;
        lane->is_listed = true;
        lane->next = state.lanes;
        state.lanes = lane;
    }
    *lane->end = map;
    lane->end = &map->next;
}

int async_submit(struct async_map *map)
{
    int status;

    pthread_mutex_lock(&state.mutex);
    if (!(status = start_service(&state.driver, driver_main)) &&
        !(status = start_service(&state.caller, caller_main))) {
        pool_hold(map->pool);
        pool_stand_in_line(map->pool, &map->request, !map->goes_on);
        put_into_lane(map);
    }
    pthread_mutex_unlock(&state.mutex);
    if (!status) {
        eventcount_notify(&state.driver.news);
        eventcount_notify(context_doorbell());
    }
    return status;
}

/* Under the mutex: whether one that is older than `number` is still to begin. Those that are canceled stand in
 * front. */
static bool one_is_to_begin(const struct async_lane *lane, uint64_t number)
{
    const struct async_map *map = lane->is_listed ? lane->first : NULL;

    if (lane->beginning && !lane->beginning->goes_on && lane->beginning->number <= number)
        return true;
    while (map && map->number <= number && (map->goes_on || atomic_load(&map->is_canceled)))
        map = map->next;
    return map && map->number <= number;
}

void async_wait_for_turn(struct mpm_pool *pool)
{
    struct async_lane *lane = &pool->lane;
    uint64_t number = 0;
    bool waits = true;

    while (waits && atomic_load(&lane->unbegun)) {
        uint32_t seen = eventcount_prepare(&state.one_begins);

        pthread_mutex_lock(&state.mutex);
        number = number ? number : lane->last_number;
        waits = one_is_to_begin(lane, number);
        pthread_mutex_unlock(&state.mutex);
        if (waits)
            eventcount_wait(&state.one_begins, seen, 0, CLOCK_FOREVER);
    }
}

/* One that waits goes to the front of its lane, where its cancelation lets it pass. */
void async_cancel(struct async_map *map)
{
    struct async_lane *lane = &map->pool->lane;

    pthread_mutex_lock(&state.mutex);
    atomic_store(&map->is_canceled, true);
    for (struct async_map **at = &lane->first; lane->is_listed && *at; at = &(*at)->next) {
        if (*at != map)
            continue;
        *at = map->next;
        if (lane->end == &map->next)
            lane->end = at;
        map->next = lane->first;
        lane->first = map;
        if (!map->next)
            lane->end = &map->next;
        break;
    }
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(context_doorbell());
}

void async_call_back(struct async_call *call)
{
    call->next = NULL;
    pthread_mutex_lock(&state.mutex);
    if (!state.first_call)
        state.last_call = &state.first_call;
    *state.last_call = call;
    state.last_call = &call->next;
    state.calls++;
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(&state.caller.news);
}

bool async_wait_for_calls(uint64_t deadline_ns)
{
    uint64_t calls;
    bool is_caller;

    pthread_mutex_lock(&state.mutex);
    calls = state.calls;
    is_caller = state.caller.runs && pthread_equal(state.caller.thread, pthread_self());
    pthread_mutex_unlock(&state.mutex);
    while (!is_caller) {
        uint32_t seen = eventcount_prepare(&state.call_is_over);

        if (atomic_load(&state.calls_made) >= calls)
            return true;
        if (clock_now_ns() >= deadline_ns)
            return false;
        eventcount_wait(&state.call_is_over, seen, 0, deadline_ns);
    }
    return true;
}

static void stop_service(struct service *service)
{
    pthread_t thread;
    bool runs;

    pthread_mutex_lock(&state.mutex);
    atomic_store(&service->stopping, true);
    thread = service->thread;
    runs = service->runs;
    service->runs = false;
    pthread_mutex_unlock(&state.mutex);
    if (!runs)
        return;
    eventcount_notify(&service->news);
    pthread_join(thread, NULL);
}

void async_end(void)
{
    stop_service(&state.driver);
    stop_service(&state.caller);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for the first of several results. Results are memory of one process, so a handle of one is good in that
 * process only: it tells the process and a place in a table of it, which says whether the handle is stale.
 *
 * Whoever makes a result ready looks, after that, at two counters: of threads that wait for any of several results,
 * which sleep on one word of the process, and of those in mpm_wait_any that wait for a result, which sleep on the
 * node's doorbell. Who waits counts itself before its last look. Where nobody waits like that, a result costs two
 * loads. */
#include "pool/driver/result_wait.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "mpmap/result.h"

#include "base/error.h"
#include "net/topology.h"
#include "node/context.h"
#include "object/call.h"
#include "object/method.h"
#include "object/object.h"
#include "shm/interrupt.h"
#include "shm/eventcount.h"

#define FIRST_PLACES 64u

/* A handle's `place` is the number of one of these, from 1, and its generation above that. */
struct place {
    const _Atomic bool *is_ready; /* NULL: it is free */
    uint32_t generation;
};

static struct {
    pthread_mutex_t mutex; /* for the places */
    struct place *places;
    uint32_t count;
    _Atomic unsigned waiting;             /* threads in mpm_result_wait_any(), */
    struct eventcount word;               /* which sleep on this */
    _Atomic unsigned waiting_on_doorbell; /* handles that threads in mpm_wait_any() wait for */
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void result_wait_is_ready(void)
{
    if (atomic_load(&state.waiting))
        eventcount_notify(&state.word);
    if (atomic_load(&state.waiting_on_doorbell))
        eventcount_notify(context_doorbell());
}

/* Places, under the mutex. */

static bool add_places(void)
{
    uint32_t count = state.count ? 2 * state.count : FIRST_PLACES;
    struct place *places = realloc(state.places, count * sizeof *places);

    if (!places)
        return false;
    for (uint32_t i = state.count; i < count; i++)
        places[i] = (struct place){.generation = 1};
    state.places = places;
    state.count = count;
    return true;
}

/* 0 without memory. */
static uint64_t take_place(const _Atomic bool *is_ready)
{
    uint32_t number = 0;

    while (number < state.count && state.places[number].is_ready)
        number++;
    if (number == state.count && !add_places())
        return 0;
    state.places[number].is_ready = is_ready;
    return (uint64_t)state.places[number].generation << 32 | (number + 1);
}

static struct place *find_place(uint64_t place)
{
    uint32_t number = (uint32_t)place;

    if (!number || number > state.count || state.places[number - 1].generation != place >> 32)
        return NULL;
    return &state.places[number - 1];
}

int result_wait_handle(const _Atomic bool *is_ready, uint64_t *place, mpm_handle *handle)
{
    uint64_t taken;

    pthread_mutex_lock(&state.mutex);
    taken = *place ? *place : take_place(is_ready);
    *place = taken;
    pthread_mutex_unlock(&state.mutex);
    if (!taken)
        return error_set(MPM_ENOMEM, "mpm_result_handle: no memory for a handle");
    *handle = (mpm_handle){.kind = OBJECT_RESULT,
                           .home = (uint16_t)context_topology()->node,
                           .generation = (uint32_t)getpid(),
                           .place = taken};
    return MPM_OK;
}

void result_wait_forget(uint64_t *place)
{
    struct place *own;

    pthread_mutex_lock(&state.mutex);
    if ((own = find_place(*place))) {
        own->is_ready = NULL;
        own->generation++;
    }
    *place = 0;
    pthread_mutex_unlock(&state.mutex);
    if (own)
        result_wait_is_ready();
}

/* For mpm_wait_any. */

static int check_own(const mpm_handle *handle)
{
    if (handle->home == context_topology()->node && handle->generation == (uint32_t)getpid())
        return MPM_OK;
    return error_set(MPM_EINVAL,
                     "this is the handle of a result of another process: only the process that has a result "
                     "can wait for it");
}

static int look(const mpm_handle *handle)
{
    struct place *place;
    bool is_ready;

    pthread_mutex_lock(&state.mutex);
    place = find_place(handle->place);
    is_ready = place && place->is_ready && atomic_load(place->is_ready);
    pthread_mutex_unlock(&state.mutex);
    if (!place)
        return object_stale(handle);
    return is_ready ? MPM_OK : CALL_MUST_WAIT;
}

static void note_waiting(int change)
{
    atomic_fetch_add(&state.waiting_on_doorbell, (unsigned)change);
}

void result_wait_begin(void)
{
    static const struct kind kind = {
        .kind = OBJECT_RESULT, .looks = look, .admits = check_own, .waits = note_waiting};
    static const struct kind *const kinds[] = {&kind};

    kind_register(kinds, 1);
}

/* The first of several. */

static bool find_ready(mpm_result *const *results, size_t count, size_t *ready)
{
    for (size_t i = 0; i < count; i++) {
        bool is_ready;

        if (results[i] && !mpm_result_is_ready(results[i], &is_ready) && is_ready) {
            *ready = i;
            return true;
        }
    }
    return false;
}

static int check(mpm_result *const *results, size_t count, double timeout_s, const size_t *ready)
{
    size_t wanted = 0;
    int status;

    if ((status = context_check_somebody("mpm_result_wait_any")))
        return status;
    if (!results || !ready)
        return error_set(MPM_EINVAL, "mpm_result_wait_any: the pointer for the %s is NULL",
                         results ? "index" : "results");
    if (count > SIZE_MAX / sizeof *results)
        return error_set(MPM_EINVAL, "mpm_result_wait_any: %zu results are more than any memory can hold",
                         count);
    if ((status = error_check_timeout(timeout_s)))
        return status;
    for (size_t i = 0; i < count; i++)
        wanted += results[i] != NULL;
    return wanted ? MPM_OK
                  : error_set(MPM_EINVAL,
                              "mpm_result_wait_any: there is nothing to wait for: all %zu results are NULL",
                              count);
}

static int wait_for_first(mpm_result *const *results, size_t count, double timeout_s, size_t *ready)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);

    for (bool in_time = timeout_s > 0;;) {
        uint32_t seen = eventcount_prepare(&state.word);

        if (find_ready(results, count, ready))
            return MPM_OK;
        if (!in_time)
            return error_set(MPM_ETIMEDOUT, "none of %zu results is ready after %g s", count,
                             timeout_s > 0 ? timeout_s : 0.0);
        in_time = wait_change_or_interrupt(&state.word, seen, 0, deadline_ns);
        if (interrupt_is_pending())
            return interrupt_take("first of several results");
    }
}

int mpm_result_wait_any(mpm_result *const *results, size_t count, double timeout_s, size_t *ready)
{
    int status = check(results, count, timeout_s, ready);

    if (status || find_ready(results, count, ready))
        return status;
    atomic_fetch_add(&state.waiting, 1);
    status = wait_for_first(results, count, timeout_s, ready);
    atomic_fetch_sub(&state.waiting, 1);
    return status;
}

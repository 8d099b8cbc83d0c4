/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous results: what a user holds of an asynchronous map. A result belongs to the user until it is destroyed
 * and to the driver until it is ready and called back, and is freed by the last of them. Whoever cancels does so
 * under the result's mutex, under which it also becomes ready: until then its pool is there. */
#include "mpmap/result.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "pool/driver/async.h"
#include "pool/driver/map_run.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/result_wait.h"
#include "shm/interrupt.h"

struct mpm_result {
    struct async_map map;
    struct async_call call;
    mpm_callbacks callbacks;
    pthread_mutex_t mutex;
    struct eventcount word; /* rung when it is ready */
    _Atomic bool is_ready;
    _Atomic unsigned owners;
    _Atomic bool is_users; /* who has asked for it, and has not destroyed it */
    struct map_outcome outcome;
    void *copy; /* of the context, or of the item */
    void *own_results;
    uint64_t place; /* of its handle, or 0: see result_wait.h */
};

static struct mpm_result *result_of(struct async_map *map)
{
    return (struct mpm_result *)((char *)map - offsetof(struct mpm_result, map));
}

static void release(struct mpm_result *result)
{
    if (atomic_fetch_sub(&result->owners, 1) > 1)
        return;
    if (result->place)
        result_wait_forget(&result->place);
    pthread_mutex_destroy(&result->mutex);
    free(result->outcome.sentence);
    free(result->outcome.failures);
    free(result->copy);
    free(result->own_results);
    free(result);
}

static void call_back(struct async_call *call)
{
    struct mpm_result *result = (struct mpm_result *)((char *)call - offsetof(struct mpm_result, call));
    void (*function)(mpm_result *, void *) = result->outcome.status ? result->callbacks.error
                                                                    : result->callbacks.done;

    function(result, result->callbacks.argument);
    context_back_from_program(EXIT_SUCCESS);
}

static void call_is_over(struct async_call *call)
{
    release((struct mpm_result *)((char *)call - offsetof(struct mpm_result, call)));
}

static void on_end(struct async_map *map, struct map_outcome *outcome)
{
    struct mpm_result *result = result_of(map);

    pthread_mutex_lock(&result->mutex);
    result->outcome = *outcome;
    atomic_store(&result->is_ready, true);
    pthread_mutex_unlock(&result->mutex);
    eventcount_notify(&result->word);
    result_wait_is_ready();
    result->call = (struct async_call){.call = call_back, .over = call_is_over};
    if (outcome->status ? result->callbacks.error : result->callbacks.done)
        async_call_back(&result->call);
    else
        release(result);
}

/* NULL without memory: also where so many bytes cannot be rounded up. */
static void *make_room(size_t size)
{
    return size > SIZE_MAX - 63 ? NULL : aligned_alloc(64, (size + 63) / 64 * 64);
}

static bool copy_bytes(const void *bytes, size_t size, void **copy)
{
    if (!size)
        return true;
    if (!(*copy = malloc(size)))
        return false;
    memcpy(*copy, bytes, size);
    return true;
}

/* Makes a result for a request that was checked, and has it run. Its item, or its context, is copied. */
static int submit(struct mpm_pool *pool, const struct map_request *request, const mpm_callbacks *callbacks,
                  mpm_result **submitted)
{
    struct mpm_result *result = calloc(1, sizeof *result);
    size_t room = request->results ? 0 : request->count * request->result_size;
    const void *bytes = request->is_apply ? request->items : request->context;
    size_t size = request->is_apply ? request->item_size : request->context_size;
    int status;

    if (!result || !copy_bytes(bytes, size, &result->copy) ||
        (room && !(result->own_results = make_room(room)))) {
        free(result ? result->copy : NULL);
        free(result);
        return error_set(MPM_ENOMEM, "no memory for a result of %zu bytes", room);
    }
    pthread_mutex_init(&result->mutex, NULL);
    atomic_store(&result->owners, submitted ? 2 : 1);
    atomic_store(&result->is_users, submitted);
    result->callbacks = callbacks ? *callbacks : (mpm_callbacks){0};
    result->map = (struct async_map){.pool = pool, .request = *request, .ended = on_end};
    if (request->is_apply)
        result->map.request.items = result->copy;
    else
        result->map.request.context = result->copy;
    if (room)
        result->map.request.results = result->own_results;
    if ((status = async_submit(&result->map))) {
        atomic_store(&result->owners, 1);
        release(result);
    } else if (submitted) {
        *submitted = result;
    }
    return status;
}

int mpm_pool_map_async(mpm_pool *pool, mpm_task *task, const void *items, size_t count, size_t item_size,
                       size_t result_size, const mpm_map_options *options, const mpm_callbacks *callbacks,
                       void *results, mpm_result **result)
{
    const struct map_items of = {items, count, item_size, results, result_size};
    struct map_request request = map_request_of(task, &of, options);
    struct function name;
    char any;
    int status;

    if (!results && result_size && count <= SIZE_MAX / result_size)
        request.results = &any; /* the result has room of its own */
    if ((status = map_enter("mpm_pool_map_async", pool, &request)))
        return status;
    request.results = results;
    if (options && (options->progress || options->failures || options->failure_count))
        status = error_set(MPM_EINVAL,
                           "mpm_pool_map_async: progress and failures must be NULL: ask the result with "
                           "mpm_result_failures instead");
    else if (!(status = function_name(request.task, &name)))
        status = submit(pool, &request, callbacks, result);
    pool_leave_call(pool);
    return status;
}

int mpm_pool_apply_async(mpm_pool *pool, mpm_task *task, const void *item, size_t item_size,
                         size_t result_size, const mpm_callbacks *callbacks, mpm_result **result)
{
    char any;
    const struct map_items of = {item, 1, item_size, &any, result_size};
    struct map_request request = map_request_of(task, &of, NULL);
    struct function name;
    int status;

    request.is_apply = true;
    if ((status = map_enter("mpm_pool_apply_async", pool, &request)))
        return status;
    request.results = NULL;
    if (!(status = function_name(request.task, &name))) {
        request.node = node_calls_choose(pool);
        if ((status = submit(pool, &request, callbacks, result)))
            node_calls_remove(pool, request.node);
    }
    pool_leave_call(pool);
    return status;
}

/* What a user asks. */

static int check_result(const char *call, const mpm_result *result)
{
    return result ? context_check_somebody(call) : error_set(MPM_EINVAL, "%s: the result is NULL", call);
}

int mpm_result_is_ready(const mpm_result *result, bool *is_ready)
{
    if (!result || !is_ready)
        return error_set(MPM_EINVAL,
                         "mpm_result_is_ready: the result, or the pointer for the answer, is NULL");
    *is_ready = atomic_load(&result->is_ready);
    return MPM_OK;
}

typedef bool wait_how(struct eventcount *word, uint32_t seen, uint64_t spin_ns, uint64_t deadline_ns);

/* Who cancels a result waits by eventcount_wait, which cannot be interrupted. */
static int wait_by(wait_how *wait, mpm_result *result, double timeout_s)
{
    uint64_t deadline_ns;
    int status;

    if ((status = check_result("mpm_result_wait", result)) || (status = error_check_timeout(timeout_s)))
        return status;
    if (atomic_load(&result->is_ready))
        return MPM_OK;
    deadline_ns = call_deadline_ns(timeout_s);
    for (bool in_time = timeout_s > 0;;) {
        uint32_t seen = eventcount_prepare(&result->word);

        if (atomic_load(&result->is_ready))
            return MPM_OK;
        if (!in_time)
            return error_set(MPM_ETIMEDOUT, "the result is not ready after %g s",
                             timeout_s < 0 ? 0 : timeout_s);
        in_time = wait(&result->word, seen, 0, deadline_ns);
        if (wait == wait_change_or_interrupt && interrupt_is_pending())
            return interrupt_take("result of a map or a call");
    }
}

int mpm_result_wait(mpm_result *result, double timeout_s)
{
    return wait_by(wait_change_or_interrupt, result, timeout_s);
}

static int not_ready(void)
{
    return error_set(MPM_EBUSY, "the result is not ready yet");
}

int mpm_result_get(mpm_result *result, double timeout_s, const void **results)
{
    const struct map_outcome *outcome;
    int status;

    if ((status = check_result("mpm_result_get", result)) || (status = mpm_result_wait(result, timeout_s)))
        return status;
    outcome = &result->outcome;
    if (results && (!outcome->status || outcome->status == MPM_ETASK || outcome->status == MPM_EDRAINED))
        *results = result->map.request.result_size ? result->map.request.results : NULL;
    if (outcome->status)
        return error_set(outcome->status, "%s",
                         outcome->sentence ? outcome->sentence : mpm_status_name(outcome->status));
    return MPM_OK;
}

int mpm_result_is_successful(const mpm_result *result, bool *is_successful)
{
    if (!result || !is_successful)
        return error_set(MPM_EINVAL,
                         "mpm_result_is_successful: the result, or the pointer for the answer, is NULL");
    if (!atomic_load(&result->is_ready))
        return not_ready();
    *is_successful = result->outcome.status == MPM_OK;
    return MPM_OK;
}

int mpm_result_failures(const mpm_result *result, const mpm_failure **failures, size_t *count)
{
    if (!result || !failures || !count)
        return error_set(MPM_EINVAL,
                         "mpm_result_failures: the result, or the pointer for its failures, is NULL");
    if (!atomic_load(&result->is_ready))
        return not_ready();
    *failures = result->outcome.failures;
    *count = result->outcome.failure_count;
    return MPM_OK;
}

int mpm_result_handle(mpm_result *result, mpm_handle *handle)
{
    int status;

    if ((status = check_result("mpm_result_handle", result)))
        return status;
    if (!handle)
        return error_set(MPM_EINVAL, "mpm_result_handle: the pointer for the handle is NULL");
    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_result_handle");
    return result_wait_handle(&result->is_ready, &result->place, handle);
}

int mpm_result_cancel(mpm_result *result)
{
    bool is_ready;
    int status;

    if ((status = check_result("mpm_result_cancel", result)))
        return status;
    pthread_mutex_lock(&result->mutex);
    if (!(is_ready = atomic_load(&result->is_ready)))
        async_cancel(&result->map);
    pthread_mutex_unlock(&result->mutex);
    if (is_ready)
        return error_set(MPM_ESTATE, "mpm_result_cancel: the result is already ready");
    return wait_by(eventcount_wait, result, MPM_FOREVER);
}

void mpm_result_destroy(mpm_result *result)
{
    if (!result || context_is_nobody || !atomic_exchange(&result->is_users, false))
        return;
    if (!atomic_load(&result->is_ready))
        (void)mpm_result_cancel(result);
    if (result->place)
        result_wait_forget(&result->place);
    release(result);
}

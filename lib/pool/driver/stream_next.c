/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving results: see stream_inside.h. */
#include <math.h>
#include <string.h>

#include "base/asymmetric_fence.h"
#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "pool/driver/stream_inside.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"

#define HELD_BACK_NS 1000000u /* what is less than a chunk, since the last item came */
#define MOST_FAVOURED \
    ((size_t)4096) /* bytes of a result that is copied without the mutex: others wait for that */

/* Most results are numbers. */
static inline void copy_result(void *to, const char *from, size_t size)
{
    if (__builtin_expect(size == sizeof(uint64_t), 1))
        memcpy(to, from, sizeof(uint64_t));
    else if (size)
        memcpy(to, from, size);
}

/* The next result of the stretch that the cursor is in. How many were given with it. */
static inline uint64_t give_good(struct mpm_stream *stream, void *result, uint64_t *index)
{
    struct cursor *cursor = &stream->cursor;
    size_t left = cursor->left;

    if (index)
        *index = cursor->end_index - left;
    copy_result(result, cursor->end - left * stream->result_size, stream->result_size);
    DELAY_POINT();
    cursor->left = --left;
    return cursor->end_given - left;
}

/* What most calls are: by the favoured thread, within a stretch. */
static inline bool give_to_favoured(struct mpm_stream *stream, void *result, uint64_t *index)
{
    struct bias *bias = biased_lock_enter(&stream->takers);
    uint64_t given;

    if (!bias)
        return false;
    if (__builtin_expect(!stream->cursor.left, 0)) {
        biased_lock_leave(bias);
        return false;
    }
    given = give_good(stream, result, index);
    /* Pairs with the puller's loads. */
    atomic_store_explicit(&stream->given, given, memory_order_release);
    atomic_signal_fence(
        memory_order_seq_cst); /* a light fence; pairs with the heavy one of wait_for_room() */
    if (__builtin_expect(given == atomic_load_explicit(&stream->room_at, memory_order_relaxed), 0))
        eventcount_notify(&stream->room);
    biased_lock_leave(bias);
    return true;
}

/* All that follow: under the mutex, inside `takers`, if nothing else is said. */

/* The batch that the next result is in; NULL if it is not ready. */
static struct batch *ready_batch(const struct mpm_stream *stream)
{
    struct batch *batch = stream->first;

    while (batch && !batch->is_ready && stream->order == MPM_UNORDERED)
        batch = batch->next;
    return batch && batch->is_ready && (!batch->outcome.status || batch->outcome.status == MPM_ETASK) ? batch
                                                                                                      : NULL;
}

/* The failure that is next in the batch; NULL if there is none. */
static const mpm_failure *next_failure(const struct batch *batch)
{
    return batch->next_failure < batch->outcome.failure_count ? &batch->outcome.failures[batch->next_failure]
                                                              : NULL;
}

/* The cursor goes to the results from `given` on, up to the next one that is missing. */
static void find_stretch(struct mpm_stream *stream, struct batch *batch)
{
    const mpm_failure *failure = next_failure(batch);
    size_t end = failure ? failure->index : batch->count;

    stream->cursor = (struct cursor){.batch = batch,
                                     .left = end - batch->given,
                                     .end = batch->map.request.results + end * stream->result_size,
                                     .end_index = batch->map.request.first_index + end,
                                     .end_given = stream->given + (end - batch->given)};
    batch->given = end;
}

/* Whether the cursor is at a result, or a failure, now. */
static bool find_next(struct mpm_stream *stream)
{
    struct batch *batch = stream->cursor.batch;

    if (batch && (stream->cursor.left || batch->given < batch->count))
        return true;
    if (batch)
        stream_drop_batch(stream, batch);
    stream->cursor = (struct cursor){0};
    if (stream->end_was_told || !(batch = ready_batch(stream)))
        return false;
    find_stretch(stream, batch);
    return true;
}

static int give_failure(struct mpm_stream *stream, uint64_t *index)
{
    struct batch *batch = stream->cursor.batch;
    const mpm_failure *failure = next_failure(batch);
    uint64_t item = batch->map.request.first_index + failure->index;
    int status = error_set(MPM_ETASK, "item %llu failed: %s", (unsigned long long)item, failure->text);

    if (index)
        *index = item;
    batch->given++;
    batch->next_failure++;
    stream->given++;
    find_stretch(stream, batch);
    return status;
}

static int give(struct mpm_stream *stream, void *result, uint64_t *index)
{
    int status = MPM_OK;

    if (stream->cursor.left)
        atomic_store(&stream->given, give_good(stream, result, index));
    else
        status = give_failure(stream, index);
    if (atomic_load(&stream->given) == atomic_load(&stream->room_at))
        eventcount_notify(&stream->room);
    return status;
}

/* Whether the stream has nothing more to give; and how it has ended. */
static bool is_over(const struct mpm_stream *stream, int *status)
{
    if (stream->ended)
        *status = error_set(stream->ended, "%s",
                            stream->sentence ? stream->sentence : mpm_status_name(stream->ended));
    else if (!stream->has_all || stream->first)
        return false;
    else if (stream->generator_left)
        *status = error_set(MPM_EGENERATOR, "the generator has ended its thread after %llu items",
                            (unsigned long long)stream->pulled);
    else if (stream->generator_status)
        *status = error_set(MPM_EGENERATOR, "the generator failed with %d after %llu items",
                            stream->generator_status, (unsigned long long)stream->pulled);
    else
        *status = error_set(MPM_ECLOSED, "the stream has given all %llu results",
                            (unsigned long long)stream->given);
    return true;
}

/* What the puller adds meanwhile is told to whoever waits. */
static void submit_what_there_is(struct mpm_stream *stream)
{
    stream_submit(stream, true);
    asymmetric_fence_heavy(); /* pairs with the light one of the puller */
    if (!stream->ended && atomic_load(&stream->pulled) > stream->submitted)
        eventcount_notify(&stream->news);
}

/* Until a deadline, or the caller is interrupted, without the mutex meanwhile; false if the time came first. */
static bool wait_without_mutex(struct mpm_stream *stream, uint32_t seen, uint64_t deadline_ns)
{
    bool in_time;

    pthread_mutex_unlock(&stream->mutex);
    in_time = wait_change_or_interrupt(&stream->news, seen, 0, deadline_ns);
    pthread_mutex_lock(&stream->mutex);
    return in_time;
}

/* And submits what the generator has left and does not add to. */
static bool wait_for_news(struct mpm_stream *stream, uint32_t seen, uint64_t deadline_ns)
{
    uint64_t pulled, look_ns = clock_now_ns() + HELD_BACK_NS;

    asymmetric_fence_heavy(); /* pairs with the light one of the puller */
    pulled = atomic_load(&stream->pulled);
    if (pulled == stream->submitted || look_ns >= deadline_ns)
        return wait_without_mutex(stream, seen, deadline_ns);
    if (!wait_without_mutex(stream, seen, look_ns) && atomic_load(&stream->pulled) == pulled)
        submit_what_there_is(stream);
    return true;
}

/* Waits for the next result, and gives it. */
static int next(struct mpm_stream *stream, void *result, uint64_t *index, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    bool in_time = timeout_s > 0;
    int status;

    biased_lock_waited(&stream->takers);
    for (;;) {
        uint32_t seen = eventcount_prepare(&stream->news); /* the puller rings without the mutex */

        biased_lock_exclude(&stream->takers);
        if (find_next(stream))
            return give(stream, result, index);
        if ((stream->end_was_told = is_over(stream, &status)))
            return status;
        if (!stream->in_work)
            submit_what_there_is(stream);
        if (!in_time)
            return error_set(MPM_ETIMEDOUT, "the next result is not ready after %g s",
                             timeout_s > 0 ? timeout_s : 0.0);
        in_time = wait_for_news(stream, seen, deadline_ns);
        if (interrupt_is_pending())
            return interrupt_take("next result of a stream");
    }
}

/* By the mutex. */
static int take_next(struct mpm_stream *stream, void *result, uint64_t *index, double timeout_s)
{
    bool is_to_be_favoured;
    int status;

    pthread_mutex_lock(&stream->mutex);
    biased_lock_exclude(&stream->takers);
    is_to_be_favoured = stream->result_size <= MOST_FAVOURED && biased_lock_taken(&stream->takers);
    status = find_next(stream) ? give(stream, result, index) : next(stream, result, index, timeout_s);
    pthread_mutex_unlock(&stream->mutex);
    if (is_to_be_favoured)
        asymmetric_fence_prepare();
    return status;
}

/* Takes what cannot be given at once, and nonsense. */
static __attribute__((noinline)) int next_slowly(mpm_stream *stream, double timeout_s, void *result,
                                                 uint64_t *index)
{
    int status;

    if (!stream || (!result && stream->result_size))
        return error_set(MPM_EINVAL, "mpm_stream_next: the %s is NULL",
                         stream ? "pointer for the result" : "stream");
    if ((status = context_check_somebody("mpm_stream_next")) || (status = error_check_timeout(timeout_s)))
        return status;
    return take_next(stream, result, index, timeout_s);
}

int mpm_stream_next(mpm_stream *stream, double timeout_s, void *result, uint64_t *index)
{
    if (__builtin_expect(
            stream && (result || !stream->result_size) && !context_is_nobody && !isnan(timeout_s), 1) &&
        give_to_favoured(stream, result, index))
        return MPM_OK;
    return next_slowly(stream, timeout_s, result, index);
}

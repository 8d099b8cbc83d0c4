/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams: a thread pulls items from the generator and gathers them into batches; each batch is an asynchronous map on
 * one node. A batch is in `filling`, then in the list of those that are submitted, in the order of their items, until
 * its last result was given. All of a stream is under its mutex, but for the generator's calls, and for what the puller
 * adds an item to, which is under `filling_mutex`: so whoever pulls and whoever takes results are in each other's way
 * once a batch, not once an item. Whoever changes something that others may wait for rings `news`.
 *
 * Room. The puller waits until as many results were given as it has written into `room_at`, and looks once more before
 * it sleeps; whoever gives that one result rings `room`. Both write first and look then, sequentially consistent, so
 * one of them sees the other.
 *
 * A generator may block for long: so whoever waits for a result submits what there is, if nothing is being worked on or
 * if nothing was added to it for a while.
 * A stream that is `ended` submits nothing any more: so a pool that cuts it off is never touched by it again.
 *
 * The order of locks: the list of all streams, a stream, its `filling_mutex`; a stream, the asynchronous maps'. */
#include "pool/driver/stream.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/stream.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "pool/driver/async.h"
#include "pool/driver/map_run.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/pool_state.h"
#include "shm/interrupt.h"

#define BUFFER_EACH  64u /* items a worker */
#define MAX_BUFFER   ((size_t)1 << 32)
#define HELD_BACK_NS 1000000u /* a batch that is not full, since the last item came */
#define BATCH_NS     500000u /* from the end of a batch to that of the next: others are made larger, or smaller */

struct batch {
    struct async_map map;
    struct batch *next;
    struct mpm_stream *stream;
    size_t count, room, given;
    size_t next_failure;
    bool is_ready;
    struct map_outcome outcome;
    char *items, *results;
};

/* What a stream over an array has left. */
struct array_items {
    const char *next;
    size_t left, size;
};

/* Where items come from. */
struct source {
    mpm_generator *generator;
    void *argument;
    struct array_items array; /* of next_of_array() */
};

#define APART 128 /* bytes: processors fetch lines in pairs */

struct mpm_stream {
    struct mpm_stream *next; /* of all streams */
    struct mpm_pool *pool;   /* not to be used once it is ended */
    struct map_request request;
    struct source source;
    void *context;
    enum mpm_order order;
    size_t buffer, max_chunk;
    _Atomic size_t chunk; /* what is right at this time */
    bool is_adaptive;
    pthread_t puller;
    /* Written seldom. */
    struct eventcount news, room; /* for who waits for a result; for the puller */
    _Atomic unsigned in_work;     /* batches that are submitted and not ready */
    bool has_all;                 /* the generator has ended, */
    int generator_status;         /* by this */
    bool generator_left;          /* by ending its thread */
    _Atomic int ended;            /* the status that it ended with before its time; 0: it goes on */
    bool end_was_told;            /* nothing is given after that */
    char *sentence;               /* of that status; NULL without memory for it */
    _Atomic uint64_t room_at;     /* the puller's: UINT64_MAX if it does not wait */
    uint64_t last_end_ns;
    char before_takers[APART];
    pthread_mutex_t mutex;
    struct batch *first, **end;
    _Atomic uint64_t given; /* written under the mutex */
    char before_puller[APART];
    pthread_mutex_t filling_mutex;
    struct batch *_Atomic filling; /* written under that mutex, as is the next */
    _Atomic uint64_t pulled;
    uint64_t seen_given; /* the puller's */
};

static struct {
    pthread_mutex_t mutex;
    struct mpm_stream *first;
} streams = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void free_batch(struct batch *batch)
{
    free(batch->outcome.sentence);
    free(batch->outcome.failures);
    free(batch->items);
    free(batch->results);
    free(batch);
}

/* All that follow: under the stream's mutex, if nothing else is said. */

/* It ends with the calling thread's last error. */
static void end_stream(struct mpm_stream *stream, int status, const char *sentence)
{
    if (stream->ended)
        return;
    stream->ended = status;
    stream->sentence = strdup(sentence);
    for (struct batch *batch = stream->first; batch; batch = batch->next) {
        if (!batch->is_ready)
            async_cancel(&batch->map);
    }
    eventcount_notify(&stream->news);
    eventcount_notify(&stream->room);
}

/* By how fast batches end, all nodes together: how long one took would count the others that it had to wait for. */
static void adapt_chunk(struct mpm_stream *stream, const struct batch *batch)
{
    uint64_t now_ns = clock_now_ns(), wanted = BATCH_NS * batch->count / (now_ns - stream->last_end_ns + 1);

    stream->last_end_ns = now_ns;
    if (!stream->is_adaptive)
        return;
    if (wanted > stream->chunk && stream->chunk * 2 <= stream->max_chunk)
        stream->chunk *= 2;
    else if (wanted < stream->chunk / 4)
        stream->chunk /= 2;
}

/* In the driver's thread, without the mutex. */
static void on_batch_end(struct async_map *map, struct map_outcome *outcome)
{
    struct batch *batch = (struct batch *)((char *)map - offsetof(struct batch, map));
    struct mpm_stream *stream = batch->stream;

    pthread_mutex_lock(&stream->mutex);
    batch->outcome = *outcome;
    batch->is_ready = true;
    adapt_chunk(stream, batch);
    if (outcome->status && outcome->status != MPM_ETASK)
        end_stream(stream, outcome->status,
                   outcome->sentence ? outcome->sentence : mpm_status_name(outcome->status));
    eventcount_notify(&stream->news);
    stream->in_work--; /* who closes the stream frees it as soon as it gets the mutex */
    pthread_mutex_unlock(&stream->mutex);
}

/* What has been pulled and not submitted; NULL if there is nothing. `first`: the index of its first item. */
static struct batch *take_filling(struct mpm_stream *stream, uint64_t *first)
{
    struct batch *batch;

    pthread_mutex_lock(&stream->filling_mutex);
    if ((batch = stream->filling) && batch->count) {
        *first = stream->pulled - batch->count;
        stream->filling = NULL;
    } else {
        batch = NULL;
    }
    pthread_mutex_unlock(&stream->filling_mutex);
    return batch;
}

static void submit(struct mpm_stream *stream)
{
    struct batch *batch;
    uint64_t first;
    int status;

    if (stream->ended || !(batch = take_filling(stream, &first)))
        return;
    batch->map.pool = stream->pool;
    batch->map.ended = on_batch_end;
    batch->map.request = stream->request;
    batch->map.request.first_index = first;
    batch->map.request.count = batch->count;
    batch->map.goes_on = batch->map.request.first_index > 0;
    batch->map.request.items = batch->items;
    batch->map.request.results = batch->results;
    batch->map.request.node = node_calls_choose(stream->pool);
    *stream->end = batch;
    stream->end = &batch->next;
    if ((status = async_submit(&batch->map))) {
        node_calls_remove(stream->pool, batch->map.request.node);
        batch->is_ready = true;
        end_stream(stream, status, mpm_error());
    } else {
        stream->in_work++;
    }
}

static size_t rounded(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* The batch that items go into; NULL without memory. Under `filling_mutex`. */
static struct batch *get_filling(struct mpm_stream *stream)
{
    size_t item_size = stream->request.item_size, result_size = stream->request.result_size;
    struct batch *batch = stream->filling;

    if (batch)
        return batch;
    if (!(batch = calloc(1, sizeof *batch)))
        return NULL;
    batch->stream = stream;
    batch->room = stream->chunk;
    if ((item_size && !(batch->items = aligned_alloc(64, rounded(batch->room * item_size)))) ||
        (result_size && !(batch->results = aligned_alloc(64, rounded(batch->room * result_size))))) {
        free_batch(batch);
        return NULL;
    }
    return stream->filling = batch;
}

/* How many items the filling batch has with it, and whether that is full; 0 without memory. */
static size_t add_item(struct mpm_stream *stream, const void *item, bool *is_full)
{
    size_t size = stream->request.item_size, count = 0;
    struct batch *batch;

    pthread_mutex_lock(&stream->filling_mutex);
    if ((batch = get_filling(stream))) {
        if (size)
            memcpy(batch->items + batch->count * size, item, size);
        count = ++batch->count;
        *is_full = count == batch->room;
        atomic_store_explicit(&stream->pulled,
                              atomic_load_explicit(&stream->pulled, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
    pthread_mutex_unlock(&stream->filling_mutex);
    return count;
}

/* Whether the puller has as many items ahead as it may. It looks at what was given only when it has to. */
static bool is_far_ahead(struct mpm_stream *stream)
{
    uint64_t pulled = atomic_load_explicit(&stream->pulled, memory_order_relaxed);

    if (pulled - stream->seen_given < stream->buffer)
        return false;
    stream->seen_given = atomic_load(&stream->given);
    return pulled - stream->seen_given >= stream->buffer;
}

/* Without the mutex, as what follows of the puller. */
static void take_item(struct mpm_stream *stream, const void *item)
{
    bool is_full = false;
    size_t count = add_item(stream, item, &is_full);

    if (!count || is_full || is_far_ahead(stream)) {
        pthread_mutex_lock(&stream->mutex);
        if (!count)
            end_stream(stream, MPM_ENOMEM, "no memory for the items of a stream");
        submit(stream);
        pthread_mutex_unlock(&stream->mutex);
    } else if (count == 1) {
        eventcount_notify(&stream->news); /* who waits for a result submits what there is */
    }
}

static void take_end(struct mpm_stream *stream, int status)
{
    submit(stream);
    stream->generator_status = status;
    stream->has_all = true;
    eventcount_notify(&stream->news);
}

/* Waits for a word until a deadline, without the mutex meanwhile; false if the time came first. */
static bool wait_for(struct mpm_stream *stream, struct eventcount *word, uint64_t deadline_ns)
{
    uint32_t seen = eventcount_prepare(word);
    bool in_time;

    pthread_mutex_unlock(&stream->mutex);
    in_time = eventcount_wait(word, seen, 0, deadline_ns);
    pthread_mutex_lock(&stream->mutex);
    return in_time;
}

/* The same for news, until the caller is interrupted. */
static bool wait_for_news_or_interrupt(struct mpm_stream *stream, uint32_t seen, uint64_t deadline_ns)
{
    bool in_time;

    pthread_mutex_unlock(&stream->mutex);
    in_time = wait_change_or_interrupt(&stream->news, seen, 0, deadline_ns);
    pthread_mutex_lock(&stream->mutex);
    return in_time;
}

/* The puller's thread. */

static void end_for_memory(struct mpm_stream *stream, const char *sentence)
{
    pthread_mutex_lock(&stream->mutex);
    end_stream(stream, MPM_ENOMEM, sentence);
    pthread_mutex_unlock(&stream->mutex);
}

struct puller {
    struct mpm_stream *stream;
    void *item;
};

/* Until an eighth of the buffer is free. */
static void wait_for_room(struct mpm_stream *stream)
{
    uint64_t left = stream->buffer - (stream->buffer + 7) / 8, room_at = stream->pulled - left;

    atomic_store(&stream->room_at, room_at);
    for (;;) {
        uint32_t seen = eventcount_prepare(&stream->room);

        if (stream->ended || atomic_load(&stream->given) >= room_at)
            break;
        eventcount_wait(&stream->room, seen, 0, CLOCK_FOREVER);
    }
    atomic_store(&stream->room_at, UINT64_MAX);
}

static void pull_all(struct mpm_stream *stream, void *item)
{
    int status = 1;

    while (status > 0 && !stream->ended) {
        if (is_far_ahead(stream)) {
            wait_for_room(stream);
            continue;
        }
        status = stream->source.generator(stream->source.argument, item);
        context_back_from_program(EXIT_SUCCESS);
        if (status > 0)
            take_item(stream, item);
    }
    pthread_mutex_lock(&stream->mutex);
    if (status <= 0)
        take_end(stream, status);
    pthread_mutex_unlock(&stream->mutex);
}

/* Also where the generator ends the thread: by pthread_exit(), or because somebody cancels it. */
static void end_puller(void *argument)
{
    const struct puller *puller = argument;
    struct mpm_stream *stream = puller->stream;

    pthread_mutex_lock(&stream->mutex);
    if (!stream->ended && !stream->has_all) {
        stream->generator_left = true;
        take_end(stream, 0);
    }
    pthread_mutex_unlock(&stream->mutex);
    free(puller->item);
}

static void *puller_main(void *argument)
{
    struct mpm_stream *stream = argument;
    struct puller puller = {stream, malloc(stream->request.item_size + 1)};

    context_thread_calls("a generator");
    pthread_cleanup_push(end_puller, &puller);
    if (puller.item)
        pull_all(stream, puller.item);
    else
        end_for_memory(stream, "no memory for an item of a stream");
    pthread_cleanup_pop(1);
    return NULL;
}

/* Giving results. */

/* The batch that the next result is in; NULL if it is not ready. */
static struct batch *ready_batch(const struct mpm_stream *stream)
{
    struct batch *batch = stream->first;

    while (batch && !batch->is_ready && stream->order == MPM_UNORDERED)
        batch = batch->next;
    return batch && batch->is_ready && (!batch->outcome.status || batch->outcome.status == MPM_ETASK) ? batch
                                                                                                      : NULL;
}

static void drop_batch(struct mpm_stream *stream, struct batch *batch)
{
    for (struct batch **at = &stream->first; *at; at = &(*at)->next) {
        if (*at != batch)
            continue;
        *at = batch->next;
        if (stream->end == &batch->next)
            stream->end = at;
        break;
    }
    free_batch(batch);
}

static int give(struct mpm_stream *stream, struct batch *batch, void *result, uint64_t *index)
{
    size_t size = stream->request.result_size, number = batch->given++;
    const mpm_failure *failure = NULL;
    int status = MPM_OK;

    if (batch->next_failure < batch->outcome.failure_count &&
        batch->outcome.failures[batch->next_failure].index == number)
        failure = &batch->outcome.failures[batch->next_failure++];
    if (index)
        *index = batch->map.request.first_index + number;
    if (failure)
        status = error_set(MPM_ETASK, "item %llu failed: %s",
                           (unsigned long long)(batch->map.request.first_index + number), failure->text);
    else if (size)
        memcpy(result, batch->results + number * size, size);
    if (batch->given == batch->count)
        drop_batch(stream, batch);
    if (atomic_fetch_add(&stream->given, 1) + 1 == atomic_load(&stream->room_at))
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

/* And submits what the generator has left and does not add to. */
static bool wait_for_news(struct mpm_stream *stream, uint32_t seen, uint64_t deadline_ns)
{
    uint64_t pulled = stream->pulled, look_ns = clock_now_ns() + HELD_BACK_NS;

    if (!stream->filling || look_ns >= deadline_ns)
        return wait_for_news_or_interrupt(stream, seen, deadline_ns);
    if (!wait_for_news_or_interrupt(stream, seen, look_ns) && stream->pulled == pulled)
        submit(stream);
    return true;
}

static int next(struct mpm_stream *stream, void *result, uint64_t *index, double timeout_s)
{
    bool in_time = timeout_s > 0;
    uint64_t deadline_ns;
    struct batch *batch;
    int status;

    if (!stream->end_was_told && (batch = ready_batch(stream)))
        return give(stream, batch, result, index);
    for (deadline_ns = call_deadline_ns(timeout_s);;) {
        uint32_t seen = eventcount_prepare(&stream->news); /* the puller rings without the mutex */

        if (!stream->end_was_told && (batch = ready_batch(stream)))
            return give(stream, batch, result, index);
        if ((stream->end_was_told = is_over(stream, &status)))
            return status;
        if (!stream->in_work)
            submit(stream);
        if (!in_time)
            return error_set(MPM_ETIMEDOUT, "the next result is not ready after %g s",
                             timeout_s > 0 ? timeout_s : 0.0);
        in_time = wait_for_news(stream, seen, deadline_ns);
        if (interrupt_is_pending())
            return interrupt_take("next result of a stream");
    }
}

int mpm_stream_next(mpm_stream *stream, double timeout_s, void *result, uint64_t *index)
{
    int status;

    if (!stream || (!result && stream->request.result_size))
        return error_set(MPM_EINVAL, "mpm_stream_next: the %s is NULL",
                         stream ? "pointer for the result" : "stream");
    if ((status = context_check_somebody("mpm_stream_next")))
        return status;
    if (isnan(timeout_s))
        return error_set(MPM_EINVAL, "mpm_stream_next: the timeout is %g: it must be a number of seconds",
                         timeout_s);
    pthread_mutex_lock(&stream->mutex);
    status = next(stream, result, index, timeout_s);
    pthread_mutex_unlock(&stream->mutex);
    return status;
}

/* Beginning and ending. Without the mutex. */

/* false if the end of its pool has begun: who cuts off its streams would not find this one any more. */
static bool list_stream(struct mpm_stream *stream)
{
    bool is_in_time;

    pthread_mutex_lock(&streams.mutex);
    if ((is_in_time = !pool_ends(stream->pool))) {
        stream->next = streams.first;
        streams.first = stream;
    }
    pthread_mutex_unlock(&streams.mutex);
    return is_in_time;
}

static void unlist_stream(struct mpm_stream *stream)
{
    pthread_mutex_lock(&streams.mutex);
    for (struct mpm_stream **at = &streams.first; *at; at = &(*at)->next) {
        if (*at == stream) {
            *at = stream->next;
            break;
        }
    }
    pthread_mutex_unlock(&streams.mutex);
}

void stream_cut_off_all(struct mpm_pool *pool)
{
    pthread_mutex_lock(&streams.mutex);
    for (struct mpm_stream *stream = streams.first; stream; stream = stream->next) {
        pthread_mutex_lock(&stream->mutex);
        if (stream->pool == pool && !stream->has_all)
            end_stream(stream, MPM_ECANCELED, "the pool ended before the stream did");
        pthread_mutex_unlock(&stream->mutex);
    }
    pthread_mutex_unlock(&streams.mutex);
}

static void free_stream(struct mpm_stream *stream)
{
    for (struct batch *batch = stream->first, *after; batch; batch = after) {
        after = batch->next;
        free_batch(batch);
    }
    if (stream->filling)
        free_batch(stream->filling);
    pthread_mutex_destroy(&stream->filling_mutex);
    pthread_mutex_destroy(&stream->mutex);
    free(stream->context);
    free(stream->sentence);
    free(stream);
}

static void set_sizes(struct mpm_stream *stream, const mpm_stream_options *options)
{
    size_t workers = stream->pool->worker_count;

    stream->buffer = options->buffer ? options->buffer : BUFFER_EACH * workers;
    stream->is_adaptive = !options->chunk;
    stream->max_chunk = stream->buffer / (2 * workers);
    stream->chunk = options->chunk ? options->chunk : 1;
    if (stream->chunk > stream->buffer)
        stream->chunk = stream->buffer;
}

static struct mpm_stream *make_stream(struct mpm_pool *pool, const struct map_request *request,
                                      const mpm_stream_options *options)
{
    struct mpm_stream *stream = calloc(1, sizeof *stream);

    if (!stream || (request->context_size && !(stream->context = malloc(request->context_size)))) {
        free(stream);
        return NULL;
    }
    if (request->context_size)
        memcpy(stream->context, request->context, request->context_size);
    stream->pool = pool;
    stream->request = *request;
    stream->request.context = stream->context;
    stream->order = options->order;
    stream->end = &stream->first;
    pthread_mutex_init(&stream->mutex, NULL);
    pthread_mutex_init(&stream->filling_mutex, NULL);
    stream->room_at = UINT64_MAX;
    set_sizes(stream, options);
    return stream;
}

static int start_puller(struct mpm_stream *stream)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
    failed = pthread_create(&stream->puller, NULL, puller_main, stream);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_set(MPM_ESYSTEM, "cannot start a thread: %s", strerror(failed)) : MPM_OK;
}

static int check_stream(const char *call, const struct map_request *request, mpm_generator *generator,
                        const mpm_stream_options *options, mpm_stream *const *begun)
{
    struct function name;
    int status;

    if ((status = function_name(request->task, &name)))
        return status;
    if (!generator || !begun)
        return error_set(MPM_EINVAL, "%s: the %s is NULL", call,
                         generator ? "pointer for the stream" : "generator");
    if (options->buffer > MAX_BUFFER)
        return error_set(MPM_EINVAL, "%s: a buffer of %zu items is too large: at most %zu", call,
                         options->buffer, MAX_BUFFER);
    if (options->order != MPM_ORDERED && options->order != MPM_UNORDERED)
        return error_set(MPM_EINVAL, "%s: the order is %d: it must be MPM_ORDERED or MPM_UNORDERED", call,
                         (int)options->order);
    return MPM_OK;
}

/* Frees it if it cannot begin. */
static int begin_stream(const char *call, struct mpm_stream *stream, mpm_stream **begun)
{
    int status = MPM_OK;

    if (!list_stream(stream))
        status = error_set(MPM_ESTATE, "%s: the pool is closing", call);
    else if ((status = start_puller(stream)))
        unlist_stream(stream);
    if (status)
        free_stream(stream);
    else
        *begun = stream;
    return status;
}

static int next_of_array(void *argument, void *item)
{
    struct array_items *array = argument;

    if (!array->left)
        return 0;
    array->left--;
    if (array->size) {
        memcpy(item, array->next, array->size);
        array->next += array->size;
    }
    return 1;
}

/* In a call that has entered the pool. The request has no items, which the generator makes. */
static int make_and_begin(const char *call, struct mpm_pool *pool, const struct map_request *request,
                          const struct source *source, const mpm_stream_options *options, mpm_stream **begun)
{
    struct mpm_stream *stream;
    int status;

    if ((status = check_stream(call, request, source->generator, options, begun)))
        return status;
    if (!(stream = make_stream(pool, request, options)))
        return error_set(MPM_ENOMEM, "no memory for a stream");
    stream->source = *source;
    if (source->generator == next_of_array)
        stream->source.argument = &stream->source.array;
    return begin_stream(call, stream, begun);
}

int mpm_pool_imap(mpm_pool *pool, mpm_task *task, mpm_generator *generator, void *argument, size_t item_size,
                  size_t result_size, const mpm_stream_options *options, mpm_stream **begun)
{
    mpm_stream_options chosen = options ? *options : (mpm_stream_options){0};
    mpm_map_options map_options = {.context = chosen.context, .context_size = chosen.context_size};
    struct map_request request = map_request_of(
        task, &(struct map_items){.item_size = item_size, .result_size = result_size}, &map_options);
    struct source source = {.generator = generator, .argument = argument};
    int status;

    if ((status = map_enter("mpm_pool_imap", pool, &request)))
        return status;
    status = make_and_begin("mpm_pool_imap", pool, &request, &source, &chosen, begun);
    pool_leave_call(pool);
    return status;
}

int mpm_pool_imap_array(mpm_pool *pool, mpm_task *task, const void *items, size_t count, size_t item_size,
                        size_t result_size, const mpm_stream_options *options, mpm_stream **begun)
{
    mpm_stream_options chosen = options ? *options : (mpm_stream_options){0};
    mpm_map_options map_options = {.context = chosen.context, .context_size = chosen.context_size};
    char any; /* results come one by one */
    const struct map_items of = {items, count, item_size, &any, result_size};
    struct map_request request = map_request_of(task, &of, &map_options);
    struct source source = {.generator = next_of_array, .array = {items, count, item_size}};
    int status;

    if ((status = map_enter("mpm_pool_imap_array", pool, &request)))
        return status;
    request.items = request.results = NULL;
    request.count = 0;
    status = make_and_begin("mpm_pool_imap_array", pool, &request, &source, &chosen, begun);
    pool_leave_call(pool);
    return status;
}

void mpm_stream_close(mpm_stream *stream)
{
    if (!stream || context_is_nobody)
        return;
    unlist_stream(stream);
    pthread_mutex_lock(&stream->mutex);
    end_stream(stream, MPM_ECANCELED, "the stream was closed");
    while (stream->in_work)
        wait_for(stream, &stream->news, CLOCK_FOREVER);
    pthread_mutex_unlock(&stream->mutex);
    pthread_join(stream->puller, NULL);
    free_stream(stream);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Beginning and ending streams: see stream_inside.h for what they are. */
#include "pool/driver/stream.h"

#include <stdlib.h>
#include <string.h>

#include "mpmap/stream.h"

#include "base/clock.h"
#include "base/error.h"
#include "forkserver/own_thread.h"
#include "node/context.h"
#include "pool/driver/map_run.h"
#include "pool/driver/pool_state.h"
#include "pool/driver/stream_inside.h"

#define BUFFER_EACH  64u /* items a worker */
#define EACH_IN_WORK 2u  /* batches a worker, and */
#define MORE_IN_WORK 8u
#define MAX_BUFFER   ((size_t)1 << 32)

static struct {
    pthread_mutex_t mutex;
    struct mpm_stream *first;
} streams = {.mutex = PTHREAD_MUTEX_INITIALIZER};

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
            stream_end(stream, MPM_ECANCELED, "the pool ended before the stream did");
        pthread_mutex_unlock(&stream->mutex);
    }
    pthread_mutex_unlock(&streams.mutex);
}

static void free_stream(struct mpm_stream *stream)
{
    stream_free_batches(stream);
    pthread_mutex_destroy(&stream->mutex);
    free(stream->context);
    free(stream->sentence);
    free(stream);
}

static void set_sizes(struct mpm_stream *stream, const mpm_stream_options *options)
{
    size_t workers = stream->pool->worker_count;

    stream->buffer = options->buffer ? options->buffer : BUFFER_EACH * workers;
    stream->workers = (unsigned)workers;
    stream->most_in_work = EACH_IN_WORK * stream->workers + MORE_IN_WORK;
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
    stream->result_size = request->result_size;
    stream->order = options->order;
    stream->end = &stream->first;
    pthread_mutex_init(&stream->mutex, NULL);
    stream->room_at = UINT64_MAX;
    set_sizes(stream, options);
    return stream;
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
    else if ((status = own_thread_start(&stream->puller, stream_puller, stream)))
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

/* Until nothing is in work. With the mutex, but while it waits. */
static void wait_for_work(struct mpm_stream *stream)
{
    while (stream->in_work) {
        uint32_t seen = eventcount_prepare(&stream->news);

        pthread_mutex_unlock(&stream->mutex);
        eventcount_wait(&stream->news, seen, 0, CLOCK_FOREVER);
        pthread_mutex_lock(&stream->mutex);
    }
}

void mpm_stream_close(mpm_stream *stream)
{
    if (!stream || context_is_nobody)
        return;
    unlist_stream(stream);
    pthread_mutex_lock(&stream->mutex);
    stream_end(stream, MPM_ECANCELED, "the stream was closed");
    wait_for_work(stream);
    pthread_mutex_unlock(&stream->mutex);
    pthread_join(stream->puller, NULL);
    free_stream(stream);
}

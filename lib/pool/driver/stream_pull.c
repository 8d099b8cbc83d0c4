/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that pulls a stream's items: see stream_inside.h. */
#include <stdlib.h>

#include "base/asymmetric_fence.h"
#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "pool/driver/stream_inside.h"
#include "shm/kill_point.h"

/* Consecutive places for items that may be pulled now. */
struct places {
    char *at;
    uint64_t from, to; /* the numbers of their items */
};

/* Under the mutex. */
static void take_end(struct mpm_stream *stream, int status)
{
    stream->generator_status = status;
    stream->has_all = true;
    stream_submit(stream, true);
    eventcount_notify(&stream->news);
}

/* Until an eighth of the buffer is free. */
static void wait_for_room(struct mpm_stream *stream, uint64_t pulled)
{
    uint64_t left = stream->buffer - (stream->buffer + 7) / 8, room_at = pulled - left;

    atomic_store(&stream->room_at, room_at);
    asymmetric_fence_heavy(); /* pairs with the light one of whoever gives that result */
    for (;;) {
        uint32_t seen = eventcount_prepare(&stream->room);

        if (stream->ended || atomic_load(&stream->given) >= room_at)
            break;
        eventcount_wait(&stream->room, seen, 0, CLOCK_FOREVER);
    }
    atomic_store(&stream->room_at, UINT64_MAX);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The block that the next item goes into; NULL without memory. */
static struct block *find_block(struct mpm_stream *stream, uint64_t pulled)
{
    struct block *last = stream->last_block;

    return last && pulled < last->first + last->room ? last : stream_add_block(stream);
}

/* Places for the rest of a block, of a chunk, or of the buffer. What is held back may be more than a chunk. Under the
 * mutex; false without memory. */
static bool find_places(struct mpm_stream *stream, uint64_t pulled, uint64_t given, struct places *places)
{
    struct block *block = find_block(stream, pulled);
    uint64_t chunk_end = stream->submitted + stream->chunk;

    if (!block) {
        stream_end(stream, MPM_ENOMEM, "no memory for the items of a stream");
        return false;
    }
    places->at = block->items + (pulled - block->first) * stream->request.item_size;
    places->from = pulled;
    if (chunk_end <= pulled)
        chunk_end = pulled + stream->chunk;
    places->to = earliest(block->first + block->room, earliest(chunk_end, given + stream->buffer));
    return true;
}

/* Waits until something may be pulled; false if the stream has ended. */
static bool get_places(struct mpm_stream *stream, struct places *places)
{
    uint64_t pulled = atomic_load_explicit(&stream->pulled, memory_order_relaxed), given;
    bool is_far_ahead, are_found = false;

    do {
        pthread_mutex_lock(&stream->mutex);
        given = atomic_load(&stream->given);
        is_far_ahead = pulled - given >= stream->buffer;
        stream->puller_waits = is_far_ahead;
        stream_submit(stream, false);
        if (pulled > stream->submitted)
            eventcount_notify(&stream->news); /* pull() has not told of the last one */
        if (!is_far_ahead && !stream->ended)
            are_found = find_places(stream, pulled, given, places);
        pthread_mutex_unlock(&stream->mutex);
        if (is_far_ahead && !stream->ended)
            wait_for_room(stream, pulled);
    } while (!are_found && !stream->ended);
    return are_found;
}

/* Fills them: 0 or less once the generator has returned that. */
static int pull(struct mpm_stream *stream, const struct places *places)
{
    mpm_generator *generator = stream->source.generator;
    void *argument = stream->source.argument;
    size_t size = stream->request.item_size;
    char *at = places->at;

    for (uint64_t number = places->from; number < places->to && !stream->ended; number++, at += size) {
        int status = generator(argument, at);

        context_back_from_program(EXIT_SUCCESS);
        if (status <= 0)
            return status;
        /* Pairs with the load of stream_submit(). */
        atomic_store_explicit(&stream->pulled, number + 1, memory_order_release);
        DELAY_POINT();
        asymmetric_fence_light(); /* pairs with the heavy ones of whoever waits for news, or has submitted */
        if (atomic_load(&stream->submitted) == number && number + 1 < places->to)
            eventcount_notify(&stream->news);
    }
    return 1;
}

static void pull_all(struct mpm_stream *stream)
{
    struct places places;
    int status = 1;

    while (status > 0 && get_places(stream, &places))
        status = pull(stream, &places);
    pthread_mutex_lock(&stream->mutex);
    if (status <= 0)
        take_end(stream, status);
    pthread_mutex_unlock(&stream->mutex);
}

/* Also where the generator ends the thread: by pthread_exit(), or because somebody cancels it. */
static void end_puller(void *argument)
{
    struct mpm_stream *stream = argument;

    pthread_mutex_lock(&stream->mutex);
    if (!stream->ended && !stream->has_all) {
        stream->generator_left = true;
        take_end(stream, 0);
    }
    pthread_mutex_unlock(&stream->mutex);
}

void *stream_puller(void *stream)
{
    context_thread_calls("a generator");
    pthread_cleanup_push(end_puller, stream);
    pull_all(stream);
    pthread_cleanup_pop(1);
    return NULL;
}

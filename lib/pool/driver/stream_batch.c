/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a stream goes to the pool, and comes back: see stream_inside.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/driver/node_calls.h"
#include "pool/driver/stream_inside.h"

#define BATCH_NS    500000u /* from the end of a batch to that of the next: others are made larger, or smaller */
#define MEASURED    4u      /* batches */
#define DOUBLED     3u      /* times at once */
#define BLOCK_BYTES ((size_t)64 << 10) /* of items and results, if that is more than a chunk of them */
#define LINE        64u

static void free_batch(struct batch *batch)
{
    free(batch->outcome.sentence);
    free(batch->outcome.failures);
    free(batch);
}

static void free_block(struct block *block)
{
    free(block->items);
    free(block->results);
    free(block);
}

void stream_end(struct mpm_stream *stream, int status, const char *sentence)
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

/* By how fast batches end, all nodes together: how long one took would count the others that it had to wait for. Some
 * that end one right after the other say little, so that of a few is measured, unless one takes long. */
static void adapt_chunk(struct mpm_stream *stream, const struct batch *batch)
{
    uint64_t now_ns = clock_now_ns(), took_ns = now_ns - stream->measured_since_ns + 1, wanted;

    stream->measured_items += batch->count;
    if (++stream->measured_batches < MEASURED && took_ns < MEASURED * BATCH_NS)
        return;
    wanted = BATCH_NS * stream->measured_items / took_ns;
    stream->measured_since_ns = now_ns;
    stream->measured_items = stream->measured_batches = 0;
    if (!stream->is_adaptive)
        return;
    if (wanted < stream->chunk / 4)
        stream->chunk /= 2;
    for (unsigned i = 0; i < DOUBLED && wanted > stream->chunk && stream->chunk * 2 <= stream->max_chunk; i++)
        stream->chunk *= 2;
}

/* In the driver's thread, without the mutex. Its map still holds the pool, which so stays until all was worked on that
 * the generator has made, if it has ended. */
static void on_batch_end(struct async_map *map, struct map_outcome *outcome)
{
    struct batch *batch = (struct batch *)((char *)map - offsetof(struct batch, map));
    struct mpm_stream *stream = batch->stream;

    pthread_mutex_lock(&stream->mutex);
    batch->outcome = *outcome;
    batch->is_ready = true;
    adapt_chunk(stream, batch);
    if (outcome->status && outcome->status != MPM_ETASK)
        stream_end(stream, outcome->status,
                   outcome->sentence ? outcome->sentence : mpm_status_name(outcome->status));
    stream->in_work--;
    stream_submit(stream, stream->has_all);
    eventcount_notify(&stream->news);
    pthread_mutex_unlock(&stream->mutex); /* who closes the stream frees it as soon as it gets the mutex */
}

/* The next items of a block: its own request. */
static struct batch *make_batch(struct mpm_stream *stream, struct block *block, size_t count)
{
    struct batch *batch = calloc(1, sizeof *batch);
    struct map_request *request;
    uint64_t first = stream->submitted;

    if (!batch)
        return NULL;
    batch->stream = stream;
    batch->block = block;
    batch->count = count;
    batch->map.pool = stream->pool;
    batch->map.ended = on_batch_end;
    batch->map.goes_on = first > 0;
    request = &batch->map.request;
    *request = stream->request;
    request->first_index = first;
    request->count = count;
    request->items = block->items + (first - block->first) * request->item_size;
    request->results = block->results + (first - block->first) * request->result_size;
    return batch;
}

static void submit_batch(struct mpm_stream *stream, struct batch *batch)
{
    int status;

    batch->map.request.node = node_calls_choose(stream->pool);
    *stream->end = batch;
    stream->end = &batch->next;
    if ((status = async_submit(&batch->map))) {
        node_calls_remove(stream->pool, batch->map.request.node);
        batch->is_ready = true;
        batch->outcome.status = status; /* it has no results: nobody may take them */
        stream_end(stream, status, mpm_error());
    } else {
        stream->in_work++;
    }
}

/* Whether workers may soon be idle, and the puller can go no further: then less than a chunk goes to them, too. */
static bool are_waited_for(const struct mpm_stream *stream)
{
    return stream->puller_waits && stream->in_work <= stream->workers;
}

/* How many items are in the next batch: a chunk, or what is left of a block; else none, unless all are to go. */
static size_t count_next(const struct mpm_stream *stream, uint64_t pulled, bool all)
{
    const struct block *block = stream->submitting;
    uint64_t held = pulled - stream->submitted, full;

    if (!held)
        return 0;
    full = block->first + block->room - stream->submitted;
    if (full > stream->chunk)
        full = stream->chunk;
    if (held >= full)
        return full;
    return all || are_waited_for(stream) ? held : 0;
}

static bool submit_next(struct mpm_stream *stream, size_t count)
{
    struct block *block = stream->submitting;
    struct batch *batch = make_batch(stream, block, count);

    if (!batch) {
        stream_end(stream, MPM_ENOMEM, "no memory for the items of a stream");
        return false;
    }
    atomic_store_explicit(&stream->submitted, stream->submitted + count, memory_order_relaxed);
    if (stream->submitted == block->first + block->room)
        stream->submitting = block->next;
    submit_batch(stream, batch);
    return !stream->ended;
}

void stream_submit(struct mpm_stream *stream, bool all)
{
    /* Pairs with the puller's store. */
    uint64_t pulled = atomic_load_explicit(&stream->pulled, memory_order_acquire);
    size_t count;

    if (stream->ended)
        return;
    while (stream->in_work < stream->most_in_work && (count = count_next(stream, pulled, all)))
        if (!submit_next(stream, count))
            return;
}

/* Blocks. */

static size_t rounded(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* Some chunks of small items, a chunk of large ones. */
static size_t block_room(const struct mpm_stream *stream)
{
    size_t each = stream->request.item_size + stream->request.result_size;
    size_t room = each ? BLOCK_BYTES / each : BLOCK_BYTES;

    if (room > stream->buffer)
        room = stream->buffer;
    return room > stream->chunk ? room - room % stream->chunk : stream->chunk;
}

static struct block *make_block(const struct mpm_stream *stream, size_t room)
{
    struct block *block = calloc(1, sizeof *block);

    if (!block)
        return NULL;
    block->room = room;
    block->items = aligned_alloc(LINE, rounded(room * stream->request.item_size + 1));
    block->results = aligned_alloc(LINE, rounded(room * stream->request.result_size + 1));
    if (!block->items || !block->results) {
        free_block(block);
        return NULL;
    }
    return block;
}

/* The one that was left over, if it has the right size. */
static struct block *take_block(struct mpm_stream *stream)
{
    size_t room = block_room(stream);
    struct block *block = stream->spare;

    stream->spare = NULL;
    if (block && block->room == room)
        return block;
    if (block)
        free_block(block);
    return make_block(stream, room);
}

struct block *stream_add_block(struct mpm_stream *stream)
{
    struct block *block = take_block(stream);

    if (!block)
        return NULL;
    block->given = 0;
    block->first = stream->pulled;
    block->next = NULL;
    block->before = stream->last_block;
    if (stream->last_block)
        stream->last_block->next = block;
    else
        stream->blocks = block;
    stream->last_block = block;
    if (!stream->submitting)
        stream->submitting = block;
    return block;
}

static void drop_block(struct mpm_stream *stream, struct block *block)
{
    if (block->before)
        block->before->next = block->next;
    else
        stream->blocks = block->next;
    if (block->next)
        block->next->before = block->before;
    else
        stream->last_block = block->before;
    if (stream->spare)
        free_block(stream->spare);
    stream->spare = block;
}

void stream_drop_batch(struct mpm_stream *stream, struct batch *batch)
{
    for (struct batch **at = &stream->first; *at; at = &(*at)->next) {
        if (*at != batch)
            continue;
        *at = batch->next;
        if (stream->end == &batch->next)
            stream->end = at;
        break;
    }
    if ((batch->block->given += batch->count) == batch->block->room)
        drop_block(stream, batch->block);
    free_batch(batch);
}

void stream_free_batches(struct mpm_stream *stream)
{
    for (struct batch *batch = stream->first, *after; batch; batch = after) {
        after = batch->next;
        free_batch(batch);
    }
    for (struct block *block = stream->blocks, *after; block; block = after) {
        after = block->next;
        free_block(block);
    }
    if (stream->spare)
        free_block(stream->spare);
}

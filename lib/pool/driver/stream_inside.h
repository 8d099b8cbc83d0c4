/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a stream share: stream.c (its beginning and end), stream_pull.c (the thread that pulls items),
 * stream_batch.c (what goes to the pool, and comes back) and stream_next.c (whoever takes results). For pool/driver/.
 *
 * A thread pulls items from the generator, which writes them into blocks of memory, each for consecutive items and
 * their results. A batch is some items of one block, and an asynchronous map on one node; whoever submits one takes
 * what was pulled and not submitted. Takers copy results out of the block, which is used again when all of it was
 * given.
 *
 *      given ──────────── submitted ───────── pulled ─────────── given + buffer
 *        │ results, or in work │ held back so far │ room that the puller has │
 *
 * Who writes what.
 *   The puller: items of a block, then `pulled` (release); nobody reads items above it.
 *   Under the mutex: blocks, batches, `submitted` and how the stream ends.
 *   Takers: the cursor and `given`, inside `takers`: the thread that has taken many results in a row comes there
 *   without the mutex (biased_lock.h), all others with it. So whoever pulls and whoever takes are in each other's way
 *   once a batch, not once an item.
 * Whoever changes something that others may wait for rings `news`.
 *
 * What is held back. So many batches are in work at most that each worker has one, and another when that ends: what was
 * pulled meanwhile goes to work by larger chunks, if it has turned out that these are right. Less than a chunk is held
 * back as long as the puller goes on. It may block in the generator for long: so whoever waits for a result submits
 * what there is, if nothing is being worked on or if nothing was added to it for a while. Whenever a batch has ended,
 * what can go to work does.
 *   The puller writes `pulled`, and then looks whether that was the first item above `submitted`: then it rings.
 * Whoever has submitted, or is about to sleep, looks at `pulled` after that. A light fence in the puller and a heavy
 * one in the others see to it that one of them sees the other (base/asymmetric_fence.h): no item is left that nobody
 * knows of.
 *
 * Room. The puller waits until as many results were given as it has written into `room_at`, and looks once more, past a
 * heavy fence, before it sleeps; whoever gives that one result rings `room`, having written `given` first: past a light
 * fence if it is the favoured thread, else sequentially consistent.
 *
 * A stream that is `ended` submits nothing any more: so a pool that cuts it off is never touched by it again.
 *
 * The order of locks: the list of all streams, a stream, the asynchronous maps'. */
#ifndef POOL_DRIVER_STREAM_INSIDE_H
#define POOL_DRIVER_STREAM_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/stream.h"

#include "pool/driver/async.h"
#include "pool/driver/biased_lock.h"
#include "shm/eventcount.h"

/* Room for consecutive items, and for their results. */
struct block {
    struct block *next, *before; /* in the order of their items */
    uint64_t first;              /* the number of its first item */
    size_t room, given;          /* items */
    char *items, *results;
};

struct batch {
    struct async_map map;
    struct batch *next;
    struct mpm_stream *stream;
    struct block *block;
    size_t count, given; /* `given` lags behind where the cursor is in it */
    size_t next_failure;
    bool is_ready;
    struct map_outcome outcome;
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

/* Where takers are: in a batch, before `left` results, none of which has failed. */
struct cursor {
    struct batch *batch; /* NULL: in none */
    size_t left;
    const char *end;    /* of these results */
    uint64_t end_index; /* the number of the item behind them */
    uint64_t end_given; /* how many results were given with them */
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
    bool is_adaptive;
    unsigned workers;      /* of its pool */
    unsigned most_in_work; /* batches */
    pthread_t puller;
    /* Written seldom, most of it under the mutex. */
    pthread_mutex_t mutex;
    struct eventcount news, room; /* for who waits for a result; for the puller */
    unsigned in_work;             /* batches that are submitted and not ready */
    bool has_all;                 /* the generator has ended, */
    int generator_status;         /* by this */
    bool generator_left;          /* by ending its thread */
    _Atomic int ended;            /* the status that it ended with before its time; 0: it goes on */
    bool end_was_told;            /* nothing is given after that */
    char *sentence;               /* of that status; NULL without memory for it */
    bool puller_waits;            /* for room, or is about to */
    _Atomic uint64_t room_at;     /* the puller's: UINT64_MAX if it does not wait */
    size_t chunk;                 /* what is right at this time */
    uint64_t measured_since_ns, measured_items; /* of batches that have ended since then: */
    unsigned measured_batches;
    struct batch *first, **end;        /* in the order of their items, until their last result was given */
    struct block *blocks, *last_block; /* the last one is being filled */
    struct block *submitting;          /* the one that `submitted` is in; NULL: there is none yet */
    struct block *spare;               /* all of it was given; or NULL */
    _Atomic uint64_t submitted;
    char before_takers[APART];
    struct cursor cursor;
    size_t result_size;     /* as the request has it */
    _Atomic uint64_t given; /* results */
    struct biased_lock takers;
    char before_puller[APART];
    _Atomic uint64_t pulled; /* items */
    char behind_puller[APART];
};

/* All that follow: under the mutex, if nothing else is said. */

/* It ends before its time. */
void stream_end(struct mpm_stream *stream, int status, const char *sentence);
/* What was pulled goes to the pool, in chunks, as long as not too much is in work; `all`: also what makes none. */
void stream_submit(struct mpm_stream *stream, bool all);
/* All of its results were given. */
void stream_drop_batch(struct mpm_stream *stream, struct batch *batch);
/* A block behind the last one, to be filled; NULL without memory. */
struct block *stream_add_block(struct mpm_stream *stream);
/* Frees all batches and blocks of a stream that has nothing in work. Without the mutex. */
void stream_free_batches(struct mpm_stream *stream);

/* The puller's thread: without the mutex. */
void *stream_puller(void *stream);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's own memory, which its parts share: worker.c (its thread token), worker_call.c (what tasks ask),
 * worker_text.c (what they say) and worker_chunk.c (running items). For pool/. */
#ifndef POOL_WORKER_WORKER_SELF_H
#define POOL_WORKER_WORKER_SELF_H

#include <stdint.h>

#include "mpmap/pool.h"

#include "node/function.h"
#include "pool/shared/board.h"
#include "pool/worker/chunk.h"

struct mpm_call {
    uint64_t index;
    size_t item_size, result_size;
    size_t rows; /* items of a batch that the call has; 0 or 1: one */
    const void *context;
    void *state;                   /* what the initializer made */
    char text[FAILURE_SHORT_SIZE]; /* of mpm_fail(); "" is none; cut if it is long */
    char *long_text;               /* all of a long one, in memory of its own */
    size_t long_size;              /* of that, with its null byte; 0 if `text` has all */
};

/* Batch tasks reach it through their call. */
struct worker_self {
    struct mpm_call call; /* first: a call is the worker */
    struct arena *arena;
    struct board *board;
    struct worker_record *record;
    uint32_t number;
    uint64_t look_ns;    /* how long it looks on before it sleeps, if it does */
    uint32_t sleeps;     /* waits for which it does not */
    uint64_t tasks_left; /* items until it makes place for another worker */
    /* The lease that it is in. */
    struct lease_block *lease;
    struct job_block *job;
    _Atomic uint64_t *done, *failed;
    uint64_t position;    /* of the item that a batch has begun */
    uint64_t index_shift; /* what is to be added to a position of its batch for the index in the map */
    /* The job that it served last. */
    uint64_t job_id, task_id; /* 0: its task was not found */
    int job_status;
    function_pointer *task;
    struct chunk_pace pace;
};

extern struct worker_self worker_self;

/* Records that an item of the lease has failed. */
void worker_item_has_failed(uint64_t item, int code);
/* Records that a part of an item has: both as `item` of the worker record counts. What was said of it stays. */
void worker_part_has_failed(uint64_t part, int code);
/* Forgets what mpm_fail() has said. */
void worker_forget_text(void);
/* Writes it where the node pool reads it, of an item of that job; NULL: of none. */
void worker_write_text(struct failure_text *said, struct job_block *job);
/* The worker cannot do the job, for the reason that the call's text says: it makes place for another one that may. If
 * that has gone on for long, nobody shall claim from the lease any more: the job is lost. */
void worker_refuses_job(int status);
/* Claims and runs items of the lease, until there are none or the worker has had as many as it may have. */
void worker_run_items(uint32_t chunk);
/* Claimed items of JOB_BLOBS. */
void worker_run_blobs(uint64_t from, uint64_t to);
/* Whether a single call waits: whoever is between two chunks goes and serves it. */
static inline bool worker_is_called(void)
{
    return atomic_load_explicit(&worker_self.board->calls, memory_order_relaxed) != 0;
}

/* Whether another worker of the node is to run alone: nobody else begins anything then. */
static inline bool worker_is_held(void)
{
    return atomic_load(&worker_self.board->calls) & BOARD_HELD;
}
/* Takes the node for this worker alone: blocks until no other worker is in an item. false if the pool is closed before,
 * or `is_wanted` says no. In a lease that no item has been claimed from, or with a call that has not begun. */
bool worker_take_node(bool (*is_wanted)(void *argument), void *argument);
void worker_give_node_back(void);
/* Sleeps while another worker has the node, or until the board's `work` is not `seen` any more. */
void worker_stand_back(uint32_t seen);

/* Runs the single calls that wait. Whether there were any. */
bool worker_serve_calls(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the node pool share: node_pool.c (a pool and its workers), node_lease.c (jobs, and publishing their
 * leases), node_short.c (short maps) and lease_results.c (what comes of them). For pool/. */
#ifndef POOL_NODE_NODE_POOL_INSIDE_H
#define POOL_NODE_NODE_POOL_INSIDE_H

#include <pthread.h>

#include "pool/node/node_pool.h"
#include "pool/node/short_plan.h"
#include "pool/node/watch_clock.h"
#include "pool/shared/board.h"

/* What was last seen of a worker. */
struct watched {
    uint64_t entered, item;
    uint64_t since_ns; /* by watch_clock.h */
};

struct node_pool {
    struct arena *arena;
    uint64_t offset; /* of the board */
    struct board *board;
    pthread_mutex_t kill_mutex; /* a kill order is written by one thread at a time */
    pthread_mutex_t watch_mutex;
    struct watched
        *watched; /* by worker; NULL if nobody has a time limit. Under the mutex, as are the next two */
    uint64_t next_watch_ns;
    struct watch_clock watch_clock;
    struct node_pool_count *counts; /* by worker */
    pthread_mutex_t entry_mutex;    /* slots of the board are taken and left by one thread at a time */
    struct node_lease *first_waiting,
        **last_waiting;           /* leases that have found the board full, oldest first */
    _Atomic uint64_t last_ticket; /* of single calls */
    struct node_job
        *_Atomic kept; /* of the last short map, for the next one; NULL: none, or somebody has it */
    /* Hints, of no harm if two threads write them. */
    _Atomic uint64_t busy_ns; /* of all workers, when the last short map had ended */
    struct short_past past;   /* what short maps have taught */
    uint64_t most_kept; /* bytes of a short map that are kept for the next one. Constant, as is the next */
    uint32_t cpus;      /* that its workers and its driver may use */
    _Atomic uint64_t failed; /* that no worker has failed: items given up, and single calls */
    _Atomic uint64_t retried;
};

/* Items of leases that have ended, and single calls that have been answered: the node pool's own, because maps and
 * calls of several threads end in one pool. */
struct node_pool_count {
    _Atomic uint64_t done, failed;
};

/* Where each part of a lease stands in its one block of arena memory. */
struct lease_layout {
    uint64_t items, results, done, failed, pages, leaf_records, notes, size;
};

struct node_job {
    struct node_pool *node_pool;
    uint64_t offset;          /* of the job_block */
    uint64_t context_room;    /* bytes that its context may have */
    bool is_short;            /* its one lease is published as node_short.c says */
    struct node_lease *spare; /* of a short map that has ended: the next one's; or NULL */
    struct job_block *block;
    uint64_t items, results;   /* offsets of those of item 0, where they are used in place; else 0 */
    uint64_t place;            /* in line, from 1; 0: it has published no lease yet */
    unsigned published;        /* leases, and again what of them was lost: the first few have that place */
    bool stands_in_line;       /* single calls must not pass it */
    struct node_lease *leases; /* newest first */
};

/* An item that a worker died in, or a part of one. */
struct crashed_item {
    uint64_t item; /* as in a worker record: the part, if items have parts */
    unsigned attempts;
    bool is_skipped;            /* the part is not run any more */
    int32_t last_status;        /* of the worker that died last, as waitpid gives it */
    enum item_limit last_limit; /* that it was killed for */
};

struct node_lease {
    struct node_lease *next;
    struct node_job *job;
    uint64_t number, first;
    uint64_t keep;   /* items that it keeps */
    uint64_t offset; /* of the lease_block */
    uint64_t block_size;
    struct lease_layout layout;
    struct lease_block *block;
    bool is_published; /* it was published, and not withdrawn since: its owner's */
    /* Under the node pool's entry_mutex: whoever leaves an entry publishes the lease there that has waited longest. */
    _Atomic uint64_t *entry; /* where it is published; NULL if it does not */
    struct node_lease *next_waiting;
    /* Its owner's. */
    bool is_silent;        /* nobody is woken for it as it is published */
    uint64_t wake_rest_ns; /* of a short map: when whoever sleeps is woken; 0: it is not known yet */
    bool is_said_claimed;  /* or it was cut, which says the same */
    int status;            /* why it is lost */
    struct crashed_item *crashed_items;
    size_t crashed_item_count, crashed_item_capacity;
    struct failure_list failures;
    uint64_t failures_untold; /* of a batch, behind those */
    uint64_t given_up;        /* items that are done because they have failed: worker 0's bits tell them */
};

/* Has the worker killed if it still is in that run of an item. The item is to be blamed if it has passed a limit. */
void node_pool_kill_worker(struct node_pool *node_pool, uint32_t worker, uint64_t entered, uint64_t item,
                           enum item_limit limit);
/* A job whose lease has ended, and nothing of it but its memory is used any more, for another map. Whether the job has
 * the room. `spec` is without its task. */
bool node_job_begin_again(struct node_job *job, const struct job_spec *spec, const struct function *task,
                          const void *context);
/* Frees what the last short map has left for the next one. Whether there was anything. */
bool node_pool_forget_kept(struct node_pool *node_pool);
/* Frees it with what it has. No worker is in it. */
void node_job_free(struct node_job *job);
/* Hangs a lease up; if the board is full, behind those that wait for that. */
void node_lease_put_on_board(struct node_lease *lease);
/* Withdraws it, if it is published. */
void node_lease_withdraw(struct node_lease *lease);
/* Whether its order is the one that stands in its own block. */
static inline bool node_lease_is_short_list(const struct node_lease *lease)
{
    return lease->block->order == lease->offset + offsetof(struct lease_block, short_list);
}
/* No worker is in a lease that has been withdrawn, or will be. */
bool node_lease_is_quiet(const struct node_lease *lease);
/* The done bits of all workers together: one word of them. */
uint64_t node_lease_done_word(const struct node_lease *lease, uint64_t word);

#endif

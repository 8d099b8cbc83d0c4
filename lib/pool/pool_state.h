/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's own memory of its pools and running maps: main's, or a process's, which gets no messages. Messages come in through the courier's thread: what
 * concerns a pool's opening and closing is written into the pool here, what concerns a map goes into its
 * inbox, under one mutex, and the node's bell rings. For pool/ only. */
#ifndef POOL_POOL_STATE_H
#define POOL_POOL_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#include "net/message.h"
#include "pool/async.h"
#include "pool/holder.h"

enum pool_node_state { POOL_NODE_UNUSED, POOL_NODE_OPENING, POOL_NODE_READY, POOL_NODE_CLOSED };

/* What a node has said of a pool. */
struct pool_word {
    enum pool_node_state state;
    int status;   /* not 0: the pool has failed there, and `text` says why */
    bool is_lost; /* it has no workers there any more, and `text` says why */
    char text[MESSAGE_TEXT_SIZE];
};

/* A pool on one node, as main knows it. */
struct pool_node {
    unsigned workers;                            /* constant once the pool is open */
    _Atomic unsigned calls;                      /* single calls that run there */
    _Atomic uint64_t bytes_sent, bytes_received; /* items and results of its leases */
    /* Under the mutex. */
    struct node_tally *tally; /* the last that it has told; NULL: none yet */
    struct pool_word word;
    bool is_asked; /* it is to say when a worker has nothing to do */
    bool is_idle;  /* so it has said, and no call has gone there since */
};

#define POOL_IS_WAITED_FOR (UINT32_C(1) << 31) /* in `users`: somebody waits until there are none */

struct mpm_pool {
    struct mpm_pool *next;
    struct pool_spec spec;
    const void *argument; /* of the initializer: the caller's, until the pool is open */
    unsigned worker_count;
    struct holder *home;      /* NULL if it has no workers on main's node */
    _Atomic uint32_t users;   /* maps and the like that still use it: a close waits for them */
    _Atomic bool terminating; /* they are to end at once */
    _Atomic unsigned waiting; /* single calls that would go where a worker is idle */
    struct async_lane lane;
    uint64_t opened_ns;
    unsigned node_count;
    struct pool_node node[];
};

/* A message for a map. */
struct letter {
    struct letter *next;
    enum message_kind kind;
    unsigned node;
    size_t size;
    _Alignas(8) char payload[];
};

/* Where a running map gets its messages. */
struct inbox {
    struct inbox *next;
    uint64_t job;
    struct letter *first, **end;
};

/* A number that was never given before in this run: for pools and jobs. */
uint64_t pool_state_new_id(void);

void pool_state_add(struct mpm_pool *pool);
void pool_state_remove(struct mpm_pool *pool);

/* Around the use of a pool by a map: who has left does not touch the pool any more. */
void pool_enter(struct mpm_pool *pool);
void pool_leave(struct mpm_pool *pool);
/* Blocks until nobody uses it any more. */
void pool_wait_for_users(struct mpm_pool *pool);
/* 0 if the pool can work: the run is whole, nobody has terminated it, and it has workers. */
int pool_check(const struct mpm_pool *pool);
/* MPM_EWORKER if it has none left on any node. */
int pool_check_workers(const struct mpm_pool *pool);
/* Whether it has workers on a node, and has not lost all of them with their hosts. */
bool pool_works_on(const struct mpm_pool *pool, unsigned node);
/* Around the time in which a single call would go to a worker of another node. */
void pool_call_waits(struct mpm_pool *pool);
void pool_call_goes_on(struct mpm_pool *pool);
/* Finds a node but one that has a worker for a call that waits. If there is none that is known, the others are asked:
 * callers look again and the bell rings when one has told. */
bool pool_find_idle(struct mpm_pool *pool, unsigned but, unsigned *node);
struct mpm_pool *pool_state_first(void);
/* What a node last said of the pool. */
struct pool_word pool_state_of(const struct mpm_pool *pool, unsigned node);
/* It is being opened there. */
void pool_state_opens(struct mpm_pool *pool, unsigned node);

/* The node's answer to the question, or to a later one, copied to `tally` of `size` bytes; false if there is none. */
bool pool_state_tally(const struct mpm_pool *pool, unsigned node, uint64_t question, struct node_tally *tally,
                      size_t size);

void inbox_open(struct inbox *inbox, uint64_t job);
void inbox_close(struct inbox *inbox); /* frees what is in it */
/* All letters that have come, oldest first; the caller frees each. */
struct letter *inbox_take(struct inbox *inbox);

/* Has the courier bring main's messages here. In main's process, before the courier starts. */
void pool_state_announce(void);

#endif

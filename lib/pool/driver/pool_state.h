/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's own memory of its pools and running maps: main's, or a process's, which gets no messages. Messages come in
 * through the courier's thread: what concerns a pool's opening and closing is written into the pool here, what concerns
 * a map goes into its inbox, under one mutex, and the node's doorbell rings. For pool/ and run/layers.c. */
#ifndef POOL_DRIVER_POOL_STATE_H
#define POOL_DRIVER_POOL_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#include "pool/driver/map_request.h"
#include "pool/node/node_pool.h"
#include "pool/shared/message.h"

enum pool_node_state { POOL_NODE_UNUSED, POOL_NODE_OPENING, POOL_NODE_READY, POOL_NODE_CLOSED };

/* What a node has said of a pool. */
struct pool_word {
    enum pool_node_state state;
    int status;               /* not 0: the pool has failed there */
    bool is_lost;             /* it has no workers there any more */
    struct bad_ends bad_ends; /* when it is closed */
    /* Why, each as it was said first. They stay as long as the pool; NULL: nothing was, or there was no memory for
     * it. */
    char *why_failed, *why_lost;
};

/* A pool on one node, as main knows it. */
struct pool_node {
    unsigned workers;                            /* constant once the pool is open */
    _Atomic unsigned calls;                      /* single calls that run there */
    _Atomic uint64_t bytes_sent, bytes_received; /* items and results of its leases */
    /* Under the mutex. */
    struct node_stats *stats; /* the last that it has told; NULL: none yet */
    struct pool_word word;
    bool is_asked; /* it is to say when a worker has nothing to do */
    bool is_idle;  /* so it has said, and no call has gone there since */
};

/* For async.c: a pool's maps that wait for their turn: a pool runs some of them at once, so that ten thousand of them
 * cost no more than a few. They begin in the order in which they were submitted: the next one is begun when the one
 * before it stands in line at some node, or has ended. One that is canceled passes all others, and begins nothing. */
struct async_lane {
    struct async_lane *next;
    struct async_map *first, **end;
    struct async_map *beginning; /* it has been taken from the lane, and has not begun; NULL: none has */
    uint64_t last_number;
    unsigned running;
    _Atomic unsigned unbegun; /* those in the lane, and the one that is beginning; without those that go on */
    bool is_listed;
};

#define POOL_ENDS (UINT32_C(1) << 31) /* in `users`: its end has begun */
#define POOL_IS_LEFT \
    (UINT32_C(1) << 30) /* beside it: nobody is carrying it out, and whoever takes this bit does */

/* `users` is the gate. A call that comes in counts itself, and goes away again if the end of the pool has begun;
 * whoever begins the end, by setting the bit, waits until nobody is left, and frees what the pool has; or leaves that
 * to a later call, by setting the other bit. The pool itself is
 * memory that is never anything but a pool, and that the next pools do not use for long (POOLS_KEPT): so a call that
 * comes late, with a pointer to a pool that is closed, finds the gate closed. */
struct mpm_pool {
    _Atomic uint32_t users; /* calls, maps, and the like that use it, and POOL_ENDS */
    struct mpm_pool *next;  /* from here on all is zero in a new one */
    struct pool_spec spec;
    const void *argument; /* of the initializer: the caller's, until the pool is open */
    unsigned worker_count;
    struct node_pool *home;   /* NULL if it has no workers on main's node */
    _Atomic bool terminating; /* what uses it is to end at once */
    _Atomic bool dropping;    /* what no worker has come to is to end */
    _Atomic unsigned waiting; /* single calls that would go where a worker is idle */
    _Atomic unsigned
        in_line; /* what was begun and no worker has come to, that a call by a mailbox must not pass */
    struct async_lane lane;
    uint64_t opened_ns;
    unsigned node_count;
    struct pool_node *node;
};

/* A message for a map. */
struct letter {
    struct letter *next;
    uint32_t kind;
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

/* A new pool, which the caller uses; NULL without memory. */
struct mpm_pool *pool_state_new(unsigned node_count);
/* Frees what it has but its home. Nobody uses it, and it is not listed. */
void pool_state_free(struct mpm_pool *pool);
void pool_state_add(struct mpm_pool *pool);
void pool_state_remove(struct mpm_pool *pool);

/* A call of the program comes in, and leaves. The pool may be anything that it has ever been given as one. What is
 * wrong with calling it now: MPM_ESTATE in a process that can have no pool, without a run, and once the end of the run
 * or of the pool has begun; MPM_EINVAL if it is NULL. */
int pool_enter_call(const char *call, struct mpm_pool *pool);
void pool_leave_call(struct mpm_pool *pool);
/* The same for calls that are so short that it counts: a forked child of the program is not found out. */
int pool_enter_short_call(const char *call, struct mpm_pool *pool);
/* The same without an error: false if the pool or the run ends, or the caller is no driver. */
bool pool_enter_if_open(struct mpm_pool *pool);
/* Around a use of the pool by something that was begun by a call, while that or another one has it. Who has left does
 * not touch the pool any more. */
void pool_hold(struct mpm_pool *pool);
void pool_leave(struct mpm_pool *pool);
/* Whether its end has begun. */
bool pool_ends(const struct mpm_pool *pool);
/* Begins its end, or takes one that was left; false if another one carries it out. The caller carries it out then. */
bool pool_begin_end(struct mpm_pool *pool);
/* Takes an end that was left. */
bool pool_take_end(struct mpm_pool *pool);
/* Whoever carries its end out leaves that to a later call. */
void pool_leave_end(struct mpm_pool *pool);
/* Begins its end, unless that was done, and leaves it. false if somebody carries it out, or the pool is closed; else
 * the caller uses it, as after pool_hold(). */
bool pool_begin_shutdown(struct mpm_pool *pool);
/* Blocks until nobody uses it any more, once its end has begun; false if the time comes first. */
bool pool_wait_for_users(struct mpm_pool *pool, uint64_t deadline_ns);
/* Has what uses it end at once, and its workers killed, by whoever ends it. false if it is closed. */
bool pool_state_terminate(struct mpm_pool *pool);
/* Begins the end of one of all pools; NULL if there is none to begin. `any`: whether there are some. */
struct mpm_pool *pool_state_begin_any_end(bool *any);

/* A map that a thread drives, and in which it may call functions of the program. */
struct pool_use {
    struct pool_use *outer;
    const struct mpm_pool *pool;
};
void pool_use_begins(struct pool_use *use, const struct mpm_pool *pool);
void pool_use_ends(const struct pool_use *use);
/* Whether the calling thread is in such a map: then it cannot wait until nobody uses the pool. */
bool pool_is_used_here(const struct mpm_pool *pool);

/* 0 if the pool can work: the run is whole, nobody has terminated it, and it has workers. */
int pool_check(const struct mpm_pool *pool);
/* Its workers on the nodes where it has not lost all of them; 0 if it has failed. */
unsigned pool_count_workers(const struct mpm_pool *pool);
/* MPM_EWORKER if it has none left on any node. */
int pool_check_workers(const struct mpm_pool *pool);
/* Whether it has workers on a node, and has not lost all of them with their fork servers. */
bool pool_works_on(const struct mpm_pool *pool, unsigned node);
/* Around the time in which a single call would go to a worker of another node. */
void pool_call_waits(struct mpm_pool *pool);
void pool_call_goes_on(struct mpm_pool *pool);
/* Finds a node but one that has a worker for a call that waits. If there is none that is known, the others are asked:
 * callers look again and the doorbell rings when one has told. */
bool pool_find_idle(struct mpm_pool *pool, unsigned but, unsigned *node);
/* A request that may be done at the driver's node counts, if `waits`, until a worker has taken something of it: its map
 * sees to that. Single calls do not go by mailboxes meanwhile, which workers look at first. */
void pool_stand_in_line(struct mpm_pool *pool, struct map_request *request, bool waits);
void pool_leave_line(struct mpm_pool *pool, struct map_request *request);
/* What a node last said of the pool. */
struct pool_word pool_state_of(const struct mpm_pool *pool, unsigned node);
/* The status of a node where the pool has failed, with what that has said. */
int pool_say_failed(const struct pool_word *word);
/* It is being opened there. */
void pool_state_opens(struct mpm_pool *pool, unsigned node);

/* The node's reply to the question, or to a later one, copied to `stats` of `size` bytes; false if there is none. */
bool pool_state_stats(const struct mpm_pool *pool, unsigned node, uint64_t question, struct node_stats *stats,
                      size_t size);

void inbox_open(struct inbox *inbox, uint64_t job);
void inbox_close(struct inbox *inbox); /* frees what is in it */
/* All letters that have come, oldest first; the caller frees each. */
struct letter *inbox_take(struct inbox *inbox);

/* Closes all pools, as mpm_pool_close(): the run ends. */
void pools_end(void);

/* In main's courier: a node is lost. Its pools have no workers there any more, and are closed there. */
void pool_state_lose_node(unsigned node);

/* Has the courier bring main's messages here. In main's process, before the courier starts. */
void pool_state_announce(void);

#endif

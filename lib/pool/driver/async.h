/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps that run by themselves: one thread of a pool's driver drives all of them, another one calls back. For pool/
 * only.
 *
 * An async_map belongs to whoever submits it until async_submit(), then to the driver until its `ended` has been
 * called, which is the last that the driver does with it. */
#ifndef POOL_DRIVER_ASYNC_H
#define POOL_DRIVER_ASYNC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "pool/driver/map.h"

struct async_map {
    struct async_map *next; /* in its pool's lane, or among those that run */
    uint64_t number;        /* in the order of submission to its pool */
    bool goes_on;           /* it goes on with what has begun before: nobody waits until it begins */
    struct mpm_pool *pool;
    struct map_request request;
    struct map *map; /* NULL until it runs */
    _Atomic bool is_canceled;
    /* In the driver's thread; must not block. The outcome is the callee's. */
    void (*ended)(struct async_map *map, struct map_outcome *outcome);
};

/* Puts it behind the others. The pool is in use until it has ended. MPM_ESYSTEM, if there is no thread to be had. */
int async_submit(struct async_map *map);
/* Blocks until what was submitted to the pool by now has begun: what the caller begins then comes after it. */
void async_wait_for_turn(struct mpm_pool *pool);
/* Has it end soon, with MPM_ECANCELED, unless it has. It must not be freed meanwhile. */
void async_cancel(struct async_map *map);

/* Something to be called back. */
struct async_call {
    struct async_call *next;
    void (*call)(struct async_call *call); /* may end its thread: another one goes on */
    void (*over)(
        struct async_call *call); /* it has returned, or ended its thread: the last that is done with it */
};

/* Has it called in the thread for that; in order. async_submit() has started it. */
void async_call_back(struct async_call *call);

/* Blocks until all that is to be called back by now has returned; not in the thread that calls back. */
bool async_wait_for_calls(uint64_t deadline_ns);

/* Ends the threads, when no pool is left. */
void async_end(void);

#endif

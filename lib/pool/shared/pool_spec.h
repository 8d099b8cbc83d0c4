/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node has to know of a pool: plain bytes, which stand in arenas and travel as they are. For pool/. */
#ifndef POOL_SHARED_POOL_SPEC_H
#define POOL_SHARED_POOL_SPEC_H

#include <stdint.h>

#include "node/function.h"

/* What the node pool has a worker killed for, on its item's account. */
enum item_limit { LIMIT_NONE, LIMIT_TIME, LIMIT_MEMORY };

struct pool_spec {
    uint64_t id;                 /* unique in the run, from 1 */
    struct function initializer; /* an mpm_initializer */
    struct function finalizer;   /* an mpm_finalizer */
    uint32_t has_initializer;    /* whether there is one */
    uint32_t has_finalizer;      /* whether there is one */
    uint32_t max_attempts;       /* runs that an item gets whose worker dies in it */
    uint32_t
        worker_timeout_s; /* how long it goes on on a node where it has no worker, and none can be forked */
    uint64_t max_tasks_per_worker; /* UINT64_MAX: any number */
    double item_timeout_s;         /* 0: any time */
    uint64_t item_memory_bytes;    /* 0: any memory */
    double setup_timeout_s;        /* of the initializer, and of the finalizer; 0: any time */
    uint64_t argument_size;        /* of the initializer's argument: bytes behind the struct */
};

/* Workers whose finalizers have ended badly: how many, of each enum bad_end. */
struct bad_ends {
    unsigned late, crashed;
};

#endif

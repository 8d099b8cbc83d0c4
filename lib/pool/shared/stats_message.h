/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers of a node have done: plain bytes, which travel as they are. For pool/. */
#ifndef POOL_SHARED_STATS_MESSAGE_H
#define POOL_SHARED_STATS_MESSAGE_H

#include <stdint.h>

/* Time of the workers of a node, all together, of which they were busy with items for so long. As it is counted, from
 * any point on: what two moments differ by is what was between them. */
struct worker_time {
    uint64_t all_ns;
    uint64_t busy_ns;
};

static inline struct worker_time worker_time_between(struct worker_time before, struct worker_time now)
{
    return (struct worker_time){now.all_ns - before.all_ns, now.busy_ns - before.busy_ns};
}

struct worker_stats {
    uint64_t done, failed; /* items, and single calls */
    uint64_t busy_ns;
};

struct node_stats {
    uint64_t pool, question; /* the message's: which question it answers */
    uint64_t workers;        /* how many follow */
    uint64_t failed;         /* that no worker has failed: given up, and single calls */
    uint64_t retried;
    uint64_t call_bytes_sent, call_bytes_received;
    struct worker_stats worker[];
};

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about pools, between main and the leaders of other nodes. See net/message.h. For pool/ and
 * run/messages.c. */
#ifndef POOL_SHARED_MESSAGE_H
#define POOL_SHARED_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/message.h"
#include "pool/shared/stats_message.h"

enum pool_message {
    /* From main */
    MESSAGE_POOL_OPEN =
        40,             /* struct pool_spec of pool_spec.h, a uint32_t a rank of the node: workers there, then
                             * the initializer's argument */
    MESSAGE_POOL_CLOSE, /* struct message_pool */
    MESSAGE_JOB_OPEN,   /* struct message_job, struct job_spec of job_spec.h, then the context */
    MESSAGE_JOB_CLOSE,  /* struct message_job */
    MESSAGE_LEASE,      /* struct message_lease, then its items */
    MESSAGE_RECALL,     /* struct message_lease: its numbers only */
    MESSAGE_POOL_ASKED, /* struct message_question: what the workers have done */
    MESSAGE_IDLE_ASKED, /* struct message_pool: to be told once, when a worker has nothing to do */
    /* To main */
    MESSAGE_POOL_STATS,  /* struct node_stats of stats.h, then its workers */
    MESSAGE_IDLE,        /* struct message_pool: a worker has nothing to do */
    MESSAGE_POOL_STATE,  /* struct message_trouble with the pool: status 0 when it is ready */
    MESSAGE_POOL_CLOSED, /* struct message_pool */
    MESSAGE_JOB_FAILED,  /* struct message_trouble with the job */
    MESSAGE_JOB_CLOSED,  /* struct message_job: no worker of the node is in it any more */
    MESSAGE_CLAIMED,  /* struct message_lease: its numbers only; all of it is claimed, and some is not done */
    MESSAGE_RETURNED, /* struct message_lease: `count` is what the node keeps */
    MESSAGE_RESULTS,  /* struct message_results, failure_entry of failure_list.h, texts, results */
};

struct message_pool {
    uint64_t pool;
    uint64_t now;  /* of a close: 1 if the workers are to be killed */
    uint64_t late; /* of what is closed: struct bad_ends */
    uint64_t crashed;
};

struct message_job {
    uint64_t pool;
    uint64_t job;
    uint64_t is_awaited; /* of a close: 1 if main wants to know when it is closed */
};

struct message_lease {
    uint64_t pool;
    uint64_t job;
    uint64_t lease;
    uint64_t first;
    uint64_t count;
};

struct message_results {
    struct message_lease lease; /* `count` is how many items are done */
    uint64_t failure_count;
    uint64_t text_size;        /* bytes of the failures' texts */
    uint64_t failures_untold;  /* as node_lease_failures_untold() */
    uint64_t longest_claim_ns; /* of the job on that node until now; 0: none is known */
    struct worker_time time;   /* of the node's workers since the job began there */
};

#define MESSAGE_RESULTS_ALIGNMENT 16u

/* What follows on texts of so many bytes. */
static inline size_t message_padding(uint64_t text_size)
{
    return -text_size % MESSAGE_RESULTS_ALIGNMENT;
}

struct message_question {
    uint64_t pool;
    uint64_t question; /* the reply tells it */
};

struct message_trouble {
    uint64_t pool;
    uint64_t job;
    int64_t status;
    char text[]; /* and a null byte, with which the message ends */
};

static inline bool message_is_trouble(const struct message_trouble *message, size_t size)
{
    return size > sizeof *message && !((const char *)message)[size - 1];
}

#endif

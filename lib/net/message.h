/* SPDX-License-Identifier: BSD-3-Clause */
/* All that couriers say to each other: kinds of message, and what stands in each, byte for byte. All ranks
 * are of one build (topology_check_build), so these are plain structs; a receiver checks every length all the
 * same. What a message carries of variable length follows its struct. For net/ and the layers above it. */
#ifndef NET_MESSAGE_H
#define NET_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#define MESSAGE_TEXT_SIZE 512
#define MESSAGE_LIMIT     ((size_t)0x7fffff00) /* bytes of the longest: MPI counts those of a frame by an int */

/* How long a message is where another one follows it in a frame, or a group of operations. */
static inline size_t message_padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

enum message_kind {
    /* From main */
    MESSAGE_END,        /* struct message_end: the run is over */
    MESSAGE_POOL_OPEN,  /* struct pool_spec of pool/pool_spec.h, a uint32_t a rank of the node: workers there,
                         * then the initializer's argument */
    MESSAGE_POOL_CLOSE, /* struct message_pool */
    MESSAGE_JOB_OPEN,   /* struct message_job, struct job_spec of pool/job_spec.h, then the context */
    MESSAGE_JOB_CLOSE,  /* struct message_job */
    MESSAGE_LEASE,      /* struct message_lease, then its items */
    MESSAGE_RECALL,     /* struct message_lease: its numbers only */
    MESSAGE_POOL_ASKED, /* struct message_question: what the workers have done */
    MESSAGE_IDLE_ASKED, /* struct message_pool: to be told once, when a worker has nothing to do */
    MESSAGE_LOG_LEVEL,  /* uint32_t: enum mpm_log_level */
    /* To main */
    MESSAGE_POOL_TALLY,  /* struct node_tally of pool/tally.h, then its workers */
    MESSAGE_IDLE,        /* struct message_pool: a worker has nothing to do */
    MESSAGE_NODE_FAILED, /* struct message_trouble: something is gone that the run needs */
    MESSAGE_HOST_LOST,   /* struct message_host_lost */
    MESSAGE_POOL_STATE,  /* struct message_trouble with the pool: status 0 when it is ready */
    MESSAGE_POOL_CLOSED, /* struct message_pool */
    MESSAGE_JOB_FAILED,  /* struct message_trouble with the job */
    MESSAGE_CLAIMED,  /* struct message_lease: its numbers only; all of it is claimed, and some is not done */
    MESSAGE_RETURNED, /* struct message_lease: `count` is what the node keeps */
    MESSAGE_RESULTS,  /* struct message_results, then the failures, then the results */
    /* Between any two */
    MESSAGE_CALL,          /* struct message_call, then what the verb takes */
    MESSAGE_CANCEL,        /* struct message_call of a call whose caller has died, or takes it back; then the
                            * beginning of what the verb takes, of one that is taken back */
    MESSAGE_DOUBTED,       /* struct message_call: whether it is wanted still; its numbers only */
    MESSAGE_WANTED,        /* the same: the answer, if it is */
    MESSAGE_ARRIVED,       /* struct message_call: the answer to it has arrived; its numbers only */
    MESSAGE_REPLY,         /* struct message_reply, then what the verb gives */
    MESSAGE_POSTED,        /* struct message_posted, then the operations: see object/post.c */
    MESSAGE_POSTED_DONE,   /* struct message_posted_done: the answer */
    MESSAGE_CREDIT,        /* struct message_credit: the receiver may post to the object */
    MESSAGE_RECALL_CREDIT, /* struct message_credit: it may not any more, and is to say so */
    MESSAGE_CREDIT_BACK,   /* struct message_credit: the answer */
    MESSAGE_PROCESS_ENDED, /* struct message_process_ended: one that may have daemons there */
    MESSAGE_PROCESS_ASKED, /* nothing, to main: a process of this node has started a process somewhere */
    /* Between couriers themselves */
    MESSAGE_BEAT,    /* nothing: the sender is there */
    MESSAGE_LEAVING, /* nothing: the sender says no more */
    MESSAGE_LARGE,   /* uint64_t: a message of so many bytes follows in pieces */
    MESSAGE_KINDS,
};

struct message_end {
    uint64_t is_lost; /* 1: a node is lost, so that the end is not agreed on */
};

struct message_pool {
    uint64_t pool;
    uint64_t now;  /* of a close: 1 if the workers are to be killed */
    uint64_t late; /* of what is closed: workers that were killed in finalizers which took too long */
};

struct message_job {
    uint64_t pool;
    uint64_t job;
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
    uint64_t failures_untold; /* as held_lease_failures_untold() */
};

struct message_question {
    uint64_t pool;
    uint64_t question; /* the answer tells it */
};

struct message_trouble {
    uint64_t pool;
    uint64_t job;
    int64_t status;
    char text[MESSAGE_TEXT_SIZE];
};

struct message_host_lost {
    uint32_t rank;
    int32_t wait_status; /* of its host, as waitpid gives it */
};

/* What a call on an object of another node asks for. */
enum call_verb {
    VERB_PROCESS_START,
    VERB_PROCESS_JOIN,
    VERB_PROCESS_SIGNAL,
    VERB_PROCESS_LOOK,
    VERB_PROCESS_CLOSE,
    VERB_WAIT_ANY, /* on a node: takes handles of objects there; gives a byte for each: 1 if it is ready */
    VERB_VALUE_UPDATE,
    VERB_VALUE_DESTROY,
    VERB_ARRAY_UPDATE,
    VERB_ARRAY_COPY,
    VERB_ARRAY_DESTROY,
    VERB_BYTES_UPDATE,
    VERB_BYTES_DESTROY,
    VERB_QUEUE_PUT,
    VERB_QUEUE_GET,
    VERB_QUEUE_LOOK,
    VERB_QUEUE_CLOSE,
    VERB_QUEUE_TASK_DONE,
    VERB_QUEUE_JOIN,
    VERB_QUEUE_DESTROY,
    VERB_SYNC,     /* any of sync/ask.h */
    VERB_OWN_LOCK, /* takes whether to make it (8 bytes); gives its handle */
    VERB_PIPE_SEND,
    VERB_PIPE_RECEIVE,
    VERB_PIPE_POLL,
    VERB_PIPE_CLOSE,
    VERB_PIPE_HOLD,
    VERB_PIPE_TRANSFER,
    CALL_VERBS,
};

struct message_call {
    uint32_t slot;   /* of the caller, on its node */
    uint32_t serial; /* of the call in that slot */
    uint32_t verb;
    uint32_t is_timed; /* 1: its caller may take it back; of a cancel: it does */
    double timeout_s;
    uint64_t handle[2]; /* an mpm_handle */
};

struct message_posted {
    uint64_t bytes; /* that it takes of the sender's tray */
};

/* Like operations, of which `count` things of `size` bytes follow, padded to 8. */
struct message_posted_group {
    mpm_handle handle;
    uint32_t verb; /* enum post_verb */
    uint32_t size;
    uint64_t count;
    uint64_t cost; /* bytes of the tray */
};

struct message_posted_done {
    uint64_t arrived, done; /* bytes as above: of one message, and of what is done or given up */
};

struct message_credit {
    mpm_handle handle;
    uint64_t limit; /* of indices */
};

/* Of the sender's processes in that place, up to that generation. */
struct message_process_ended {
    uint32_t place;
    uint32_t generation;
};

struct message_reply {
    uint32_t slot, serial;
    int32_t status;
    uint32_t asks; /* 1: the home wants to be told when it has arrived */
    char text[MESSAGE_TEXT_SIZE];
};

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process knows of its run. run/ writes it as it starts and ends the run; what is atomic may change meanwhile,
 * as it says. Whoever is forked has it as it was. For node/context.c, node/drain.c, node/enter.c, node/node_info.c,
 * node/alloc.c and run/.
 *
 * The node area, in the arena: `broken` goes 0, 1 (somebody writes the sentence), 2 (it can be read), by compare and
 * swap. Whoever dies at 1 is a rank, and the run ends with it. */
#ifndef NODE_CONTEXT_INSIDE_H
#define NODE_CONTEXT_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/error.h"
#include "net/message.h"
#include "net/topology.h"
#include "net/transport.h"
#include "shm/arena.h"
#include "shm/eventcount.h"

struct node_area {
    struct eventcount doorbell;
    _Atomic uint32_t canary;
    _Atomic uint32_t log_level; /* enum mpm_log_level */
    _Atomic uint32_t broken;    /* 0, 1: being written, 2: what follows can be read */
    _Atomic uint32_t
        is_lost; /* 1: the run ends without MPI; by the leader's courier, before fork servers are told to end */
    _Atomic uint32_t
        leaves_launcher; /* 1: the run goes on elsewhere, so this node's end is its own; by the same */
    _Atomic uint32_t is_closing; /* 1: the leader's courier has ended */
    _Atomic uint32_t
        is_draining; /* an enum drain_cause; by any process of the node, also in a signal handler */
    int32_t broken_status;
    char broken_sentence[MESSAGE_TEXT_SIZE];
};

struct context {
    pid_t pid;         /* of the rank; a forked process has another */
    _Atomic bool runs; /* also written by the fork handler, in a child that the program has forked itself */
    bool is_main;
    bool outlives_nodes; /* the run goes on when another node than main's is lost */
    uint32_t number;     /* of the process's runs, from 1 */
    const struct transport *transport;
    struct topology topology;
    struct config config;
    struct arena *arena;
    struct node_area *area;
    uint64_t *arena_sizes;     /* by rank */
    _Atomic bool ending;       /* mpm_finalize() has begun: nothing new is begun */
    _Atomic bool exiting;      /* exit() has been called without mpm_finalize() */
    _Atomic unsigned inside;   /* calls between context_enter and context_leave */
    struct eventcount someone; /* has left */
};
extern struct context context;

/* The calling rank. */
static inline const struct rank_info *context_own_rank(void)
{
    return &context.topology.ranks[context.topology.rank];
}

/* Whether the calling thread cannot end the run, because that waits for it: what it is in then; NULL: it can. */
const char *context_why_not_end(void);
/* Sees that no other thread is in the run when that is taken down: calls fail with the sentence from here on. One that
 * sits in a function of the program, which its map calls for progress, is not waited for without end. */
void context_send_others_out(const char *sentence);
/* The calling thread goes on in spite of exit(), whatever it calls. */
void context_stay_inside(void);

#endif

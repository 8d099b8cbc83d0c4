/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts, and the processes that they fork.
 *
 * Every rank forks one host, in mpm_init. It has one thread, never calls MPI, and does nothing but fork
 * processes that somebody of its node wants, reap them, and tell how they ended. It dies with its rank, and
 * its processes die with it: the kernel sees to both (PR_SET_PDEATHSIG).
 * All that it and others say to each other stands in the arena: see host.c for who writes what.
 *
 * For core/ and the layers above it. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/arena.h"
#include "shm/wait_word.h"

enum process_state {
    PROCESS_FREE,     /* the record is nobody's */
    PROCESS_RESERVED, /* somebody is filling it in */
    PROCESS_WANTED,   /* the host is asked to fork it */
    PROCESS_RUNNING,
    PROCESS_ENDED, /* `wait_status` tells how; whoever wanted it sets it free */
};

/* What becomes of a process that has ended. */
enum process_fate {
    PROCESS_IS_OVER,      /* its record waits for whoever wanted it */
    PROCESS_COMES_AGAIN,  /* it is forked anew */
    PROCESS_IS_FORGOTTEN, /* its record is free: nobody asks for it */
};

/* A process of a node. `wait_status` is what waitpid gave; if it could not be forked, `fork_errno` is not 0.
 */
struct process_record {
    _Atomic uint32_t state; /* enum process_state */
    uint32_t host;          /* rank in node */
    _Atomic int32_t pid;
    int32_t wait_status;
    int32_t fork_errno;
    uint32_t argument_index; /* for the entry */
    uint64_t argument;       /* for the entry: an offset in the arena */
    int64_t entry;           /* int entry(struct process_record *), in the new process: its exit status */
    int64_t ended;           /* process_ended, in the host, once it is reaped */
    struct wait_word changed;
};

typedef int process_entry(struct process_record *process);
typedef enum process_fate process_ended(struct process_record *process);

/* The hosts of a node, in its arena. */
struct host_area;

/* Makes the area for `host_count` hosts, and hangs it into the arena. By the leader, once. MPM_ENOMEM. */
int host_area_create(struct arena *arena, unsigned host_count);
struct host_area *host_area_of(struct arena *arena);

/* Forks the host of rank `rank_in_node`, and returns when it is ready. From a thread that lives until the end
 * of the run. MPM_ESYSTEM. */
int host_start(struct arena *arena, unsigned rank_in_node);

/* Blocks until the host of the calling rank has ended; it need not have been told to.
 * true if it ended because it was told. `how`: out, words like "was killed by SIGKILL". */
bool host_wait(struct arena *arena, unsigned rank_in_node, char *how, size_t how_size);

/* Tells all hosts of the node to kill what they have and to end. Any process of the node. */
void host_end_all(struct arena *arena);
/* Whether somebody has. */
bool host_is_ending(struct arena *arena);

/* Asks host `rank_in_node` for a process that runs `entry`, a function of libmpmap. `ended` may be NULL: it
 * is over then. `process`: out, its number. It does not wait for the fork. MPM_ENOMEM. Any process of the
 * node. */
int host_spawn(struct arena *arena, unsigned rank_in_node, process_entry *entry, process_ended *ended,
               uint64_t argument, uint32_t argument_index, uint32_t *process);
struct process_record *process_at(struct arena *arena, uint32_t process);
/* Blocks until it has ended, or the deadline has come (false). */
bool process_wait(struct process_record *process, uint64_t deadline_ns);
/* Sets an ended process's record free. */
void process_release(struct process_record *process);

/* Puts the words for a waitpid status into `text`: "was killed by SIGSEGV", "exited with code 3".
 * Returns `text`. */
char *describe_wait_status(int wait_status, char *text, size_t size);

#endif

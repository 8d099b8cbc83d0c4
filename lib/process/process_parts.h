/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files about processes share: what stands in records, and looks at them. For process/process*.c. */
#ifndef PROCESS_PROCESS_PARTS_H
#define PROCESS_PROCESS_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "forkserver/forkserver.h"
#include "node/function.h"
#include "object/method.h"
#include "shm/arena.h"
#include "shm/index_set.h"

#define PROCESS_NAME_SIZE 64

enum process_leaving { PROCESS_LEAVES_DAEMONS = 1, PROCESS_LEAVES_THREAD_REF = 2 };

/* What a process's record says of it. */
struct process_about {
    mpm_handle parent; /* zero if that is main */
    uint32_t is_daemon;
    _Atomic uint32_t leaves; /* what others must be told of when it dies: enum process_leaving */
    char name[PROCESS_NAME_SIZE];
};
_Static_assert(sizeof(struct process_about) <= PROCESS_ABOUT_SIZE, "a record must have room for it");

/* A node's, in its arena: made by the leader before fork servers are forked. */
struct process_table {
    struct index_set dead_parents; /* records whose dead may have daemons on other nodes: for the courier */
    _Atomic uint64_t started;      /* processes that were asked for at this node */
    _Atomic uint32_t has_asked;    /* a process of this node has asked for one, here or elsewhere */
    _Atomic uint32_t asked[];      /* by node: how many processes of this node have asked for there */
};

struct process_table *process_table_of(struct arena *arena);

/* Records. */

/* What a record says at one moment: its word. */
uint64_t process_read_about(struct process_record *record, struct process_about *about);
_Atomic uint32_t *process_leaves_of(struct process_record *record);
/* For the process itself, and who reaps it. */
const char *process_name_in(const struct process_record *record);
/* Whether it is there and has not ended. */
bool process_is_live(uint64_t word);
mpm_handle process_handle_of(uint32_t number, uint64_t word);
bool process_is_same(const mpm_handle *one, const mpm_handle *other);
/* In main: its first process is number 1 of the run. */
void process_forget_children(void);
/* The record of the calling process: a process or a pool's worker; NULL in main. Its handle: zero in main. */
struct process_record *process_own_record(void);
mpm_handle process_own_handle(void);
/* MPM_EINVAL if the place for a result is NULL. */
int process_check_place(const char *call, const void *place);
/* The record that a handle of this node names, and its word. MPM_EINVAL, MPM_ESTALE. */
int process_find_record(const mpm_handle *handle, struct process_record **record, uint64_t *word);

/* Looking. */

struct process_look {
    enum process_state state;
    int32_t pid, wait_status, fork_errno;
    uint32_t is_users; /* 0: it is a worker of a pool */
    struct process_about about;
    struct fork_limits limits; /* if there is a fork_errno: those of its node */
};
_Static_assert(sizeof(struct process_look) <= METHOD_OUT_LIMIT,
               "it is had of another node without memory for it");

/* What there is to know of a process of any node, once it was forked. */
int process_look(const mpm_handle *handle, struct process_look *look);
/* Of a process of this node: CALL_MUST_WAIT until it has ended. */
int process_look_at_end(const mpm_handle *handle);

/* Methods: of processes, */
enum { PROCESS_LOOK, PROCESS_JOIN, PROCESS_SIGNAL, PROCESS_CLOSE, PROCESS_METHODS };
extern const struct method process_methods[];
method_try process_try_look, process_try_join, process_late_join, process_try_signal, process_try_close;
bool process_signal_makes_sense(const mpm_handle *handle, const struct invocation *invocation);

/* and of nodes: by enum node_method, from NODE_START_PROCESS on. */
extern const struct method node_methods[];
#define PROCESS_NODE_METHOD(verb) (&node_methods[(verb)-NODE_START_PROCESS])
method_try process_try_start, process_try_children, process_try_is_over;

/* What goes to start one; its args follow. */
struct process_start {
    struct process_about about;
    struct function target;
    char identity[PROCESS_NAME_SIZE];
};
_Static_assert(sizeof(struct process_start) <= METHOD_IN_LIMIT, "it is the fixed part of a call");

#endif

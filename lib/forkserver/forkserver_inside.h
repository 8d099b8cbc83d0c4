/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands in the arena of a node for its fork servers, and the parts that they are made of: record.c (process
 * records, and what anybody may ask of a fork server), child_setup.c (what a new process makes of itself), offspring.c
 * (what processes start themselves) and forkserver.c (the fork servers). Who writes what: see forkserver.c. For
 * forkserver/. */
#ifndef FORKSERVER_FORKSERVER_INSIDE_H
#define FORKSERVER_FORKSERVER_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "forkserver/forkserver.h"
#include "shm/index_set.h"

#define SEGMENT_RECORDS    64u         /* process records are made so many at a time */
#define MAX_SEGMENTS       1024u       /* so at most 65536 processes a node */
#define RECORD_GENERATIONS 0xf0000000u /* of a record, until it is retired */
#define MAX_PROCESSES      (SEGMENT_RECORDS * MAX_SEGMENTS)
_Static_assert(MAX_PROCESSES == INDEX_SET_SIZE, "a fork server is asked for processes by an index set");

struct forkserver_record {
    _Atomic int32_t pid;
    _Atomic uint32_t ready;     /* the fork server is in its loop */
    struct eventcount doorbell; /* the fork server's */
    _Atomic uint32_t load;      /* processes that it has: the fork server's */
    struct index_set wanted;    /* processes that the fork server is asked to fork, or to send signals to */
    _Atomic uint64_t given;     /* to a spare */
    struct eventcount spare;    /* spares sleep here */
    _Atomic int32_t spare_pid;
    _Atomic uint32_t lost; /* the rank's, as is the next */
    int32_t wait_status;
};

struct forkserver_area {
    uint32_t forkserver_count;
    uint32_t generation; /* that a record begins with: constant */
    _Atomic uint32_t ending;
    _Atomic uint64_t segment[MAX_SEGMENTS]; /* offsets of SEGMENT_RECORDS process records each */
    struct index_set free;                  /* records that are free; see record.c */
    struct eventcount forkserver_ready;
    struct forkserver_record forkserver[];
};

/* The word of a record; its `starter` is the number of who reserves it. */
static inline uint64_t word_of(uint32_t generation, uint32_t starter, enum process_state state)
{
    return (uint64_t)generation << 32 | (uint64_t)starter << 8 | state;
}

static inline uint32_t starter_of(uint64_t word)
{
    return (uint32_t)word >> 8;
}

/* What stands in `pid` of a record. */
static inline uint64_t pid_word_of(uint32_t generation, pid_t pid)
{
    return (uint64_t)generation << 32 | (uint32_t)pid;
}

/* An address in libmpmap as a distance from one that is the same in all processes that run this build. */
int64_t forkserver_distance_of(void (*function)(void));
void (*forkserver_function_at(int64_t distance))(void);

/* The calling process has this number from here on: see process_own_number(). */
void forkserver_set_own_number(uint32_t number);
/* Another state of the same generation; nobody starts it any more. */
void forkserver_set_state(struct process_record *process, enum process_state state);
/* The record is free from here on: after the store that says so. */
void forkserver_note_free(struct arena *arena, const struct process_record *process);
/* Has the fork server look at the record. */
void forkserver_call(struct arena *arena, unsigned rank_in_node, uint32_t process);

/* Undoes what the program and MPI have set for signals, but for what forkserver_note_ignored_signals() has noted. */
void child_setup_signals(void);
/* Blocks all signals, or none. */
void child_setup_mask(bool all_blocked);
/* The fork server's: signals of the terminal or of a batch system are its rank's affair. */
void child_setup_leave_to_rank(void);
/* The fork server's: what comes by stdin is its rank's, also what that has in its buffer. The fork server's
 * processes read nothing. */
void child_setup_leave_stdin_to_rank(void);
/* In a new process: takes back the handlers of the fork server. */
void child_setup_drop_handlers(void);
/* In a new process, which has the fork server's signals and all of them blocked: what comes until here is kept, not
 * ignored. */
void child_setup_take_signals(bool is_users);
/* Ties this process's thread token to the one that has forked it: it gets that signal when that one dies. */
void child_setup_die_with(pid_t parent, int signal_number);
/* In the fork server: what every process has from it. */
void child_setup_for_copies(void);
/* What every process begins with, whichever it is. */
void child_setup_in(pid_t forkserver);
/* In the rank, before it forks the fork server: its process group is that of all that the fork server forks. */
void child_setup_note_group(void);
/* In the fork server: it has a process group of its own. */
void child_setup_leave_group(void);

#endif

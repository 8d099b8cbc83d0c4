/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork servers, and the processes that they fork.
 *
 * Every rank forks one fork server, in mpm_init. It has one thread, never calls MPI, and does nothing but fork
 * processes that somebody of its node wants, reap them, and tell how they ended. The kernel tells it when its rank has
 * died (PR_SET_PDEATHSIG): it kills all that is left, and ends. Its processes die with it by the same means. If it dies
 * alone, its rank reaps them and tells how they ended; it forks no others. What processes have started themselves ends
 * with them: see offspring.h.
 * All that it and others say to each other stands in the arena: see forkserver.c for who writes what.
 *
 * A process record (enum process_state), and who makes each step. G: the generation goes on.
 *
 *   FREE --G--> RESERVED ----> WANTED ----> RUNNING ----> ENDED ----> FREE
 *                                ^             |
 *                                '------G------'
 *
 *   FREE -> RESERVED             reserve(): whoever wants a process
 *   RESERVED -> WANTED           want_record(), the same
 *   RESERVED -> FREE             prepare_record(), where there is no room; finish_starts(), if the starter has died
 *   WANTED -> RUNNING            process_runs()
 *   WANTED, RUNNING -> ENDED     process_is_over(), by settle(): it has ended, or could not be forked
 *   WANTED, RUNNING -> WANTED    fork_again(), want_later(): it comes again, at once or after a pause
 *   WANTED, RUNNING -> FREE      settle(): nobody asks for its end (PROCESS_IS_FORGOTTEN)
 *   ENDED -> FREE                process_close(), process_release(): whoever wanted it
 *
 * process_runs() is the fork server's or the new process's, whoever comes first. A record whose generations are used up
 * stays FREE and is not reserved again: is_retired().
 *
 * For forkserver/ and the layers above it. */
#ifndef FORKSERVER_FORKSERVER_H
#define FORKSERVER_FORKSERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/arena.h"
#include "shm/eventcount.h"

/* What could not be forked is tried again: each pause is twice the last one, and this at most. */
#define FORKSERVER_LONGEST_PAUSE_NS 1000000000u

enum process_state {
    PROCESS_FREE,     /* the record is nobody's */
    PROCESS_RESERVED, /* somebody is filling it in */
    PROCESS_WANTED,   /* the fork server is asked to fork it */
    PROCESS_RUNNING,
    PROCESS_ENDED, /* `wait_status` tells how; whoever wanted it sets it free */
};

/* How a process is to be. */
enum process_flag {
    PROCESS_OWNS_ARGUMENT = 1, /* `argument` is a block that is freed when the process has ended */
    PROCESS_IS_USERS = 2,      /* SIGINT ends it, as any program; pools' workers leave that to their rank */
    PROCESS_IS_WORKER = 4,     /* `argument` is the board of its pool */
};

#define PROCESS_ABOUT_SIZE 128

/* What becomes of a process that has ended, or could not be forked. */
enum process_fate {
    PROCESS_IS_OVER,      /* its record waits for whoever wanted it */
    PROCESS_COMES_AGAIN,  /* it is forked anew */
    PROCESS_IS_FORGOTTEN, /* its record is free: nobody asks for it */
    PROCESS_WAITS, /* it is forked after a while; if that fails, it is asked again what becomes of it */
};

/* A process of a node. `wait_status` is what waitpid gave; if it could not be forked at the last try, `fork_errno` is
 * not 0. */
struct process_record {
    _Atomic uint64_t word;    /* see below */
    _Atomic uint64_t request; /* signals that are to be sent to it: generation << 32, and a bit for each */
    uint32_t forkserver;      /* rank in node */
    uint32_t flags;           /* enum process_flag */
    _Atomic uint64_t pid;     /* generation << 32, and its pid, once that is known */
    int32_t wait_status;
    int32_t fork_errno;
    uint32_t number;                  /* constant */
    _Atomic uint32_t records_in_hand; /* that the process is about to take or free; or more, and never less */
    uint32_t argument_index;          /* for the entry */
    _Atomic uint32_t is_thread_ref;   /* objects may name it: its own, and its reaper's, who tells others */
    struct eventcount changed;
    uint64_t argument;                          /* for the entry: an offset in the arena */
    int64_t entry;                              /* int entry(struct process_record *), in the new process */
    int64_t ended;                              /* process_ended, in the fork server, once it is reaped */
    _Alignas(8) char about[PROCESS_ABOUT_SIZE]; /* its wanter's; zeroed if it has nothing to say */
};

/* The word of a record: its generation, which goes on each time that it is reserved, or forked anew; while it
 * is RESERVED or WANTED, the number of the process that does that; and its state. */
static inline enum process_state process_state_of(uint64_t word)
{
    return (enum process_state)(word & 0xff);
}

static inline uint32_t process_generation_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

typedef int process_entry(struct process_record *process);
typedef enum process_fate process_ended(struct process_record *process);

/* The fork servers of a node, in its arena. */
struct forkserver_area;

/* Makes the area for `forkserver_count` fork servers, and hangs it into the arena. Records begin with the generation.
 * By the leader, once. MPM_ENOMEM. */
int forkserver_area_create(struct arena *arena, unsigned forkserver_count, uint32_t generation);
struct forkserver_area *forkserver_area_of(struct arena *arena);

/* Notes which signals the program ignores: its fork servers and processes will ignore them, too. Only SIGCHLD is not:
 * it is default in processes, since who ignores it cannot wait for children, and system() fails. Before MPI is started,
 * which sets signals of its own. */
void forkserver_note_ignored_signals(void);
/* The signals that begin a drain in a rank, if its program wants that. */
#define DRAIN_SIGNALS 3
extern const int drain_signals[DRAIN_SIGNALS];
/* Whether that is so: workers of pools, which get them together with their rank, ignore them then. Before fork servers
 * are forked. */
void forkserver_note_drain_signals(bool are_taken);
/* What fork servers tell of. In the fork server, or in a rank that stands in for it. */
struct forkserver_callbacks {
    /* A process with that number has died: before anybody is told. */
    void (*process_died)(uint32_t number);
    /* A process has begun or ended, and its record, of that number, says so. Of its beginning, perhaps in the
     * process. */
    void (*process_changed)(uint32_t process, bool has_ended);
    /* A fork server has died, and all of its processes have ended: it may have left out to tell of some end. In its
     * rank. */
    void (*forkserver_lost)(void);
};

/* Forks the fork server of rank `rank_in_node`, which tells of what happens by `callbacks`, and returns when it is
 * ready. From a thread that lives until the end of the run. MPM_ESYSTEM. */
int forkserver_start(struct arena *arena, unsigned rank_in_node,
                     const struct forkserver_callbacks *callbacks);

/* Blocks until the fork server of the calling rank has ended; it need not have been told to. true if it was. */
bool forkserver_wait(struct arena *arena, unsigned rank_in_node);
/* Does in the calling rank, whose forkserver_wait() has said false, what is left of the fork server's duties: reaps its
 * processes, and says of each how it ended, as of those that are wanted of it later. Blocks until the end of the
 * run. */
void forkserver_stand_in(struct arena *arena);
/* Whether a fork server has died, and will not be had again. Any process of the node. */
bool forkserver_is_lost(struct arena *arena, unsigned rank_in_node);
/* How that fork server has ended, as waitpid gave it. */
int forkserver_loss(struct arena *arena, unsigned rank_in_node);
/* Whether a fork that is under way is a fork server's or its rank's: for fork handlers. */
bool forkserver_forks(void);
/* Whether the calling process is a fork server: one that reaps and is none is a rank whose fork server has died. */
bool forkserver_is_self(void);

/* Takes back what forkserver_start() has changed in the calling rank, whose fork server has ended, or was none. */
void forkserver_leave(void);

/* Tells all fork servers of the node to kill what they have and to end. Any process of the node. */
void forkserver_end_all(struct arena *arena);
/* Whether somebody has. */
bool forkserver_is_ending(struct arena *arena);

/* What a process is to be. */
struct process_order {
    process_entry *entry; /* a function of libmpmap: its return is the exit status */
    process_ended *
        ended; /* in the fork server, once the process is reaped, or could not be forked: what becomes of it; NULL: it is over */
    uint64_t argument; /* an offset; with PROCESS_OWNS_ARGUMENT a block of the caller's own */
    uint32_t argument_index;
    uint32_t flags;
    const void *about; /* at most PROCESS_ABOUT_SIZE bytes */
    size_t about_size;
};

/* Asks fork server `rank_in_node` for a process. `process`: out, its number; `generation`: out, of its record. It
 * does not wait for the fork. MPM_ENOMEM, MPM_EFORKSERVER: the argument is the caller's still. Any process of the
 * node. */
int forkserver_order(struct arena *arena, unsigned rank_in_node, const struct process_order *order,
                     uint32_t *process, uint32_t *generation);
/* How many processes it has. */
uint32_t forkserver_load(struct arena *arena, unsigned rank_in_node);

/* Has the fork server send a signal below 32 to that generation of a process, unless it has ended by then. It is the
 * fork server that sends it, because it alone knows that the pid is still the process's. */
void process_signal(struct arena *arena, uint32_t process, uint32_t generation, int signal_number);
/* Sets an ended process's record free if it still is of that generation; false if it is not, or has not
 * ended. */
bool process_close(struct arena *arena, struct process_record *process, uint32_t generation);
/* A process's record by a number that may be none: NULL then. */
struct process_record *process_find(struct arena *arena, uint32_t process);
struct process_record *process_at(struct arena *arena, uint32_t process);
/* Has the fork server ask at once whether a process that it cannot fork now is wanted still. */
void process_reconsider(struct arena *arena, uint32_t process);
/* Sets an ended process's record free. */
void process_release(struct arena *arena, struct process_record *process);

/* The number of the calling process on its node, from 1, by which it owns things in the arena. Forked
 * processes have their record's number and 1 more, ranks have higher ones. */
extern uint32_t process_own_number_word; /* forkserver_set_own_number()'s */
static inline uint32_t process_own_number(void)
{
    return process_own_number_word;
}

/* Puts the words for a waitpid status into `text`: "was killed by SIGSEGV", "exited with code 3".
 * Returns `text`. */
char *describe_wait_status(int wait_status, char *text, size_t size);
/* The same for the errno of a fork, with the limits that may be the cause: those of the calling process, or others. */
char *describe_fork_errno(int fork_errno, char *text, size_t size);
/* And for the error of pthread_create(). */
char *describe_thread_errno(int thread_errno, char *text, size_t size);
struct fork_limits {
    uint64_t processes, group; /* UINT64_MAX: there is none */
};
struct fork_limits fork_limits_here(void);
char *describe_fork_failure(int fork_errno, const struct fork_limits *limits, char *text, size_t size);

#endif

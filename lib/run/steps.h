/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the start and the end of a run, which call each other. For run/. */
#ifndef RUN_STEPS_H
#define RUN_STEPS_H

#include <stdbool.h>
#include <stdint.h>

/* arena.c */

/* MPM_ENOMEM if a leader was given more than there can be: its processes would be killed as the arena fills. */
int run_check_arena_size(void);
/* All ranks together, from here to run_start_forkserver(). */
int run_make_arena(void);
void run_release_arena(void);
/* In main, whose threads may be in calls still: they find an end, and nothing else. */
void run_empty_arena(void);

/* forkserver.c */

int run_start_forkserver(void);
/* Main's thread that sleeps for the fork server. */
int run_start_watcher(void);
/* In a rank that is not main: sleeps until the end of the run. */
void run_sleep_with_forkserver(void);
/* Tells fork servers to end: all processes of this node but its ranks do. */
void run_end_processes(void);
/* The same, and waits for the own one, as all ranks of the node do. */
void run_end_forkservers(void);

/* guard.c */

/* From here on this rank ends if `count` says the same for the nodes' time limit: `what` is the sentence up to that
 * time. NULL: nothing is counted. Nothing where there is one node, or no time limit. */
void run_guard(const char *what, uint64_t (*count)(void));
/* The same for the start of a run, of which nothing is known yet: eight times as long, and 30 s at least. */
void run_guard_start(double node_timeout_s);
/* Nothing is guarded any more, if anything was. */
void run_unguard(void);

/* rank_watch.c */

/* Has this rank see the deaths of others of its node. MPM_ENOMEM, MPM_ESYSTEM. */
int run_watch_ranks(void);
/* No more. */
void run_unwatch_ranks(void);

/* close.c */

/* Ends the transport, which is the caller's, and all that was known of the run. Together with all other ranks, unless a
 * node is lost; whether the program goes on here then. */
bool run_close(bool is_lost);

/* serve.c */

/* In every rank: the leader's courier ends, and the others wait for that. */
void run_end_courier(void);
/* Another rank's whole thread token in the run: MPM_SERVED, or it does not return. */
int run_serve(void);

/* drain_signals.c */

/* In every rank, where the program wants it: signals begin a drain. */
void run_take_drain_signals(void);
/* They are as they were before. */
void run_give_back_drain_signals(void);

/* end.c */

/* Has the run end when the program exits. MPM_ENOMEM. */
int run_end_at_exit(void);
/* What failed on one rank has failed on all: main returns it. */
int run_undo_start(int status);

#endif

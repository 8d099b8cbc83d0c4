/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes, as the layers above see them: what the run makes for them at its start, and what fork servers tell of
 * them. For process/ and run/layers.c. */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "forkserver/forkserver.h"
#include "shm/arena.h"

/* Makes what a node knows of its processes, in a new arena. By the leader, once. MPM_ENOMEM. */
int process_table_create(struct arena *arena);
/* In every rank, before it forks anything. */
void process_begin(void);
/* In every leader, before its courier starts. */
void process_announce(void);
/* In a leader's courier: a node is lost, with all of its processes. */
void process_lose_node(unsigned node);
/* In main: waits for all processes but daemons, on all nodes that are left. */
void process_wait_for_all(void);

/* A process with this number has died; its record does not say so yet. In the fork server. */
void process_died(uint32_t number);
/* A process has begun or ended, and its record says so: see struct forkserver_callbacks. */
void process_changed(uint32_t process, bool has_ended);
/* The rank's, when a fork server has died and all of its processes have ended: tells again of all that are dead. */
void process_forkserver_lost(void);

#endif

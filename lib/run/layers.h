/* SPDX-License-Identifier: BSD-3-Clause */
/* What the layers below have to do with a run: the one place that names all of them. For run/. */
#ifndef RUN_LAYERS_H
#define RUN_LAYERS_H

#include "forkserver/forkserver.h"
#include "shm/arena.h"

/* By the leader, in a new arena, before fork servers are forked: makes what each layer has there. MPM_ENOMEM. */
int layers_create(struct arena *arena);
/* By every rank, which has attached the arena, before it forks its fork server: what all processes of the run must
 * know. What an earlier run has left is forgotten. */
void layers_begin(void);
/* By every leader, before its courier starts: who takes which message, and what else the courier does. What an earlier
 * run has left is forgotten. */
void layers_announce(void);
/* In every leader's courier: the run goes on without a node, which is noted already (node/lost_node.h). */
void layers_lose_node(unsigned node);
/* In main, by mpm_finalize, before anything else ends: waits for what was begun. */
void layers_end(void);

/* What a fork server does with what happens to its processes. */
extern const struct forkserver_callbacks layers_of_forkserver;

#endif

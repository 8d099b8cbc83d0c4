/* SPDX-License-Identifier: BSD-3-Clause */
/* Two bare processes that answer each other through shared memory: the limit of whatever goes to a worker and back. */
#ifndef MPMAP_PING_PONG_H
#define MPMAP_PING_PONG_H

#include <stdbool.h>
#include <sys/types.h>

#define PING_PONG_NAP_NS 300000 /* whoever looks on for a while sleeps by then */

struct table;

/* Forks the partner; the players sleep in the kernel, or spin. NULL if that is not to be had. */
struct table *table_open(bool sleeps, pid_t *partner);
void table_close(struct table *table, pid_t partner);
/* The ball goes to the partner and back. */
void table_play(struct table *table, bool sleeps);

/* Binds a process, or the caller for 0, to one CPU. */
void pin_to_cpu(pid_t pid, int cpu);

#endif

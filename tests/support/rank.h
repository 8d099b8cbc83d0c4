/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks, or other processes, that are stopped for a while, and their nodes with them, as far as other nodes see. For tests/ only. */
#ifndef SUPPORT_RANK_H
#define SUPPORT_RANK_H

#include <stdbool.h>

/* The pid of the rank of the calling process, which is no rank itself: its fork server's parent. 0 if it cannot be
 * found. */
int rank_of_caller(void);
/* Returns when it is stopped; false if it cannot be, or has died. */
bool rank_stop(int pid);
void rank_go_on(int pid);
/* Whether a process, any one, waits for something. */
bool process_sleeps(int pid);

#endif

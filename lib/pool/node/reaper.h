/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fork server does when a worker has died. For pool/node/ and run/layers.c. */
#ifndef POOL_NODE_REAPER_H
#define POOL_NODE_REAPER_H

#include "forkserver/forkserver.h"

/* A process with this number has died, which may be a worker: before what it owns is freed. In the fork server. */
void worker_died(uint32_t number);
/* process_ended: runs in the fork server. */
enum process_fate worker_ended(struct process_record *process);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fork server does when a worker has died. For pool/node/ only. */
#ifndef POOL_NODE_REAPER_H
#define POOL_NODE_REAPER_H

#include "forkserver/forkserver.h"

/* process_ended: runs in the fork server. */
enum process_fate worker_ended(struct process_record *process);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host does when a worker has died. For pool/node/ only. */
#ifndef POOL_NODE_REAPER_H
#define POOL_NODE_REAPER_H

#include "host/host.h"

/* process_ended: runs in the host. */
enum process_fate worker_ended(struct process_record *process);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker: what runs in a pool's forked processes. For pool/ only. */
#ifndef POOL_WORKER_WORKER_H
#define POOL_WORKER_WORKER_H

#include "forkserver/forkserver.h"

/* process_entry: argument is the board's offset, argument_index the worker's number on it. */
int worker_main(struct process_record *process);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that a rank shares with what it forks. Transports map it, and run/ ends it after the transport is closed.
 * For net/ and run/arena.c. */
#ifndef NET_SHARED_MEMORY_H
#define NET_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Maps `size` bytes, zeroed and not touched, which no core dump has. MPM_ENOMEM. */
int memory_map(size_t size, void **memory);
/* Leaves a mapping out of core dumps: the dump of one process would have all that its node shares. */
void memory_leave_out_of_dumps(void *memory, size_t size);

/* This mapping is the run's from here on. */
void memory_keep(void *memory, size_t size);

/* Unmaps the run's, if there is one. */
void memory_release(void);
/* Gives its bytes back, and keeps its addresses, where zeros are from here on: for threads that may be in a call
 * still. false if there is no mapping that could be emptied. */
bool memory_empty(void);

#endif

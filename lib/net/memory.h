/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that a rank shares with what it forks. For net/ only. */
#ifndef NET_MEMORY_H
#define NET_MEMORY_H

#include <stddef.h>

/* Maps `size` bytes, zeroed and not touched. MPM_ENOMEM. */
int memory_map(size_t size, void **memory);

#endif

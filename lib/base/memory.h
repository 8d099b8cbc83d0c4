/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a process has of its own, as the kernel tells. For all of lib/. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Pages in memory that are neither of a file nor shared: what it has allocated and touched. false if there is no such
 * process, or /proc cannot be read: errno says why. */
bool memory_own_pages(pid_t pid, uint64_t *pages);
uint64_t memory_page_size(void);

#endif

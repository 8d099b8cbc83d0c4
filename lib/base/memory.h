/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a process has of its own, as the kernel tells, and how it is to be had where it is much. For all of
 * lib/. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Pages in memory that are neither of a file nor shared: what it has allocated and touched. false if there is no such
 * process, or /proc cannot be read: errno says why. */
bool memory_own_pages(pid_t pid, uint64_t *pages);
uint64_t memory_page_size(void);

/* Memory of malloc's that is about to be written from end to end: where it is long, the kernel is asked for large
 * pages, since a fault for each small one costs as much as the copy. Where it has none nothing happens. */
void memory_expect_all(void *memory, size_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that all processes of a run share, on all virtual nodes of a machine. For tests/ only. */
#ifndef SUPPORT_SHARED_FILE_H
#define SUPPORT_SHARED_FILE_H

#include <stddef.h>

/* Maps a file that all ranks of a run find: call it before mpm_init, so that workers inherit the mapping. It is
 * zeroed, and gone at the end. Never NULL: without it the test program ends. */
void *shared_file(const char *name, size_t size);

#endif

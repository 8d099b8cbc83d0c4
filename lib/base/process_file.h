/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files that the kernel has of a process, in /proc. For all of lib/. */
#ifndef BASE_PROCESS_FILE_H
#define BASE_PROCESS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads the first `size` - 1 bytes of /proc/PID/NAME, and terminates them. false if there is no such process, or the
 * file cannot be read or is empty: errno says why. Allocates nothing. */
bool process_file_read(pid_t pid, const char *name, char *text, size_t size);

#endif

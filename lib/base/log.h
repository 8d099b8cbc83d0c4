/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library says unasked: one line a message on stderr, written whole, so that lines of different
 * processes do not mix. Only processes that have nobody to return an error to (fork servers, workers, ranks other
 * than main, couriers) log errors; all else is for those who ask for it: MPMAP_LOG, mpm_log_to_stderr(). For all of
 * lib/. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "mpmap/runtime.h"

/* Who speaks: "mpmap: NAME: " stands before each line. Before other threads run. */
void log_open(enum mpm_log_level level, const char *name);
/* The level is this one's from here on: that of all processes that share it. NULL: it is the process's own again. */
void log_share(_Atomic uint32_t *level);
/* What is said from here on. */
void log_set_level(enum mpm_log_level level);
enum mpm_log_level log_get_level(void);

void log_write(enum mpm_log_level level, const char *format, ...) MPM_FORMAT(2, 3);

#endif

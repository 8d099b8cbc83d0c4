/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library says unasked: one line a message on stderr, written whole, so that lines of different
 * processes do not mix. Only processes that have nobody to return an error to (hosts, workers, ranks other
 * than main, couriers) log errors; all else is for MPMAP_LOG=info or debug. For all of lib/. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "mpmap/api.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_INFO, LOG_DEBUG };

/* Who speaks: "mpmap: NAME: " stands before each line. Before other threads run. */
void log_open(enum log_level level, const char *name);

void log_write(enum log_level level, const char *format, ...) MPM_FORMAT(2, 3);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last error. For all of lib/. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>

#include "mpmap/status.h"

/* Keeps the sentence for mpm_error() and returns `status`, so that a call can
 * `return error_set(MPM_EINVAL, "arena size %zu is …", size);`. Keeps errno. */
int error_set(int status, const char *format, ...) MPM_FORMAT(2, 3);

/* The same, with ": " and the text of errno behind the sentence. */
int error_set_errno(int status, const char *format, ...) MPM_FORMAT(2, 3);

/* MPM_EINVAL unless `memory` can be `count` things of `size` bytes each: if it is NULL, or if no memory holds so many.
 * `what` they are, as in "items". */
int error_check_memory(const char *call, const char *what, const void *memory, uint64_t count, uint64_t size);

/* The last error is that of a call which all ranks make: rank 0 reports it, so mpm_report_error() of this one prints
 * nothing. */
void error_leave_report(void);

#endif

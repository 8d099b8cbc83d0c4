/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last error. For all of lib/. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <math.h>
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

/* MPM_EINVAL, with its sentence, for a time limit that is not a number: it would be neither in the future nor in the
 * past, so that each comparison with it decided something else. */
int error_refuse_timeout(double timeout_s);

/* Every call with a time limit asks this first, also where it then has not to wait: a program whose limit came out as
 * NaN finds that at its first call, not at the first one that is late. */
static inline int error_check_timeout(double timeout_s)
{
    return __builtin_expect(isnan(timeout_s), 0) ? error_refuse_timeout(timeout_s) : MPM_OK;
}

/* The last error is that of a call which all ranks make: rank 0 reports it, so mpm_report_error() of this one prints
 * nothing. */
void error_leave_report(void);

#endif

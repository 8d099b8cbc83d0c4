/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of an object, as one number for an assertion: 1 or 0, or the status of a call that failed. For tests/
 * only. */
#ifndef SUPPORT_PREDICATE_H
#define SUPPORT_PREDICATE_H

#include "mpmap.h"

#define PREDICATE(name, parameters, call) \
    static inline int name parameters     \
    {                                     \
        bool is_true = false;             \
        int status = call;                \
                                          \
        return status ? status : is_true; \
    }

PREDICATE(process_is_alive, (mpm_process process), mpm_process_is_alive(process, &is_true))
PREDICATE(connection_poll, (mpm_connection connection, double timeout_s),
          mpm_connection_poll(connection, timeout_s, &is_true))
PREDICATE(queue_is_empty, (mpm_queue queue), mpm_queue_is_empty(queue, &is_true))
PREDICATE(queue_is_full, (mpm_queue queue), mpm_queue_is_full(queue, &is_true))
PREDICATE(result_is_ready, (const mpm_result *result), mpm_result_is_ready(result, &is_true))
PREDICATE(result_is_successful, (const mpm_result *result), mpm_result_is_successful(result, &is_true))
PREDICATE(event_is_set, (mpm_event event), mpm_event_is_set(event, &is_true))
PREDICATE(barrier_is_broken, (mpm_barrier barrier), mpm_barrier_is_broken(barrier, &is_true))

#endif

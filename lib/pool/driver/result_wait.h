/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for the first of several results, and handles of results for mpm_wait_any. For pool/driver/ and
 * run/layers.c. */
#ifndef POOL_DRIVER_RESULT_WAIT_H
#define POOL_DRIVER_RESULT_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpmap/handle.h"

/* A result that was made ready by now, sequentially consistent. Wakes those that wait for any of several. */
void result_wait_is_ready(void);
/* The handle of a result that is ready when `is_ready` is. `place` is the result's, 0 at first. MPM_ENOMEM. */
int result_wait_handle(const _Atomic bool *is_ready, uint64_t *place, mpm_handle *handle);
/* Before the result is freed: the handle is stale. */
void result_wait_forget(uint64_t *place);

/* In every rank, before it forks anything. */
void result_wait_begin(void);

#endif

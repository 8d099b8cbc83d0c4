/* SPDX-License-Identifier: BSD-3-Clause */
/** @file wait.h  Waiting for several things at once. */
#ifndef MPMAP_WAIT_H
#define MPMAP_WAIT_H

#include <stddef.h>

#include "api.h"
#include "handle.h"

MPM_BEGIN

/** Waits until at least one of `count` objects is ready, on whatever nodes they are: a process when it has
 * ended; a connection when a receive would not have to wait, because there is a message or the other end is
 * closed or gone; a queue when a get would not have to wait, because there is a message or it is closed; an
 * event while it is set. Waits timeout_s seconds, MPM_FOREVER, or not at all for 0 and less; what is at a node that does
 * not answer in time (see the time limits of sync.h) is not ready. It takes nothing
 * from them: what is ready stays so, until somebody takes or clears it. Any process may call it, and any
 * number may wait for the same object.
 * @param handles  of the objects, in any mixture: `process.handle`, `connection.handle` …
 * @param ready    out: the places in `handles` of those that are ready, rising; room for `count`. When the
 * call begins, all that are ready; when it had to wait, all that it knows of when it wakes.
 * @param ready_count  out: how many, at least one
 * @return MPM_ETIMEDOUT if none was ready in time; MPM_EINVAL for none at all, and for what cannot be waited
 * for, as the end of a oneway pipe that sends; MPM_ECLOSED for an end of a pipe that is closed; MPM_ESTALE if
 * one of them is gone, also in the meantime; MPM_ENOMEM, MPM_ESTATE, MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_wait_any(const mpm_handle *handles, size_t count, double timeout_s, size_t *ready,
                                     size_t *ready_count);

MPM_END

#endif

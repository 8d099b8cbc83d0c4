/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for several objects at once, as the kinds of objects see it. For object/ and the layers above it. */
#ifndef OBJECT_WAIT_ANY_H
#define OBJECT_WAIT_ANY_H

#include "mpmap/handle.h"

#include "object/object.h"

/* Looks at an object of this node: 0 if it is ready, CALL_MUST_WAIT if it is not, or a status with its
 * sentence. It must not block but for short locks. Whoever makes an object ready calls object_changed(), or
 * rings the node's bell, afterwards. */
typedef int wait_any_look(const mpm_handle *handle);

/* Has objects of a kind waited for. By a rank, before it forks anything: every process of a run must know. */
void wait_any_register(enum object_kind kind, wait_any_look *look);

/* In every rank, before it forks anything. */
void wait_any_begin(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* All kinds of objects of sync/, each of which is described where its methods are. For sync/. */
#ifndef SYNC_KINDS_H
#define SYNC_KINDS_H

#include "object/method.h"

extern const struct kind lock_kind, semaphore_kind, condition_kind, event_kind, barrier_kind, queue_kind,
    value_kind, array_kind, bytes_kind, pipe_kind;

/* What a leader's courier does beside. Before it starts. */
void pipe_announce(void);

#endif

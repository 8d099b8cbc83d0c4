/* SPDX-License-Identifier: BSD-3-Clause */
/* The one place where kinds of sync/ are made known. */
#include "sync/kinds.h"

#include "sync/layer.h"

void sync_begin(void)
{
    static const struct kind *const kinds[] = {&lock_kind,    &semaphore_kind, &condition_kind, &event_kind,
                                               &barrier_kind, &queue_kind,     &value_kind,     &array_kind,
                                               &bytes_kind,   &pipe_kind};

    kind_register(kinds, sizeof kinds / sizeof *kinds);
}

void sync_announce(void)
{
    pipe_announce();
}

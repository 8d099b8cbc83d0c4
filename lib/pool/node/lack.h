/* SPDX-License-Identifier: BSD-3-Clause */
/* For how long workers have been lacking: by watch_clock.h, so that a job that is suspended while it has none does not
 * lose its pool as it goes on. For pool/node/reaper.c. Who writes what is told in board.h. */
#ifndef POOL_LACK_H
#define POOL_LACK_H

#include <stdbool.h>
#include <stdint.h>

#include "forkserver/forkserver.h"
#include "pool/node/watch_clock.h"
#include "pool/shared/board.h"

/* Another worker for the record cannot be had at now_ns. */
static inline void lack_look(struct worker_record *record, uint64_t now_ns)
{
    uint64_t lacking_ns = atomic_load(&record->lacking_ns);
    struct watch_clock clock = {lacking_ns, lacking_ns ? record->lacking_looked_ns : 0};

    lacking_ns = watch_clock_look(&clock, now_ns, FORKSERVER_LONGEST_PAUSE_NS);
    record->lacking_looked_ns = clock.looked_ns;
    atomic_store(&record->lacking_ns, lacking_ns);
}

/* Whether all workers that the board has are lacking, and have been for so long. */
static inline bool lack_has_lasted(const struct board *board, uint64_t limit_ns)
{
    for (uint32_t i = 0; i < board->worker_count; i++) {
        if (atomic_load(&board->worker[i].state) != WORKER_GONE &&
            atomic_load(&board->worker[i].lacking_ns) < limit_ns)
            return false;
    }
    return true;
}

#endif

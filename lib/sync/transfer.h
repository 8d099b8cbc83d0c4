/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfers: long messages that cross between nodes in pieces, in memory of the home's courier. One that
 * comes is gathered there and sent into the pipe when it is whole; one that goes has been received from the
 * pipe, and is fetched from there. What its caller leaves when it dies is freed when the home is told of the
 * death. In the courier only. For sync/. */
#ifndef SYNC_TRANSFER_H
#define SYNC_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "object/thread_ref.h"

struct transfer {
    struct transfer *next;
    uint64_t number;
    struct thread_ref thread_ref; /* whose it is */
    size_t size, done;
    _Alignas(8) char bytes[];
};

/* Room for `size` bytes. MPM_ENOMEM, also for more than the arena could ever hold. */
int transfer_begin(const struct thread_ref *thread_ref, size_t size, struct transfer **transfer);
/* The caller's one with that number. MPM_EPROTOCOL if there is none. */
int transfer_find(const struct thread_ref *thread_ref, uint64_t number, struct transfer **transfer);
void transfer_end(struct transfer *transfer);
/* Of an earlier run. */
void transfer_forget_all(void);
void transfer_end_of_dead(const struct thread_ref_death *death);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns: what is done while calls of other nodes wait; see the header. */
#include "object/fairness.h"

#include <assert.h>

#include "base/thread_role.h"
#include "node/context.h"
#include "shm/kill_point.h"

bool fairness_stands_back(const struct object *object, unsigned side, enum turn turn)
{
    return turn == FAIRNESS_IS_BEHIND || (turn == FAIRNESS_STANDS_BACK && fairness_is_remote(object, side));
}

bool fairness_took(struct object *object, unsigned side, enum turn turn, uint64_t messages)
{
    uint32_t bypasses = (uint32_t)atomic_load_explicit(&object->turn[side], memory_order_relaxed);
    uint32_t left = FAIRNESS_BYPASSES - bypasses;

    KILL_POINT();
    if (turn == FAIRNESS_IS_OWN)
        atomic_fetch_sub(&object->turn[side], bypasses);
    else
        atomic_fetch_add(&object->turn[side], messages < left ? messages : left);
    KILL_POINT();
    return turn == FAIRNESS_IS_OWN && !left;
}

void fairness_tell(struct object *object, unsigned wait, bool turn_ends, bool stands_back)
{
    /* Between fairness_took() and the wake. Pairs with the fence in sleep_until_ready(), invoke.c: without, one that
     * stood back sleeps on though the turn has ended. */
    atomic_thread_fence(memory_order_seq_cst);
    if (turn_ends)
        object_wake(&object->wait[wait]);
    if (stands_back)
        eventcount_notify(context_doorbell());
}

void fairness_note_waiting(const mpm_handle *handle, unsigned side, int change)
{
    struct object *object = object_record(handle);
    uint64_t before;

    assert(thread_is(THREAD_COURIER));
    if (!object)
        return;
    before = atomic_fetch_add(&object->turn[side], (uint64_t)change * FAIRNESS_ONE_WAITING);
    /* Pairs with the fence in sleep_until_ready(), invoke.c: without, those who stood back for the last call sleep
     * on. */
    atomic_thread_fence(memory_order_seq_cst);
    if (change < 0 && (uint32_t)before >= FAIRNESS_BYPASSES) {
        for (unsigned i = 0; i < OBJECT_WAITS; i++)
            object_wake(&object->wait[i]);
    }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns: what is done while calls of other nodes wait; see the header. */
#include "object/turn.h"

#include "node/context.h"
#include "shm/kill_point.h"

bool turn_stands_back(const struct object *object, unsigned side, enum turn turn)
{
    return turn == TURN_IS_BEHIND || (turn == TURN_STANDS_BACK && turn_is_far(object, side));
}

bool turn_took(struct object *object, unsigned side, enum turn turn, uint64_t messages)
{
    uint32_t bypasses = (uint32_t)atomic_load_explicit(&object->turn[side], memory_order_relaxed);
    uint32_t left = TURN_BYPASSES - bypasses;

    KILL_POINT();
    if (turn == TURN_IS_OWN)
        atomic_fetch_sub(&object->turn[side], bypasses);
    else
        atomic_fetch_add(&object->turn[side], messages < left ? messages : left);
    KILL_POINT();
    return turn == TURN_IS_OWN && !left;
}

void turn_tell(struct object *object, unsigned wait, bool turn_ends, bool stands_back)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (turn_ends)
        object_wake(&object->wait[wait]);
    if (stands_back)
        eventcount_notify(runtime_doorbell());
}

void turn_note_waiting(const mpm_handle *handle, unsigned side, int change)
{
    struct object *object = object_cell(handle);
    uint64_t before;

    if (!object)
        return;
    before = atomic_fetch_add(&object->turn[side], (uint64_t)change * TURN_ONE_WAITING);
    atomic_thread_fence(memory_order_seq_cst);
    if (change < 0 && (uint32_t)before >= TURN_BYPASSES) {
        for (unsigned i = 0; i < OBJECT_WAITS; i++)
            object_wake(&object->wait[i]);
    }
}

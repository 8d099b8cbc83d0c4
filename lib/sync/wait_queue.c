/* SPDX-License-Identifier: BSD-3-Clause */
/* The line; see the header. Of a state it uses `value`, the free permits, and `turn`, the acquisitions past
 * the oldest waiter. */
#include "sync/wait_queue.h"

#include "object/call.h"

static bool is_reserved(const struct draft *draft)
{
    return draft->state->count && draft->state->turn >= WAIT_QUEUE_BYPASSES;
}

bool wait_queue_may_take(struct draft *draft)
{
    while (is_reserved(draft) && thread_ref_is_dead(&draft->waiters[0].thread_ref))
        state_remove(draft, &draft->waiters[0]);
    return !is_reserved(draft) || thread_ref_is_same_thread(&draft->waiters[0].thread_ref, draft->caller);
}

/* Others may have stood back though there are permits. */
static void turn_ends(struct draft *draft)
{
    if (is_reserved(draft) && draft->state->value)
        draft->tells = true;
    draft->state->turn = 0;
}

void wait_queue_took(struct draft *draft)
{
    struct waiter *waiter = state_find(draft);

    draft->is_changed = true;
    if (!draft->state->count || waiter == &draft->waiters[0])
        turn_ends(draft);
    else
        draft->state->turn++;
    if (waiter)
        state_remove(draft, waiter);
}

static void drop_dead(struct draft *draft)
{
    for (uint32_t i = draft->state->count; i-- > 0;) {
        if (thread_ref_is_dead(&draft->waiters[i].thread_ref))
            state_remove(draft, &draft->waiters[i]);
    }
}

int wait_queue_wait(struct draft *draft, const struct state_request *request)
{
    if (!request->may_wait || state_find(draft))
        return CALL_MUST_WAIT;
    if (draft->state->count == draft->state->room)
        drop_dead(draft);
    return state_add(draft, 0, 0) ? CALL_MUST_WAIT : STATE_NEEDS_ROOM;
}

void wait_queue_leave(struct draft *draft)
{
    struct waiter *waiter = state_find(draft);

    if (!waiter)
        return;
    if (waiter == &draft->waiters[0])
        turn_ends(draft);
    state_remove(draft, waiter);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Thread references; see the header. */
#include "object/thread_ref.h"

#include "forkserver/forkserver.h"
#include "node/context.h"

static uint32_t own_thread(void)
{
    static _Atomic uint32_t threads;
    static _Thread_local uint32_t thread;

    if (!thread)
        thread = atomic_fetch_add(&threads, 1) + 1;
    return thread;
}

struct thread_ref thread_ref_own(void)
{
    uint32_t number = process_own_number();
    struct process_record *record = number ? process_find(context_arena(), number - 1) : NULL;
    struct thread_ref thread_ref = {
        .node = (uint16_t)context_topology()->node, .number = number, .thread = own_thread()};

    if (record) {
        thread_ref.generation = process_generation_of(atomic_load(&record->word));
        if (!atomic_load_explicit(&record->is_thread_ref, memory_order_relaxed))
            atomic_store(&record->is_thread_ref, 1);
    }
    return thread_ref;
}

bool thread_ref_is_same_process(const struct thread_ref *one, const struct thread_ref *other)
{
    return one->node == other->node && one->number == other->number && one->generation == other->generation;
}

bool thread_ref_is_same_thread(const struct thread_ref *one, const struct thread_ref *other)
{
    return thread_ref_is_same_process(one, other) && one->thread == other->thread;
}

bool thread_ref_is_dead(const struct thread_ref *thread_ref)
{
    struct process_record *record;
    uint64_t word;

    if (!thread_ref->number || !thread_ref->generation)
        return false;
    if (thread_ref->node != context_topology()->node)
        return thread_ref->is_dead;
    if (!(record = process_find(context_arena(), thread_ref->number - 1)))
        return false;
    word = atomic_load(&record->word);
    return process_generation_of(word) != thread_ref->generation || process_state_of(word) == PROCESS_ENDED ||
           process_state_of(word) == PROCESS_FREE;
}

bool thread_ref_mark_dead(struct thread_ref *thread_ref, const struct thread_ref_death *death)
{
    if (thread_ref->node != death->node || !thread_ref->number || !thread_ref->generation ||
        thread_ref->is_dead)
        return false;
    if (death->number && (thread_ref->number != death->number || thread_ref->generation > death->generation))
        return false;
    thread_ref->is_dead = 1;
    return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Thread references; see the header. */
#include "object/thread_ref.h"

#include "forkserver/forkserver.h"
#include "node/context.h"

_Atomic uint64_t thread_ref_process;
__attribute__((tls_model("initial-exec"))) _Thread_local uint32_t thread_ref_thread;

static uint32_t own_thread(void)
{
    static _Atomic uint32_t threads;

    if (!thread_ref_thread)
        thread_ref_thread = atomic_fetch_add(&threads, 1) + 1;
    return thread_ref_thread;
}

/* Threads that look at once find the same. */
static __attribute__((noinline)) uint64_t find_own_process(uint32_t number)
{
    struct process_record *record = number ? process_find(context_arena(), number - 1) : NULL;
    uint64_t found = number;

    if (record) {
        found |= (uint64_t)process_generation_of(atomic_load(&record->word)) << 32;
        atomic_store(&record->is_thread_ref, 1);
    }
    atomic_store(&thread_ref_process, found);
    return found;
}

struct thread_ref thread_ref_own(void)
{
    /* Pairs with the store in find_own_process(): the flag is raised. */
    uint64_t process = atomic_load_explicit(&thread_ref_process, memory_order_acquire);
    uint32_t number = process_own_number();

    if ((uint32_t)process != number)
        process = find_own_process(number);
    return (struct thread_ref){.node = (uint16_t)context_topology()->node,
                               .number = (uint32_t)process,
                               .generation = (uint32_t)(process >> 32),
                               .thread = own_thread()};
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

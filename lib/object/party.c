/* SPDX-License-Identifier: BSD-3-Clause */
/* Parties; see the header. */
#include "object/party.h"

#include "host/host.h"
#include "node/context.h"

static uint32_t own_thread(void)
{
    static _Atomic uint32_t threads;
    static _Thread_local uint32_t thread;

    if (!thread)
        thread = atomic_fetch_add(&threads, 1) + 1;
    return thread;
}

struct party party_own(void)
{
    uint32_t number = process_own_number();
    struct process_record *record = number ? process_find(runtime_arena(), number - 1) : NULL;
    struct party party = {
        .node = (uint16_t)runtime_topology()->node, .number = number, .thread = own_thread()};

    if (record) {
        party.generation = process_generation_of(atomic_load(&record->word));
        if (!atomic_load_explicit(&record->is_party, memory_order_relaxed))
            atomic_store(&record->is_party, 1);
    }
    return party;
}

bool party_is_same_process(const struct party *one, const struct party *other)
{
    return one->node == other->node && one->number == other->number && one->generation == other->generation;
}

bool party_is_same_thread(const struct party *one, const struct party *other)
{
    return party_is_same_process(one, other) && one->thread == other->thread;
}

bool party_is_dead(const struct party *party)
{
    struct process_record *record;
    uint64_t word;

    if (!party->number || !party->generation)
        return false;
    if (party->node != runtime_topology()->node)
        return party->is_dead;
    if (!(record = process_find(runtime_arena(), party->number - 1)))
        return false;
    word = atomic_load(&record->word);
    return process_generation_of(word) != party->generation || process_state_of(word) == PROCESS_ENDED ||
           process_state_of(word) == PROCESS_FREE;
}

bool party_mark_dead(struct party *party, const struct party_death *death)
{
    if (party->node != death->node || party->number != death->number || !party->generation ||
        party->generation > death->generation || party->is_dead)
        return false;
    party->is_dead = 1;
    return true;
}

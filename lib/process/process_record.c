/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of the processes of a node: their records, and what the node counts of them. */
#include <string.h>

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "object/object.h"
#include "process/process.h"
#include "process/process_parts.h"

struct process_table *process_table_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_PROCESSES);
}

int process_table_create(struct arena *arena)
{
    return arena_make_root(arena, ARENA_ROOT_PROCESSES,
                           sizeof(struct process_table) + context_topology()->node_count * sizeof(uint32_t));
}

/* Records. */

/* What a record says at one moment: its word. */
uint64_t process_read_about(struct process_record *record, struct process_about *about)
{
    uint64_t word;

    do {
        word = atomic_load(&record->word);
        memcpy(about, record->about, sizeof *about);
        atomic_thread_fence(memory_order_acquire); /* pairs with that in fill_record(), forkserver/record.c */
    } while (atomic_load(&record->word) != word);
    return word;
}

_Atomic uint32_t *process_leaves_of(struct process_record *record)
{
    return &((struct process_about *)(void *)record->about)->leaves;
}

const char *process_name_in(const struct process_record *record)
{
    return ((const struct process_about *)(const void *)record->about)->name;
}

/* Whether it is there and has not ended. */
bool process_is_live(uint64_t word)
{
    return process_state_of(word) == PROCESS_WANTED || process_state_of(word) == PROCESS_RUNNING;
}

mpm_handle process_handle_of(uint32_t number, uint64_t word)
{
    return (mpm_handle){.kind = OBJECT_PROCESS,
                        .home = (uint16_t)context_topology()->node,
                        .generation = process_generation_of(word),
                        .place = number};
}

bool process_is_same(const mpm_handle *one, const mpm_handle *other)
{
    return one->kind == other->kind && one->home == other->home && one->generation == other->generation &&
           one->place == other->place;
}

/* The record of the calling process: a process or a pool's worker; NULL in main. */
struct process_record *process_own_record(void)
{
    uint32_t number = process_own_number();

    return number && context_role() == ROLE_FORKED ? process_find(context_arena(), number - 1) : NULL;
}

mpm_handle process_own_handle(void)
{
    struct process_record *record = process_own_record();

    return record ? process_handle_of(process_own_number() - 1, atomic_load(&record->word)) : (mpm_handle){0};
}

int process_check_place(const char *call, const void *place)
{
    return place ? MPM_OK : error_set(MPM_EINVAL, "%s: the pointer for the result is NULL", call);
}

/* The record that a handle of this node names, and its word. MPM_EINVAL, MPM_ESTALE. */
int process_find_record(const mpm_handle *handle, struct process_record **record, uint64_t *word)
{
    struct process_record *found = handle->place <= UINT32_MAX
                                       ? process_find(context_arena(), (uint32_t)handle->place)
                                       : NULL;

    if (handle->kind != OBJECT_PROCESS || !handle->generation || !found)
        return object_is_not(handle, OBJECT_PROCESS);
    *word = atomic_load(&found->word);
    if (process_generation_of(*word) != handle->generation || process_state_of(*word) == PROCESS_FREE)
        return error_set(MPM_ESTALE, "process %llu of node %u was closed", (unsigned long long)handle->place,
                         handle->home);
    *record = found;
    return MPM_OK;
}

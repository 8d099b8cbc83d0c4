/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfers; see the header. */
#include "sync/transfer.h"

#include <assert.h>
#include <stdlib.h>

#include "mpmap/status.h"

#include "base/error.h"
#include "base/thread_role.h"
#include "node/context.h"
#include "shm/arena.h"

static struct transfer *first;

int transfer_begin(const struct thread_ref *thread_ref, size_t size, struct transfer **transfer)
{
    static uint64_t last_number;
    struct arena_usage usage;
    struct transfer *begun;

    assert(thread_is(THREAD_COURIER));
    arena_usage(context_arena(), &usage);
    if (size > usage.size)
        return error_set(MPM_ENOMEM, "a message of %zu bytes is larger than the arena, which has %zu", size,
                         usage.size);
    if (!(begun = malloc(sizeof *begun + size)))
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes", size);
    *begun = (struct transfer){
        .next = first, .number = ++last_number, .thread_ref = *thread_ref, .size = size};
    *transfer = first = begun;
    return MPM_OK;
}

int transfer_find(const struct thread_ref *thread_ref, uint64_t number, struct transfer **transfer)
{
    assert(thread_is(THREAD_COURIER));
    for (struct transfer *at = first; at; at = at->next) {
        if (at->number == number && thread_ref_is_same_thread(&at->thread_ref, thread_ref)) {
            *transfer = at;
            return MPM_OK;
        }
    }
    return error_set(MPM_EPROTOCOL, "no long message number %llu is under way", (unsigned long long)number);
}

void transfer_end(struct transfer *transfer)
{
    struct transfer **at = &first;

    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    free(transfer);
}

void transfer_forget_all(void)
{
    while (first)
        transfer_end(first);
}

void transfer_end_of_dead(const struct thread_ref_death *death)
{
    assert(thread_is(THREAD_COURIER));
    for (struct transfer *at = first, *next; at; at = next) {
        next = at->next;
        if (thread_ref_mark_dead(&at->thread_ref, death))
            transfer_end(at);
    }
}

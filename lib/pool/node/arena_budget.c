/* SPDX-License-Identifier: BSD-3-Clause */
/* Who finds no room says so in `wanted`, looks whether there are leases, and then tries once more. A lease that ends is
 * counted out first, and looks at `wanted` then. So one of them sees the other: either the last try finds the room, or
 * the doorbell rings after it.
 *
 * Nobody waits for jobs to end: of two maps each may have what the other waits for, on two nodes. */
#include "pool/node/arena_budget.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "node/context.h"
#include "shm/eventcount.h"

static struct {
    _Atomic uint64_t leases, bytes; /* of leases and calls */
    _Atomic bool wanted;
} room;

void arena_budget_forget(void)
{
    atomic_store(&room.leases, 0);
    atomic_store(&room.bytes, 0);
    atomic_store(&room.wanted, false);
}

static bool is_used_up(void)
{
    mpm_node info;

    return atomic_load(&room.leases) && !mpm_node_info(context_topology()->node, &info) &&
           atomic_load(&room.bytes) >= info.arena_size / 4 * 3;
}

static int alloc_for_lease(struct arena *arena, size_t size, uint32_t owner, uint64_t *offset)
{
    int status;

    if (is_used_up())
        return error_set(MPM_ENOMEM,
                         "maps and calls use all of their share of the arena: set a larger MPMAP_ARENA");
    if ((status = arena_alloc(arena, size, owner, offset)))
        return status;
    atomic_fetch_add(&room.leases, 1);
    atomic_fetch_add(&room.bytes, size);
    return MPM_OK;
}

static int try_twice(int (*alloc)(struct arena *, size_t, uint32_t, uint64_t *), struct arena *arena,
                     uint64_t size, uint32_t owner, uint64_t *offset)
{
    int status = alloc(arena, size, owner, offset);
    bool will_come;

    if (status != MPM_ENOMEM)
        return status;
    atomic_store(&room.wanted, true);
    will_come = atomic_load(&room.leases) != 0;
    status = alloc(arena, size, owner, offset);
    return status == MPM_ENOMEM && will_come ? 1 : status;
}

int arena_budget_take_for_job(struct arena *arena, uint64_t size, uint32_t owner, uint64_t *offset)
{
    return try_twice(arena_alloc, arena, size, owner, offset);
}

int arena_budget_take_for_lease(struct arena *arena, uint64_t size, uint32_t owner, uint64_t *offset)
{
    return try_twice(alloc_for_lease, arena, size, owner, offset);
}

void arena_budget_lease_begins_again(uint64_t size)
{
    atomic_fetch_add(&room.leases, 1);
    atomic_fetch_add(&room.bytes, size);
}

bool arena_budget_lease_rests(struct arena *arena, uint64_t offset, uint64_t size)
{
    atomic_fetch_sub(&room.bytes, size);
    atomic_fetch_sub(&room.leases, 1);
    if (!atomic_load(&room.wanted) || !atomic_exchange(&room.wanted, false))
        return true;
    arena_free(arena, offset);
    eventcount_notify(context_doorbell());
    return false;
}

void arena_budget_lease_ends(struct arena *arena, uint64_t offset, uint64_t size)
{
    arena_free(arena, offset);
    atomic_fetch_sub(&room.bytes, size);
    atomic_fetch_sub(&room.leases, 1);
    if (atomic_exchange(&room.wanted, false))
        eventcount_notify(context_doorbell());
}

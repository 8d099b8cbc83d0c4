/* SPDX-License-Identifier: BSD-3-Clause */
/* Room in the arena for what maps and calls of this process need there. Leases and calls end by themselves: so whoever
 * finds no room waits for those that have some, however many there are at once, and fails only where there are none.
 * They take three quarters of the arena together, and leave the rest to what must go on meanwhile: jobs, results of any
 * length, and the user's own objects.
 *
 * For pool/ and run/layers.c. Any thread. */
#ifndef POOL_NODE_ARENA_BUDGET_H
#define POOL_NODE_ARENA_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/arena.h"

/* Nobody has any: before a run. */
void arena_budget_forget(void);
/* Room for a job. As arena_alloc(); 1 if there is none now, but leases have some: the doorbell rings when one has
 * ended. */
int arena_budget_take_for_job(struct arena *arena, uint64_t size, uint32_t owner, uint64_t *offset);
/* The same for a lease, or for what of a call needs a block of its own. */
int arena_budget_take_for_lease(struct arena *arena, uint64_t size, uint32_t owner, uint64_t *offset);
/* It has ended, and its memory is kept for another one: nobody waits for it. false if somebody has waited: it is
 * freed. */
bool arena_budget_lease_rests(struct arena *arena, uint64_t offset, uint64_t size);
/* It is used again. */
void arena_budget_lease_begins_again(uint64_t size);
/* Frees that, of so many bytes. */
void arena_budget_lease_ends(struct arena *arena, uint64_t offset, uint64_t size);

#endif

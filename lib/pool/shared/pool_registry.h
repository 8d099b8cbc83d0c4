/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool registry: the pools of a node, the numbers by which they own memory in its arena, and what becomes of a pool
 * whose driver has died. Main, a node agent or any process of the node may drive a pool, and a process may die: then
 * the fork servers kill its workers, and free all that it had. For pool/ and run/layers.c. */
#ifndef POOL_SHARED_POOL_REGISTRY_H
#define POOL_SHARED_POOL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/arena.h"

/* Makes it in a new arena. By the leader, once. MPM_ENOMEM. */
int pool_registry_create(struct arena *arena);
/* A process with this number has died: before anybody is told. In the fork server. */
void pool_registry_process_died(uint32_t number);
/* A process has ended, or comes again, and its record says so; or a fork server is lost. In the fork server, or the
 * rank. */
void pool_registry_process_ended(void);

/* Enters a new board of `size` bytes, zeroed but for what says whose it is: the calling process's. It owns itself by
 * its number, `owner`, and whatever else the pool is to have in the arena is to be owned by that, too. MPM_ENOMEM. */
int pool_registry_enter(size_t size, uint64_t *board);
/* Frees a board, whose workers have ended, and whatever is owned by its number or by those that it has taken. */
void pool_registry_leave(uint64_t board);

/* Takes a number more for a board, by which something of it can be freed before it. MPM_ENOMEM. Any thread of its
 * driver, as the next. */
int pool_registry_take_number(uint64_t board, uint32_t *number);
/* Frees what is owned by the number, and gives it back. 0 is fine. */
void pool_registry_give_number_back(uint32_t number);

/* One worker of all pools of the node may have the node for itself: then no other one begins an item or a call. */

/* Takes the node for the calling worker, of that board; false if another one has it. */
bool pool_registry_take_node(uint64_t board);
/* Whether no other worker that stands back for this one is in an item or a call. By the worker that has the node. */
struct worker_record;
bool pool_registry_node_is_quiet(const struct worker_record *own);
void pool_registry_give_node_back(void);
/* Until when workers of a board that is held stand back: CLOCK_FOREVER where a worker of their own pool has the
 * node. */
uint64_t pool_registry_stands_back_until(uint64_t board);
/* The board is not held any more if that time has come. */
void pool_registry_stand_up(uint64_t board);

#endif

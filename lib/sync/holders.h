/* SPDX-License-Identifier: BSD-3-Clause */
/* Holders: the processes that hold an end of a pipe, in a block of the arena that grows.
 *
 * Who writes what: all is written under the pipe's locks; a reader needs one of them. A holder is added by
 * writing it behind the last one, and then the count (commit); or into a new block with those that live,
 * whose store into the list commits, and the old block is freed then. A holder that lets go is marked as such by one
 * store, which is its commit, and so is one that holds again; the mark stays until the process is dead, since whoever
 * has started it may note late that it holds what it was given. Whoever dies before the commit has
 * added nothing, and may leave the new block over; who dies after it may leave the old one. Both have the
 * owner number that the caller gives, by which its sweep finds what is not in the list. For sync/pipe.c. */
#ifndef SYNC_HOLDERS_H
#define SYNC_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "object/thread_ref.h"
#include "shm/arena.h"

/* `list` of these is the block, by offset; 0 before anybody has held. */

/* Whether the process of a thread reference is one of them; and whether it is, or was before it let go. */
bool holders_have(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref);
bool holders_had(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref);
/* Adds one that is not one of them. MPM_ENOMEM. */
int holders_add(struct arena *arena, uint64_t *list, uint32_t owner, const struct thread_ref *thread_ref);
/* Marks those that a message says are dead. */
void holders_mark(struct arena *arena, uint64_t list, const struct thread_ref_death *death);
/* It is none of them any more. If it never was: nothing. */
void holders_let_go(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref);
/* Whether there were any, and all have died or let go. */
bool holders_are_gone(struct arena *arena, uint64_t list);

#endif

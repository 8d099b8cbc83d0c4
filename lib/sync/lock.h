/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, as conditions use them. For sync/ only. */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include "sync/ask.h"

/* How often the calling thread has the lock; MPM_EINVAL, naming the call, if it has not. A step. */
int lock_look(struct draft *draft, struct request *request, struct answer *answer);
/* The calling thread gives it up wholly, however often it has it. A step. */
int lock_give_up(struct draft *draft, struct request *request, struct answer *answer);
/* Takes it again: nothing happens if the calling thread has it. MPM_EOWNERDIED, as of acquire. */
int lock_regain(const mpm_handle *lock);
/* The calling thread has it that often from here on. */
int lock_deepen(const mpm_handle *lock, uint64_t depth);
/* Makes a lock that counts at this node. MPM_ENOMEM. */
int lock_create_own(mpm_handle *lock);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, as conditions use them. For sync/ only. */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include "mpmap/sync.h"

#include "sync/state_method.h"

/* How often the calling thread has the lock; MPM_EINVAL, naming the call, if it has not. A step. */
int lock_look(struct draft *draft, struct state_request *request, struct state_reply *reply);
/* The calling thread gives it up wholly, however often it has it. A step. */
int lock_give_up(struct draft *draft, struct state_request *request, struct state_reply *reply);
/* Takes it again: nothing happens if the calling thread has it. MPM_EOWNERDIED, as of acquire. A step. */
int lock_regain(struct draft *draft, struct state_request *request, struct state_reply *reply);
/* The calling thread has it that often from here on. */
int lock_deepen(const mpm_handle *lock, uint64_t depth);
/* The lock itself behind a handle of the program's. MPM_EINVAL if it is one of the other kind. */
int lock_of_lock(mpm_lock plain, mpm_handle *lock);
int lock_of_rlock(mpm_rlock rlock, mpm_handle *lock);
/* As mpm_lock_acquire and so on, of a lock of either kind. */
int lock_acquire_of_condition(const mpm_handle *lock, double timeout_s);
int lock_release_of_condition(const mpm_handle *lock);
void lock_destroy_of_condition(const mpm_handle *lock);
/* The method of a lock that makes a condition over it, at its node; the reply is 32 bits of place and of generation. */
const struct method *lock_make_condition(void);
/* The method of a lock that takes it again for who has waited for a condition over it, which the request's number names
 * likewise. */
const struct method *lock_end_wait(void);
method_try condition_try_make, condition_try_end_wait; /* in condition.c */
/* Makes a lock that counts at this node. MPM_ENOMEM. */
int lock_create_own(mpm_handle *lock);

/* For sync/own_lock.c: locks that count, and name the object that they belong to, their parent. */

/* Makes one at this node. Its handle is in its place before there is a lock of that name. MPM_ENOMEM. */
int lock_create_own_of(const mpm_handle *parent, mpm_handle *place);
/* Whether it is there, and names this parent. One whose end a dead one has begun is brought to an end here. */
bool lock_is_own_of(const mpm_handle *lock, const mpm_handle *parent);
void lock_end_own(const mpm_handle *lock);
/* As mpm_rlock_acquire and mpm_rlock_release; MPM_ESTALE, too, if it does not name this parent. */
int lock_acquire_own(const mpm_handle *lock, const mpm_handle *parent, double timeout_s);
int lock_release_own(const mpm_handle *lock, const mpm_handle *parent);

#endif

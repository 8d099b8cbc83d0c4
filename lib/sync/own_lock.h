/* SPDX-License-Identifier: BSD-3-Clause */
/* The locks that values, arrays and bytes have of their own: each is an object beside the one that it belongs
 * to, at the same node, made when it is first asked for. Who writes what: see own_lock.c. For sync/ only. */
#ifndef SYNC_OWN_LOCK_H
#define SYNC_OWN_LOCK_H

#include "object/method.h"

/* The body of an object that may have one begins with it. */
struct own_lock {
    mpm_handle
        handle; /* what it is called, if it is there; written and read under the object record's mutex */
};

/* Takes and releases the lock of an object, wherever it is; `object` is its handle as object/object.h knows it.
 * As mpm_rlock_acquire and mpm_rlock_release; MPM_ESTALE if the object is gone. */
int own_lock_acquire(const mpm_handle *object, double timeout_s);
int own_lock_release(const mpm_handle *object);

/* The first two methods of each kind that may have one. */
enum { OWN_LOCK_MAKE, OWN_LOCK_FIND, OWN_LOCK_METHODS };
method_try own_lock_try_make, own_lock_try_find;
#define OWN_LOCK_METHODS_OF(kind)                                                          \
    [OWN_LOCK_MAKE] = {(kind),                                                             \
                       OWN_LOCK_MAKE,                                                      \
                       "make lock",                                                        \
                       .out_size = sizeof(mpm_handle),                                     \
                       .try = own_lock_try_make,                                           \
                       .is_timed = true,                                                   \
                       .late_status = MPM_ETIMEDOUT},                                      \
    [OWN_LOCK_FIND] = {(kind), OWN_LOCK_FIND, "find lock", .out_size = sizeof(mpm_handle), \
                       .try = own_lock_try_find}

/* Ends the lock of an object, if there is one: under the object record's mutex, before the object ends. */
void own_lock_end(struct object *object, const mpm_handle *handle);

#endif

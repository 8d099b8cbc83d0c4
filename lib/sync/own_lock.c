/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks of values, arrays and bytes.
 *
 * Who writes what, all of it under the mutex of the object that the lock belongs to, its parent: who first
 * asks for the lock reserves an object record, writes the lock's state, which names the parent, stores the handle that
 * the lock is going to have in the parent's body, and commits the lock. Who ends the parent ends the lock
 * first. A handle in the parent counts only if a lock is there that names the parent: if who makes the lock
 * dies before the commit, the handle names nothing, or another's, and the next one makes a lock anew; if it
 * dies after the commit, the lock is found. If who ends it dies before the lock has ended, the next one to look
 * ends it; if it dies after that, the parent is there without one, as it was at first. A parent's mutex is taken before
 * its lock's, and whoever has a lock's waits for no other.
 *
 * The handle of a lock is kept in mind by each thread that has used it. It is used with the parent's, which
 * the lock compares with the one that it names: one that is out of date is told, and asked for once more. */
#include "sync/own_lock.h"

#include <string.h>

#include "mpmap/sync.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/kill_point.h"
#include "sync/lock.h"

#define KEPT 16u /* locks that a thread keeps in mind */

/* Takes the mutex of a parent of this node. MPM_ESTALE, MPM_ENOMEM without it. */
static int lock_parent(struct object *parent, const mpm_handle *handle)
{
    int status = thread_token_ensure();

    if (status)
        return status;
    if (robust_mutex_lock(&parent->mutex))
        robust_mutex_repaired(&parent->mutex); /* all that uses it can be repeated */
    if (object_is(parent, handle))
        return MPM_OK;
    robust_mutex_unlock(&parent->mutex);
    return object_stale(handle);
}

static struct own_lock *own_lock_of(struct object *object)
{
    return (struct own_lock *)(void *)object->body;
}

static bool can_have_lock(const mpm_handle *handle)
{
    return handle->kind == OBJECT_VALUE || handle->kind == OBJECT_ARRAY || handle->kind == OBJECT_BYTES;
}

/* The lock's handle, of a parent of this node; the lock is made if it is not there and `makes` says so, else
 * the handle is none. */
static int find_local(struct object *parent, const mpm_handle *handle, bool makes, mpm_handle *lock)
{
    int status;

    if ((status = lock_parent(parent, handle)))
        return status;
    KILL_POINT();
    if (!lock_is_own_of(&own_lock_of(parent)->handle, handle)) {
        if (makes)
            status = lock_create_own_of(handle, &own_lock_of(parent)->handle);
        else
            own_lock_of(parent)->handle = (mpm_handle){0};
    }
    if (!status)
        *lock = own_lock_of(parent)->handle;
    KILL_POINT();
    robust_mutex_unlock(&parent->mutex);
    return status;
}

int own_lock_try_make(struct object *parent, const mpm_handle *handle, struct invocation *invocation)
{
    return find_local(parent, handle, true, invocation->out);
}

int own_lock_try_find(struct object *parent, const mpm_handle *handle, struct invocation *invocation)
{
    return find_local(parent, handle, false, invocation->out);
}

void own_lock_end(struct object *object, const mpm_handle *handle)
{
    const mpm_handle *lock = &own_lock_of(object)->handle;

    if (lock_is_own_of(lock, handle))
        lock_end_own(lock);
    KILL_POINT();
}

/* A release, which has no time limit, makes none. */
static int find_lock(const mpm_handle *handle, bool makes, double timeout_s, mpm_handle *lock)
{
    struct invocation invocation = {.out = lock};

    *lock = (mpm_handle){0};
    if (!context_topology()->node_count)
        return context_no_run(NULL);
    if (!can_have_lock(handle))
        return error_set(MPM_EINVAL, "this is not a handle of a value, array or bytes, which have a lock");
    invocation.method = &kind_of(handle->kind)->methods[makes ? OWN_LOCK_MAKE : OWN_LOCK_FIND];
    return invoke(handle, &invocation, timeout_s);
}

/* The caller's part. */

struct kept {
    mpm_handle parent, lock;
};

static _Thread_local struct kept kept_locks[KEPT];
static _Thread_local uint32_t kept_run; /* of which they are */

/* Where the lock of an object is kept, if it is. */
static struct kept *kept_of(const mpm_handle *handle)
{
    if (kept_run != context_number()) {
        memset(kept_locks, 0, sizeof kept_locks);
        kept_run = context_number();
    }
    return &kept_locks[handle->place % KEPT];
}

typedef int use_lock(const mpm_handle *lock, const mpm_handle *parent, double timeout_s);

static int use(const mpm_handle *handle, use_lock *way, bool makes, double timeout_s)
{
    struct kept *kept = kept_of(handle);
    uint64_t deadline_ns;
    int status;

    if (object_is_same(&kept->parent, handle) &&
        (status = way(&kept->lock, handle, timeout_s)) != MPM_ESTALE && status != MPM_EINVAL)
        return status;
    *kept = (struct kept){.parent = {0}};
    deadline_ns = call_deadline_ns(timeout_s);
    if ((status = find_lock(handle, makes, timeout_s, &kept->lock)))
        return status;
    if (!kept->lock.kind)
        return error_set(MPM_EINVAL, "the calling thread does not hold the lock, which was never acquired");
    kept->parent = *handle;
    return way(&kept->lock, handle, call_time_left_s(timeout_s, deadline_ns));
}

int own_lock_acquire(const mpm_handle *object, double timeout_s)
{
    return use(object, lock_acquire_own, true, timeout_s);
}

static int release(const mpm_handle *lock, const mpm_handle *parent, double unused)
{
    (void)unused;
    return lock_release_own(lock, parent);
}

int own_lock_release(const mpm_handle *object)
{
    return use(object, release, false, 0);
}

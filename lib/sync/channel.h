/* SPDX-License-Identifier: BSD-3-Clause */
/* What objects with rings of messages in them have in common: getters exclude each other by the object's
 * `mutex`, putters by its `second_mutex`; who needs both takes them in this order.
 *
 * Whoever gets one of them from a dead holder stores `unswept`, and whoever finds that set has the object
 * swept under both locks before anything else; then it is taken back. The sweep frees what the dead one has
 * left over, and may be done again: who dies in it leaves `unswept`. For sync/. */
#ifndef SYNC_CHANNEL_H
#define SYNC_CHANNEL_H

#include <stdatomic.h>
#include <stdint.h>

#include "object/object.h"
#include "shm/robust_mutex.h"

/* The body of such an object begins with it. */
struct channel {
    _Atomic uint32_t unswept; /* a putter or a getter has died */
};

/* Sweeps all rings of the object: under both locks. */
typedef void channel_sweep(struct object *object);

/* After a mutex of an object record was got from a dead holder: stores `unswept` in what stands there now. */
void channel_note_death(struct object *object, struct robust_mutex *mutex);
/* Locks both sides of an object that is whole. MPM_ESTALE, MPM_ENOMEM: nothing is locked. */
int channel_lock_both(struct object *object, const mpm_handle *handle, channel_sweep *sweep);
void channel_unlock_both(struct object *object);
/* After unswept was found: sweeps. */
void channel_make_whole(struct object *object, const mpm_handle *handle, channel_sweep *sweep);

/* Locks one side of an object that is whole. MPM_ESTALE, MPM_ENOMEM: nothing is locked. */
static inline int channel_lock(struct object *object, const mpm_handle *handle, struct robust_mutex *mutex,
                               channel_sweep *sweep)
{
    int status = thread_token_ensure();

    if (status)
        return status;
    for (;;) {
        if (__builtin_expect(robust_mutex_lock(mutex), 0))
            channel_note_death(object, mutex);
        if (__builtin_expect(!object_is(object, handle), 0)) {
            robust_mutex_unlock(mutex);
            return object_stale(handle);
        }
        if (__builtin_expect(!atomic_load_explicit(&((struct channel *)(void *)object->body)->unswept,
                                                   memory_order_relaxed),
                             1))
            return 0;
        robust_mutex_unlock(mutex);
        channel_make_whole(object, handle, sweep);
    }
}

/* The same if nothing is in the way: nobody has the lock, no sweep is due, and the object is there. Else false, and
 * nothing has been done. */
static inline bool channel_lock_at_once(struct object *object, const mpm_handle *handle,
                                        struct robust_mutex *mutex)
{
    if (!robust_mutex_lock_at_once(mutex))
        return false;
    if (__builtin_expect(object_is(object, handle) &&
                             !atomic_load_explicit(&((struct channel *)(void *)object->body)->unswept,
                                                   memory_order_relaxed),
                         1))
        return true;
    robust_mutex_unlock(mutex);
    return false;
}

#endif

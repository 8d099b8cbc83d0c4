/* SPDX-License-Identifier: BSD-3-Clause */
/* The locks of objects with rings, and the sweep after a death; see the header. */
#include "sync/channel.h"

#include "mpmap/status.h"

#include "shm/kill_point.h"

static struct channel *channel_of(struct object *object)
{
    return (struct channel *)(void *)object->body;
}

/* The dead one may have been at another object than the one that the caller means. */
void channel_note_death(struct object *object, struct robust_mutex *mutex)
{
    enum object_kind kind = object_kind_in(object);

    if (kind == OBJECT_QUEUE || kind == OBJECT_PIPE)
        atomic_store(&channel_of(object)->unswept, 1);
    KILL_POINT();
    robust_mutex_repaired(mutex);
}

int channel_lock_both(struct object *object, const mpm_handle *handle, channel_sweep *sweep)
{
    int status = thread_token_ensure();

    if (status)
        return status;
    if (robust_mutex_lock(&object->mutex))
        channel_note_death(object, &object->mutex);
    if (robust_mutex_lock(&object->second_mutex))
        channel_note_death(object, &object->second_mutex);
    if (!object_is(object, handle)) {
        channel_unlock_both(object);
        return object_stale(handle);
    }
    if (atomic_load(&channel_of(object)->unswept)) {
        sweep(object);
        KILL_POINT();
        atomic_store(&channel_of(object)->unswept, 0);
    }
    return MPM_OK;
}

void channel_unlock_both(struct object *object)
{
    robust_mutex_unlock(&object->second_mutex);
    robust_mutex_unlock(&object->mutex);
}

void channel_make_whole(struct object *object, const mpm_handle *handle, channel_sweep *sweep)
{
    if (!channel_lock_both(object, handle, sweep))
        channel_unlock_both(object);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process is to objects that it has got, and when it has died; see the header. Kinds say what they do then. */
#include "object/thread_ref_process.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/thread_role.h"
#include "node/context.h"
#include "object/method.h"

/* Of this node only: the courier's parked calls are tried again because the doorbell rings. The words move on
 * even if nobody sleeps: somebody may be between its last try and its sleep. */
static void wake(struct object *object, void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < OBJECT_WAITS; i++)
        eventcount_notify(&object->wait[i].word);
}

void thread_ref_died_local(void)
{
    assert(thread_is(THREAD_FORKSERVER));
    object_walk(context_arena(), wake, NULL);
}

static void mark(struct object *object, void *death)
{
    enum object_kind kind = object_kind_in(object);

    if (kind_of(kind) && kind_of(kind)->marks)
        kind_of(kind)->marks(object, death);
}

void thread_ref_died_remote(const struct thread_ref_death *death)
{
    assert(thread_is(THREAD_COURIER));
    object_walk(context_arena(), mark, (void *)(uintptr_t)death);
}

/* The handle at a place of args, if somebody wants to know. */
static thread_ref_take *handle_at(const void *args, size_t size, size_t at, mpm_handle *handle)
{
    if (size - at < sizeof *handle)
        return NULL;
    memcpy(handle, (const char *)args + at, sizeof *handle);
    return kind_of(handle->kind) && handle->generation ? kind_of(handle->kind)->takes : NULL;
}

bool thread_ref_is_in_args(const void *args, size_t size)
{
    mpm_handle handle;

    for (size_t at = 0; at < size; at += 8) {
        if (handle_at(args, size, at, &handle))
            return true;
    }
    return false;
}

void thread_ref_take_args(const void *args, size_t size, const struct thread_ref *process)
{
    mpm_handle handle;
    thread_ref_take *take;

    for (size_t at = 0; at < size; at += 8) {
        if ((take = handle_at(args, size, at, &handle)))
            take(&handle, process);
    }
}

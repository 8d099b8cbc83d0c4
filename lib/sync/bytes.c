/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of raw bytes: two copies of them, in a block of the arena that hangs from a cell. The first one is
 * where a pointer to them points; the second one is what they are to be.
 *
 * Who writes what: all is written under the cell's lock. Whoever sets the bytes writes the second copy,
 * stores `is_new`, which commits, copies the second to the first, and takes `is_new` back. If it dies before
 * the commit nothing has changed; after it whoever gets the lock next finds `is_new`, and copies once more.
 * The maker and whoever destroys them go by object/object.h: the block is owned by the cell, which is unclean
 * as long as there is a block without an object. If the maker dies after the commit, its handle dies with it,
 * and what it has made is lost until the end of the run. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"
#include "mpmap/value.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "object/object.h"
#include "shm/kill_point.h"
#include "sync/layer.h"
#include "sync/own_lock.h"

#define CALL_LIMIT ((size_t)1 << 30) /* the longest that goes to another node */

struct bytes {
    struct own_lock own_lock; /* see own_lock.c */
    uint64_t size;
    uint64_t second;  /* how far behind the first copy the second one is */
    uint64_t block;   /* where they stand, */
    int64_t distance; /* and how far behind this struct that is, in every process */
    _Atomic uint32_t is_new;
};
_Static_assert(sizeof(struct bytes) <= OBJECT_BODY_SIZE, "the own part of bytes fits into a cell");

enum update_kind { UPDATE_GET, UPDATE_SET, UPDATE_EXCHANGE, UPDATE_COMPARE_EXCHANGE, UPDATE_SIZE };

struct update {
    enum update_kind kind;
    const void *expected, *desired;
    void *before; /* out */
    size_t size;  /* of UPDATE_SIZE: out */
};

static struct bytes *bytes_in(struct object *object)
{
    return (struct bytes *)(void *)object->body;
}

static char *first_copy(struct bytes *bytes)
{
    return (char *)bytes + bytes->distance;
}

static void copy(void *to, const void *from, size_t size)
{
    if (size)
        memcpy(to, from, size);
}

/* Under the lock. */

static void finish_set(struct bytes *bytes)
{
    size_t half = bytes->size / 2;
    char *to = first_copy(bytes), *from = to + bytes->second;

    copy(to, from, half);
    KILL_POINT();
    copy(to + half, from + half, bytes->size - half);
    KILL_POINT();
    atomic_store_explicit(&bytes->is_new, 0, memory_order_release);
    KILL_POINT();
}

static void commit_set(struct bytes *bytes)
{
    KILL_POINT();
    atomic_store_explicit(&bytes->is_new, 1, memory_order_release);
    KILL_POINT();
    finish_set(bytes);
}

/* MPM_ESTALE: nothing is locked. */
static int lock_whole(struct object *object, const mpm_handle *handle)
{
    if (robust_mutex_lock(&object->mutex))
        robust_mutex_repaired(&object->mutex); /* is_new tells what is to be done */
    if (!object_is(object, handle)) {
        robust_mutex_unlock(&object->mutex);
        return object_stale(handle);
    }
    if (atomic_load_explicit(&bytes_in(object)->is_new, memory_order_relaxed))
        finish_set(bytes_in(object));
    return MPM_OK;
}

static int update_locked(struct bytes *bytes, struct update *update)
{
    bool is_expected = true;

    if (update->kind == UPDATE_SIZE) {
        update->size = bytes->size;
        return MPM_OK;
    }
    if (update->size != bytes->size)
        return error_set(MPM_EINVAL, "the value has %zu bytes, not %zu", (size_t)bytes->size, update->size);
    if (update->kind == UPDATE_COMPARE_EXCHANGE && bytes->size)
        is_expected = !memcmp(first_copy(bytes), update->expected, bytes->size);
    /* `before` may be where `desired` is. */
    if (update->kind != UPDATE_GET && is_expected)
        copy(first_copy(bytes) + bytes->second, update->desired, bytes->size);
    if (update->before)
        copy(update->before, first_copy(bytes), bytes->size);
    if (update->kind != UPDATE_GET && is_expected)
        commit_set(bytes);
    return MPM_OK;
}

/* At home. */

static int update_here(const mpm_handle *handle, struct update *update)
{
    struct object *object;
    int status;

    if ((status = object_find(handle, OBJECT_BYTES, &object)) || (status = lock_whole(object, handle)))
        return status;
    status = update_locked(bytes_in(object), update);
    robust_mutex_unlock(&object->mutex);
    return status;
}

static int destroy_here(const mpm_handle *handle)
{
    struct object *object;
    int status;

    if ((status = object_find(handle, OBJECT_BYTES, &object)) || (status = lock_whole(object, handle)))
        return status;
    own_lock_end(object, handle);
    object_set_unclean(object);
    KILL_POINT();
    object_end(object);
    KILL_POINT();
    arena_free(runtime_arena(), bytes_in(object)->block);
    KILL_POINT();
    object_set_clean(object);
    robust_mutex_unlock(&object->mutex);
    return MPM_OK;
}

static int make_block(struct object *object, size_t size)
{
    struct bytes *bytes = bytes_in(object);
    int status;

    bytes->size = size;
    bytes->second = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (size > SIZE_MAX / 4)
        return error_set(MPM_ENOMEM, "mpm_bytes_create: %zu bytes are more than any memory holds", size);
    object_set_unclean(object);
    KILL_POINT();
    if ((status = arena_alloc(runtime_arena(), 2 * bytes->second, object_owner(object, 0), &bytes->block)))
        return status;
    KILL_POINT();
    bytes->distance = (int64_t)(bytes->block - arena_offset(runtime_arena(), bytes));
    return MPM_OK;
}

int mpm_bytes_create(size_t size, const void *initial, mpm_bytes *bytes)
{
    struct object *object;
    int status;

    if (runtime_role() == ROLE_NONE)
        return runtime_no_run("mpm_bytes_create");
    if (!bytes)
        return error_set(MPM_EINVAL, "mpm_bytes_create: the place for the value is NULL");
    if ((status = object_reserve(&object)))
        return status;
    if ((status = make_block(object, size))) {
        object_set_clean(object);
        object_cancel(object);
        return status;
    }
    if (initial)
        copy(first_copy(bytes_in(object)), initial, size);
    else
        memset(first_copy(bytes_in(object)), 0, size);
    KILL_POINT();
    bytes->handle = object_commit(object, OBJECT_BYTES);
    KILL_POINT();
    object_set_clean(object);
    return MPM_OK;
}

/* Calls from other nodes: this, then the expected bytes, then the desired ones, whichever there are. The
 * reply is the bytes before, or the size. */

struct update_call {
    uint64_t kind; /* enum update_kind */
    uint64_t size;
};

static size_t count_sent(enum update_kind kind)
{
    return kind == UPDATE_COMPARE_EXCHANGE ? 2 : kind == UPDATE_SET || kind == UPDATE_EXCHANGE;
}

static bool gives_before(enum update_kind kind)
{
    return kind != UPDATE_SET && kind != UPDATE_SIZE;
}

/* MPM_EPROTOCOL unless a call makes sense. */
static int read_call(const char *in, size_t in_size, struct update *update)
{
    struct update_call call;

    if (in_size >= sizeof call)
        memcpy(&call, in, sizeof call);
    if (in_size < sizeof call || call.kind > UPDATE_SIZE || call.size > CALL_LIMIT ||
        in_size - sizeof call != count_sent((enum update_kind)call.kind) * call.size)
        return error_set(MPM_EPROTOCOL, "a call on a value of bytes makes no sense");
    update->kind = (enum update_kind)call.kind;
    update->size = call.size;
    update->expected = in + sizeof call;
    update->desired = in + in_size - call.size;
    return MPM_OK;
}

static int on_update(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct update update = {0};
    uint64_t size;
    int status;

    if ((status = read_call(in, in_size, &update)))
        return status;
    if (gives_before(update.kind)) {
        if (!(reply->bytes = update.before = malloc(update.size + 1)))
            return error_set(MPM_ENOMEM, "no memory for %zu bytes", update.size);
        reply->size = update.size;
    }
    status = update_here(handle, &update);
    size = update.size;
    return status || update.kind != UPDATE_SIZE ? status : call_reply_add(reply, &size, sizeof size);
}

static int on_destroy(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)in_size;
    (void)reply;
    return destroy_here(handle);
}

void bytes_announce(void)
{
    call_register(VERB_BYTES_UPDATE, on_update, MPM_OK, "");
    call_register(VERB_BYTES_DESTROY, on_destroy, MPM_OK, "");
}

static int call_home(const mpm_handle *handle, const struct update *update, void *out, size_t room)
{
    struct update_call call = {.kind = update->kind, .size = update->size};
    size_t count = count_sent(update->kind), size = sizeof call + count * update->size, got = 0;
    char *message;
    int status;

    if (!(message = malloc(size)))
        return error_set(MPM_ENOMEM, "no memory for a call with %zu bytes", size);
    memcpy(message, &call, sizeof call);
    if (count == 2)
        copy(message + sizeof call, update->expected, update->size);
    if (count)
        copy(message + size - update->size, update->desired, update->size);
    status = call_remote(handle, VERB_BYTES_UPDATE, message, size, 0, out, room, &got);
    free(message);
    if (!status && got != room)
        return error_set(MPM_EPROTOCOL, "node %u answered with %zu bytes of a value, not %zu", handle->home,
                         got, room);
    return status;
}

static int update_elsewhere(const mpm_handle *handle, struct update *update)
{
    uint64_t size = 0;
    int status;

    if (update->size > CALL_LIMIT)
        return error_set(MPM_ENOMEM, "a value of %zu bytes is too long for another node: at most %zu",
                         update->size, CALL_LIMIT);
    if (update->kind != UPDATE_SIZE)
        return call_home(handle, update, update->before, gives_before(update->kind) ? update->size : 0);
    if (!(status = call_home(handle, update, &size, sizeof size)))
        update->size = size;
    return status;
}

/* The interface. */

static int update_anywhere(mpm_bytes bytes, struct update *update)
{
    return object_is_home(&bytes.handle) ? update_here(&bytes.handle, update)
                                         : update_elsewhere(&bytes.handle, update);
}

static int missing(const char *call)
{
    return error_set(MPM_EINVAL, "%s: a pointer that it needs is NULL", call);
}

int mpm_bytes_destroy(mpm_bytes bytes)
{
    if (object_is_home(&bytes.handle))
        return destroy_here(&bytes.handle);
    return call_remote(&bytes.handle, VERB_BYTES_DESTROY, NULL, 0, 0, NULL, 0, NULL);
}

int mpm_bytes_get(mpm_bytes bytes, void *to, size_t size)
{
    if (size && !to)
        return missing("mpm_bytes_get");
    return update_anywhere(bytes, &(struct update){.kind = UPDATE_GET, .before = to, .size = size});
}

int mpm_bytes_set(mpm_bytes bytes, const void *from, size_t size)
{
    if (size && !from)
        return missing("mpm_bytes_set");
    return update_anywhere(bytes, &(struct update){.kind = UPDATE_SET, .desired = from, .size = size});
}

int mpm_bytes_exchange(mpm_bytes bytes, const void *from, size_t size, void *before)
{
    if (size && (!from || !before))
        return missing("mpm_bytes_exchange");
    return update_anywhere(
        bytes, &(struct update){.kind = UPDATE_EXCHANGE, .desired = from, .before = before, .size = size});
}

int mpm_bytes_compare_exchange(mpm_bytes bytes, const void *expected, const void *desired, size_t size,
                               void *before)
{
    if (size && (!expected || !desired || !before))
        return missing("mpm_bytes_compare_exchange");
    return update_anywhere(bytes, &(struct update){.kind = UPDATE_COMPARE_EXCHANGE,
                                                   .expected = expected,
                                                   .desired = desired,
                                                   .before = before,
                                                   .size = size});
}

int mpm_bytes_size(mpm_bytes bytes, size_t *size)
{
    struct update update = {.kind = UPDATE_SIZE};
    int status;

    if (!size)
        return missing("mpm_bytes_size");
    if (!(status = update_anywhere(bytes, &update)))
        *size = update.size;
    return status;
}

int mpm_bytes_pointer(mpm_bytes bytes, void **pointer)
{
    struct object *object;
    int status;

    if (!pointer)
        return missing("mpm_bytes_pointer");
    if (!object_is_home(&bytes.handle))
        return error_set(MPM_EINVAL, "mpm_bytes_pointer: the value is at node %u, the caller at node %u",
                         bytes.handle.home, mpm_node_id());
    if ((status = object_find(&bytes.handle, OBJECT_BYTES, &object)) ||
        (status = lock_whole(object, &bytes.handle)))
        return status;
    *pointer = first_copy(bytes_in(object));
    robust_mutex_unlock(&object->mutex);
    return MPM_OK;
}

static int check_handle(mpm_bytes bytes)
{
    return bytes.handle.kind == OBJECT_BYTES ? MPM_OK
                                             : error_set(MPM_EINVAL, "this is no handle of a value of bytes");
}

int mpm_bytes_lock(mpm_bytes bytes, double timeout_s)
{
    int status = check_handle(bytes);

    return status ? status : own_lock_acquire(&bytes.handle, timeout_s);
}

int mpm_bytes_unlock(mpm_bytes bytes)
{
    int status = check_handle(bytes);

    return status ? status : own_lock_release(&bytes.handle);
}

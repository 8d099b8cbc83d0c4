/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of raw bytes: two copies of them, in a block of the arena that hangs from an object record. The first one is
 * where a pointer to them points; the second one is what they are to be.
 *
 * Who writes what: all is written under the object record's lock. Whoever sets the bytes writes the second copy,
 * stores `is_new`, which commits, copies the second to the first, and takes `is_new` back. If it dies before
 * the commit nothing has changed; after it whoever gets the lock next finds `is_new`, and copies once more.
 * The maker and whoever destroys them go by object/object.h: the block is owned by the object record, which is unclean
 * as long as there is a block without an object. If the maker dies after the commit, its handle dies with it,
 * and what it has made is lost until the end of the run. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"
#include "mpmap/value.h"

#include "base/error.h"
#include "node/context.h"
#include "object/object.h"
#include "shm/kill_point.h"
#include "sync/kinds.h"
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
_Static_assert(sizeof(struct bytes) <= OBJECT_BODY_SIZE, "the own part of bytes fits into an object record");

enum {
    BYTES_GET = OWN_LOCK_METHODS,
    BYTES_SET,
    BYTES_EXCHANGE,
    BYTES_COMPARE_EXCHANGE,
    BYTES_SIZE,
    BYTES_DESTROY,
    BYTES_METHODS
};

/* What an update takes; behind it go the expected bytes, then the desired ones, whichever there are, and the bytes
 * before come. */
struct update {
    uint64_t size;
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
    /* Pairs with the acquire of whoever gets the lock next, also if this process dies here. */
    atomic_store_explicit(&bytes->is_new, 0, memory_order_release);
    KILL_POINT();
}

static void commit_set(struct bytes *bytes)
{
    KILL_POINT();
    /* Pairs with the acquire of whoever gets the lock next, also if this process dies here. */
    atomic_store_explicit(&bytes->is_new, 1, memory_order_release);
    KILL_POINT();
    finish_set(bytes);
}

/* MPM_ESTALE, MPM_ENOMEM: nothing is locked. */
static int lock_whole(struct object *object, const mpm_handle *handle)
{
    int status = thread_token_ensure();

    if (status)
        return status;
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

/* How many times the bytes go to the object. */
static size_t count_sent(unsigned verb)
{
    return verb == BYTES_COMPARE_EXCHANGE ? 2 : verb == BYTES_SET || verb == BYTES_EXCHANGE;
}

static const void *desired_of(const struct invocation *invocation, size_t size)
{
    if (invocation->second)
        return invocation->second;
    return (const char *)invocation->tail + (count_sent(invocation->method->verb) - 1) * size;
}

static int update_locked(struct bytes *bytes, struct invocation *invocation)
{
    const struct update *update = invocation->in;
    unsigned verb = invocation->method->verb;
    bool changes = verb != BYTES_GET;

    if (update->size != bytes->size)
        return error_set(MPM_EINVAL, "the value has %zu bytes, not %zu", (size_t)bytes->size,
                         (size_t)update->size);
    if (verb == BYTES_COMPARE_EXCHANGE && bytes->size)
        changes = !memcmp(first_copy(bytes), invocation->tail, bytes->size);
    /* `before` may be where the desired ones are. */
    if (changes)
        copy(first_copy(bytes) + bytes->second, desired_of(invocation, bytes->size), bytes->size);
    if (verb != BYTES_SET) {
        copy(invocation->more, first_copy(bytes), bytes->size);
        invocation->size = bytes->size;
    }
    if (changes)
        commit_set(bytes);
    return MPM_OK;
}

static int try_update(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct update *update = invocation->in;
    int status;

    if (invocation->method->has_more && (status = invocation_make_room(invocation, update->size)))
        return status;
    if ((status = lock_whole(object, handle)))
        return status;
    status = update_locked(bytes_in(object), invocation);
    robust_mutex_unlock(&object->mutex);
    return status;
}

static int try_size(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    uint64_t *size = invocation->out;
    int status;

    if ((status = lock_whole(object, handle)))
        return status;
    *size = bytes_in(object)->size;
    robust_mutex_unlock(&object->mutex);
    return MPM_OK;
}

static int try_destroy(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    int status;

    (void)unused;
    if ((status = lock_whole(object, handle)))
        return status;
    own_lock_end(object, handle);
    object_set_unclean(object);
    KILL_POINT();
    object_end(object);
    KILL_POINT();
    arena_free(context_arena(), bytes_in(object)->block);
    KILL_POINT();
    object_set_clean(object);
    robust_mutex_unlock(&object->mutex);
    return MPM_OK;
}

static bool update_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct update *update = invocation->in;

    (void)handle;
    return update->size <= CALL_LIMIT &&
           invocation->tail_size == count_sent(invocation->method->verb) * update->size;
}

#define UPDATE(verb, name, ...)                  \
    [verb] = {OBJECT_BYTES,                      \
              verb,                              \
              name,                              \
              .in_size = sizeof(struct update),  \
              .tail_unit = 1,                    \
              .makes_sense = update_makes_sense, \
              .try = try_update,                 \
              __VA_ARGS__}

static const struct method methods[BYTES_METHODS] = {
    OWN_LOCK_METHODS_OF(OBJECT_BYTES),
    UPDATE(BYTES_GET, "get", .has_more = true),
    UPDATE(BYTES_SET, "set", .has_more = false),
    UPDATE(BYTES_EXCHANGE, "exchange", .has_more = true),
    UPDATE(BYTES_COMPARE_EXCHANGE, "compare_exchange", .has_more = true),
    [BYTES_SIZE] = {OBJECT_BYTES, BYTES_SIZE, "size", .out_size = sizeof(uint64_t), .try = try_size},
    [BYTES_DESTROY] = {OBJECT_BYTES, BYTES_DESTROY, "destroy", .try = try_destroy},
};
const struct kind bytes_kind = {.kind = OBJECT_BYTES, .methods = methods, .count = BYTES_METHODS};

/* Making. */

static int make_block(struct object *object, size_t size)
{
    struct bytes *bytes = bytes_in(object);
    int status;

    bytes->size = size;
    bytes->second = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (size > SIZE_MAX / 4)
        return error_set(MPM_ENOMEM, "mpm_bytes_create: %zu bytes are more than any memory can hold", size);
    object_set_unclean(object);
    KILL_POINT();
    if ((status = arena_alloc(context_arena(), 2 * bytes->second, object_owner(object, 0), &bytes->block)))
        return status;
    KILL_POINT();
    bytes->distance = (int64_t)(bytes->block - arena_offset(context_arena(), bytes));
    return MPM_OK;
}

int mpm_bytes_create(size_t size, const void *initial, mpm_bytes *bytes)
{
    struct object *object;
    int status;

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_bytes_create");
    if (!bytes)
        return error_set(MPM_EINVAL, "mpm_bytes_create: the pointer for the value is NULL");
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

/* The interface. */

/* NULL is what the method has none of. */
struct operands {
    const void *expected, *desired;
    void *before; /* out */
};

static int update(mpm_bytes bytes, unsigned verb, size_t size, const struct operands *operands)
{
    const void *expected = operands->expected, *desired = operands->desired;
    struct update update = {size};
    struct invocation invocation = {.method = &methods[verb],
                                    .in = &update,
                                    .tail = expected ? expected : desired,
                                    .tail_size = expected || desired ? size : 0,
                                    .second = expected ? desired : NULL,
                                    .second_size = expected ? size : 0,
                                    .more = operands->before,
                                    .room = operands->before ? size : 0};
    int status;

    if (size > CALL_LIMIT && !object_is_home(&bytes.handle))
        return error_set(MPM_ENOMEM, "a value of %zu bytes is too large for another node: at most %zu", size,
                         CALL_LIMIT);
    if (!(status = invoke(&bytes.handle, &invocation, 0)) && operands->before && invocation.size != size)
        return error_set(MPM_EPROTOCOL, "node %u answered with %zu bytes of a value, not %zu",
                         bytes.handle.home, invocation.size, size);
    return status;
}

static int missing(const char *call)
{
    return error_set(MPM_EINVAL, "%s: a required pointer is NULL", call);
}

int mpm_bytes_destroy(mpm_bytes bytes)
{
    struct invocation invocation = {.method = &methods[BYTES_DESTROY]};

    return invoke(&bytes.handle, &invocation, 0);
}

int mpm_bytes_get(mpm_bytes bytes, void *to, size_t size)
{
    if (size && !to)
        return missing("mpm_bytes_get");
    return update(bytes, BYTES_GET, size, &(struct operands){NULL, NULL, to});
}

int mpm_bytes_set(mpm_bytes bytes, const void *from, size_t size)
{
    if (size && !from)
        return missing("mpm_bytes_set");
    return update(bytes, BYTES_SET, size, &(struct operands){NULL, from, NULL});
}

int mpm_bytes_exchange(mpm_bytes bytes, const void *from, size_t size, void *before)
{
    if (size && (!from || !before))
        return missing("mpm_bytes_exchange");
    return update(bytes, BYTES_EXCHANGE, size, &(struct operands){NULL, from, before});
}

int mpm_bytes_compare_exchange(mpm_bytes bytes, const void *expected, const void *desired, size_t size,
                               void *before)
{
    if (size && (!expected || !desired || !before))
        return missing("mpm_bytes_compare_exchange");
    return update(bytes, BYTES_COMPARE_EXCHANGE, size, &(struct operands){expected, desired, before});
}

int mpm_bytes_size(mpm_bytes bytes, size_t *size)
{
    uint64_t found = 0;
    struct invocation invocation = {.method = &methods[BYTES_SIZE], .out = &found};
    int status;

    if (!size)
        return missing("mpm_bytes_size");
    if (!(status = invoke(&bytes.handle, &invocation, 0)))
        *size = found;
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
    return bytes.handle.kind == OBJECT_BYTES ? MPM_OK : object_is_not(&bytes.handle, OBJECT_BYTES);
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

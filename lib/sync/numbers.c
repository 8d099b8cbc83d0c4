/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers in an object: making, finding, updating and ending them.
 *
 * Who writes what: the maker reserves an object record; for an array it says that the object record is unclean, and
 * allocates the block, which is owned by the object record. It writes the numbers, and what struct numbers has; the
 * store of the object record's identity commits, and all but the numbers is constant from then on. Then the object
 * record is clean. If the maker dies before the commit, its reaper frees the object record, and whoever takes that next
 * the block; if it dies after it, its handle is known to nobody, as it dies with the maker: what it has made is lost
 * until the end of the run. The numbers are written by anybody, each by one atomic instruction an update, without a
 * lock (number.h). Destroying is one store of the identity, under the object record's lock, so that of two who destroy
 * one is told that it is too late; before it the object record is unclean, and after it the block is freed, and the
 * object record is clean. Whoever takes the object record of one who died in between frees the block (object/object.h).
 * Whoever dies anywhere else has done its update, or has not.
 *
 * Updates from other nodes whose result nobody wants are posted (object/post.h): delegations are given, and looked
 * for at the end, under the object record's lock. */
#include "sync/numbers.h"

#include <string.h>

#include "mpmap/runtime.h"
#include "mpmap/status.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "object/post.h"
#include "shm/kill_point.h"
#include "sync/kinds.h"

_Static_assert(sizeof(struct numbers) <= OBJECT_BODY_SIZE, "numbers fit into an object record");

static const char *name_of(enum object_kind kind)
{
    return kind == OBJECT_VALUE ? "a value" : "an array";
}

int numbers_missing(const char *call)
{
    return error_set(MPM_EINVAL, "%s: a required pointer is NULL", call);
}

int numbers_check_handle(mpm_handle handle, enum object_kind kind)
{
    if (handle.kind == kind && number_type_of(handle))
        return MPM_OK;
    return error_set(MPM_EINVAL, "this is not a handle of %s", name_of(kind));
}

int numbers_find_object(const mpm_handle *handle, enum object_kind kind, struct object **object)
{
    mpm_handle name = number_object(*handle);
    int status;

    if ((status = object_find(&name, kind, object)))
        return status;
    if (((struct numbers *)(*object)->body)->place != handle->place)
        return error_set(MPM_EINVAL, "this is not a handle of %s: its type is not that of the object",
                         name_of(kind));
    return MPM_OK;
}

int numbers_find(mpm_handle handle, enum object_kind kind, struct numbers **numbers)
{
    struct object *object = NULL;
    int status;

    if (!(status = numbers_find_object(&handle, kind, &object)))
        *numbers = (struct numbers *)object->body;
    return status;
}

int numbers_pointer(const char *call, mpm_handle handle, enum object_kind kind, void **pointer)
{
    struct numbers *numbers;
    int status;

    if (!pointer)
        return numbers_missing(call);
    if (!object_is_home(&handle))
        return error_set(MPM_EINVAL, "%s: %s is at node %u, the caller at node %u", call, name_of(kind) + 2,
                         handle.home, mpm_node_id());
    if (!(status = numbers_find(handle, kind, &numbers)))
        *pointer = numbers_at(numbers, 0);
    return status;
}

/* Making and ending. */

/* Makes the block for an array in a reserved object record, which is unclean then. */
static int make_block(struct object *object, struct numbers *numbers)
{
    size_t size;
    int status;

    if (__builtin_mul_overflow(numbers->length, mpm_type_size(numbers->type), &size))
        return error_set(MPM_ENOMEM, "%zu numbers of type %s are more than any memory can hold",
                         (size_t)numbers->length, mpm_type_name(numbers->type));
    object_set_unclean(object);
    KILL_POINT();
    if ((status = arena_alloc(context_arena(), size, object_owner(object, 0), &numbers->block)))
        return status;
    KILL_POINT();
    numbers->distance = (int64_t)(numbers->block - arena_offset(context_arena(), object->body));
    return MPM_OK;
}

static void fill(struct numbers *numbers, const void *initial)
{
    size_t size = numbers->length * number_size(numbers->type);

    if (!initial)
        memset(numbers_at(numbers, 0), 0, size);
    else if (size)
        memcpy(numbers_at(numbers, 0), initial, size);
}

static int make(enum object_kind kind, mpm_type type, size_t length, const void *initial, mpm_handle *handle)
{
    struct numbers *numbers;
    struct object *object;
    int status;

    if ((status = object_reserve(&object)))
        return status;
    numbers = (struct numbers *)object->body;
    *numbers = (struct numbers){.type = type,
                                .place = number_place(object->place, type),
                                .length = length,
                                .distance = offsetof(struct numbers, number)};
    if (kind == OBJECT_ARRAY && (status = make_block(object, numbers))) {
        object_set_clean(object);
        object_cancel(object);
        return status;
    }
    fill(numbers, initial);
    KILL_POINT();
    *handle = number_handle(object_commit(object, kind), type);
    KILL_POINT();
    if (numbers->block)
        object_set_clean(object);
    return MPM_OK;
}

int numbers_create(enum object_kind kind, mpm_type type, size_t length, const void *initial,
                   mpm_handle *handle)
{
    const char *call = kind == OBJECT_VALUE ? "mpm_value_create" : "mpm_array_create";

    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    if (!handle)
        return numbers_missing(call);
    if (!mpm_type_size(type))
        return error_set(MPM_EINVAL, "%s: %u is not a number type: use one of MPM_I8 to MPM_F64", call,
                         (unsigned)type);
    return make(kind, type, length, initial, handle);
}

/* Under the object record's lock. */
static void end_object(struct object *object, const mpm_handle *handle)
{
    uint64_t block = ((struct numbers *)object->body)->block;

    own_lock_end(object, handle);
    if (block)
        object_set_unclean(object);
    KILL_POINT();
    object_end(object);
    KILL_POINT();
    if (!block)
        return;
    arena_free(context_arena(), block);
    KILL_POINT();
    object_set_clean(object);
}

/* Takes the object record's lock if the object is there. MPM_ESTALE, MPM_ENOMEM: nothing is locked. */
static int lock_object(struct object *object, const mpm_handle *handle)
{
    mpm_handle name = number_object(*handle);
    int status = thread_token_ensure();

    if (status)
        return status;
    if (robust_mutex_lock(&object->mutex))
        robust_mutex_repaired(&object->mutex); /* nothing is derived */
    if (object_is(object, &name))
        return MPM_OK;
    robust_mutex_unlock(&object->mutex);
    return object_stale(&name);
}

/* CALL_MUST_WAIT while nodes have delegations for it: see object/post.h. */
int numbers_try_destroy(struct object *object, const mpm_handle *handle, struct invocation *unused)
{
    mpm_handle name = number_object(*handle);
    bool is_delegated;
    int status;

    (void)unused;
    if ((status = lock_object(object, handle)))
        return status;
    if (!(is_delegated = post_is_delegated(object)))
        end_object(object, &name);
    robust_mutex_unlock(&object->mutex);
    return is_delegated ? CALL_MUST_WAIT : MPM_OK;
}

int numbers_serve_destroy(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    int status = numbers_try_destroy(object, handle, invocation);

    return status == CALL_MUST_WAIT ? post_recall(object, handle) : status;
}

int numbers_lock(mpm_handle handle, enum object_kind kind, double timeout_s)
{
    mpm_handle name = number_object(handle);
    int status = numbers_check_handle(handle, kind);

    return status ? status : own_lock_acquire(&name, timeout_s);
}

int numbers_unlock(mpm_handle handle, enum object_kind kind)
{
    mpm_handle name = number_object(handle);
    int status = numbers_check_handle(handle, kind);

    return status ? status : own_lock_release(&name);
}

static const struct method *methods_of(enum object_kind kind)
{
    return kind == OBJECT_VALUE ? value_methods : array_methods;
}

int numbers_destroy(mpm_handle handle, enum object_kind kind)
{
    struct invocation invocation = {.method = &methods_of(kind)[NUMBERS_DESTROY]};

    return invoke(&handle, &invocation, MPM_FOREVER);
}

/* Updates. */

int numbers_try_update(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct numbers *numbers = (struct numbers *)object->body;
    const struct number_update *update = invocation->in;
    uint64_t *before = invocation->out;

    (void)handle;
    if (update->index >= numbers->length)
        return error_set(MPM_EINVAL, "index %llu is out of range: the array has %llu numbers",
                         (unsigned long long)update->index, (unsigned long long)numbers->length);
    *before = number_update((enum number_op)update->op, numbers->type, numbers_at(numbers, update->index),
                            update->operand, update->desired);
    return MPM_OK;
}

/* Whether the caller need not wait for what comes of it. */
static bool has_no_result(const struct number_change *change)
{
    enum number_op op = change->op;

    return !change->before && (op == NUMBER_ADD || op == NUMBER_MIN || op == NUMBER_MAX);
}

int numbers_update_slowly(mpm_handle handle, enum object_kind kind, size_t index,
                          const struct number_change *change)
{
    struct number_update update = {.op = change->op, .no_result = has_no_result(change), .index = index};
    mpm_type type = number_type_of(handle);
    uint64_t bits = 0;
    struct invocation invocation = {.method = &methods_of(kind)[NUMBERS_UPDATE], .in = &update, .out = &bits};
    int status;

    if ((status = numbers_check_handle(handle, kind)))
        return status;
    if (change->operand)
        update.operand = number_bits(type, change->operand);
    if (change->desired)
        update.desired = number_bits(type, change->desired);
    if (update.no_result && !object_is_home(&handle) &&
        post_operation(&handle, kind, index, &update, sizeof update, 1))
        return MPM_OK;
    status = invoke(&handle, &invocation, 0);
    if (!status && change->before)
        number_put(type, bits, change->before);
    return status;
}

int numbers_update_found(struct numbers *numbers, size_t index, const struct number_change *change)
{
    numbers_update_at(numbers_at(numbers, index), numbers->type, *change);
    return MPM_OK;
}

/* In the courier, for callers of other nodes. */

bool numbers_update_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const struct number_update *update = invocation->in;

    (void)handle;
    return update->op < NUMBER_OPS;
}

/* Lets the caller's node post the next ones, unless the object has gone. */
static void grant(struct object *object, const mpm_handle *handle)
{
    if (lock_object(object, handle))
        return;
    post_grant(object, handle, ((struct numbers *)object->body)->length);
    robust_mutex_unlock(&object->mutex);
}

int numbers_serve_update(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct number_update *update = invocation->in;
    int status = numbers_try_update(object, handle, invocation);

    if (!status && update->no_result)
        grant(object, handle);
    return status;
}

/* What nodes have posted by their delegations. */
int numbers_carry_out(const mpm_handle *handle, const void *bytes, size_t size, size_t count, size_t *done)
{
    struct number_update update;
    uint64_t before;
    struct invocation invocation = {.in = &update, .out = &before};
    struct object *object;
    int status;

    if (size != sizeof update)
        return error_set(MPM_EPROTOCOL, "an update of a number was posted with %zu bytes, not %zu", size,
                         sizeof update);
    for (*done = 0; *done < count; ++*done) {
        memcpy(&update, (const char *)bytes + *done * size, size);
        if (!numbers_update_makes_sense(handle, &invocation))
            return error_set(MPM_EPROTOCOL, "an update of a number is of unknown kind %u", update.op);
        if ((status = numbers_find_object(handle, (enum object_kind)handle->kind, &object)) ||
            (status = numbers_try_update(object, handle, &invocation)))
            return status;
    }
    return MPM_OK;
}

const struct method value_methods[NUMBERS_METHODS] = {NUMBERS_METHODS_OF(OBJECT_VALUE)};
const struct kind value_kind = {.kind = OBJECT_VALUE,
                                .methods = value_methods,
                                .count = NUMBERS_METHODS,
                                .carries_out = numbers_carry_out};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Values: one number in the body of a cell, alone on its cache line, so that who updates it does not take
 * away the lines by which others find it.
 *
 * Who writes what: the maker writes `type` and the number before the cell's identity is committed; `type` is
 * constant from then on; the number is written by anybody, by one atomic instruction an update, without a
 * lock (number.h). A maker that dies before the commit leaves a reserved cell, which its reaper frees; after
 * it, an object whose handle died with it: its cell is lost until the end of the run. Destroying is one store
 * of the identity, under the cell's lock, so that of two who destroy one is told that it is too late. Whoever
 * dies anywhere else has done its update, or has not. */
#include "mpmap/value.h"
#include "mpmap/runtime.h"

#include "base/error.h"
#include "core/call.h"
#include "core/object.h"
#include "core/runtime.h"
#include "shm/kill_point.h"
#include "sync/number.h"

struct value {
    mpm_type type;
    _Alignas(64) uint64_t number; /* its first bytes, if the type has fewer */
};
_Static_assert(sizeof(struct value) <= OBJECT_BODY_SIZE, "a value fits into a cell");

static struct value *value_in(struct object *object)
{
    return (struct value *)object->body;
}

/* At home. MPM_EINVAL, MPM_ESTALE. */
static int find(mpm_handle handle, struct object **found)
{
    mpm_handle name = number_object(handle);
    struct object *object;
    int status;

    if ((status = object_find(&name, OBJECT_VALUE, &object)))
        return status;
    if (value_in(object)->type != number_type_of(handle))
        return error_set(MPM_EINVAL,
                         "this is no handle of a value: it tells another type than the value has");
    *found = object;
    return MPM_OK;
}

/* Making and ending. */

int mpm_value_create(mpm_type type, const void *initial, mpm_value *value)
{
    struct object *object;
    struct value *made;
    int status;

    if (!mpm_node_count())
        return error_set(MPM_ESTATE, "mpm_value_create: there is no run: call mpm_init first");
    if (!value)
        return number_missing("mpm_value_create");
    if ((status = number_check_type("mpm_value_create", type)) || (status = object_reserve(&object)))
        return status;
    KILL_POINT();
    made = value_in(object);
    made->type = type;
    if (initial)
        number_put(type, number_bits(type, initial), &made->number);
    KILL_POINT();
    value->handle = number_handle(object_commit(object, OBJECT_VALUE), type);
    return MPM_OK;
}

static int destroy_here(mpm_handle handle)
{
    mpm_handle name = number_object(handle);
    struct object *object;
    bool was_there;
    int status;

    if ((status = find(handle, &object)))
        return status;
    if (robust_mutex_lock(&object->mutex))
        robust_mutex_repaired(&object->mutex); /* nothing is derived */
    if ((was_there = object_is(object, &name)))
        object_end(object);
    robust_mutex_unlock(&object->mutex);
    return was_there ? MPM_OK : object_stale(&name);
}

int mpm_value_destroy(mpm_value value)
{
    if (object_is_home(&value.handle))
        return destroy_here(value.handle);
    return call_remote(&value.handle, VERB_VALUE_DESTROY, NULL, 0, 0, NULL, 0, NULL);
}

/* Updates. */

static int update_here(mpm_handle handle, const struct number_call *call, uint64_t *before)
{
    struct object *object;
    struct value *value;
    int status;

    if ((status = find(handle, &object)))
        return status;
    value = value_in(object);
    *before = number_update((enum number_op)call->op, value->type, &value->number, call->operand,
                            call->desired);
    return MPM_OK;
}

/* Wherever the value is. Not inline: the caller would save registers for it. */
static __attribute__((noinline)) int update_anywhere(mpm_handle handle, enum number_op op,
                                                     const void *operand, const void *desired, void *before)
{
    struct number_call call = {.op = op};
    mpm_type type = number_type_of(handle);
    uint64_t bits = 0;
    int status;

    if (!type)
        return error_set(MPM_EINVAL, "this is no handle of a value");
    if (operand)
        call.operand = number_bits(type, operand);
    if (desired)
        call.desired = number_bits(type, desired);
    if (object_is_home(&handle))
        status = update_here(handle, &call, &bits);
    else
        status = number_update_elsewhere(handle, VERB_VALUE_UPDATE, &call, &bits);
    if (!status && before)
        number_put(type, bits, before);
    return status;
}

/* First the way that is nearly always taken: the value is at home and was found lately. `operand`, `desired`
 * and `before` may be NULL where the operation has none, or nobody wants to know. */
static inline __attribute__((always_inline)) int
update(mpm_value value, enum number_op op, const void *operand, const void *desired, void *before)
{
    mpm_handle name = number_object(value.handle);
    struct object *object = object_find_recent(&name, OBJECT_VALUE);
    struct value *here;
    uint64_t bits;

    if (!object || !number_is_type(value.handle, (here = value_in(object))->type))
        return update_anywhere(value.handle, op, operand, desired, before);
    bits = number_update(op, here->type, &here->number, operand ? number_bits(here->type, operand) : 0,
                         desired ? number_bits(here->type, desired) : 0);
    if (before)
        number_put(here->type, bits, before);
    return MPM_OK;
}

int mpm_value_get(mpm_value value, void *number)
{
    return number ? update(value, NUMBER_GET, NULL, NULL, number) : number_missing("mpm_value_get");
}

int mpm_value_set(mpm_value value, const void *number)
{
    return number ? update(value, NUMBER_SET, number, NULL, NULL) : number_missing("mpm_value_set");
}

int mpm_value_add(mpm_value value, const void *number)
{
    return number ? update(value, NUMBER_ADD, number, NULL, NULL) : number_missing("mpm_value_add");
}

int mpm_value_fetch_add(mpm_value value, const void *number, void *before)
{
    return number && before ? update(value, NUMBER_ADD, number, NULL, before)
                            : number_missing("mpm_value_fetch_add");
}

int mpm_value_exchange(mpm_value value, const void *number, void *before)
{
    return number && before ? update(value, NUMBER_SET, number, NULL, before)
                            : number_missing("mpm_value_exchange");
}

int mpm_value_compare_exchange(mpm_value value, const void *expected, const void *desired, void *before)
{
    return expected && desired && before ? update(value, NUMBER_COMPARE_EXCHANGE, expected, desired, before)
                                         : number_missing("mpm_value_compare_exchange");
}

int mpm_value_min(mpm_value value, const void *number)
{
    return number ? update(value, NUMBER_MIN, number, NULL, NULL) : number_missing("mpm_value_min");
}

int mpm_value_max(mpm_value value, const void *number)
{
    return number ? update(value, NUMBER_MAX, number, NULL, NULL) : number_missing("mpm_value_max");
}

int mpm_value_type(mpm_value value, mpm_type *type)
{
    int status;

    if (!type)
        return number_missing("mpm_value_type");
    if ((status = update(value, NUMBER_GET, NULL, NULL, NULL))) /* is it there? */
        return status;
    *type = number_type_of(value.handle);
    return MPM_OK;
}

int mpm_value_pointer(mpm_value value, void **number)
{
    struct object *object;
    int status;

    if (!number)
        return number_missing("mpm_value_pointer");
    if (!object_is_home(&value.handle))
        return error_set(MPM_EINVAL, "mpm_value_pointer: the value is at node %u, the caller at node %u",
                         value.handle.home, mpm_node_id());
    if ((status = find(value.handle, &object)))
        return status;
    *number = &value_in(object)->number;
    return MPM_OK;
}

/* Calls from other nodes, in the courier. */

static int try_update(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct number_call call;
    uint64_t before = 0;
    int status;

    if ((status = number_call_read(in, in_size, &call)) || (status = update_here(*handle, &call, &before)))
        return status;
    return call_reply_add(reply, &before, sizeof before);
}

static int try_destroy(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)in_size;
    (void)reply;
    return destroy_here(*handle);
}

static void announce(void)
{
    call_register(VERB_VALUE_UPDATE, try_update, MPM_ETIMEDOUT, "an update of a value never waits");
    call_register(VERB_VALUE_DESTROY, try_destroy, MPM_ETIMEDOUT, "the end of a value never waits");
}

static __attribute__((constructor)) void add_layer(void)
{
    runtime_add_layer(announce);
}

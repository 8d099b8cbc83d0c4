/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays: numbers in a block of the arena that hangs from a cell.
 *
 * Who writes what: the maker allocates the block, as its own, writes the numbers, and then what struct array
 * has into a reserved cell; the store of the cell's identity commits, and all of it is constant from then on.
 * Then it gives the block away. If it dies before the commit, its reaper frees the cell and the block. If it
 * dies after it, its handle is known to nobody, as it dies in the maker: the reaper frees the block if it was
 * not given yet, and else the block is lost until the end of the run, as is the cell. The numbers are written
 * by anybody, each by one atomic instruction an update, without a lock (number.h): whoever dies in a slice
 * has written some of its numbers, each as a whole. Destroying is one store of the identity, under the cell's
 * lock; then the block is freed. Death between the two loses the block until the end of the run. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/runtime.h"
#include "mpmap/value.h"

#include "base/error.h"
#include "core/call.h"
#include "core/object.h"
#include "core/runtime.h"
#include "host/host.h"
#include "shm/kill_point.h"
#include "sync/number.h"

#define PIECE_SIZE ((size_t)1 << 20) /* bytes of a slice that go to another node at once */

struct array {
    mpm_type type;
    uint64_t length;
    uint64_t block;   /* where the numbers stand, */
    int64_t distance; /* and how far behind this struct that is, in every process */
};
_Static_assert(sizeof(struct array) <= OBJECT_BODY_SIZE, "an array's own part fits into a cell");

/* What VERB_ARRAY_COPY takes; for a write the numbers follow. It gives the numbers that were read, or the
 * length. The whole slice is checked with each of its pieces, so that one that does not fit changes nothing.
 */
struct array_copy {
    uint64_t kind; /* enum copy_kind */
    uint64_t whole_first, whole_count;
    uint64_t first, count; /* this piece */
};

enum copy_kind { COPY_READ, COPY_WRITE, COPY_LENGTH };

static struct array *array_in(struct object *object)
{
    return (struct array *)object->body;
}

/* At home. MPM_EINVAL, MPM_ESTALE. */
static int find(mpm_handle handle, struct object **found)
{
    mpm_handle name = number_object(handle);
    struct object *object;
    int status;

    if ((status = object_find(&name, OBJECT_ARRAY, &object)))
        return status;
    if (array_in(object)->type != number_type_of(handle))
        return error_set(MPM_EINVAL,
                         "this is no handle of an array: it tells another type than the array has");
    *found = object;
    return MPM_OK;
}

/* Its number at `index`: below the length, or one past the end of it. */
static inline void *number_at(const struct array *array, uint64_t index)
{
    return (char *)(uintptr_t)array + array->distance + index * number_size(array->type);
}

/* Making and ending. */

/* Makes the block with the numbers, owned by the caller. */
static int make_block(mpm_type type, size_t length, const void *initial, uint64_t *block)
{
    struct arena *arena = runtime_arena();
    size_t size;
    int status;

    if (__builtin_mul_overflow(length, mpm_type_size(type), &size))
        return error_set(MPM_ENOMEM,
                         "mpm_array_create: %zu numbers of type %s are more than any memory holds", length,
                         mpm_type_name(type));
    if ((status = arena_alloc(arena, size, process_own_number(), block)))
        return status;
    KILL_POINT();
    if (!initial)
        memset(arena_at(arena, *block), 0, size);
    else if (size)
        memcpy(arena_at(arena, *block), initial, size);
    return MPM_OK;
}

int mpm_array_create(mpm_type type, size_t length, const void *initial, mpm_array *array)
{
    struct array made = {.type = type, .length = length};
    struct object *object;
    int status;

    if (!mpm_node_count())
        return error_set(MPM_ESTATE, "mpm_array_create: there is no run: call mpm_init first");
    if (!array)
        return number_missing("mpm_array_create");
    if ((status = number_check_type("mpm_array_create", type)) ||
        (status = make_block(type, length, initial, &made.block)))
        return status;
    if ((status = object_reserve(&object))) {
        arena_free(runtime_arena(), made.block);
        return status;
    }
    KILL_POINT();
    made.distance = (int64_t)(made.block - arena_offset(runtime_arena(), array_in(object)));
    *array_in(object) = made;
    KILL_POINT();
    array->handle = number_handle(object_commit(object, OBJECT_ARRAY), type);
    KILL_POINT();
    arena_give(runtime_arena(), made.block);
    return MPM_OK;
}

static int destroy_here(mpm_handle handle)
{
    mpm_handle name = number_object(handle);
    struct object *object;
    uint64_t block = 0;
    int status;

    if ((status = find(handle, &object)))
        return status;
    if (robust_mutex_lock(&object->mutex))
        robust_mutex_repaired(&object->mutex); /* nothing is derived */
    if (object_is(object, &name)) {
        block = array_in(object)->block;
        object_end(object);
    }
    KILL_POINT();
    robust_mutex_unlock(&object->mutex);
    if (!block)
        return object_stale(&name);
    arena_free(runtime_arena(), block);
    return MPM_OK;
}

int mpm_array_destroy(mpm_array array)
{
    if (object_is_home(&array.handle))
        return destroy_here(array.handle);
    return call_remote(&array.handle, VERB_ARRAY_DESTROY, NULL, 0, 0, NULL, 0, NULL);
}

/* Updates of one number. */

static int update_here(mpm_handle handle, const struct number_call *call, uint64_t *before)
{
    struct object *object;
    struct array *array;
    int status;

    if ((status = find(handle, &object)))
        return status;
    array = array_in(object);
    if (call->index >= array->length)
        return error_set(MPM_EINVAL, "index %llu is out of range: the array has %llu numbers",
                         (unsigned long long)call->index, (unsigned long long)array->length);
    *before = number_update((enum number_op)call->op, array->type, number_at(array, call->index),
                            call->operand, call->desired);
    return MPM_OK;
}

/* Wherever the array is. Not inline: the caller would save registers for it. */
static __attribute__((noinline)) int update_anywhere(mpm_handle handle, enum number_op op, size_t index,
                                                     const void *operand, const void *desired, void *before)
{
    struct number_call call = {.op = op, .index = index};
    mpm_type type = number_type_of(handle);
    uint64_t bits = 0;
    int status;

    if (!type)
        return error_set(MPM_EINVAL, "this is no handle of an array");
    if (operand)
        call.operand = number_bits(type, operand);
    if (desired)
        call.desired = number_bits(type, desired);
    if (object_is_home(&handle))
        status = update_here(handle, &call, &bits);
    else
        status = number_update_elsewhere(handle, VERB_ARRAY_UPDATE, &call, &bits);
    if (!status && before)
        number_put(type, bits, before);
    return status;
}

/* First the way that is nearly always taken: the array is at home and was found lately. `operand`, `desired`
 * and `before` may be NULL where the operation has none, or nobody wants to know. */
static inline __attribute__((always_inline)) int update(mpm_array array, size_t index, enum number_op op,
                                                        const void *operand, const void *desired,
                                                        void *before)
{
    mpm_handle name = number_object(array.handle);
    struct object *object = object_find_recent(&name, OBJECT_ARRAY);
    struct array *here;
    uint64_t bits;

    if (!object || !number_is_type(array.handle, (here = array_in(object))->type) || index >= here->length)
        return update_anywhere(array.handle, op, index, operand, desired, before);
    bits = number_update(op, here->type, number_at(here, index),
                         operand ? number_bits(here->type, operand) : 0,
                         desired ? number_bits(here->type, desired) : 0);
    if (before)
        number_put(here->type, bits, before);
    return MPM_OK;
}

int mpm_array_get(mpm_array array, size_t index, void *number)
{
    return number ? update(array, index, NUMBER_GET, NULL, NULL, number) : number_missing("mpm_array_get");
}

int mpm_array_set(mpm_array array, size_t index, const void *number)
{
    return number ? update(array, index, NUMBER_SET, number, NULL, NULL) : number_missing("mpm_array_set");
}

int mpm_array_add(mpm_array array, size_t index, const void *number)
{
    return number ? update(array, index, NUMBER_ADD, number, NULL, NULL) : number_missing("mpm_array_add");
}

int mpm_array_fetch_add(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before ? update(array, index, NUMBER_ADD, number, NULL, before)
                            : number_missing("mpm_array_fetch_add");
}

int mpm_array_exchange(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before ? update(array, index, NUMBER_SET, number, NULL, before)
                            : number_missing("mpm_array_exchange");
}

int mpm_array_compare_exchange(mpm_array array, size_t index, const void *expected, const void *desired,
                               void *before)
{
    return expected && desired && before
               ? update(array, index, NUMBER_COMPARE_EXCHANGE, expected, desired, before)
               : number_missing("mpm_array_compare_exchange");
}

int mpm_array_min(mpm_array array, size_t index, const void *number)
{
    return number ? update(array, index, NUMBER_MIN, number, NULL, NULL) : number_missing("mpm_array_min");
}

int mpm_array_max(mpm_array array, size_t index, const void *number)
{
    return number ? update(array, index, NUMBER_MAX, number, NULL, NULL) : number_missing("mpm_array_max");
}

/* Slices. */

static int check_slice(const struct array *array, uint64_t first, uint64_t count)
{
    if (first <= array->length && count <= array->length - first)
        return MPM_OK;
    return error_set(MPM_EINVAL, "%llu numbers from index %llu on are out of range: the array has %llu",
                     (unsigned long long)count, (unsigned long long)first, (unsigned long long)array->length);
}

static int find_slice(mpm_handle handle, uint64_t first, uint64_t count, struct array **array)
{
    struct object *object = NULL;
    int status;

    if ((status = find(handle, &object)) || (status = check_slice(array_in(object), first, count)))
        return status;
    *array = array_in(object);
    return MPM_OK;
}

static int send_read(mpm_handle handle, const struct array_copy *copy, size_t size, void *numbers)
{
    size_t got = 0;
    int status;

    if ((status = call_remote(&handle, VERB_ARRAY_COPY, copy, sizeof *copy, 0, numbers, size, &got)))
        return status;
    if (got != size)
        return error_set(MPM_EPROTOCOL, "node %u answered with %zu bytes of an array, not %zu", handle.home,
                         got, size);
    return MPM_OK;
}

static int send_write(mpm_handle handle, const struct array_copy *copy, size_t size, const void *numbers)
{
    char *message = malloc(sizeof *copy + size);
    int status;

    if (!message)
        return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes", sizeof *copy + size);
    memcpy(message, copy, sizeof *copy);
    if (size)
        memcpy(message + sizeof *copy, numbers, size);
    status = call_remote(&handle, VERB_ARRAY_COPY, message, sizeof *copy + size, 0, NULL, 0, NULL);
    free(message);
    return status;
}

/* Piece by piece; a slice of no numbers goes, too, to be checked. `from` or `to` is the caller's. */
static int copy_elsewhere(mpm_handle handle, enum copy_kind kind, size_t first, size_t count,
                          const char *from, char *to)
{
    size_t size = mpm_type_size(number_type_of(handle)), done = 0;
    int status = MPM_OK;

    do {
        struct array_copy piece = {
            .kind = kind, .whole_first = first, .whole_count = count, .first = first + done};

        piece.count = count - done < PIECE_SIZE / size ? count - done : PIECE_SIZE / size;
        status = kind == COPY_READ ? send_read(handle, &piece, piece.count * size, to + done * size)
                                   : send_write(handle, &piece, piece.count * size, from + done * size);
        done += piece.count;
    } while (!status && done < count);
    return status;
}

/* What a slice needs to be copied anywhere. */
static int check_copy(const char *call, mpm_array array, size_t count, const void *numbers)
{
    if (!number_type_of(array.handle))
        return error_set(MPM_EINVAL, "this is no handle of an array");
    return count && !numbers ? number_missing(call) : MPM_OK;
}

int mpm_array_read(mpm_array array, size_t first, size_t count, void *numbers)
{
    struct array *here;
    int status;

    if ((status = check_copy("mpm_array_read", array, count, numbers)))
        return status;
    if (!object_is_home(&array.handle))
        return copy_elsewhere(array.handle, COPY_READ, first, count, NULL, numbers);
    if ((status = find_slice(array.handle, first, count, &here)))
        return status;
    number_read(here->type, number_at(here, first), count, numbers);
    return MPM_OK;
}

int mpm_array_write(mpm_array array, size_t first, size_t count, const void *numbers)
{
    struct array *here;
    int status;

    if ((status = check_copy("mpm_array_write", array, count, numbers)))
        return status;
    if (!object_is_home(&array.handle))
        return copy_elsewhere(array.handle, COPY_WRITE, first, count, numbers, NULL);
    if ((status = find_slice(array.handle, first, count, &here)))
        return status;
    number_write(here->type, number_at(here, first), count, numbers);
    return MPM_OK;
}

/* What an array is. */

static int length_of(mpm_array array, uint64_t *length)
{
    struct array_copy look = {.kind = COPY_LENGTH};
    struct array *here;
    int status;

    if (!number_type_of(array.handle))
        return error_set(MPM_EINVAL, "this is no handle of an array");
    if (!object_is_home(&array.handle))
        return send_read(array.handle, &look, sizeof *length, length);
    if ((status = find_slice(array.handle, 0, 0, &here)))
        return status;
    *length = here->length;
    return MPM_OK;
}

int mpm_array_length(mpm_array array, size_t *length)
{
    uint64_t found = 0;
    int status;

    if (!length)
        return number_missing("mpm_array_length");
    if ((status = length_of(array, &found)))
        return status;
    *length = found;
    return MPM_OK;
}

int mpm_array_type(mpm_array array, mpm_type *type)
{
    uint64_t unused;
    int status;

    if (!type)
        return number_missing("mpm_array_type");
    if ((status = length_of(array, &unused))) /* is it there? */
        return status;
    *type = number_type_of(array.handle);
    return MPM_OK;
}

int mpm_array_pointer(mpm_array array, void **numbers)
{
    struct array *here;
    int status;

    if (!numbers)
        return number_missing("mpm_array_pointer");
    if (!object_is_home(&array.handle))
        return error_set(MPM_EINVAL, "mpm_array_pointer: the array is at node %u, the caller at node %u",
                         array.handle.home, mpm_node_id());
    if ((status = find_slice(array.handle, 0, 0, &here)))
        return status;
    *numbers = number_at(here, 0);
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

static int reply_numbers(const struct array *array, const struct array_copy *piece, struct call_reply *reply)
{
    size_t size = piece->count * mpm_type_size(array->type);
    void *numbers = malloc(size + 1);
    int status;

    if (!numbers)
        return error_set(MPM_ENOMEM, "no memory for %zu bytes of an array", size);
    number_read(array->type, number_at(array, piece->first), piece->count, numbers);
    status = call_reply_add(reply, numbers, size);
    free(numbers);
    return status;
}

/* Whether the bytes behind the call are its numbers. */
static bool has_its_numbers(const struct array *array, const struct array_copy *piece, size_t size)
{
    return size == (piece->kind == COPY_WRITE ? piece->count * mpm_type_size(array->type) : 0);
}

static int try_copy(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct array_copy piece;
    struct array *array;
    int status;

    if (in_size < sizeof piece)
        return error_set(MPM_EPROTOCOL, "a call on an array has %zu bytes only", in_size);
    memcpy(&piece, in, sizeof piece);
    if ((status = find_slice(*handle, piece.whole_first, piece.whole_count, &array)) ||
        (status = check_slice(array, piece.first, piece.count)))
        return status;
    if (!has_its_numbers(array, &piece, in_size - sizeof piece))
        return error_set(MPM_EPROTOCOL, "a call on an array has %zu bytes, which is not its length", in_size);
    switch (piece.kind) {
    case COPY_READ:
        return reply_numbers(array, &piece, reply);
    case COPY_WRITE:
        number_write(array->type, number_at(array, piece.first), piece.count,
                     (const char *)in + sizeof piece);
        return MPM_OK;
    case COPY_LENGTH:
        return call_reply_add(reply, &array->length, sizeof array->length);
    default:
        return error_set(MPM_EPROTOCOL, "a call on an array is of kind %llu, which there is not",
                         (unsigned long long)piece.kind);
    }
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
    call_register(VERB_ARRAY_UPDATE, try_update, MPM_ETIMEDOUT, "an update of an array never waits");
    call_register(VERB_ARRAY_COPY, try_copy, MPM_ETIMEDOUT, "a copy of an array never waits");
    call_register(VERB_ARRAY_DESTROY, try_destroy, MPM_ETIMEDOUT, "the end of an array never waits");
}

static __attribute__((constructor)) void add_layer(void)
{
    runtime_add_layer(announce);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays: slices of them, and what they are; see numbers.c for who writes what. Whoever dies in a slice has
 * written some of its numbers, each as a whole. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/value.h"

#include "base/error.h"
#include "node/context.h"
#include "sync/kinds.h"
#include "sync/numbers.h"

#define PIECE_SIZE ((size_t)1 << 20) /* bytes of a slice that go to another node at once */
#define SHORT_SIZE ((size_t)1 << 16) /* bytes of a slice that go there unchecked */

/* What a read or a write takes; for a write the numbers follow, for a read they come. The whole slice is checked with
 * each of its pieces, so that one that does not fit changes nothing. */
struct slice {
    uint64_t whole_first, whole_count;
    uint64_t first, count; /* this piece */
};

enum { ARRAY_READ = NUMBERS_METHODS, ARRAY_WRITE, ARRAY_LENGTH, ARRAY_METHODS };

int mpm_array_create(mpm_type type, size_t length, const void *initial, mpm_array *array)
{
    return numbers_create(OBJECT_ARRAY, type, length, initial, array ? &array->handle : NULL);
}

int mpm_array_destroy(mpm_array array)
{
    return numbers_destroy(array.handle, OBJECT_ARRAY);
}

/* Updates of one number. */

int mpm_array_get(mpm_array array, size_t index, void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                   (struct number_change){NUMBER_GET, NULL, NULL, number})
                  : numbers_missing("mpm_array_get");
}

int mpm_array_set(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                   (struct number_change){.op = NUMBER_SET, .operand = number})
                  : numbers_missing("mpm_array_set");
}

int mpm_array_add(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                   (struct number_change){.op = NUMBER_ADD, .operand = number})
                  : numbers_missing("mpm_array_add");
}

int mpm_array_fetch_add(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                             (struct number_change){NUMBER_ADD, number, NULL, before})
                            : numbers_missing("mpm_array_fetch_add");
}

int mpm_array_exchange(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                             (struct number_change){NUMBER_SET, number, NULL, before})
                            : numbers_missing("mpm_array_exchange");
}

int mpm_array_compare_exchange(mpm_array array, size_t index, const void *expected, const void *desired,
                               void *before)
{
    return expected && desired && before
               ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                (struct number_change){NUMBER_COMPARE_EXCHANGE, expected, desired, before})
               : numbers_missing("mpm_array_compare_exchange");
}

int mpm_array_min(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                   (struct number_change){.op = NUMBER_MIN, .operand = number})
                  : numbers_missing("mpm_array_min");
}

int mpm_array_max(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                   (struct number_change){.op = NUMBER_MAX, .operand = number})
                  : numbers_missing("mpm_array_max");
}

/* Slices. */

static int check_slice(struct numbers *array, uint64_t first, uint64_t count)
{
    if (first <= array->length && count <= array->length - first)
        return MPM_OK;
    return error_set(MPM_EINVAL, "%llu numbers from index %llu are out of range: the array has %llu",
                     (unsigned long long)count, (unsigned long long)first, (unsigned long long)array->length);
}

static int check_slices(struct numbers *array, const struct slice *slice)
{
    int status = check_slice(array, slice->whole_first, slice->whole_count);

    return status ? status : check_slice(array, slice->first, slice->count);
}

static int try_read(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct numbers *array = (struct numbers *)object->body;
    const struct slice *slice = invocation->in;
    size_t size = slice->count * mpm_type_size(array->type);
    int status;

    (void)handle;
    if ((status = check_slices(array, slice)) || (status = invocation_make_room(invocation, size)))
        return status;
    number_read(array->type, numbers_at(array, slice->first), slice->count, invocation->more);
    invocation->size = size;
    return MPM_OK;
}

static int try_write(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    struct numbers *array = (struct numbers *)object->body;
    const struct slice *slice = invocation->in;
    int status;

    (void)handle;
    if (!(status = check_slices(array, slice)))
        number_write(array->type, numbers_at(array, slice->first), slice->count, invocation->tail);
    return status;
}

static int try_length(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    uint64_t *length = invocation->out;

    *length = ((struct numbers *)object->body)->length;
    return numbers_find_object(handle, OBJECT_ARRAY, &object);
}

/* Whether the bytes of a write are its numbers. */
static bool write_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    size_t size = mpm_type_size(number_type_of(*handle));
    const struct slice *slice = invocation->in;

    return size && invocation->tail_size % size == 0 && invocation->tail_size / size == slice->count;
}

const struct method array_methods[ARRAY_METHODS] = {
    NUMBERS_METHODS_OF(OBJECT_ARRAY),
    [ARRAY_READ] = {OBJECT_ARRAY, ARRAY_READ, "read", .in_size = sizeof(struct slice), .has_more = true,
                    .find = numbers_find_object, .try = try_read},
    [ARRAY_WRITE] = {OBJECT_ARRAY, ARRAY_WRITE, "write", .in_size = sizeof(struct slice), .tail_unit = 1,
                     .makes_sense = write_makes_sense, .find = numbers_find_object, .try = try_write},
    [ARRAY_LENGTH] = {OBJECT_ARRAY, ARRAY_LENGTH, "length", .out_size = sizeof(uint64_t),
                      .find = numbers_find_object, .try = try_length},
};
const struct kind array_kind = {
    .kind = OBJECT_ARRAY, .methods = array_methods, .count = ARRAY_METHODS, .carries_out = numbers_carry_out};

/* At home all of it at once. */
static int copy_local(mpm_handle handle, unsigned verb, struct slice *slice, const void *from, void *to)
{
    struct invocation invocation = {.method = &array_methods[verb], .in = slice, .tail = from, .more = to};

    return invoke_local(&handle, &invocation, 0);
}

static int copy_piece(mpm_handle handle, unsigned verb, struct slice *slice, const void *from, void *to)
{
    struct invocation invocation = {.method = &array_methods[verb], .in = slice};
    size_t size = slice->count * mpm_type_size(number_type_of(handle));
    int status;

    if (verb == ARRAY_WRITE) {
        invocation.tail = from;
        invocation.tail_size = size;
        return invoke_remote(&handle, &invocation, 0);
    }
    invocation.more = to;
    invocation.room = size;
    if (!(status = invoke_remote(&handle, &invocation, 0)) && invocation.size != size)
        return error_set(MPM_EPROTOCOL, "node %u answered with %zu bytes of an array, not %zu", handle.home,
                         invocation.size, size);
    return status;
}

/* Has the home check a slice that is to be written, before it is read here: if it is out of range, there may be no
 * memory where it would end. A short one goes at once. */
static int check_remote(mpm_handle handle, const struct slice *slice)
{
    struct slice nothing = *slice;

    nothing.count = 0;
    if (slice->count <= SHORT_SIZE / mpm_type_size(number_type_of(handle)))
        return MPM_OK;
    return copy_piece(handle, ARRAY_WRITE, &nothing, NULL, NULL);
}

/* Piece by piece; a slice of no numbers goes, too, to be checked. `from` or `to` is the caller's. */
static int copy_remote(mpm_handle handle, unsigned verb, const struct slice *whole, const char *from,
                       char *to)
{
    size_t size = mpm_type_size(number_type_of(handle)), done = 0;
    int status = MPM_OK;

    do {
        size_t left = whole->count - done, piece = left < PIECE_SIZE / size ? left : PIECE_SIZE / size;
        struct slice slice = {whole->first, whole->count, whole->first + done, piece};

        status = copy_piece(handle, verb, &slice, from ? from + done * size : NULL,
                            to ? to + done * size : NULL);
        done += piece;
    } while (!status && done < whole->count);
    return status;
}

/* What a slice needs to be copied anywhere. */
static int check_copy(const char *call, mpm_array array, size_t count, const void *numbers)
{
    int status = numbers_check_handle(array.handle, OBJECT_ARRAY);

    return status ? status : count && !numbers ? numbers_missing(call) : MPM_OK;
}

int mpm_array_read(mpm_array array, size_t first, size_t count, void *numbers)
{
    struct slice slice = {first, count, first, count};
    int status;

    if ((status = check_copy("mpm_array_read", array, count, numbers)))
        return status;
    if (object_is_home(&array.handle))
        return copy_local(array.handle, ARRAY_READ, &slice, NULL, numbers);
    return copy_remote(array.handle, ARRAY_READ, &slice, NULL, numbers);
}

int mpm_array_write(mpm_array array, size_t first, size_t count, const void *numbers)
{
    struct slice slice = {first, count, first, count};
    int status;

    if ((status = check_copy("mpm_array_write", array, count, numbers)))
        return status;
    if (object_is_home(&array.handle))
        return copy_local(array.handle, ARRAY_WRITE, &slice, numbers, NULL);
    status = check_remote(array.handle, &slice);
    return status ? status : copy_remote(array.handle, ARRAY_WRITE, &slice, numbers, NULL);
}

/* What an array is. */

static int length_of(mpm_array array, uint64_t *length)
{
    struct invocation invocation = {.method = &array_methods[ARRAY_LENGTH], .out = length};
    int status = numbers_check_handle(array.handle, OBJECT_ARRAY);

    return status ? status : invoke(&array.handle, &invocation, 0);
}

int mpm_array_length(mpm_array array, size_t *length)
{
    uint64_t found = 0;
    int status;

    if (!length)
        return numbers_missing("mpm_array_length");
    if ((status = length_of(array, &found)))
        return status;
    *length = found;
    return MPM_OK;
}

int mpm_array_type(mpm_array array, mpm_type *type)
{
    uint64_t unused = 0;
    int status;

    if (!type)
        return numbers_missing("mpm_array_type");
    if ((status = length_of(array, &unused))) /* is it there? */
        return status;
    *type = number_type_of(array.handle);
    return MPM_OK;
}

int mpm_array_pointer(mpm_array array, void **numbers)
{
    return numbers_pointer("mpm_array_pointer", array.handle, OBJECT_ARRAY, numbers);
}

int mpm_array_lock(mpm_array array, double timeout_s)
{
    return numbers_lock(array.handle, OBJECT_ARRAY, timeout_s);
}

int mpm_array_unlock(mpm_array array)
{
    return numbers_unlock(array.handle, OBJECT_ARRAY);
}

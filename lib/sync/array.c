/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays: slices of them, and what they are; see numbers.c for who writes what. Whoever dies in a slice has
 * written some of its numbers, each as a whole. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/value.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "sync/layer.h"
#include "sync/numbers.h"

#define PIECE_SIZE ((size_t)1 << 20) /* bytes of a slice that go to another node at once */
#define SHORT_SIZE ((size_t)1 << 16) /* bytes of a slice that go there unchecked */

/* What VERB_ARRAY_COPY takes; for a write the numbers follow. It gives the numbers that were read, or the
 * length. The whole slice is checked with each of its pieces, so that one that does not fit changes nothing.
 */
struct array_copy {
    uint64_t kind; /* enum copy_kind */
    uint64_t whole_first, whole_count;
    uint64_t first, count; /* this piece */
};

enum copy_kind { COPY_READ, COPY_WRITE, COPY_LENGTH };

int mpm_array_create(mpm_type type, size_t length, const void *initial, mpm_array *array)
{
    return numbers_create("mpm_array_create", OBJECT_ARRAY, type, length, initial,
                          array ? &array->handle : NULL);
}

int mpm_array_destroy(mpm_array array)
{
    return numbers_destroy(array.handle, OBJECT_ARRAY);
}

/* Updates of one number. */

int mpm_array_get(mpm_array array, size_t index, void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_GET, NULL, NULL, number)
                  : numbers_missing("mpm_array_get");
}

int mpm_array_set(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_SET, number, NULL, NULL)
                  : numbers_missing("mpm_array_set");
}

int mpm_array_add(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_ADD, number, NULL, NULL)
                  : numbers_missing("mpm_array_add");
}

int mpm_array_fetch_add(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before
               ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_ADD, number, NULL, before)
               : numbers_missing("mpm_array_fetch_add");
}

int mpm_array_exchange(mpm_array array, size_t index, const void *number, void *before)
{
    return number && before
               ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_SET, number, NULL, before)
               : numbers_missing("mpm_array_exchange");
}

int mpm_array_compare_exchange(mpm_array array, size_t index, const void *expected, const void *desired,
                               void *before)
{
    return expected && desired && before ? numbers_update(array.handle, OBJECT_ARRAY, index,
                                                          NUMBER_COMPARE_EXCHANGE, expected, desired, before)
                                         : numbers_missing("mpm_array_compare_exchange");
}

int mpm_array_min(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_MIN, number, NULL, NULL)
                  : numbers_missing("mpm_array_min");
}

int mpm_array_max(mpm_array array, size_t index, const void *number)
{
    return number ? numbers_update(array.handle, OBJECT_ARRAY, index, NUMBER_MAX, number, NULL, NULL)
                  : numbers_missing("mpm_array_max");
}

/* Slices. */

static int check_slice(struct numbers *array, uint64_t first, uint64_t count)
{
    if (first <= array->length && count <= array->length - first)
        return MPM_OK;
    return error_set(MPM_EINVAL, "%llu numbers from index %llu on are out of range: the array has %llu",
                     (unsigned long long)count, (unsigned long long)first, (unsigned long long)array->length);
}

static int find_slice(mpm_handle handle, uint64_t first, uint64_t count, struct numbers **array)
{
    int status = numbers_find(handle, OBJECT_ARRAY, array);

    return status ? status : check_slice(*array, first, count);
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

/* Has the home check a slice that is to be written, before it is read here: if it is out of range, there may be no
 * memory where it would end. A short one goes at once. */
static int check_elsewhere(mpm_handle handle, size_t first, size_t count)
{
    struct array_copy nothing = {
        .kind = COPY_WRITE, .whole_first = first, .whole_count = count, .first = first};

    if (count <= SHORT_SIZE / mpm_type_size(number_type_of(handle)))
        return MPM_OK;
    return send_write(handle, &nothing, 0, NULL);
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
    int status = numbers_check_handle(array.handle, OBJECT_ARRAY);

    return status ? status : count && !numbers ? numbers_missing(call) : MPM_OK;
}

int mpm_array_read(mpm_array array, size_t first, size_t count, void *numbers)
{
    struct numbers *here;
    int status;

    if ((status = check_copy("mpm_array_read", array, count, numbers)))
        return status;
    if (!object_is_home(&array.handle))
        return copy_elsewhere(array.handle, COPY_READ, first, count, NULL, numbers);
    if ((status = find_slice(array.handle, first, count, &here)))
        return status;
    number_read(here->type, numbers_at(here, first), count, numbers);
    return MPM_OK;
}

int mpm_array_write(mpm_array array, size_t first, size_t count, const void *numbers)
{
    struct numbers *here;
    int status;

    if ((status = check_copy("mpm_array_write", array, count, numbers)))
        return status;
    if (!object_is_home(&array.handle)) {
        status = check_elsewhere(array.handle, first, count);
        return status ? status : copy_elsewhere(array.handle, COPY_WRITE, first, count, numbers, NULL);
    }
    if ((status = find_slice(array.handle, first, count, &here)))
        return status;
    number_write(here->type, numbers_at(here, first), count, numbers);
    return MPM_OK;
}

/* What an array is. */

static int length_of(mpm_array array, uint64_t *length)
{
    struct array_copy look = {.kind = COPY_LENGTH};
    struct numbers *here;
    int status;

    if ((status = numbers_check_handle(array.handle, OBJECT_ARRAY)))
        return status;
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
        return numbers_missing("mpm_array_length");
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

/* Calls from other nodes, in the courier. */

static int reply_numbers(struct numbers *array, const struct array_copy *piece, struct call_reply *reply)
{
    size_t size = piece->count * mpm_type_size(array->type);
    void *numbers = malloc(size + 1);
    int status;

    if (!numbers)
        return error_set(MPM_ENOMEM, "no memory for %zu bytes of an array", size);
    number_read(array->type, numbers_at(array, piece->first), piece->count, numbers);
    status = call_reply_add(reply, numbers, size);
    free(numbers);
    return status;
}

/* Whether the bytes behind the call are its numbers. */
static bool has_its_numbers(struct numbers *array, const struct array_copy *piece, size_t size)
{
    return size == (piece->kind == COPY_WRITE ? piece->count * mpm_type_size(array->type) : 0);
}

static int try_copy(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct array_copy piece;
    struct numbers *array;
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
        number_write(array->type, numbers_at(array, piece.first), piece.count,
                     (const char *)in + sizeof piece);
        return MPM_OK;
    case COPY_LENGTH:
        return call_reply_add(reply, &array->length, sizeof array->length);
    default:
        return error_set(MPM_EPROTOCOL, "a call on an array is of kind %llu, which there is not",
                         (unsigned long long)piece.kind);
    }
}

void array_announce(void)
{
    call_register(VERB_ARRAY_COPY, try_copy, MPM_ETIMEDOUT, "a copy of an array never waits");
}

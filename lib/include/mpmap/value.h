/* SPDX-License-Identifier: BSD-3-Clause */
/** @file value.h  Shared values and arrays of numbers, with atomic arithmetic, and values of raw bytes, for
 * all processes on all nodes.
 *
 * A pointer to a number always points to one of the object's type: `int one = 1; mpm_value_add(counter,
 * &one)` for an MPM_I32. Integers wrap. Every update is atomic, floats' too. At the object's home a call is a
 * few instructions; from another node it is a message there and back, but for add, min and max: these are
 * accepted, and done at the home before anything that it is told later by that node, as puts are (queue.h).
 * Any process may call all of them. */
#ifndef MPMAP_VALUE_H
#define MPMAP_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "handle.h"
#include "type.h"

MPM_BEGIN

/** A shared number. */
typedef struct mpm_value {
    mpm_handle handle;
} mpm_value;

/** A shared array of numbers of one type. */
typedef struct mpm_array {
    mpm_handle handle;
} mpm_array;

/** A shared value of raw bytes: a struct, a text, anything; of any size, got and set as a whole. */
typedef struct mpm_bytes {
    mpm_handle handle;
} mpm_bytes;

/** Makes a value at the caller's node. `initial` NULL is 0. MPM_EINVAL for what is no type; MPM_ENOMEM,
 * MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_value_create(mpm_type type, const void *initial, mpm_value *value);
/** Ends it: handles are stale (MPM_ESTALE) from here on. Not while another process uses it. */
MPM_API MPM_CHECKED int mpm_value_destroy(mpm_value value);

/* Each of these: MPM_EINVAL for a handle that is none, MPM_ESTALE for a destroyed value, MPM_ENODELOST. */

/** Its number. */
MPM_API MPM_CHECKED int mpm_value_get(mpm_value value, void *number);
/** Sets it. */
MPM_API MPM_CHECKED int mpm_value_set(mpm_value value, const void *number);
/** Adds to it. */
MPM_API MPM_CHECKED int mpm_value_add(mpm_value value, const void *number);
/** Adds to it, and gives what it was before. */
MPM_API MPM_CHECKED int mpm_value_fetch_add(mpm_value value, const void *number, void *before);
/** Sets it, and gives what it was before. */
MPM_API MPM_CHECKED int mpm_value_exchange(mpm_value value, const void *number, void *before);
/** Sets it to `desired` if it is `expected`, bit by bit.
 * @param before  out: what it was; it was set if that is `expected` */
MPM_API MPM_CHECKED int mpm_value_compare_exchange(mpm_value value, const void *expected, const void *desired,
                                                   void *before);
/** Sets it to the number if that is less (more); NaN never is. */
MPM_API MPM_CHECKED int mpm_value_min(mpm_value value, const void *number);
MPM_API MPM_CHECKED int mpm_value_max(mpm_value value, const void *number);
/** Its type. */
MPM_API MPM_CHECKED int mpm_value_type(mpm_value value, mpm_type *type);
/** At its home, the address of the number itself, for plain C; MPM_EINVAL elsewhere. */
MPM_API MPM_CHECKED int mpm_value_pointer(mpm_value value, void **number);

/** Takes the value's own lock, for groups of operations: one that counts, as mpm_rlock (sync.h). It keeps
 * nobody from calls without it. It is at the value's home, is made when it is first asked for, and ends with
 * the value.
 * @return MPM_ETIMEDOUT; MPM_EOWNERDIED: the process that had it has ended, and *the caller has it now*. */
MPM_API MPM_CHECKED int mpm_value_lock(mpm_value value, double timeout_s);
/** MPM_EINVAL unless the calling thread has it. */
MPM_API MPM_CHECKED int mpm_value_unlock(mpm_value value);

/** Makes an array of `length` numbers at the caller's node; `initial` NULL is zeros. */
MPM_API MPM_CHECKED int mpm_array_create(mpm_type type, size_t length, const void *initial, mpm_array *array);
MPM_API MPM_CHECKED int mpm_array_destroy(mpm_array array);
/** Its length. */
MPM_API MPM_CHECKED int mpm_array_length(mpm_array array, size_t *length);
MPM_API MPM_CHECKED int mpm_array_type(mpm_array array, mpm_type *type);
/** As of values, of the number at `index`; MPM_EINVAL if it is not below the length. */
MPM_API MPM_CHECKED int mpm_array_get(mpm_array array, size_t index, void *number);
MPM_API MPM_CHECKED int mpm_array_set(mpm_array array, size_t index, const void *number);
MPM_API MPM_CHECKED int mpm_array_add(mpm_array array, size_t index, const void *number);
MPM_API MPM_CHECKED int mpm_array_fetch_add(mpm_array array, size_t index, const void *number, void *before);
MPM_API MPM_CHECKED int mpm_array_exchange(mpm_array array, size_t index, const void *number, void *before);
MPM_API MPM_CHECKED int mpm_array_compare_exchange(mpm_array array, size_t index, const void *expected,
                                                   const void *desired, void *before);
MPM_API MPM_CHECKED int mpm_array_min(mpm_array array, size_t index, const void *number);
MPM_API MPM_CHECKED int mpm_array_max(mpm_array array, size_t index, const void *number);
/** Copies `count` numbers from `first` on; each number is whole, the slice is not taken at one moment. */
MPM_API MPM_CHECKED int mpm_array_read(mpm_array array, size_t first, size_t count, void *numbers);
MPM_API MPM_CHECKED int mpm_array_write(mpm_array array, size_t first, size_t count, const void *numbers);
/** At its home, the address of the first number; MPM_EINVAL elsewhere. */
MPM_API MPM_CHECKED int mpm_array_pointer(mpm_array array, void **numbers);

/** The array's own lock, as of values. */
MPM_API MPM_CHECKED int mpm_array_lock(mpm_array array, double timeout_s);
MPM_API MPM_CHECKED int mpm_array_unlock(mpm_array array);

/** Makes a value of `size` bytes, 0 included, at the caller's node; `initial` NULL is zeros. MPM_ENOMEM,
 * MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_bytes_create(size_t size, const void *initial, mpm_bytes *bytes);
/** Ends it: handles are stale (MPM_ESTALE) from here on. Pointers to it are not to be used any more. */
MPM_API MPM_CHECKED int mpm_bytes_destroy(mpm_bytes bytes);

/* Each of these: MPM_EINVAL for a handle that is none, or if `size` is not the value's; MPM_ESTALE;
 * MPM_ENOMEM; MPM_ENODELOST. Each is done at one moment: nobody sees or leaves a part of it,
 * whoever is killed in it. Between nodes a value may have 1 GiB at most, and 1 KiB less to be compared.
 * Each may wait for a short lock. */

MPM_API MPM_CHECKED int mpm_bytes_get(mpm_bytes bytes, void *to, size_t size);
MPM_API MPM_CHECKED int mpm_bytes_set(mpm_bytes bytes, const void *from, size_t size);
/** Sets them, and gives what they were before. */
MPM_API MPM_CHECKED int mpm_bytes_exchange(mpm_bytes bytes, const void *from, size_t size, void *before);
/** Sets them to `desired` if they are `expected`.
 * @param before  out: what they were; they were set if that is `expected` */
MPM_API MPM_CHECKED int mpm_bytes_compare_exchange(mpm_bytes bytes, const void *expected, const void *desired,
                                                   size_t size, void *before);
/** How many they are. */
MPM_API MPM_CHECKED int mpm_bytes_size(mpm_bytes bytes, size_t *size);
/** At their home, the address of the bytes themselves, for plain C, until they are destroyed; MPM_EINVAL
 * elsewhere. Who writes there writes as plain C does: not as a whole. */
MPM_API MPM_CHECKED int mpm_bytes_pointer(mpm_bytes bytes, void **pointer);
/** Their own lock, as of values. */
MPM_API MPM_CHECKED int mpm_bytes_lock(mpm_bytes bytes, double timeout_s);
MPM_API MPM_CHECKED int mpm_bytes_unlock(mpm_bytes bytes);

MPM_END

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file value.h  Shared numbers, arrays of numbers with atomic arithmetic, and shared raw bytes, for all processes
 * on all nodes.
 *
 * A pointer to a number always points to one of the object's type: `int one = 1; mpm_value_add(counter, &one)` for
 * an MPM_I32. Integers wrap around. Every update is atomic, those of floats, too. At the object's home, the node
 * where it was made, a call is a few instructions. From another node it is a message there and back, except for
 * add, min and max: these return at once, and are done at the home before anything else that the home is told by
 * that node later (see queue.h). Any process may call all of these functions.
 *
 * Statuses that all of them may return: MPM_EINVAL if the handle is not one of the kind, or a pointer is NULL;
 * MPM_ESTALE if the object was destroyed; MPM_ESTATE without a run; MPM_ENODELOST if a node was lost. */
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
    mpm_handle handle; /**< names it in every process on every node */
} mpm_value;

/** A shared array of numbers of one type. */
typedef struct mpm_array {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_array;

/** Shared raw bytes: a struct, a text, anything, of any size, that is read and written as a whole. */
typedef struct mpm_bytes {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_bytes;

/** Makes a shared number at the caller's node. It lives until mpm_value_destroy() or the end of the run. Does not
 * block.
 * @param type     of the number
 * @param initial  the number at first; NULL: 0
 * @param value    out: the value
 * @return 0; MPM_EINVAL, also if there is no such type; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_value_create(mpm_type type, const void *initial, mpm_value *value);

/** Destroys a shared number: from then on its handles give MPM_ESTALE. No other process may be using it.
 * @param value  the value
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_destroy(mpm_value value);

/** Reads the number.
 * @param value   the value
 * @param number  out: the number
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_get(mpm_value value, void *number);

/** Sets the number.
 * @param value   the value
 * @param number  what it becomes
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_set(mpm_value value, const void *number);

/** Adds to the number.
 * @param value   the value
 * @param number  what is added
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_add(mpm_value value, const void *number);

/** Adds to the number, and tells what it was before.
 * @param value   the value
 * @param number  what is added
 * @param before  out: the number before
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_fetch_add(mpm_value value, const void *number, void *before);

/** Sets the number, and tells what it was before.
 * @param value   the value
 * @param number  what it becomes
 * @param before  out: the number before
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_exchange(mpm_value value, const void *number, void *before);

/** Sets the number if it is what the caller expects, bit by bit.
 * @param value     the value
 * @param expected  what it must be
 * @param desired   what it becomes then
 * @param before    out: the number before; it was set if that is `expected`
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_compare_exchange(mpm_value value, const void *expected, const void *desired,
                                                   void *before);

/** Sets the number to another one if that is less; NaN never is.
 * @param value   the value
 * @param number  the other one
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_min(mpm_value value, const void *number);

/** Sets the number to another one if that is greater; NaN never is.
 * @param value   the value
 * @param number  the other one
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_max(mpm_value value, const void *number);

/** Adds an integer to the number, whatever its type: mpm_value_add() without a pointer.
 * @param value   the value
 * @param number  what is added. It must be in the range of the value's type, or be a whole number that a float of the
 *                type is able to have; a negative one may be added to an unsigned number, as far as its amount is in
 *                the range
 * @return 0; MPM_ETYPE if the type is not able to have `number`: nothing is added; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_add_i64(mpm_value value, int64_t number);

/** Adds a float to the number, whatever its type: mpm_value_add() without a pointer.
 * @param value   the value
 * @param number  what is added. For an integer it must be a whole number, as for mpm_value_add_i64(); for an MPM_F32
 *                one that such a float is able to have: 0.5, and not 0.1
 * @return 0; MPM_ETYPE if the type is not able to have `number`: nothing is added; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_add_f64(mpm_value value, double number);

/** Reads the number as an integer, whatever its type.
 * @param value   the value
 * @param number  out: the number
 * @return 0; MPM_ETYPE if an int64_t is not able to have it, because it is larger, or not whole; MPM_EINVAL;
 *         MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_get_i64(mpm_value value, int64_t *number);

/** Reads the number as a float, whatever its type.
 * @param value   the value
 * @param number  out: the number
 * @return 0; MPM_ETYPE if a double is not able to have it, because it has more than 53 digits; MPM_EINVAL; MPM_ESTALE;
 *         MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_get_f64(mpm_value value, double *number);

/** Tells the type of a value.
 * @param value  the value
 * @param type   out: its type
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_type(mpm_value value, mpm_type *type);

/** Tells the address of the number itself, for plain C. Only at the value's home.
 * @param value   the value
 * @param number  out: its address, valid until the value is destroyed
 * @return 0; MPM_EINVAL, also at another node; MPM_ESTALE; MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_value_pointer(mpm_value value, void **number);

/** Takes the value's own lock, for several operations that belong together. It counts, as mpm_rlock (sync.h): the
 * thread that has it may take it again. It does not keep calls without it from the value. It is at the value's
 * home, is made when it is first taken, and ends with the value.
 * @param value      the value
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if it was not free in time; MPM_EOWNERDIED: a process has died with the lock, and *the
 *         caller has it now*; MPM_ENOMEM; MPM_EINTERRUPTED, see mpm_interrupt_waits(); MPM_EINVAL; MPM_ESTALE;
 *         MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_lock(mpm_value value, double timeout_s);

/** Releases the value's own lock.
 * @param value  the value
 * @return 0; MPM_EINVAL, also if the calling thread does not have it; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_value_unlock(mpm_value value);

/** Makes an array of numbers at the caller's node. It lives until mpm_array_destroy() or the end of the run. Does
 * not block.
 * @param type     of the numbers
 * @param length   how many
 * @param initial  `length` numbers at first; NULL: zeros
 * @param array    out: the array
 * @return 0; MPM_EINVAL, also if there is no such type; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_array_create(mpm_type type, size_t length, const void *initial, mpm_array *array);

/** Destroys an array: from then on its handles give MPM_ESTALE. No other process may be using it.
 * @param array  the array
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_destroy(mpm_array array);

/** Tells the length of an array.
 * @param array   the array
 * @param length  out: how many numbers it has
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_length(mpm_array array, size_t *length);

/** Tells the type of an array's numbers.
 * @param array  the array
 * @param type   out: their type
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_type(mpm_array array, mpm_type *type);

/** Reads one number.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  out: the number
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_get(mpm_array array, size_t index, void *number);

/** Sets one number.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  what it becomes
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_set(mpm_array array, size_t index, const void *number);

/** Adds to one number.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  what is added
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_add(mpm_array array, size_t index, const void *number);

/** Adds to one number, and tells what it was before.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  what is added
 * @param before  out: the number before
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_fetch_add(mpm_array array, size_t index, const void *number, void *before);

/** Sets one number, and tells what it was before.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  what it becomes
 * @param before  out: the number before
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_exchange(mpm_array array, size_t index, const void *number, void *before);

/** Sets one number if it is what the caller expects, bit by bit.
 * @param array     the array
 * @param index     of the number, from 0
 * @param expected  what it must be
 * @param desired   what it becomes then
 * @param before    out: the number before; it was set if that is `expected`
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_compare_exchange(mpm_array array, size_t index, const void *expected,
                                                   const void *desired, void *before);

/** Sets one number to another one if that is less; NaN never is.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  the other one
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_min(mpm_array array, size_t index, const void *number);

/** Sets one number to another one if that is greater; NaN never is.
 * @param array   the array
 * @param index   of the number, from 0
 * @param number  the other one
 * @return 0; MPM_EINVAL, also if `index` is not below the length; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_max(mpm_array array, size_t index, const void *number);

/** Reads a slice. Each number is whole; the slice is not taken at one moment.
 * @param array    the array
 * @param first    index of its first number
 * @param count    how many
 * @param numbers  out: room for `count` numbers
 * @return 0; MPM_EINVAL, also if the slice is not inside the array; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_read(mpm_array array, size_t first, size_t count, void *numbers);

/** Writes a slice. Each number is whole; the slice is not written at one moment.
 * @param array    the array
 * @param first    index of its first number
 * @param count    how many
 * @param numbers  `count` numbers
 * @return 0; MPM_EINVAL, also if the slice is not inside the array; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_write(mpm_array array, size_t first, size_t count, const void *numbers);

/** Tells the address of the first number, for plain C. Only at the array's home.
 * @param array    the array
 * @param numbers  out: its address, valid until the array is destroyed
 * @return 0; MPM_EINVAL, also at another node; MPM_ESTALE; MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_array_pointer(mpm_array array, void **numbers);

/** Takes the array's own lock, as mpm_value_lock().
 * @param array      the array
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if it was not free in time; MPM_EOWNERDIED: a process has died with the lock, and *the
 *         caller has it now*; MPM_ENOMEM; MPM_EINTERRUPTED, see mpm_interrupt_waits(); MPM_EINVAL; MPM_ESTALE;
 *         MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_lock(mpm_array array, double timeout_s);

/** Releases the array's own lock.
 * @param array  the array
 * @return 0; MPM_EINVAL, also if the calling thread does not have it; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_array_unlock(mpm_array array);

/** Makes shared bytes at the caller's node. They live until mpm_bytes_destroy() or the end of the run. Does not
 * block. All operations on them happen at one moment: nobody sees or leaves a part of one, whoever is killed in
 * it. Each may wait for a short lock. Between nodes at most 1 GiB can be read or written, and 1 KiB less compared.
 * @param size     how many; 0 is allowed
 * @param initial  `size` bytes at first; NULL: zeros
 * @param bytes    out: the bytes
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_bytes_create(size_t size, const void *initial, mpm_bytes *bytes);

/** Destroys shared bytes: from then on their handles give MPM_ESTALE, and pointers to them must not be used.
 * @param bytes  the bytes
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_destroy(mpm_bytes bytes);

/** Reads them.
 * @param bytes  the bytes
 * @param to     out: `size` bytes
 * @param size   how many they are
 * @return 0; MPM_EINVAL, also if `size` is not theirs; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_get(mpm_bytes bytes, void *to, size_t size);

/** Sets them.
 * @param bytes  the bytes
 * @param from   `size` bytes
 * @param size   how many they are
 * @return 0; MPM_EINVAL, also if `size` is not theirs; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_set(mpm_bytes bytes, const void *from, size_t size);

/** Sets them, and tells what they were before.
 * @param bytes   the bytes
 * @param from    `size` bytes
 * @param size    how many they are
 * @param before  out: `size` bytes, as they were before
 * @return 0; MPM_EINVAL, also if `size` is not theirs; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_exchange(mpm_bytes bytes, const void *from, size_t size, void *before);

/** Sets them if they are what the caller expects.
 * @param bytes     the bytes
 * @param expected  what they must be
 * @param desired   what they become then
 * @param size      how many they are
 * @param before    out: what they were; they were set if that is `expected`
 * @return 0; MPM_EINVAL, also if `size` is not theirs; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_compare_exchange(mpm_bytes bytes, const void *expected, const void *desired,
                                                   size_t size, void *before);

/** Tells how many they are.
 * @param bytes  the bytes
 * @param size   out: how many
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_size(mpm_bytes bytes, size_t *size);

/** Tells the address of the bytes themselves, for plain C. Only at their home. Whoever writes there writes as plain
 * C does, not as a whole.
 * @param bytes    the bytes
 * @param pointer  out: their address, valid until they are destroyed
 * @return 0; MPM_EINVAL, also at another node; MPM_ESTALE; MPM_ESTATE. */
MPM_API MPM_CHECKED int mpm_bytes_pointer(mpm_bytes bytes, void **pointer);

/** Takes their own lock, as mpm_value_lock().
 * @param bytes      the bytes
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT if it was not free in time; MPM_EOWNERDIED: a process has died with the lock, and *the
 *         caller has it now*; MPM_ENOMEM; MPM_EINTERRUPTED, see mpm_interrupt_waits(); MPM_EINVAL; MPM_ESTALE;
 *         MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_lock(mpm_bytes bytes, double timeout_s);

/** Releases their own lock.
 * @param bytes  the bytes
 * @return 0; MPM_EINVAL, also if the calling thread does not have it; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_bytes_unlock(mpm_bytes bytes);

MPM_END

#endif

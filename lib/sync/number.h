/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers in shared memory: atomic updates of one at an address, and copies of many, for all types. A number
 * travels as its bits: in the low bytes of a uint64_t, the others 0. For sync/.
 *
 * An update is one atomic instruction, or a loop around a compare-and-swap: whoever dies in it has done it or
 * has not. Nothing is to be repaired, so there is no lock. What stands here as inline functions costs a few
 * instructions with a constant operation. */
#ifndef SYNC_NUMBER_H
#define SYNC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mpmap/type.h"

enum number_op {
    NUMBER_GET,
    NUMBER_SET,
    NUMBER_ADD,
    NUMBER_COMPARE_EXCHANGE,
    NUMBER_MIN,
    NUMBER_MAX,
    NUMBER_OPS,
};

static inline size_t number_size(mpm_type type)
{
    static const uint8_t sizes[] = {[MPM_NO_TYPE] = 0,
#define SIZE(name, c_type, text) [MPM_##name] = sizeof(c_type),
                                    MPM_TYPE_LIST(SIZE)
#undef SIZE
    };

    return sizes[type];
}

/* Bits of a number that nobody else sees, and back. With a constant size each is one instruction. */

static inline uint64_t number_get_plain(size_t size, const void *number)
{
    uint64_t bits = 0;
    uint32_t bits32;
    uint16_t bits16;

    switch (size) {
    case 1:
        return *(const uint8_t *)number;
    case 2:
        memcpy(&bits16, number, sizeof bits16);
        return bits16;
    case 4:
        memcpy(&bits32, number, sizeof bits32);
        return bits32;
    default:
        memcpy(&bits, number, sizeof bits);
        return bits;
    }
}

static inline void number_put_plain(size_t size, uint64_t bits, void *number)
{
    uint32_t bits32 = (uint32_t)bits;
    uint16_t bits16 = (uint16_t)bits;

    switch (size) {
    case 1:
        *(uint8_t *)number = (uint8_t)bits;
        break;
    case 2:
        memcpy(number, &bits16, sizeof bits16);
        break;
    case 4:
        memcpy(number, &bits32, sizeof bits32);
        break;
    default:
        memcpy(number, &bits, sizeof bits);
    }
}

static inline uint64_t number_bits(mpm_type type, const void *number)
{
    return number_get_plain(number_size(type), number);
}

static inline void number_put(mpm_type type, uint64_t bits, void *number)
{
    number_put_plain(number_size(type), bits, number);
}

/* One instruction each. */

static inline uint64_t number_load(size_t size, const void *address)
{
    switch (size) {
    case 1:
        return __atomic_load_n((const uint8_t *)address, __ATOMIC_SEQ_CST);
    case 2:
        return __atomic_load_n((const uint16_t *)address, __ATOMIC_SEQ_CST);
    case 4:
        return __atomic_load_n((const uint32_t *)address, __ATOMIC_SEQ_CST);
    default:
        return __atomic_load_n((const uint64_t *)address, __ATOMIC_SEQ_CST);
    }
}

static inline void number_store(size_t size, void *address, uint64_t bits)
{
    switch (size) {
    case 1:
        __atomic_store_n((uint8_t *)address, (uint8_t)bits, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)address, (uint16_t)bits, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)address, (uint32_t)bits, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)address, bits, __ATOMIC_RELEASE);
    }
}

static inline uint64_t number_exchange(size_t size, void *address, uint64_t bits)
{
    switch (size) {
    case 1:
        return __atomic_exchange_n((uint8_t *)address, (uint8_t)bits, __ATOMIC_SEQ_CST);
    case 2:
        return __atomic_exchange_n((uint16_t *)address, (uint16_t)bits, __ATOMIC_SEQ_CST);
    case 4:
        return __atomic_exchange_n((uint32_t *)address, (uint32_t)bits, __ATOMIC_SEQ_CST);
    default:
        return __atomic_exchange_n((uint64_t *)address, bits, __ATOMIC_SEQ_CST);
    }
}

static inline uint64_t number_fetch_add(size_t size, void *address, uint64_t bits)
{
    switch (size) {
    case 1:
        return __atomic_fetch_add((uint8_t *)address, (uint8_t)bits, __ATOMIC_SEQ_CST);
    case 2:
        return __atomic_fetch_add((uint16_t *)address, (uint16_t)bits, __ATOMIC_SEQ_CST);
    case 4:
        return __atomic_fetch_add((uint32_t *)address, (uint32_t)bits, __ATOMIC_SEQ_CST);
    default:
        return __atomic_fetch_add((uint64_t *)address, bits, __ATOMIC_SEQ_CST);
    }
}

/* Returns what was there: `expected` if it was set. */
static inline uint64_t number_compare_exchange(size_t size, void *address, uint64_t expected,
                                               uint64_t desired)
{
    uint32_t expected32 = (uint32_t)expected;
    uint16_t expected16 = (uint16_t)expected;
    uint8_t expected8 = (uint8_t)expected;

    switch (size) {
    case 1:
        __atomic_compare_exchange_n((uint8_t *)address, &expected8, (uint8_t)desired, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        return expected8;
    case 2:
        __atomic_compare_exchange_n((uint16_t *)address, &expected16, (uint16_t)desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return expected16;
    case 4:
        __atomic_compare_exchange_n((uint32_t *)address, &expected32, (uint32_t)desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return expected32;
    default:
        __atomic_compare_exchange_n((uint64_t *)address, &expected, desired, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        return expected;
    }
}

/* NUMBER_MIN, NUMBER_MAX, and NUMBER_ADD of floats: what there is no instruction for. */
uint64_t number_update_by_loop(enum number_op op, mpm_type type, void *address, uint64_t operand);

/* Does it to the number at `address`, which is aligned to its size. `operand` is what to set, add or compare
 * with; `desired` is of NUMBER_COMPARE_EXCHANGE: set if the number is `operand`, bit by bit. Sums of integers
 * wrap; NaN is neither less nor more. Returns what the number was before. Whatever was stored before the
 * update is seen by who sees the update. */
static inline uint64_t number_update(enum number_op op, mpm_type type, void *address, uint64_t operand,
                                     uint64_t desired)
{
    size_t size = number_size(type);

    switch (op) {
    case NUMBER_GET:
        return number_load(size, address);
    case NUMBER_SET:
        return number_exchange(size, address, operand);
    case NUMBER_COMPARE_EXCHANGE:
        return number_compare_exchange(size, address, operand, desired);
    case NUMBER_ADD:
        if (type < MPM_F32)
            return number_fetch_add(size, address, operand);
        break;
    default:
        break;
    }
    return number_update_by_loop(op, type, address, operand);
}

/* Whether the operation is one instruction for numbers of this type, the same as for those of MPM_I64. */
static inline bool number_updates_as_i64(enum number_op op, mpm_type type)
{
    const unsigned integers = 1u << MPM_I64 | 1u << MPM_U64, all = integers | 1u << MPM_F64;

    switch (op) {
    case NUMBER_GET:
    case NUMBER_SET:
    case NUMBER_COMPARE_EXCHANGE:
        return all >> type & 1;
    case NUMBER_ADD:
        return integers >> type & 1;
    default:
        return false;
    }
}

/* Copies numbers from or to shared memory, each as a whole. The other side is the caller's, aligned anyhow.
 */
void number_read(mpm_type type, const void *shared, size_t count, void *numbers);
void number_write(mpm_type type, void *shared, size_t count, const void *numbers);

#endif

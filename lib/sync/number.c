/* SPDX-License-Identifier: BSD-3-Clause */
/* Atomic numbers: integers of either sign by the instructions for unsigned ones of their size, which wrap
 * alike; what there is no instruction for by a loop around a compare-and-swap of the bits. */
#include "sync/number.h"

#include <stdbool.h>
#include <string.h>

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float number;

    memcpy(&number, &low, sizeof number);
    return number;
}

static uint64_t float_bits(float number)
{
    uint32_t bits;

    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double number;

    memcpy(&number, &bits, sizeof number);
    return number;
}

static uint64_t double_bits(double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* What there is no instruction for. */

static bool is_less(mpm_type type, uint64_t a, uint64_t b)
{
    switch (type) {
    case MPM_I8:
        return (int8_t)a < (int8_t)b;
    case MPM_I16:
        return (int16_t)a < (int16_t)b;
    case MPM_I32:
        return (int32_t)a < (int32_t)b;
    case MPM_I64:
        return (int64_t)a < (int64_t)b;
    case MPM_F32:
        return float_of(a) < float_of(b);
    case MPM_F64:
        return double_of(a) < double_of(b);
    default:
        return a < b;
    }
}

/* What the number is to be after the update. */
static uint64_t combine(enum number_op op, mpm_type type, uint64_t number, uint64_t operand)
{
    switch (op) {
    case NUMBER_MIN:
        return is_less(type, operand, number) ? operand : number;
    case NUMBER_MAX:
        return is_less(type, number, operand) ? operand : number;
    default: /* a sum of floats */
        return type == MPM_F32 ? float_bits(float_of(number) + float_of(operand))
                               : double_bits(double_of(number) + double_of(operand));
    }
}

uint64_t number_update_by_loop(enum number_op op, mpm_type type, void *address, uint64_t operand)
{
    size_t size = number_size(type);
    uint64_t seen = number_load(size, address), before;

    for (;;) {
        uint64_t after = combine(op, type, seen, operand);

        if (after == seen)
            return seen;
        before = number_compare_exchange(size, address, seen, after);
        if (before == seen)
            return before;
        seen = before;
    }
}

/* Many: a loop for each size. */

static inline __attribute__((always_inline)) void read_all(size_t size, const char *from, size_t count,
                                                           char *to)
{
    for (size_t i = 0; i < count; i++)
        number_put_plain(size, number_load(size, from + i * size), to + i * size);
}

static inline __attribute__((always_inline)) void write_all(size_t size, char *to, size_t count,
                                                            const char *from)
{
    for (size_t i = 0; i < count; i++)
        number_store(size, to + i * size, number_get_plain(size, from + i * size));
}

void number_read(mpm_type type, const void *shared, size_t count, void *numbers)
{
    switch (number_size(type)) {
    case 1:
        read_all(1, shared, count, numbers);
        break;
    case 2:
        read_all(2, shared, count, numbers);
        break;
    case 4:
        read_all(4, shared, count, numbers);
        break;
    default:
        read_all(8, shared, count, numbers);
    }
}

void number_write(mpm_type type, void *shared, size_t count, const void *numbers)
{
    switch (number_size(type)) {
    case 1:
        write_all(1, shared, count, numbers);
        break;
    case 2:
        write_all(2, shared, count, numbers);
        break;
    case 4:
        write_all(4, shared, count, numbers);
        break;
    default:
        write_all(8, shared, count, numbers);
    }
}

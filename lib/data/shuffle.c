/* SPDX-License-Identifier: BSD-3-Clause */
/* The sizes that nearly all elements have get functions of their own, in whose loops the compiler knows each
 * number: it makes vectors of them (CMakeLists.txt has it try), which takes a tenth of the time. */
#include "data/shuffle.h"

#include <string.h>

#define TOGETHER ((size_t)32) /* elements: whole vectors of bytes */

static inline void unshuffle_sized(size_t size, const unsigned char *restrict from, size_t count,
                                   unsigned char *restrict to)
{
    size_t at = 0;

    for (; at + TOGETHER <= count; at += TOGETHER)
        for (size_t i = 0; i < TOGETHER; i++)
            for (size_t k = 0; k < size; k++)
                to[(at + i) * size + k] = from[k * count + at + i];
    for (; at < count; at++)
        for (size_t k = 0; k < size; k++)
            to[at * size + k] = from[k * count + at];
}

static inline void shuffle_sized(size_t size, const unsigned char *restrict from, size_t count,
                                 unsigned char *restrict to)
{
    size_t at = 0;

    for (; at + TOGETHER <= count; at += TOGETHER)
        for (size_t k = 0; k < size; k++)
            for (size_t i = 0; i < TOGETHER; i++)
                to[k * count + at + i] = from[(at + i) * size + k];
    for (; at < count; at++)
        for (size_t k = 0; k < size; k++)
            to[k * count + at] = from[at * size + k];
}

void unshuffle(size_t element_size, const unsigned char *from, size_t size, unsigned char *to)
{
    size_t count = size / element_size, whole = count * element_size;

    switch (element_size) {
    case 2:
        unshuffle_sized(2, from, count, to);
        break;
    case 4:
        unshuffle_sized(4, from, count, to);
        break;
    case 8:
        unshuffle_sized(8, from, count, to);
        break;
    default:
        unshuffle_sized(element_size, from, count, to);
    }
    memcpy(to + whole, from + whole, size - whole);
}

void shuffle(size_t element_size, const unsigned char *from, size_t size, unsigned char *to)
{
    size_t count = size / element_size, whole = count * element_size;

    switch (element_size) {
    case 2:
        shuffle_sized(2, from, count, to);
        break;
    case 4:
        shuffle_sized(4, from, count, to);
        break;
    case 8:
        shuffle_sized(8, from, count, to);
        break;
    default:
        shuffle_sized(element_size, from, count, to);
    }
    memcpy(to + whole, from + whole, size - whole);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums by which changed bytes are found; not against somebody who changes them on purpose. For data/ only. */
#ifndef DATA_SUM_H
#define DATA_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SUM_EMPTY UINT64_C(0xcbf29ce484222325)
#define SUM_LANES 4

/* Each step can be undone, so two sums of which one word differs are different. */
static inline uint64_t sum_add_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 29;
}

/* Several words at a time: multiplications that do not wait for each other. */
static inline const char *sum_add_long(uint64_t *sum, const char *at, size_t words)
{
    uint64_t lane[SUM_LANES] = {*sum, *sum + 1, *sum + 2, *sum + 3}, word;

    for (size_t i = 0; i < words / SUM_LANES; i++) {
        for (int k = 0; k < SUM_LANES; k++, at += sizeof word) {
            memcpy(&word, at, sizeof word);
            lane[k] = sum_add_word(lane[k], word);
        }
    }
    for (int k = 0; k < SUM_LANES; k++)
        *sum = sum_add_word(*sum, lane[k]);
    return at;
}

static inline uint64_t sum_add(uint64_t sum, const void *bytes, size_t size)
{
    const char *at = bytes, *end = at + size;

    if (size >= 16 * sizeof(uint64_t))
        at = sum_add_long(&sum, at, size / sizeof(uint64_t));
    for (uint64_t word = 0; at < end; word = 0) {
        size_t step = (size_t)(end - at) < sizeof word ? (size_t)(end - at) : sizeof word;

        memcpy(&word, at, step);
        sum = sum_add_word(sum, word);
        at += step;
    }
    return sum;
}

#endif

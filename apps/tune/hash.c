/* SPDX-License-Identifier: BSD-3-Clause */
/* Both are the finalizer of splitmix64, over words or over a counter. */
#include "hash.h"

#include <string.h>

static uint64_t mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
}

uint64_t hash_number(uint64_t hash, uint64_t number)
{
    return mix(mix(hash + 0x9e3779b97f4a7c15) ^ number);
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t word;

    hash = hash_number(hash, size);
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = hash_number(hash, word);
    }
    word = 0;
    memcpy(&word, at, size);
    return hash_number(hash, word);
}

uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text));
}

uint64_t random_next(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15);
}

size_t random_below(uint64_t *state, size_t count)
{
    uint64_t most = UINT64_MAX - UINT64_MAX % count, number;

    do {
        number = random_next(state);
    } while (number >= most);
    return (size_t)(number % count);
}

double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

void random_shuffle(uint64_t *state, uint32_t *numbers, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        size_t other = random_below(state, left);
        uint32_t number = numbers[left - 1];

        numbers[left - 1] = numbers[other];
        numbers[other] = number;
    }
}

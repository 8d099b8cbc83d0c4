/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of small numbers that many processes add to, and one takes everything from, or many take single ones.
 *
 * An adder sets the number's bit, then the bit of its word in the summary; the taker empties the summary
 * first and the words after, so a number whose adder has done both is taken, now or at the next time. An
 * adder that dies between the two leaves its number to whoever adds the next one of the same word, or adds it
 * again. For shm/ and the layers above it. */
#ifndef SHM_INDEX_SET_H
#define SHM_INDEX_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/kill_point.h"

#define INDEX_SET_SIZE 65536u

struct index_set {
    _Atomic uint64_t summary[INDEX_SET_SIZE / 64 / 64];
    _Atomic uint64_t words[INDEX_SET_SIZE / 64];
};

static inline void index_set_add(struct index_set *set, uint32_t index)
{
    atomic_fetch_or(&set->words[index / 64], UINT64_C(1) << index % 64);
    DELAY_POINT();
    atomic_fetch_or(&set->summary[index / 4096], UINT64_C(1) << index / 64 % 64);
}

/* Adds 64 numbers from `first` on, a multiple of 64. */
static inline void index_set_add_64(struct index_set *set, uint32_t first)
{
    atomic_store(&set->words[first / 64], UINT64_MAX);
    DELAY_POINT();
    atomic_fetch_or(&set->summary[first / 4096], UINT64_C(1) << first / 64 % 64);
}

/* A word that is found empty is said to be so first, and looked at again then: an adder that came in between says
 * itself that it is not. Whoever dies between the two leaves numbers as an adder does. */
static inline void index_set_note_empty(struct index_set *set, uint32_t word)
{
    uint64_t bit = UINT64_C(1) << word % 64;

    atomic_fetch_and(&set->summary[word / 64], ~bit);
    DELAY_POINT();
    if (atomic_load(&set->words[word]))
        atomic_fetch_or(&set->summary[word / 64], bit);
}

/* Takes a low number out of the set; false if it finds none. Several may do that at once, if nobody takes all. */
static inline bool index_set_take(struct index_set *set, uint32_t *index)
{
    for (uint32_t group = 0; group < INDEX_SET_SIZE / 4096; group++) {
        uint64_t summary;

        while ((summary = atomic_load(&set->summary[group]))) {
            uint32_t word = group * 64 + (uint32_t)__builtin_ctzll(summary);
            uint64_t bits = atomic_load(&set->words[word]), lowest = bits & -bits;

            if (!bits) {
                index_set_note_empty(set, word);
            } else if (atomic_fetch_and(&set->words[word], ~lowest) & lowest) {
                *index = word * 64 + (uint32_t)__builtin_ctzll(lowest);
                return true;
            }
        }
    }
    return false;
}

/* Calls `take` with each number that is in the set, and takes it out. */
static inline void index_set_take_all(struct index_set *set, void (*take)(uint32_t index))
{
    for (uint32_t group = 0; group < INDEX_SET_SIZE / 4096; group++) {
        if (!atomic_load(&set->summary[group]))
            continue;
        for (uint64_t words = atomic_exchange(&set->summary[group], 0); words; words &= words - 1) {
            uint32_t word = group * 64 + (uint32_t)__builtin_ctzll(words);

            for (uint64_t bits = atomic_exchange(&set->words[word], 0); bits; bits &= bits - 1)
                take(word * 64 + (uint32_t)__builtin_ctzll(bits));
        }
    }
}

#endif

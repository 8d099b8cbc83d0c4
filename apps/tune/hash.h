/* SPDX-License-Identifier: BSD-3-Clause */
/* Hashes that name what was computed, and random numbers that a seed fixes: the same on every machine. */
#ifndef MPMAP_TUNE_HASH_H
#define MPMAP_TUNE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `hash`, which is a seed at first. It is no protection against somebody who makes equal hashes. */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size);
uint64_t hash_text(uint64_t hash, const char *text);
uint64_t hash_number(uint64_t hash, uint64_t number);

/* The next number of a sequence, whose state is a seed at first. */
uint64_t random_next(uint64_t *state);
/* Evenly from 0 to count - 1; count is at least 1. */
size_t random_below(uint64_t *state, size_t count);
/* Evenly from 0 to below 1. */
double random_unit(uint64_t *state);
/* Puts the numbers into a random order. */
void random_shuffle(uint64_t *state, uint32_t *numbers, size_t count);

#endif

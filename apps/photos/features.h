/* SPDX-License-Identifier: BSD-3-Clause */
/* What a picture looks like, in few numbers. All of it is computed from a copy of at most 512 pixels a side, so that it
 * hardly depends on the size of the original. */
#ifndef MPMAP_PHOTOS_FEATURES_H
#define MPMAP_PHOTOS_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#include "photo.h"

#define FEATURE_SIZE 512 /* pixels of the longer side, at most */
#define TURNS        8   /* four turns, and the same of the mirrored picture */

/* Looks at `width` x `height` pixels of red, green and blue. Returns 0, or -1 without memory. */
int features_find(const uint8_t *pixels, size_t width, size_t height, struct look *look);

/* The hash and the colours that a picture would have if it were turned or mirrored; turn 0 is the picture itself. A hash
 * has a bit for the sign of each of the lowest 8 x 8 frequencies of the cosine transform of 32 x 32 mean luminances, but
 * for the constant one, whose bit says whether the picture is bright. So a turn swaps bits or flips them. */
uint64_t features_turn_hash(uint64_t hash, unsigned turn);
void features_turn_colours(const uint8_t colours[COLOUR_SIZE], unsigned turn, uint8_t turned[COLOUR_SIZE]);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a picture looks like, in few numbers. All of it is computed from a copy of at most 512 pixels a side, so that it
 * hardly depends on the size of the original. */
#ifndef MPMAP_PHOTOS_LOOK_H
#define MPMAP_PHOTOS_LOOK_H

#include <stddef.h>
#include <stdint.h>

#include "photo.h"

#define LOOK_SIZE 512 /* pixels of the longer side, at most */

/* Looks at `width` x `height` pixels of red, green and blue. Returns 0, or -1 without memory. */
int look_find(const uint8_t *pixels, size_t width, size_t height, struct look *look);

/* The colours that a picture would have if it were turned or mirrored: a turn is three bits, of which 4 swaps the
 * axes, and then 1 mirrors across and 2 down. Turn 0 is the picture itself.
 *
 * * A hash has a bit for the sign of each of the lowest 8 x 8 waves of the cosine transform of 32 x 32 mean
 * luminances, but for the constant one, whose bit says whether the picture is bright. A wave that is too weak to be
 * there after the next encoder has bit 0. The hash of a turn has the signs that the waves of the turned picture would
 * have. */
void look_turn_colours(const uint8_t colours[COLOUR_SIZE], unsigned turn, uint8_t turned[COLOUR_SIZE]);

#endif

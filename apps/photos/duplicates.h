/* SPDX-License-Identifier: BSD-3-Clause */
/* The second map: near-duplicates, over all pairs of photographs. */
#ifndef MPMAP_PHOTOS_DUPLICATES_H
#define MPMAP_PHOTOS_DUPLICATES_H

#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

#include "photo.h"

#define USUAL_DISTANCE 8 /* bits in which two hashes may differ */

/* Two photographs that are nearly the same: `second` is `first` after a turn; see look.h. */
struct duplicate_pair {
    uint32_t first, second; /* places among the originals, first < second */
    uint32_t distance;      /* bits in which the hashes differ */
    uint32_t turn;
};

struct duplicates {
    struct duplicate_pair
        *pairs; /* sorted; enough of them to connect each group, not each pair of many equal ones */
    size_t pair_count;
    size_t group_count;
    size_t member_count; /* photographs in groups */
};

/* Compares all originals that have not failed, and numbers the groups (original.group) from 0, in the order of their
 * first members. Returns 0, or the exit status after saying what is wrong. The caller frees `pairs` with free(). */
int duplicates_find(mpm_pool *pool, struct originals *originals, unsigned most_bits,
                    struct duplicates *duplicates);

#endif

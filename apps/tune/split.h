/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows a fit learns from, and which it is scored on. Folds are stratified, and fixed by the seed: whoever asks
 * gets the same ones, so no process has to tell another. */
#ifndef MPMAP_TUNE_SPLIT_H
#define MPMAP_TUNE_SPLIT_H

#include <stdint.h>

#include "data.h"

#define NO_OUTER UINT32_MAX /* all rows: no outer fold is held back */
#define WHOLE_FOLD \
    UINT32_MAX /* learns from all rows that are not held back, and is scored on those that are */

struct plan {
    uint32_t folds, outer_folds, repeats;
    uint64_t seed;
};

/* One split of the rows. */
struct split_place {
    uint32_t outer;  /* the outer fold that is held back, or NO_OUTER */
    uint32_t repeat; /* each has other folds */
    uint32_t fold;   /* or WHOLE_FOLD */
    float fraction;  /* of the rows to learn from that are used, from each class alike: above 0, at most 1 */
};

/* Rows in rising order. */
struct split {
    uint32_t *train, *test;
    uint32_t train_count, test_count;
};

/* Returns false if there is no memory for it. The caller frees it with split_free(). */
bool split_make(const struct data *data, const struct plan *plan, const struct split_place *place,
                struct split *split);
void split_free(struct split *split);

#endif

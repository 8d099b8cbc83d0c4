/* SPDX-License-Identifier: BSD-3-Clause */
/* Distances between short words (optimal string alignment). Words of WORD_SIZE characters and more are near
 * to nothing, which bounds the table. */
#include "suggest.h"

#include <string.h>

#define WORD_SIZE 32

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
    unsigned cost[WORD_SIZE][WORD_SIZE];
    size_t a_length = strlen(a), b_length = strlen(b);

    if (a_length >= WORD_SIZE || b_length >= WORD_SIZE)
        return WORD_SIZE;
    for (size_t i = 0; i <= a_length; i++) {
        for (size_t j = 0; j <= b_length; j++) {
            if (!i || !j) {
                cost[i][j] = (unsigned)(i + j);
                continue;
            }
            cost[i][j] = least(cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                               1 + least(cost[i - 1][j], cost[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a_length][b_length];
}

const char *suggest(const char *word, const char *const *names, size_t count)
{
    unsigned best = WORD_SIZE;
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        unsigned this_one = distance(word, names[i]);

        if (this_one < best) {
            best = this_one;
            nearest = names[i];
        }
    }
    /* More than a third of the word changed is another word. */
    return nearest && best <= 1 + strlen(nearest) / 3 ? nearest : NULL;
}

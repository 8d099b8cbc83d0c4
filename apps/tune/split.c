/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of each class are put into a random order, and dealt to the folds in turn; each class goes on with the fold
 * behind the one where the last class ended, so that folds differ by a row at most, in all and in each class. */
#include "split.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

struct dealing {
    const struct data *data;
    const uint32_t *rows;
    uint32_t count;
    uint64_t seed;
};

/* The rows, class by class, in random order in each. */
static uint32_t *shuffle_classes(const struct dealing *dealing, uint32_t *class_ends)
{
    const uint32_t *classes = data_classes(dealing->data);
    uint32_t class_count = dealing->data->classes ? (uint32_t)dealing->data->classes : 1, from = 0;
    uint32_t *order = malloc((dealing->count + 1) * sizeof *order);
    uint64_t state = dealing->seed;

    if (!order)
        return NULL;
    memset(class_ends, 0, class_count * sizeof *class_ends);
    for (uint32_t i = 0; i < dealing->count; i++)
        class_ends[classes[dealing->rows[i]]]++;
    for (uint32_t c = 1; c < class_count; c++)
        class_ends[c] += class_ends[c - 1];
    /* Filled from behind, so that rows rise in each class, and the ends move to the begins. */
    for (uint32_t i = dealing->count; i-- > 0;)
        order[--class_ends[classes[dealing->rows[i]]]] = dealing->rows[i];
    for (uint32_t c = 0; c < class_count; c++) {
        uint32_t end = c + 1 < class_count ? class_ends[c + 1] : dealing->count;

        random_shuffle(&state, order + from, end - from);
        class_ends[c] = from = end;
    }
    return order;
}

/* fold_of[row] of all rows that are dealt. */
static bool deal_folds(const struct dealing *dealing, uint32_t folds, uint32_t *fold_of)
{
    uint32_t *class_ends = malloc((dealing->data->classes + 1) * sizeof *class_ends), *order = NULL;
    bool is_done = class_ends && (order = shuffle_classes(dealing, class_ends));

    for (uint32_t i = 0; is_done && i < dealing->count; i++)
        fold_of[order[i]] = i % folds;
    free(order);
    free(class_ends);
    return is_done;
}

/* Leaves the first of each class's random order. */
static bool thin_out(const struct dealing *dealing, float fraction, unsigned char *is_kept)
{
    uint32_t *class_ends = malloc((dealing->data->classes + 1) * sizeof *class_ends), *order = NULL;
    uint32_t class_count = dealing->data->classes ? (uint32_t)dealing->data->classes : 1, from = 0;
    bool is_done = class_ends && (order = shuffle_classes(dealing, class_ends));

    for (uint32_t c = 0; is_done && c < class_count; from = class_ends[c++]) {
        uint32_t kept = (uint32_t)((float)(class_ends[c] - from) * fraction + 0.999f);

        for (uint32_t i = from; i < class_ends[c]; i++)
            is_kept[order[i]] = i - from < kept;
    }
    free(order);
    free(class_ends);
    return is_done;
}

static void push(uint32_t *rows, uint32_t *count, uint32_t row)
{
    rows[(*count)++] = row;
}

/* Moves what is held back, of an outer fold, to the test. */
static bool hold_back(const struct data *data, const struct plan *plan, uint32_t outer, struct split *split)
{
    struct dealing dealing = {data, split->train, split->train_count, hash_number(plan->seed, 1)};
    uint32_t *fold_of;

    if (outer == NO_OUTER)
        return true;
    if (!(fold_of = malloc(data->rows * sizeof *fold_of)) ||
        !deal_folds(&dealing, plan->outer_folds, fold_of)) {
        free(fold_of);
        return false;
    }
    split->train_count = 0;
    for (uint32_t row = 0; row < data->rows; row++) {
        if (fold_of[row] == outer)
            push(split->test, &split->test_count, row);
        else
            push(split->train, &split->train_count, row);
    }
    free(fold_of);
    return true;
}

static bool take_fold(const struct data *data, const struct plan *plan, const struct split_place *place,
                      struct split *split)
{
    struct dealing dealing = {data, split->train, split->train_count,
                              hash_number(hash_number(plan->seed, 2 + place->repeat), place->outer)};
    uint32_t *fold_of, count = split->train_count;

    if (place->fold == WHOLE_FOLD)
        return true;
    if (!(fold_of = malloc(data->rows * sizeof *fold_of)) || !deal_folds(&dealing, plan->folds, fold_of)) {
        free(fold_of);
        return false;
    }
    split->train_count = split->test_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = split->train[i];

        if (fold_of[row] == place->fold)
            push(split->test, &split->test_count, row);
        else
            push(split->train, &split->train_count, row);
    }
    free(fold_of);
    return true;
}

static bool take_fraction(const struct data *data, const struct plan *plan, const struct split_place *place,
                          struct split *split)
{
    struct dealing dealing = {data, split->train, split->train_count, hash_number(plan->seed, 3)};
    uint32_t count = split->train_count;
    unsigned char *is_kept;
    bool is_done;

    if (!(place->fraction < 1))
        return true;
    if (!(is_kept = calloc(data->rows, 1)))
        return false;
    if ((is_done = thin_out(&dealing, place->fraction, is_kept))) {
        split->train_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (is_kept[split->train[i]])
                push(split->train, &split->train_count, split->train[i]);
        }
    }
    free(is_kept);
    return is_done;
}

bool split_make(const struct data *data, const struct plan *plan, const struct split_place *place,
                struct split *split)
{
    *split = (struct split){.train = malloc(data->rows * sizeof(uint32_t)),
                            .test = malloc(data->rows * sizeof(uint32_t))};
    if (split->train && split->test) {
        for (uint32_t row = 0; row < data->rows; row++)
            push(split->train, &split->train_count, row);
        if (hold_back(data, plan, place->outer, split) && take_fold(data, plan, place, split) &&
            take_fraction(data, plan, place, split))
            return true;
    }
    split_free(split);
    return false;
}

void split_free(struct split *split)
{
    free(split->train);
    free(split->test);
    *split = (struct split){0};
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Tiles are numbered along the last dimension first, so that neighbours along the others, which share chunks of the
 * file, stand far from each other. Blocks of neighbours are claimed together instead, one block after the other: the
 * pool begins what costs most first, so the first block costs most. */
#include "data/tile_order.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"

static uint64_t product(const uint64_t *numbers, unsigned count)
{
    uint64_t product = 1;

    for (unsigned i = 0; i < count; i++)
        product *= numbers[i];
    return product;
}

/* Halves the longest side until there are no more tiles than a claim may have. */
static void shrink(uint64_t *block, unsigned rank, uint64_t most)
{
    while (product(block, rank) > most) {
        unsigned longest = 0;

        for (unsigned i = 1; i < rank; i++)
            longest = block[i] > block[longest] ? i : longest;
        if (block[longest] == 1)
            return;
        block[longest] = (block[longest] + 1) / 2;
    }
}

/* False if the data set has no chunks, or a block has one tile. */
static bool choose_block(const struct input *input, uint64_t most, uint64_t block[MAX_RANK])
{
    struct hdf5_guard guard;
    hsize_t chunk[MAX_RANK];
    int rank;

    hdf5_enter(&guard);
    rank = input_chunk_extents(input->dataset, chunk);
    hdf5_leave(&guard);
    for (unsigned i = 0; rank && i < input->tiles.rank; i++)
        block[i] = tiles_block(&input->tiles, i, chunk[i]);
    if (!rank)
        return false;
    shrink(block, input->tiles.rank, most);
    return product(block, input->tiles.rank) > 1;
}

int tile_order_make(const struct input *input, const struct tile_list *list, double **costs, size_t *claim)
{
    uint64_t block[MAX_RANK];

    *costs = NULL;
    if (!input->tiles.rank || input->files || input->rows != input->file_rows || input->choice.indexes ||
        !choose_block(input, list->most, block))
        return 0;
    if (!(*costs = malloc((size_t)list->count * sizeof **costs)))
        return error_set(MPM_ENOMEM, "no memory for the order of %" PRIu64 " tiles", list->count);
    for (uint64_t i = 0; i < list->count;
         i++) /* no two blocks are equal, as long as a double can tell them */
        (*costs)[i] = -(double)tiles_block_of(&input->tiles, block, list->left ? list->left[i] : i);
    *claim = (size_t)product(block, input->tiles.rank);
    return 0;
}

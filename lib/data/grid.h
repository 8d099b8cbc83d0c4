/* SPDX-License-Identifier: BSD-3-Clause */
/* The shape of a data set of results: a row of them, a grid where the items are tiles, or an image that they are pieces
 * of. Such an image is stored in chunks, of which each is a result, and HDF5 keeps these one behind the other: so that,
 * too, is results in the order of their items, and nobody but HDF5 need know of it. For data/ only. */
#ifndef DATA_GRID_H
#define DATA_GRID_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/input.h"
#include "mpmap/dataset.h"

#define GRID_MAX_RANK (MPM_MAX_DIMENSIONS + MPM_MAX_TILE_DIMENSIONS)

struct grid {
    unsigned rank; /* dimensions before those of a result */
    uint64_t count[MPM_MAX_TILE_DIMENSIONS], tile[MPM_MAX_TILE_DIMENSIONS], extent[MPM_MAX_TILE_DIMENSIONS];
    bool is_stitched;
};

/* A data set that is made. */
struct grid_space {
    int rank;
    hsize_t extent[GRID_MAX_RANK], most[GRID_MAX_RANK], chunk[GRID_MAX_RANK];
    bool has_chunks;
};

/* The grid of a map's results. MPM_EINVAL if they cannot be stitched. */
int grid_of(const mpm_dataset_map *map, const struct input *input, struct grid *grid);
/* Whether results of a shape can be what the map wants. MPM_EINVAL. */
int grid_check(const struct grid *grid, const mpm_shape *result);
void grid_space_of(const struct grid *grid, const mpm_shape *result, struct grid_space *space);
/* Where in the file the first result stands, if the others follow; of chunks, `*bytes` becomes what they have together.
 * To be called between hdf5_enter() and hdf5_leave(). */
bool grid_find_results(hid_t dataset, uint64_t *address, uint64_t *bytes);

#endif

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
    uint64_t capacity, chunk_rows; /* of a live part (output_live.c), and its rows a chunk; 0: it is none */
};

/* A data set that is made. */
struct grid_space {
    int rank;
    hsize_t extent[GRID_MAX_RANK], most[GRID_MAX_RANK], chunk[GRID_MAX_RANK];
    bool has_chunks;
};

/* How a data set of results is cut into chunks of which each has results that follow one another: whole rows of the
 * grid along its last dimensions, some of them along one, and one along all before it. Of an image each chunk is a
 * result. Plain bytes. */
struct grid_chunks {
    int rank;
    hsize_t extent[GRID_MAX_RANK]; /* of a chunk */
    uint64_t count, results;       /* how many there are, and how many results a whole one has */
    unsigned cut;                  /* the dimension along which there are some */
    uint64_t behind;               /* results that stand behind one element of that */
};

/* The grid of a map's results. MPM_EINVAL if they cannot be stitched. */
int grid_of(const mpm_dataset_map *map, const struct input *input, struct grid *grid);
/* Whether results of a shape can be what the map wants. MPM_EINVAL. */
int grid_check(const struct grid *grid, const mpm_shape *result);
void grid_space_of(const struct grid *grid, const mpm_shape *result, struct grid_space *space);
/* Cuts it into chunks of so many results at most. */
void grid_cut(const struct grid *grid, const mpm_shape *result, uint64_t most, struct grid_chunks *chunks);
/* Which results a chunk has, by its number, and where it stands. */
void grid_find_chunk(const struct grid *grid, const struct grid_chunks *chunks, uint64_t number,
                     uint64_t *first, uint64_t *count, hsize_t offset[GRID_MAX_RANK]);
/* Where in the file the first result stands, if the others follow; of chunks, `*bytes` becomes what they have together.
 * To be called between hdf5_enter() and hdf5_leave(). */
bool grid_find_results(hid_t dataset, uint64_t *address, uint64_t *bytes);

#endif

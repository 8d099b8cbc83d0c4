/* SPDX-License-Identifier: BSD-3-Clause */
/* Items that are not rows of a data set: tiles with margins, or rows along another axis than the first, which are tiles
 * of one element along that and of all along the others. For data/ only. */
#ifndef DATA_TILES_H
#define DATA_TILES_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/tile.h"
#include "mpmap/type.h"

/* What is asked for, as plain bytes. Zero: rows. */
struct cut {
    mpm_tiling tiling;
    unsigned axis; /* which one the rows are along; 0: the first */
};

/* What it comes to, for one data set. */
struct tiles {
    unsigned rank;   /* dimensions that are cut; 0: items are rows */
    unsigned lacked; /* 1 + the dimension that items lack; 0: none */
    uint64_t extent[MPM_MAX_DIMENSIONS + 1], halo[MPM_MAX_DIMENSIONS + 1];
    uint64_t count[MPM_MAX_DIMENSIONS + 1]; /* of tiles, along each */
    int edge;                               /* an enum mpm_edge */
    unsigned char edge_value[8];            /* as an element */
    size_t element_size;
};

/* The data set that is cut, as it is in the file. */
struct whole {
    const char *file_name, *name;
    hid_t dataset, memory;
    struct chunks *chunks; /* that decompress them, or NULL: HDF5 does */
    unsigned rank;         /* dimensions */
    const hsize_t *extent;
};

/* Tiles of a data set whose rows have that shape, which becomes that of an item. MPM_EINVAL, MPM_ETYPE. */
int tiles_cut(const struct whole *whole, const struct cut *cut, mpm_shape *row, struct tiles *tiles);
/* How many there are. */
uint64_t tiles_count(const struct tiles *tiles);
/* Reads one, by its number. To be called between hdf5_enter() and hdf5_leave(). MPM_EIO, MPM_ENOMEM. */
int tiles_read(const struct whole *whole, const struct tiles *tiles, uint64_t number, unsigned char *item);
/* Where one stands in a data set of these extents. */
void tiles_locate(const struct tiles *tiles, const uint64_t *extent, uint64_t number, mpm_tile *tile);
/* Tiles that share chunks of the file are best read by one worker, which keeps chunks that it has decompressed for a
 * while. How many tiles along a dimension, which has chunks of so many elements, make a block of such tiles; and how
 * many elements those take, margins included. */
uint64_t tiles_block(const struct tiles *tiles, unsigned dimension, uint64_t chunk);
uint64_t tiles_block_extent(const struct tiles *tiles, unsigned dimension, uint64_t chunk);
/* In which block of so many tiles along each dimension a tile stands: blocks, too, are numbered in C order. */
uint64_t tiles_block_of(const struct tiles *tiles, const uint64_t *block, uint64_t number);
/* What is asked for, as a text; "" for rows. Returns `text`. */
char *tiles_describe(const struct cut *cut, char *text, size_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/** @file tile.h  Tiles with margins, as the items of a map or a reduction over a data set. */
#ifndef MPMAP_TILE_H
#define MPMAP_TILE_H

#include <stdint.h>

#include "api.h"
#include "pool.h"

/** The most dimensions that are cut into tiles. */
#define MPM_MAX_TILE_DIMENSIONS 4

MPM_BEGIN

/** What an item has where its tile or its margins lie outside of the data set. */
enum mpm_edge {
    MPM_EDGE_NONE,     /**< zeros, which are not meant: mpm_call_tile() tells what is data */
    MPM_EDGE_CONSTANT, /**< `edge_value`; numpy.pad calls it "constant" */
    MPM_EDGE_NEAREST,  /**< the nearest element that there is; numpy.pad calls it "edge" */
    MPM_EDGE_REFLECT,  /**< the data set mirrored at its last element; numpy.pad calls it "reflect" */
};

/** How a data set is cut into tiles, which are the rows of the map then: its first `rank` dimensions are cut, and each
 * item has all of the others. Tiles are numbered in C order. All items have the same shape: extents of a tile and
 * of the margins on both of its sides, and what the data set has behind those dimensions. The last tiles may stand
 * beyond the end of the data set. */
typedef struct mpm_tiling {
    unsigned rank; /**< dimensions that are cut, from the first on; 0: no tiles, items are rows */
    uint64_t
        extent[MPM_MAX_TILE_DIMENSIONS];    /**< elements of a tile along each, without margins; at least 1 */
    uint64_t halo[MPM_MAX_TILE_DIMENSIONS]; /**< of a margin along each, on either side; 0: none */
    int edge;                               /**< an enum mpm_edge */
    double edge_value; /**< for MPM_EDGE_CONSTANT: a value that the element's type can hold */
    /** Not 0: results, which are pieces of an image themselves, become one image: of each cut dimension of the data
     * set, which a tile has t elements of and a result r, the image has r/t times as many elements, rounded up. So a
     * result must have `rank` dimensions or more. It goes with one input file, and all of its tiles. 0: results are
     * those of a grid, [tiles along each cut dimension…, extents of a result…]. */
    int stitch;
} mpm_tiling;

/** Where a tile stands. Of each array the first `rank` numbers count, one for each dimension that is cut. */
typedef struct mpm_tile {
    unsigned rank;                            /**< dimensions that are cut */
    uint64_t index[MPM_MAX_TILE_DIMENSIONS];  /**< which tile it is along each dimension, from 0 on */
    uint64_t count[MPM_MAX_TILE_DIMENSIONS];  /**< how many there are */
    uint64_t first[MPM_MAX_TILE_DIMENSIONS];  /**< its first element in the data set, without the margin */
    uint64_t extent[MPM_MAX_TILE_DIMENSIONS]; /**< how many of its elements there are, without margins: fewer
                                                    than those of a tile at the end of the data set */
    uint64_t
        data_first[MPM_MAX_TILE_DIMENSIONS]; /**< the first element of the item, margins included, that is in
                                                     the data set */
    uint64_t data_end[MPM_MAX_TILE_DIMENSIONS]; /**< the one behind the last of those */
} mpm_tile;

/** Tells a task of mpm_pool_map_dataset() which tile it works on. Does not block.
 * @param call  the call that the task was given
 * @param tile  out
 * @return 0; MPM_ESTATE if the call is not of a map over tiles; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_call_tile(const mpm_call *call, mpm_tile *tile);

MPM_END

#endif

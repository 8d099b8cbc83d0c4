/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/grid.h"

#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"

#define MOST_CHUNK_BYTES ((size_t)UINT32_MAX) /* that HDF5 has */

int grid_check(const struct grid *grid, const mpm_shape *result)
{
    if (!grid->is_stitched)
        return 0;
    if (result->rank < grid->rank)
        return error_set(
            MPM_EINVAL,
            "results of %u dimensions cannot be stitched (--stitch): as %u dimensions are cut into tiles, "
            "a result needs as many",
            result->rank, grid->rank);
    if (mpm_shape_size(result) >= MOST_CHUNK_BYTES)
        return error_set(MPM_EINVAL,
                         "results of %zu bytes cannot be stitched (--stitch): they need less than 4 GiB each",
                         mpm_shape_size(result));
    return 0;
}

/* A row of results needs no grid of its own. */
int grid_of(const mpm_dataset_map *map, const struct input *input, struct grid *grid)
{
    const struct tiles *tiles = &input->tiles;

    *grid = (struct grid){.rank = 1, .count = {input->rows}};
    if (map->tiling.rank && !input->files && !input->choice.indexes && input->rows == input->file_rows) {
        grid->rank = tiles->rank;
        for (unsigned i = 0; i < tiles->rank; i++) {
            grid->count[i] = tiles->count[i];
            grid->tile[i] = tiles->extent[i];
            grid->extent[i] = input->extent[i];
        }
    } else if (map->tiling.stitch) {
        return error_set(
            MPM_EINVAL, "only results of all tiles of one data set can be stitched (--stitch): leave it out");
    }
    grid->is_stitched = map->tiling.stitch;
    return 0;
}

/* As large beside the data set as a result is beside a tile, rounded up. */
static uint64_t image_extent(const struct grid *grid, unsigned i, uint64_t result)
{
    uint64_t whole = grid->extent[i] / grid->tile[i], rest = grid->extent[i] % grid->tile[i];

    return whole * result + (rest * result + grid->tile[i] - 1) / grid->tile[i];
}

/* HDF5 wants chunks to be no larger than the data set may become. */
static void stitch(const struct grid *grid, const mpm_shape *result, struct grid_space *space)
{
    space->rank = (int)result->rank;
    space->has_chunks = true;
    for (unsigned i = 0; i < result->rank; i++) {
        space->chunk[i] = space->extent[i] = result->extent[i];
        if (i < grid->rank)
            space->extent[i] = image_extent(grid, i, result->extent[i]);
        space->most[i] = space->extent[i] > space->chunk[i] ? space->extent[i] : space->chunk[i];
    }
}

void grid_space_of(const struct grid *grid, const mpm_shape *result, struct grid_space *space)
{
    *space = (struct grid_space){.rank = (int)(grid->rank + result->rank)};
    if (grid->is_stitched) {
        stitch(grid, result, space);
        return;
    }
    for (unsigned i = 0; i < grid->rank; i++)
        space->extent[i] = grid->count[i];
    for (unsigned i = 0; i < result->rank; i++)
        space->extent[grid->rank + i] = result->extent[i];
    if (grid->capacity)
        space->extent[0] = 1; /* so that there is a chunk, which stands somewhere */
    memcpy(space->most, space->extent, sizeof space->most);
    if (grid->capacity) {
        space->has_chunks = true;
        memcpy(space->chunk, space->extent, sizeof space->chunk);
        space->chunk[0] = grid->chunk_rows;
        space->most[0] = grid->capacity;
    }
}

void grid_cut(const struct grid *grid, const mpm_shape *result, uint64_t most, struct grid_chunks *chunks)
{
    unsigned at = 0;

    *chunks = (struct grid_chunks){.count = 1, .results = 1, .behind = 1};
    for (unsigned i = grid->rank; i-- > 0 && !grid->is_stitched;) {
        bool is_whole = grid->count[i] <= most;

        chunks->cut = i;
        chunks->extent[i] = is_whole ? grid->count[i] : most;
        chunks->behind = chunks->results;
        chunks->results *= chunks->extent[i];
        most /= chunks->extent[i];
        if (most <= 1)
            break;
    }
    for (; at < grid->rank && !grid->is_stitched; at++)
        chunks->extent[at] = chunks->extent[at] ? chunks->extent[at] : 1;
    for (unsigned i = 0; i < result->rank; i++)
        chunks->extent[at + i] = result->extent[i];
    chunks->rank = (int)(at + result->rank);
    for (unsigned i = 0; i < grid->rank; i++) {
        uint64_t extent = grid->is_stitched ? 1 : chunks->extent[i];

        chunks->count *= (grid->count[i] + extent - 1) / extent;
    }
}

void grid_find_chunk(const struct grid *grid, const struct grid_chunks *chunks, uint64_t number,
                     uint64_t *first, uint64_t *count, hsize_t offset[GRID_MAX_RANK])
{
    uint64_t in_one = grid->is_stitched ? 1 : chunks->extent[chunks->cut], place = 1;

    memset(offset, 0, GRID_MAX_RANK * sizeof *offset);
    *first = 0;
    *count = chunks->results;
    for (unsigned i = grid->rank; i-- > 0;) {
        uint64_t step = grid->is_stitched ? 1 : chunks->extent[i], all = (grid->count[i] + step - 1) / step;
        uint64_t at = number % all * step;

        number /= all;
        offset[i] = grid->is_stitched ? at * chunks->extent[i] : at;
        *first += at * place;
        place *= grid->count[i];
        if (!grid->is_stitched && i == chunks->cut && grid->count[i] - at < in_one)
            *count = (grid->count[i] - at) * chunks->behind;
    }
}

static bool find_chunk(hid_t dataset, hid_t space, hsize_t number, uint64_t *address, hsize_t *size)
{
    hsize_t offset[GRID_MAX_RANK];
    unsigned left_out;
    haddr_t found = HADDR_UNDEF;

    if (hdf5.H5Dget_chunk_info(dataset, space, number, offset, &left_out, &found, size) < 0 ||
        found == HADDR_UNDEF)
        return false;
    *address = found;
    return true;
}

static bool find_chunks(hid_t dataset, hid_t space, uint64_t *address, uint64_t *bytes)
{
    hsize_t count = 0, size = 0;
    uint64_t last;
    bool is = hdf5.H5Dget_num_chunks(dataset, space, &count) >= 0 && count > 0 &&
              find_chunk(dataset, space, 0, address, &size) &&
              find_chunk(dataset, space, count - 1, &last, &size) && last == *address + (count - 1) * size;

    *bytes = count * size;
    return is;
}

bool grid_find_results(hid_t dataset, uint64_t *address, uint64_t *bytes)
{
    haddr_t found = hdf5.H5Dget_offset(dataset);
    hid_t space;
    bool is;

    if (found != HADDR_UNDEF) {
        *address = found;
        return true;
    }
    space = hdf5.H5Dget_space(dataset);
    is = space >= 0 && find_chunks(dataset, space, address, bytes);
    if (space >= 0)
        hdf5.H5Sclose(space);
    return is;
}

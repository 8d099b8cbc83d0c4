/* SPDX-License-Identifier: BSD-3-Clause */
/* An item is a window of the data set, which may reach beyond it on every side. Each place of the window has a source:
 * the place in the data set whose element stands there, or none. The box that all sources lie in is read, straight into
 * the item where that is the window, else beside it; then each place gets the element of its source. */
#include "data/tiles.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "data/chunks.h"
#include "data/hdf5_call.h"

#define MOST_RANK (MPM_MAX_DIMENSIONS + 1)
#define NO_SOURCE (-1)
#define CHUNKS_A_BLOCK \
    4 /* along a dimension, where blocks share chunks: those at the border are decompressed twice */

/* A window along one dimension. */
struct window {
    int64_t first; /* in the data set; negative before it */
    uint64_t size;
    uint64_t box_first, box_size; /* what is read for it */
};

/* An item that is read. */
struct reading {
    const struct whole *whole;
    const struct tiles *tiles;
    struct window window[MOST_RANK];
    size_t inner; /* bytes of what a place of the last cut dimension has */
};

static int is_no_tiling(const struct whole *whole, const char *why)
{
    return error_set(MPM_EINVAL, "%s:%s cannot be cut into tiles: %s", whole->file_name, whole->name, why);
}

/* Whether an integer type of so many bits can hold the value. */
static bool fits(double value, bool is_signed, unsigned bits)
{
    double most = ldexp(1, (int)bits - is_signed);

    return value == floor(value) && value < most && value >= (is_signed ? -most : 0);
}

static bool put_value(mpm_type type, double value, unsigned char to[8])
{
    bool is_float = type == MPM_F32 || type == MPM_F64, is_signed = type >= MPM_I8 && type <= MPM_I64;

    if (!is_float && !fits(value, is_signed, 8 * (unsigned)mpm_type_size(type)))
        return false;
    switch (type) {
#define PUT_AS(name, c_type, text)                            \
    case MPM_##name:                                          \
        memcpy(to, &(c_type){(c_type)value}, sizeof(c_type)); \
        return true;
        MPM_TYPE_LIST(PUT_AS)
#undef PUT_AS
    default:
        return false;
    }
}

static int cut_tiles(const struct whole *whole, const mpm_tiling *tiling, mpm_type type, struct tiles *tiles)
{
    char why[160];

    if (tiling->rank > MPM_MAX_TILE_DIMENSIONS || tiling->rank > whole->rank) {
        snprintf(why, sizeof why, "%u dimensions are to be cut, but it has %u, and at most %d may be",
                 tiling->rank, whole->rank, MPM_MAX_TILE_DIMENSIONS);
        return is_no_tiling(whole, why);
    }
    if (tiling->edge < MPM_EDGE_NONE || tiling->edge > MPM_EDGE_REFLECT)
        return is_no_tiling(whole, "the edge must be one of MPM_EDGE_NONE, _CONSTANT, _NEAREST and _REFLECT");
    *tiles = (struct tiles){.rank = tiling->rank, .edge = tiling->edge, .element_size = mpm_type_size(type)};
    for (unsigned i = 0; i < tiling->rank; i++) {
        if (!tiling->extent[i] || tiling->extent[i] > INT32_MAX || tiling->halo[i] > INT32_MAX) {
            snprintf(why, sizeof why,
                     "tiles of %" PRIu64 " elements with margins of %" PRIu64
                     ": there must be 1 to 2^31 elements, and margins up to that",
                     tiling->extent[i], tiling->halo[i]);
            return is_no_tiling(whole, why);
        }
        tiles->extent[i] = tiling->extent[i];
        tiles->halo[i] = tiling->halo[i];
        tiles->count[i] = (whole->extent[i] + tiling->extent[i] - 1) / tiling->extent[i];
    }
    if (tiling->edge != MPM_EDGE_CONSTANT || put_value(type, tiling->edge_value, tiles->edge_value))
        return 0;
    c_snprintf(why, sizeof why, "%g is to stand beyond its edges, which its type %s cannot hold",
               tiling->edge_value, mpm_type_name(type));
    return is_no_tiling(whole, why);
}

/* Rows along another axis. */
static int cut_axis(const struct whole *whole, unsigned axis, struct tiles *tiles)
{
    if (axis >= whole->rank)
        return error_set(MPM_EINVAL,
                         "%s:%s has no axis %u: it has %u dimensions, of which the first is axis 0",
                         whole->file_name, whole->name, axis, whole->rank);
    *tiles = (struct tiles){.rank = axis + 1, .lacked = axis + 1};
    for (unsigned i = 0; i <= axis; i++) {
        tiles->extent[i] = i == axis ? 1 : whole->extent[i];
        tiles->count[i] = i == axis ? whole->extent[i] : 1;
    }
    return 0;
}

/* The dimensions of an item: those that are cut, then those of a row behind them. */
static int shape_item(const struct whole *whole, const struct tiles *tiles, mpm_shape *row)
{
    mpm_shape item = {.type = row->type};

    if (row->rank + 1 - !!tiles->lacked > MPM_MAX_DIMENSIONS)
        return error_set(MPM_ETYPE, "items of %s:%s have %u dimensions: at most %d are allowed",
                         whole->file_name, whole->name, row->rank + 1, MPM_MAX_DIMENSIONS);
    for (unsigned i = 0; i < row->rank + 1; i++) {
        uint64_t extent = i >= tiles->rank ? row->extent[i - 1] : tiles->extent[i] + 2 * tiles->halo[i];

        if (i + 1 != tiles->lacked)
            item.extent[item.rank++] = (size_t)extent;
    }
    if (mpm_shape_size(&item) == 0 || mpm_shape_size(&item) >= (size_t)1 << 47)
        return is_no_tiling(whole, "an item must have at least one element, and less than 2^47 bytes");
    *row = item;
    return 0;
}

int tiles_cut(const struct whole *whole, const struct cut *cut, mpm_shape *row, struct tiles *tiles)
{
    int status;

    *tiles = (struct tiles){0};
    if (!cut->tiling.rank && !cut->axis)
        return 0;
    if (cut->tiling.rank && cut->axis)
        return is_no_tiling(whole, "its rows are to be along another axis, too: leave one of them out");
    status = cut->axis ? cut_axis(whole, cut->axis, tiles) : cut_tiles(whole, &cut->tiling, row->type, tiles);
    return status ? status : shape_item(whole, tiles, row);
}

uint64_t tiles_count(const struct tiles *tiles)
{
    uint64_t count = 1;

    for (unsigned i = 0; i < tiles->rank; i++)
        count *= tiles->count[i];
    return count;
}

static void find_index(const struct tiles *tiles, uint64_t number, uint64_t *index)
{
    for (unsigned i = tiles->rank; i-- > 0; number /= tiles->count[i])
        index[i] = number % tiles->count[i];
}

/* Which element of `count` stands at a place that may be beyond them. */
static int64_t source_of(int edge, int64_t place, uint64_t count)
{
    int64_t last = (int64_t)count - 1, turned;

    if (place >= 0 && place <= last)
        return place;
    if (edge == MPM_EDGE_NEAREST)
        return place < 0 ? 0 : last;
    if (edge != MPM_EDGE_REFLECT)
        return NO_SOURCE;
    if (last == 0)
        return 0;
    turned = place % (2 * last);
    if (turned < 0)
        turned += 2 * last;
    return turned > last ? 2 * last - turned : turned;
}

static void find_window(const struct tiles *tiles, unsigned i, uint64_t index, uint64_t count,
                        struct window *window)
{
    int64_t least = INT64_MAX, most = 0;

    window->first = (int64_t)(index * tiles->extent[i]) - (int64_t)tiles->halo[i];
    window->size = tiles->extent[i] + 2 * tiles->halo[i];
    for (uint64_t j = 0; j < window->size; j++) {
        int64_t source = source_of(tiles->edge, window->first + (int64_t)j, count);

        if (source != NO_SOURCE) {
            least = source < least ? source : least;
            most = source > most ? source : most;
        }
    }
    window->box_first = (uint64_t)least;
    window->box_size = (uint64_t)(most - least + 1);
}

static bool is_inside(const struct reading *reading)
{
    for (unsigned i = 0; i < reading->tiles->rank; i++) {
        const struct window *window = &reading->window[i];

        if (window->first < 0 || window->box_first != (uint64_t)window->first ||
            window->box_size != window->size)
            return false;
    }
    return true;
}

static int cannot_read(const struct reading *reading)
{
    char place[256];
    int length = 0;

    for (unsigned i = 0; i < reading->tiles->rank && length < 200; i++) {
        const struct window *window = &reading->window[i];

        length += snprintf(place + length, sizeof place - (size_t)length, "%s%" PRIu64 ":%" PRIu64,
                           i ? "," : "", window->box_first, window->box_first + window->box_size);
    }
    return hdf5_error_set(MPM_EIO, "cannot read [%s] of %s:%s", place, reading->whole->file_name,
                          reading->whole->name);
}

static int read_by_hdf5(const struct reading *reading, const struct box *box, unsigned char *elements)
{
    const struct whole *whole = reading->whole;
    hid_t file_space = hdf5.H5Dget_space(whole->dataset);
    hid_t memory_space = hdf5.H5Screate_simple((int)whole->rank, box->count, NULL);
    int status = 0;

    if (file_space < 0 || memory_space < 0 ||
        hdf5.H5Sselect_hyperslab(file_space, H5S_SELECT_SET, box->start, NULL, box->count, NULL) < 0 ||
        hdf5.H5Dread(whole->dataset, whole->memory, memory_space, file_space, H5P_DEFAULT, elements) < 0)
        status = cannot_read(reading);
    if (memory_space >= 0)
        hdf5.H5Sclose(memory_space);
    if (file_space >= 0)
        hdf5.H5Sclose(file_space);
    return status;
}

static int read_box(const struct reading *reading, unsigned char *elements)
{
    const struct whole *whole = reading->whole;
    hsize_t start[MOST_RANK], count[MOST_RANK];
    const struct box box = {start, count, 1};

    for (unsigned i = 0; i < whole->rank; i++) {
        bool is_cut = i < reading->tiles->rank;

        start[i] = is_cut ? reading->window[i].box_first : 0;
        count[i] = is_cut ? reading->window[i].box_size : whole->extent[i];
    }
    if (!whole->chunks)
        return read_by_hdf5(reading, &box, elements);
    return chunks_read(whole->chunks, &box, elements) < 0 ? cannot_read(reading) : 0;
}

/* Bytes of the window, or of the box, at one place of dimension i. */
static size_t stride(const struct reading *reading, unsigned i, bool of_box)
{
    size_t size = reading->inner;

    for (unsigned k = i + 1; k < reading->tiles->rank; k++)
        size *= of_box ? reading->window[k].box_size : reading->window[k].size;
    return size;
}

static void gather(const struct reading *reading, unsigned i, const unsigned char *box, unsigned char *item)
{
    const struct window *window = &reading->window[i];
    size_t from = stride(reading, i, true), to = stride(reading, i, false);

    for (uint64_t j = 0; j < window->size; j++) {
        int64_t source = source_of(reading->tiles->edge, window->first + (int64_t)j,
                                   reading->whole->extent[i]);
        const unsigned char *place;

        if (source == NO_SOURCE)
            continue;
        place = box + (size_t)(source - (int64_t)window->box_first) * from;
        if (i + 1 == reading->tiles->rank)
            memcpy(item + j * to, place, from);
        else
            gather(reading, i + 1, place, item + j * to);
    }
}

static void fill(const struct tiles *tiles, unsigned char *item, size_t size)
{
    if (tiles->edge == MPM_EDGE_NONE)
        memset(item, 0, size);
    else if (tiles->edge == MPM_EDGE_CONSTANT)
        for (size_t at = 0; at < size; at += tiles->element_size)
            memcpy(item + at, tiles->edge_value, tiles->element_size);
}

static int read_and_gather(const struct reading *reading, unsigned char *item)
{
    size_t box_size = stride(reading, 0, true) * (size_t)reading->window[0].box_size;
    unsigned char *box = malloc(box_size);
    int status = box ? read_box(reading, box)
                     : error_set(MPM_ENOMEM, "no memory for a tile of %zu bytes at an edge", box_size);

    if (!status) {
        fill(reading->tiles, item, stride(reading, 0, false) * (size_t)reading->window[0].size);
        gather(reading, 0, box, item);
    }
    free(box);
    return status;
}

int tiles_read(const struct whole *whole, const struct tiles *tiles, uint64_t number, unsigned char *item)
{
    struct reading reading = {.whole = whole, .tiles = tiles, .inner = hdf5.H5Tget_size(whole->memory)};
    uint64_t index[MOST_RANK];

    find_index(tiles, number, index);
    for (unsigned i = 0; i < tiles->rank; i++)
        find_window(tiles, i, index[i], whole->extent[i], &reading.window[i]);
    for (unsigned i = tiles->rank; i < whole->rank; i++)
        reading.inner *= (size_t)whole->extent[i];
    return is_inside(&reading) ? read_box(&reading, item) : read_and_gather(&reading, item);
}

void tiles_locate(const struct tiles *tiles, const uint64_t *extent, uint64_t number, mpm_tile *tile)
{
    struct tiles of = *tiles;

    *tile = (mpm_tile){.rank = tiles->rank};
    for (unsigned i = 0; i < tiles->rank; i++)
        tile->count[i] = of.count[i] = (extent[i] + tiles->extent[i] - 1) / tiles->extent[i];
    find_index(&of, number, tile->index);
    for (unsigned i = 0; i < tiles->rank; i++) {
        uint64_t first = tile->index[i] * tiles->extent[i], left = extent[i] - first, halo = tiles->halo[i];

        tile->first[i] = first;
        tile->extent[i] = left < tiles->extent[i] ? left : tiles->extent[i];
        tile->data_first[i] = first < halo ? halo - first : 0;
        tile->data_end[i] = halo + (left < tiles->extent[i] + halo ? left : tiles->extent[i] + halo);
    }
}

uint64_t tiles_block(const struct tiles *tiles, unsigned dimension, uint64_t chunk)
{
    uint64_t extent = tiles->extent[dimension], chunks, block, blocks;
    bool is_shared = tiles->halo[dimension] || (chunk % extent && extent % chunk);

    chunks = is_shared ? CHUNKS_A_BLOCK : 1;
    block = (chunks * chunk + extent - 1) / extent;
    if (block >= tiles->count[dimension])
        return tiles->count[dimension] ? tiles->count[dimension] : 1;
    blocks = (tiles->count[dimension] + block - 1) / block;
    return (tiles->count[dimension] + blocks - 1) / blocks;
}

uint64_t tiles_block_extent(const struct tiles *tiles, unsigned dimension, uint64_t chunk)
{
    return tiles_block(tiles, dimension, chunk) * tiles->extent[dimension] + 2 * tiles->halo[dimension];
}

uint64_t tiles_block_of(const struct tiles *tiles, const uint64_t *block, uint64_t number)
{
    uint64_t index[MOST_RANK], of = 0;

    find_index(tiles, number, index);
    for (unsigned i = 0; i < tiles->rank; i++)
        of = of * ((tiles->count[i] + block[i] - 1) / block[i]) + index[i] / block[i];
    return of;
}

char *tiles_describe(const struct cut *cut, char *text, size_t size)
{
    static const char *const edges[] = {"none", "constant", "nearest", "reflect"};
    const mpm_tiling *tiling = &cut->tiling;
    size_t length = 0;

    *text = '\0';
    if (cut->axis)
        snprintf(text, size, "axis %u", cut->axis);
    for (unsigned i = 0; i < tiling->rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%" PRIu64 "+%" PRIu64, i ? "," : "tiles ",
                                   tiling->extent[i], tiling->halo[i]);
    if (tiling->rank && length < size)
        c_snprintf(text + length, size - length, " edge %s %.17g%s", edges[tiling->edge],
                   tiling->edge == MPM_EDGE_CONSTANT ? tiling->edge_value : 0,
                   tiling->stitch ? " stitched" : "");
    return text;
}

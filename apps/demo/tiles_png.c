/* SPDX-License-Identifier: BSD-3-Clause */
/* tiles_png TILES.h5 PAINTED.h5 OUT.png: puts tiles together again. Each photograph is a line of the picture,
 * as it was on the left and painted on the right; a small table tells how the two differ. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hdf5.h>
#include <png.h>

#include "tiles.h"

#define FRAME 12 /* pixels between and around pictures */

struct tiles {
    size_t count, side; /* side: pixels along a tile */
    uint8_t *pixels;    /* [count][side][side][COLOURS] */
};

struct photos {
    size_t count;
    unsigned long long width[MOST_PHOTOS], height[MOST_PHOTOS];
};

struct picture {
    size_t width, height;
    uint8_t *pixels; /* [height][width][COLOURS] */
};

static hid_t open_tiles(const char *path, hid_t *file)
{
    hid_t dataset;

    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    dataset = *file < 0 ? -1 : H5Dopen2(*file, "/tiles", H5P_DEFAULT);
    if (dataset < 0)
        stop("there is no data set /tiles in '%s'", path);
    return dataset;
}

static void read_pixels(const char *path, size_t side, hid_t dataset, struct tiles *tiles)
{
    hid_t space = H5Dget_space(dataset);
    hsize_t extents[4];

    if (H5Sget_simple_extent_ndims(space) != 4 || H5Sget_simple_extent_dims(space, extents, NULL) != 4 ||
        extents[1] != side || extents[2] != side || extents[3] != COLOURS)
        stop("/tiles of '%s' must have extents [N, %zu, %zu, %d]", path, side, side, COLOURS);
    *tiles = (struct tiles){extents[0], side, malloc(extents[0] * side * side * COLOURS)};
    if (!tiles->pixels ||
        H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, tiles->pixels) < 0)
        stop("cannot read /tiles of '%s'", path);
    H5Sclose(space);
}

static size_t read_sizes(hid_t dataset, const char *name, unsigned long long sizes[MOST_PHOTOS])
{
    hid_t attribute = H5Aopen(dataset, name, H5P_DEFAULT);
    hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    hssize_t count = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);

    if (count < 1 || count > MOST_PHOTOS || H5Aread(attribute, H5T_NATIVE_ULLONG, sizes) < 0)
        stop("/tiles has no attribute '%s' of 1 to %d numbers: make it with photo_tiles", name, MOST_PHOTOS);
    H5Sclose(space);
    H5Aclose(attribute);
    return (size_t)count;
}

static void read_photos(const char *path, struct tiles *tiles, struct photos *photos)
{
    hid_t file, dataset = open_tiles(path, &file);
    size_t count = 0;

    read_pixels(path, TILE, dataset, tiles);
    photos->count = read_sizes(dataset, "width", photos->width);
    if (read_sizes(dataset, "height", photos->height) != photos->count)
        stop("'width' and 'height' of '%s' differ in length", path);
    for (size_t i = 0; i < photos->count; i++)
        count += tiles_across(photos->width[i]) * tiles_across(photos->height[i]);
    if (count != tiles->count)
        stop("'%s' has %zu tiles, but its photographs are made of %zu", path, tiles->count, count);
    H5Dclose(dataset);
    H5Fclose(file);
}

static void read_painted(const char *path, size_t count, struct tiles *tiles)
{
    hid_t file, dataset = open_tiles(path, &file);

    read_pixels(path, CORE, dataset, tiles);
    if (tiles->count != count)
        stop("'%s' has %zu tiles in place of %zu", path, tiles->count, count);
    H5Dclose(dataset);
    H5Fclose(file);
}

static uint8_t *pixel(const struct picture *picture, size_t y, size_t x)
{
    return picture->pixels + (y * picture->width + x) * COLOURS;
}

/* Part of a picture, in pixels. */
struct area {
    size_t top, left, width, height;
};

/* Puts the middles of a photograph's tiles, from the one of number `first` on, into an area. */
static void put_photo(const struct tiles *tiles, size_t first, const struct picture *picture,
                      struct area area)
{
    size_t margin = (tiles->side - CORE) / 2;

    for (size_t y = 0; y < area.height; y++) {
        for (size_t x = 0; x < area.width; x++) {
            size_t tile = first + y / CORE * tiles_across(area.width) + x / CORE;
            size_t line = tile * tiles->side + margin + y % CORE;

            memcpy(pixel(picture, area.top + y, area.left + x),
                   tiles->pixels + (line * tiles->side + margin + x % CORE) * COLOURS, COLOURS);
        }
    }
}

static struct picture make_picture(const struct photos *photos)
{
    struct picture picture = {0, FRAME, NULL};

    for (size_t i = 0; i < photos->count; i++) {
        size_t width = 2 * photos->width[i] + 3 * FRAME;

        picture.width = width > picture.width ? width : picture.width;
        picture.height += photos->height[i] + FRAME;
    }
    picture.pixels = malloc(picture.width * picture.height * COLOURS);
    if (!picture.pixels)
        stop("out of memory for a picture of %zux%zu", picture.width, picture.height);
    memset(picture.pixels, 0xff, picture.width * picture.height * COLOURS);
    return picture;
}

/* How much neighbouring pixels differ on the mean, in levels of 0 to 255. */
static double mean_detail(const struct picture *picture, struct area area)
{
    double sum = 0;

    for (size_t y = area.top; y + 1 < area.top + area.height; y++)
        for (size_t x = area.left; x + 1 < area.left + area.width; x++)
            for (size_t c = 0; c < COLOURS; c++)
                sum += abs(pixel(picture, y, x)[c] - pixel(picture, y, x + 1)[c]) +
                       abs(pixel(picture, y, x)[c] - pixel(picture, y + 1, x)[c]);
    return sum / (2.0 * COLOURS * (double)(area.width - 1) * (double)(area.height - 1));
}

static double mean_change(const struct picture *picture, size_t top, size_t width, size_t height)
{
    double sum = 0;

    for (size_t y = top; y < top + height; y++)
        for (size_t x = FRAME; x < FRAME + width; x++)
            for (size_t c = 0; c < COLOURS; c++)
                sum += abs(pixel(picture, y, x)[c] - pixel(picture, y, x + width + FRAME)[c]);
    return sum / (COLOURS * (double)width * (double)height);
}

static void print_row(const struct picture *picture, size_t number, size_t top, size_t width, size_t height)
{
    printf("  %5zu %5zux%-5zu %6zu %13.1f %15.1f %14.1f\n", number, width, height,
           tiles_across(width) * tiles_across(height),
           mean_detail(picture, (struct area){top, FRAME, width, height}),
           mean_detail(picture, (struct area){top, 2 * FRAME + width, width, height}),
           mean_change(picture, top, width, height));
}

static struct picture put_all(const struct tiles *tiles, const struct tiles *painted,
                              const struct photos *photos)
{
    struct picture picture = make_picture(photos);
    size_t top = FRAME, first = 0;

    printf("  photo        size  tiles detail before  detail painted  colour change\n");
    for (size_t i = 0; i < photos->count; i++) {
        size_t width = photos->width[i], height = photos->height[i];

        put_photo(tiles, first, &picture, (struct area){top, FRAME, width, height});
        put_photo(painted, first, &picture, (struct area){top, 2 * FRAME + width, width, height});
        print_row(&picture, i + 1, top, width, height);
        first += tiles_across(width) * tiles_across(height);
        top += height + FRAME;
    }
    return picture;
}

static void write_png(const struct picture *picture, const char *path)
{
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)picture->width,
                     .height = (png_uint_32)picture->height,
                     .format = PNG_FORMAT_RGB};

    if (!png_image_write_to_file(&png, path, 0, picture->pixels, 0, NULL))
        stop("cannot write '%s': %s", path, png.message);
}

int main(int argc, char **argv)
{
    struct tiles tiles, painted;
    struct photos photos;
    struct picture picture;

    program = "tiles_png";
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* stop() says what is wrong */
    if (argc != 4)
        stop("%d arguments: call it as tiles_png TILES.h5 PAINTED.h5 OUT.png", argc - 1);
    read_photos(argv[1], &tiles, &photos);
    read_painted(argv[2], tiles.count, &painted);
    picture = put_all(&tiles, &painted, &photos);
    write_png(&picture, argv[3]);
    free(tiles.pixels);
    free(painted.pixels);
    free(picture.pixels);
    return 0;
}

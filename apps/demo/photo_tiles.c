/* SPDX-License-Identifier: BSD-3-Clause */
/* photo_tiles OUT.h5 PHOTO.jpg…: cuts photographs into tiles, the data set /tiles of u8 [N, 64, 64, 3].
 * A tile is a square of 32x32 pixels with a margin of 16 more on each side, mirrored at the photograph's
 * edge, so that each row can be worked on by itself. The squares of a photograph follow each other line by
 * line, photographs one after the other; the attributes "width" and "height" hold their sizes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hdf5.h>
#include <jpeglib.h>

#include "tiles.h"

struct photo {
    size_t width, height;
    uint8_t *pixels; /* [height][width][COLOURS] */
};

static void *allocate(size_t size)
{
    void *memory = malloc(size);

    if (!memory)
        stop("out of memory for %zu bytes", size);
    return memory;
}

static void stop_jpeg(j_common_ptr jpeg)
{
    char why[JMSG_LENGTH_MAX];

    jpeg->err->format_message(jpeg, why);
    stop("cannot read '%s': %s", (const char *)jpeg->client_data, why);
}

static struct photo read_photo(char *path)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct photo photo;
    FILE *file = fopen(path, "rb");

    if (!file)
        stop("cannot read '%s'", path);
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = stop_jpeg;
    jpeg_create_decompress(&jpeg);
    jpeg.client_data = path;
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    photo = (struct photo){jpeg.output_width, jpeg.output_height, NULL};
    photo.pixels = allocate(photo.width * photo.height * COLOURS);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW line = photo.pixels + jpeg.output_scanline * photo.width * COLOURS;

        jpeg_read_scanlines(&jpeg, &line, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    fclose(file);
    return photo;
}

/* The pixel that stands at `at` when the photograph is mirrored at its edges, again and again. */
static size_t mirror(long at, size_t length)
{
    long period = 2 * (long)length;
    long inside = (at % period + period) % period;

    return (size_t)(inside < (long)length ? inside : period - 1 - inside);
}

static void cut_tile(const struct photo *photo, size_t top, size_t left, uint8_t *tile)
{
    for (size_t y = 0; y < TILE; y++) {
        size_t from_y = mirror((long)(top + y) - MARGIN, photo->height);

        for (size_t x = 0; x < TILE; x++) {
            size_t from_x = mirror((long)(left + x) - MARGIN, photo->width);

            memcpy(tile + (y * TILE + x) * COLOURS,
                   photo->pixels + (from_y * photo->width + from_x) * COLOURS, COLOURS);
        }
    }
}

static uint8_t *cut_photo(const struct photo *photo, uint8_t *tile)
{
    for (size_t top = 0; top < photo->height; top += CORE) {
        for (size_t left = 0; left < photo->width; left += CORE) {
            cut_tile(photo, top, left, tile);
            tile += TILE * TILE * COLOURS;
        }
    }
    return tile;
}

static void write_sizes(hid_t dataset, const char *name, const unsigned long long *sizes, hsize_t count)
{
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t attribute = H5Acreate2(dataset, name, H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);

    if (attribute < 0 || H5Awrite(attribute, H5T_NATIVE_ULLONG, sizes) < 0)
        stop("cannot write the attribute '%s'", name);
    H5Aclose(attribute);
    H5Sclose(space);
}

static void write_tiles(const char *path, const uint8_t *tiles, size_t count, const struct photo *photos,
                        size_t photo_count)
{
    hsize_t extents[] = {count, TILE, TILE, COLOURS};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(4, extents, NULL);
    hid_t dataset = H5Dcreate2(file, "/tiles", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    unsigned long long widths[MOST_PHOTOS], heights[MOST_PHOTOS];

    if (dataset < 0 || H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, tiles) < 0)
        stop("cannot write /tiles of '%s'", path);
    for (size_t i = 0; i < photo_count; i++) {
        widths[i] = photos[i].width;
        heights[i] = photos[i].height;
    }
    write_sizes(dataset, "width", widths, photo_count);
    write_sizes(dataset, "height", heights, photo_count);
    H5Dclose(dataset);
    H5Sclose(space);
    if (H5Fclose(file) < 0)
        stop("cannot write '%s' to its end", path);
}

int main(int argc, char **argv)
{
    struct photo photos[MOST_PHOTOS];
    size_t photo_count = (size_t)argc - 2, count = 0;
    uint8_t *tiles, *next;

    program = "photo_tiles";
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* stop() says what is wrong */
    if (argc < 3 || photo_count > MOST_PHOTOS)
        stop("%d arguments: call it as photo_tiles OUT.h5 PHOTO.jpg… with up to %d photographs", argc - 1,
             MOST_PHOTOS);
    for (size_t i = 0; i < photo_count; i++) {
        photos[i] = read_photo(argv[i + 2]);
        count += tiles_across(photos[i].width) * tiles_across(photos[i].height);
    }
    next = tiles = allocate(count * TILE * TILE * COLOURS);
    for (size_t i = 0; i < photo_count; i++) {
        next = cut_photo(&photos[i], next);
        free(photos[i].pixels);
    }
    write_tiles(argv[1], tiles, count, photos, photo_count);
    free(tiles);
    return 0;
}

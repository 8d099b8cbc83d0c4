/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a photograph: the original as it was found, and what a worker has made of it. */
#ifndef MPMAP_PHOTOS_PHOTO_H
#define MPMAP_PHOTOS_PHOTO_H

#include <stddef.h>
#include <stdint.h>

#define COLOUR_CELLS 4 /* a photograph's colours are kept for 4 x 4 cells */
#define COLOUR_SIZE  (COLOUR_CELLS * COLOUR_CELLS * 3)
#define NO_GROUP     (-1)

enum photo_format { FORMAT_UNKNOWN, FORMAT_JPEG, FORMAT_PNG, FORMAT_WEBP, FORMAT_TIFF };

#define TURNS 8 /* four turns, and the same of the mirrored picture */

/* What an original looks like. Sizes and turns are those of the upright picture. */
struct look {
    uint64_t hashes[TURNS]; /* of the picture, and of the picture turned; see look.h */
    float sharpness;        /* variance of the Laplacian of the luminance, 512 pixels wide or high */
    uint8_t mean[3];        /* red, green, blue */
    uint8_t waves; /* how many bits of the hash mean something; few in a picture that is nearly plain */
    uint8_t colours[COLOUR_SIZE]; /* red, green, blue of each cell, line by line */
};

/* The result of a worker, and what the journal keeps: bytes without pointers. */
struct photo {
    uint64_t file_size;    /* of the original, in bytes */
    int64_t file_time_ns;  /* when it was changed last, since 1970 */
    uint64_t output_bytes; /* of all outputs together */
    struct look look;
    uint32_t width, height; /* of the original, upright */
    uint32_t format;        /* enum photo_format */
    char date[20];          /* when it was taken, "2024-05-31T18:20:05"; "" if it does not say */
    char camera[64]; /* maker and model; "" if it does not say; printable, and never cut within a character */
    int32_t
        output_error; /* errno of an output that cannot be written, which is no fault of the photograph; or 0 */
    unsigned char padding[4]; /* zero: all bytes are written to the journal */
};

/* A photograph of the library. */
struct original {
    char *path;  /* as it was found: bytes, without any promise of an encoding */
    char *name;  /* of its outputs, without suffix; ASCII */
    char *error; /* why it has failed; NULL if it has not */
    struct photo photo;
    int64_t group; /* of near-duplicates; NO_GROUP */
    int is_done;   /* its row is recorded, by this run or an earlier one */
};

/* Sorted by path. Its owner frees it with originals_free(). */
struct originals {
    struct original *items;
    size_t count;
};

void originals_free(struct originals *originals);

/* "JPEG", "PNG", ... */
const char *photo_format_name(uint32_t format);

#endif

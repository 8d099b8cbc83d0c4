/* SPDX-License-Identifier: BSD-3-Clause */
/* What a camera has written into a picture's header. */
#ifndef MPMAP_PHOTOS_EXIF_H
#define MPMAP_PHOTOS_EXIF_H

#include <stddef.h>
#include <vips/vips.h>

/* When it was taken, as "2024-05-31T18:20:05"; "" if the header does not say, or says what is no date. */
void exif_read_date(VipsImage *image, char *date, size_t size);

/* Maker and model, without the maker where the model begins with it; "" if the header does not say. */
void exif_read_camera(VipsImage *image, char *camera, size_t size);

#endif

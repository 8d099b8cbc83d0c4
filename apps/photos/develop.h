/* SPDX-License-Identifier: BSD-3-Clause */
/* The work on one photograph, in a worker: one decode, all outputs, what it looks like. The only file that knows
 * libvips. */
#ifndef MPMAP_PHOTOS_DEVELOP_H
#define MPMAP_PHOTOS_DEVELOP_H

#include <stddef.h>

#include "photo.h"
#include "settings.h"

/* Starts libvips in this process: one thread, no cache, and no decoder but those for JPEG, PNG, WebP and TIFF.
 * Returns 0, or -1 after writing the reason to `error`. */
int develop_start(char *error, size_t error_size);

/* Makes the outputs `name` of the original at `path`, and says what it is. The original is only read. Returns 0, or
 * -1 after writing the reason to `error`: some of the outputs may be there then. If an output could not be written,
 * photo->output_error says why; else it is 0. */
int develop(const struct settings *settings, const char *path, const char *name, struct photo *photo,
            char *error, size_t error_size);

#endif

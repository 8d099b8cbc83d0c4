/* SPDX-License-Identifier: BSD-3-Clause */
/* The catalogue, OUT/photos.h5: a column a data set, a row a photograph, sorted by path. */
#ifndef MPMAP_PHOTOS_CATALOGUE_H
#define MPMAP_PHOTOS_CATALOGUE_H

#include "duplicates.h"
#include "photo.h"
#include "settings.h"

/* Writes it whole, or leaves the one that is there. Returns 0, or the exit status after saying what is wrong. */
int catalogue_write(const struct settings *settings, const struct originals *originals,
                    const struct duplicates *duplicates);

#endif

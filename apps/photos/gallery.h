/* SPDX-License-Identifier: BSD-3-Clause */
/* The gallery: OUT/index.html, and page-2.html and so on where there are many photographs. It needs no server and no
 * network. */
#ifndef MPMAP_PHOTOS_GALLERY_H
#define MPMAP_PHOTOS_GALLERY_H

#include "duplicates.h"
#include "photo.h"
#include "settings.h"

/* Writes all pages, each whole or not at all, and removes those that an earlier run had more. Returns 0, or the exit
 * status after saying what is wrong. */
int gallery_write(const struct settings *settings, const struct originals *originals,
                  const struct duplicates *duplicates);

#endif

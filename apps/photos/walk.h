/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the originals: in folders, however deep, in lists, and named one by one. */
#ifndef MPMAP_PHOTOS_WALK_H
#define MPMAP_PHOTOS_WALK_H

#include <stddef.h>

#include "photo.h"

/* What was met on the way, beside the originals. */
struct walk_report {
    size_t passed_over; /* files in folders whose names end like no photograph's */
    size_t seen_twice;  /* names of files that were there already: links, and folders given twice */
    size_t unreadable;  /* folders and files that could not be looked at; each was told on stderr */
};

/* Fills `originals`, sorted by path, with path, size and time. A word is a folder, a file, or @LIST: a file with one
 * of either a line, or between null bytes if it has any. In folders, files count whose names end in .jpg, .jpeg,
 * .jpe, .jfif, .png, .webp, .tif or .tiff; a file that is named counts whatever its name. Links are followed; each
 * file is taken once, by the first of its names that is no link, and each folder once, so a link that leads in a
 * circle ends there. The folder `out` is never entered. Returns 0, or the exit status after saying what is wrong. */
int walk(char *const *words, size_t count, const char *out, struct originals *originals,
         struct walk_report *report);

#endif

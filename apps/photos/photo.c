/* SPDX-License-Identifier: BSD-3-Clause */
/* Owner of the list of originals. */
#include "photo.h"

#include <stdlib.h>

void originals_free(struct originals *originals)
{
    for (size_t i = 0; i < originals->count; i++) {
        free(originals->items[i].path);
        free(originals->items[i].name);
        free(originals->items[i].error);
    }
    free(originals->items);
    *originals = (struct originals){NULL, 0};
}

const char *photo_format_name(uint32_t format)
{
    static const char *const names[] = {"", "JPEG", "PNG", "WebP", "TIFF"};

    return format < sizeof names / sizeof names[0] ? names[format] : "";
}

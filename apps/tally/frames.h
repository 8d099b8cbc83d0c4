/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the text of a compressed file can be entered: at the blocks of bgzip, and at the frames of zstd, which say how
 * long they are, compressed and not. Members of other gzip files say that behind themselves only, so they cannot be found
 * without all before them. */
#ifndef TALLY_FRAMES_H
#define TALLY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

struct frame {
    uint64_t place; /* in the file */
    uint64_t first; /* of its bytes, in the text */
};

struct frames {
    struct frame *list; /* not all, but enough to cut by */
    size_t count;
    uint64_t text_size;
};

/* Returns false if the file is not whole, or has a part that does not say how long it is, or is a single one. */
bool frames_find(const struct source *source, struct frames *frames);
void frames_free(struct frames *frames);

/* The last one that begins at this byte of the text, or before it. */
struct frame frames_before(const struct frames *frames, uint64_t byte);
/* Where the first one begins at this byte of the text, or behind it; UINT64_MAX if none does. */
uint64_t frames_next(const struct frames *frames, uint64_t byte);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Text that is put together piece by piece in a place of a certain size; what does not fit is cut off, and ends with
 * "…". For data/look*.c, data/filters.c, data/parameters.c,
 * data/type_words.c, data/element_struct.c and data/result.c. */
#ifndef DATA_WRITER_H
#define DATA_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "mpmap/api.h"

struct writer {
    char *text;
    size_t size, length;
    bool is_full;
};

/* An empty text in `text`, which has room for `size` bytes, 8 at least. */
void writer_begin(struct writer *writer, char *text, size_t size);
/* Takes away what was added since `before`, a copy of the writer. */
void writer_go_back(struct writer *writer, const struct writer *before);
void writer_add(struct writer *writer, const char *format, ...) MPM_FORMAT(2, 3);

#endif

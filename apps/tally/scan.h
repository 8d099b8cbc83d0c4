/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds separators and line ends, 64 bytes at a time, with AVX2 where the processor has it. */
#ifndef TALLY_SCAN_H
#define TALLY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
    uint32_t *positions; /* room for `size` + 64 */
    size_t count;
    size_t lines;
    bool is_odd; /* there are quotes or bytes of 0 */
};

/* The text may be read READ_BEYOND bytes behind its end. */
void scan_text(const char *text, size_t size, char separator, struct scan *scan);

#endif

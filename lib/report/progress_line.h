/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a progress line: what is shown, apart from when and where. For report/ and its tests. */
#ifndef REPORT_PROGRESS_LINE_H
#define REPORT_PROGRESS_LINE_H

#include <stddef.h>

#include "mpmap/pool.h"

/* Writes the line for a terminal of `columns` into `text` (at most `size` bytes, always terminated): a bar,
 * percent, done/total, rate, time left, and how many failed if any did. It stays below `columns` characters,
 * so that no terminal wraps it: where there is too little room the bar goes first, then the end of the text.
 * Returns `text`. */
char *progress_line_format(const mpm_progress *now, unsigned columns, char *text, size_t size);

#endif

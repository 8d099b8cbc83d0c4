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

/* The plain line for a log, without its newline: "mpmap: 10%  60/600  2.0/s  4 min 30 s left". Returns `text`. */
char *progress_line_plain(const mpm_progress *now, char *text, size_t size);

/* The same as a JSON object: done, total, failed, elapsed_s, rate (items a second), left_s (null while unknown). */
char *progress_line_json(const mpm_progress *now, char *text, size_t size);

#endif

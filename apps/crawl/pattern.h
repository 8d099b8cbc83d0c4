/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns in which * is any run of bytes: of --include and --exclude, and of robots.txt. */
#ifndef MPMAP_CRAWL_PATTERN_H
#define MPMAP_CRAWL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the pattern is what the text begins with; if `is_whole`, what the text is. Takes at most the product of
 * the two lengths. */
bool pattern_matches(const char *pattern, size_t length, const char *text, bool is_whole);

#endif

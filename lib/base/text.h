/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts that are too long for their place. For all of lib/. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

#define TEXT_CUT_MARK "…"

/* `text` has the first size - 1 bytes of a longer one, and a null byte: has it end with `mark` instead, behind the last
 * character of UTF-8 that is whole and leaves room for that. */
void text_cut(char *text, size_t size, const char *mark);
/* The same with a copy of a text of any length, which is cut only if it is too long. */
void text_copy(char *copy, size_t size, const char *text, const char *mark);
/* How many of the first bytes are whole characters of UTF-8, none of which is null. */
size_t text_whole(const char *bytes, size_t size);

#endif

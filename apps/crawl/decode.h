/* SPDX-License-Identifier: BSD-3-Clause */
/* What came over the network, as text. */
#ifndef MPMAP_CRAWL_DECODE_H
#define MPMAP_CRAWL_DECODE_H

#include <stddef.h>

#include "buffer.h"

/* The value of a header in the head of an answer, without white space around it; NULL if it is not there. */
const char *head_find(const char *head, size_t size, const char *name, size_t *length);

/* Unpacks gzip and deflate into `text`, which has at most `most` bytes then. Returns NULL, or what is wrong. */
const char *decode_packed(const char *body, size_t size, const char *encoding, size_t most,
                          struct buffer *text);

/* The name of the text's character set, by its first bytes, its Content-Type, or what its head says; "" if none
 * does. */
void decode_charset(const char *text, size_t size, const char *type, char charset[32]);
/* Turns the text into UTF-8, whatever is wrong with it. Returns false if it is that already, and `utf8` untouched. */
bool decode_to_utf8(const char *text, size_t size, const char *charset, struct buffer *utf8);

#endif

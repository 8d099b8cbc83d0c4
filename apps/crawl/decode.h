/* SPDX-License-Identifier: BSD-3-Clause */
/* What came over the network, as text. */
#ifndef MPMAP_CRAWL_DECODE_H
#define MPMAP_CRAWL_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

/* The value of a header in the head of an answer, without white space around it; NULL if it is not there. */
const char *head_find(const char *head, size_t size, const char *name, size_t *length);

/* A body that is unpacked. */
struct decoding {
    const char *body; /* as it came; then what it was unpacked to, or the same if it was not packed */
    size_t size;
    size_t most;         /* bytes that it may have, however often it is unpacked */
    bool is_file;        /* it may be a file of gzip besides */
    const char *unknown; /* an encoding that is not known, if that is what is wrong */
    size_t unknown_length;
};

/* Undoes the encodings that Content-Encoding lists, by way of `text`. Returns NULL, or what is wrong. */
const char *decode_packed(struct decoding *decoding, const char *encodings, size_t length,
                          struct buffer *text);
/* Whether a text of which nobody says what it is begins as HTML does. */
bool decode_is_markup(const char *text, size_t size);

/* The name of the text's character set, by its first bytes, its Content-Type, or what its head says; "" if none
 * does. */
void decode_charset(const char *text, size_t size, const char *type, char charset[32]);
/* Turns the text into UTF-8, whatever is wrong with it. Returns false if it is that already, and `utf8` untouched. */
bool decode_to_utf8(const char *text, size_t size, const char *charset, struct buffer *utf8);
/* Appends the UTF-8 in the set. Returns whether the set has all of it; if not, nothing is appended. */
bool decode_from_utf8(const char *text, size_t size, const char *charset, struct buffer *bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes that grow, and how messages and records are written into them and read from them. Numbers are of this machine's
 * order: what is written is read by processes of the same run, or on the same kind of machine. Memory that cannot be
 * had ends the process: what it was doing is done again by its successor. */
#ifndef MPMAP_CRAWL_BUFFER_H
#define MPMAP_CRAWL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is an empty one. */
struct buffer {
    char *bytes;
    size_t size;
    size_t room;
};

/* realloc() that ends the process, after saying so, where there is no memory. */
void *must_realloc(void *memory, size_t size);
/* A copy of `size` bytes with a byte of 0 behind them; free() frees it. */
char *must_copy(const void *bytes, size_t size);

/* Makes room for `size` more bytes, and tells where they go. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_add_number(struct buffer *buffer, uint64_t number);
/* With its length before it, and a byte of 0 behind it. */
void buffer_add_text(struct buffer *buffer, const char *text, size_t length);
void buffer_print(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *buffer);

/* Reads what was written so. Once something is not there, is_bad stays true, and all that is read is 0 or "". */
struct reader {
    const char *at;
    const char *end;
    bool is_bad;
};

uint64_t reader_number(struct reader *reader);
/* The text stands in what is read, and ends with a byte of 0. `length` may be NULL. */
const char *reader_text(struct reader *reader, size_t *length);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A text is its length in 8 bytes, its bytes, and a byte of 0; a number is 8 bytes. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"

void *must_realloc(void *memory, size_t size)
{
    void *bytes = realloc(memory, size ? size : 1);

    if (!bytes)
        _Exit(failure("out of memory: %zu bytes were wanted", size));
    return bytes;
}

char *must_copy(const void *bytes, size_t size)
{
    char *copy = must_realloc(NULL, size + 1);

    if (size)
        memcpy(copy, bytes, size);
    copy[size] = 0;
    return copy;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->room - buffer->size < size) {
        size_t room = buffer->room * 2 > buffer->size + size ? buffer->room * 2 : buffer->size + size + 256;

        buffer->bytes = must_realloc(buffer->bytes, room);
        buffer->room = room;
    }
    return buffer->bytes + buffer->size;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!size)
        return;
    memcpy(buffer_reserve(buffer, size), bytes, size);
    buffer->size += size;
}

void buffer_add_number(struct buffer *buffer, uint64_t number)
{
    buffer_add(buffer, &number, sizeof number);
}

void buffer_add_text(struct buffer *buffer, const char *text, size_t length)
{
    buffer_add_number(buffer, length);
    buffer_add(buffer, text, length);
    buffer_add(buffer, "", 1);
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    size_t room = 256; /* nearly always enough */
    int length = 0;

    for (bool fits = false; !fits && length >= 0;) {
        char *to = buffer_reserve(buffer, room);

        va_start(arguments, format);
        length = vsnprintf(to, room, format, arguments);
        va_end(arguments);
        fits = length >= 0 && (size_t)length < room;
        room = (size_t)length + 1;
    }
    if (length > 0)
        buffer->size += (size_t)length;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

uint64_t reader_number(struct reader *reader)
{
    uint64_t number;

    if (reader->is_bad || (size_t)(reader->end - reader->at) < sizeof number) {
        reader->is_bad = true;
        return 0;
    }
    memcpy(&number, reader->at, sizeof number);
    reader->at += sizeof number;
    return number;
}

const char *reader_text(struct reader *reader, size_t *length)
{
    uint64_t size = reader_number(reader);
    const char *text = reader->at;

    if (length)
        *length = 0;
    if (reader->is_bad || (uint64_t)(reader->end - reader->at) <= size || text[size]) {
        reader->is_bad = true;
        return "";
    }
    reader->at += size + 1;
    if (length)
        *length = size;
    return text;
}

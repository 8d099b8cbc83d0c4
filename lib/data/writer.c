/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"

static const char cut_off[] = "…";

void writer_begin(struct writer *writer, char *text, size_t size)
{
    *writer = (struct writer){text, size, 0, false};
    *text = '\0';
}

/* No character of several bytes is cut in its middle. */
static void cut(struct writer *writer)
{
    size_t end = writer->size - sizeof cut_off;

    while (end > 0 && ((unsigned char)writer->text[end] & 0xc0) == 0x80)
        end--;
    memcpy(writer->text + end, cut_off, sizeof cut_off);
    writer->length = end + sizeof cut_off - 1;
    writer->is_full = true;
}

void writer_go_back(struct writer *writer, const struct writer *before)
{
    *writer = *before;
    writer->text[writer->length] = '\0';
}

void writer_add(struct writer *writer, const char *format, ...)
{
    size_t room = writer->size - writer->length;
    va_list arguments;
    int length;

    if (writer->is_full)
        return;
    va_start(arguments, format);
    length = c_vsnprintf(writer->text + writer->length, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < room)
        writer->length += (size_t)length;
    else
        cut(writer);
}

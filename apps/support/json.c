/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes strings and numbers as RFC 8259 wants them. */
#include "json.h"

#include <math.h>
#include <stdio.h>

#include "utf8.h"

/* How many bytes from here on are written as they are. */
static size_t plain_length(const unsigned char *text)
{
    const unsigned char *end = text;

    for (int length; *end >= 0x20 && *end != 0x7f && *end != '"' && *end != '\\'; end += length) {
        length = *end < 0x80 ? 1 : utf8_length(end);
        if (!length)
            break;
    }
    return (size_t)(end - text);
}

void json_write_string(FILE *file, const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;

    putc('"', file);
    while (*byte) {
        size_t length = plain_length(byte);

        fwrite(byte, 1, length, file);
        byte += length;
        if (*byte == '"' || *byte == '\\')
            fprintf(file, "\\%c", *byte++);
        else if (*byte)
            fprintf(file, "\\u%04x", *byte++);
    }
    putc('"', file);
}

void json_print_string(const char *text)
{
    json_write_string(stdout, text);
}

void json_print_number(double number)
{
    if (isfinite(number))
        printf("%.6g", number);
    else
        fputs("null", stdout);
}

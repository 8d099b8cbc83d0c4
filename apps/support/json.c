/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes strings and numbers as RFC 8259 wants them. */
#include "json.h"

#include <math.h>
#include <stdio.h>

/* How many bytes of a character of UTF-8 stand there; 0 if it is none. A null byte ends the text within it. */
static int utf8_length(const unsigned char *byte)
{
    int length = *byte < 0x80   ? 1
                 : *byte < 0xc2 ? 0
                 : *byte < 0xe0 ? 2
                 : *byte < 0xf0 ? 3
                 : *byte < 0xf5 ? 4
                                : 0;

    for (int i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((*byte == 0xe0 && byte[1] < 0xa0) || (*byte == 0xed && byte[1] > 0x9f) ||
        (*byte == 0xf0 && byte[1] < 0x90) || (*byte == 0xf4 && byte[1] > 0x8f))
        return 0;
    return length;
}

void json_write_string(FILE *file, const char *text)
{
    int length;

    putc('"', file);
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte += length ? length : 1) {
        length = utf8_length(byte);
        if (*byte == '"' || *byte == '\\')
            fprintf(file, "\\%c", *byte);
        else if (*byte < 0x20 || *byte == 0x7f || !length)
            fprintf(file, "\\u%04x", *byte);
        else
            fwrite(byte, 1, (size_t)length, file);
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

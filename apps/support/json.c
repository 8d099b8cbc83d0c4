/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes strings and numbers as RFC 8259 wants them. */
#include "json.h"

#include <math.h>
#include <stdio.h>

#include "utf8.h"

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

/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes strings and numbers as RFC 8259 wants them. */
#include "json.h"

#include <math.h>
#include <stdio.h>

void json_print_string(const char *text)
{
    putchar('"');
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
        if (*byte == '"' || *byte == '\\')
            printf("\\%c", *byte);
        else if (*byte < 0x20 || *byte == 0x7f)
            printf("\\u%04x", *byte);
        else
            putchar(*byte);
    }
    putchar('"');
}

void json_print_number(double number)
{
    if (isfinite(number))
        printf("%.6g", number);
    else
        fputs("null", stdout);
}

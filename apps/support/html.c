/* SPDX-License-Identifier: BSD-3-Clause */
/* Escapes what HTML takes for markup. */
#include "html.h"

#include <string.h>

#include "utf8.h"

void html_write_text(FILE *file, const char *text)
{
    int length;

    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte += length ? length : 1) {
        length = utf8_length(byte);
        if (strchr("&<>\"'", *byte))
            fprintf(file, "&#%d;", *byte);
        else if (!length || *byte < ' ' || *byte == 0x7f)
            fprintf(file, "\\x%02x", *byte);
        else
            fwrite(byte, 1, (size_t)length, file);
    }
}

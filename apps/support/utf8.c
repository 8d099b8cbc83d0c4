/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "utf8.h"

int utf8_length(const unsigned char *byte)
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

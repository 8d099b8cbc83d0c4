/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

#define MOST_FOLLOWING 3u /* bytes of a character, behind its first one */

void text_cut(char *text, size_t size, const char *mark)
{
    size_t mark_size = strlen(mark) + 1, end, back = 0;

    if (size < mark_size)
        return;
    end = size - mark_size;
    while (back < end && back <= MOST_FOLLOWING && ((unsigned char)text[end - back] & 0xc0) == 0x80)
        back++;
    if (back <= MOST_FOLLOWING) /* more of them are no UTF-8 */
        end -= back;
    memcpy(text + end, mark, mark_size);
}

void text_copy(char *copy, size_t size, const char *text, const char *mark)
{
    size_t length = strnlen(text, size);

    memcpy(copy, text, length < size ? length : size - 1);
    copy[length < size ? length : size - 1] = 0;
    if (length == size)
        text_cut(copy, size, mark);
}

/* How many bytes a character has, by its first one; 0 if it can be none. */
static size_t character_size(unsigned char first)
{
    return first < 0x80   ? first != 0
           : first < 0xc2 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf5 ? 4
                          : 0;
}

/* Overlong forms, halves of surrogate pairs and what is above U+10FFFF show in the second byte. */
static bool second_is_right(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

size_t text_whole(const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t whole = 0;

    while (whole < size) {
        size_t length = character_size(at[whole]);

        if (!length || length > size - whole || (length > 1 && !second_is_right(at[whole], at[whole + 1])))
            break;
        for (size_t i = 1; i < length; i++) {
            if ((at[whole + i] & 0xc0) != 0x80)
                return whole;
        }
        whole += length;
    }
    return whole;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

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

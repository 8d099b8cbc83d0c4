/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reference stands for is never longer than the reference. */
#include "entities.h"

#include <stdint.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t character;
} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xa0}};

static size_t put_utf8(uint32_t character, char *to)
{
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        to[0] = (char)(0xc0 | character >> 6);
        to[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        to[0] = (char)(0xe0 | character >> 12);
        to[1] = (char)(0x80 | (character >> 6 & 0x3f));
        to[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | character >> 18);
    to[1] = (char)(0x80 | (character >> 12 & 0x3f));
    to[2] = (char)(0x80 | (character >> 6 & 0x3f));
    to[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

/* The number behind "&#"; 0 if it is none. `length` becomes that of its digits. */
static uint32_t read_number(const char *text, size_t *length)
{
    int is_hex = *length && (text[0] | 32) == 'x';
    size_t at = (size_t)is_hex;
    uint32_t number = 0;

    for (; at < *length && number < 0x110000; at++) {
        char byte = text[at];
        uint32_t digit = byte >= '0' && byte <= '9' ? (uint32_t)(byte - '0')
                         : is_hex && (byte | 32) >= 'a' && (byte | 32) <= 'f'
                             ? (uint32_t)((byte | 32) - 'a' + 10)
                             : 16;

        if (digit == 16)
            break;
        number = number * (is_hex ? 16 : 10) + digit;
    }
    *length = at;
    return number >= 0x110000 || (number >= 0xd800 && number < 0xe000) || number < 9 ? 0 : number;
}

/* What stands behind the &; 0 if it is no reference that is known. `length` becomes that of the reference. */
static uint32_t read_reference(const char *text, size_t *length)
{
    uint32_t character = 0;

    if (*length && text[0] == '#') {
        size_t digits = *length - 1;

        character = read_number(text + 1, &digits);
        *length = digits + 1;
    } else {
        for (size_t i = 0; i < sizeof known / sizeof known[0] && !character; i++) {
            size_t size = strlen(known[i].name);

            if (size < *length && text[size] == ';' && !memcmp(text, known[i].name, size)) {
                character = known[i].character;
                *length = size;
            }
        }
    }
    return character;
}

size_t entities_decode(const char *text, size_t length, char *decoded)
{
    size_t size = 0;

    for (size_t i = 0; i < length;) {
        size_t rest = length - i - 1;
        uint32_t character = text[i] == '&' ? read_reference(text + i + 1, &rest) : 0;

        if (!character) {
            decoded[size++] = text[i++];
            continue;
        }
        i += rest + 1;
        if (i < length && text[i] == ';')
            i++;
        size += put_utf8(character, decoded + size);
    }
    return size;
}

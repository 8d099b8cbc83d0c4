/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers out of text: a whole number and how many of its digits stand behind the point, eight digits at a time.
 * What is longer, or has an exponent, goes the slow way, through strtod. Both are exact, or rounded correctly. */
#ifndef TALLY_NUMBER_H
#define TALLY_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes that may be read behind a text, whatever they are. */
#define READ_BEYOND 64

enum number_kind { NUMBER_MISSING, NUMBER_DECIMAL, NUMBER_WIDE, NUMBER_BAD };

struct number {
    int64_t decimal; /* in units of the column's last decimal */
    double wide;     /* what is no such decimal */
};

/* What numbers a column has: see struct used_column. */
struct number_form {
    uint32_t scale;
    char point; /* before the decimals: a point or a comma */
    int64_t limit;
    int64_t power[20]; /* of ten: by it a number with so many decimals is multiplied; 0: too many decimals */
};

void number_form_set(struct number_form *form, char point, uint32_t scale, int64_t limit);

/* The slow way, which takes every number that there is. */
enum number_kind number_read_any(const char *text, uint32_t length, const struct number_form *form,
                                 struct number *number);

/* Digits and decimals of a plain decimal number without a sign; false if it is not one, or too long. */
bool number_digits(const char *text, uint32_t length, char point, uint64_t *digits, uint32_t *decimals);

/* The double that is nearest to the decimal. */
double number_double(int64_t decimal, uint32_t scale);

static inline uint64_t number_load(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof word);
    return word;
}

/* A bit, the highest, in each byte that is a point. */
static inline uint64_t number_points(uint64_t word, char point)
{
    uint64_t other = word ^ UINT64_C(0x0101010101010101) * (unsigned char)point;

    return (other - UINT64_C(0x0101010101010101)) & ~other & UINT64_C(0x8080808080808080);
}

static inline bool number_all_digits(uint64_t word)
{
    return (((word + UINT64_C(0x4646464646464646)) | (word - UINT64_C(0x3030303030303030))) &
            UINT64_C(0x8080808080808080)) == 0;
}

/* The number of eight digits, as bytes from 0 to 9, the first one in the lowest byte. */
static inline uint64_t number_eight(uint64_t word)
{
    word = word * 10 + (word >> 8);
    return (((word & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064)) +
            (((word >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001))) >>
           32;
}

/* The first `count` bytes, 0 to 8, moved to the end, with zeros before them. */
static inline uint64_t number_right(uint64_t word, uint32_t count)
{
    uint32_t bits = 4 * count;

    return (word << (32 - bits) << (32 - bits)) | (UINT64_C(0x3030303030303030) >> bits >> bits);
}

/* What number_read_short() leaves to it. */
enum number_kind number_read_long(const char *text, uint32_t length, const struct number_form *form,
                                  struct number *number);

/* A decimal of up to eight characters and a sign, with few branches, which a column's numbers mostly take the same
 * way. `point` is the form's, as a constant. Returns false if it is something else. */
static inline bool number_read_short(const char *text, uint32_t length, const struct number_form *form,
                                     char point, int64_t *decimal)
{
    uint64_t is_negative = text[0] == '-', word = number_load(text + is_negative), digits;
    uint64_t points = number_points(word, point) | UINT64_C(1) << 63, low;
    uint32_t count = length - (uint32_t)is_negative, decimals = 0;
    uint32_t at = (uint32_t)__builtin_ctzll(points) & 56;

    if (count - 1 >= 8)
        return false;
    word ^= UINT64_C(0x3030303030303030);
    /* The digits before the point go to where it was. */
    if (at < 8 * count && (char)(word >> at) == (char)(point ^ '0')) {
        low = word & ((UINT64_C(1) << at) - 1);
        word = (word & ~UINT64_C(255) << at) | low << 8;
        decimals = count - 1 - at / 8;
        if (count == 1 || decimals > form->scale)
            return false;
    }
    word <<= 64 - 8 * count;
    digits = number_eight(word) * (uint64_t)form->power[decimals];
    *decimal = (int64_t)((digits ^ -is_negative) + is_negative);
    /* Each byte is at most 9. What eight digits and a power of ten make does not overflow. */
    return !(((word + UINT64_C(0x7676767676767676)) | word) & UINT64_C(0x8080808080808080)) &&
           digits <= (uint64_t)form->limit;
}

#endif

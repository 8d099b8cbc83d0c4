/* SPDX-License-Identifier: BSD-3-Clause */
#include "number.h"

#include <math.h>
#include <stdlib.h>

#define LONGEST 400 /* bytes of a number */

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000,
                                  1000000000000000000};

void number_form_set(struct number_form *form, char point, uint32_t scale, int64_t limit)
{
    memset(form, 0, sizeof *form);
    form->point = point;
    form->scale = scale;
    form->limit = limit;
    for (uint32_t decimals = 0; decimals <= scale; decimals++)
        form->power[decimals] = (int64_t)powers[scale - decimals];
}

/* Of 1 to 8 characters. */
static bool read_digits(const char *text, uint32_t count, uint64_t *digits)
{
    uint64_t word = number_right(number_load(text), count);

    if (!number_all_digits(word))
        return false;
    *digits = number_eight(word - UINT64_C(0x3030303030303030));
    return true;
}

/* Of 0 to 16. */
static bool read_many(const char *text, uint32_t count, uint64_t *digits)
{
    uint64_t high = 0, low = 0;

    if (count <= 8)
        return read_digits(text, count, digits);
    if (count > 16 || !read_digits(text, 8, &high) || !read_digits(text + 8, count - 8, &low))
        return false;
    *digits = high * powers[count - 8] + low;
    return true;
}

bool number_digits(const char *text, uint32_t length, char point, uint64_t *digits, uint32_t *decimals)
{
    uint64_t points = number_points(number_load(text), point), whole = 0, part = 0;
    uint32_t at;

    *decimals = 0;
    if (points) {
        at = (uint32_t)__builtin_ctzll(points) >> 3;
    } else {
        points = number_points(number_load(text + 8), point);
        at = points ? 8 + ((uint32_t)__builtin_ctzll(points) >> 3) : length;
    }
    if (at >= length)
        return length > 0 && read_many(text, length, digits);
    *decimals = length - at - 1;
    if (length > 18 || !(at + *decimals) || !read_many(text, at, &whole) ||
        !read_many(text + at + 1, *decimals, &part))
        return false;
    *digits = whole * powers[*decimals] + part;
    return true;
}

double number_double(int64_t decimal, uint32_t scale)
{
    return (double)decimal / (double)powers[scale];
}

/* The text, of characters of a number only, as strtod takes it; false if it is none. Hexadecimal numbers, infinity
 * and the like are none. */
static bool read_wide(const char *text, uint32_t length, char point, double *wide)
{
    char copy[LONGEST + 1], *end;

    if (!length || length > LONGEST)
        return false;
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] != point && (!strchr("0123456789+-eE", text[i]) || !text[i]))
            return false;
        copy[i] = text[i] == point ? '.' : text[i];
    }
    copy[length] = '\0';
    *wide = strtod(copy, &end);
    return !*end && isfinite(*wide);
}

/* As R, pandas, Python, spreadsheets and databases write that there is no number. */
static bool is_missing(const char *text, uint32_t length)
{
    static const char words[][8] = {"NA",  "NaN",  "nan",  "null", "NULL", "None", "N/A",
                                    "n/a", "#N/A", "<NA>", "-NaN", "-nan", "\\N"};

    for (size_t i = 0; i < sizeof words / sizeof *words && length < sizeof *words; i++) {
        if (!words[i][length] && !memcmp(text, words[i], length))
            return true;
    }
    return false;
}

/* The same number with as many decimals as the column has, if it can be written so: "1.500" has one. */
static bool read_decimal(const char *text, uint32_t length, const struct number_form *form, int64_t *decimal)
{
    bool is_negative = text[0] == '-';
    uint32_t skip = is_negative || text[0] == '+', decimals;
    uint64_t digits;

    if (length == skip || !number_digits(text + skip, length - skip, form->point, &digits, &decimals))
        return false;
    for (; decimals > form->scale && digits % 10 == 0; decimals--)
        digits /= 10;
    if (decimals > form->scale ||
        __builtin_mul_overflow((int64_t)digits, (int64_t)powers[form->scale - decimals], decimal) ||
        *decimal > form->limit)
        return false;
    *decimal = is_negative ? -*decimal : *decimal;
    return true;
}

enum number_kind number_read_any(const char *text, uint32_t length, const struct number_form *form,
                                 struct number *number)
{
    while (length && (*text == ' ' || *text == '\t'))
        text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    if (!length || is_missing(text, length))
        return NUMBER_MISSING;
    if (read_decimal(text, length, form, &number->decimal))
        return NUMBER_DECIMAL;
    return read_wide(text, length, form->point, &number->wide) ? NUMBER_WIDE : NUMBER_BAD;
}

enum number_kind number_read_long(const char *text, uint32_t length, const struct number_form *form,
                                  struct number *number)
{
    bool is_negative = text[0] == '-';
    uint32_t decimals;
    uint64_t digits;
    int64_t power;

    if (!length)
        return NUMBER_MISSING;
    if (length == is_negative ||
        !number_digits(text + is_negative, length - is_negative, form->point, &digits, &decimals) ||
        !(power = form->power[decimals]) ||
        __builtin_mul_overflow((int64_t)digits, power, &number->decimal) || number->decimal > form->limit)
        return number_read_any(text, length, form, number);
    number->decimal = is_negative ? -number->decimal : number->decimal;
    return NUMBER_DECIMAL;
}

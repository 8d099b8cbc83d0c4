/* SPDX-License-Identifier: BSD-3-Clause */
/* The fill value: what a row leaves that has failed, from a text of numbers. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "data/result.h"

#define BLANKS    " \t\n"
#define WORD_SIZE 64

static const char form[] = "write a number, or one for each field: mean=nan, count=-1";

static int does_not_fit(const char *word, const struct result_field *field)
{
    return error_set(MPM_EINVAL,
                     "the fill value %s is none for %s%sresults of %s; "
                     "%s",
                     word, field->name, *field->name ? ", " : "", mpm_type_name(field->shape.type), form);
}

/* Puts a number into an element: false if it has no such value. */
static bool put_float(mpm_type type, const char *word, void *element)
{
    char *end;
    double value = c_strtod(word, &end);
    float single = (float)value;

    if (end == word || *end || (type == MPM_F32 && isinf(single) && !isinf(value)))
        return false;
    if (type == MPM_F32)
        memcpy(element, &single, sizeof single);
    else
        memcpy(element, &value, sizeof value);
    return true;
}

static bool put_signed(mpm_type type, const char *word, void *element)
{
    size_t size = mpm_type_size(type);
    char *end;
    int64_t value, most = size == 8 ? INT64_MAX : ((int64_t)1 << (8 * size - 1)) - 1;

    errno = 0;
    value = strtoll(word, &end, 0);
    if (errno || end == word || *end || value > most || value < -most - 1)
        return false;
    memcpy(element, &value, size); /* the machine is a little endian one, as HDF5's native types here */
    return true;
}

static bool put_unsigned(mpm_type type, const char *word, void *element)
{
    size_t size = mpm_type_size(type);
    char *end;
    uint64_t value, most = size == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * size) - 1;

    errno = 0;
    value = strtoull(word, &end, 0);
    if (errno || end == word || *end || *word == '-' || value > most)
        return false;
    memcpy(element, &value, size);
    return true;
}

bool result_put_number(mpm_type type, const char *word, void *element)
{
    switch (type) {
    case MPM_F32:
    case MPM_F64:
        return put_float(type, word, element);
    case MPM_I8:
    case MPM_I16:
    case MPM_I32:
    case MPM_I64:
        return put_signed(type, word, element);
    default:
        return put_unsigned(type, word, element);
    }
}

/* All elements of a field. */
static int fill_field(const struct result_field *field, const char *word, unsigned char *row)
{
    size_t size = mpm_type_size(field->shape.type);
    unsigned char element[sizeof(double)];

    if (field->vlen)
        return error_set(MPM_EINVAL, "rows that fail leave an empty %s: --fill is for numbers", field->name);
    if (!result_put_number(field->shape.type, word, element))
        return does_not_fit(word, field);
    for (size_t at = 0; row && at < field->size; at += size)
        memcpy(row + field->offset + at, element, size);
    return 0;
}

static int fill_all(const struct result *result, const char *word, unsigned char *row)
{
    int status = 0;
    unsigned filled = 0;

    for (unsigned i = 0; !status && i < result->count; i++) {
        if (result->field[i].vlen)
            continue;
        status = fill_field(&result->field[i], word, row);
        filled++;
    }
    if (!status && !filled)
        status = error_set(MPM_EINVAL, "rows that fail leave an empty %s: --fill is for numbers",
                           result->text);
    return status;
}

/* "mean = nan", or "nan". */
static int fill_by(const struct result *result, const char *word, unsigned char *row)
{
    const char *equals = strchr(word, '=');
    const struct result_field *field;
    size_t length = equals ? (size_t)(equals - word) : 0;

    if (!equals)
        return fill_all(result, word, row);
    while (length > 0 && strchr(BLANKS, word[length - 1]))
        length--;
    if (!(field = result_find(result, word, length)))
        return error_set(MPM_EINVAL, "the fill value %s is of a field that the result does not have; %s",
                         word, form);
    return fill_field(field, equals + 1 + strspn(equals + 1, BLANKS), row);
}

int result_parse_fill(const struct result *result, const char *text, unsigned char *row)
{
    int status = 0;

    do {
        char word[RESULT_NAME_SIZE + WORD_SIZE];
        size_t length, used;

        text += strspn(text, BLANKS);
        used = length = strcspn(text, ",");
        while (used > 0 && strchr(BLANKS, text[used - 1]))
            used--;
        if (used == 0 || used >= sizeof word)
            return error_set(MPM_EINVAL, "the fill value \"%.100s\" is none: %s", text, form);
        snprintf(word, sizeof word, "%.*s", (int)used, text);
        status = fill_by(result, word, row);
        text += length;
    } while (!status && *text++ == ',');
    return status;
}

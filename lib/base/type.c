/* SPDX-License-Identifier: BSD-3-Clause */
/* Element types, and shapes as text. Sizes never wrap around: a shape that is too large for a size_t has
 * SIZE_MAX elements or bytes, and one with more dimensions than there may be has none, so that callers can
 * refuse both by looking at the size alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mpmap/type.h"

#define MAX_ROW_BYTES ((size_t)1 << 47)

struct element {
    const char *name;
    size_t size;
};

static const struct element elements[] = {[MPM_NO_TYPE] = {"?", 0},
#define ELEMENT(name, c_type, text) [MPM_##name] = {text, sizeof(c_type)},
                                          MPM_TYPE_LIST(ELEMENT)
#undef ELEMENT
};

#define TYPE_NAME(name, c_type, text) " " text
static const char type_names[] = MPM_TYPE_LIST(TYPE_NAME);
#undef TYPE_NAME

static const struct element *element_of(mpm_type type)
{
    size_t count = sizeof elements / sizeof *elements;
    return &elements[(size_t)type < count ? type : MPM_NO_TYPE];
}

static size_t times(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

static mpm_type type_find(const char *name, size_t length)
{
    for (size_t i = MPM_NO_TYPE + 1; i < sizeof elements / sizeof *elements; i++)
        if (strlen(elements[i].name) == length && !memcmp(elements[i].name, name, length))
            return (mpm_type)i;
    return MPM_NO_TYPE;
}

/* Reads one extent at *at and moves it behind. */
static int parse_extent(const char *text, const char **at, mpm_shape *shape)
{
    unsigned long long extent;
    char *end;

    if (shape->rank == MPM_MAX_DIMENSIONS)
        return error_set(MPM_EINVAL, "shape \"%s\" has more than %d dimensions", text, MPM_MAX_DIMENSIONS);
    if (shape->rank == 0 && (**at == ']' || **at == ',')) {
        shape->extent[shape->rank++] = 0;
        return 0;
    }
    if (**at < '0' || **at > '9')
        return error_set(MPM_EINVAL, "shape \"%s\" lacks a number at \"%s\": write it like u8[32,32,3]", text,
                         *at);
    errno = 0;
    extent = strtoull(*at, &end, 10);
    if (errno || extent == 0 || extent >= MAX_ROW_BYTES)
        return error_set(MPM_EINVAL, "extent %.*s in shape \"%s\" is not between 1 and 2^47",
                         (int)(end - *at), *at, text);
    shape->extent[shape->rank++] = (size_t)extent;
    *at = end;
    return 0;
}

/* Reads "[a,b,…]", to the end of the text. */
static int parse_extents(const char *text, const char *at, mpm_shape *shape)
{
    do {
        int status;
        at++; /* the bracket, or a comma */
        status = parse_extent(text, &at, shape);
        if (status)
            return status;
    } while (*at == ',');
    if (strcmp(at, "]") != 0)
        return error_set(MPM_EINVAL, "shape \"%s\" has \"%s\" where it should end with \"]\"", text, at);
    return 0;
}

size_t mpm_type_size(mpm_type type)
{
    return element_of(type)->size;
}

const char *mpm_type_name(mpm_type type)
{
    return element_of(type)->name;
}

size_t mpm_shape_elements(const mpm_shape *shape)
{
    size_t count = shape && shape->rank <= MPM_MAX_DIMENSIONS;

    for (unsigned i = 0; count && i < shape->rank; i++)
        count = times(count, shape->extent[i]);
    return count;
}

size_t mpm_shape_size(const mpm_shape *shape)
{
    return shape ? times(mpm_shape_elements(shape), mpm_type_size(shape->type)) : 0;
}

int mpm_shape_parse(const char *text, mpm_shape *shape)
{
    mpm_shape parsed = {MPM_NO_TYPE, 0, {0}};
    size_t length;

    if (!text || !shape)
        return error_set(MPM_EINVAL, "the text and the pointer for the shape must not be NULL");
    length = strcspn(text, "[");
    parsed.type = type_find(text, length);
    if (!parsed.type)
        return error_set(MPM_EINVAL, "\"%.*s\" is not an element type: use one of%s", (int)length, text,
                         type_names);
    if (text[length]) {
        int status = parse_extents(text, text + length, &parsed);
        if (status)
            return status;
    }
    if (mpm_shape_size(&parsed) >= MAX_ROW_BYTES)
        return error_set(MPM_EINVAL, "a row of shape \"%s\" has 2^47 bytes or more: it must have fewer",
                         text);
    *shape = parsed;
    return 0;
}

char *mpm_shape_format(const mpm_shape *shape, char *text, size_t size)
{
    const char *before = "[";
    size_t length;

    if (!text || !size)
        return text;
    length = (size_t)snprintf(text, size, "%s", mpm_type_name(shape ? shape->type : MPM_NO_TYPE));
    for (unsigned i = 0; shape && i < shape->rank && i < MPM_MAX_DIMENSIONS && length < size;
         i++, before = ",")
        length += (size_t)(shape->extent[i]
                               ? snprintf(text + length, size - length, "%s%zu", before, shape->extent[i])
                               : snprintf(text + length, size - length, "%s", before));
    if (shape && shape->rank && length < size)
        snprintf(text + length, size - length, "]");
    return text;
}

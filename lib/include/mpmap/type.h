/* SPDX-License-Identifier: BSD-3-Clause */
/** @file type.h  Element types, and the type and shape of one row of a data set. */
#ifndef MPMAP_TYPE_H
#define MPMAP_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

/** Every element type: name, C type, and how a description writes it. `ENTRY(name, c_type, text)` is expanded once
 * for each. */
#define MPM_TYPE_LIST(ENTRY)    \
    ENTRY(I8, int8_t, "i8")     \
    ENTRY(I16, int16_t, "i16")  \
    ENTRY(I32, int32_t, "i32")  \
    ENTRY(I64, int64_t, "i64")  \
    ENTRY(U8, uint8_t, "u8")    \
    ENTRY(U16, uint16_t, "u16") \
    ENTRY(U32, uint32_t, "u32") \
    ENTRY(U64, uint64_t, "u64") \
    ENTRY(F32, float, "f32")    \
    ENTRY(F64, double, "f64")

/** The most dimensions that a row may have. */
#define MPM_MAX_DIMENSIONS 31

MPM_BEGIN

/** The type of an element: MPM_I8 … MPM_F64, as MPM_TYPE_LIST has them. */
typedef enum mpm_type {
    MPM_NO_TYPE, /**< zero: not a type */
#define MPM_TYPE_VALUE(name, c_type, text) MPM_##name,
    MPM_TYPE_LIST(MPM_TYPE_VALUE)
#undef MPM_TYPE_VALUE
} mpm_type;

/** Type and shape of one row: an array of `rank` dimensions in C order. */
typedef struct mpm_shape {
    mpm_type type; /**< of each element */
    unsigned rank; /**< how many dimensions; 0: a single element */
    /** Elements along each dimension; the last one varies fastest. The first is 0 for rows of variable length: strings
     * are u8[]. */
    size_t extent[MPM_MAX_DIMENSIONS];
} mpm_shape;

/** The size of one element.
 * @param type  an element type
 * @return bytes; 0 if it is not a type. */
MPM_API size_t mpm_type_size(mpm_type type);

/** The name of a type, as descriptions write it.
 * @param type  an element type
 * @return for example "f64", a constant; "?" if it is not a type. */
MPM_API const char *mpm_type_name(mpm_type type);

/** Counts the elements in a row of this shape.
 * @param shape  the shape
 * @return the product of its extents, 1 for rank 0; 0 for NULL. */
MPM_API size_t mpm_shape_elements(const mpm_shape *shape);

/** The size of a row of this shape.
 * @param shape  the shape
 * @return bytes; 0 for NULL. */
MPM_API size_t mpm_shape_size(const mpm_shape *shape);

/** Reads a description: a type name, and extents in brackets: "f64", "u8[32,32,3]". The first extent may be left out,
 * "u8[]", "f32[,3]": of such rows each has its own. Never blocks.
 * @param text   the description
 * @param shape  out: what it describes
 * @return 0; MPM_EINVAL, with what is wrong, for a text that is not a description, an extent of 0, or a row of
 *         2^47 bytes or more. */
MPM_API MPM_CHECKED int mpm_shape_parse(const char *text, mpm_shape *shape);

/** Writes the description of a shape, the reverse of mpm_shape_parse(). Never blocks.
 * @param shape  the shape
 * @param text   out: its description, always terminated
 * @param size   bytes that `text` has room for; a longer description is cut off
 * @return `text`. */
MPM_API char *mpm_shape_format(const mpm_shape *shape, char *text, size_t size);

MPM_END

#endif
